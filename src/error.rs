//! Why a server could not be set up or go on, and whose fault it is.

use std::fmt;
use std::io;

use crate::auth::AuthorizerError;
use crate::tls::TlsError;

/// An error of [`FtpServer`](crate::FtpServer) and its builder. Its text is one line that says what
/// to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The program asked for something that cannot be: mend the configuration.
    Config(String),
    /// Users cannot be set up: who is at fault is in the error, such as [`AuthorizerError::NotADirectory`] for a
    /// home that the system does not give, or [`AuthorizerError::UserExists`] for a mistake of the program's.
    Authorizer(AuthorizerError),
    /// Certificates and keys cannot be used: a file is missing, may not be read, or is not what it should be.
    Tls(TlsError),
    /// The address cannot be listened on: it is in use, not of this machine, or needs privileges.
    Bind {
        /// The address as it was asked for.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something the server cannot do without.
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::System { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(text) => f.write_str(text),
            Error::Authorizer(error) => write!(f, "cannot set up the users: {error}"),
            Error::Tls(error) => write!(f, "cannot set up TLS: {error}"),
            Error::Bind { address, source } => {
                let advice = match source.kind() {
                    io::ErrorKind::AddrInUse => {
                        "another program listens there; stop it or choose another port"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need privileges; choose another port or run as root"
                    }
                    io::ErrorKind::AddrNotAvailable => "this machine has no such address",
                    _ => "choose another address",
                };
                write!(f, "cannot listen on {address}: {source}; {advice}")
            }
            Error::System { doing, source } => write!(f, "cannot {doing}: {source}"),
        }
    }
}

impl From<AuthorizerError> for Error {
    fn from(error: AuthorizerError) -> Self {
        Error::Authorizer(error)
    }
}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Error::Tls(error)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Config(_) => None,
            Error::Authorizer(error) => Some(error),
            Error::Tls(error) => Some(error),
            Error::Bind { source, .. } | Error::System { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_to_do() {
        let bind = |kind: io::ErrorKind| Error::Bind {
            address: "127.0.0.1:21".to_owned(),
            source: kind.into(),
        };
        assert!(
            bind(io::ErrorKind::AddrInUse)
                .to_string()
                .contains("another port")
        );
        assert!(
            bind(io::ErrorKind::PermissionDenied)
                .to_string()
                .contains("root")
        );
        assert!(std::error::Error::source(&bind(io::ErrorKind::AddrInUse)).is_some());
    }

    /// What the system said, however deep below.
    fn system_error(error: &Error) -> Option<io::ErrorKind> {
        let first = std::error::Error::source(error);
        let mut all = std::iter::successors(first, |error| error.source());
        all.find_map(|error| error.downcast_ref::<io::Error>().map(io::Error::kind))
    }

    #[test]
    fn what_is_wrong_with_users_and_certificates_keeps_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let mut users = crate::auth::DummyAuthorizer::new();
        let home = users.add_anonymous(&missing).map(drop);
        let key = crate::tls::Tls::from_pem_files(&missing, None::<&str>).map(drop);
        for (error, beginning) in [
            (Error::from(home.unwrap_err()), "cannot set up the users: "),
            (Error::from(key.unwrap_err()), "cannot set up TLS: "),
        ] {
            let text = error.to_string();
            assert!(
                text.starts_with(beginning) && !text.contains('\n'),
                "{text}"
            );
            assert!(text.contains("missing"), "{text}");
            assert!(!matches!(error, Error::Config(_)), "{error:?}");
            assert_eq!(system_error(&error), Some(io::ErrorKind::NotFound));
        }
        let twice = Error::from(AuthorizerError::UserExists("ann".to_owned()));
        assert!(twice.to_string().contains("user \"ann\" already exists"));
        assert_eq!(system_error(&twice), None);
    }
}
