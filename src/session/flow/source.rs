//! What can be told of a source before its bytes are sent.

use crate::fs::File;
use crate::session::work::job::Source;

/// The size of a file when it was opened, if that is known.
pub(super) fn size(source: &Source) -> Option<u64> {
    match source {
        Source::File(file) => file.size_at_open(),
        Source::Listing(_) => None,
    }
}

/// Whether the system can send it by itself, by `sendfile(2)`.
pub(super) fn has_descriptor(source: &Source) -> bool {
    crate::sys::sendfile::SUPPORTED
        && matches!(source, Source::File(file) if file_has_descriptor(&**file))
}

/// Whether it is a file of the system's.
#[cfg(unix)]
pub(super) fn file_has_descriptor(file: &dyn File) -> bool {
    file.as_fd().is_some()
}

#[cfg(not(unix))]
pub(super) fn file_has_descriptor(_: &dyn File) -> bool {
    false
}
