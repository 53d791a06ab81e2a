//! When a worker that has died is replaced: at once, or later the more often it has died young, or
//! never. It starts no process and reads no clock.

use std::time::{Duration, Instant};

/// Who has lived so long has not died of its birth.
const STEADY: Duration = Duration::from_secs(10);
/// The pause before the second replacement of those who died young; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How many may die young one after the other.
pub(super) const MOST: u32 = 12;

/// One of the places for workers.
pub(super) struct Post {
    state: State,
    born: Instant,
    young_deaths: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Due(Instant),
    Held(u32),
    GivenUp,
}

/// What follows a worker's death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one after this time.
    In(Duration),
    /// No other.
    Never,
}

impl Post {
    pub(super) fn new(now: Instant) -> Post {
        Post {
            state: State::Due(now),
            born: now,
            young_deaths: 0,
        }
    }

    /// When a worker is to be born for it.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due(at) => Some(at),
            State::Held(_) | State::GivenUp => None,
        }
    }

    pub(super) fn is_held_by(&self, worker: u32) -> bool {
        self.state == State::Held(worker)
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.state == State::GivenUp
    }

    pub(super) fn born(&mut self, worker: u32, now: Instant) {
        self.state = State::Held(worker);
        self.born = now;
    }

    /// Its worker has died, or could not be born.
    pub(super) fn died(&mut self, now: Instant) -> Next {
        if now.saturating_duration_since(self.born) >= STEADY {
            self.young_deaths = 0;
        }
        self.young_deaths += 1;
        if self.young_deaths > MOST {
            self.state = State::GivenUp;
            return Next::Never;
        }
        let pause = match self.young_deaths {
            1 => Duration::ZERO,
            more => FIRST_PAUSE
                .saturating_mul(1 << (more - 2).min(16))
                .min(LONGEST_PAUSE),
        };
        self.state = State::Due(now + pause);
        Next::In(pause)
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
        loop {
            post.born(7, now);
            assert!(post.is_held_by(7) && !post.is_held_by(8));
            assert_eq!(post.due(), None);
            match post.died(now) {
                Next::Never => break,
                Next::In(pause) => {
                    now += pause;
                    assert_eq!(post.due(), Some(now));
                    pauses.push(pause.as_millis());
                }
            }
        }
        assert!(post.is_given_up() && post.due().is_none());
        assert_eq!(
            pauses,
            [
                0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000, 10000
            ]
        );
    }

    #[test]
    fn who_has_lived_is_replaced_at_once() {
        let mut now = Instant::now();
        let mut post = Post::new(now);
        for _ in 0..MOST * 2 {
            post.born(1, now);
            now += STEADY;
            assert_eq!(post.died(now), Next::In(Duration::ZERO));
        }
    }
}
