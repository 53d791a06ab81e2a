//! What a library user hooks in: callbacks and timers.

use std::io::Write;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use ftpdlib::{
    Command, CommandLine, DummyAuthorizer, Handler, Perm, Reply, Session, TimerId, Transferred,
    Verdict,
};

use crate::common::client::expect_data_end;
use crate::common::{Client, Record, TestServer};

/// A server whose handlers are made by `make`, and the record that they may write to.
fn with_handler<H: Handler>(
    make: impl Fn(Arc<Record>) -> H + Send + Sync + 'static,
) -> (TestServer, Arc<Record>) {
    let record = crate::common::record();
    let for_handlers = record.clone();
    let server = TestServer::with(|builder| builder.handler(move |_| make(for_handlers.clone())));
    (server, record)
}

#[test]
fn the_callbacks_come_in_order() {
    let server = TestServer::start();
    server.write("down", "12345");
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.expect("PASS wrong", 530);
    client.login();
    client.put("STOR up", "123");
    client.fetch("RETR down");
    client.put("APPE up", "4");
    client.expect("USER anonymous", 331);
    client.expect("PASS x", 230);
    client.expect("QUIT", 221);
    client.expect_end();
    server.record().expect(&[
        "connect",
        "login_failed user wrong",
        "login user",
        "received /up 3",
        "sent /down 5",
        "received /up 1",
        "logout user",
        "login anonymous",
        "logout anonymous",
        "disconnect",
    ]);
}

#[test]
fn listings_are_no_files() {
    let server = TestServer::start();
    let mut client = server.login();
    client.list("LIST");
    client.list("NLST");
    client.list("MLSD");
    server.record().expect(&["connect", "login user"]);
}

#[test]
fn a_user_who_gave_no_password_does_not_log_out() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.expect("QUIT", 221);
    client.expect_end();
    server.record().expect(&["connect", "disconnect"]);
}

#[test]
fn a_callback_is_done_when_the_client_reads_226() {
    // So a client that sees its upload acknowledged may rely on what the callback did.
    let (server, record) = with_handler(|record| {
        struct Done(Arc<Record>);
        impl Handler for Done {
            fn on_file_received(&mut self, _: &mut Session<'_>, file: &Transferred) {
                self.0.add(file.path().to_string());
            }
        }
        Done(record)
    });
    let mut client = server.login();
    for at in 0..20 {
        client.put(format!("STOR file{at}"), "x");
        assert_eq!(record.count(&format!("/file{at}")), 1);
    }
}

struct Gatekeeper(Arc<Record>);

impl Handler for Gatekeeper {
    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        let arg = String::from_utf8_lossy(&command.arg);
        self.0
            .add(format!("{} {arg} by {}", command.name, session.username()));
        match &*command.name {
            "DELE" => Verdict::Refuse(Reply::new(550, "Nothing is deleted here.")),
            _ => Verdict::Run,
        }
    }
}

#[test]
fn on_command_sees_each_and_may_refuse_it() {
    let (server, record) = with_handler(Gatekeeper);
    server.write("file", "");
    let mut client = server.login();
    assert_eq!(
        client.expect("DELE file", 550).text,
        "550 Nothing is deleted here."
    );
    client.expect("dele file", 550);
    assert!(server.exists("file"));
    client.expect("SITE CHMOD 600 file", 200);
    client.expect("FOO bar", 500);
    client.send("NOOP\r\nDELE file\r\nNOOP\r\n");
    client.expect_replies(&[200, 550, 200]);
    let events = record.all();
    for seen in [
        "DELE file by user",
        "SITE CHMOD 600 file by user",
        "FOO bar by user",
    ] {
        assert!(
            events.iter().any(|event| event == seen),
            "no {seen:?} in {events:?}"
        );
    }
}

#[test]
fn a_session_tells_about_itself() {
    let (server, record) = with_handler(|record| {
        struct Curious(Arc<Record>);
        impl Handler for Curious {
            fn on_command(&mut self, session: &mut Session<'_>, _: &CommandLine) -> Verdict {
                self.0.add(format!(
                    "{} {} {} {:?} {}",
                    session.peer(),
                    session.local_addr(),
                    session.is_authenticated(),
                    session
                        .account()
                        .map(|account| account.username().to_owned()),
                    session.current_directory(),
                ));
                assert_eq!(session.filesystem().is_ok(), session.is_authenticated());
                Verdict::Run
            }
        }
        Curious(record)
    });
    server.mkdir("dir");
    let mut client = server.connect();
    let (peer, local) = (client.stream().local_addr().unwrap(), server.addr());
    client.login();
    client.expect("CWD dir", 250);
    client.expect_alive();
    let events = record.all();
    assert_eq!(events[0], format!("{peer} {local} false None /"));
    assert_eq!(
        events.last().unwrap(),
        &format!("{peer} {local} true Some(\"user\") /dir")
    );
}

struct Ticking {
    record: Arc<Record>,
    every: Option<TimerId>,
    later: Option<TimerId>,
    ticks: u32,
}

impl Handler for Ticking {
    fn on_connect(&mut self, session: &mut Session<'_>) {
        self.every = Some(session.call_every(Duration::from_millis(5)));
        self.later = Some(session.call_later(Duration::from_millis(1)));
        let never = session.call_later(Duration::from_millis(2));
        session.cancel(never);
    }

    fn on_timer(&mut self, session: &mut Session<'_>, timer: TimerId) {
        if Some(timer) == self.later {
            self.record.add("later");
            return;
        }
        assert_eq!(Some(timer), self.every, "a cancelled timer");
        self.ticks += 1;
        self.record.add(format!("tick {}", self.ticks));
        if self.ticks == 3 {
            session.cancel(timer);
            session.call_later(Duration::ZERO);
            self.every = None;
            session.respond(Reply::new(220, "Three."));
            session.close_when_done();
        }
    }
}

#[test]
fn timers_come_once_or_again_and_can_be_cancelled() {
    let (server, record) = with_handler(|record| Ticking {
        record,
        every: None,
        later: None,
        ticks: 0,
    });
    let mut client = server.connect();
    assert_eq!(client.expect_reply(220).text, "220 Three.");
    client.expect_end();
    let events = record.all();
    assert_eq!(
        events.iter().filter(|event| *event == "later").count(),
        1,
        "{events:?}"
    );
    assert!(events.contains(&"tick 3".to_owned()) && !events.contains(&"tick 4".to_owned()));
}

#[test]
fn timers_of_a_session_end_with_it() {
    let (server, record) = with_handler(|record| {
        struct Late(Arc<Record>);
        impl Handler for Late {
            fn on_connect(&mut self, session: &mut Session<'_>) {
                session.call_every(Duration::from_millis(1));
            }
            fn on_disconnect(&mut self, session: &mut Session<'_>) {
                self.0.add(format!("disconnect {}", session.peer()));
            }
            fn on_timer(&mut self, session: &mut Session<'_>, _: TimerId) {
                self.0.add(format!("tick {}", session.peer()));
            }
        }
        Late(record)
    });
    let client = server.connect();
    let [tick, disconnect] = ["tick", "disconnect"]
        .map(|what| format!("{what} {}", client.stream().local_addr().unwrap()));
    record.wait_for(&tick);
    drop(client);
    record.wait_for(&disconnect);
    // Another one's go on, long enough for the first one's to show.
    let other = server.connect();
    let others = format!("tick {}", other.stream().local_addr().unwrap());
    let events = record.wait_until(|events| {
        let ticks = events.iter().filter(|event| **event == others);
        ticks.count() >= 10
    });
    let last = events.iter().rposition(|event| *event == tick);
    let end = events.iter().position(|event| *event == disconnect);
    assert!(last < end, "{events:?}");
}

#[test]
fn a_session_tells_how_far_its_transfer_is() {
    let far = || {
        Command::site("FAR").run(|session, _| {
            let text = session.transfer().map_or("nothing".to_owned(), |file| {
                format!("{} {} {}", file.command(), file.target(), file.bytes())
            });
            Ok(Reply::new(200, text))
        })
    };
    for atomic in [false, true] {
        let server = TestServer::with(|builder| builder.command(far()).atomic_uploads(atomic));
        let mut client = server.login();
        assert_eq!(client.expect("SITE FAR", 200).text, "200 nothing");
        let mut data = client.begin("STOR up");
        let at_first = client.expect("SITE FAR", 200).text;
        assert_eq!(at_first, "200 STOR /up 0", "atomic: {atomic}");
        data.write_all(b"12345").unwrap();
        // The bytes and the command come by two connections.
        loop {
            match &*client.expect("SITE FAR", 200).text {
                "200 STOR /up 5" => break,
                early => assert_eq!(early, "200 STOR /up 0"),
            }
        }
        drop(data);
        client.expect_reply(226);
        assert_eq!(client.expect("SITE FAR", 200).text, "200 nothing");
    }
}

#[test]
fn a_callback_may_send_a_client_away() {
    let (server, _record) = with_handler(|_| {
        struct Closed;
        impl Handler for Closed {
            fn on_connect(&mut self, session: &mut Session<'_>) {
                session.respond(Reply::new(421, "Closed on Sundays."));
                session.close_when_done();
            }
        }
        Closed
    });
    let mut client = Client::connect(server.addr());
    assert_eq!(client.expect_reply(421).text, "421 Closed on Sundays.");
    client.expect_end();

    let (server, _record) = with_handler(|_| {
        struct Gone;
        impl Handler for Gone {
            fn on_login(&mut self, session: &mut Session<'_>, _: &str) {
                session.close();
            }
        }
        Gone
    });
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.line("PASS 12345");
    let _ = client.try_reply();
    client.expect_end();
    server.connect();
}

/// Panics where it is told to.
struct Fragile(Arc<Record>);

impl Handler for Fragile {
    fn on_connect(&mut self, _: &mut Session<'_>) {
        self.0.add("connect");
    }

    fn on_command(&mut self, _: &mut Session<'_>, command: &CommandLine) -> Verdict {
        assert_ne!(command.name, "NOOP", "a callback that panics, as a test");
        Verdict::Run
    }

    fn on_file_received(&mut self, _: &mut Session<'_>, file: &Transferred) {
        assert_ne!(
            file.path().to_string(),
            "/bad",
            "a callback that panics, as a test"
        );
    }

    fn on_incomplete_file_received(&mut self, _: &mut Session<'_>, _: &Transferred) {
        panic!("a callback that panics, as a test");
    }

    fn on_disconnect(&mut self, session: &mut Session<'_>) {
        self.0.add(format!("disconnect {}", session.peer()));
    }
}

#[test]
fn a_callback_that_panics_as_its_session_ends_is_not_the_last_one() {
    let (server, record) = with_handler(Fragile);
    let mut client = server.login();
    let data = client.begin("STOR bad");
    let peer = client.stream().local_addr().unwrap();
    drop(client);
    record.wait_for(&format!("disconnect {peer}"));
    expect_data_end(data);
    server.login();
}

#[test]
fn a_callback_that_panics_loses_its_own_session_only() {
    let (server, _record) = with_handler(Fragile);
    let mut other = server.login();
    let mut client = server.login();
    client.line("NOOP");
    client.expect_end();
    other.expect("PWD", 257);

    let mut client = server.login();
    let mut data = client.begin("STOR bad");
    std::io::Write::write_all(&mut data, b"x").unwrap();
    drop(data);
    client.expect_end();
    other.expect("PWD", 257);
    other.put("STOR good", "x");
    server.login();
}

#[test]
fn users_come_and_go_while_the_server_runs() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let users = Arc::new(RwLock::new(DummyAuthorizer::new()));
    let server = TestServer::with(|builder| builder.authorizer(users.clone()));
    let mut client = server.connect();
    client.expect("USER late", 331);
    client.expect("PASS p", 530);
    users
        .write()
        .unwrap()
        .add_user("late", "p", server.home(), Perm::ALL)
        .unwrap();
    client.login_as("late", "p");
    users.write().unwrap().remove_user("late");
    client.expect("PWD", 257);
    client.expect("USER late", 331);
    client.expect("PASS p", 530);
}

#[test]
fn handlers_are_made_for_each_client() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let peers = Arc::new(Mutex::new(Vec::new()));
    let for_factory = peers.clone();
    let server = TestServer::with(|builder| {
        builder.handler(move |peer| for_factory.lock().unwrap().push(peer))
    });
    let (one, two) = (server.connect(), server.connect());
    let expected = [one, two].map(|client| client.stream().local_addr().unwrap());
    assert_eq!(*peers.lock().unwrap(), expected);
}
