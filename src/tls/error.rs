//! Why certificates and keys cannot be used, in one line that says what to do.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// An error of [`Tls`](super::Tls): which file is wrong, and what to do about it. Its source, where it has one, is
/// what the system or rustls said.
#[derive(Debug, Clone)]
pub struct TlsError {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl TlsError {
    pub(super) fn new(text: impl Into<String>) -> TlsError {
        TlsError {
            text: text.into(),
            source: None,
        }
    }

    /// About one file.
    pub(super) fn file(path: &Path, text: impl fmt::Display) -> TlsError {
        TlsError::new(format!("{}: {text}", path.display()))
    }

    /// The same, of what made it so.
    pub(super) fn because(mut self, source: impl Error + Send + Sync + 'static) -> TlsError {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}
