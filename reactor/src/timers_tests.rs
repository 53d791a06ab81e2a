//! Tests of the timer heap, on invented instants.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The heap with one owner's list, and a clock of its own.
struct Bench {
    timers: Timers,
    head: u32,
    zero: Instant,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            timers: Timers::new(),
            head: NONE,
            zero: Instant::now(),
        }
    }

    fn at(&self, seconds: u32) -> Instant {
        self.zero + SECOND * seconds
    }

    fn set(&mut self, seconds: u32, tag: usize) -> TimerId {
        let deadline = self.at(seconds);
        self.timers.insert(7, &mut self.head, deadline, None, tag)
    }

    /// Runs what is due; the tags, in order.
    fn run(&mut self, seconds: u32) -> Vec<usize> {
        let now = self.at(seconds);
        let mut due = Vec::new();
        self.timers.collect(now, &mut due);
        let mut tags = Vec::new();
        for due in due {
            if let Some(fired) = self.timers.fire(due, now) {
                assert_eq!(fired.owner, 7);
                if !fired.repeats {
                    self.timers.remove(fired.id, &mut self.head);
                }
                tags.push(fired.tag);
            }
        }
        tags
    }

    fn listed(&self) -> usize {
        let (mut index, mut count) = (self.head, 0);
        while let Some(timer) = self.timers.timers.get(index as usize) {
            count += 1;
            index = timer.next;
        }
        count
    }
}

#[test]
fn they_fire_by_deadline_and_then_by_age() {
    let mut bench = Bench::new();
    for (seconds, tag) in [(3, 30), (1, 10), (2, 20), (1, 11)] {
        bench.set(seconds, tag);
    }
    assert_eq!(bench.timers.next_look(), Some(bench.at(1)));
    assert_eq!(bench.run(0), []);
    assert_eq!(bench.run(2), [10, 11, 20]);
    assert_eq!(bench.run(2), []);
    assert_eq!(bench.run(9), [30]);
    assert_eq!(bench.timers.next_look(), None);
}

#[test]
fn a_cancelled_timer_is_silent_and_its_id_is_stale() {
    let mut bench = Bench::new();
    let first = bench.set(1, 1);
    bench.timers.remove(first, &mut bench.head);
    let second = bench.set(2, 2);
    assert_eq!(second.index, first.index);
    // The stale name must not hit the new tenant.
    bench.timers.remove(first, &mut bench.head);
    let soon = bench.at(0);
    bench.timers.reset(first, soon);
    assert_eq!(bench.timers.next_look(), Some(bench.at(2)));
    assert_eq!(bench.run(5), [2]);
    assert_eq!(bench.timers.owner(second), None);
}

#[test]
fn reset_moves_later_without_touching_the_heap() {
    let mut bench = Bench::new();
    let timer = bench.set(1, 1);
    for seconds in 2..1000 {
        let deadline = bench.at(seconds);
        bench.timers.reset(timer, deadline);
    }
    assert_eq!(bench.timers.heap.len(), 1);
    // It is looked for once where it was, then where it is.
    assert_eq!(bench.run(0), []);
    assert_eq!(bench.timers.next_look(), Some(bench.at(1)));
    assert_eq!(bench.run(1), []);
    assert_eq!(bench.timers.next_look(), Some(bench.at(999)));
    assert_eq!(bench.run(998), []);
    assert_eq!(bench.run(999), [1]);
}

#[test]
fn reset_moves_earlier_and_back() {
    let mut bench = Bench::new();
    let timer = bench.set(100, 1);
    bench.set(50, 2);
    let (early, late) = (bench.at(10), bench.at(70));
    bench.timers.reset(timer, early);
    assert_eq!(bench.timers.next_look(), Some(early));
    bench.timers.reset(timer, late);
    assert_eq!(bench.run(60), [2]);
    assert_eq!(bench.run(70), [1]);
    assert_eq!(bench.run(200), []);
}

#[test]
fn a_timer_moved_or_cancelled_by_one_before_it_does_not_fire() {
    let mut bench = Bench::new();
    let (moved, cancelled) = (bench.set(1, 1), bench.set(1, 2));
    let mut due = Vec::new();
    let (now, later) = (bench.at(1), bench.at(5));
    bench.timers.collect(now, &mut due);
    bench.timers.reset(moved, later);
    bench.timers.remove(cancelled, &mut bench.head);
    assert!(due.iter().all(|&due| bench.timers.fire(due, now).is_none()));
    assert_eq!(bench.run(5), [1]);
}

#[test]
fn one_that_was_set_meanwhile_waits_even_with_no_delay() {
    let mut bench = Bench::new();
    bench.set(1, 1);
    let mut due = Vec::new();
    bench.timers.collect(bench.zero + SECOND, &mut due);
    bench.set(0, 2);
    assert_eq!(due.len(), 1);
    assert_eq!(bench.run(1), [2]);
}

#[test]
fn every_keeps_its_beat_and_piles_nothing_up() {
    let mut bench = Bench::new();
    let first = bench.at(10);
    bench
        .timers
        .insert(7, &mut bench.head, first, Some(SECOND * 10), 1);
    assert_eq!(bench.run(13), [1]);
    assert_eq!(bench.timers.next_look(), Some(bench.at(20)));
    // A stall of many periods: one call, and a whole period until the next.
    assert_eq!(bench.run(95), [1]);
    assert_eq!(bench.run(95), []);
    assert_eq!(bench.timers.next_look(), Some(bench.at(105)));
}

#[test]
fn a_period_of_nothing_is_a_millisecond() {
    let mut bench = Bench::new();
    let zero = bench.zero;
    bench
        .timers
        .insert(7, &mut bench.head, zero, Some(Duration::ZERO), 1);
    assert_eq!(bench.run(0), [1]);
    assert_eq!(
        bench.timers.next_look(),
        Some(zero + Duration::from_millis(1))
    );
}

#[test]
fn an_owners_timers_die_together_and_their_places_are_reused() {
    let mut bench = Bench::new();
    let mut other = NONE;
    let deadline = bench.at(3);
    for tag in 0..10 {
        bench.set(1, tag);
    }
    let foreign = bench.timers.insert(8, &mut other, deadline, None, 99);
    bench.timers.remove_all(&mut bench.head);
    assert_eq!((bench.head, bench.listed()), (NONE, 0));
    assert_eq!(bench.run(2), []);
    assert_eq!(bench.timers.owner(foreign), Some(8));
    for tag in 0..10 {
        bench.set(1, tag);
    }
    assert_eq!(bench.timers.timers.len(), 11);
    assert_eq!(bench.listed(), 10);
}

#[test]
fn removing_from_the_middle_keeps_the_list_whole() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..5).map(|tag| bench.set(1, tag)).collect();
    for (left, id) in [(4, ids[2]), (3, ids[4]), (2, ids[0])] {
        bench.timers.remove(id, &mut bench.head);
        assert_eq!(bench.listed(), left);
    }
    assert_eq!(bench.run(1), [1, 3]);
    assert_eq!(bench.listed(), 0);
}

#[test]
fn cancelled_timers_do_not_pile_up() {
    let mut bench = Bench::new();
    bench.set(5000, 1);
    for tag in 0..100_000 {
        let id = bench.set(4000, tag);
        bench.timers.remove(id, &mut bench.head);
        // Moving one to and fro must not pile up entries either.
        let id = bench.set(3000, tag);
        let earlier = bench.at(2000);
        bench.timers.reset(id, earlier);
        bench.timers.remove(id, &mut bench.head);
    }
    assert!(bench.timers.heap.len() < 200, "{}", bench.timers.heap.len());
    assert!(bench.timers.timers.len() < 5);
    assert_eq!(bench.run(5000), [1]);
}

#[test]
fn a_delay_beyond_the_clock_is_far_away() {
    let now = Instant::now();
    assert!(after(now, Duration::MAX) > now + SECOND * 1_000_000);
}
