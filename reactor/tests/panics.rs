//! A panic costs the dispatcher it happens in, and nobody else.

mod common;

use common::*;
use ftpdlib_reactor::Key;
use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

/// A loop with a witness on it: whoever panics, the witness goes on answering.
struct Scene {
    reactor: Loop,
    witness: Key,
    heard: Rc<Cell<u32>>,
    log: Log,
}

impl Scene {
    fn new() -> Scene {
        let mut reactor = Loop::new();
        let heard = Rc::new(Cell::new(0));
        let h = heard.clone();
        let witness = Probe::new().message(move |_, _| h.set(h.get() + 1));
        let witness = reactor.spawn(witness.boxed());
        Scene {
            reactor,
            witness,
            heard,
            log: Log::default(),
        }
    }

    /// A probe that notes its end.
    fn victim(&self) -> Probe {
        let (closed, dropped) = (self.log.clone(), self.log.clone());
        Probe::new()
            .closed(move |_, ()| closed.add("closed"))
            .dropped(move || dropped.add("dropped"))
    }

    /// The victim must come to this end, and the witness must not.
    fn ends(&mut self, how: &[&str]) {
        let log = self.log.clone();
        turn_until(&mut self.reactor, || log.len() >= how.len());
        settle(&mut self.reactor);
        assert_eq!(self.log.take(), how);
        assert_eq!(self.reactor.len(), 1);
        let heard = self.heard.get();
        self.reactor.handle().send(self.witness, message("alive?"));
        self.reactor.turn(None).unwrap();
        assert_eq!(self.heard.get(), heard + 1);
    }
}

#[test]
fn in_start() {
    let mut scene = Scene::new();
    let victim = scene.victim().start(|_, ()| panic!("on purpose, in start"));
    scene.reactor.spawn(victim.boxed());
    scene.ends(&["closed", "dropped"]);
}

#[test]
fn in_ready() {
    let mut scene = Scene::new();
    let (stream, mut client) = pair();
    let victim = scene
        .victim()
        .owning(stream)
        .ready(|_, _| panic!("on purpose, in ready"));
    scene.reactor.spawn(victim.boxed());
    client.write_all(b"x").unwrap();
    scene.ends(&["closed", "dropped"]);
}

#[test]
fn in_timeout_and_its_other_timers_die() {
    let mut scene = Scene::new();
    let victim = scene
        .victim()
        .start(|cx, ()| {
            cx.call_every(Duration::from_millis(1), 1);
            cx.call_later(Duration::from_millis(1), 2);
        })
        .timeout(|_, (_, tag)| panic!("on purpose, in timeout {tag}"));
    scene.reactor.spawn(victim.boxed());
    scene.ends(&["closed", "dropped"]);
    scene.reactor.turn(Some(Duration::from_millis(10))).unwrap();
    assert_eq!(scene.log.len(), 0);
}

#[test]
fn in_message() {
    let mut scene = Scene::new();
    let victim = scene
        .victim()
        .message(|_, _| panic!("on purpose, in message"));
    let key = scene.reactor.spawn(victim.boxed());
    scene.reactor.handle().send(key, message("die"));
    scene.ends(&["closed", "dropped"]);
}

#[test]
fn in_closed() {
    let mut scene = Scene::new();
    let log = scene.log.clone();
    let victim = scene
        .victim()
        .start(|cx, ()| cx.close())
        .closed(move |_, ()| {
            log.add("closing");
            panic!("on purpose, in closed");
        });
    scene.reactor.spawn(victim.boxed());
    scene.ends(&["closing", "dropped"]);
}

#[test]
fn in_drop() {
    let mut scene = Scene::new();
    let log = scene.log.clone();
    let victim = scene.victim().start(|cx, ()| cx.close()).dropped(move || {
        log.add("dropping");
        panic!("on purpose, in drop");
    });
    scene.reactor.spawn(victim.boxed());
    scene.ends(&["closed", "dropping"]);
}

#[test]
fn in_a_callback_and_then_in_closed_and_then_in_drop() {
    let mut scene = Scene::new();
    let (closed, dropped) = (scene.log.clone(), scene.log.clone());
    let victim = Probe::new()
        .message(|_, _| panic!("on purpose, first"))
        .closed(move |_, ()| {
            closed.add("closing");
            panic!("on purpose, second");
        })
        .dropped(move || {
            dropped.add("dropping");
            panic!("on purpose, third");
        });
    let key = scene.reactor.spawn(victim.boxed());
    scene.reactor.handle().send(key, message("die"));
    scene.ends(&["closing", "dropping"]);
}

#[test]
fn in_a_posted_closure() {
    let mut scene = Scene::new();
    let handle = scene.reactor.handle();
    let witness = scene.witness;
    handle.call(|_| panic!("on purpose, in a closure"));
    handle.call(move |cx| cx.send(witness, message("after it")));
    let heard = scene.heard.clone();
    turn_until(&mut scene.reactor, || heard.get() == 1);
    scene.ends(&[]);
}

#[test]
fn in_the_drop_of_a_message_that_nobody_gets() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose, in a message's drop");
        }
    }
    let mut scene = Scene::new();
    let gone = scene
        .reactor
        .spawn(Probe::new().start(|cx, ()| cx.close()).boxed());
    scene.reactor.handle().send(gone, Box::new(Bomb));
    scene.ends(&[]);
}

#[test]
fn what_the_callback_had_asked_for_before_it_panicked_is_done() {
    let mut scene = Scene::new();
    let log = scene.log.clone();
    let victim = scene.victim().message(move |cx, _| {
        let log = log.clone();
        let child = Probe::new().start(move |cx, ()| {
            log.add("child");
            cx.close();
        });
        cx.spawn(child.boxed());
        panic!("on purpose, after spawning");
    });
    let key = scene.reactor.spawn(victim.boxed());
    scene.reactor.handle().send(key, message("die"));
    scene.ends(&["child", "closed", "dropped"]);
}
