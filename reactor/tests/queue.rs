//! The queue of heavy work: who waits, in which order, and how much of a turn it gets.

mod common;

use common::*;
use ftpdlib_reactor::Context;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// As heavy as work may be: it takes a turn's time alone.
fn toil() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(3) {
        std::hint::spin_loop();
    }
}

/// A probe that does heavy work `times` times, from its start on, and logs it.
fn worker(name: &'static str, times: usize, log: &Log) -> Probe {
    let mut left = times;
    let log = log.clone();
    let work = Rc::new(RefCell::new(move |cx: &mut Context<'_>| {
        if cx.must_queue(ZERO) {
            return;
        }
        toil();
        log.add(name);
        left -= 1;
        if left > 0 {
            cx.queue(ZERO);
        }
    }));
    let begins = work.clone();
    Probe::new()
        .start(move |cx, ()| begins.borrow_mut()(cx))
        .ready(move |cx, _| work.borrow_mut()(cx))
}

/// One that queues over and over for what takes no time, and logs it.
fn quick(name: &'static str, log: &Log) -> Probe {
    let log = log.clone();
    Probe::new()
        .start(|cx, ()| cx.queue(ZERO))
        .ready(move |cx, (_, ready)| {
            assert!(ready.is_again() && ready.is_readable() && ready.is_writable());
            // It has waited.
            assert!(!cx.must_queue(ZERO));
            log.add(name);
            cx.queue(ZERO);
            cx.queue(ZERO);
        })
}

#[test]
fn heavy_work_goes_round() {
    let log = Log::default();
    let mut reactor = Loop::new();
    for (name, times) in [("a", 3), ("b", 2), ("c", 1)] {
        reactor.spawn(worker(name, times, &log).boxed());
    }
    turn_until(&mut reactor, || log.len() == 6);
    // The first may have gone ahead, before there were others; it had queued again when they came.
    let order = log.take().concat();
    assert!(["aabcab", "abcaba"].contains(&&order[..]), "{order}");
    settle(&mut reactor);
    assert_eq!(log.len(), 0);
}

#[test]
fn heavy_work_that_takes_a_turn_s_time_is_one_a_turn() {
    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b", "c"] {
        reactor.spawn(worker(name, 10_000, &log).boxed());
    }
    log.take();
    let deadline = Instant::now() + LONG;
    // Where the machine was elsewhere before the queue began, it gets as much time, and serves more.
    while log.take().len() != 1 {
        assert!(Instant::now() < deadline, "more, every turn");
        reactor.turn(None).unwrap();
    }
}

#[test]
fn light_work_is_not_kept_waiting() {
    let (stream, mut client) = pair();
    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b", "c"] {
        reactor.spawn(worker(name, 1000, &log).boxed());
    }
    let l = log.clone();
    let light = Probe::new()
        .owning(stream)
        .ready(move |_, _| l.add("light"));
    reactor.spawn(light.boxed());
    turn_until(&mut reactor, || log.len() > 2);
    log.take();
    client.write_all(b"x").unwrap();
    turn_until(&mut reactor, || log.len() > 3);
    let done = log.take();
    assert!(done[..2].contains(&"light".to_owned()), "{done:?}");
}

#[test]
fn what_is_quick_is_done_in_one_turn_in_the_order_it_came() {
    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b", "c"] {
        reactor.spawn(quick(name, &log).boxed());
    }
    let mut orders = Vec::new();
    while orders.len() < 9 {
        reactor.turn(Some(LONG)).unwrap();
        let done = log.take();
        assert!((1..=3).contains(&done.len()), "{done:?}");
        orders.extend(done);
    }
    assert_eq!(orders[..9].concat(), "abcabcabc");
}

#[test]
fn an_event_for_a_channel_that_queues_comes_with_its_turn() {
    let (stream, mut client) = pair();
    let calls = Log::default();
    let mut reactor = Loop::new();
    let (probe, seen) = (Probe::new().owning(stream), calls.clone());
    let probe = probe
        .start(|cx, ()| cx.queue(ZERO))
        .ready(move |_, (_, ready)| seen.add(format!("{ready:?}")));
    reactor.spawn(probe.boxed());
    client.write_all(b"x").unwrap();
    settle(&mut reactor);
    assert_eq!(calls.take(), ["Ready(readable|writable|again)"]);
}

#[test]
fn who_closes_or_sleeps_in_the_queue_is_not_called() {
    let mut reactor = Loop::new();
    reactor.spawn(
        Probe::new()
            .start(|cx, ()| {
                cx.queue(ZERO);
                cx.close();
            })
            .boxed(),
    );
    // Has the slot of the one before.
    reactor.spawn(
        Probe::new()
            .ready(|_, _| panic!("called for another"))
            .boxed(),
    );
    let asleep = Rc::new(RefCell::new(None));
    let (guard, woken) = (asleep.clone(), Rc::new(Cell::new(0)));
    let seen = woken.clone();
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| {
                cx.queue(ZERO);
                *guard.borrow_mut() = Some(cx.del_channel(ZERO));
            })
            .ready(move |_, (_, ready)| {
                assert!(ready.is_woken());
                seen.set(seen.get() + 1);
            })
            .boxed(),
    );
    settle(&mut reactor);
    assert_eq!(woken.get(), 0);
    asleep.borrow_mut().take();
    turn_until(&mut reactor, || woken.get() == 1);
    settle(&mut reactor);
    assert_eq!(woken.get(), 1);
}

#[test]
fn heavy_work_gets_as_much_time_as_light_work_takes() {
    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b", "c"] {
        reactor.spawn(quick(name, &log).boxed());
    }
    let light = Probe::new().start(|cx, ()| cx.again(ZERO)).ready(|cx, _| {
        toil();
        cx.again(ZERO);
    });
    reactor.spawn(light.boxed());
    let deadline = Instant::now() + LONG;
    // All three in a turn, though the machine may have been elsewhere in one turn or the other.
    while log.take().len() < 3 {
        assert!(Instant::now() < deadline, "one a turn");
        reactor.turn(None).unwrap();
    }
}
