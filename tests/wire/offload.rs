//! `del_channel`: a client sleeps while a thread works for it, and nobody else does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ftpdlib::{CommandLine, Handler, Session, Sleeping, Transferred, Verdict};

use crate::common::made_up::{AllMadeUp, Gate, MadeUp};
use crate::common::{PATIENCE, Record, TestServer};

/// Takes its client off the loop after each upload, and hands the guard to the test.
struct Scanner(Sender<Sleeping>);

impl Handler for Scanner {
    fn on_file_received(&mut self, session: &mut Session<'_>, _: &Transferred) {
        // A test that has ended is no concern of a session that has not.
        let _ = self.0.send(session.del_channel());
    }
}

fn scanner() -> (TestServer, Receiver<Sleeping>) {
    let (send, receive) = channel();
    let server = TestServer::with(|builder| {
        let send = std::sync::Mutex::new(send);
        builder.handler(move |_| Scanner(send.lock().unwrap().clone()))
    });
    (server, receive)
}

#[test]
fn others_go_on_while_one_sleeps() {
    let (server, guards) = scanner();
    let mut other = server.login();
    let mut client = server.login();
    client.upload("STOR file", "x");
    let guard = guards.recv_timeout(PATIENCE).unwrap();
    client.send("NOOP\r\nPWD\r\n");
    for _ in 0..20 {
        other.expect_alive();
        other.list("LIST");
    }
    assert!(client.is_silent(), "the sleeper answered");
    guard.add_channel();
    client.expect_replies(&[226, 200, 257]);
}

#[test]
fn what_had_been_read_before_is_run_on_waking() {
    let (server, guards) = scanner();
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    // In one segment with what puts the session to sleep, so that no event announces them again.
    std::io::Write::write_all(&mut data, b"x").unwrap();
    drop(data);
    client.send("NOOP\r\nPWD\r\nSYST\r\n");
    let guard = guards.recv_timeout(PATIENCE).unwrap();
    drop(guard);
    let mut codes: Vec<u16> = (0..4).map(|_| client.reply().code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 215, 226, 257]);
}

#[test]
fn a_thread_wakes_it_even_by_a_panic() {
    let (server, guards) = scanner();
    let mut client = server.login();
    client.upload("STOR file", "x");
    let guard = guards.recv_timeout(PATIENCE).unwrap();
    client.line("NOOP");
    let worker = thread::spawn(move || {
        let _guard = guard;
        panic!("a worker that panics, as a test");
    });
    assert!(worker.join().is_err());
    client.expect_replies(&[226, 200]);
    client.upload("STOR file", "y");
    thread::spawn({
        let guard = guards.recv_timeout(PATIENCE).unwrap();
        move || guard.add_channel()
    })
    .join()
    .unwrap();
    client.expect_reply(226);
    client.expect_alive();
}

#[test]
fn a_guard_may_outlive_its_client_and_its_server() {
    let (server, guards) = scanner();
    let mut client = server.login();
    client.upload("STOR file", "x");
    let of_client = guards.recv_timeout(PATIENCE).unwrap();
    drop(client);
    let mut client = server.login();
    client.upload("STOR file", "x");
    let of_server = guards.recv_timeout(PATIENCE).unwrap();
    of_client.add_channel();
    server.login();
    drop(server);
    of_server.add_channel();
    client.expect_end();
}

#[test]
fn many_sleep_at_once_and_all_wake() {
    let (server, guards) = scanner();
    let mut clients: Vec<_> = (0..30).map(|_| server.login()).collect();
    // A line that comes while the transfer runs is answered at once: it waits for the guard.
    let guards: Vec<_> = (clients.iter_mut().enumerate())
        .map(|(at, client)| {
            client.upload(format!("STOR file{at}"), "x");
            let guard = guards.recv_timeout(PATIENCE).unwrap();
            client.line("NOOP");
            guard
        })
        .collect();
    assert!(clients.iter_mut().all(|client| client.is_silent()));
    server.login();
    drop(guards);
    for client in &mut clients {
        client.expect_replies(&[226, 200]);
    }
}

/// Sleeps twice over.
struct Twice(Sender<Sleeping>, Arc<Record>);

impl Handler for Twice {
    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        self.1.add(&*command.name);
        if command.name == "FEAT" {
            let _ = self.0.send(session.del_channel());
            let _ = self.0.send(session.del_channel());
        }
        Verdict::Run
    }
}

#[test]
fn two_guards_are_two() {
    let (send, guards) = channel();
    let record = crate::common::record();
    let for_handlers = record.clone();
    let server = TestServer::with(|builder| {
        let send = std::sync::Mutex::new(send);
        builder.handler(move |_| Twice(send.lock().unwrap().clone(), for_handlers.clone()))
    });
    let mut client = server.login();
    client.send("FEAT\r\nNOOP\r\n");
    let one = guards.recv_timeout(PATIENCE).unwrap();
    let two = guards.recv_timeout(PATIENCE).unwrap();
    drop(one);
    server.login();
    assert_eq!(record.count("NOOP"), 0, "awake by the first");
    drop(two);
    client.expect_replies(&[211, 200]);
}

/// A login waits for the gate.
fn slow_logins() -> (TestServer, Gate) {
    let gate = Gate::default();
    let files = MadeUp {
        count: 1,
        before_gate: usize::MAX,
        gate: Gate::default(),
        slow: false,
    };
    let authorizer = AllMadeUp {
        files,
        slow_login: Some(gate.clone()),
    };
    let server = TestServer::with(|builder| builder.authorizer(authorizer));
    (server, gate)
}

#[test]
fn a_slow_login_keeps_only_its_own_client_waiting() {
    let (server, gate) = slow_logins();
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send("USER slow\r\nPASS x\r\nPWD\r\n");
        client.expect_reply(331);
    }
    let mut other = server.connect();
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(waiting.iter_mut().all(|client| client.is_silent()));
    gate.open();
    for client in &mut waiting {
        client.expect_replies(&[230, 257]);
    }
    other.login();
    other.expect("USER x", 331);
    other.expect("PASS wrong", 530).contains("Not that one");
}

#[test]
fn a_server_can_be_stopped_while_a_login_is_slow() {
    let (server, gate) = slow_logins();
    let mut client = server.connect();
    client.send("USER slow\r\nPASS x\r\n");
    client.expect_reply(331);
    let stopping = thread::spawn(move || server.stop());
    gate.open();
    stopping.join().unwrap();
}
