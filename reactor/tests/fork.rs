//! Forked workers and signals: each process has its own. Alone in its test program, so that no
//! other thread holds a lock when it forks.
#![cfg(target_os = "linux")]

mod common;

use common::*;

/// Watches SIGTERM, raises it, and sees it once.
fn serve() -> bool {
    let mut reactor = Loop::new();
    let log = Log::default();
    let l = log.clone();
    let key = reactor.spawn(Probe::new().signal(move |_, _| l.add("signal")).boxed());
    reactor.watch_signals(key, &[libc::SIGTERM]).unwrap();
    // SAFETY: it is caught, in this process.
    unsafe { libc::raise(libc::SIGTERM) };
    turn_until(&mut reactor, || log.len() > 0);
    settle(&mut reactor);
    log.len() == 1
}

#[test]
fn a_childs_signals_are_its_own() {
    let log = Log::default();
    let l = log.clone();
    let mut reactor = Loop::new();
    let key = reactor.spawn(Probe::new().signal(move |_, _| l.add("parent")).boxed());
    reactor.watch_signals(key, &[libc::SIGTERM]).unwrap();
    // SAFETY: no other thread runs but the harness's, which waits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Its inherited watch is void, so this neither ends it nor reaches the parent.
        // SAFETY: raising a caught signal, and ending without running the parent's destructors.
        unsafe {
            libc::raise(libc::SIGTERM);
            let well = std::panic::catch_unwind(|| serve() && serve());
            libc::_exit(if matches!(well, Ok(true)) { 0 } else { 1 });
        }
    }
    assert!(child > 0);
    let mut status = 0;
    // SAFETY: it waits for its own child.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    settle(&mut reactor);
    assert_eq!(log.len(), 0);
    // SAFETY: it is caught.
    unsafe { libc::raise(libc::SIGTERM) };
    turn_until(&mut reactor, || log.len() == 1);
}
