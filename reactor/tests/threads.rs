//! Threads: handles, closures, stopping, and channels that sleep.

mod common;

use common::*;
use ftpdlib_reactor::{Interest, Sleeping};
use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn a_thread_sends_and_stops() {
    let mut reactor = Loop::new();
    let sum = Rc::new(Cell::new(0u64));
    let s = sum.clone();
    let key = reactor.spawn(
        Probe::new()
            .message(move |_, m| s.set(s.get() + *m.downcast::<u64>().unwrap()))
            .boxed(),
    );
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = reactor.handle();
            thread::spawn(move || (1..=1000u64).all(|n| handle.send(key, Box::new(n))))
        })
        .collect();
    let handle = reactor.handle();
    let stopper = thread::spawn(move || {
        let all = threads.into_iter().all(|t| t.join().unwrap());
        all && handle.stop()
    });
    reactor.run().unwrap();
    assert!(stopper.join().unwrap());
    assert_eq!(sum.get(), 4 * 500_500);
}

#[test]
fn operations_are_done_in_the_order_they_were_posted() {
    let mut reactor = Loop::new();
    let log = Log::default();
    let l = log.clone();
    let key = reactor.spawn(Probe::new().message(move |_, m| l.add(text(m))).boxed());
    let handle = reactor.handle();
    handle.send(key, message("1"));
    handle.call(move |cx| cx.send(key, message("4")));
    handle.send(key, message("2"));
    handle.stop();
    handle.send(key, message("3"));
    reactor.run().unwrap();
    assert_eq!(log.take(), ["1", "2", "3"]);
    // It may be run again; what a closure sent waited for that.
    handle.stop();
    reactor.run().unwrap();
    assert_eq!(log.take(), ["4"]);
}

#[test]
fn a_context_may_stop_even_before_the_run() {
    let mut reactor = Loop::new();
    reactor.spawn(Probe::new().start(|cx, ()| cx.stop()).boxed());
    reactor.run().unwrap();
    assert_eq!(reactor.len(), 1);
}

#[test]
fn nobody_is_current_in_a_closure() {
    let (mut stream, _client) = pair();
    let mut reactor = Loop::new();
    let (tell, told) = mpsc::channel();
    reactor.handle().call(move |cx| {
        assert!(cx.is_empty());
        let result = cx.register(&mut stream, ZERO, Interest::READABLE);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        let timer = cx.call_later(Duration::ZERO, 1);
        cx.reset(timer, Duration::ZERO);
        cx.cancel(timer);
        cx.again(ZERO);
        cx.close();
        drop(cx.del_channel(ZERO));
        assert!(!cx.is_asleep(ZERO));
        cx.broadcast(|| panic!("there is nobody"));
        let key = cx.spawn(Probe::new().message(|cx, _| cx.stop()).boxed());
        cx.send(key, message("stop"));
        tell.send(cx.len()).unwrap();
    });
    reactor.run().unwrap();
    assert_eq!(told.recv(), Ok(1));
}

#[test]
fn the_handle_knows_when_the_loop_is_gone() {
    let mut reactor = Loop::new();
    let handle = reactor.handle();
    let guard: Rc<RefCell<Option<Sleeping>>> = Rc::default();
    let g = guard.clone();
    let key = reactor.spawn(
        Probe::new()
            .start(move |cx, ()| *g.borrow_mut() = Some(cx.del_channel(ZERO)))
            .boxed(),
    );
    // What is still queued is dropped with the loop.
    let (tell, told) = mpsc::channel::<()>();
    assert!(handle.send(key, Box::new(tell)));
    drop(reactor);
    assert_eq!(told.recv(), Err(mpsc::RecvError));
    assert!(!handle.send(key, message("too late")));
    assert!(!handle.call(|_| panic!("too late")));
    assert!(!handle.stop());
    guard.take().unwrap().add_channel();
}

/// A dispatcher that hands a guard out at every message "sleep" and logs the rest.
fn sleeper() -> (Loop, ftpdlib_reactor::Key, Log, mpsc::Receiver<Sleeping>) {
    let mut reactor = Loop::new();
    let log = Log::default();
    let (give, guards) = mpsc::channel();
    let (ready, timeout, told) = (log.clone(), log.clone(), log.clone());
    let key = reactor.spawn(
        Probe::new()
            .ready(move |cx, (channel, r)| {
                assert!(!cx.is_asleep(channel));
                ready.add(format!("{} {r:?}", channel.index()));
            })
            .timeout(move |_, _| timeout.add("timer"))
            .message(move |cx, m| {
                let m = text(m);
                if m == "sleep" {
                    give.send(cx.del_channel(ONE)).unwrap();
                    assert!(cx.is_asleep(ONE) && !cx.is_asleep(ZERO));
                } else {
                    cx.again(ONE);
                    cx.call_later(Duration::ZERO, 0);
                    told.add(m);
                }
            })
            .boxed(),
    );
    (reactor, key, log, guards)
}

#[test]
fn a_thread_that_panics_wakes_the_channel() {
    let (mut reactor, key, log, guards) = sleeper();
    reactor.handle().send(key, message("sleep"));
    reactor.turn(None).unwrap();
    let guard = guards.recv().unwrap();
    let worker = thread::spawn(move || {
        let _guard = guard;
        panic!("on purpose, in a worker");
    });
    // Nothing is registered, and yet it is called.
    turn_until(&mut reactor, || log.len() > 0);
    assert!(worker.join().is_err());
    assert_eq!(log.take(), ["1 Ready(readable|writable|woken)"]);
}

#[test]
fn messages_and_timers_go_on_but_again_waits() {
    let (mut reactor, key, log, guards) = sleeper();
    let handle = reactor.handle();
    handle.send(key, message("sleep"));
    handle.send(key, message("hello"));
    reactor.turn(None).unwrap();
    settle(&mut reactor);
    assert_eq!(log.take(), ["hello", "timer"]);
    drop(guards.recv().unwrap());
    settle(&mut reactor);
    assert_eq!(log.take(), ["1 Ready(readable|writable|woken)"]);
}

#[test]
fn guards_of_one_channel_nest() {
    let (mut reactor, key, log, guards) = sleeper();
    for _ in 0..3 {
        reactor.handle().send(key, message("sleep"));
    }
    reactor.turn(None).unwrap();
    for _ in 0..2 {
        guards.recv().unwrap().add_channel();
        settle(&mut reactor);
        assert_eq!(log.len(), 0);
    }
    guards.recv().unwrap().add_channel();
    settle(&mut reactor);
    assert_eq!(log.len(), 1);
}

#[test]
fn a_guard_outlives_its_dispatcher_harmlessly() {
    let (mut reactor, key, _, guards) = sleeper();
    reactor.handle().send(key, message("sleep"));
    reactor.turn(None).unwrap();
    reactor.handle().call(move |cx| cx.close_dispatcher(key));
    reactor.turn(None).unwrap();
    assert!(reactor.is_empty());
    let tenant = Probe::new()
        .start(|cx, ()| assert!(!cx.is_asleep(ONE)))
        .ready(|_, _| panic!("a stale wake"));
    reactor.spawn(tenant.boxed());
    drop(guards.recv().unwrap());
    settle(&mut reactor);
    assert_eq!(reactor.len(), 1);
}

/// Events while asleep are not delivered, but nothing of them is lost: not the bytes, not the
/// end of file, and after the wake events come as before.
#[test]
fn events_wait_until_the_channel_is_back() {
    let (stream, mut client) = pair();
    let mut reactor = Loop::new();
    let stream = Rc::new(RefCell::new(stream));
    let guard: Rc<RefCell<Option<Sleeping>>> = Rc::default();
    let log = Log::default();
    let (s, t, g, l) = (stream.clone(), stream.clone(), guard.clone(), log.clone());
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| {
                cx.register(&mut *s.borrow_mut(), ZERO, Interest::READABLE)
                    .unwrap();
            })
            .ready(move |cx, (_, ready)| {
                // Only the first byte is taken before it goes to sleep; the rest is "buffered".
                if l.len() == 0 {
                    let mut byte = [0];
                    std::io::Read::read(&mut *t.borrow_mut(), &mut byte).unwrap();
                    *g.borrow_mut() = Some(cx.del_channel(ZERO));
                    l.add(format!("{byte:?}"));
                } else {
                    assert!(ready.is_readable());
                    let (bytes, end) = drain(&mut t.borrow_mut());
                    let bytes = String::from_utf8(bytes).unwrap();
                    l.add(format!("{bytes} woken={} end={end}", ready.is_woken()));
                }
            })
            .boxed(),
    );
    client.write_all(b"abc").unwrap();
    turn_until(&mut reactor, || log.len() == 1);
    client.write_all(b"def").unwrap();
    settle(&mut reactor);
    assert_eq!(log.len(), 1);

    let sleeping = guard.take().unwrap();
    thread::spawn(move || sleeping.add_channel());
    turn_until(&mut reactor, || log.len() == 2);
    client.write_all(b"ghi").unwrap();
    turn_until(&mut reactor, || log.len() == 3);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    turn_until(&mut reactor, || log.len() == 4);
    assert_eq!(
        log.take(),
        [
            "[97]",
            "bcdef woken=true end=false",
            "ghi woken=false end=false",
            " woken=false end=true"
        ]
    );
}

#[test]
fn an_end_of_file_that_came_while_asleep_is_told_on_waking() {
    let (stream, client) = pair();
    let mut reactor = Loop::new();
    let guard: Rc<RefCell<Option<Sleeping>>> = Rc::default();
    let log = Log::default();
    let (g, l) = (guard.clone(), log.clone());
    reactor.spawn(
        Probe::new()
            .owning(stream)
            .start(move |cx, ()| {
                *g.borrow_mut() = Some(cx.del_channel(ZERO));
            })
            .ready(move |_, (_, ready)| l.add(format!("{ready:?}")))
            .boxed(),
    );
    drop(client);
    settle(&mut reactor);
    assert_eq!(log.len(), 0);
    drop(guard.take());
    settle(&mut reactor);
    assert_eq!(log.take(), ["Ready(readable|writable|read_closed|woken)"]);
}

/// Registering a source interrupts mio's poll(2) backend in a way that can swallow a wake-up.
#[test]
fn a_wake_up_during_a_callback_that_registers_is_not_lost() {
    let mut reactor = Loop::new();
    let done = Rc::new(Cell::new(0));
    let d = done.clone();
    let key = reactor.spawn(
        Probe::new()
            .message(move |cx, m| {
                if text(m) == "register" {
                    let handle = cx.handle();
                    let key = cx.key();
                    thread::spawn(move || handle.send(key, message("wake")))
                        .join()
                        .unwrap();
                    let (mut stream, _client) = pair();
                    cx.register(&mut stream, ZERO, Interest::READABLE).unwrap();
                    cx.deregister(&mut stream, ZERO);
                } else {
                    d.set(d.get() + 1);
                }
            })
            .boxed(),
    );
    for round in 1..=50 {
        reactor.handle().send(key, message("register"));
        turn_until(&mut reactor, || done.get() == round);
    }
}
