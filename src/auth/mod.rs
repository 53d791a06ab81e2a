//! Floor 1, plug-in: who may log in, and what he may do.
//!
//! An [`Authorizer`] turns [`Credentials`] into an [`Account`]; from then on the session asks the
//! account alone. [`DummyAuthorizer`] keeps virtual users in memory, [`FileAuthorizer`] in a file.

mod account;
mod certificate;
mod dummy;
mod error;
mod file;
mod hash;
#[cfg(any(unix, windows))]
mod identity;
mod limits;
#[cfg(any(unix, windows))]
mod system;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, TryLockError};

use zeroize::Zeroizing;

pub use account::{Account, Grant};
pub use certificate::ClientCertificate;
pub use dummy::{DummyAuthorizer, User};
pub use error::AuthorizerError;
pub use file::FileAuthorizer;
pub use hash::{PasswordHash, PasswordHashError};
#[cfg(any(unix, windows))]
pub use identity::Identity;
pub use limits::Limits;
#[cfg(unix)]
pub use unix::{UnixAuthorizer, UnixOverride, UnixSettings};
#[cfg(windows)]
pub use windows::{WindowsAuthorizer, WindowsOverride, WindowsSettings};

/// What a client presents with USER and PASS.
///
/// An authorizer of one's own may look at more than name and password:
///
/// ```
/// use ftpdlib::{Account, AuthFailed, Authorizer, Credentials, DummyAuthorizer};
///
/// /// Lets users in by their certificates, and with a password only on the port for the office.
/// struct Careful(DummyAuthorizer);
///
/// impl Authorizer for Careful {
///     fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
///         let name = &credentials.username;
///         let user = self.0.user(name).ok_or_else(AuthFailed::default)?;
///         match &credentials.certificate {
///             Some(shown) if shown.common_name() == Some(name) => user.account(),
///             _ if credentials.secured && credentials.local.port() == 2121 => {
///                 self.0.authenticate(credentials)
///             }
///             _ => Err(AuthFailed::default()),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The argument of USER; bytes that are no UTF-8 are replaced.
    pub username: String,
    /// The argument of PASS, as bytes; up to some 4 KiB, of any value but LF.
    pub password: Password,
    /// The client's address; an IPv4 address is one also on a socket for IPv6.
    pub peer: SocketAddr,
    /// The server's address on this connection: its port tells which of several listeners the
    /// client came to, its IP which of the machine's addresses.
    pub local: SocketAddr,
    /// Whether the password came over TLS.
    pub secured: bool,
    /// The client's TLS certificate, checked, if it has shown one.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Credentials {
    /// Credentials as a test or an authorizer around another one needs them: without TLS.
    pub fn new(username: &str, password: &[u8], peer: SocketAddr, local: SocketAddr) -> Self {
        Credentials {
            username: username.to_owned(),
            password: Password::new(password),
            peer,
            local,
            secured: false,
            certificate: None,
        }
    }

    /// The same, that came over TLS or did not.
    pub fn with_secured(mut self, secured: bool) -> Self {
        self.secured = secured;
        self
    }

    /// The same, of a client that has shown a certificate.
    pub fn with_certificate(mut self, certificate: Option<Arc<ClientCertificate>>) -> Self {
        self.certificate = certificate;
        self
    }
}

/// A password. It never shows in debug output, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    pub(crate) fn new(bytes: &[u8]) -> Password {
        Password(Zeroizing::new(bytes.to_vec()))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(******)")
    }
}

/// Decides who may log in.
pub trait Authorizer: Send + Sync + 'static {
    /// The account that the credentials open, or why they open none.
    ///
    /// The caller delays a refusal (`auth_failed_timeout`) and holds up nobody else meanwhile.
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed>;

    /// Whether [`authenticate`](Authorizer::authenticate) may take long (a password hash, a
    /// database). Then it runs on a worker thread while the client sleeps. Default: false.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether [`reload`](Authorizer::reload) does anything. Then a server that
    /// [handles signals](crate::Builder::handle_signals) calls that on SIGHUP. Default: false.
    fn is_reloadable(&self) -> bool {
        false
    }

    /// Reads the users again from where they are kept. Default: there is nothing to read.
    ///
    /// # Errors
    ///
    /// When that cannot be done, or only in part; then everything must stay as it was.
    fn reload(&self) -> Result<(), AuthorizerError> {
        Ok(())
    }
}

impl<A: Authorizer + ?Sized> Authorizer for Arc<A> {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        (**self).authenticate(credentials)
    }

    fn is_slow(&self) -> bool {
        (**self).is_slow()
    }

    fn is_reloadable(&self) -> bool {
        (**self).is_reloadable()
    }

    fn reload(&self) -> Result<(), AuthorizerError> {
        (**self).reload()
    }
}

/// For users that are added and removed while the server runs.
impl<A: Authorizer> Authorizer for RwLock<A> {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let inner = self.read().unwrap_or_else(PoisonError::into_inner);
        inner.authenticate(credentials)
    }

    /// Also while it is being changed: then it is the lock that may take long.
    fn is_slow(&self) -> bool {
        match self.try_read() {
            Ok(inner) => inner.is_slow(),
            Err(TryLockError::Poisoned(inner)) => inner.into_inner().is_slow(),
            Err(TryLockError::WouldBlock) => true,
        }
    }

    fn is_reloadable(&self) -> bool {
        let inner = self.read().unwrap_or_else(PoisonError::into_inner);
        inner.is_reloadable()
    }

    fn reload(&self) -> Result<(), AuthorizerError> {
        let inner = self.read().unwrap_or_else(PoisonError::into_inner);
        inner.reload()
    }
}

/// A refused login. The text goes to the client after `530`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthFailed {
    text: String,
    is_guess: bool,
}

impl AuthFailed {
    /// A refusal in the authorizer's own words; say nothing that tells whether the user exists.
    ///
    /// It counts as a wrong guess: too many of them get an address banned
    /// ([`Builder::ban_after`](crate::Builder::ban_after)).
    pub fn new(text: impl Into<String>) -> Self {
        AuthFailed {
            text: text.into(),
            is_guess: true,
        }
    }

    /// A refusal for which the client is not to blame, such as a database that does not answer or a
    /// home that is not there. It is not counted as a guess.
    pub fn unavailable(text: impl Into<String>) -> Self {
        AuthFailed {
            text: text.into(),
            is_guess: false,
        }
    }

    /// There is no `anonymous`. Many clients try that user unasked, so it is no guess: all that are behind
    /// one router would else be banned for it.
    pub(crate) fn no_anonymous() -> Self {
        AuthFailed::unavailable("Anonymous access not allowed.")
    }

    /// Whether the client may have guessed wrong.
    pub(crate) fn is_guess(&self) -> bool {
        self.is_guess
    }
}

/// `Authentication failed.`
impl Default for AuthFailed {
    fn default() -> Self {
        AuthFailed::new("Authentication failed.")
    }
}

impl fmt::Display for AuthFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for AuthFailed {}
