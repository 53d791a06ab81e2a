//! Heavy work queues here: in order, and for a bounded part of each turn, so that whoever only wants
//! a word is not kept waiting by those who move a lot.

use crate::{Channel, Key};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a turn of the loop may last before heavy work has to wait for the next one, if the rest of the
/// turn takes less than that.
const TURN: Duration = Duration::from_millis(1);

pub(crate) struct Queue {
    waiting: VecDeque<(Key, Channel)>,
    /// The one that is called now has waited.
    serves: bool,
    turn_began: Instant,
    /// When heavy work has had its time.
    until: Instant,
}

impl Queue {
    pub(crate) fn new(now: Instant) -> Queue {
        Queue {
            waiting: VecDeque::new(),
            serves: false,
            turn_began: now,
            until: now + TURN,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn push(&mut self, key: Key, channel: Channel) {
        self.waiting.push_back((key, channel));
    }

    /// Who is first, as long as there is time. `served` is how many of this turn went before: the first
    /// goes in any case, so that the queue moves on.
    pub(crate) fn pop(&mut self, served: usize) -> Option<(Key, Channel)> {
        if served > 0 && self.is_over_time() {
            return None;
        }
        self.waiting.pop_front()
    }

    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.turn_began = now;
        self.until = now + TURN;
    }

    /// Those who wait get as much of the turn as what was light did before them, however much that was.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.until = self.until.max(now + (now - self.turn_began));
    }

    /// What threads have sent has a time of its own.
    pub(crate) fn begin_posted(&mut self, now: Instant) {
        self.until = now + TURN;
    }

    /// While the one is called who has waited, he need not again.
    pub(crate) fn serve(&mut self, serves: bool) {
        self.serves = serves;
    }

    /// Whether who comes now has to wait.
    pub(crate) fn is_pressed(&self) -> bool {
        !self.serves && (!self.waiting.is_empty() || self.is_over_time())
    }

    pub(crate) fn is_over_time(&self) -> bool {
        Instant::now() > self.until
    }
}
