//! Why certificates and keys cannot be used, in one line that says what to do.

use std::fmt;
use std::path::Path;

/// An error of [`Tls`](super::Tls): which file is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    pub(super) fn new(text: impl Into<String>) -> TlsError {
        TlsError(text.into())
    }

    /// About one file.
    pub(super) fn file(path: &Path, text: impl fmt::Display) -> TlsError {
        TlsError(format!("{}: {text}", path.display()))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}
