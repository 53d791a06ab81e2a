//! Accepting connections in a loop that is fair to others and patient when file descriptors run
//! out. `AcceptLoop` is a part for a dispatcher of one's own, `Acceptor` a dispatcher around it.

use crate::guard::{LOG, guard};
use crate::{Accepted, Channel, Context, Dispatcher, Listener, Ready, TimerId};
use mio::Interest;
use mio::net::TcpStream;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Connections accepted in one turn, unless said otherwise.
const BUDGET: usize = 64;
/// The first pause when nothing can be accepted, and the longest it doubles to.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The accepting part of a dispatcher that listens.
///
/// Its owner forwards three callbacks: [`start`](AcceptLoop::start),
/// [`ready`](AcceptLoop::ready) and [`timeout`](AcceptLoop::timeout). When file descriptors run
/// out, or accepting fails for another reason, it pauses for 100 ms, then longer up to 1 s, until
/// it goes on; the log gets one warning each time this begins.
///
/// ```
/// use ftpdlib_reactor::{AcceptLoop, Channel, Context, Dispatcher, Ready, TimerId};
///
/// const LISTENER: Channel = Channel::new(0);
///
/// struct Server {
///     accept: AcceptLoop,
///     served: u64,
/// }
///
/// impl Dispatcher for Server {
///     fn start(&mut self, cx: &mut Context<'_>) {
///         if self.accept.start(cx, LISTENER).is_err() {
///             cx.close();
///         }
///     }
///
///     fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, _: Ready) {
///         let Server { accept, served } = self;
///         accept.ready(cx, channel, |_cx, _stream, _peer| *served += 1);
///     }
///
///     fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, _tag: usize) {
///         if self.accept.timeout(cx, timer) {
///             return;
///         }
///         // a timer of the server's own
///     }
/// }
/// ```
#[derive(Debug)]
pub struct AcceptLoop {
    listener: Listener,
    budget: usize,
    channel: Channel,
    pause: Option<TimerId>,
    next_pause: Duration,
    stopped: bool,
}

impl AcceptLoop {
    /// The tag of its timer, for owners that tell theirs apart by tags.
    pub const TAG: usize = usize::MAX;

    /// Accepts at most 64 connections per turn.
    #[must_use]
    pub fn new(listener: Listener) -> AcceptLoop {
        AcceptLoop {
            listener,
            budget: BUDGET,
            channel: Channel::new(0),
            pause: None,
            next_pause: FIRST_PAUSE,
            stopped: false,
        }
    }

    /// Accepts at most `budget` connections per turn (1 at least), then others have their turn.
    #[must_use]
    pub fn with_budget(mut self, budget: usize) -> AcceptLoop {
        self.budget = budget.max(1);
        self
    }

    /// Registers the listener; call it from the owner's `start`.
    ///
    /// # Errors
    ///
    /// As [`Context::register`].
    pub fn start(&mut self, cx: &mut Context<'_>, channel: Channel) -> io::Result<()> {
        self.channel = channel;
        cx.register(&mut self.listener, channel, Interest::READABLE)
    }

    /// Accepts what is waiting; call it from the owner's `ready` for the channel given to
    /// [`start`](AcceptLoop::start). Calls for other channels are ignored.
    ///
    /// When `on_accept` panics, that connection is lost and no other.
    pub fn ready(
        &mut self,
        cx: &mut Context<'_>,
        channel: Channel,
        mut on_accept: impl FnMut(&mut Context<'_>, TcpStream, SocketAddr),
    ) {
        if channel != self.channel || self.pause.is_some() || self.stopped {
            return;
        }
        for number in 0..self.budget {
            match self.listener.accept() {
                Ok(Accepted::Stream(stream, peer)) => {
                    self.works();
                    guard("serving a new connection", || on_accept(cx, stream, peer));
                    // A guard that was taken in there means: no more for now.
                    if cx.is_asleep(channel) {
                        return;
                    }
                    // Nearly always there was one. Where there were two there may well be more, and
                    // then the last `accept` finds out.
                    if number == 0 && !self.listener.may_have_more() {
                        return;
                    }
                }
                Ok(Accepted::WouldBlock) => {
                    self.works();
                    return;
                }
                Ok(Accepted::Exhausted) => {
                    return self.wait(cx, &"out of file descriptors or memory");
                }
                Err(error) => return self.wait(cx, &error),
            }
        }
        cx.again(channel);
    }

    /// Goes on after a pause; call it from the owner's `timeout`. True when the timer was this
    /// one's.
    pub fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId) -> bool {
        if self.pause != Some(timer) {
            return false;
        }
        self.pause = None;
        cx.again(self.channel);
        true
    }

    /// Stops accepting for good. The socket itself closes, and refuses connections, when this
    /// value is dropped; until then they queue up in it.
    pub fn stop(&mut self, cx: &mut Context<'_>) {
        if let Some(timer) = self.pause.take() {
            cx.cancel(timer);
        }
        self.stopped = true;
        cx.deregister(&mut self.listener, self.channel);
    }

    /// The listening socket.
    #[must_use]
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    fn works(&mut self) {
        if self.next_pause > FIRST_PAUSE {
            self.next_pause = FIRST_PAUSE;
            log::info!(target: LOG, "accepting connections again");
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>, why: &dyn fmt::Display) {
        if self.next_pause == FIRST_PAUSE {
            log::warn!(target: LOG, "accepting connections pauses: {why}");
        }
        self.pause = Some(cx.call_later(self.next_pause, AcceptLoop::TAG));
        self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
    }
}

/// A dispatcher that listens and calls a closure for each connection, which usually spawns a
/// dispatcher for it. It does nothing else; a server that needs to know more than its closure can
/// hold puts an [`AcceptLoop`] into a dispatcher of its own.
#[derive(Debug)]
pub struct Acceptor<F> {
    accept: AcceptLoop,
    on_accept: F,
}

impl<F> Acceptor<F>
where
    F: FnMut(&mut Context<'_>, TcpStream, SocketAddr) + 'static,
{
    /// Calls `on_accept` for each connection of `listener`, once it is spawned.
    pub fn new(listener: Listener, on_accept: F) -> Acceptor<F> {
        Acceptor {
            accept: AcceptLoop::new(listener),
            on_accept,
        }
    }
}

impl<F> Dispatcher for Acceptor<F>
where
    F: FnMut(&mut Context<'_>, TcpStream, SocketAddr) + 'static,
{
    fn start(&mut self, cx: &mut Context<'_>) {
        if let Err(error) = self.accept.start(cx, Channel::new(0)) {
            log::error!(target: LOG, "the listening socket cannot be polled: {error}");
            cx.close();
        }
    }

    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, _: Ready) {
        self.accept.ready(cx, channel, &mut self.on_accept);
    }

    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, _: usize) {
        self.accept.timeout(cx, timer);
    }
}
