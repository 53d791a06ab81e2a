//! The life of a server or of one of its workers: serving, closing, draining, over. It owns no
//! socket and reads no clock.

use std::time::{Duration, Instant};

use super::control::Order;

/// How far a life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// No new clients; those who are here may stay.
    Closing,
    /// The same, but only until then; `None` is beyond the clock's range.
    Draining(Option<Instant>),
    Over,
}

pub(super) struct Life {
    phase: Phase,
    grace: Duration,
}

impl Life {
    /// A server's, or a worker's that accepts clients.
    pub(super) fn new(grace: Duration) -> Life {
        Life {
            phase: Phase::Serving,
            grace,
        }
    }

    /// That of a worker for the clients it begins with.
    pub(super) fn closing(grace: Duration) -> Life {
        Life {
            phase: Phase::Closing,
            grace,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn grace(&self) -> Duration {
        self.grace
    }

    /// Takes an order; true when it is to be carried out, false when it is already, or comes too late.
    pub(super) fn takes(&mut self, order: Order, now: Instant) -> bool {
        let next = match (self.phase, order) {
            (Phase::Over, _) => return false,
            (_, Order::Reload | Order::Status) => return true,
            (_, Order::Stop) => Phase::Over,
            (Phase::Serving, Order::Close) => Phase::Closing,
            (Phase::Serving | Phase::Closing, Order::Drain) => {
                Phase::Draining(now.checked_add(self.grace))
            }
            (_, Order::Close | Order::Drain) => return false,
        };
        self.phase = next;
        true
    }

    /// What a signal to end means: the first time to drain, then to stop.
    pub(super) fn ending(&self) -> Order {
        match self.phase {
            Phase::Serving | Phase::Closing => Order::Drain,
            Phase::Draining(_) | Phase::Over => Order::Stop,
        }
    }

    /// When the clients that are left have had their time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining(until) => until,
            _ => None,
        }
    }

    /// Whether it is over, with nobody left (`empty`) or the time up.
    pub(super) fn is_over(&self, empty: bool, now: impl FnOnce() -> Instant) -> bool {
        match self.phase {
            Phase::Serving => false,
            Phase::Closing => empty,
            Phase::Draining(until) => empty || until.is_some_and(|until| now() >= until),
            Phase::Over => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn over(life: &Life, empty: bool, now: Instant) -> bool {
        life.is_over(empty, || now)
    }

    #[test]
    fn drains_and_then_stops() {
        let (mut life, now) = (Life::new(GRACE), Instant::now());
        assert!(!over(&life, true, now));
        assert!(life.takes(Order::Reload, now) && life.takes(Order::Status, now));
        assert_eq!(life.ending(), Order::Drain);
        assert!(life.takes(Order::Drain, now));
        assert_eq!(life.deadline(), Some(now + GRACE));
        // A second order to drain wins no time.
        assert!(!life.takes(Order::Drain, now + GRACE / 2));
        assert!(!life.takes(Order::Close, now));
        assert!(!over(&life, false, now + GRACE / 2));
        assert!(over(&life, true, now) && over(&life, false, now + GRACE));
        assert_eq!(life.ending(), Order::Stop);
        assert!(life.takes(Order::Stop, now));
        assert!(over(&life, false, now));
        assert!(!life.takes(Order::Status, now));
    }

    #[test]
    fn closes_for_as_long_as_somebody_stays() {
        let (mut life, now) = (Life::new(GRACE), Instant::now());
        assert!(life.takes(Order::Close, now) && !life.takes(Order::Close, now));
        assert_eq!(life.deadline(), None);
        assert!(!over(&life, false, now + GRACE * 100));
        assert!(over(&life, true, now));
        // There may still be an end to it.
        assert!(life.takes(Order::Drain, now));
        assert!(over(&life, false, now + GRACE));
        assert!(over(&Life::closing(GRACE), true, now));
    }

    #[test]
    fn an_endless_grace_ends_by_a_second_signal() {
        let (mut life, now) = (Life::new(Duration::MAX), Instant::now());
        assert!(life.takes(life.ending(), now));
        assert_eq!(
            (life.phase(), life.deadline()),
            (Phase::Draining(None), None)
        );
        assert!(!over(&life, false, now + GRACE * 100) && over(&life, true, now));
        assert_eq!(life.ending(), Order::Stop);
    }
}
