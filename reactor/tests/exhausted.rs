//! Out of file descriptors: accepting pauses without spinning, says so once, and comes back. A
//! test program of its own, because the limit is the whole process's.
#![cfg(unix)]

mod common;

use common::*;
use ftpdlib_reactor::{Acceptor, ListenOptions, Listener};
use std::cell::RefCell;
use std::fs::File;
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target() == "ftpdlib_reactor" {
            let line = format!("{} {}", record.level(), record.args());
            LINES.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

/// How many file descriptors this process may have from now on.
fn limit(files: u64) {
    // SAFETY: a struct of two integers, read and written back.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = files as libc::rlim_t;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

#[test]
fn accepting_pauses_and_comes_back() {
    log::set_logger(&Lines).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    limit(128);
    let addr = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(addr, ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut reactor = Loop::new();
    let accepted = Rc::new(RefCell::new(Vec::new()));
    let a = accepted.clone();
    reactor.spawn(Box::new(Acceptor::new(listener, move |_, stream, _| {
        a.borrow_mut().push(stream);
    })));

    for round in 1..=2 {
        let clients: Vec<_> = (0..10).map(|_| StdStream::connect(addr).unwrap()).collect();
        let mut hog: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // Room for three.
        hog.truncate(hog.len() - 3);
        turn_until(&mut reactor, || accepted.borrow().len() == 3);
        // Long enough for several vain tries: at 100 and 300 ms.
        let freed = Rc::new(RefCell::new(None));
        let f = freed.clone();
        let timer = Probe::new()
            .start(|cx, ()| {
                cx.call_later(Duration::from_millis(400), 0);
            })
            .timeout(move |cx, _| {
                *f.borrow_mut() = Some(());
                cx.close();
            });
        reactor.spawn(timer.boxed());
        let turns = turn_until(&mut reactor, || freed.borrow().is_some());
        assert!(turns <= 8, "{turns} turns in 0.4 s");
        assert_eq!(accepted.borrow().len(), 3);

        drop(hog);
        let turns = turn_until(&mut reactor, || accepted.borrow().len() == 10);
        assert!(turns <= 4, "{turns} turns to come back");
        settle(&mut reactor);
        let lines = std::mem::take(&mut *LINES.lock().unwrap());
        assert_eq!(lines.len(), 2, "round {round}: {lines:?}");
        assert!(lines[0].starts_with("WARN ") && lines[0].contains("pauses"));
        assert!(lines[1].starts_with("INFO ") && lines[1].contains("again"));
        accepted.borrow_mut().clear();
        drop(clients);
    }
}
