//! The order of a turn, opening and closing, stale names, and `again`.

mod common;

use common::*;
use ftpdlib_reactor::{Channel, Context, Dispatcher, Interest, Key, Message, Ready, TcpStream};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A probe that logs its calls; it reads its stream when called for an event.
fn logging(name: &'static str, log: &Log) -> Probe {
    let (ready, timeout, told, closed) = (log.clone(), log.clone(), log.clone(), log.clone());
    Probe::new()
        .ready(move |_, (channel, r)| {
            let why = match (r.is_again(), r.is_woken()) {
                (true, _) => "again",
                (_, true) => "woken",
                _ => "event",
            };
            ready.add(format!("{name} {} {why}", channel.index()));
        })
        .timeout(move |_, (_, tag)| timeout.add(format!("{name} timer {tag}")))
        .message(move |_, m| told.add(format!("{name} message {}", text(m))))
        .closed(move |_, ()| closed.add(format!("{name} closed")))
}

/// As `Probe::owning`, for a stream that the test wants to get at.
fn registering(probe: Probe, stream: TcpStream) -> (Probe, Rc<RefCell<TcpStream>>) {
    let stream = Rc::new(RefCell::new(stream));
    let mine = stream.clone();
    let probe = probe.start(move |cx, ()| {
        cx.register(&mut *mine.borrow_mut(), ZERO, Interest::READABLE)
            .unwrap();
    });
    (probe, stream)
}

#[test]
fn the_phases_of_a_turn_are_in_order() {
    let (stream, mut client) = pair();
    let log = Log::default();
    let mut reactor = Loop::new();
    let probe = logging("a", &log).owning(stream).start(move |cx, ()| {
        // In the opposite order of what has to come.
        cx.send(cx.key(), message("m"));
        cx.call_later(Duration::ZERO, 7);
        cx.again(ONE);
    });
    reactor.spawn(probe.boxed());
    client.write_all(b"x").unwrap();
    reactor.turn(None).unwrap();
    assert_eq!(
        log.take(),
        ["a 0 event", "a 1 again", "a timer 7", "a message m"]
    );
}

#[test]
fn start_comes_after_the_callback_and_before_anything_else() {
    let log = Log::default();
    let mut reactor = Loop::new();
    let l = log.clone();
    let key = reactor.spawn(
        Probe::new()
            .message(move |cx, _| {
                l.add("parent in");
                let (start, closed, m) = (l.clone(), l.clone(), l.clone());
                let child = cx.spawn(
                    Probe::new()
                        .start(move |_, ()| start.add("child start"))
                        .message(move |_, _| m.add("child message"))
                        .closed(move |_, ()| closed.add("child closed"))
                        .boxed(),
                );
                cx.send(child, message("hello"));
                assert_eq!(cx.len(), 2);
                l.add("parent out");
            })
            .boxed(),
    );
    reactor.handle().send(key, message("go"));
    reactor.turn(None).unwrap();
    assert_eq!(log.take(), ["parent in", "parent out", "child start"]);
    // Posted in the phase of posted things, so it waited a turn, and the loop does not wait.
    reactor.turn(Some(LONG)).unwrap();
    assert_eq!(log.take(), ["child message"]);
}

#[test]
fn one_that_is_closed_at_once_is_started_first() {
    let log = Log::default();
    let mut reactor = Loop::new();
    let l = log.clone();
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| {
                let (start, closed, dropped) = (l.clone(), l.clone(), l.clone());
                let child = Probe::new()
                    .start(move |_, ()| start.add("start"))
                    .closed(move |_, ()| closed.add("closed"))
                    .dropped(move || dropped.add("dropped"));
                let child = cx.spawn(child.boxed());
                cx.close_dispatcher(child);
                cx.close_dispatcher(child);
            })
            .boxed(),
    );
    assert_eq!(log.take(), ["start", "closed", "dropped"]);
    assert_eq!(reactor.len(), 1);
}

#[test]
fn closing_waits_for_the_callback_and_closes_the_socket() {
    let (stream, mut client) = pair();
    let log = Log::default();
    let mut reactor = Loop::new();
    let (l, c) = (log.clone(), log.clone());
    reactor.spawn(
        Probe::new()
            .owning(stream)
            .ready(move |cx, _| {
                cx.call_later(Duration::from_millis(1), 1);
                cx.close();
                cx.again(ZERO);
                cx.call_later(Duration::ZERO, 2);
                cx.send(cx.key(), message("to nobody"));
                l.add("ready");
            })
            .timeout(|_, _| panic!("the timers die with it"))
            .message(|_, _| panic!("it is closed"))
            .closed(move |_, ()| c.add("closed"))
            .boxed(),
    );
    client.write_all(b"x").unwrap();
    turn_until(&mut reactor, || log.len() == 2);
    assert_eq!(log.take(), ["ready", "closed"]);
    assert!(reactor.is_empty());
    // The loop's side is closed: with the byte unread that is a reset, else an end of file.
    let mut byte = [0];
    assert!(matches!(
        std::io::Read::read(&mut client, &mut byte),
        Ok(0) | Err(_)
    ));
    reactor.turn(Some(Duration::from_millis(20))).unwrap();
    assert_eq!(log.len(), 0);
}

/// Whoever of two is called first closes the other, whose event is in the same batch; somebody
/// else gets the slot before that event's turn comes.
#[test]
fn an_event_does_not_reach_the_next_tenant_of_its_slot() {
    let mut reactor = Loop::new();
    let keys: Rc<RefCell<Vec<Key>>> = Rc::default();
    let tenant: Rc<Cell<Option<Key>>> = Rc::default();
    let called = Rc::new(Cell::new(0));
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (stream, client) = pair();
        clients.push(client);
        let (all, tenant, called) = (keys.clone(), tenant.clone(), called.clone());
        let probe = Probe::new().owning(stream).ready(move |cx, _| {
            called.set(called.get() + 1);
            let other = *all.borrow().iter().find(|&&key| key != cx.key()).unwrap();
            cx.close_dispatcher(other);
            let tenant = tenant.clone();
            cx.spawn(
                Probe::new()
                    .start(move |cx, ()| {
                        let newcomer = Probe::new().ready(|_, _| panic!("a stale event"));
                        tenant.set(Some(cx.spawn(newcomer.boxed())));
                    })
                    .boxed(),
            );
        });
        keys.borrow_mut().push(reactor.spawn(probe.boxed()));
    }
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    turn_until(&mut reactor, || called.get() > 0);
    settle(&mut reactor);
    assert_eq!(called.get(), 1);
    let slot = |key: Key| format!("{key:?}").split(',').next().unwrap().to_string();
    let tenant = tenant.get().unwrap();
    let evicted = keys.borrow().iter().any(|&key| slot(key) == slot(tenant));
    assert!(evicted, "the slot was not reused, so nothing was tested");
    assert!(!keys.borrow().contains(&tenant));
}

#[test]
fn messages_and_timers_of_a_closed_one_do_not_reach_the_next_tenant() {
    let mut reactor = Loop::new();
    let old = reactor.spawn(
        Probe::new()
            .start(|cx, ()| {
                cx.call_later(Duration::from_millis(1), 1);
                cx.again(ZERO);
                cx.close();
            })
            .boxed(),
    );
    assert!(reactor.is_empty());
    let new = reactor.spawn(
        Probe::new()
            .ready(|_, _| panic!("a stale again"))
            .message(|_, _| panic!("a stale message"))
            .timeout(|_, _| panic!("a stale timer"))
            .boxed(),
    );
    assert_ne!(old, new);
    assert!(reactor.handle().send(old, message("late")));
    settle(&mut reactor);
    reactor.turn(Some(Duration::from_millis(10))).unwrap();
    assert_eq!(reactor.len(), 1);
}

#[test]
fn again_gives_one_call_per_turn_and_everybody_a_turn() {
    let (stream, mut client) = pair();
    let mut reactor = Loop::new();
    let greedy = Rc::new(Cell::new(0));
    let g = greedy.clone();
    reactor.spawn(
        Probe::new()
            .start(|cx, ()| cx.again(ZERO))
            .ready(move |cx, (_, ready)| {
                assert!(ready.is_again() && ready.is_readable() && ready.is_writable());
                g.set(g.get() + 1);
                cx.again(ZERO);
                cx.again(ZERO);
            })
            .boxed(),
    );
    let modest = Rc::new(Cell::new(0));
    let m = modest.clone();
    reactor.spawn(
        Probe::new()
            .owning(stream)
            .ready(move |_, _| m.set(m.get() + 1))
            .boxed(),
    );
    for turns in 1..=10 {
        reactor.turn(None).unwrap();
        assert_eq!(greedy.get(), turns);
    }
    client.write_all(b"x").unwrap();
    let turns = turn_until(&mut reactor, || modest.get() == 1);
    assert!(turns <= 2, "{turns}");
}

#[test]
fn an_event_for_a_channel_that_waits_for_again_comes_with_it() {
    let (stream, mut client) = pair();
    let log = Log::default();
    let mut reactor = Loop::new();
    let l = log.clone();
    let probe = Probe::new().owning(stream).ready(move |cx, (_, ready)| {
        l.add(format!("{ready:?}"));
        if !ready.is_again() {
            cx.again(ZERO);
        }
    });
    reactor.spawn(probe.boxed());
    client.write_all(b"x").unwrap();
    turn_until(&mut reactor, || log.len() == 1);
    // Another event for the turn in which the again is due.
    client.shutdown(std::net::Shutdown::Write).unwrap();
    reactor.turn(None).unwrap();
    let calls = log.take();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[1].contains("again"), "{calls:?}");
}

#[test]
fn broadcast_reaches_all_but_the_sender() {
    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b"] {
        reactor.spawn(logging(name, &log).boxed());
    }
    let sender = logging("c", &log).start(|cx, ()| cx.broadcast(|| message("hi")));
    reactor.spawn(sender.boxed());
    reactor.turn(None).unwrap();
    assert_eq!(log.take(), ["a message hi", "b message hi"]);
}

#[test]
fn a_broadcast_may_be_for_those_of_one_type() {
    /// Another than the others.
    struct Other(Log);

    impl Dispatcher for Other {
        fn ready(&mut self, _: &mut Context<'_>, _: Channel, _: Ready) {}

        fn message(&mut self, cx: &mut Context<'_>, _: Message) {
            self.0.add("other");
            // Not to itself.
            cx.broadcast_to::<Other>(|| message("once more"));
        }
    }

    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b"] {
        reactor.spawn(logging(name, &log).boxed());
    }
    reactor.spawn(Box::new(Other(log.clone())));
    let handle = reactor.handle();
    handle.call(|cx| cx.broadcast_to::<Other>(|| message("hi")));
    handle.call(|cx| cx.broadcast_to::<Probe>(|| message("you")));
    turn_until(&mut reactor, || log.len() >= 3);
    reactor.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(log.take(), ["other", "a message you", "b message you"]);
}

#[test]
fn moving_a_stream_to_another_dispatcher() {
    let (stream, mut client) = pair();
    let log = Log::default();
    let mut reactor = Loop::new();
    let (probe, stream) = registering(logging("a", &log), stream);
    reactor.spawn(probe.boxed());
    let s = stream.clone();
    let second = logging("b", &log).start(move |cx, ()| {
        let stream = &mut *s.borrow_mut();
        assert!(cx.register(stream, ONE, Interest::READABLE).is_err());
        cx.deregister(stream, ZERO);
        cx.deregister(stream, ZERO);
        cx.register(stream, ONE, Interest::READABLE).unwrap();
    });
    reactor.spawn(second.boxed());
    client.write_all(b"x").unwrap();
    turn_until(&mut reactor, || log.len() > 0);
    settle(&mut reactor);
    assert_eq!(log.take(), ["b 1 event"]);
    assert_eq!(drain(&mut stream.borrow_mut()).0, b"x");
}

/// A hang-up must not leave the source unusable (mio's poll(2) backend forgets such sources).
#[test]
fn reregistering_after_a_hang_up_announces_it_again() {
    let (stream, client) = pair();
    let log = Log::default();
    let mut reactor = Loop::new();
    let (probe, stream) = registering(logging("a", &log), stream);
    let s = stream.clone();
    let probe = probe.message(move |cx, _| {
        let stream = &mut *s.borrow_mut();
        cx.reregister(stream, ONE, Interest::READABLE | Interest::WRITABLE)
            .unwrap();
    });
    let key = reactor.spawn(probe.boxed());
    stream.borrow().shutdown(std::net::Shutdown::Write).unwrap();
    drop(client);
    turn_until(&mut reactor, || log.len() > 0);
    log.take();
    reactor.handle().send(key, message("now"));
    turn_until(&mut reactor, || log.len() > 0);
    assert_eq!(log.take()[0], "a 1 event");
    assert!(drain(&mut stream.borrow_mut()).1);
}

#[test]
fn dropping_the_reactor_closes_everybody() {
    let log = Log::default();
    let mut reactor = Loop::new();
    for name in ["a", "b", "c"] {
        let (closed, dropped) = (log.clone(), log.clone());
        let mortal = Probe::new()
            .closed(move |cx, ()| {
                closed.add(format!("{name} closed"));
                // Nobody comes back to life.
                let late = closed.clone();
                cx.spawn(Probe::new().start(move |_, ()| late.add("late")).boxed());
                assert!(name != "b", "on purpose, in `closed`");
            })
            .dropped(move || dropped.add(format!("{name} dropped")));
        reactor.spawn(mortal.boxed());
    }
    drop(reactor);
    assert_eq!(
        log.take(),
        [
            "a closed",
            "a dropped",
            "b closed",
            "b dropped",
            "c closed",
            "c dropped"
        ]
    );
}

#[test]
fn an_idle_loop_waits() {
    let mut reactor = Loop::new();
    reactor.spawn(Probe::new().boxed());
    let begin = Instant::now();
    reactor.turn(Some(Duration::from_millis(50))).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(50));
}

#[test]
fn the_scratch_buffer_is_one_and_large() {
    let mut reactor = Loop::new();
    let place: Rc<Cell<usize>> = Rc::default();
    for _ in 0..2 {
        let place = place.clone();
        let user = Probe::new().start(move |cx, ()| {
            let buffer = cx.scratch();
            assert_eq!(buffer.len(), 1088 * 1024);
            let address = buffer.as_ptr() as usize;
            assert!(place.get() == 0 || place.get() == address);
            place.set(address);
        });
        reactor.spawn(user.boxed());
    }
    assert_eq!(reactor.len(), 2);
}

#[test]
fn ten_thousand_idle_ones_and_a_message_to_each() {
    let mut reactor = Loop::new();
    let told = Rc::new(Cell::new(0));
    for _ in 0..10_000 {
        let told = told.clone();
        reactor.spawn(
            Probe::new()
                .message(move |cx, _| {
                    told.set(told.get() + 1);
                    cx.close();
                })
                .boxed(),
        );
    }
    reactor
        .handle()
        .call(|cx| cx.broadcast(|| message("all of you")));
    turn_until(&mut reactor, || told.get() == 10_000);
    assert!(reactor.is_empty());
}
