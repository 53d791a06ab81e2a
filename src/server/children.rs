//! What the two models with worker processes have in common: how a child is born, what it does, how
//! it is told what to do, and how it is buried.
//!
//! A child is told by a word in shared memory, the phase of its server, and a signal that makes it
//! look. So it makes no difference whether a signal came from its parent, or went to the whole group
//! of processes, as Ctrl-C does. When its parent is gone, its end of the lifeline says so.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ftpdlib_reactor::{Context, Listener, Reactor, TcpStream};
use log::error;

use super::control::{Arrival, Event, Order, channel};
use super::front::{Front, Home, Lifeline};
use super::heart::{Crew, Heart, OnLoop, meaning};
use super::life::Life;
use super::notify::Notifier;
use super::reception::{UNAVAILABLE, turn_away, welcome};
use crate::error::Error;
use crate::session::Service;
use crate::sys::process::{Child, Ending, Private, any_ended, exit_of, fork, unblock_signals};
use crate::sys::shared::Shared;
use crate::target::TARGET;

/// How long children have to end once they are told to end at once.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(5);
/// Connections a worker accepts before it looks at its clients, so that the others get some too.
const ACCEPTS: usize = 1;

/// The signals that a worker process watches.
const WATCHED: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1];

/// What the server's processes are told, in shared memory.
struct Board(Shared);

/// What is written on it.
const SERVING: u64 = 0;
const CLOSING: u64 = 1;
const DRAINING: u64 = 2;
const OVER: u64 = 3;

impl Board {
    fn write(&self, order: Order) {
        let phase = match order {
            Order::Close => CLOSING,
            Order::Drain => DRAINING,
            Order::Stop => OVER,
            Order::Reload | Order::Status => return,
        };
        self.0.words()[0].store(phase, Ordering::SeqCst);
    }

    /// What the server is to do, unless it serves.
    fn read(&self) -> Option<Order> {
        match self.0.words()[0].load(Ordering::SeqCst) {
            SERVING => None,
            CLOSING => Some(Order::Close),
            DRAINING => Some(Order::Drain),
            _ => Some(Order::Stop),
        }
    }
}

/// The children of a server.
pub(super) struct Children {
    service: Arc<Service>,
    board: Arc<Board>,
    grace: Duration,
    alive: HashMap<u32, Child>,
    /// Of the lifeline's ends; they go before those are closed.
    _private: [Private; 2],
    /// Ours and theirs: a child closes ours, so that when this process is gone, nobody has it.
    lifeline: Option<(UnixStream, UnixStream)>,
}

impl Children {
    /// # Errors
    ///
    /// When the system lacks memory or descriptors.
    pub(super) fn new(service: &Arc<Service>, grace: Duration) -> Result<Children, Error> {
        let board = Shared::new(1).map_err(Error::system("share memory among workers"))?;
        let lifeline = UnixStream::pair().map_err(Error::system("tie workers to this process"))?;
        let _private = [Private::new(&lifeline.0), Private::new(&lifeline.1)];
        Ok(Children {
            _private,
            service: Arc::clone(service),
            board: Arc::new(Board(board)),
            grace,
            alive: HashMap::new(),
            lifeline: Some(lifeline),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.alive.is_empty()
    }

    /// Gives birth to a child, which serves the part that `begin` tells it when it is run there, and
    /// has the descriptor `listener`. Gives its number.
    ///
    /// # Errors
    ///
    /// When the system has no room for another process.
    pub(super) fn bear(
        &mut self,
        listener: Option<RawFd>,
        begin: impl FnOnce() -> Option<Part>,
    ) -> io::Result<u32> {
        let lifeline = self.lifeline.iter().map(|(_, theirs)| theirs.as_raw_fd());
        let keep: Vec<RawFd> = lifeline.chain(listener).collect();
        let child = fork(&keep, || self.serve(begin()))?;
        let number = child.id();
        self.alive.insert(number, child);
        Ok(number)
    }

    /// Those that have ended, and how. They are counted out with all that was theirs.
    pub(super) fn bury(&mut self) -> Vec<(u32, Ending)> {
        let (mut ended, mut hidden) = (Vec::new(), false);
        while let Some(number) = any_ended().filter(|_| !hidden) {
            match self.alive.get(&number).and_then(exit_of) {
                Some(ending) => self.forget(number, ending, &mut ended),
                // A child of somebody else's in this process hides ours behind it.
                None => hidden = true,
            }
        }
        // Somebody else may have waited for ours, too.
        if hidden || ended.is_empty() {
            self.ask_all(&mut ended);
        }
        ended
    }

    fn ask_all(&mut self, ended: &mut Vec<(u32, Ending)>) {
        let ours = self.alive.iter();
        let gone: Vec<_> = ours
            .filter_map(|(&number, child)| Some((number, exit_of(child)?)))
            .collect();
        for (number, ending) in gone {
            self.forget(number, ending, ended);
        }
    }

    fn forget(&mut self, number: u32, ending: Ending, ended: &mut Vec<(u32, Ending)>) {
        self.alive.remove(&number);
        self.service.common.census.bury(number);
        ended.push((number, ending));
    }

    pub(super) fn carry_out(&mut self, order: Order) {
        self.board.write(order);
        let signal = match order {
            Order::Reload => libc::SIGHUP,
            Order::Status => libc::SIGUSR1,
            Order::Close | Order::Drain | Order::Stop => libc::SIGINT,
        };
        for child in self.alive.values() {
            child.signal(signal);
        }
    }

    /// Waits until all have ended; kills those that do not, and leaves behind those that do not even
    /// then (a file system that hangs keeps them from it).
    pub(super) fn end(&mut self) {
        if self.all_end_in(LAST_WAIT) {
            return;
        }
        let left = self.alive.len();
        log::warn!(target: TARGET, "{left} worker process(es) do not end; killing them");
        for child in self.alive.values() {
            child.signal(libc::SIGKILL);
        }
        if !self.all_end_in(LAST_WAIT) {
            let left = self.alive.len();
            error!(target: TARGET, "{left} worker process(es) left behind");
        }
    }

    fn all_end_in(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            // They are not counted out: nobody counts any more, and a child that is stopped may hold
            // the lock.
            self.alive.retain(|_, child| exit_of(child).is_none());
            if self.alive.is_empty() || Instant::now() >= deadline {
                return self.alive.is_empty();
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What a child does from its birth on. Gives the status that it ends with.
    fn serve(&mut self, part: Option<Part>) -> i32 {
        let lifeline = self.lifeline.take().map(|(ours, theirs)| {
            // It is closed here already.
            std::mem::forget(ours);
            theirs
        });
        self.alive.clear();
        let served = match part.zip(lifeline) {
            Some((part, lifeline)) => lifeline
                .set_nonblocking(true)
                .and_then(|()| self.work(part, Lifeline::from_std(lifeline))),
            None => Err(io::Error::other("its parent had nothing for it")),
        };
        match served {
            Ok(()) => 0,
            Err(error) => {
                error!(target: TARGET, "a worker process cannot serve: {error}");
                1
            }
        }
    }

    fn work(&self, part: Part, lifeline: Lifeline) -> io::Result<()> {
        let service = &self.service;
        let pid = std::process::id();
        service.common.census.begin_worker(pid);
        let (outbox, inbox) = channel();
        let front = Front::new(Arc::clone(service), Home::Loop, outbox.clone());
        let mut front = front.hanging_on(lifeline);
        let (mut reactor, life);
        match part {
            Part::Listener(listener, workers) => {
                reactor = Reactor::new()?;
                life = Life::new(self.grace);
                front = front.listening(listener, ACCEPTS).sharing(workers);
            }
            Part::Client {
                place,
                counted_by,
                socket,
                peer,
            } => {
                service.common.census.hand_over(place, counted_by, pid);
                let seat = service.common.census.adopt(place);
                reactor = match Reactor::small() {
                    Ok(reactor) => reactor,
                    Err(error) => {
                        turn_away(socket, peer, UNAVAILABLE);
                        return Err(error);
                    }
                };
                let client = Arrival { socket, peer, seat };
                life = Life::closing(self.grace);
                let service = Arc::clone(service);
                let begin = move |cx: &mut Context<'_>| welcome(&service, cx, client);
                reactor.handle().call(begin);
            }
        }
        let key = reactor.spawn(Box::new(front));
        reactor.watch_signals(key, &WATCHED)?;
        unblock_signals(&WATCHED);
        // What was written before this child was born made no noise for it.
        if let Some(order) = self.board.read() {
            outbox.post(Event::Order(order));
        }
        let mut crew = Worker {
            clients: OnLoop(Arc::clone(service)),
            board: Arc::clone(&self.board),
        };
        let heart = Heart {
            life,
            inbox,
            front: Some(key),
            service: Arc::clone(service),
            notifier: Notifier::default(),
            speaks: false,
            obeyed: WATCHED.to_vec(),
            reloads: Default::default(),
        };
        heart
            .beat(&mut reactor, &mut crew)
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

/// What a child is for.
pub(super) enum Part {
    /// Clients that it accepts itself, as one of so many workers.
    Listener(Listener, usize),
    /// One client, who was counted in by another process.
    Client {
        place: u32,
        counted_by: u32,
        socket: TcpStream,
        peer: SocketAddr,
    },
}

/// The crew of a worker process: its own clients, and an eye on the board.
struct Worker {
    clients: OnLoop,
    board: Arc<Board>,
}

impl Crew for Worker {
    fn carry_out(&mut self, order: Order, reactor: &mut Reactor) {
        self.clients.carry_out(order, reactor);
    }

    fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn signal(&mut self, signal: i32, life: &Life) -> Option<Order> {
        match signal {
            libc::SIGINT | libc::SIGTERM => match self.board.read() {
                Some(order) => Some(order),
                // Somebody wants this worker to end, and no other.
                None if signal == libc::SIGTERM => Some(Order::Drain),
                // Ctrl-C is for the parent, which says what it means.
                None => None,
            },
            signal => Some(meaning(signal, life.ending())),
        }
    }
}
