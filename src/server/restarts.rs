//! When a worker that has died is replaced: at once, or later the more often it has died young. It
//! starts no process and reads no clock.

use std::time::{Duration, Instant};

/// Who has lived so long has not died of its birth.
const STEADY: Duration = Duration::from_secs(10);
/// The pause before the second replacement of those who died young; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How many may die young, or not be born, one after the other, before there is little hope.
const MOST: u32 = 12;

/// One of the places for workers.
pub(super) struct Post {
    state: State,
    born: Instant,
    /// Young deaths and failed births since one has lived.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Due(Instant),
    Held(u32),
}

impl Post {
    pub(super) fn new(now: Instant) -> Post {
        Post {
            state: State::Due(now),
            born: now,
            failures: 0,
        }
    }

    /// When a worker is to be born for it.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due(at) => Some(at),
            State::Held(_) => None,
        }
    }

    pub(super) fn is_held_by(&self, worker: u32) -> bool {
        self.state == State::Held(worker)
    }

    /// Whether all that was tried of late came to nothing. It is tried again all the same, as long as
    /// somebody else serves.
    pub(super) fn is_hopeless(&self) -> bool {
        self.failures > MOST && self.due().is_some()
    }

    pub(super) fn born(&mut self, worker: u32, now: Instant) {
        self.state = State::Held(worker);
        self.born = now;
    }

    /// Its worker has died; gives the time until another one.
    pub(super) fn died(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.born) >= STEADY {
            self.failures = 0;
        }
        self.not_born(now)
    }

    /// The system had no process for it; gives the time until another try.
    pub(super) fn not_born(&mut self, now: Instant) -> Duration {
        self.failures += 1;
        let pause = match self.failures {
            1 => Duration::ZERO,
            more => FIRST_PAUSE
                .saturating_mul(1 << (more - 2).min(16))
                .min(LONGEST_PAUSE),
        };
        self.state = State::Due(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_dies_young_waits_longer_each_time() {
        let mut now = Instant::now();
        let mut post = Post::new(now);
        assert_eq!(post.due(), Some(now));
        let mut pauses = Vec::new();
        while !post.is_hopeless() {
            post.born(7, now);
            assert!(post.is_held_by(7) && !post.is_held_by(8));
            assert_eq!(post.due(), None);
            let pause = post.died(now);
            now += pause;
            assert_eq!(post.due(), Some(now));
            pauses.push(pause.as_millis());
        }
        assert_eq!(
            pauses,
            [
                0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000, 10000, 10000
            ]
        );
        // One that lives gives hope again.
        post.born(8, now);
        assert!(!post.is_hopeless());
        assert_eq!(post.died(now + STEADY), Duration::ZERO);
        assert!(!post.is_hopeless());
    }

    #[test]
    fn who_has_lived_is_replaced_at_once() {
        let mut now = Instant::now();
        let mut post = Post::new(now);
        for _ in 0..MOST * 2 {
            post.born(1, now);
            now += STEADY;
            assert_eq!(post.died(now), Duration::ZERO);
        }
    }

    #[test]
    fn births_that_fail_are_not_tried_without_end() {
        // However long ago the last one succeeded.
        let mut now = Instant::now();
        let mut post = Post::new(now);
        post.born(1, now);
        let end = now + STEADY + Duration::from_secs(60);
        now += STEADY;
        now += post.died(now);
        let mut tries = 0;
        while now < end {
            now += post.not_born(now);
            tries += 1;
        }
        assert!(tries < 15, "{tries}");
    }
}
