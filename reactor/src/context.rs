//! What a callback holds in its hand: the loop, and who is being called.

use crate::engine::{After, Engine};
use crate::guard::LOG;
use crate::post::Op;
use crate::ready::token;
use crate::timers::after;
use crate::{Channel, Dispatcher, Handle, Key, Message, Sleeping, Source, TimerId};
use mio::Interest;
use std::any::Any;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// The loop, as seen from inside a callback.
///
/// Nothing here calls a dispatcher at once. Closing and starting happen when the running callback
/// has returned, messages are delivered in the last phase of the turn.
///
/// In a closure that was posted with [`Handle::call`] there is no current dispatcher:
/// [`key`](Context::key) then names nobody, registering a source is an error, and timers, `again`,
/// `close` and `del_channel` do nothing.
pub struct Context<'a> {
    engine: &'a mut Engine,
    key: Key,
}

impl Context<'_> {
    pub(crate) fn new(engine: &mut Engine, key: Key) -> Context<'_> {
        Context { engine, key }
    }

    /// The same context for a shorter time, so that a value of the caller's own can hold it.
    pub fn reborrow(&mut self) -> Context<'_> {
        Context {
            engine: self.engine,
            key: self.key,
        }
    }

    /// The current dispatcher.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The time, read once per phase of a turn (not anew while nobody was called), and whenever a timer
    /// is set. Cheap, and never later than the real time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.engine.now
    }

    /// Puts a source on the loop; its events come to `ready` with this channel.
    ///
    /// A source belongs to the thread of its loop while it is registered. Dropping it ends the
    /// registration; moving it to another dispatcher takes a `deregister` and a `register`.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when it is registered, `NotFound` when there is no current dispatcher, and
    /// whatever the poller says, for instance that the user has too many watches.
    pub fn register(
        &mut self,
        source: &mut (impl Source + ?Sized),
        channel: Channel,
        interest: Interest,
    ) -> io::Result<()> {
        if self.key == Key::NOBODY {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no current dispatcher to register a source for",
            ));
        }
        let token = token(self.key, channel);
        self.engine.registry.register(source, token, interest)
    }

    /// Changes interest or channel of a registered source. What is ready already is announced
    /// once more.
    ///
    /// # Errors
    ///
    /// Whatever the poller says.
    pub fn reregister(
        &mut self,
        source: &mut (impl Source + ?Sized),
        channel: Channel,
        interest: Interest,
    ) -> io::Result<()> {
        let token = token(self.key, channel);
        match self.engine.registry.reregister(source, token, interest) {
            // mio's poll(2) backend forgets a source after it announced a hang-up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.deregister(source, channel);
                self.register(source, channel, interest)
            }
            result => result,
        }
    }

    /// Takes a source off the loop. Only needed if it is to live on: dropping it does the same.
    /// A call of `ready` that was under way for it may still come.
    pub fn deregister(&mut self, source: &mut (impl Source + ?Sized), channel: Channel) {
        match self.engine.registry.deregister(source) {
            Ok(()) => {}
            // The poll(2) backend again, or it was never registered: either way it is off.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                log::debug!(target: LOG, "deregistering channel {}: {error}", channel.index());
            }
        }
    }

    /// Calls `ready` for this channel in the next turn: its budget is spent, others come first.
    pub fn again(&mut self, channel: Channel) {
        let key = self.key;
        let Some(slot) = self.engine.slots.get_mut(key) else {
            return;
        };
        if slot.again & channel.bit() == 0 {
            slot.again |= channel.bit();
            self.engine.again.push((key, channel));
        }
    }

    /// To be asked before heavy work (some 100 us or more: bytes of a transfer, a handshake): true if it
    /// has to wait. Then the channel is in the queue, and `ready` is called for it when those before it
    /// have had their turn; there is nothing else to do. See [heavy work](crate#the-contract).
    ///
    /// Always false in the callback of one that has waited. Where there is no
    /// [current dispatcher](Context::key) nothing queues, whatever the answer.
    pub fn must_queue(&mut self, channel: Channel) -> bool {
        let pressed = self.engine.queue.is_pressed();
        if pressed {
            self.queue(channel);
        }
        pressed
    }

    /// Whether a channel of the current dispatcher waits in the queue of heavy work. It is the loop that keeps
    /// it waiting, then, and no deadline should count that.
    #[must_use]
    pub fn is_queued(&self, channel: Channel) -> bool {
        let slot = self.engine.slots.get(self.key);
        slot.is_some_and(|slot| slot.queued & channel.bit() != 0)
    }

    /// Whether heavy work has had its time in this turn, or what threads have sent, where it is that. For work
    /// that is not heavy, but may come in numbers: it says [`queue`](Context::queue) then.
    #[must_use]
    pub fn is_over_time(&self) -> bool {
        self.engine.queue.is_over_time()
    }

    /// Calls `ready` for this channel when all that wait in the queue of heavy work have had their turn:
    /// its budget is spent, and there is more to do.
    pub fn queue(&mut self, channel: Channel) {
        let key = self.key;
        let Some(slot) = self.engine.slots.get_mut(key) else {
            return;
        };
        if slot.queued & channel.bit() == 0 {
            slot.queued |= channel.bit();
            self.engine.queue.push(key, channel);
        }
    }

    /// Closes the current dispatcher when this callback has returned.
    pub fn close(&mut self) {
        self.close_dispatcher(self.key);
    }

    /// Closes any dispatcher when this callback has returned.
    pub fn close_dispatcher(&mut self, key: Key) {
        if self.engine.slots.get(key).is_some() {
            self.engine.after.push_back(After::Close(key));
        }
    }

    /// Mounts another dispatcher. Its `start` is called when this callback has returned.
    pub fn spawn(&mut self, dispatcher: Box<dyn Dispatcher>) -> Key {
        self.engine.spawn(dispatcher)
    }

    /// Sends a message, to another dispatcher or to oneself.
    pub fn send(&mut self, key: Key, message: Message) {
        self.engine.shared.post_from_loop(Op::Message(key, message));
    }

    /// Sends a message to every dispatcher but the current one, whatever they are: those that know nothing of
    /// it get it, too.
    pub fn broadcast(&mut self, message: impl Fn() -> Message) {
        self.send_where(|_| true, message);
    }

    /// Sends a message to every dispatcher of type `D` but the current one.
    ///
    /// ```
    /// use ftpdlib_reactor::{Channel, Context, Dispatcher, Message, Ready};
    ///
    /// /// A client of a chat; others on the loop hear nothing of it.
    /// struct Guest;
    ///
    /// impl Dispatcher for Guest {
    ///     fn ready(&mut self, _: &mut Context<'_>, _: Channel, _: Ready) {}
    ///
    ///     fn message(&mut self, _: &mut Context<'_>, message: Message) {
    ///         if let Ok(said) = message.downcast::<String>() {
    ///             println!("{said}");
    ///         }
    ///     }
    /// }
    ///
    /// fn say(cx: &mut Context<'_>, what: &str) {
    ///     cx.broadcast_to::<Guest>(|| Box::new(what.to_owned()));
    /// }
    /// ```
    pub fn broadcast_to<D: Dispatcher>(&mut self, message: impl Fn() -> Message) {
        self.send_where(|dispatcher| (dispatcher as &dyn Any).is::<D>(), message);
    }

    fn send_where(
        &mut self,
        is_meant: impl Fn(&dyn Dispatcher) -> bool,
        message: impl Fn() -> Message,
    ) {
        for (key, dispatcher) in self.engine.slots.present() {
            if is_meant(&**dispatcher) {
                let op = Op::Message(key, message());
                self.engine.shared.post_from_loop(op);
            }
        }
    }

    /// Calls `timeout` of the current dispatcher once, after `delay`. A delay beyond the clock's
    /// range is taken for ten years.
    pub fn call_later(&mut self, delay: Duration, tag: usize) -> TimerId {
        self.set_timer(delay, None, tag)
    }

    /// Calls `timeout` of the current dispatcher every `period` (1 ms at least). After a stall it
    /// is called once, not once for each period that was missed.
    pub fn call_every(&mut self, period: Duration, tag: usize) -> TimerId {
        self.set_timer(period, Some(period), tag)
    }

    fn set_timer(&mut self, delay: Duration, period: Option<Duration>, tag: usize) -> TimerId {
        let deadline = after(self.engine.refresh(), delay);
        let Some(slot) = self.engine.slots.get_mut(self.key) else {
            return TimerId::NONE;
        };
        self.engine
            .timers
            .insert(self.key.slot, &mut slot.timers, deadline, period, tag)
    }

    /// Cancels a timer. One that has fired or was cancelled is no matter.
    pub fn cancel(&mut self, timer: TimerId) {
        let Some(owner) = self.engine.timers.owner(timer) else {
            return;
        };
        if let Some((_, slot)) = self.engine.slots.at(owner as usize) {
            self.engine.timers.remove(timer, &mut slot.timers);
        }
    }

    /// Lets a timer be due `delay` from now, whatever it was set to. Moving it later, as an idle
    /// timeout does at every sign of life, costs next to nothing. One that has fired or was
    /// cancelled stays so. A periodic timer goes on with its period from there.
    pub fn reset(&mut self, timer: TimerId, delay: Duration) {
        let deadline = after(self.engine.refresh(), delay);
        self.engine.timers.reset(timer, deadline);
    }

    /// Takes a channel of the current dispatcher off the loop, until the guard is dropped, which
    /// any thread may do. Its events are kept meanwhile; messages and timers go on. When it is
    /// back, `ready` is called with [`is_woken`](crate::Ready::is_woken).
    pub fn del_channel(&mut self, channel: Channel) -> Sleeping {
        if let Some(slot) = self.engine.slots.get_mut(self.key) {
            slot.fall_asleep(channel);
        }
        Sleeping::new(self.engine.shared.clone(), self.key, channel)
    }

    /// Whether a channel of the current dispatcher is off the loop.
    #[must_use]
    pub fn is_asleep(&self, channel: Channel) -> bool {
        let slot = self.engine.slots.get(self.key);
        slot.is_some_and(|slot| slot.is_asleep(channel))
    }

    /// The way back to this loop, for threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            shared: self.engine.shared.clone(),
        }
    }

    /// A buffer of 1,088 KiB (256 KiB on a [small](crate::Reactor::small) loop) that all dispatchers of
    /// this loop share, so that an idle one needs
    /// none. Its content is whatever the last user left. Allocated at its first use.
    pub fn scratch(&mut self) -> &mut [u8] {
        self.engine.scratch()
    }

    /// Lets go of the memory of [`scratch`](Context::scratch) until it is used again: for a loop with
    /// nobody else on it.
    pub fn release_scratch(&mut self) {
        self.engine.release_scratch();
    }

    /// What the dispatchers of this loop have in common besides [`scratch`](Context::scratch): one value
    /// of each type, made when it is first asked for. It goes with the reactor, and as that is no use on
    /// the other side of a fork, it is never in two processes.
    ///
    /// ```
    /// use ftpdlib_reactor::Context;
    ///
    /// /// Names that are looked up once for all clients.
    /// #[derive(Default)]
    /// struct Names(std::collections::HashMap<u32, String>);
    ///
    /// fn knows(cx: &mut Context<'_>, id: u32) -> bool {
    ///     cx.common::<Names>().0.contains_key(&id)
    /// }
    /// ```
    pub fn common<T: Default + 'static>(&mut self) -> &mut T {
        self.engine.commons.get()
    }

    /// Lets [`Reactor::run`](crate::Reactor::run) return at the end of this turn.
    pub fn stop(&mut self) {
        self.engine.stopping = true;
    }

    /// How many dispatchers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.slots.len()
    }

    /// Whether there is none (as in a posted closure on an empty loop).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Delivers these signals of the process to a dispatcher's
    /// [`signal`](crate::Dispatcher::signal), in addition to those it watches already.
    ///
    /// # Errors
    ///
    /// See [`Reactor::watch_signals`](crate::Reactor::watch_signals).
    pub fn watch_signals(&mut self, key: Key, signals: &[i32]) -> io::Result<()> {
        self.engine.watch_signals(key, signals)
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
