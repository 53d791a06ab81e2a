//! The server's front on an event loop: takes clients in and sends away those over a limit, catches
//! signals, and notices when the process that a worker belongs to is gone.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{
    AcceptLoop, Channel, Context, Dispatcher, Interest, Listener, Message, Ready, TcpStream,
    TimerId,
};
use log::error;

use super::control::{Arrival, Event, Outbox, StopAccepting};
use super::reception::{turn_away, welcome};
use super::threads::Threads;
use crate::proto::addr::canonical_addr;
use crate::session::Service;
use crate::session::limits::census::Full;
use crate::session::limits::guard::BANNED;
#[cfg(unix)]
use crate::sys::process::Private;
use crate::target::TARGET;

const LISTEN: Channel = Channel::new(0);
const LIFELINE: Channel = Channel::new(1);
const TAG_YIELD: usize = 0;
/// How long a worker with more than its share of clients leaves a connection to the others, who have
/// been told of it, too.
const YIELD: Duration = Duration::from_millis(1);

/// Where the clients live that come to a front.
pub(super) enum Home {
    /// On its own loop.
    Loop,
    /// Each on a thread of his own.
    Threads(Arc<Threads>),
    /// Each in a process of his own, which only the top of the program can make.
    Processes,
}

/// One end of a socket pair; its event says that the process at the other end is gone.
#[cfg(unix)]
pub(super) type Lifeline = mio::net::UnixStream;
#[cfg(not(unix))]
pub(super) type Lifeline = TcpStream;

pub(super) struct Front {
    /// Of the listening socket; it goes before that is closed.
    #[cfg(unix)]
    private: Option<Private>,
    /// None when nobody is to wait in its queue.
    accept: Option<AcceptLoop>,
    lifeline: Option<Lifeline>,
    /// Workers that accept from the same socket.
    workers: usize,
    /// It leaves connections to workers with fewer clients until this is due.
    yields: Option<TimerId>,
    home: Home,
    service: Arc<Service>,
    outbox: Outbox,
}

impl Front {
    pub(super) fn new(service: Arc<Service>, home: Home, outbox: Outbox) -> Front {
        Front {
            #[cfg(unix)]
            private: None,
            accept: None,
            lifeline: None,
            workers: 1,
            yields: None,
            home,
            service,
            outbox,
        }
    }

    /// Takes clients in from `listener`, `budget` at a time.
    pub(super) fn listening(mut self, listener: Listener, budget: usize) -> Front {
        #[cfg(unix)]
        {
            self.private = Some(Private::new(&listener));
        }
        self.accept = Some(AcceptLoop::new(listener).with_budget(budget));
        self
    }

    /// Shares the socket with so many workers, this one among them.
    pub(super) fn sharing(mut self, workers: usize) -> Front {
        self.workers = workers;
        self
    }

    /// Tells when the other end is gone.
    pub(super) fn hanging_on(mut self, lifeline: Lifeline) -> Front {
        self.lifeline = Some(lifeline);
        self
    }
}

/// A client has connected: a session of its own, or a refusal.
fn take_in(
    (service, home, outbox): (&Arc<Service>, &Home, &Outbox),
    cx: &mut Context<'_>,
    socket: TcpStream,
    peer: SocketAddr,
) {
    let peer = canonical_addr(peer);
    if service.common.config.guard.is_banned(peer.ip()) {
        return turn_away(socket, peer, BANNED);
    }
    let seat = match service.common.census.admit(peer.ip()) {
        Ok(seat) => seat,
        Err(full) => return refuse(socket, peer, full),
    };
    let arrival = Arrival { socket, peer, seat };
    match home {
        Home::Loop => welcome(service, cx, arrival),
        Home::Threads(threads) => threads.start(Arc::clone(service), arrival),
        Home::Processes => outbox.post(Event::Arrival(arrival)),
    }
}

fn refuse(socket: TcpStream, peer: SocketAddr, full: Full) {
    let text = match full {
        Full::Server => "Too many connections. Service temporarily unavailable.",
        Full::Address => "Too many connections from the same IP address.",
    };
    turn_away(socket, peer, text);
}

impl Front {
    /// Whether this worker has more than its share of the clients, by more than one.
    fn is_ahead(&self) -> bool {
        let census = &self.service.common.census;
        let total = usize::try_from(census.count()).unwrap_or(usize::MAX);
        self.workers > 1 && census.here().saturating_mul(self.workers) > total + self.workers
    }

    /// Takes in who waits; from the workers' common socket only when others have had their chance.
    fn accept(&mut self, cx: &mut Context<'_>) {
        if self.yields.is_some() {
            return;
        }
        if self.accept.is_some() && self.is_ahead() {
            self.yields = Some(cx.call_later(YIELD, TAG_YIELD));
            return;
        }
        self.take_waiting(cx);
    }

    fn take_waiting(&mut self, cx: &mut Context<'_>) {
        let place = (&self.service, &self.home, &self.outbox);
        if let Some(accept) = &mut self.accept {
            accept.ready(cx, LISTEN, |cx, socket, peer| {
                take_in(place, cx, socket, peer);
            });
        }
    }

    /// Nothing is ever sent on it: what can be read is its end.
    fn feel_lifeline(&mut self, cx: &mut Context<'_>) {
        let Some(lifeline) = &mut self.lifeline else {
            return;
        };
        match lifeline.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => {
                cx.deregister(lifeline, LIFELINE);
                self.lifeline = None;
                self.outbox.post(Event::Orphaned);
            }
        }
    }
}

impl Dispatcher for Front {
    fn start(&mut self, cx: &mut Context<'_>) {
        let mut watched = Ok(());
        if let Some(accept) = &mut self.accept {
            watched = accept.start(cx, LISTEN);
        }
        if let Some(lifeline) = &mut self.lifeline {
            watched = watched.and_then(|()| cx.register(lifeline, LIFELINE, Interest::READABLE));
        }
        if let Err(error) = watched {
            error!(target: TARGET, "cannot watch the listening socket: {error}");
            cx.close();
        }
    }

    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, _: Ready) {
        if channel == LIFELINE {
            self.feel_lifeline(cx);
        }
        if channel == LISTEN {
            self.accept(cx);
        }
    }

    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, _: usize) {
        if self.yields == Some(timer) {
            self.yields = None;
            self.take_waiting(cx);
        } else if let Some(accept) = &mut self.accept {
            accept.timeout(cx, timer);
        }
    }

    fn signal(&mut self, _: &mut Context<'_>, signal: i32) {
        self.outbox.post(Event::Signal(signal));
    }

    fn message(&mut self, cx: &mut Context<'_>, message: Message) {
        if message.is::<StopAccepting>()
            && let Some(mut accept) = self.accept.take()
        {
            accept.stop(cx);
            #[cfg(unix)]
            {
                self.private = None;
            }
        }
    }
}
