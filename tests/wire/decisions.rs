//! What callbacks decide about the reply they stand before: in the callback, or on another thread
//! while the client is off the loop.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftpdlib::{
    Builder, Command, CommandLine, Handler, Password, Reply, Session, Sleeping, TimerId,
    Transferred, Verdict,
};

use crate::common::{Client, LIMIT, PATIENCE, Record, TestServer, client, sample};

type Held = (&'static str, Sleeping);

/// Takes its client off the loop in one callback, and hands the guard to the test.
struct Holding {
    callback: &'static str,
    guards: Sender<Held>,
    record: Arc<Record>,
    /// Given in the callback itself.
    answer: Option<Reply>,
}

impl Holding {
    fn called(&mut self, callback: &'static str, session: &mut Session<'_>) {
        self.record.add(callback);
        if callback == self.callback {
            if let Some(reply) = &self.answer {
                session.answer(reply.clone());
            }
            // A test that has ended is no concern of a session that has not.
            let _ = self.guards.send((callback, session.del_channel()));
        }
    }
}

impl Handler for Holding {
    fn on_connect(&mut self, session: &mut Session<'_>) {
        if self.callback == "timer" {
            session.call_later(Duration::from_millis(1));
        }
        self.called("connect", session);
    }

    fn on_disconnect(&mut self, session: &mut Session<'_>) {
        self.called("disconnect", session);
    }

    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        if command.name == "FEAT" {
            self.called("command", session);
        }
        Verdict::Run
    }

    fn on_login(&mut self, session: &mut Session<'_>, _: &str) {
        assert!(session.account().is_some());
        self.called("login", session);
    }

    fn on_login_failed(&mut self, session: &mut Session<'_>, _: &str, _: &Password) {
        self.called("login_failed", session);
    }

    fn on_logout(&mut self, session: &mut Session<'_>, _: &str) {
        self.called("logout", session);
    }

    fn on_file_sent(&mut self, session: &mut Session<'_>, _: &Transferred) {
        self.called("sent", session);
    }

    fn on_file_received(&mut self, session: &mut Session<'_>, _: &Transferred) {
        self.called("received", session);
    }

    fn on_incomplete_file_sent(&mut self, session: &mut Session<'_>, _: &Transferred) {
        self.called("incomplete_sent", session);
    }

    fn on_incomplete_file_received(&mut self, session: &mut Session<'_>, _: &Transferred) {
        self.called("incomplete_received", session);
    }

    fn on_timer(&mut self, session: &mut Session<'_>, _: TimerId) {
        self.called("timer", session);
    }
}

struct Stage {
    server: TestServer,
    guards: Receiver<Held>,
    record: Arc<Record>,
}

impl Stage {
    fn new(callback: &'static str) -> Stage {
        Stage::answering(callback, None)
    }

    fn answering(callback: &'static str, answer: Option<Reply>) -> Stage {
        Stage::with(callback, answer, |builder| builder)
    }

    fn limited(callback: &'static str, settings: impl FnOnce(Builder) -> Builder) -> Stage {
        Stage::with(callback, None, settings)
    }

    fn with(
        callback: &'static str,
        answer: Option<Reply>,
        settings: impl FnOnce(Builder) -> Builder,
    ) -> Stage {
        let (send, guards) = channel();
        let send = Mutex::new(send);
        let record = Arc::new(Record::default());
        let for_handlers = Arc::clone(&record);
        let server = TestServer::with(|builder| {
            settings(builder).handler(move |_| Holding {
                callback,
                guards: send.lock().unwrap().clone(),
                record: Arc::clone(&for_handlers),
                answer: answer.clone(),
            })
        });
        server.write("file", "content");
        Stage {
            server,
            guards,
            record,
        }
    }

    #[track_caller]
    fn guard(&self) -> Sleeping {
        self.guards.recv_timeout(PATIENCE).expect("the callback").1
    }

    fn connect(&self) -> Client {
        Client::connect(self.server.addr())
    }

    /// Others are served; this client is not, though it asks.
    #[track_caller]
    fn expect_asleep(&self, client: &mut Client) {
        assert!(client.is_silent(), "it was not waited for");
    }
}

/// Whoever is not held is served at once, and what this says was done by then.
fn turn(other: &mut Client) {
    for _ in 0..3 {
        other.expect_alive();
    }
}

#[test]
fn the_greeting_waits() {
    let stage = Stage::new("connect");
    let mut other = stage.connect();
    stage.guard().add_channel();
    other.expect_reply(220);
    let mut client = stage.connect();
    client.send("NOOP\r\n");
    let guard = stage.guard();
    turn(&mut other);
    stage.expect_asleep(&mut client);
    drop(guard);
    client.expect_replies(&[220, 200]);

    let mut client = stage.connect();
    stage.guard().answer(Reply::new(220, "Hello."));
    assert_eq!(client.expect_reply(220).text, "220 Hello.");
    client.login();

    let mut client = stage.connect();
    let guard = stage.guard();
    turn(&mut other);
    guard.answer(Reply::new(421, "Not you."));
    assert_eq!(client.expect_reply(421).text, "421 Not you.");
    client.expect_end();
}

#[test]
fn a_command_waits() {
    let stage = Stage::new("command");
    let (mut client, mut other) = (stage.server.login(), stage.server.login());
    client.send("FEAT\r\nNOOP\r\n");
    let guard = stage.guard();
    turn(&mut other);
    stage.expect_asleep(&mut client);
    guard.add_channel();
    client.expect_replies(&[211, 200]);

    client.send("FEAT\r\nNOOP\r\n");
    stage.guard().answer(Reply::new(550, "Not that."));
    client.expect_replies(&[550, 200]);
}

#[test]
fn a_decision_that_must_not_be_missed_is_made_before() {
    let stage = Stage::answering("command", Some(Reply::new(450, "Nobody said yes.")));
    let mut client = stage.server.login();
    client.line("FEAT");
    let guard = stage.guard();
    let worker = std::thread::spawn(move || {
        let _guard = guard;
        panic!("a worker that panics, as a test");
    });
    assert!(worker.join().is_err());
    assert_eq!(client.expect_reply(450).text, "450 Nobody said yes.");
    client.line("FEAT");
    stage.guard().proceed();
    client.expect_reply(211);
}

#[test]
fn a_login_waits_and_may_be_refused() {
    let stage = Stage::new("login");
    let mut other = stage.server.connect();
    let mut client = stage.server.connect();
    client.send("USER user\r\nPASS 12345\r\nPWD\r\n");
    client.expect_reply(331);
    let guard = stage.guard();
    turn(&mut other);
    stage.expect_asleep(&mut client);
    guard.add_channel();
    client.expect_replies(&[230, 257]);

    client.send("USER user\r\nPASS 12345\r\nPWD\r\n");
    client.expect_reply(331);
    stage.guard().answer(Reply::new(530, "Come back later."));
    let refused = client.expect_reply(530);
    assert_eq!(refused.text, "530 Come back later.");
    client.expect_reply(530);
    stage.record.wait_for("login_failed");
    client.send("USER user\r\nPASS 12345\r\nPWD\r\n");
    client.expect_reply(331);
    stage.guard().answer(Reply::new(230, "Hello again."));
    assert_eq!(client.expect_reply(230).text, "230 Hello again.");
    client.expect_reply(257);
    assert_eq!(stage.record.count("logout"), 1);
}

#[test]
fn a_login_hook_may_refuse_at_once_and_it_counts() {
    struct Closed;
    impl Handler for Closed {
        fn on_login(&mut self, session: &mut Session<'_>, username: &str) {
            if username == "user" {
                session.answer(Reply::new(530, "Closed for users."));
            }
        }
    }
    let server = TestServer::with(|builder| builder.handler(|_| Closed).max_login_attempts(2));
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.expect("PASS 12345", 530);
    client.expect("PWD", 530);
    client.expect("USER user", 331);
    client.expect("PASS 12345", 530).contains("Disconnecting");
    client.expect_end();
    server.login_as("anonymous", "").expect_alive();
}

#[test]
fn a_login_that_the_hook_refuses_takes_no_place() {
    let stage = Stage::limited("login", |builder| builder.max_cons_per_user(1));
    let log_in = || {
        let mut client = stage.server.connect();
        client.expect("USER user", 331);
        client.line("PASS 12345");
        client
    };
    let mut refused = log_in();
    stage.guard().answer(Reply::new(530, "Not now."));
    refused.expect_reply(530);
    // One whose login waits has his place.
    let mut waiting = log_in();
    let guard = stage.guard();
    assert!(log_in().expect_reply(530).text.contains("Too many"));
    guard.add_channel();
    waiting.expect_reply(230);
    refused.expect_alive();
}

#[test]
fn an_upload_waits_for_its_verdict() {
    let stage = Stage::new("received");
    let (mut client, mut other) = (stage.server.login(), stage.server.login());
    for (verdict, code) in [
        (None, 226),
        (Some(Reply::new(226, "Scanned.")), 226),
        (Some(Reply::new(550, "Infected.")), 550),
        (Some(Reply::new(451, "Try again.")), 451),
    ] {
        client.upload("STOR up", "data");
        let guard = stage.guard();
        // Not before: a line that comes while the transfer runs is answered at once.
        client.line("NOOP");
        turn(&mut other);
        stage.expect_asleep(&mut client);
        // It is there for whoever decides; what becomes of it is his business.
        assert_eq!(stage.server.read("up"), b"data");
        match verdict {
            Some(reply) => guard.answer(reply),
            None => guard.proceed(),
        }
        client.expect_replies(&[code, 200]);
        assert!(stage.server.exists("up"));
    }
}

#[test]
fn an_upload_is_refused_in_the_callback() {
    struct NoEmptyFiles;
    impl Handler for NoEmptyFiles {
        fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
            if file.bytes() == 0 {
                match file.filesystem().remove_file(file.path()) {
                    Ok(()) => session.answer(Reply::new(550, "Empty.")),
                    Err(error) => session.answer(error.into()),
                }
            }
        }
    }
    let server = TestServer::with(|builder| builder.handler(|_| NoEmptyFiles));
    let mut client = server.login();
    client.upload("STOR empty", "");
    assert_eq!(client.expect_reply(550).text, "550 Empty.");
    assert!(!server.exists("empty"));
    client.put("STOR full", "x");
    client.put("APPE full", "y");
    assert_eq!(server.read("full"), b"xy");
}

#[test]
fn the_other_ends_of_a_transfer_wait_too() {
    for (callback, codes) in [
        ("sent", &[226][..]),
        ("incomplete_sent", &[426, 226]),
        ("incomplete_received", &[426, 226]),
    ] {
        let stage = Stage::new(callback);
        stage.server.write("big", sample(3_000_000));
        let (mut client, mut other) = (stage.server.login(), stage.server.login());
        let data = match callback {
            "sent" => {
                let mut data = client.begin("RETR file");
                std::io::Read::read_to_end(&mut data, &mut Vec::new()).unwrap();
                data
            }
            "incomplete_sent" => {
                let data = client.narrow_data();
                client.started("RETR big");
                client.line("ABOR");
                data
            }
            _ => {
                let data = client.begin("STOR up");
                client.line("ABOR");
                data
            }
        };
        let guard = stage.guard();
        turn(&mut other);
        assert!(client.is_silent(), "{callback}");
        guard.add_channel();
        client.expect_replies(codes);
        client.expect_alive();
        drop(data);
    }
}

#[test]
fn where_no_reply_waits_the_next_command_does() {
    for callback in ["login_failed", "logout", "timer"] {
        let stage = Stage::new(callback);
        let mut client = stage.connect();
        client.expect_reply(220);
        match callback {
            "login_failed" => {
                client.expect("USER user", 331);
                client.expect("PASS wrong", 530);
            }
            "logout" => {
                client.login();
                client.expect("REIN", 230);
            }
            _ => {}
        }
        let guard = stage.guard();
        client.line("NOOP");
        let mut other = stage.connect();
        other.expect_reply(220);
        if callback == "timer" {
            // It has one of its own.
            stage.guard().add_channel();
        }
        other.expect("SYST", 215);
        assert!(client.is_silent(), "{callback}");
        guard.answer(Reply::new(500, "For nothing."));
        client.expect_reply(200);
    }
    let stage = Stage::new("disconnect");
    drop(stage.server.connect());
    stage.guard().answer(Reply::new(500, "For nobody."));
    stage.server.connect();
}

#[test]
fn a_command_of_ones_own_waits() {
    let (send, guards) = channel();
    let send = Mutex::new(send);
    let server = TestServer::with(|builder| {
        builder.command(Command::new("XHELD").run(move |session, _| {
            let _ = send.lock().unwrap().send(session.del_channel());
            Err(Reply::new(450, "Nobody decided."))
        }))
    });
    let guard = || guards.recv_timeout(PATIENCE).unwrap();
    let (mut client, mut other) = (server.login(), server.login());
    client.send("XHELD\r\nNOOP\r\n");
    let held = guard();
    turn(&mut other);
    assert!(client.is_silent());
    held.answer(Reply::new(200, "Decided."));
    client.expect_replies(&[200, 200]);
    client.send("XHELD\r\nNOOP\r\n");
    drop(guard());
    client.expect_replies(&[450, 200]);
}

#[test]
fn a_transfer_and_a_timer_go_on_meanwhile() {
    struct Ticking(Sender<Held>, Arc<Record>);
    impl Handler for Ticking {
        fn on_connect(&mut self, session: &mut Session<'_>) {
            session.call_every(Duration::from_millis(1));
        }
        fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
            if command.name == "FEAT" {
                self.1.add("held");
                let _ = self.0.send(("command", session.del_channel()));
            }
            Verdict::Run
        }
        fn on_timer(&mut self, _: &mut Session<'_>, _: TimerId) {
            // No more than the test wants to see.
            let events = self.1.all();
            if events.last().is_some_and(|last| last == "held") {
                self.1.add("tick");
            }
        }
    }
    let (send, guards) = channel();
    let (send, record) = (Mutex::new(send), Arc::new(Record::default()));
    let for_handlers = Arc::clone(&record);
    let server = TestServer::with(|builder| {
        builder.handler(move |_| Ticking(send.lock().unwrap().clone(), for_handlers.clone()))
    });
    let content = sample(2_000_000);
    let mut client = server.login();
    let mut data = client.begin("STOR up");
    client.line("FEAT");
    let (_, guard) = guards.recv_timeout(PATIENCE).unwrap();
    std::io::Write::write_all(&mut data, &content).unwrap();
    drop(data);
    // Its own reply does not wait for the command that is held.
    client.expect_reply(226);
    assert_eq!(server.read("up"), content);
    record.wait_for("tick");
    assert!(client.is_silent());
    guard.add_channel();
    client.expect_reply(211);
}

#[test]
fn a_client_that_waits_is_not_idle() {
    let stage = Stage::limited("command", |builder| builder.timeout(LIMIT));
    let mut client = stage.server.connect();
    client.line("FEAT");
    let guard = stage.guard();
    // Who does nothing is sent away in this time, and more.
    for _ in 0..2 {
        stage.server.connect().expect_reply(421);
    }
    assert!(client.is_silent());
    guard.add_channel();
    client.expect_reply(211);
    client.expect_reply(421);
}

#[test]
fn whoever_hangs_up_while_he_waits_leaves_nothing_behind() {
    for (callback, line) in [("connect", ""), ("command", "FEAT"), ("received", "STOR")] {
        let stage = Stage::new(callback);
        let mut client = stage.connect();
        if callback != "connect" {
            client.expect_reply(220);
            client.login();
        }
        match line {
            "" => {}
            "STOR" => client.upload("STOR up", "data"),
            line => client.line(line),
        }
        let guard = stage.guard();
        match callback {
            "command" => client::reset(client.stream().try_clone().unwrap()),
            _ => drop(client.stream().shutdown(std::net::Shutdown::Both)),
        }
        drop(client);
        guard.answer(Reply::new(550, "Too late."));
        stage.record.wait_for("disconnect");
    }
}

#[test]
fn quit_waits_for_its_turn_and_a_server_does_not_wait_for_ever() {
    let stage = Stage::new("received");
    let mut client = stage.server.login();
    client.upload("STOR up", "data");
    let guard = stage.guard();
    client.line("QUIT");
    guard.answer(Reply::new(550, "No."));
    client.expect_replies(&[550, 221]);
    client.expect_end();

    let mut client = stage.server.login();
    client.upload("STOR up", "data");
    let guard = stage.guard();
    stage.server.stop();
    guard.answer(Reply::new(550, "Nobody hears."));
    client.expect_end();
}
