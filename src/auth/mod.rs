//! Floor 1, plug-in: who may log in, and what he may do.
//!
//! An [`Authorizer`] turns [`Credentials`] into an [`Account`]; from then on the session asks the
//! account alone. [`DummyAuthorizer`] keeps virtual users in memory.

mod account;
mod certificate;
mod dummy;
#[cfg(unix)]
mod identity;
mod limits;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

pub use account::{Account, Grant};
pub use certificate::ClientCertificate;
pub use dummy::{AuthorizerError, DummyAuthorizer, User};
#[cfg(unix)]
pub use identity::Identity;
pub use limits::Limits;
#[cfg(unix)]
pub use unix::{UnixAuthorizer, UnixOverride, UnixSettings};

/// What a client presents with USER and PASS.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The argument of USER; bytes that are no UTF-8 are replaced.
    pub username: String,
    /// The argument of PASS, as bytes.
    pub password: Password,
    /// The client's address.
    pub peer: SocketAddr,
    /// The server's address on this connection.
    pub local: SocketAddr,
    /// The client's TLS certificate, checked, if it has shown one.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Credentials {
    /// Credentials as a test or an authorizer around another one needs them.
    pub fn new(username: &str, password: &[u8], peer: SocketAddr, local: SocketAddr) -> Self {
        Credentials {
            username: username.to_owned(),
            password: Password(password.to_vec()),
            peer,
            local,
            certificate: None,
        }
    }

    /// The same, of a client that has shown a certificate.
    pub fn with_certificate(mut self, certificate: Option<Arc<ClientCertificate>>) -> Self {
        self.certificate = certificate;
        self
    }
}

/// A password; it never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
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
}

impl<A: Authorizer + ?Sized> Authorizer for Arc<A> {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        (**self).authenticate(credentials)
    }

    fn is_slow(&self) -> bool {
        (**self).is_slow()
    }
}

/// For users that are added and removed while the server runs.
impl<A: Authorizer> Authorizer for RwLock<A> {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        self.read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .authenticate(credentials)
    }

    fn is_slow(&self) -> bool {
        self.read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .is_slow()
    }
}

/// A refused login. The text goes to the client after `530`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthFailed(String);

impl AuthFailed {
    /// A refusal in the authorizer's own words; say nothing that tells whether the user exists.
    pub fn new(text: impl Into<String>) -> Self {
        AuthFailed(text.into())
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
        f.write_str(&self.0)
    }
}

impl std::error::Error for AuthFailed {}
