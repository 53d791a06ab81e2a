//! The `ftpdlib` program as a child process, with what it says on standard error.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Client, PATIENCE, Record};

/// The program that cargo has built.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ftpdlib");

/// A running `ftpdlib`; it is killed when dropped.
pub(crate) struct Program {
    child: Child,
    log: Arc<Record>,
    /// Reads standard error to its end.
    reader: Option<JoinHandle<()>>,
    /// Set, it closes the reading end of standard error with the next line.
    deaf: Arc<AtomicBool>,
    /// Locked, nothing is read from standard error.
    paused: Arc<Mutex<()>>,
    addr: SocketAddr,
}

impl Program {
    /// Shares `home` on a free port of 127.0.0.1.
    pub(crate) fn start(home: &Path, args: &[&str]) -> Program {
        Program::run(Command::new(PROGRAM).args(["-i", "127.0.0.1"]), home, args)
    }

    /// The same, by a shell that does something before (`ulimit`); `"$@"` is the program.
    pub(crate) fn start_by_shell(script: &str, home: &Path, args: &[&str]) -> Program {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", PROGRAM, "-i", "127.0.0.1"]);
        Program::run(&mut shell, home, args)
    }

    pub(crate) fn run(command: &mut Command, home: &Path, args: &[&str]) -> Program {
        Program::spawn(command.arg("-d").arg(home).args(args))
    }

    /// Serves the users of a file on a free port of 127.0.0.1.
    pub(crate) fn with_users(file: &Path, args: &[&str]) -> Program {
        let mut command = Command::new(PROGRAM);
        command.args(["-i", "127.0.0.1", "--users"]).arg(file);
        Program::spawn(command.args(args))
    }

    /// Runs the program with a free port, as `command` has it.
    pub(crate) fn spawn(command: &mut Command) -> Program {
        let mut child = command
            .args(["-p", "0"])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("piped");
        let (log, deaf) = (
            Arc::new(Record::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let (for_lines, for_deafness) = (log.clone(), deaf.clone());
        let paused = Arc::new(Mutex::new(()));
        let for_pauses = paused.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                for_lines.add(line);
                drop(for_pauses.lock());
                if for_deafness.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let started = |line: &String| line.contains(">>> starting FTP");
        let lines = log.wait_until(|lines| lines.iter().any(started));
        let line = lines
            .iter()
            .find(|line| started(line))
            .expect("just waited for");
        let rest = line.split_once(" server on ").expect("an address").1;
        let addr = rest
            .split(", pid=")
            .next()
            .and_then(|addr| addr.parse().ok());
        let addr = addr.unwrap_or_else(|| panic!("no address in {line:?}"));
        Program {
            child,
            log,
            reader: Some(reader),
            deaf,
            paused,
            addr,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its lines on standard error.
    pub(crate) fn log(&self) -> &Record {
        &self.log
    }

    /// Stops to read its standard error.
    pub(crate) fn close_stderr(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    /// Leaves its standard error open and unread, as long as this is held.
    pub(crate) fn pause_log(&self) -> MutexGuard<'_, ()> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(self.addr);
        client.expect_reply(220);
        client
    }

    #[track_caller]
    pub(crate) fn login_as(&self, name: &str, password: &str) -> Client {
        let mut client = self.connect();
        client.login_as(name, password);
        client
    }

    #[track_caller]
    pub(crate) fn anonymous(&self) -> Client {
        self.login_as("anonymous", "me@")
    }

    /// Sends a signal by its name, as `TERM`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(kill.expect("kill").success());
    }

    /// Ends it, and gives all that it has said. What it said before a client had its reply may not have
    /// been read yet when he has.
    #[track_caller]
    pub(crate) fn last_words(mut self) -> Vec<String> {
        self.signal("TERM");
        self.wait();
        let reader = self.reader.take().expect("nobody else takes it");
        reader.join().expect("lines");
        self.log.all()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end; {:?}",
                self.log.all()
            );
            // There is no event to wait for with a limit of time.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end, for as long as a test may take, and gives what it said.
#[track_caller]
pub(crate) fn output(command: &mut Command, input: &[u8]) -> Output {
    let limit = PATIENCE * 2;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let mut stdin = child.stdin.take().expect("piped");
    let (pid, input) = (child.id(), input.to_vec());
    let (send, receive) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // A program that does not want its input is not to be blamed.
        let _ = std::io::Write::write_all(&mut stdin, &input);
    });
    thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(limit) {
        Ok(output) => output.expect("a child"),
        Err(_) => {
            let _ = Command::new("kill")
                .args(["-s", "KILL", &pid.to_string()])
                .status();
            let said = receive.recv_timeout(PATIENCE).ok().and_then(Result::ok);
            panic!("{command:?} takes longer than {limit:?}: {said:?}");
        }
    }
}
