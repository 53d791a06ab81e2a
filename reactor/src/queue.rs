//! Heavy work queues here: in order, and for a bounded part of each turn, so that whoever only wants
//! a word is not kept waiting by those who move a lot.

use crate::{Channel, Key};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a turn of the loop may last before heavy work has to wait for the next one.
const TURN: Duration = Duration::from_millis(1);

pub(crate) struct Queue {
    waiting: VecDeque<(Key, Channel)>,
    /// The one that is called now has waited.
    serves: bool,
    turn_began: Instant,
}

impl Queue {
    pub(crate) fn new(now: Instant) -> Queue {
        Queue {
            waiting: VecDeque::new(),
            serves: false,
            turn_began: now,
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

    /// Who is first, as long as this turn has time. `ahead` is how many of this turn went before: the
    /// first goes in any case, so that the queue moves on however long the rest of a turn takes.
    pub(crate) fn pop(&mut self, ahead: usize) -> Option<(Key, Channel)> {
        if ahead > 0 && self.turn_is_over() {
            return None;
        }
        self.waiting.pop_front()
    }

    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.turn_began = now;
    }

    /// While the one is called who has waited, he need not again.
    pub(crate) fn serve(&mut self, serves: bool) {
        self.serves = serves;
    }

    /// Whether who comes now has to wait.
    pub(crate) fn is_pressed(&self) -> bool {
        !self.serves && (!self.waiting.is_empty() || self.turn_is_over())
    }

    fn turn_is_over(&self) -> bool {
        self.turn_began.elapsed() > TURN
    }
}
