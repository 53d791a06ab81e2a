//! The one door through which other threads reach the loop: a queue of operations and a waker.
//! `Handle` posts messages and closures; `Sleeping` is the guard whose drop wakes a channel.

use crate::guard::{LOG, guard};
use crate::{Channel, Context, Key, Message};
use mio::Waker;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An operation to be done by the loop, in the last phase of a turn.
pub(crate) enum Op {
    Message(Key, Message),
    Call(Box<dyn FnOnce(&mut Context<'_>) + Send>),
    Wake(Key, Channel),
    Stop,
}

struct Queue {
    ops: Vec<Op>,
    /// False when the reactor is gone.
    open: bool,
}

/// What a reactor shares with its handles and guards.
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Whether something is queued: for a loop that looks twice a turn, and nearly always in vain. Written
    /// under the lock. A loop that reads it a moment too early is woken by whoever wrote it.
    filled: AtomicBool,
    waker: Waker,
}

impl Shared {
    pub(crate) fn new(waker: Waker) -> Shared {
        let queue = Queue {
            ops: Vec::new(),
            open: true,
        };
        Shared {
            queue: Mutex::new(queue),
            filled: AtomicBool::new(false),
            waker,
        }
    }

    /// Nothing under this lock runs foreign code, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an operation; gives it back when the loop is gone. Otherwise tells whether it was
    /// the first, which is the one that has to wake the loop.
    fn push(&self, op: Op) -> Result<bool, Op> {
        let mut queue = self.lock();
        if !queue.open {
            return Err(op);
        }
        queue.ops.push(op);
        self.filled.store(true, Ordering::Release);
        Ok(queue.ops.len() == 1)
    }

    /// From a thread: queues it and sees to it that the loop turns. False when the loop is gone.
    pub(crate) fn post(&self, op: Op) -> bool {
        match self.push(op) {
            Ok(true) => {
                if let Err(error) = self.waker.wake() {
                    log::error!(target: LOG, "the loop could not be woken: {error}");
                }
                true
            }
            Ok(false) => true,
            Err(_op) => false,
        }
    }

    /// From the loop itself, which looks at the queue before it waits.
    pub(crate) fn post_from_loop(&self, op: Op) {
        if let Err(op) = self.push(op) {
            drop_op(op);
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Moves what is queued into `ops`, which must be empty and whose memory is the next queue.
    pub(crate) fn take(&self, ops: &mut Vec<Op>) {
        let mut queue = self.lock();
        std::mem::swap(&mut queue.ops, ops);
        self.filled.store(false, Ordering::Release);
    }

    /// No more operations. Those that were queued are dropped.
    pub(crate) fn shut(&self) {
        let left = {
            let mut queue = self.lock();
            queue.open = false;
            self.filled.store(false, Ordering::Release);
            std::mem::take(&mut queue.ops)
        };
        left.into_iter().for_each(drop_op);
    }
}

/// What a message or a closure holds may panic when it is dropped.
pub(crate) fn drop_op(op: Op) {
    guard("dropping a posted operation", || drop(op));
}

/// The way to a loop from any thread: it posts messages and closures and wakes the loop up.
///
/// All methods return at once, and tell `false` when the reactor has been dropped; what was to be
/// posted is dropped then. Operations are done in the order they were posted, in the last phase of
/// the next turn. Many of them posted together wake the loop once.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Sends a message to a dispatcher. It is dropped when that dispatcher is closed by then.
    pub fn send(&self, key: Key, message: Message) -> bool {
        self.shared.post(Op::Message(key, message))
    }

    /// Runs a closure on the loop.
    ///
    /// No dispatcher is current in it: it can spawn, send, broadcast, close others and stop the
    /// loop; what would be done for the current dispatcher itself (a timer, `again`, `close`) does
    /// nothing, and registering a source is an error.
    pub fn call(&self, f: impl FnOnce(&mut Context<'_>) + Send + 'static) -> bool {
        self.shared.post(Op::Call(Box::new(f)))
    }

    /// Lets [`Reactor::run`](crate::Reactor::run) return, when what was posted before is done.
    pub fn stop(&self) -> bool {
        self.shared.post(Op::Stop)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A channel that is off the loop, from [`Context::del_channel`]. When this guard goes, the
/// channel is back: by [`add_channel`](Sleeping::add_channel), by dropping it, or because the
/// thread that holds it panicked.
///
/// Guards of one channel nest: the last one to go wakes it. Leaking one
/// ([`std::mem::forget`]) leaves the channel asleep until its dispatcher is closed.
#[must_use = "dropping it wakes the channel at once"]
pub struct Sleeping {
    shared: Arc<Shared>,
    key: Key,
    channel: Channel,
}

impl Sleeping {
    pub(crate) fn new(shared: Arc<Shared>, key: Key, channel: Channel) -> Sleeping {
        Sleeping {
            shared,
            key,
            channel,
        }
    }

    /// Puts the channel back on the loop. The same as dropping the guard, said aloud.
    pub fn add_channel(self) {}
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.shared.post(Op::Wake(self.key, self.channel));
    }
}

impl fmt::Debug for Sleeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeping")
            .field("key", &self.key)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Poll, Token};

    fn shared() -> (Poll, Shared) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        (poll, Shared::new(waker))
    }

    #[test]
    fn only_the_first_of_many_wakes_the_loop() {
        let (_poll, shared) = shared();
        assert_eq!(shared.push(Op::Stop).ok(), Some(true));
        for _ in 0..100 {
            assert_eq!(shared.push(Op::Stop).ok(), Some(false));
        }
        let mut ops = Vec::new();
        shared.take(&mut ops);
        assert_eq!(ops.len(), 101);
        assert!(!shared.has_work());
        assert_eq!(shared.push(Op::Stop).ok(), Some(true));
    }

    #[test]
    fn a_shut_queue_takes_nothing_and_keeps_nothing() {
        let (_poll, shared) = shared();
        let kept = Arc::new(());
        assert!(shared.post(Op::Message(Key::NOBODY, Box::new(kept.clone()))));
        shared.shut();
        assert!(!shared.post(Op::Message(Key::NOBODY, Box::new(kept.clone()))));
        shared.post_from_loop(Op::Message(Key::NOBODY, Box::new(kept.clone())));
        assert_eq!(Arc::strong_count(&kept), 1);
        assert!(!shared.has_work());
    }

    #[test]
    fn the_threads_side_is_send_and_sync() {
        fn is<T: Send + Sync>() {}
        is::<Handle>();
        is::<Sleeping>();
        is::<Key>();
    }
}
