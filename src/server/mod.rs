//! Floor 3: listening, limits, and the life of a server. It knows nothing of how a command works.

mod acceptor;
mod builder;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use ftpdlib_reactor::{Handle, Listener, Reactor, ignore_signals};
use log::{debug, info};

use self::acceptor::Acceptor;
pub use self::builder::Builder;
use self::builder::Settings;
use crate::error::Error;
use crate::session::logging::TARGET;

/// An FTP server that listens; it serves when told to.
///
/// The listening socket exists from [`Builder::bind`] on, so clients that connect earlier wait in
/// its queue.
///
/// ```no_run
/// use ftpdlib::{DummyAuthorizer, FtpServer, Perm};
///
/// let mut users = DummyAuthorizer::new();
/// users.add_user("user", "12345", ".", Perm::ALL)?;
/// users.add_anonymous(".")?;
///
/// FtpServer::builder().authorizer(users).bind("127.0.0.1:2121")?.serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FtpServer {
    listener: Listener,
    address: SocketAddr,
    settings: Settings,
}

impl FtpServer {
    /// A server with the defaults of pyftpdlib, to be told the rest.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address it listens on, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves on this thread until the process is told to stop.
    ///
    /// From here on the process ignores SIGPIPE and SIGXFSZ.
    ///
    /// On UNIX, SIGTERM and SIGINT end it ([`Builder::handle_signals`] turns that off): it stops
    /// accepting, lets transfers finish within the [grace](Builder::grace), and returns. A second
    /// signal ends it at once. With [TLS](Builder::tls), SIGHUP reads the certificates again.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the event loop cannot be had or fails.
    pub fn serve_forever(self) -> Result<(), Error> {
        let mut reactor = Reactor::new().map_err(Error::system("start the event loop"))?;
        self.settings.log_start(self.address);
        let signals = self.settings.handle_signals;
        self.mount(&mut reactor, signals)?;
        reactor
            .run()
            .map_err(Error::system("go on with the event loop"))
    }

    /// Serves on a thread of its own until the handle is dropped: for tests of FTP clients, and for
    /// several servers in one process. The process ignores SIGPIPE and SIGXFSZ from here on.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the thread or the event loop cannot be had.
    pub fn spawn(self) -> Result<ServerHandle, Error> {
        let (tell, told) = mpsc::channel();
        let address = self.address;
        let serve = move || {
            let mut reactor = match Reactor::new() {
                Ok(reactor) => reactor,
                Err(error) => {
                    let _ = tell.send(Err(Error::system("start the event loop")(error)));
                    return;
                }
            };
            self.settings.log_start(self.address);
            let mounted = self.mount(&mut reactor, false).map(|()| reactor.handle());
            let failed = mounted.is_err();
            if tell.send(mounted).is_err() || failed {
                return;
            }
            if let Err(error) = reactor.run() {
                log::error!(target: TARGET, "the event loop of {address} failed: {error}");
            }
        };
        let thread = thread::Builder::new()
            .name(format!("ftpdlib-{}", address.port()))
            .spawn(serve)
            .map_err(Error::system("start a thread"))?;
        let reactor = told.recv().map_err(|_| Error::System {
            doing: "start the event loop",
            source: io::Error::other("its thread ended"),
        })??;
        Ok(ServerHandle {
            address,
            reactor,
            thread: Some(thread),
        })
    }

    fn mount(self, reactor: &mut Reactor, signals: bool) -> Result<(), Error> {
        // Writing over a limit on file sizes is an error like another, not the end of the process.
        #[cfg(unix)]
        ignore_signals(&[libc::SIGPIPE, libc::SIGXFSZ]).map_err(Error::system("ignore signals"))?;
        let watched: &[i32] = match signals {
            // SIGHUP ends a process that has nothing to read again.
            #[cfg(unix)]
            true if self.settings.config.tls.is_some() => {
                &[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]
            }
            #[cfg(unix)]
            true => &[libc::SIGTERM, libc::SIGINT],
            _ => &[],
        };
        let acceptor = Acceptor::new(self.listener, self.settings.into_service());
        let key = reactor.spawn(Box::new(acceptor));
        if reactor.is_empty() {
            // Why is in the log.
            let source = io::Error::other("it cannot be watched");
            return Err(Error::system("use the listening socket")(source));
        }
        if !watched.is_empty() {
            reactor
                .watch_signals(key, watched)
                .map_err(Error::system("watch signals"))?;
        }
        Ok(())
    }
}

/// A server that runs on its own thread; dropping it stops the server and closes its clients.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct ServerHandle {
    address: SocketAddr,
    reactor: Handle,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and closes all its clients; returns when both are done.
    pub fn close_all(self) {}
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.reactor.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Settings {
    fn log_start(&self, address: SocketAddr) {
        let config = &self.config;
        let none_or = |text: Option<String>| text.unwrap_or_else(|| "None".to_owned());
        info!(target: TARGET, "concurrency model: async");
        let masquerade = none_or(config.masquerade_address.map(|ip| ip.to_string()));
        info!(target: TARGET, "masquerade (NAT) address: {masquerade}");
        let ports = config.passive_ports.as_ref();
        let ports = none_or(ports.map(|range| format!("{}->{}", range.start(), range.end())));
        info!(target: TARGET, "passive ports: {ports}");
        let unlimited = |limit: usize| match limit {
            0 => "unlimited".to_owned(),
            limit => limit.to_string(),
        };
        debug!(target: TARGET, "use sendfile(2): {}", config.use_sendfile);
        debug!(target: TARGET, "max connections: {}", unlimited(self.max_cons));
        debug!(target: TARGET, "max connections per ip: {}", unlimited(self.max_cons_per_ip));
        debug!(target: TARGET, "timeout: {:?}", config.timeout);
        debug!(target: TARGET, "banner: {:?}", config.banner);
        debug!(target: TARGET, "max login attempts: {}", config.max_login_attempts);
        let pid = std::process::id();
        let kind = match config.tls {
            Some(_) => "FTPS (FTP over SSL)",
            None => "FTP",
        };
        info!(target: TARGET, ">>> starting {kind} server on {address}, pid={pid} <<<");
    }
}
