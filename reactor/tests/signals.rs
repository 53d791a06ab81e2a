//! Signals: watched, shared between loops, restored, and surviving as interruptions. Each test has
//! signals of its own, since they belong to the whole process.
#![cfg(unix)]

mod common;

use common::*;
use ftpdlib_reactor::{Key, Reactor, ignore_signals};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

fn raise(signal: i32) {
    // SAFETY: a signal that is caught or ignored, to this process.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

fn handler_of(signal: i32) -> usize {
    // SAFETY: all zeroes is a valid sigaction, and only the old one is asked for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(
            libc::sigaction(signal, std::ptr::null(), &raw mut action),
            0
        );
        action.sa_sigaction
    }
}

fn watcher(reactor: &mut Reactor, name: &'static str, log: &Log) -> Key {
    let log = log.clone();
    let probe = Probe::new().signal(move |_, signal| log.add(format!("{name} {signal}")));
    reactor.spawn(probe.boxed())
}

#[test]
fn a_signal_reaches_every_watcher_and_is_restored() {
    let signal = libc::SIGUSR1;
    let before = handler_of(signal);
    let log = Log::default();
    let mut one = Loop::new();
    let mut two = Loop::new();
    let a = watcher(&mut one, "a", &log);
    let b = watcher(&mut one, "b", &log);
    let c = watcher(&mut two, "c", &log);
    one.watch_signals(a, &[signal]).unwrap();
    one.watch_signals(a, &[signal]).unwrap();
    one.watch_signals(b, &[signal]).unwrap();
    two.watch_signals(c, &[signal]).unwrap();
    assert_ne!(handler_of(signal), before);

    raise(signal);
    turn_until(&mut one, || log.len() == 2);
    turn_until(&mut two, || log.len() == 3);
    let expected = ["a", "b", "c"].map(|name| format!("{name} {signal}"));
    assert_eq!(log.take(), expected);

    // Two of them are two.
    raise(signal);
    raise(signal);
    turn_until(&mut two, || log.len() == 2);
    log.take();
    drop(two);
    turn_until(&mut one, || log.len() == 4);
    log.take();

    // The other loop goes on, until its last watcher is closed.
    raise(signal);
    turn_until(&mut one, || log.len() == 2);
    for key in [a, b] {
        assert_ne!(handler_of(signal), before);
        one.handle().call(move |cx| cx.close_dispatcher(key));
        one.turn(None).unwrap();
    }
    assert_eq!(handler_of(signal), before);
}

#[test]
fn a_signal_wakes_a_waiting_loop() {
    let signal = libc::SIGUSR2;
    let mut reactor = Loop::new();
    let key = reactor.spawn(
        Probe::new()
            .signal(|cx, signal| {
                assert_eq!(signal, libc::SIGUSR2);
                cx.stop();
            })
            .boxed(),
    );
    reactor.watch_signals(key, &[signal]).unwrap();
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        raise(signal);
    });
    reactor.run().unwrap();
    sender.join().unwrap();
}

#[test]
fn a_flood_of_one_signal_hides_no_other() {
    let (flood, rare) = (libc::SIGVTALRM, libc::SIGPROF);
    let mut reactor = Loop::new();
    let log = Log::default();
    let l = log.clone();
    let probe = Probe::new().signal(move |_, signal| {
        if signal == libc::SIGPROF {
            l.add("rare");
        }
    });
    let key = reactor.spawn(probe.boxed());
    reactor.watch_signals(key, &[flood, rare]).unwrap();
    // More than any pair of sockets holds while nobody reads.
    (0..200_000).for_each(|_| raise(flood));
    raise(rare);
    turn_until(&mut reactor, || log.len() > 0);
    settle(&mut reactor);
    assert_eq!(log.len(), 1);
}

#[test]
fn what_came_for_a_loop_that_is_gone_does_not_reach_the_next() {
    let signal = libc::SIGWINCH;
    let log = Log::default();
    for _ in 0..3 {
        let mut reactor = Loop::new();
        let key = watcher(&mut reactor, "a", &log);
        reactor.watch_signals(key, &[signal]).unwrap();
        settle(&mut reactor);
        assert_eq!(log.len(), 0);
        raise(signal);
    }
}

#[test]
fn somebody_elses_later_handler_stays() {
    extern "C" fn theirs(_: libc::c_int) {}
    let signal = libc::SIGURG;
    let theirs = theirs as *const () as usize;
    let mut reactor = Loop::new();
    let key = watcher(&mut reactor, "a", &Log::default());
    reactor.watch_signals(key, &[signal]).unwrap();
    // SAFETY: a handler that does nothing.
    unsafe { libc::signal(signal, theirs) };
    drop(reactor);
    assert_eq!(handler_of(signal), theirs);
}

#[test]
fn what_cannot_be_watched_is_an_error_and_changes_nothing() {
    let before = handler_of(libc::SIGCONT);
    let mut reactor = Loop::new();
    let key = watcher(&mut reactor, "a", &Log::default());
    for bad in [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        0,
        -1,
        65,
        i32::MAX,
    ] {
        let error = reactor
            .watch_signals(key, &[libc::SIGCONT, bad])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(handler_of(libc::SIGCONT), before);
    }
    reactor.handle().call(move |cx| {
        cx.close_dispatcher(key);
        cx.stop();
    });
    reactor.run().unwrap();
    let error = reactor.watch_signals(key, &[libc::SIGCONT]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_panic_in_signal_closes_the_watcher() {
    let signal = libc::SIGIO;
    let mut reactor = Loop::new();
    let key = reactor.spawn(
        Probe::new()
            .signal(|_, _| panic!("on purpose, in signal"))
            .closed(|cx, ()| cx.stop())
            .boxed(),
    );
    reactor.watch_signals(key, &[signal]).unwrap();
    raise(signal);
    reactor.run().unwrap();
    assert!(reactor.is_empty());
}

#[test]
fn interruptions_do_not_end_the_run() {
    static CAUGHT: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: libc::c_int) {
        CAUGHT.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: all zeroes is a valid sigaction, without SA_RESTART; the handler touches one atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
    }
    let mut reactor = Loop::new();
    let handle = reactor.handle();
    // SAFETY: just its own name.
    let this = unsafe { libc::pthread_self() } as usize;
    let done = Arc::new(AtomicBool::new(false));
    let d = done.clone();
    let sender = thread::spawn(move || {
        while CAUGHT.load(Ordering::SeqCst) < 20 {
            // SAFETY: that thread waits for this one before it ends.
            unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGALRM) };
            thread::sleep(Duration::from_millis(1));
        }
        d.store(true, Ordering::SeqCst);
        handle.stop();
    });
    reactor.run().unwrap();
    assert!(done.load(Ordering::SeqCst));
    sender.join().unwrap();
}

#[test]
fn ignoring() {
    // One test at a time may look at SIGPIPE.
    static PIPE: Mutex<()> = Mutex::new(());
    let _alone = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    ignore_signals(&[libc::SIGPIPE, libc::SIGXFSZ]).unwrap();
    assert_eq!(handler_of(libc::SIGXFSZ), libc::SIG_IGN);
    raise(libc::SIGXFSZ);
    let error = ignore_signals(&[libc::SIGKILL]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
