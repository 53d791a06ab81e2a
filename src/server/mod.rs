//! Floor 3: listening, limits, worker models, and the life of a server. It knows nothing of how a
//! command works.
//!
//! ```text
//!   control ─┐            ┌─ front ─ listening socket, signals
//!            ├─ heart ────┤                         ┌─ threads
//!   life ────┘            └─ crew: clients on loop ─┼─ processes ─┬─ children
//!                                                   └─ prefork ───┘
//! ```
//!
//! [`heart`] is the loop at the top of a server, and of each worker process; a [`Crew`] is one of the
//! worker models.

mod builder;
#[cfg(unix)]
mod children;
mod control;
#[cfg_attr(not(unix), allow(dead_code, reason = "what worker processes need"))]
mod front;
mod heart;
mod inherited;
#[cfg_attr(not(unix), allow(dead_code, reason = "what worker processes need"))]
mod life;
mod notify;
#[cfg(unix)]
mod prefork;
mod privileges;
#[cfg(unix)]
mod processes;
mod reception;
#[cfg(unix)]
mod restarts;
mod settings;
mod threads;
mod workers;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

#[cfg(unix)]
use ftpdlib_reactor::ignore_signals;
use ftpdlib_reactor::{Listener, Reactor};

pub use self::builder::Builder;
pub use self::control::Control;
use self::control::{Inbox, Outbox, channel};
use self::front::{Front, Home};
use self::heart::{Crew, Heart, OnLoop};
pub use self::inherited::{inherited_listener, raise_descriptor_limit};
use self::life::Life;
use self::notify::Notifier;
pub use self::privileges::{Capability, drop_privileges};
use self::settings::Settings;
use self::threads::{OnThreads, Threads};
pub use self::workers::Workers;
use crate::error::Error;
#[cfg(unix)]
use crate::sys::process::Private;
use crate::target::TARGET;

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
pub struct FtpServer {
    /// Of the listening socket; it goes before that is closed.
    #[cfg(unix)]
    _private: Private,
    listener: Listener,
    address: SocketAddr,
    /// Nobody but this program has had its hands on the socket.
    is_ours: bool,
    settings: Settings,
    outbox: Outbox,
    inbox: Inbox,
}

impl FtpServer {
    fn new(
        listener: Listener,
        address: SocketAddr,
        is_ours: bool,
        settings: Settings,
    ) -> FtpServer {
        let (outbox, inbox) = channel();
        FtpServer {
            #[cfg(unix)]
            _private: Private::new(&listener),
            listener,
            address,
            is_ours,
            settings,
            outbox,
            inbox,
        }
    }

    /// The address it listens on, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The way to tell it what to do while it serves, from any thread.
    pub fn control(&self) -> Control {
        Control(self.outbox.clone())
    }

    /// Serves on this thread until the process is told to stop.
    ///
    /// From here on the process ignores SIGPIPE and SIGXFSZ.
    ///
    /// On UNIX, SIGTERM and SIGINT end it ([`Builder::handle_signals`] turns that off): it stops
    /// accepting, lets transfers finish within the [grace](Builder::grace), and returns. A second
    /// signal ends it at once. Work on worker threads ([`Session::offload`](crate::Session::offload)) is
    /// waited for, but no longer than 5 seconds. SIGUSR1 logs a line on each session. SIGHUP reads again what can be: the
    /// certificates of [TLS](Builder::tls), and the users of an authorizer that
    /// [is reloadable](crate::Authorizer::is_reloadable). All of it holds in every
    /// [worker model](Workers), for all workers.
    ///
    /// On Windows, Ctrl-C and Ctrl-Break of the console end it so, and so do the end of its window, a
    /// logoff and a shutdown, as far as the few seconds go that the system leaves it.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the event loop cannot be had or fails, or when no worker process stays
    /// alive.
    pub fn serve_forever(self) -> Result<(), Error> {
        let reactor = Reactor::new().map_err(Error::system("start the event loop"))?;
        self.serve_on(reactor)
    }

    /// The same on a loop that has dispatchers of the program's own, such as a page for those who watch
    /// the server. They must not be in one another's way: who blocks holds up everybody on the loop. What the
    /// server tells its sessions comes to no other dispatcher.
    ///
    /// With another [model](Workers) than [`Workers::Async`] the loop is that of the process that
    /// begins it all, not those of the workers. With [`Workers::MultiProcess`] the process of a client
    /// keeps open what connections the loop had when it was forked. When the server ends, so does the
    /// loop.
    ///
    /// # Errors
    ///
    /// As [`serve_forever`](Self::serve_forever).
    pub fn serve_on(self, mut reactor: Reactor) -> Result<(), Error> {
        let signals = self.settings.handle_signals;
        let (heart, mut crew) = self.mount(&mut reactor, signals)?;
        heart.beat(&mut reactor, &mut *crew)
    }

    /// Serves on a thread of its own until the handle is dropped: for tests of FTP clients, and for
    /// several servers in one process. The process ignores SIGPIPE and SIGXFSZ from here on.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the thread or the event loop cannot be had.
    pub fn spawn(self) -> Result<ServerHandle, Error> {
        let (tell, told) = mpsc::channel();
        let (address, control) = (self.address, self.control());
        let serve = move || {
            let mounted = Reactor::new()
                .map_err(Error::system("start the event loop"))
                .and_then(|mut reactor| {
                    let mounted = self.mount(&mut reactor, false)?;
                    Ok((reactor, mounted))
                });
            let (mut reactor, (heart, mut crew)) = match mounted {
                Ok(mounted) => mounted,
                Err(error) => return drop(tell.send(Err(error))),
            };
            if tell.send(Ok(())).is_err() {
                return;
            }
            if let Err(error) = heart.beat(&mut reactor, &mut *crew) {
                log::error!(target: TARGET, "the server on {address} failed: {error}");
            }
        };
        let thread = thread::Builder::new()
            .name(format!("ftpdlib-{}", address.port()))
            .spawn(serve)
            .map_err(Error::system("start a thread"))?;
        told.recv().map_err(|_| Error::System {
            doing: "start the event loop",
            source: io::Error::other("its thread ended"),
        })??;
        Ok(ServerHandle {
            address,
            control,
            thread: Some(thread),
        })
    }

    /// Puts everything in its place on a loop: what is left is to let the heart beat.
    fn mount(self, reactor: &mut Reactor, signals: bool) -> Result<(Heart, Box<dyn Crew>), Error> {
        // Writing over a limit on file sizes is an error like another, not the end of the process.
        #[cfg(unix)]
        ignore_signals(&[libc::SIGPIPE, libc::SIGXFSZ]).map_err(Error::system("ignore signals"))?;
        self.settings.log();
        let (kind, address) = (self.settings.kind(), self.address);
        let workers = self.settings.workers;
        let life = Life::new(self.settings.grace);
        let watched = watched(&self.settings, signals);
        let notifier = match self.settings.notify_systemd {
            true => Notifier::from_env(),
            false => Notifier::default(),
        };
        // A socket for all addresses does not tell which one a client came to, nor need one that is
        // meant for connections to others (a transparent proxy's).
        let one = self.is_ours && !self.address.ip().is_unspecified();
        let service = self.settings.into_service(one.then_some(self.address))?;
        let front = |home| Front::new(service.clone(), home, self.outbox.clone());
        let (front, crew): (Front, Box<dyn Crew>) = match workers {
            Workers::Async => {
                let front = front(Home::Loop).listening(self.listener, ACCEPTS);
                (front, Box::new(OnLoop(service.clone())))
            }
            Workers::MultiThread => {
                let threads = Threads::new(reactor.handle());
                let home = Home::Threads(threads.clone());
                let front = front(home).listening(self.listener, ACCEPTS);
                (front, Box::new(OnThreads(threads)))
            }
            #[cfg(unix)]
            Workers::MultiProcess => {
                let crew = processes::OnProcesses::new(&service, life.grace())?;
                // One at a time, or a child would inherit the connections of those behind it.
                let front = front(Home::Processes).listening(self.listener, 1);
                (front, Box::new(crew))
            }
            #[cfg(unix)]
            Workers::PreFork(workers) => {
                let crew = prefork::Workforce::new(&service, life.grace(), self.listener, workers)?;
                (front(Home::Loop), Box::new(crew))
            }
            #[cfg(not(unix))]
            other => return Err(Error::Config(format!("this system cannot have {other}"))),
        };
        let key = reactor.spawn(Box::new(front));
        if !reactor.contains(key) {
            // Why is in the log.
            let source = io::Error::other("it cannot be watched");
            return Err(Error::system("use the listening socket")(source));
        }
        // Whoever watches none takes none of the process's few places for watchers.
        if !watched.is_empty() {
            reactor
                .watch_signals(key, &watched)
                .map_err(Error::system("watch signals"))?;
        }
        // Whoever reads this may send a signal at once, and must not kill it by that.
        let pid = std::process::id();
        log::info!(target: TARGET, ">>> starting {kind} server on {address}, pid={pid} <<<");
        let heart = Heart {
            life,
            inbox: self.inbox,
            front: Some(key),
            service,
            notifier,
            speaks: true,
            obeyed: watched,
            reloads: Default::default(),
        };
        Ok((heart, crew))
    }
}

/// The listening socket, to be handed to another process.
#[cfg(unix)]
impl std::os::fd::AsFd for FtpServer {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl fmt::Debug for FtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtpServer")
            .field("address", &self.address)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Connections that are accepted in a turn of the loop.
const ACCEPTS: usize = 64;

/// The signals that a server watches.
#[cfg(unix)]
fn watched(settings: &Settings, obeys: bool) -> Vec<i32> {
    let mut watched = Vec::new();
    if obeys {
        watched.extend([libc::SIGTERM, libc::SIGINT, libc::SIGUSR1]);
        // SIGHUP ends a process that has nothing to read again.
        if settings.config.is_reloadable() {
            watched.push(libc::SIGHUP);
        }
    }
    if matches!(
        settings.workers,
        Workers::MultiProcess | Workers::PreFork(_)
    ) {
        watched.push(libc::SIGCHLD);
    }
    watched
}

/// The signals that a console's events are told as.
#[cfg(windows)]
fn watched(_: &Settings, obeys: bool) -> Vec<i32> {
    match obeys {
        true => vec![libc::SIGTERM, libc::SIGINT],
        false => Vec::new(),
    }
}

#[cfg(not(any(unix, windows)))]
fn watched(_: &Settings, _: bool) -> Vec<i32> {
    Vec::new()
}

/// A server that runs on its own thread; dropping it stops the server and closes its clients.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct ServerHandle {
    address: SocketAddr,
    control: Control,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The way to tell the server what to do, from any thread.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops accepting; clients go on. See [`Control::close`].
    pub fn close(&self) {
        self.control.close();
    }

    /// Waits until the server has ended by itself, after [`close`](Self::close) or
    /// [`Control::drain`].
    pub fn join(mut self) {
        self.wait();
    }

    /// Stops it and closes all its clients; returns when both are done. A callback that blocks on a
    /// thread of its own is waited for, but no longer than 5 seconds; so is work on worker threads.
    pub fn close_all(self) {}

    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.control.close_all();
        self.wait();
    }
}
