//! A server that is told what to do by the program that it is part of.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use ftpdlib::reactor::{
    Acceptor, Channel, Context, Dispatcher, ListenOptions, Listener, Message, Reactor, Ready,
};
use ftpdlib::{
    Builder, CommandLine, DummyAuthorizer, FtpServer, Handler, Perm, ServerHandle, Session,
    Verdict, Workers,
};

use crate::common::client::{expect_data_end, is_refused};
use crate::common::{Client, PATIENCE};
use crate::model::wait_for;

/// The models whose callbacks run in the program itself.
const MODELS: [Workers; 2] = [Workers::Async, Workers::MultiThread];

fn builder(home: &std::path::Path, workers: Workers) -> Builder {
    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", home, Perm::ALL).unwrap();
    FtpServer::builder().authorizer(users).workers(workers)
}

fn spawn(builder: Builder) -> ServerHandle {
    builder.bind("127.0.0.1:0").unwrap().spawn().unwrap()
}

fn login(server: &ServerHandle) -> Client {
    let mut client = Client::connect(server.local_addr());
    client.expect_reply(220);
    client.login();
    client
}

#[test]
fn close_lets_clients_go_on_and_ends_with_the_last() {
    for workers in MODELS {
        let home = tempfile::tempdir().unwrap();
        let server = spawn(builder(home.path(), workers));
        let addr = server.local_addr();
        let mut client = login(&server);
        let control = server.control().clone();
        std::thread::spawn(move || control.close()).join().unwrap();
        wait_for("the listening socket's end", || is_refused(addr));
        client.expect_alive();
        client.put("STOR file", "whole");
        client.expect("QUIT", 221);
        server.join();
        assert_eq!(std::fs::read(home.path().join("file")).unwrap(), b"whole");
    }
}

#[test]
fn drain_sends_the_idle_away_and_close_all_everybody() {
    for workers in MODELS {
        let home = tempfile::tempdir().unwrap();
        let server = spawn(builder(home.path(), workers));
        let (mut idle, mut client) = (login(&server), login(&server));
        let mut data = client.begin("STOR file");
        data.write_all(b"part").unwrap();
        server.control().drain();
        idle.expect_reply(421);
        idle.expect_end();
        client.line("NOOP");
        server.close_all();
        expect_data_end(data);
    }
}

#[test]
fn an_order_that_comes_before_the_server_serves_is_kept() {
    for workers in MODELS {
        let home = tempfile::tempdir().unwrap();
        let server = builder(home.path(), workers)
            .handle_signals(false)
            .bind("127.0.0.1:0")
            .unwrap();
        server.control().close_all();
        server.serve_forever().unwrap();
    }
}

struct Blocker(Arc<(mpsc::SyncSender<()>, std::sync::Mutex<mpsc::Receiver<()>>)>);

impl Handler for Blocker {
    fn on_command(&mut self, _: &mut Session<'_>, command: &CommandLine) -> Verdict {
        if command.name == "STAT" {
            self.0.0.send(()).expect("the test is there");
            let wait = self.0.1.lock().expect("no panic");
            wait.recv_timeout(PATIENCE).expect("the test goes on");
        }
        Verdict::Run
    }
}

#[test]
fn with_threads_a_callback_may_block() {
    let home = tempfile::tempdir().unwrap();
    let (blocked, is_blocked) = mpsc::sync_channel(1);
    let (go_on, goes_on) = mpsc::channel();
    let gate = Arc::new((blocked, std::sync::Mutex::new(goes_on)));
    let server =
        spawn(builder(home.path(), Workers::MultiThread).handler(move |_| Blocker(gate.clone())));
    let (mut one, mut other) = (login(&server), login(&server));
    one.line("STAT");
    is_blocked.recv_timeout(PATIENCE).unwrap();
    for _ in 0..50 {
        other.expect_alive();
    }
    other.put("STOR file", "meanwhile");
    login(&server).expect_alive();
    assert!(one.is_silent());
    go_on.send(()).unwrap();
    one.expect_reply(211);
}

#[test]
fn a_server_shares_its_loop_with_dispatchers_of_the_programs_own() {
    let home = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let server = builder(home.path(), Workers::Async)
        .handle_signals(false)
        .bind("127.0.0.1:0")
        .unwrap();
    let (control, addr) = (server.control(), server.local_addr());
    let (tell, told) = mpsc::channel();
    let counter = asked.clone();
    let thread = std::thread::spawn(move || {
        let mut reactor = Reactor::new().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(any, ListenOptions::default()).unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        reactor.spawn(Box::new(Acceptor::new(
            listener,
            move |_, mut stream, _| {
                counter.fetch_add(1, Ordering::Relaxed);
                stream.write_all(b"a page\n").unwrap();
            },
        )));
        server.serve_on(reactor).unwrap();
    });
    let page = told.recv_timeout(PATIENCE).unwrap();
    let mut client = Client::connect(addr);
    client.expect_reply(220);
    client.login();
    for _ in 0..3 {
        let mut text = String::new();
        let mut stream = std::net::TcpStream::connect(page).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a page\n");
        client.expect_alive();
    }
    // The page does not keep the server alive.
    control.drain();
    client.expect_reply(421);
    thread.join().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// Knows one kind of message, and is sure that no other comes.
struct Sure {
    told: mpsc::Sender<String>,
    ends: Arc<AtomicUsize>,
}

impl Dispatcher for Sure {
    fn ready(&mut self, _: &mut Context<'_>, _: Channel, _: Ready) {}

    fn message(&mut self, _: &mut Context<'_>, message: Message) {
        let text = message.downcast::<String>().expect("a text");
        self.told.send(*text).unwrap();
    }

    fn closed(&mut self, _: &mut Context<'_>) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_a_server_tells_its_sessions_is_for_nobody_else_on_the_loop() {
    let home = tempfile::tempdir().unwrap();
    let server = builder(home.path(), Workers::Async)
        .handle_signals(false)
        .bind("127.0.0.1:0")
        .unwrap();
    let (control, addr) = (server.control(), server.local_addr());
    let (tell, told) = mpsc::channel();
    let ends = Arc::new(AtomicUsize::new(0));
    let sure = Sure {
        told: tell,
        ends: ends.clone(),
    };
    let (give, given) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut reactor = Reactor::new().unwrap();
        let key = reactor.spawn(Box::new(sure));
        give.send((reactor.handle(), key)).unwrap();
        server.serve_on(reactor).unwrap();
    });
    let (handle, key) = given.recv_timeout(PATIENCE).unwrap();
    let mut client = Client::connect(addr);
    client.expect_reply(220);
    client.login();
    let mut data = client.begin("STOR file");
    control.log_status();
    control.drain();
    // Sent to sessions, it has come to them, and would have come to the others in the same turn.
    crate::model::wait_for("the listening socket's end", || is_refused(addr));
    for _ in 0..3 {
        handle.send(key, Box::new("it lives".to_owned()));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "it lives");
    }
    assert_eq!(ends.load(Ordering::Relaxed), 0);
    data.write_all(b"whole").unwrap();
    drop(data);
    client.expect_reply(226);
    thread.join().unwrap();
    assert_eq!(ends.load(Ordering::Relaxed), 1);
}
