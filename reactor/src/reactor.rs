//! The loop itself: waits on the poller and runs the phases of a turn in their fixed order.

use crate::engine::Engine;
use crate::post::Shared;
use crate::ready::{ALARM, SIGNALS, WAKER};
use crate::sys::alarm::Alarm;
use crate::{Dispatcher, Handle, Key, Ready};
use mio::{Events, Poll, Waker};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How many events one turn takes from the poller; the rest comes in the next one.
const EVENTS: usize = 1024;
/// The same of a loop for a few sources.
const FEW_EVENTS: usize = 16;
/// Size of the buffer that all dispatchers of a loop share: 1 MiB, and some room for what frames or
/// precedes that. Memory that is never touched costs nothing.
const SCRATCH: usize = (1024 + 64) * 1024;
/// The same of a loop for a few sources, which may have it to itself, and gives it back often.
const SMALL_SCRATCH: usize = 256 * 1024;

/// A loop and the dispatchers that live on it. The crate's first page holds the contract.
///
/// It stays on the thread that made it. After a fork it must not be used in the child: make the
/// reactor inside its worker. Dropping it closes all its dispatchers.
pub struct Reactor {
    // Before the poller: dispatchers and their sources must go first.
    engine: Engine,
    poll: Poll,
    events: Events,
}

impl Reactor {
    /// A loop with nobody on it.
    ///
    /// # Errors
    ///
    /// When the system grants no poller, usually for want of file descriptors.
    pub fn new() -> io::Result<Reactor> {
        let mut reactor = Reactor::sized(EVENTS, SCRATCH)?;
        // Where it cannot be had, waits have timeouts.
        reactor.engine.alarm = Alarm::new(&reactor.engine.registry, ALARM).unwrap_or(None);
        Ok(reactor)
    }

    /// A loop for a few sources, such as one that serves one client on a thread of its own: it takes
    /// less memory.
    ///
    /// # Errors
    ///
    /// As [`new`](Reactor::new).
    pub fn small() -> io::Result<Reactor> {
        Reactor::sized(FEW_EVENTS, SMALL_SCRATCH)
    }

    fn sized(events: usize, scratch: usize) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Arc::new(Shared::new(waker));
        let engine = Engine::new(poll.registry().try_clone()?, shared, scratch);
        Ok(Reactor {
            engine,
            poll,
            events: Events::with_capacity(events),
        })
    }

    /// Mounts a dispatcher and calls its `start`. When that panics, or closes it, the key is stale
    /// already.
    pub fn spawn(&mut self, dispatcher: Box<dyn Dispatcher>) -> Key {
        self.engine.refresh();
        let key = self.engine.spawn(dispatcher);
        self.engine.settle();
        key
    }

    /// The way to this loop, for threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            shared: self.engine.shared.clone(),
        }
    }

    /// Turns until somebody says [`stop`](Handle::stop). Then it may be run again.
    ///
    /// # Errors
    ///
    /// When the poller fails, which it does for no reason that a dispatcher could give.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.engine.stopping {
            self.turn(None)?;
        }
        self.engine.stopping = false;
        Ok(())
    }

    /// One turn: waits for something to do, at most for `timeout` (`None`: as long as it takes),
    /// and does it. A signal handler that interrupts the wait ends it early.
    ///
    /// # Errors
    ///
    /// As [`run`](Reactor::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let wait = self.engine.wait(timeout);
        match self.poll.poll(&mut self.events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            Err(error) => return Err(error),
        }
        self.engine.begin_turn();
        for event in &self.events {
            match event.token() {
                WAKER => {}
                SIGNALS => self.engine.signal_event(),
                ALARM => self.engine.alarm_event(),
                token => self.engine.event(token, Ready::from_event(event)),
            }
        }
        self.engine.run_again();
        self.engine.run_queue();
        self.engine.run_timers();
        self.engine.run_posted();
        Ok(())
    }

    /// Whether somebody has said [`stop`](Handle::stop) since the loop last
    /// [ran](Reactor::run): for those who turn it themselves.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.engine.stopping
    }

    /// Whether this dispatcher is there still.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.engine.slots.get(key).is_some()
    }

    /// How many dispatchers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all dispatchers, and takes no more: for whoever has something to do between that and
    /// dropping the reactor, which does the same. What is posted later is dropped.
    pub fn close_down(&mut self) {
        self.engine.close_down();
    }

    /// Delivers these signals of the process to a dispatcher's
    /// [`signal`](crate::Dispatcher::signal), in addition to those it watches already.
    ///
    /// Several dispatchers may watch one signal, also on several reactors of the process (64 at
    /// most): **each of them gets it**. When the last watcher of a signal is closed, what the
    /// process did about that signal before is restored.
    ///
    /// In a forked child the watches of its parent are void: a signal that was watched does
    /// nothing there until a reactor of the child watches it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for numbers that are no signals and for those that cannot be watched
    /// (SIGKILL, SIGSTOP, and faults such as SIGSEGV); `NotFound` when there is no such dispatcher;
    /// `Unsupported` where there are no signals. Then none of `signals` was added.
    pub fn watch_signals(&mut self, key: Key, signals: &[i32]) -> io::Result<()> {
        self.engine.watch_signals(key, signals)
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.close_down();
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
