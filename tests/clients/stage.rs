//! Where a client is tried: a server of its own, an empty local directory, an empty home, and a
//! time limit. What the client finds of its user, or of proxies, is the same on every machine.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ftpdlib::{CommandLine, Handler, Session, Verdict};
use tempfile::TempDir;

use crate::common::{Record, TestServer, has_ipv6, record, skipped};

/// A client that runs longer is killed, and its test fails.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How a client reaches the server and is reached by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) ipv6: bool,
    pub(crate) active: bool,
}

/// Makes a test of each function named, for each way to connect; or, after `over IPv4`, for each
/// way to connect by IPv4.
macro_rules! each_way {
    ($program:literal: $($test:ident)+) => {
        each_way!($program over IPv4: $($test)+);
        each_way!(@ ipv6_passive true false $program: $($test)+);
        each_way!(@ ipv6_active true true $program: $($test)+);
    };
    ($program:literal over IPv4: $($test:ident)+) => {
        each_way!(@ ipv4_passive false false $program: $($test)+);
        each_way!(@ ipv4_active false true $program: $($test)+);
    };
    (@ $way:ident $ipv6:literal $active:literal $program:literal: $($test:ident)+) => {
        mod $way {
            $(
                #[test]
                fn $test() {
                    let way = $crate::stage::Way { ipv6: $ipv6, active: $active };
                    $crate::stage::play($program, way, super::$test);
                }
            )+
        }
    };
}

/// Runs a test, unless what it needs is not here.
pub(crate) fn play(program: &str, way: Way, test: impl FnOnce(&Stage)) {
    if !is_installed(program) {
        let why = format!("{program} is not installed; run tests/install-clients");
        assert!(env::var_os("CI").is_none(), "{why}");
        return skipped(&why);
    }
    if way.ipv6 && !has_ipv6() {
        return skipped("no IPv6 here");
    }
    let address = match way.ipv6 {
        false => Ipv4Addr::LOCALHOST.into(),
        true => Ipv6Addr::LOCALHOST.into(),
    };
    let stage = Stage::new(way, address);
    test(&stage);
    stage.check_way();
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

pub(crate) struct Stage {
    pub(crate) way: Way,
    pub(crate) server: TestServer,
    commands: Arc<Record>,
    local: TempDir,
    home: TempDir,
}

/// Writes down the commands, as a log shows them.
struct Listening(Arc<Record>);

impl Handler for Listening {
    fn on_command(&mut self, _session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        self.0.add(command.shown().to_string());
        Verdict::Run
    }
}

impl Stage {
    fn new(way: Way, address: IpAddr) -> Stage {
        let commands = record();
        let heard = commands.clone();
        let server = TestServer::on(address, |builder| {
            builder.handler(move |_peer| Listening(heard.clone()))
        });
        Stage {
            way,
            server,
            commands,
            local: tempfile::tempdir().expect("a local directory"),
            home: tempfile::tempdir().expect("a home"),
        }
    }

    /// The address of the server as in a URL, without the port.
    pub(crate) fn host(&self) -> String {
        let ip = self.server.addr().ip();
        if ip.is_ipv6() {
            format!("[{ip}]")
        } else {
            ip.to_string()
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// The real path of `name` in the client's working directory.
    pub(crate) fn local(&self, name: impl AsRef<Path>) -> PathBuf {
        self.local.path().join(name)
    }

    /// Puts a file where the client runs.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.local(name), content).expect("a local file");
    }

    pub(crate) fn mkdir(&self, name: &str) {
        fs::create_dir_all(self.local(name)).expect("a local directory");
    }

    /// What the client left in a file where it runs.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.local(name)).unwrap_or_else(|error| {
            panic!("{name}: {error}; the client sent {:#?}", self.commands());
        })
    }

    /// All commands that the server got, without passwords.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.all()
    }

    /// How many commands have this verb.
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.commands()
            .iter()
            .filter(|command| command.split(' ').next() == Some(verb))
            .count()
    }

    #[track_caller]
    pub(crate) fn expect_command(&self, command: &str) {
        let commands = self.commands();
        assert!(
            commands.iter().any(|sent| sent == command),
            "no {command:?} in {commands:#?}"
        );
    }

    pub(crate) fn forget_commands(&self) {
        self.commands.clear();
    }

    /// A client that quietly goes another way than it was told would prove nothing.
    fn check_way(&self) {
        let others = if self.way.active {
            ["PASV", "EPSV"]
        } else {
            ["PORT", "EPRT"]
        };
        for verb in others {
            assert_eq!(
                self.count(verb),
                0,
                "{:?}: {:#?}",
                self.way,
                self.commands()
            );
        }
    }

    /// A program that finds nothing of the user who runs the tests.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("LFTP_HOME", self.home.path())
            .env("NCFTPDIR", self.home.path())
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir(self.local.path());
        command
    }

    /// Runs a client that must succeed, and gives its standard output.
    #[track_caller]
    pub(crate) fn run(&self, command: Command) -> String {
        self.run_with(command, "")
    }

    /// The same, with something on standard input.
    #[track_caller]
    pub(crate) fn run_with(&self, command: Command, input: &str) -> String {
        let output = self.attempt(command, input);
        assert!(output.status.success(), "{}", self.story(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a client, whatever becomes of it.
    #[track_caller]
    pub(crate) fn attempt(&self, mut command: Command, input: &str) -> Output {
        // A file, so that nobody has to write while others read.
        let script = self.home.path().join("stdin");
        fs::write(&script, input).expect("a script");
        let child = command
            .stdin(File::open(&script).expect("the script"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let group = child.id();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        match receiver.recv_timeout(TIME_LIMIT) {
            Ok(output) => output.expect("a client that ran"),
            Err(_) => {
                kill(group);
                let said = receiver.recv_timeout(TIME_LIMIT);
                let story = said.ok().and_then(Result::ok);
                let story = story.map_or_else(String::new, |output| self.story(&output));
                panic!("{command:?} took more than {TIME_LIMIT:?}; {story}");
            }
        }
    }

    /// What a client said and sent, for the reader of a failed test.
    pub(crate) fn story(&self, output: &Output) -> String {
        format!(
            "{}\n-- stdout:\n{}\n-- stderr:\n{}\n-- commands: {:#?}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.commands()
        )
    }
}

/// Kills a client with all that it started. The shell knows how; it need not be a system call.
fn kill(group: u32) {
    let killed = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -s KILL -- -{group}"))
        .status();
    assert!(killed.is_ok(), "no shell");
}

/// A long list of the file `a file` and the folder `nested`.
#[track_caller]
pub(crate) fn expect_long_list(long: &str) {
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines.len(), 2, "{long}");
    assert!(
        lines[0].starts_with("-rw") && lines[0].ends_with(" a file"),
        "{long}"
    );
    assert!(
        lines[1].starts_with("drwx") && lines[1].ends_with(" nested"),
        "{long}"
    );
}
