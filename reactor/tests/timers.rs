//! Timers on the running loop: waiting exactly, and what callbacks do with them.

mod common;

use common::*;
use ftpdlib_reactor::{Context, TimerId};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// One dispatcher that sets timers in `start` and logs their tags.
fn with_timers(start: impl FnMut(&mut Context<'_>, ()) + 'static) -> (Loop, Log) {
    let log = Log::default();
    let l = log.clone();
    let mut reactor = Loop::new();
    let probe = Probe::new()
        .start(start)
        .timeout(move |_, (_, tag)| l.add(tag.to_string()));
    reactor.spawn(probe.boxed());
    (reactor, log)
}

#[test]
fn they_fire_in_order_and_never_early() {
    let begin = Instant::now();
    let (mut reactor, log) = with_timers(|cx, ()| {
        cx.call_later(30 * MS, 3);
        cx.call_later(10 * MS, 1);
        cx.call_later(20 * MS, 2);
    });
    for (count, least) in [(1, 10), (2, 20), (3, 30)] {
        turn_until(&mut reactor, || log.len() >= count);
        assert!(begin.elapsed() >= least * MS);
    }
    assert_eq!(log.take(), ["1", "2", "3"]);
}

#[test]
fn the_loop_does_not_turn_in_vain() {
    // Odd fractions of a millisecond are where rounding down would spin.
    for micros in [300, 1_500, 7_999, 20_001] {
        let (mut reactor, log) = with_timers(move |cx, ()| {
            cx.call_later(Duration::from_micros(micros), 1);
            let cancelled = cx.call_later(Duration::from_micros(micros / 2), 2);
            cx.cancel(cancelled);
            let moved = cx.call_later(Duration::from_micros(micros / 3), 3);
            cx.reset(moved, LONG);
        });
        let turns = turn_until(&mut reactor, || log.len() > 0);
        assert!(turns <= 2, "{turns} turns for {micros} us");
        assert_eq!(log.take(), ["1"]);
    }
}

#[test]
fn distant_ones_fire_whatever_was_set_before_them() {
    // Of those far enough off for the loop's alarm: later and earlier ones set behind each other, moved
    // either way, and the one that the alarm was set for gone.
    let begin = Instant::now();
    let (mut reactor, log) = with_timers(|cx, ()| {
        let moved_on = cx.call_later(120 * MS, 1);
        cx.call_later(200 * MS, 2);
        cx.call_later(LONG, 3);
        let gone = cx.call_later(150 * MS, 4);
        let moved_up = cx.call_later(LONG, 5);
        cx.reset(moved_on, 400 * MS);
        cx.reset(moved_up, 300 * MS);
        cx.cancel(gone);
    });
    // The alarm is set for each of these in turn.
    let mut turns = 0;
    for (count, least) in [(1, 200), (2, 300), (3, 400)] {
        turns += turn_until(&mut reactor, || log.len() >= count);
        assert!(begin.elapsed() >= least * MS);
    }
    assert_eq!(log.take(), ["2", "5", "1"]);
    // In vain it rings once for each timer that was moved on, and turns do not follow each other.
    assert!(turns <= 10, "{turns} turns");
}

#[test]
fn a_timer_that_is_moved_on_all_the_time_fires_in_the_end() {
    let log = Log::default();
    let (l, id) = (log.clone(), Rc::new(Cell::new(None)));
    let (mut reactor, i) = (Loop::new(), id.clone());
    let probe = Probe::new()
        .start(move |cx, ()| {
            i.set(Some(cx.call_later(110 * MS, 1)));
            cx.call_every(10 * MS, 2);
        })
        .timeout(move |cx, (timer, tag)| {
            l.add(tag.to_string());
            match id.get() {
                Some(id) if tag == 2 && l.len() < 20 => cx.reset(id, 110 * MS),
                _ if tag == 2 => cx.cancel(timer),
                _ => {}
            }
        });
    reactor.spawn(probe.boxed());
    turn_until(&mut reactor, || log.len() >= 21);
    assert_eq!(log.take().last().map(String::as_str), Some("1"));
}

#[test]
fn cancel_and_reset_by_another_timer_of_the_same_moment() {
    let log = Log::default();
    let l = log.clone();
    let ids: Rc<RefCell<Vec<TimerId>>> = Rc::default();
    let i = ids.clone();
    let mut reactor = Loop::new();
    let probe = Probe::new()
        .start(move |cx, ()| {
            *i.borrow_mut() = (0..4).map(|tag| cx.call_later(5 * MS, tag)).collect();
        })
        .timeout(move |cx, (id, tag)| {
            l.add(tag.to_string());
            if tag == 0 {
                // Let them all be due in the same batch.
                std::thread::sleep(MS);
                let ids = ids.borrow();
                assert_eq!(id, ids[0]);
                cx.cancel(ids[1]);
                cx.reset(ids[2], LONG);
                // It has fired: no way back.
                cx.reset(ids[0], MS);
                cx.cancel(ids[0]);
            } else if tag == 3 {
                cx.reset(ids.borrow()[2], 5 * MS);
            }
        });
    reactor.spawn(probe.boxed());
    turn_until(&mut reactor, || log.len() == 3);
    reactor.turn(Some(10 * MS)).unwrap();
    assert_eq!(log.take(), ["0", "3", "2"]);
}

#[test]
fn reset_earlier_wakes_earlier() {
    let begin = Instant::now();
    let (mut reactor, log) = with_timers(|cx, ()| {
        let timer = cx.call_later(LONG, 1);
        cx.reset(timer, 10 * MS);
    });
    turn_until(&mut reactor, || log.len() == 1);
    assert!(begin.elapsed() < LONG / 2);
}

#[test]
fn a_timer_that_a_timer_sets_waits_a_turn() {
    let log = Log::default();
    let l = log.clone();
    let mut reactor = Loop::new();
    let probe = Probe::new()
        .start(|cx, ()| {
            cx.call_later(Duration::ZERO, 0);
        })
        .timeout(move |cx, (_, tag)| {
            l.add(tag.to_string());
            cx.call_later(Duration::ZERO, tag + 1);
        });
    reactor.spawn(probe.boxed());
    for turns in 1..=5 {
        reactor.turn(None).unwrap();
        assert_eq!(log.len(), turns);
    }
}

#[test]
fn every_goes_on_until_it_is_cancelled_in_its_own_callback() {
    let log = Log::default();
    let l = log.clone();
    let mut reactor = Loop::new();
    let probe = Probe::new()
        .start(|cx, ()| {
            cx.call_every(2 * MS, 1);
        })
        .timeout(move |cx, (id, _)| {
            l.add("tick");
            if l.len() == 5 {
                cx.cancel(id);
            }
        });
    reactor.spawn(probe.boxed());
    turn_until(&mut reactor, || log.len() == 5);
    reactor.turn(Some(20 * MS)).unwrap();
    assert_eq!(log.len(), 5);
}

#[test]
fn every_makes_up_for_nothing_after_a_stall() {
    const EVERY: Duration = Duration::from_millis(20);
    let ticks: Rc<RefCell<Vec<Instant>>> = Rc::default();
    let t = ticks.clone();
    let mut reactor = Loop::new();
    let probe = Probe::new()
        .start(|cx, ()| {
            cx.call_every(EVERY, 1);
            cx.send(cx.key(), message("stall"));
        })
        .message(|_, _| std::thread::sleep(EVERY * 4))
        .timeout(move |cx, _| t.borrow_mut().push(cx.now()));
    reactor.spawn(probe.boxed());
    turn_until(&mut reactor, || ticks.borrow().len() == 4);
    // Those that were missed do not come one behind the other. One that is a little late does not
    // delay the next, so that two may be close to each other, but not three.
    let ticks = ticks.borrow();
    for three in ticks.windows(3) {
        let took = three[2] - three[0];
        assert!(took >= EVERY, "{took:?} for two intervals");
    }
}

#[test]
fn one_may_cancel_anothers_timer() {
    let mut reactor = Loop::new();
    let id: Rc<Cell<Option<TimerId>>> = Rc::default();
    let i = id.clone();
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| i.set(Some(cx.call_later(5 * MS, 1))))
            .timeout(|_, _| panic!("it was cancelled"))
            .boxed(),
    );
    let canceller = Probe::new().start(move |cx, ()| cx.cancel(id.get().unwrap()));
    reactor.spawn(canceller.boxed());
    reactor.turn(Some(20 * MS)).unwrap();
    assert_eq!(reactor.len(), 2);
}

#[test]
fn absurd_delays_are_no_harm() {
    let (mut reactor, log) = with_timers(|cx, ()| {
        let timer = cx.call_later(Duration::MAX, 1);
        cx.reset(timer, Duration::MAX);
        cx.call_every(Duration::MAX, 2);
        cx.call_later(MS, 3);
    });
    turn_until(&mut reactor, || log.len() == 1);
    assert_eq!(log.take(), ["3"]);
    reactor.turn(Some(5 * MS)).unwrap();
    assert_eq!(log.len(), 0);
}

#[test]
fn now_moves_on_when_a_timer_is_set() {
    let mut reactor = Loop::new();
    let probe = Probe::new().start(|cx, ()| {
        let before = cx.now();
        std::thread::sleep(2 * MS);
        assert_eq!(cx.now(), before);
        cx.call_later(LONG, 1);
        assert!(cx.now() >= before + 2 * MS);
    });
    reactor.spawn(probe.boxed());
    assert_eq!(reactor.len(), 1);
}
