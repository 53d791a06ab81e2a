//! Work on the pool: what callbacks offload, and commands of one's own. It delays its own client only, and can
//! be left by ABOR or by going away.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftpdlib::{
    Arg, Builder, Command, CommandLine, Handler, OffloadError, Perm, Reply, Session, Transferred,
    Verdict,
};

use crate::common::client::reset;
use crate::common::made_up::{AllMadeUp, Gate, MadeUp};
use crate::common::{Client, PATIENCE, Record, TestServer};

/// Scans uploads on the pool, as soon as the gate is open.
struct Scanner {
    gate: Gate,
    begun: Sender<()>,
    refused: u32,
}

/// A server with a scanner, its gate, and a word for each scan that has begun.
fn scanning() -> (TestServer, Gate, Receiver<()>) {
    let gate = Gate::default();
    let for_handlers = gate.clone();
    let (begun, begins) = channel();
    let begun = Mutex::new(begun);
    let server = TestServer::with(|builder| {
        builder.handler(move |_| Scanner {
            gate: for_handlers.clone(),
            begun: begun.lock().unwrap().clone(),
            refused: 0,
        })
    });
    (server, gate, begins)
}

impl Handler for Scanner {
    fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
        let (gate, begun, file) = (self.gate.clone(), self.begun.clone(), file.clone());
        let work = move || {
            // A test that does not care has dropped the other end.
            let _ = begun.send(());
            gate.pass();
            let clean = !std::fs::read(file.real_path())?.starts_with(b"virus");
            if !clean {
                file.filesystem().remove_file(file.path())?;
            }
            Ok(clean)
        };
        session.offload(work, |this: &mut Self, session, clean| match clean {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                this.refused += 1;
                let text = format!("Infected; {} so far.", this.refused);
                session.answer(Reply::new(550, text));
            }
            Ok(Err(error)) => session.answer(std::io::Error::into(error)),
            Err(error) => session.answer(Reply::new(451, error.to_string())),
        });
    }
}

#[test]
fn an_upload_s_verdict_comes_from_the_pool() {
    let (server, gate, begins) = scanning();
    let mut other = server.login();
    let mut client = server.login();
    client.upload("STOR bad", "virus");
    // A line that comes while the transfer runs is answered at once.
    begins.recv_timeout(PATIENCE).unwrap();
    client.line("NOOP");
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    gate.open();
    assert_eq!(client.expect_reply(550).text, "550 Infected; 1 so far.");
    client.expect_reply(200);
    assert!(!server.exists("bad"));
    client.put("STOR good", "data");
    client.upload("STOR bad", "virus");
    // The handler is the session's own, and kept its count.
    assert_eq!(client.expect_reply(550).text, "550 Infected; 2 so far.");
    assert_eq!(server.read("good"), b"data");
}

#[test]
fn many_wait_for_the_pool_and_all_are_answered() {
    let (server, gate, _) = scanning();
    let mut clients: Vec<_> = (0..30).map(|_| server.login()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.upload(format!("STOR file{at}"), "x");
    }
    assert!(clients.iter_mut().all(|client| client.is_silent()));
    gate.open();
    for client in &mut clients {
        client.expect_reply(226);
        client.expect_alive();
    }
}

/// Decides everything on the pool, by the words it is given.
#[derive(Default)]
struct Everywhere {
    steps: u32,
}

impl Handler for Everywhere {
    fn on_connect(&mut self, session: &mut Session<'_>) {
        let greet = |_: &mut Self, session: &mut Session<'_>, text: Result<String, _>| {
            session.answer(Reply::new(220, text.unwrap_or_default()));
        };
        session.offload(|| "Thought about it.".to_owned(), greet);
    }

    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        match &*command.name {
            "XSTEPS" => session.offload(
                || 1,
                // Work that follows work.
                |this: &mut Self, session, step| {
                    this.steps += step.unwrap_or(100);
                    session.offload(
                        || 2,
                        |this: &mut Self, session, step| {
                            this.steps += step.unwrap_or(100);
                            session.answer(Reply::new(200, this.steps.to_string()));
                        },
                    );
                },
            ),
            "XTWICE" => {
                for text in ["one", "two"] {
                    session.offload(
                        move || text,
                        |this: &mut Self, session, text| {
                            this.steps += 10;
                            session.answer(Reply::new(200, text.unwrap_or("none")));
                        },
                    );
                }
            }
            "XPANIC" => session.offload(
                || -> () { panic!("work that panics, as a test") },
                |_: &mut Self, session, result| {
                    let Err(OffloadError::Panicked(text)) = result else {
                        return;
                    };
                    session.answer(Reply::new(451, text));
                },
            ),
            "XPANIC2" => session.offload(
                || (),
                |_: &mut Self, _, _| panic!("what follows panics, as a test"),
            ),
            "XOTHER" => session.offload(|| (), |_: &mut Scanner, _, _| {}),
            "XGO" => session.offload(|| (), |_: &mut Self, session, _| session.close_when_done()),
            _ => {}
        }
        Verdict::Run
    }

    fn on_login(&mut self, session: &mut Session<'_>, username: &str) {
        let admitted = username == "user";
        session.offload(
            move || admitted,
            |_: &mut Self, session, admitted| {
                if !matches!(admitted, Ok(true)) {
                    session.answer(Reply::new(530, "The pool says no."));
                }
            },
        );
    }
}

#[test]
fn callbacks_offload_what_they_like() {
    let server = TestServer::with(|builder| {
        let say = Command::new("XSAY").run(|session, text| {
            let text = text.to_ascii_uppercase();
            session.offload(
                move || text,
                |_: &mut Everywhere, session, text| {
                    session.answer(Reply::new(200, text.unwrap_or_default()));
                },
            );
            Err(Reply::new(451, "Not said."))
        });
        builder.command(say).handler(|_| Everywhere::default())
    });
    let mut client = Client::connect(server.addr());
    assert_eq!(client.expect_reply(220).text, "220 Thought about it.");
    client.expect("USER anonymous", 331);
    assert_eq!(client.expect("PASS x", 530).text, "530 The pool says no.");
    client.send("USER user\r\nPASS 12345\r\nPWD\r\n");
    client.expect_replies(&[331, 230, 257]);
    assert_eq!(client.expect("XSAY hello", 200).text, "200 HELLO");
    assert_eq!(client.expect("XSTEPS", 200).text, "200 3");
    // The last answer counts, when both are there.
    let text = client.expect("XTWICE", 200).text;
    assert!(text == "200 one" || text == "200 two", "{text}");
    assert_eq!(client.expect("XSTEPS", 200).text, "200 26");
    let told = client.expect("XPANIC", 451).text;
    assert_eq!(told, "451 work that panics, as a test");
    client.send("XSTEPS\r\nNOOP\r\nXSTEPS\r\n");
    client.expect_replies(&[200, 200, 200]);

    // A mistake costs its own session only.
    for mistake in ["XOTHER", "XPANIC2"] {
        let mut careless = server.login();
        careless.line(mistake);
        careless.expect_end();
    }
    client.expect("XGO", 500);
    client.expect_end();
}

/// Says so when it is dropped.
struct Witness(Arc<Record>, &'static str);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

struct Leaving {
    record: Arc<Record>,
    gate: Gate,
}

impl Handler for Leaving {
    fn on_disconnect(&mut self, session: &mut Session<'_>) {
        self.record.add("disconnect");
        let record = Arc::clone(&self.record);
        session.offload(
            move || record.add("last work"),
            |this: &mut Self, _, _| this.record.add("last word"),
        );
    }

    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        if command.name == "FEAT" {
            let (gate, record) = (self.gate.clone(), Arc::clone(&self.record));
            let follower = Witness(Arc::clone(&self.record), "follower dropped");
            session.offload(
                move || {
                    record.add("work");
                    gate.pass();
                    Witness(record, "result dropped")
                },
                move |this: &mut Self, _, _| {
                    this.record.add("followed");
                    drop(follower);
                },
            );
        }
        Verdict::Run
    }
}

fn leaving() -> (TestServer, Arc<Record>, Gate) {
    let (record, gate) = (Arc::new(Record::default()), Gate::default());
    let (for_handlers, its_gate) = (Arc::clone(&record), gate.clone());
    let server = TestServer::with(|builder| {
        builder.handler(move |_| Leaving {
            record: Arc::clone(&for_handlers),
            gate: its_gate.clone(),
        })
    });
    (server, record, gate)
}

#[test]
fn what_follows_work_is_dropped_with_its_session() {
    let (server, record, gate) = leaving();
    let mut client = server.login();
    client.line("FEAT");
    record.wait_for("work");
    // The server stops meanwhile: its sessions end first, then it waits for work.
    let stopping = std::thread::spawn(move || server.stop());
    client.expect_end();
    record.wait_for("follower dropped");
    assert_eq!(record.count("result dropped"), 0);
    gate.open();
    record.wait_for("result dropped");
    record.wait_for("last work");
    assert_eq!(record.count("followed"), 0);
    assert_eq!(record.count("last word"), 0);
    assert_eq!(record.count("disconnect"), 1);
    stopping.join().unwrap();
}

#[test]
fn work_is_followed_though_its_client_has_gone() {
    let (server, record, gate) = leaving();
    let mut client = server.login();
    client.line("FEAT");
    record.wait_for("work");
    drop(client);
    gate.open();
    record.wait_for("disconnect");
    let events = record.wait_until(|events| events.iter().any(|event| event == "last work"));
    let followed = events.iter().position(|event| event == "followed");
    let left = events.iter().position(|event| event == "disconnect");
    assert!(followed.is_some() && followed < left, "{events:?}");
}

/// A server with `SITE WORK`, which tells that it runs, and then works until it is cancelled or the
/// gate is open.
fn working() -> (TestServer, Receiver<()>, Gate) {
    working_with(|builder| builder)
}

/// The same, with other settings, too.
fn working_with(set: impl FnOnce(Builder) -> Builder) -> (TestServer, Receiver<()>, Gate) {
    let (send, started) = channel();
    let (send, gate) = (Mutex::new(send), Gate::default());
    let its_gate = gate.clone();
    let server = TestServer::with(|builder| {
        set(builder).command(
            Command::site("WORK")
                .perm(Perm::READ)
                .argument(Arg::Required)
                .pooled(move |work, path| {
                    started_now(&send);
                    while !its_gate.is_open() {
                        work.check()?;
                        // A flag has no event to wait for.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    match path.file_name() {
                        Some(b"panic") => panic!("a command that panics, as a test"),
                        _ => Ok(Reply::new(
                            250,
                            format!("Done for {}.", work.account().username()),
                        )),
                    }
                }),
        )
    });
    (server, started, gate)
}

fn started_now(send: &Mutex<Sender<()>>) {
    let _ = send.lock().unwrap().send(());
}

#[test]
fn a_command_of_ones_own_works_on_the_pool() {
    let (server, started, gate) = working();
    let mut other = server.login();
    let mut client = server.login();
    client.send("SITE WORK file\r\nNOOP\r\n");
    started.recv_timeout(PATIENCE).unwrap();
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    gate.open();
    assert_eq!(client.expect_reply(250).text, "250 Done for user.");
    client.expect_reply(200);
    // Checked like any other.
    client.expect("SITE WORK", 501);
    client.expect("SITE WORK panic", 451);
    client.expect_alive();
    let mut stranger = server.connect();
    stranger.expect("SITE WORK file", 530);
    server
        .login_as("anonymous", "")
        .expect("SITE WORK file", 250);
}

#[test]
fn work_on_the_pool_holds_up_no_login() {
    let (server, started, gate) = working_with(|builder| {
        let open = Gate::default();
        open.open();
        builder.authorizer(AllMadeUp {
            files: MadeUp {
                count: 1,
                before_gate: usize::MAX,
                gate: open.clone(),
                slow: false,
            },
            slow_login: Some(open),
        })
    });
    // More than there are threads.
    let mut busy: Vec<_> = (0..9).map(|_| server.login()).collect();
    for client in &mut busy {
        client.line("SITE WORK file");
    }
    for _ in 0..8 {
        started.recv_timeout(PATIENCE).unwrap();
    }
    server.login();
    gate.open();
    for client in &mut busy {
        client.expect_reply(250);
    }
}

#[test]
fn abor_cancels_a_command_on_the_pool() {
    let (server, started, _gate) = working();
    let mut client = server.login();
    client.line("SITE WORK file");
    started.recv_timeout(PATIENCE).unwrap();
    client.send("ABOR\r\nNOOP\r\n");
    client.expect_replies(&[426, 226, 200]);
    // In one segment: ABOR is the very next line, and may come before the work has begun.
    client.send("SITE WORK file\r\nABOR\r\nPWD\r\n");
    client.expect_replies(&[426, 226, 257]);
    // Behind another command it has to wait for its turn.
    let mut client = server.login();
    client.send("SITE WORK file\r\nNOOP\r\nABOR\r\n");
    started.recv_timeout(PATIENCE).unwrap();
    started.recv_timeout(PATIENCE).unwrap();
    server.login();
    assert!(client.is_silent());
}

#[test]
fn whoever_leaves_cancels_his_command() {
    let (server, started, _gate) = working();
    for leave in [drop::<std::net::TcpStream>, reset] {
        let mut client = server.login();
        client.line("SITE WORK file");
        started.recv_timeout(PATIENCE).unwrap();
        let before = server.record().count("disconnect");
        let stream = client.stream().try_clone().unwrap();
        drop(client);
        leave(stream);
        // At once: the work would go on for ever.
        server
            .record()
            .wait_until(|events| events.iter().filter(|e| *e == "disconnect").count() > before);
    }
    // Its threads are free again.
    for _ in 0..10 {
        let mut client = server.login();
        client.send("SITE WORK file\r\n");
        started.recv_timeout(PATIENCE).unwrap();
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
    }
}
