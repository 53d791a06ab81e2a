//! The loop at the top of a server, or of one of its workers: turns the reactor, and between its
//! turns sees to orders, signals, and the life of it all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ftpdlib_reactor::{Channel, Context, Dispatcher, Key, Reactor, Ready};
use log::{info, warn};

use super::control::{Arrival, Event, Inbox, Order, StopAccepting};
use super::life::Life;
use super::notify::{Notifier, Reloading};
use crate::error::Error;
use crate::session::work::caught::caught;
use crate::session::{Client, Config, Note, Service};
use crate::target::TARGET;
use crate::tls::Tls;

/// How long the end of a server, or of a worker process, waits for work on worker threads.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked meanwhile whether a signal hurries the end.
const LOOK: Duration = Duration::from_millis(20);

/// Those who serve the clients, in one model or another.
pub(super) trait Crew {
    /// Carries an order out for the clients it has; that no more come is seen to.
    fn carry_out(&mut self, order: Order, reactor: &mut Reactor);

    /// Whether it has no clients, and will have none.
    fn is_empty(&self) -> bool;

    /// A client for a process of his own.
    fn arrival(&mut self, arrival: Arrival) {
        drop(arrival);
    }

    /// What a signal means to it, when that is not what it means to a server.
    fn signal(&mut self, signal: i32, life: &Life) -> Option<Order> {
        Some(meaning(signal, life.ending()))
    }

    /// Whether it forks, so that no threads may be about.
    fn forks(&self) -> bool {
        false
    }

    /// Sees to what is due by now, and says when it wants to be asked again.
    ///
    /// # Errors
    ///
    /// When the server cannot go on.
    fn chores(&mut self, life: &Life) -> Result<Option<Instant>, Error> {
        let _ = life;
        Ok(None)
    }

    /// Ends whatever is left, and waits for it.
    fn end(&mut self) {}
}

/// What a signal is for.
pub(super) fn meaning(signal: i32, ending: Order) -> Order {
    #[cfg(unix)]
    match signal {
        libc::SIGHUP => return Order::Reload,
        libc::SIGUSR1 => return Order::Status,
        _ => {}
    }
    let _ = signal;
    ending
}

/// A heart, until it stops.
pub(super) struct Heart {
    pub(super) life: Life,
    pub(super) inbox: Inbox,
    /// Where the front is, to be told when no more clients are wanted.
    pub(super) front: Option<Key>,
    pub(super) service: Arc<Service>,
    pub(super) notifier: Notifier,
    /// The one whose log lines tell of the server; its workers say nothing.
    pub(super) speaks: bool,
    /// The signals that it obeys, and must not die of before its end.
    pub(super) obeyed: Vec<i32>,
    /// How often users were to be read again since somebody began to.
    pub(super) reloads: Arc<AtomicUsize>,
}

impl Heart {
    /// Serves until it is over.
    ///
    /// # Errors
    ///
    /// When the event loop fails, or the crew.
    pub(super) fn beat(mut self, reactor: &mut Reactor, crew: &mut dyn Crew) -> Result<(), Error> {
        self.inbox.wakes(reactor.handle());
        self.notifier.ready();
        let result = self.turns(reactor, crew);
        if self.speaks {
            let (pid, open) = (std::process::id(), self.service.common.census.count());
            info!(target: TARGET, ">>> shutting down FTP server, pid={pid}, {open} open socket(s) <<<");
        }
        crew.carry_out(Order::Stop, reactor);
        crew.end();
        let signals = LastSignals::watch(&self.obeyed);
        // The last callbacks may have work done, too.
        reactor.close_down();
        let left = self.finish_work(signals);
        if left > 0 {
            let pid = std::process::id();
            warn!(target: TARGET, "{left} worker thread(s) of pid={pid} left behind with their work");
        }
        result
    }

    /// Waits for worker threads, unless another signal comes; gives the number of those left behind.
    fn finish_work(&self, mut signals: Option<LastSignals>) -> usize {
        let deadline = Instant::now() + LAST_WAIT;
        loop {
            let left = self.service.common.finish_work(LOOK);
            let hurried = signals.as_mut().is_some_and(LastSignals::have_come);
            // A worker process is hurried by its parent, which kills it.
            if left == 0 || hurried && self.speaks || Instant::now() >= deadline {
                return left;
            }
        }
    }

    fn turns(&mut self, reactor: &mut Reactor, crew: &mut dyn Crew) -> Result<(), Error> {
        loop {
            let events: Vec<Event> = self.inbox.events.try_iter().collect();
            let heard = !events.is_empty();
            let last_reload = events.iter().rposition(Event::is_reload);
            for (at, event) in events.into_iter().enumerate() {
                // Many of them are one.
                if !event.is_reload() || Some(at) == last_reload {
                    self.event(event, reactor, crew)?;
                }
            }
            let chores = crew.chores(&self.life)?;
            if reactor.is_stopped() || self.life.is_over(crew.is_empty(), Instant::now) {
                return Ok(());
            }
            let due = [chores, self.life.deadline()].into_iter().flatten().min();
            let wait = due.map(|due| at_least(due.saturating_duration_since(Instant::now())));
            // To carry an order out may take a turn, whose events have woken nobody.
            turn(reactor, if heard { Some(Duration::ZERO) } else { wait })?;
        }
    }

    fn event(
        &mut self,
        event: Event,
        reactor: &mut Reactor,
        crew: &mut dyn Crew,
    ) -> Result<(), Error> {
        let order = match event {
            Event::Order(order) => order,
            Event::Arrival(arrival) => {
                crew.arrival(arrival);
                return Ok(());
            }
            // Whoever could have said how long the clients may stay is gone.
            Event::Orphaned => Order::Drain,
            Event::Signal(signal) => match crew.signal(signal, &self.life) {
                Some(order) => {
                    self.tell(order);
                    order
                }
                None => return Ok(()),
            },
        };
        if !self.life.takes(order, Instant::now()) {
            return Ok(());
        }
        match order {
            Order::Close | Order::Drain | Order::Stop => {
                self.notifier.stopping();
                if let Some(front) = self.front.take() {
                    reactor.handle().send(front, Box::new(StopAccepting));
                    // So that whoever hears of the end finds the socket closed.
                    turn(reactor, Some(Duration::ZERO))?;
                }
            }
            Order::Reload => {
                let reloading = self.notifier.reloading();
                self.reload(reloading, crew.forks());
            }
            Order::Status => {}
        }
        crew.carry_out(order, reactor);
        Ok(())
    }

    /// Reads certificates and users again; sessions that run keep theirs. `reloading` goes when that
    /// is done.
    fn reload(&self, reloading: Reloading, forks: bool) {
        let config = Arc::clone(&self.service.common.config);
        match config.tls.as_ref().map(Tls::reload) {
            Some(Ok(())) => info!(target: TARGET, "TLS certificates reloaded"),
            Some(Err(error)) => {
                log::error!(target: TARGET, "TLS certificates kept as they were: {error}");
            }
            None => {}
        }
        if !config.authorizer.is_reloadable() {
            return;
        }
        if forks {
            // It has no clients of its own to wait.
            reload_users(&config, self.speaks);
        } else {
            // On a thread: it may look at homes on network shares.
            let (speaks, asked) = (self.speaks, Arc::clone(&self.reloads));
            if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                // Whoever reads them now reads them once more.
                return;
            }
            let started = self.service.common.pool.run(move || {
                loop {
                    let before = asked.load(Ordering::SeqCst);
                    reload_users(&config, speaks);
                    let done =
                        asked.compare_exchange(before, 0, Ordering::SeqCst, Ordering::SeqCst);
                    if done.is_ok() {
                        break;
                    }
                }
                drop(reloading);
            });
            if let Err(refused) = started {
                self.reloads.store(0, Ordering::SeqCst);
                let error = refused.error;
                log::error!(target: TARGET, "users kept as they were: no thread: {error}");
            }
        }
    }

    fn tell(&self, order: Order) {
        if self.speaks && order == Order::Drain {
            let grace = self.life.grace();
            info!(target: TARGET, "received interrupt signal");
            info!(
                target: TARGET,
                "transfers have {grace:?} to finish; another signal stops them at once"
            );
        }
    }
}

/// Every process has the users for itself. A panic of an authorizer of one's own costs this reload, and
/// neither the server nor the next one.
fn reload_users(config: &Config, speaks: bool) {
    match caught(|| config.authorizer.reload()) {
        Ok(Ok(())) if !speaks => {}
        Ok(Ok(())) => info!(target: TARGET, "users reloaded"),
        Ok(Err(error)) => log::error!(target: TARGET, "users kept as they were: {error}"),
        Err(panic) => log::error!(target: TARGET, "the authorizer panicked: {panic}"),
    }
}

fn turn(reactor: &mut Reactor, wait: Option<Duration>) -> Result<(), Error> {
    let turned = reactor.turn(wait);
    turned.map_err(Error::system("go on with the event loop"))
}

/// A wait of nothing would turn in vain where clocks have a coarse grain.
fn at_least(wait: Duration) -> Duration {
    wait.max(Duration::from_millis(1))
}

/// Watches signals while the loop that watched them is closed: one that comes then hurries the end,
/// and does not kill the process in its midst.
struct LastSignals(Reactor);

impl LastSignals {
    fn watch(signals: &[i32]) -> Option<LastSignals> {
        if signals.is_empty() {
            return None;
        }
        let mut reactor = Reactor::small().ok()?;
        let key = reactor.spawn(Box::new(Stopper));
        reactor.watch_signals(key, signals).ok()?;
        Some(LastSignals(reactor))
    }

    fn have_come(&mut self) -> bool {
        self.0.turn(Some(Duration::ZERO)).is_err() || self.0.is_stopped()
    }
}

/// Stops its loop at the first signal to end.
struct Stopper;

impl Dispatcher for Stopper {
    fn ready(&mut self, _: &mut Context<'_>, _: Channel, _: Ready) {}

    fn signal(&mut self, cx: &mut Context<'_>, signal: i32) {
        #[cfg(unix)]
        if matches!(signal, libc::SIGHUP | libc::SIGUSR1 | libc::SIGCHLD) {
            return;
        }
        let _ = signal;
        cx.stop();
    }
}

/// Tells every session on a loop, and nobody else: it may have dispatchers that are the program's own.
pub(super) fn tell_sessions(handle: &ftpdlib_reactor::Handle, order: Order) {
    let note = match order {
        Order::Drain => || Note::Drain,
        Order::Status => || Note::Status,
        Order::Close | Order::Stop | Order::Reload => return,
    };
    handle.call(move |cx| cx.broadcast_to::<Client>(|| Box::new(note())));
}

/// The clients live on the heart's own loop.
pub(super) struct OnLoop(pub(super) Arc<Service>);

impl Crew for OnLoop {
    fn carry_out(&mut self, order: Order, reactor: &mut Reactor) {
        tell_sessions(&reactor.handle(), order);
    }

    fn is_empty(&self) -> bool {
        self.0.common.census.here() == 0
    }
}
