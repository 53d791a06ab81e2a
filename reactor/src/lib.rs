//! A single-threaded, edge-triggered event loop over [mio]: epoll, kqueue, IOCP or poll(2), with
//! slots instead of shared ownership, timers, budgets, and a way back for threads.
//!
//! A [`Dispatcher`] is anything that lives on the loop and owns its sockets. The [`Reactor`] owns
//! the dispatchers, and calls them with a [`Context`], through which they do everything else.
//!
//! # The contract
//!
//! **One turn** is, in this order: waiting on the poller; its events; the channels that asked for
//! [`again`](Context::again) in the last turn; those of the queue of heavy work; the timers that are due; what was posted: messages,
//! closures, and channels that wake. Each phase does what was there when it began: a timer that a
//! timer sets waits for the next turn however short it is, and so does a message that a message's
//! receiver sends. The loop waits in the poller exactly until the next timer, and not at all while
//! there is something to do. A turn with nothing in it is possible, for instance when a timer was
//! moved to a later time.
//!
//! **Events are edges.** [`ready`](Dispatcher::ready) says that a channel *may* get on. Read or
//! write until `WouldBlock`: what is left after that announces itself. Or stop before that, when a
//! budget (say, 256 KiB or 16 calls) is spent, and say `again`: then everybody else has a turn
//! first. Stop without either, and nobody calls again. Calls in vain are possible and must do no
//! harm. A source that is registered for both directions may be called for one because the other
//! was used: look at [`Ready`] and leave the other direction alone.
//!
//! **Heavy work** asks [`must_queue`](Context::must_queue) before it begins. While nobody waits and the
//! turn is younger than 1 ms, it may go ahead. Else its channel goes behind all that wait, and each turn
//! calls those who have waited longest (one at least) until it is 1 ms old, or, where its events took longer,
//! for as long as those took; who has more to do then
//! says [`queue`](Context::queue). So a turn is short, and a budget may be
//! large: each gets as much as the others, and nobody is passed over.
//!
//! All I/O goes through the methods of mio's own types, or through their `try_io`; on a raw
//! descriptor the poll(2) and IOCP backends do not see the `WouldBlock`, and no event follows.
//!
//! **Callbacks** may call everything in [`Context`]. Nothing in it calls a dispatcher then and
//! there, so a callback is never re-entered, and needs no `RefCell`. What it may not do is block:
//! the loop has one thread.
//!
//! **Opening.** [`spawn`](Context::spawn) returns the [`Key`] at once; `start` is called when the
//! running callback has returned, before anything else.
//!
//! **Closing** happens at one place, when the callback that asked for it has returned:
//! [`closed`](Dispatcher::closed) is called, the dispatcher's timers die, its signals are let go,
//! its box is dropped, and with it its sockets. From then on its key, its timers, and events that
//! were already fetched for it are stale; they are dropped, and never reach the slot's next tenant.
//! Dropping the reactor closes everybody in this way.
//!
//! **Panics.** A callback that panics is logged and closes its own dispatcher, as above (`closed`
//! is still called, unless it was the one that panicked). So is a panic while a box or a message
//! is dropped, or in a posted closure. Nobody else is affected. This takes `panic = "unwind"`.
//!
//! **Sleeping.** [`del_channel`](Context::del_channel) takes one channel off the loop and gives a
//! [`Sleeping`] guard, for a thread to hold while it works. No `ready` comes for that channel;
//! messages, timers and the other channels go on. When the last guard goes, `ready` is called with
//! [`is_woken`](Ready::is_woken), readable and writable, whether or not there was an event, and
//! even if nothing is registered: bytes that had been read into a buffer before wait for nothing
//! else.
//!
//! **Timers** are named by [`TimerId`] and belong to the dispatcher that set them. They never fire
//! early. [`reset`](Context::reset) to a later time is cheap enough to be done at every byte.
//!
//! **Threads** reach the loop through a [`Handle`]. All other things stay on the thread that made
//! the reactor, sources included: a registered source must not be dropped on another thread.
//! Operations are done in the order they were posted.
//!
//! **Signals** are delivered as events, outside any signal handler, to each dispatcher that watches
//! them ([`Context::watch_signals`]).
//!
//! # Example
//!
//! A line is sent to each client, and the loop stops after the first one:
//!
//! ```
//! use ftpdlib_reactor::{Acceptor, ListenOptions, Listener, Reactor};
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let address = "127.0.0.1:0".parse().expect("an address");
//! let listener = Listener::bind(address, ListenOptions::default())?;
//! let address = listener.local_addr()?;
//!
//! let mut reactor = Reactor::new()?;
//! reactor.spawn(Box::new(Acceptor::new(listener, |cx, mut stream, peer| {
//!     // A new connection takes a few bytes at once.
//!     let _ = writeln!(stream, "hello {}", peer.ip());
//!     cx.stop();
//! })));
//!
//! let client = std::thread::spawn(move || {
//!     let mut text = String::new();
//!     std::net::TcpStream::connect(address)?.read_to_string(&mut text)?;
//!     std::io::Result::Ok(text)
//! });
//! reactor.run()?;
//! assert_eq!(client.join().expect("no panic")?, "hello 127.0.0.1\n");
//! # Ok(())
//! # }
//! ```
//!
//! `examples/echo.rs` shows a dispatcher with budgets and back-pressure.
#![deny(unsafe_code)]

mod acceptor;
mod commons;
mod connect;
mod context;
mod dispatcher;
mod engine;
mod guard;
mod listener;
mod post;
mod queue;
mod reactor;
mod ready;
mod signals;
mod slots;
mod sys;
mod timers;

pub use acceptor::{AcceptLoop, Acceptor};
pub use connect::{connect, finish_connect};
pub use context::Context;
pub use dispatcher::Dispatcher;
pub use listener::{Accepted, ListenOptions, Listener, StreamOptions};
pub use mio::Interest;
pub use mio::event::Source;
pub use mio::net::{TcpListener, TcpStream};
pub use post::{Handle, Sleeping};
pub use reactor::Reactor;
pub use ready::{Channel, Key, Ready};
pub use signals::ignore_signals;
pub use timers::TimerId;

/// What dispatchers and threads send each other; the receiver downcasts it.
pub type Message = Box<dyn std::any::Any + Send>;

/// The README's example compiles, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
