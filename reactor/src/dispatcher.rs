//! What the loop calls: the trait that everything mounted on it implements.

use std::any::Any;

use crate::{Channel, Context, Message, Ready, TimerId};

/// Something that lives on the loop: a client's session, a listening socket, a timer with a task.
///
/// It need not be `Send`. Only the loop calls it, one callback at a time, never re-entrantly. A
/// callback that panics costs this dispatcher its life (see [`closed`](Dispatcher::closed)) and
/// nobody else anything.
pub trait Dispatcher: Any {
    /// The first call, right after it was spawned: the place to register sources and set timers.
    /// When it was spawned by another dispatcher's callback, that callback has returned.
    fn start(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// A source of `channel` may get on, or the channel asked for
    /// [`again`](Context::again), or it was woken.
    ///
    /// Events are edges: read or write until `WouldBlock`, or until a budget is spent and then ask
    /// for `again`; otherwise nobody will call for what was left.
    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, ready: Ready);

    /// A timer is due. `tag` is what it was set with. Comes also to channels that sleep.
    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, tag: usize) {
        let _ = (cx, timer, tag);
    }

    /// A message, from another dispatcher or a thread. Comes also to channels that sleep.
    fn message(&mut self, cx: &mut Context<'_>, message: Message) {
        let _ = (cx, message);
    }

    /// A signal that [`watch_signals`](Context::watch_signals) asked for.
    fn signal(&mut self, cx: &mut Context<'_>, signal: i32) {
        let _ = (cx, signal);
    }

    /// The last call, whether it closed itself, was closed by another, panicked, or the reactor is
    /// being dropped. Then the box is dropped, and its sockets close.
    fn closed(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }
}
