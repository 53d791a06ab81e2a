//! How long a throttled data channel must sleep so that it keeps its limit of bytes per second, and what
//! one transfer owes to the next.
//!
//! Each byte has its time, 1/limit of a second. The throttle keeps the moment up to which the bytes
//! so far have used up the time; what lies ahead of now is the pause. Timers that fire late make it
//! no slower: lateness up to half a second is made good by shorter pauses.

use std::time::{Duration, Instant};

/// Idle time that may be made up for: so long a channel may go faster than its limit afterwards.
const CREDIT: Duration = Duration::from_millis(500);

/// Shorter pauses are not worth a timer; they add up until they are.
const SHORTEST: Duration = Duration::from_millis(1);

/// No debt is larger, so that no sum can overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const NANOS: u128 = 1_000_000_000;

/// Chunks are this large at most, also without a limit.
const LARGEST_CHUNK: u64 = 256 * 1024;

/// The rate of one direction of one client's transfers.
#[derive(Clone, Debug)]
pub struct Throttle {
    limit: u64,
    paid_until: Option<Instant>,
    /// What rounding to nanoseconds left over, in 1/limit nanoseconds.
    remainder: u64,
}

impl Throttle {
    /// A throttle for `bytes_per_second`; 0 is no limit.
    pub fn new(bytes_per_second: u64) -> Throttle {
        Throttle {
            limit: bytes_per_second,
            paid_until: None,
            remainder: 0,
        }
    }

    /// See [`chunk`].
    pub fn chunk(&self) -> usize {
        chunk(self.limit)
    }

    /// A transfer begins. What those before it still owe it has to wait for; the time since then is no
    /// credit of its.
    pub fn begin(&mut self, now: Instant) {
        self.paid_until = self.paid_until.filter(|&paid| paid > now);
    }

    /// Counts `bytes` just read or written, and says how long to pause before the next ones.
    pub fn used(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        if self.limit == 0 {
            return None;
        }
        let start = match (self.paid_until, now.checked_sub(CREDIT)) {
            (None, _) => now,
            (Some(paid), None) => paid,
            (Some(paid), Some(earliest)) => paid.max(earliest),
        };
        let paid = start + self.time_of(bytes).min(LONGEST.saturating_sub(start - now));
        self.paid_until = Some(paid);
        Some(paid.saturating_duration_since(now)).filter(|&pause| pause >= SHORTEST)
    }

    fn time_of(&mut self, bytes: usize) -> Duration {
        let limit = u128::from(self.limit);
        let scaled = bytes as u128 * NANOS + u128::from(self.remainder);
        // A remainder is less than the divisor, which came from a u64.
        self.remainder = (scaled % limit) as u64;
        Duration::from_nanos(u64::try_from(scaled / limit).unwrap_or(u64::MAX))
    }
}

/// How many bytes to read or write at once so that they flow smoothly: those of 1/8 s, at least 512
/// and at most 256 KiB, and never more than those of a second.
pub fn chunk(limit: u64) -> usize {
    let chunk = match limit {
        0 => LARGEST_CHUNK,
        limit => (limit / 8).clamp(512, LARGEST_CHUNK).min(limit),
    };
    chunk as usize
}

/// The same for a rate that many share, whose state is a number: until when the bytes so far are
/// paid for, with `bytes` more of them. All times are nanoseconds of one clock; 0 is for never.
pub fn paid_until(paid: u64, now: u64, bytes: usize, limit: u64) -> u64 {
    let start = match paid {
        0 => now,
        paid => paid.max(now.saturating_sub(CREDIT.as_nanos() as u64)),
    };
    let time = (bytes as u128 * NANOS).div_ceil(u128::from(limit.max(1)));
    let longest = now.saturating_add(LONGEST.as_nanos() as u64);
    let time = u64::try_from(time).unwrap_or(u64::MAX);
    start.saturating_add(time).min(longest)
}

/// How long to pause until the bytes so far are paid for.
pub fn pause(paid: u64, now: u64) -> Option<Duration> {
    Some(Duration::from_nanos(paid.saturating_sub(now))).filter(|&pause| pause >= SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes per second over `calls` calls of `bytes` each, if every pause wakes `late`.
    fn average(limit: u64, bytes: usize, calls: u32, late: Duration) -> f64 {
        let start = Instant::now();
        let (mut throttle, mut now) = (Throttle::new(limit), start);
        for _ in 0..calls {
            if let Some(pause) = throttle.used(bytes, now) {
                now += pause + late;
            }
        }
        bytes as f64 * f64::from(calls) / (now - start).as_secs_f64()
    }

    fn assert_near(rate: f64, limit: u64) {
        let off = rate / limit as f64 - 1.0;
        assert!(off.abs() < 0.02, "{rate} of {limit} is off by {off}");
    }

    #[test]
    fn the_average_is_the_limit() {
        for limit in [
            1,
            3,
            100,
            600,
            1_000,
            51_200,
            1_000_003,
            10_000_000,
            20_000_000_000,
        ] {
            let chunk = Throttle::new(limit).chunk();
            assert_near(average(limit, chunk, 100_000, Duration::ZERO), limit);
        }
    }

    #[test]
    fn late_timers_make_it_no_slower() {
        for limit in [5_000, 51_200, 1_000_003, 10_000_000, 20_000_000_000] {
            let chunk = Throttle::new(limit).chunk();
            assert_near(
                average(limit, chunk, 200_000, Duration::from_millis(17)),
                limit,
            );
        }
    }

    #[test]
    fn tiny_counts_do_not_drift() {
        let mut fast = Throttle::new(3_000_000_000);
        let total: Duration = (0..3_000_000).map(|_| fast.time_of(1)).sum();
        assert_eq!(total, Duration::from_millis(1));
        assert_near(average(700, 1, 100_000, Duration::ZERO), 700);
    }

    #[test]
    fn the_first_bytes_are_paid_for_too() {
        let now = Instant::now();
        assert_eq!(
            Throttle::new(1_000).used(500, now),
            Some(Duration::from_millis(500))
        );
    }

    #[test]
    fn idling_saves_half_a_second_at_most() {
        let start = Instant::now();
        let mut throttle = Throttle::new(1_000);
        throttle.used(100, start);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(throttle.used(500, later), None);
        assert_eq!(throttle.used(100, later), Some(Duration::from_millis(100)));
    }

    #[test]
    fn a_slow_flow_never_pauses() {
        let (mut throttle, mut now) = (Throttle::new(1_000), Instant::now());
        throttle.used(1, now);
        for _ in 0..1_000 {
            now += Duration::from_millis(100);
            assert_eq!(throttle.used(99, now), None);
        }
    }

    #[test]
    fn bytes_used_during_a_pause_lengthen_it() {
        let now = Instant::now();
        let mut throttle = Throttle::new(1_000);
        assert_eq!(throttle.used(1_000, now), Some(Duration::from_secs(1)));
        assert_eq!(throttle.used(1_000, now), Some(Duration::from_secs(2)));
        let half = now + Duration::from_millis(500);
        assert_eq!(throttle.used(0, half), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn a_transfer_waits_for_what_those_before_it_owe() {
        let now = Instant::now();
        let mut throttle = Throttle::new(1_000);
        throttle.begin(now);
        assert_eq!(throttle.used(0, now), None);
        throttle.used(500, now);
        // Another one, whose first bytes are not free.
        let soon = now + Duration::from_millis(100);
        throttle.begin(soon);
        let pause = throttle.used(0, soon);
        assert_eq!(pause, Some(Duration::from_millis(400)));
        // Nor is debt too small for a pause forgotten.
        let mut many = Throttle::new(1_000_000);
        let pauses: Vec<_> = (0..4)
            .map(|_| {
                many.begin(now);
                many.used(400, now)
            })
            .collect();
        let millis = |micros| Some(Duration::from_micros(micros));
        assert_eq!(pauses, [None, None, millis(1_200), millis(1_600)]);
    }

    #[test]
    fn time_between_transfers_is_no_credit() {
        let now = Instant::now();
        let mut throttle = Throttle::new(1_000);
        throttle.used(100, now);
        let later = now + Duration::from_secs(3_600);
        throttle.begin(later);
        let pause = throttle.used(100, later);
        assert_eq!(pause, Some(Duration::from_millis(100)));
    }

    #[test]
    fn chunks_fit_the_limit() {
        for (limit, chunk) in [
            (0, 262_144),
            (1, 1),
            (511, 511),
            (600, 512),
            (8_192, 1_024),
            (1_000_000, 125_000),
            (u64::MAX, 262_144),
        ] {
            assert_eq!(Throttle::new(limit).chunk(), chunk, "{limit}");
        }
    }

    #[test]
    fn a_shared_rate_is_kept_by_all_together() {
        for limit in [1_000, 51_200, 1_000_003, 50_000_000] {
            // Three flows, each asleep until its own bytes are paid for.
            let (mut paid, mut moved, end) = (0, 0, 200_000_000_000);
            let mut due = [1, 1, 1_000_000_000_u64];
            while let Some(flow) = (0..3)
                .min_by_key(|&flow| due[flow])
                .filter(|&f| due[f] < end)
            {
                let now = due[flow];
                paid = paid_until(paid, now, chunk(limit), limit);
                moved += chunk(limit);
                due[flow] = now + pause(paid, now).map_or(0, |pause| pause.as_nanos() as u64);
            }
            assert_near(moved as f64 / 200.0, limit);
        }
    }

    #[test]
    fn a_shared_rate_survives_absurd_numbers() {
        for (paid, now) in [(0, 1), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            for bytes in [0, 1, usize::MAX] {
                for limit in [0, 1, u64::MAX] {
                    let until = paid_until(paid, now, bytes, limit);
                    assert!(pause(until, now).is_none_or(|pause| pause <= LONGEST));
                }
            }
        }
        assert_eq!(pause(5_000_000, 4_500_000), None);
        assert_eq!(paid_until(1, 10_000_000_000, 0, 9), 9_500_000_000);
    }

    #[test]
    fn absurd_numbers_are_survived() {
        let now = Instant::now();
        let mut none = Throttle::new(0);
        let mut slow = Throttle::new(1);
        let mut fast = Throttle::new(u64::MAX);
        for _ in 0..100 {
            assert_eq!(none.used(usize::MAX, now), None);
            assert_eq!(slow.used(usize::MAX, now), Some(LONGEST));
            assert!(
                fast.used(usize::MAX, now)
                    .is_some_and(|pause| pause <= LONGEST)
            );
        }
        assert!(fast.used(0, now + Duration::from_secs(101)).is_none());
    }

    #[test]
    fn a_clock_that_steps_back_does_no_harm() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut throttle = Throttle::new(1_000);
        throttle.used(100, now);
        let before = now - Duration::from_secs(1);
        assert_eq!(
            throttle.used(100, before),
            Some(Duration::from_millis(1_200))
        );
    }
}
