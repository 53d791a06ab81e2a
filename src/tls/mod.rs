//! FTP over TLS (RFC 4217): certificates, what is asked of clients, and the TLS side of a
//! connection. Only this module and the stream above it know rustls.
//!
//! TLS 1.2 and 1.3 (RFC 8996 bans what came before). Tickets are stateless and go out on control
//! connections. On a data connection none is sent before its client is known to read: one that
//! uploads a file and closes with our tickets unread would make its kernel reset the connection,
//! and the end of its file would be lost.

mod buffers;
mod error;
mod pem;
mod resumption;
mod tunnel;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

pub use self::error::TlsError;
use self::resumption::Resumption;
pub(crate) use self::tunnel::{MAX_WRITE, Tunnel, TunnelWants};

/// Tickets that a control connection gives a TLS 1.3 client, which may use each but once.
const TICKETS: usize = 4;

/// The settings of FTPS, for [`Builder::tls`](crate::Builder::tls).
///
/// Clones share the certificate, so that [`reload`](Tls::reload) on one holds for all.
///
/// ```no_run
/// use ftpdlib::{FtpServer, SessionReuse, Tls};
///
/// let tls = Tls::from_pem_files("chain.pem", Some("key.pem"))?
///     .control_required(true)
///     .session_reuse(SessionReuse::Require);
/// FtpServer::builder().tls(tls.clone()).bind("0.0.0.0:2121")?;
/// tls.reload()?;
/// # Ok::<(), ftpdlib::Error>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    source: Source,
    current: Arc<RwLock<Arc<Material>>>,
    reuse: SessionReuse,
    handshake_timeout: Duration,
    control_required: bool,
    data_required: bool,
    implicit: bool,
    allow_truncated_uploads: bool,
}

/// Whether a data connection must resume the TLS session of its control connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionReuse {
    /// It may, which saves time; nothing is asked.
    #[default]
    Off,
    /// It must, which proves that whoever has the data connection has the control connection too.
    /// Otherwise the transfer is refused with `522` and no file is touched.
    Require,
}

/// Where certificates come from.
#[derive(Clone)]
struct Source {
    certificate: Certificate,
    client_ca: Option<PathBuf>,
}

#[derive(Clone)]
enum Certificate {
    Files { certfile: PathBuf, keyfile: PathBuf },
    Resolver(Arc<dyn ResolvesServerCert>),
}

/// What the files held when they were read.
struct Material {
    control: Arc<ServerConfig>,
    data: Arc<ServerConfig>,
}

impl Tls {
    /// A certificate chain, the server's own certificate first, and its private key, both PEM. The
    /// key may stand in the same file. RSA, ECDSA (P-256, P-384, P-521) and Ed25519 keys are
    /// taken, in PKCS#8, PKCS#1 or SEC1, unencrypted.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used, or certificate and key do not belong together.
    pub fn from_pem_files<P: AsRef<Path>>(
        certfile: impl AsRef<Path>,
        keyfile: Option<P>,
    ) -> Result<Tls, TlsError> {
        let certfile = certfile.as_ref().to_owned();
        let keyfile = keyfile.map_or_else(|| certfile.clone(), |file| file.as_ref().to_owned());
        Tls::new(Certificate::Files { certfile, keyfile })
    }

    /// Certificates chosen for each connection, by the name that the client asks for (SNI).
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up at all.
    pub fn from_resolver(resolver: Arc<dyn ResolvesServerCert>) -> Result<Tls, TlsError> {
        Tls::new(Certificate::Resolver(resolver))
    }

    fn new(certificate: Certificate) -> Result<Tls, TlsError> {
        let source = Source {
            certificate,
            client_ca: None,
        };
        let material = Arc::new(source.load()?);
        Ok(Tls {
            source,
            current: Arc::new(RwLock::new(material)),
            reuse: SessionReuse::Off,
            handshake_timeout: Duration::from_secs(30),
            control_required: false,
            data_required: false,
            implicit: false,
            allow_truncated_uploads: false,
        })
    }

    /// Asks clients for a certificate, and checks it against the authorities of this PEM file. A
    /// client without one is welcome still; one with a wrong one is not. Authorizers and handlers
    /// are given the certificate.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or used.
    pub fn client_ca(mut self, file: impl AsRef<Path>) -> Result<Tls, TlsError> {
        self.source.client_ca = Some(file.as_ref().to_owned());
        self.current = Arc::new(RwLock::new(Arc::new(self.source.load()?)));
        Ok(self)
    }

    /// Whether data connections must resume the control connection's session. Default:
    /// [`SessionReuse::Off`].
    pub fn session_reuse(mut self, reuse: SessionReuse) -> Tls {
        self.reuse = reuse;
        self
    }

    /// Time for a TLS handshake; zero is no limit. Default: 30 seconds.
    pub fn handshake_timeout(mut self, time: Duration) -> Tls {
        self.handshake_timeout = time;
        self
    }

    /// Refuses USER and PASS before AUTH (`550`). Default: false.
    pub fn control_required(mut self, required: bool) -> Tls {
        self.control_required = required;
        self
    }

    /// Refuses PASV, EPSV, PORT and EPRT before PROT P (`550`). Default: false.
    pub fn data_required(mut self, required: bool) -> Tls {
        self.data_required = required;
        self
    }

    /// Begins with the TLS handshake, before the greeting (implicit FTPS, usually on port 990).
    /// Default: false.
    pub fn implicit(mut self, implicit: bool) -> Tls {
        self.implicit = implicit;
        self
    }

    /// Takes the bare end of a connection for the end of an upload too, for clients that do not
    /// close TLS as they should. Whoever can cut the connection can then cut a file unnoticed.
    /// Default: false.
    pub fn allow_truncated_uploads(mut self, allow: bool) -> Tls {
        self.allow_truncated_uploads = allow;
        self
    }

    /// Reads the files again, for handshakes to come; running sessions keep what they have.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used; then nothing changes.
    pub fn reload(&self) -> Result<(), TlsError> {
        let material = Arc::new(self.source.load()?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = material;
        Ok(())
    }

    /// What one client's connections use, from its AUTH on.
    pub(crate) fn session(&self) -> Result<TlsSession, TlsError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let own = match self.reuse {
            SessionReuse::Off => None,
            SessionReuse::Require => Some(Resumption::new()?),
        };
        Ok(TlsSession {
            material: Arc::clone(&current),
            own,
            allow_truncated_uploads: self.allow_truncated_uploads,
        })
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.handshake_timeout
    }

    pub(crate) fn needs_control(&self) -> bool {
        self.control_required
    }

    pub(crate) fn needs_data(&self) -> bool {
        self.data_required
    }

    pub(crate) fn is_implicit(&self) -> bool {
        self.implicit
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Tls");
        if let Certificate::Files { certfile, keyfile } = &self.source.certificate {
            shown.field("certfile", certfile).field("keyfile", keyfile);
        }
        shown
            .field("client_ca", &self.source.client_ca)
            .field("session_reuse", &self.reuse)
            .field("implicit", &self.implicit)
            .finish_non_exhaustive()
    }
}

impl Source {
    fn load(&self) -> Result<Material, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| {
                TlsError::new(format!("TLS cannot be set up: {error}")).because(error)
            })?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(pem::authorities(file)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| TlsError::file(file, &error).because(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let resolver = match &self.certificate {
            Certificate::Resolver(resolver) => Arc::clone(resolver),
            Certificate::Files { certfile, keyfile } => {
                let certified = pem::certified_key(&provider, certfile, keyfile)?;
                Arc::new(SingleCertAndKey::from(certified))
            }
        };
        let mut control = builder.with_cert_resolver(resolver);
        control.session_storage = Arc::new(NoServerSessionStorage {});
        control.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| {
            TlsError::new(format!("session tickets cannot be made: {error}")).because(error)
        })?;
        control.send_tls13_tickets = TICKETS;
        // A client may ask for another number (RFC 9149), within reason.
        control.max_tls13_tickets = 2 * TICKETS;
        let mut data = control.clone();
        data.send_tls13_tickets = 0;
        data.max_tls13_tickets = 0;
        Ok(Material {
            control: Arc::new(control),
            data: Arc::new(data),
        })
    }
}

/// What the connections of one client use.
pub(crate) struct TlsSession {
    material: Arc<Material>,
    /// Where a data connection must prove whose it is.
    own: Option<Resumption>,
    allow_truncated_uploads: bool,
}

impl TlsSession {
    /// # Errors
    ///
    /// rustls's, which has none for a configuration that it made itself.
    pub(crate) fn control(&self) -> Result<Tunnel, rustls::Error> {
        let config = match &self.own {
            None => Arc::clone(&self.material.control),
            Some(own) => Arc::new(own.give(&self.material.control)),
        };
        Tunnel::new(config)
    }

    /// # Errors
    ///
    /// As [`control`](TlsSession::control).
    pub(crate) fn data(&self) -> Result<Tunnel, rustls::Error> {
        let (config, renewal) = match &self.own {
            None => (Arc::clone(&self.material.data), None),
            Some(own) => {
                let (config, renewal) = own.take(&self.material.data);
                (Arc::new(config), Some(renewal))
            }
        };
        let tunnel = Tunnel::new(config)?;
        Ok(tunnel.for_data(self.allow_truncated_uploads, renewal))
    }

    /// Whether a data connection must have resumed the session of the control connection. By the
    /// tickets' key a resumed one has.
    pub(crate) fn requires_reuse(&self) -> bool {
        self.own.is_some()
    }
}
