//! A thread and a loop for each client: whatever a callback does, it holds up nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ftpdlib_reactor::{Handle, Reactor};

use super::control::{Arrival, Order};
use super::heart::{Crew, tell_sessions};
use super::reception::{UNAVAILABLE, turn_away, welcome};
use crate::session::Service;
use crate::target::TARGET;

/// How long the end of a server waits for callbacks that block.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// All threads of a server's clients.
pub(super) struct Threads {
    state: Mutex<State>,
    /// One has ended.
    ended: Condvar,
    /// The loop of the server's heart, which counts on being told when the last client goes.
    heart: Handle,
}

#[derive(Default)]
struct State {
    /// Those that have a loop by now.
    loops: HashMap<u64, Handle>,
    /// All there are.
    threads: usize,
    last: u64,
    /// What everybody was told to do, and who comes later does too.
    standing: Option<Order>,
}

impl Threads {
    pub(super) fn new(heart: Handle) -> Arc<Threads> {
        Arc::new(Threads {
            state: Mutex::default(),
            ended: Condvar::new(),
            heart,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a client on a thread of his own.
    pub(super) fn start(self: &Arc<Self>, service: Arc<Service>, arrival: Arrival) {
        let peer = arrival.peer;
        let number = {
            let mut state = self.lock();
            state.threads += 1;
            state.last += 1;
            state.last
        };
        let member = Member {
            threads: Arc::clone(self),
            number,
        };
        // The client can be had back from here when there is no thread to take him.
        let arrival = Arc::new(Mutex::new(Some(arrival)));
        let his = Arc::clone(&arrival);
        let started = thread::Builder::new()
            .name("ftpdlib-client".to_owned())
            .spawn(move || {
                if let Some(arrival) = take(&his) {
                    member.serve(&service, arrival);
                }
            });
        if let Err(error) = started {
            log::error!(target: TARGET, "cannot start a thread for a client: {error}");
            if let Some(arrival) = take(&arrival) {
                turn_away(arrival.socket, peer, UNAVAILABLE);
            }
        }
    }

    /// Passes an order on to all; who begins later follows it too.
    fn tell(&self, order: Order) {
        let mut state = self.lock();
        if matches!(order, Order::Drain | Order::Stop) {
            state.standing = Some(order);
        }
        for handle in state.loops.values() {
            follow(handle, order);
        }
    }
}

fn take(arrival: &Mutex<Option<Arrival>>) -> Option<Arrival> {
    arrival
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

fn follow(handle: &Handle, order: Order) {
    match order {
        Order::Stop => drop(handle.stop()),
        order => tell_sessions(handle, order),
    }
}

/// One of them; dropping it signs off.
struct Member {
    threads: Arc<Threads>,
    number: u64,
}

impl Member {
    fn serve(self, service: &Arc<Service>, arrival: Arrival) {
        let peer = arrival.peer;
        let mut reactor = match Reactor::small() {
            Ok(reactor) => reactor,
            Err(error) => {
                log::error!(target: TARGET, "cannot start a client's event loop: {error}");
                return turn_away(arrival.socket, peer, UNAVAILABLE);
            }
        };
        let (handle, service) = (reactor.handle(), Arc::clone(service));
        {
            // The client is on his way before anybody can tell him anything.
            let mut state = self.threads.lock();
            handle.call(move |cx| welcome(&service, cx, arrival));
            if let Some(order) = state.standing {
                follow(&handle, order);
            }
            state.loops.insert(self.number, handle);
        }
        loop {
            if let Err(error) = reactor.turn(None) {
                log::error!(target: TARGET, "the event loop of {peer} failed: {error}");
                return;
            }
            if reactor.is_empty() || reactor.is_stopped() {
                // With the reactor everything of the client's goes, before this thread is counted out.
                return drop(reactor);
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.threads.lock();
        state.loops.remove(&self.number);
        state.threads -= 1;
        drop(state);
        self.threads.ended.notify_all();
        self.threads.heart.call(|_| {});
    }
}

/// The clients live on threads.
pub(super) struct OnThreads(pub(super) Arc<Threads>);

impl Crew for OnThreads {
    fn carry_out(&mut self, order: Order, _: &mut Reactor) {
        self.0.tell(order);
    }

    fn is_empty(&self) -> bool {
        self.0.lock().threads == 0
    }

    /// Waits for the threads, but not for ever: a callback may block as long as it likes.
    fn end(&mut self) {
        let (state, waited) = self
            .0
            .ended
            .wait_timeout_while(self.0.lock(), LAST_WAIT, |state| state.threads > 0)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            let left = state.threads;
            log::warn!(target: TARGET, "{left} client(s) left behind whose callbacks block");
        }
    }
}
