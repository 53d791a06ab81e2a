//! The interpreter alone: no socket, no disk, no clock. A [`Bench`] carries out its effects on a
//! file system in memory and keeps the replies and events.

mod answers;
mod data;
mod digest;
mod login;
mod memory;
mod policy;
mod secure;
mod transfer;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use self::memory::Memory;
use super::*;
use crate::auth::{Account, AuthFailed, Authorizer, Credentials};
use crate::fs::{File, FileSystem};
use crate::proto::command;
use crate::session::config::Config;
use crate::session::limits::census::{Bounds, Census};
use crate::session::work::cancel::MOST_LEFT;
use crate::session::work::digesting::Digested;
use crate::session::work::job::{Job, JobId, Outcome, Source};

/// Takes `user` with `12345`; `homeless` has no home.
struct OneUser {
    account: Account,
}

impl Authorizer for OneUser {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        match (
            credentials.username.as_str(),
            credentials.password.as_bytes(),
        ) {
            ("user", b"12345") => Ok(self.account.clone()),
            ("homeless", _) => Err(AuthFailed::unavailable("Home directory not available.")),
            _ => Err(AuthFailed::default()),
        }
    }
}

struct Bench {
    table: Table,
    it: Interpreter,
    files: Memory,
    inputs: VecDeque<Input>,
    /// Codes and texts, in order.
    replies: Vec<String>,
    events: Vec<String>,
    timers: Vec<(Timer, Duration)>,
    /// Jobs are kept instead of run, as on a worker thread.
    slow: bool,
    jobs: VecDeque<(JobId, Job)>,
    source: Option<Source>,
    sink: Option<Box<dyn File>>,
    data_closed: usize,
    protects_data: bool,
    /// The TLS handshake is the test's business.
    keeps_tls: bool,
    /// So is what becomes of an active connection.
    keeps_connecting: bool,
    listening: bool,
    closed: bool,
    /// What the handler says to the next login or transfer.
    answer: Option<Reply>,
    /// It says nothing yet; the test will.
    thinks: bool,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(|_, _| {})
    }

    fn with(change: impl FnOnce(&mut Config, &mut Account)) -> Bench {
        let files = Memory::default();
        let shared: Arc<dyn FileSystem> = Arc::new(files.0.clone());
        let mut account = Account::new("user", shared).perm(Perm::ALL);
        let mut config = Config::default();
        change(&mut config, &mut account);
        config.authorizer = Arc::new(OneUser { account });
        let peer = "127.0.0.1:40000".parse().unwrap();
        let local = "127.0.0.1:21".parse().unwrap();
        let census = Census::new(Bounds::default(), 1).unwrap();
        let seat = census.admit("127.0.0.1".parse().unwrap()).unwrap();
        Bench {
            table: Table::default(),
            it: Interpreter::new(Arc::new(config), seat, peer, local),
            files,
            inputs: VecDeque::new(),
            replies: Vec::new(),
            events: Vec::new(),
            timers: Vec::new(),
            slow: false,
            jobs: VecDeque::new(),
            source: None,
            sink: None,
            data_closed: 0,
            protects_data: false,
            keeps_tls: false,
            keeps_connecting: false,
            listening: false,
            closed: false,
            answer: None,
            thinks: false,
        }
    }

    fn logged_in() -> Bench {
        Bench::new().and_logged_in()
    }

    fn and_logged_in(mut self) -> Bench {
        self.all("USER user");
        assert_eq!(self.all("PASS 12345"), ["230 Login successful."]);
        self.all("TYPE I");
        self.events.clear();
        self.timers.clear();
        self
    }

    /// Feeds an input and carries out what comes of it; gives the replies that it brought.
    fn feed(&mut self, input: Input) -> Vec<String> {
        let before = self.replies.len();
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            self.it.handle(&self.table, input);
            while let Some(step) = self.it.poll_step() {
                match step {
                    Step::Effect(effect) => self.apply(effect),
                    Step::Call(call) => self.call(call),
                }
            }
        }
        self.replies[before..].to_vec()
    }

    /// All replies to one line.
    fn all(&mut self, line: &str) -> Vec<String> {
        assert!(self.it.wants_line(), "{line} while it waits");
        self.feed(Input::Command(command::parse(line.as_bytes())))
    }

    /// The one reply to one line.
    fn say(&mut self, line: &str) -> String {
        let replies = self.all(line);
        assert_eq!(replies.len(), 1, "{line}: {replies:?}");
        replies.into_iter().next().unwrap()
    }

    fn code(&mut self, line: &str) -> u16 {
        self.say(line)[..3].parse().unwrap()
    }

    fn run_jobs(&mut self) -> Vec<String> {
        let before = self.replies.len();
        while let Some((id, job)) = self.jobs.pop_front() {
            self.feed(Input::Job(id, job.run()));
        }
        self.replies[before..].to_vec()
    }

    /// The data connection is there.
    fn open_data(&mut self) -> Vec<String> {
        self.listening = false;
        self.feed(Input::DataOpened)
    }

    fn end(&mut self, verdict: Verdict, bytes: u64) -> Vec<String> {
        (self.source, self.sink) = (None, None);
        let progress = Progress {
            sent: bytes,
            received: bytes,
            stored: bytes,
            elapsed: Duration::from_millis(1500),
        };
        self.feed(Input::Ended(End { verdict, progress }))
    }

    /// Writes what a client would have sent.
    fn receive(&mut self, data: &[u8]) -> Vec<String> {
        let mut sink = self.sink.take().expect("an open target");
        sink.write_all(data).unwrap();
        sink.close().unwrap();
        self.end(Verdict::Complete, data.len() as u64)
    }

    /// What a client would have received.
    fn sent(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut source = self.source.take().expect("an open source");
        while source.fill(&mut bytes, 1000).unwrap() {}
        String::from_utf8(bytes).unwrap()
    }

    fn call(&mut self, call: Call) {
        let event = match call {
            Call::Custom(..) => {
                let reply = Reply::new(200, "Custom.");
                return self.inputs.push_back(Input::Custom(reply));
            }
            Call::Event(event) => event,
        };
        let answer = match event {
            Event::Login(_) => Some(Input::LoginAnswered as fn(Option<Reply>) -> Input),
            Event::LoginFailed(..) | Event::Logout(_) => None,
            _ => Some(Input::TransferAnswered as fn(Option<Reply>) -> Input),
        };
        self.events.push(match event {
            Event::Login(user) => format!("login {user}"),
            Event::LoginFailed(user, _) => format!("failed {user}"),
            Event::Logout(user) => format!("logout {user}"),
            Event::Sent(file) => format!("sent {} {}", file.path(), file.bytes),
            Event::Received(file) => format!("received {} {}", file.path(), file.bytes),
            Event::IncompleteSent(file) => format!("incomplete sent {}", file.path()),
            Event::IncompleteReceived(file) => format!("incomplete received {}", file.path()),
        });
        if let (Some(answer), false) = (answer, self.thinks) {
            self.inputs.push_back(answer(self.answer.take()));
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Reply(reply, _) => self.replies.push(reply.to_string()),
            Effect::Raw(bytes) => {
                self.replies
                    .push(String::from_utf8_lossy(&bytes).into_owned());
                self.inputs.push_back(Input::Drained);
            }
            Effect::Listen => {
                self.listening = true;
                self.inputs.push_back(Input::Listening(Ok(4001)));
            }
            Effect::Connect(_) if self.keeps_connecting => {}
            Effect::Connect(addr) => {
                let refused = addr.port() == 4444;
                let result = if refused {
                    Err(io::ErrorKind::ConnectionRefused.into())
                } else {
                    Ok(())
                };
                self.inputs.push_back(Input::Connected(result));
            }
            Effect::KeepAlive => {}
            Effect::StartTls if self.keeps_tls => {}
            Effect::StartTls => self.inputs.push_back(Input::Secured(None)),
            Effect::ProtectData => self.protects_data = true,
            Effect::Disconnect => self.closed = true,
            Effect::CloseData => {
                self.listening = false;
                self.data_closed += 1;
            }
            Effect::Job(id, job) if self.slow => self.jobs.push_back((id, job)),
            Effect::Job(id, job) => self.inputs.push_back(Input::Job(id, job.run())),
            Effect::Send { source, .. } => self.source = Some(source),
            Effect::Receive { file, .. } => self.sink = Some(file),
            Effect::Abort => {
                (self.source, self.sink) = (None, None);
                let end = End {
                    verdict: Verdict::Aborted,
                    progress: Progress::default(),
                };
                self.inputs.push_back(Input::Ended(end));
            }
            Effect::AskProgress => self.inputs.push_back(Input::Progress(Progress::default())),
            Effect::SetTimer(timer, delay) => self.timers.push((timer, delay)),
            Effect::Log(..) | Effect::LogOf { .. } | Effect::LogCommand(_) => {}
            Effect::Close => self.closed = true,
        }
    }
}

#[test]
fn every_row_answers_every_kind_of_argument_exactly_once() {
    let rows: Vec<String> = Table::default()
        .rows()
        .iter()
        .map(|row| row.name.to_string())
        .collect();
    let long = "x".repeat(2000);
    let arguments = [
        "",
        "x",
        " ",
        "-",
        "..",
        "/",
        "\0",
        "\u{ff}\u{fe}",
        "%s%n",
        "1 2 3",
        &long,
    ];
    for name in &rows {
        for argument in arguments {
            let mut bench = Bench::logged_in();
            let line = if argument.is_empty() {
                name.clone()
            } else {
                format!("{name} {argument}")
            };
            let replies = bench.all(&line);
            let finals = replies.iter().filter(|reply| !reply.starts_with('1'));
            // A transfer that was accepted waits for its data connection.
            let expected = usize::from(!bench.it.is_transferring());
            let finals = finals
                .filter(|reply| reply.as_bytes().get(3) == Some(&b' '))
                .count();
            assert_eq!(finals, expected, "{line:?}: {replies:?}");
            if name != "QUIT" || !argument.is_empty() {
                assert!(bench.it.wants_line(), "{line:?}");
            }
        }
    }
}

#[test]
fn what_needs_a_login_is_refused_without() {
    for row in Table::default().rows().iter().filter(|row| row.login) {
        let mut bench = Bench::new();
        let line = match row.arg {
            Arg::Required => format!("{} x y", row.name),
            _ => row.name.to_string(),
        };
        assert_eq!(bench.code(&line), 530, "{line}");
    }
    let mut bench = Bench::new();
    assert_eq!(bench.code("STAT /"), 530);
    assert_eq!(bench.code("OPTS MLST size;"), 530);
    assert_eq!(bench.code("OPTS UTF8 ON"), 200);
    assert_eq!(bench.code("STAT"), 211);
    assert_eq!(bench.code("NOPE"), 500);
    assert_eq!(
        bench.say("mkd"),
        "501 Syntax error: command needs an argument."
    );
    assert_eq!(
        bench.say("pwd x"),
        "501 Syntax error: command does not accept arguments."
    );
}

#[test]
fn permissions_are_checked_on_the_path() {
    let mut bench = Bench::with(|_, account| {
        *account = account.clone().perm(Perm::READ_ONLY).override_perm(
            "/incoming".parse().unwrap(),
            Perm::ALL,
            false,
        );
    })
    .and_logged_in();
    bench.files.dir("/incoming").dir("/incoming/sub");
    for line in [
        "MKD x",
        "DELE x",
        "STOR x",
        "APPE x",
        "RNFR x",
        "SITE CHMOD 644 x",
        "STOU",
        // Its file would be beside that directory.
        "STOU incoming",
        "STOU incoming/",
    ] {
        assert_eq!(bench.say(line), "550 Not enough privileges.", "{line}");
    }
    assert_eq!(bench.code("MFMT 20200101000000 x"), 550);
    // A non-recursive override holds for the files of the directory, not for what is below.
    assert_eq!(bench.code("MKD incoming/new"), 257);
    assert_eq!(bench.say("RMD incoming/sub"), "550 Not enough privileges.");
    assert_eq!(bench.code("STOR incoming/sub/x"), 550);
    assert_eq!(bench.code("STOR incoming/x"), 150);
    bench.all("ABOR");
    assert_eq!(bench.code("STOU incoming/x"), 150);
}

#[test]
fn abor_leaves_a_few_jobs_until_one_is_done() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "");
    bench.slow = true;
    for _ in 0..MOST_LEFT {
        bench.all("SIZE f");
        assert!(bench.it.is_abortable());
        let abor = Input::Command(command::parse(b"ABOR"));
        assert_eq!(bench.feed(abor).len(), 2);
    }
    bench.all("SIZE f");
    assert!(bench.it.is_busy() && !bench.it.is_abortable());
    let (id, job) = bench.jobs.pop_front().unwrap();
    assert!(bench.feed(Input::Job(id, job.run())).is_empty());
    assert!(bench.it.is_abortable());
    assert_eq!(bench.run_jobs(), ["213 0"]);
}

#[test]
fn a_lost_job_is_an_error_and_not_the_end() {
    let mut bench = Bench::logged_in();
    bench.slow = true;
    assert!(bench.all("MKD x").is_empty());
    assert!(!bench.it.wants_line());
    let (id, _) = bench.jobs.pop_front().unwrap();
    // Outcomes that nobody waits for change nothing.
    assert!(
        bench
            .feed(Input::Job(id.wrapping_sub(1), Outcome::Lost))
            .is_empty()
    );
    assert_eq!(
        bench.feed(Input::Job(id, Outcome::Lost)),
        ["451 Internal error."]
    );
    assert!(bench.it.wants_line());
}
