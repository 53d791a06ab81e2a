//! What a running server can be told, and the way there from any thread.

use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use ftpdlib_reactor::{Handle, TcpStream};

use crate::session::limits::census::Seat;

/// What a server, or one of its workers, is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take no more clients; end when the last has gone.
    Close,
    /// The same, but clients without a transfer go now, and the others within the grace.
    Drain,
    /// End at once.
    Stop,
    /// Read the certificates and the users again.
    Reload,
    /// One line in the log for each session.
    Status,
}

/// What has come about, for the loop at the server's heart.
pub(super) enum Event {
    Order(Order),
    Signal(i32),
    /// The parent of this worker process has ended.
    Orphaned,
    /// A client for a process of his own.
    Arrival(Arrival),
}

impl Event {
    /// Whether it asks for certificates and users to be read again.
    pub(super) fn is_reload(&self) -> bool {
        match self {
            Event::Order(Order::Reload) => true,
            #[cfg(unix)]
            Event::Signal(signal) => *signal == libc::SIGHUP,
            _ => false,
        }
    }
}

/// A client who was counted in and has no session yet.
pub(super) struct Arrival {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) seat: Seat,
}

/// A message to the server's front: take no more clients.
pub(super) struct StopAccepting;

/// Where events go; any thread may have one.
#[derive(Clone)]
pub(super) struct Outbox {
    events: Sender<Event>,
    /// The loop, once there is one.
    waker: Arc<OnceLock<Handle>>,
}

/// Where they come out.
pub(super) struct Inbox {
    pub(super) events: Receiver<Event>,
    waker: Arc<OnceLock<Handle>>,
}

pub(super) fn channel() -> (Outbox, Inbox) {
    let (sender, events) = mpsc::channel();
    let waker = Arc::new(OnceLock::new());
    let outbox = Outbox {
        events: sender,
        waker: Arc::clone(&waker),
    };
    (outbox, Inbox { events, waker })
}

impl Outbox {
    /// Posts an event. Nobody is there to care once the server has ended.
    pub(super) fn post(&self, event: Event) {
        if self.events.send(event).is_ok()
            && let Some(waker) = self.waker.get()
        {
            waker.call(|_| {});
        }
    }
}

impl Inbox {
    /// From here on this loop is woken when something comes.
    pub(super) fn wakes(&self, handle: Handle) {
        // A server runs once.
        let _ = self.waker.set(handle);
    }
}

/// Tells a server from any thread what to do. All of it returns at once; what it asks of a server
/// that has ended is no matter.
///
/// ```no_run
/// use ftpdlib::{DummyAuthorizer, FtpServer};
///
/// let mut users = DummyAuthorizer::new();
/// users.add_anonymous(".")?;
/// let server = FtpServer::builder().authorizer(users).bind("127.0.0.1:2121")?;
///
/// let control = server.control();
/// std::thread::spawn(move || {
///     std::thread::sleep(std::time::Duration::from_secs(3600));
///     control.close(); // whoever is here may stay
/// });
/// server.serve_forever()?; // returns when the last client has gone
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Control(pub(super) Outbox);

impl Control {
    /// Stops accepting: the listening socket closes, clients go on as long as they like, and the
    /// server ends with the last of them.
    pub fn close(&self) {
        self.order(Order::Close);
    }

    /// Stops accepting, and ends as SIGTERM ends the program: clients without a transfer get `421`,
    /// transfers may finish within the [grace](crate::Builder::grace).
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// Closes everything at once.
    pub fn close_all(&self) {
        self.order(Order::Stop);
    }

    /// Reads the TLS certificates and the users again, as SIGHUP does. A file that is wrong is
    /// logged and changes nothing; sessions that run keep what they have.
    pub fn reload(&self) {
        self.order(Order::Reload);
    }

    /// Writes a line on each session to the log, as SIGUSR1 does.
    pub fn log_status(&self) {
        self.order(Order::Status);
    }

    fn order(&self, order: Order) {
        self.0.post(Event::Order(order));
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control")
    }
}
