//! A process for each client, forked when he has connected.

use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::Reactor;
use log::{error, warn};

use super::children::{Children, Part};
use super::control::{Arrival, Order};
use super::heart::{Crew, meaning};
use super::life::Life;
use super::reception::{UNAVAILABLE, turn_away};
use crate::error::Error;
use crate::session::Service;
use crate::sys::process::Ending;
use crate::target::TARGET;

/// The clients live in processes of their own.
pub(super) struct OnProcesses {
    service: Arc<Service>,
    children: Children,
}

impl OnProcesses {
    pub(super) fn new(service: &Arc<Service>, grace: Duration) -> Result<OnProcesses, Error> {
        Ok(OnProcesses {
            service: Arc::clone(service),
            children: Children::new(service, grace)?,
        })
    }
}

impl Crew for OnProcesses {
    fn carry_out(&mut self, order: Order, _: &mut Reactor) {
        self.children.carry_out(order);
    }

    /// Whoever has been accepted, and waits for his process to be born, is one of them.
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.service.common.census.here() == 0
    }

    fn arrival(&mut self, arrival: Arrival) {
        let Arrival { socket, peer, seat } = arrival;
        let census = &self.service.common.census;
        let us = std::process::id();
        // He was counted in a moment ago.
        let Some(place) = seat.leave() else { return };
        let mut socket = Some(socket);
        let born = self.children.bear(None, || {
            Some(Part::Client {
                place,
                counted_by: us,
                socket: socket.take()?,
                peer,
            })
        });
        match born {
            Ok(child) => census.hand_over(place, us, child),
            Err(error) => {
                error!(target: TARGET, "cannot start a process for a client: {error}");
                drop(census.adopt(place));
                if let Some(socket) = socket {
                    turn_away(socket, peer, UNAVAILABLE);
                }
            }
        }
    }

    fn signal(&mut self, signal: i32, life: &Life) -> Option<Order> {
        match signal {
            libc::SIGCHLD => {
                for (number, ending) in self.children.bury() {
                    if ending != Ending::Exited(0) {
                        warn!(target: TARGET, "the process {number} of a client {ending}");
                    }
                }
                None
            }
            signal => Some(meaning(signal, life.ending())),
        }
    }

    fn forks(&self) -> bool {
        true
    }

    fn end(&mut self) {
        self.children.end();
    }
}
