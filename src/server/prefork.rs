//! A fixed number of worker processes that share the listening socket; one that dies is replaced.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftpdlib_reactor::{Listener, Reactor};
use log::{error, info, warn};

use super::children::{Children, Part};
use super::control::Order;
use super::heart::{Crew, meaning};
use super::life::{Life, Phase};
use super::restarts::Post;
use crate::error::Error;
use crate::session::Service;
use crate::sys::process::{Ending, Private};
use crate::target::TARGET;

/// The clients live in worker processes.
pub(super) struct Workforce {
    children: Children,
    /// Ours is for workers to come.
    listener: Option<(Private, Listener)>,
    posts: Vec<Post>,
}

impl Workforce {
    pub(super) fn new(
        service: &Arc<Service>,
        grace: Duration,
        listener: Listener,
        workers: usize,
    ) -> Result<Workforce, Error> {
        let now = Instant::now();
        Ok(Workforce {
            children: Children::new(service, grace)?,
            listener: Some((Private::new(&listener), listener)),
            posts: (0..workers).map(|_| Post::new(now)).collect(),
        })
    }

    /// Sees to those who have died.
    fn bury(&mut self, life: &Life) {
        let now = Instant::now();
        for (worker, ending) in self.children.bury() {
            let post = self.posts.iter_mut().find(|post| post.is_held_by(worker));
            let pause = post.map(|post| post.died(now));
            if life.phase() != Phase::Serving {
                if ending != Ending::Exited(0) {
                    warn!(target: TARGET, "worker {worker} {ending}");
                }
                continue;
            }
            match pause {
                Some(Duration::ZERO) => {
                    warn!(target: TARGET, "worker {worker} {ending}; starting another");
                }
                Some(pause) => {
                    warn!(target: TARGET, "worker {worker} {ending}; starting another in {pause:?}");
                }
                None => {}
            }
        }
    }
}

impl Crew for Workforce {
    fn carry_out(&mut self, order: Order, _: &mut Reactor) {
        if matches!(order, Order::Close | Order::Drain | Order::Stop) {
            self.listener = None;
        }
        self.children.carry_out(order);
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    fn signal(&mut self, signal: i32, life: &Life) -> Option<Order> {
        match signal {
            libc::SIGCHLD => {
                self.bury(life);
                None
            }
            signal => Some(meaning(signal, life.ending())),
        }
    }

    /// Fills the posts that are due.
    fn chores(&mut self, life: &Life) -> Result<Option<Instant>, Error> {
        if life.phase() != Phase::Serving {
            return Ok(None);
        }
        let (now, workers) = (Instant::now(), self.posts.len());
        for post in &mut self.posts {
            if post.due().is_none_or(|due| due > now) {
                continue;
            }
            let listener = &mut self.listener;
            let descriptor = listener
                .as_ref()
                .map(|(_, listener)| listener.as_fd().as_raw_fd());
            // In the child, whose copy of it this is.
            let begin = || {
                let (private, listener) = listener.take()?;
                drop(private);
                Some(Part::Listener(listener, workers))
            };
            match self.children.bear(descriptor, begin) {
                Ok(worker) => {
                    info!(target: TARGET, "worker {worker} starts");
                    post.born(worker, now);
                }
                Err(error) => {
                    let pause = post.not_born(now);
                    error!(
                        target: TARGET,
                        "cannot start a worker process: {error}; trying again in {pause:?}"
                    );
                }
            }
        }
        if self.posts.iter().all(Post::is_hopeless) {
            return Err(Error::System {
                doing: "keep a worker process alive",
                source: io::Error::other("each of them dies as soon as it starts, if it starts"),
            });
        }
        Ok(self.posts.iter().filter_map(Post::due).min())
    }

    fn forks(&self) -> bool {
        true
    }

    fn end(&mut self) {
        self.children.end();
    }
}
