//! What can be told of a source before its bytes are sent.

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
        && matches!(source, Source::File(file) if crate::fs::has_descriptor(&**file))
}
