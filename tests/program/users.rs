//! `--users` and `--hash-password`, SIGHUP, and guesses as fail2ban sees them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::common::program::{PROGRAM, Program, output};
use crate::common::{Client, PATIENCE, skipped};

/// Of `secret`, as cheap as can be.
const HASH: &str = "$argon2id$v=19$m=32,t=2,p=2$c2FsdHNhbHRzYWx0\
                    $+0XobRXqLS1X1ReACBvULy2lJ13wTVvxwzR9tKf+mq0";

/// A folder with a user file in it, and a home.
pub(crate) struct Stage(TempDir);

impl Stage {
    /// `HASH` and `HOME` stand for those.
    pub(crate) fn new(users: &str) -> Stage {
        let stage = Stage(tempfile::tempdir().unwrap());
        fs::create_dir(stage.home()).unwrap();
        stage.write(users);
        stage
    }

    fn write(&self, users: &str) {
        let home = self.home();
        let users = users
            .replace("HASH", HASH)
            .replace("HOME", home.to_str().unwrap());
        fs::write(self.file(), users).unwrap();
        protect(&self.file(), 0o600);
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("users")
    }
}

#[cfg(unix)]
fn protect(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn protect(_: &Path, _: u32) {}

fn waited(program: &Program, text: &str) {
    program
        .log()
        .wait_until(|lines| lines.iter().any(|line| line.contains(text)));
}

#[test]
fn users_of_a_file_log_in_and_do_what_they_may() {
    let stage = Stage::new(
        "bob HASH HOME elradfmwMT tree:/in=elr msg_login=\"Hello, bob.\"\n\
         \"amy a.\" HASH HOME elr\n\
         anonymous \"\" HOME el\n",
    );
    fs::create_dir(stage.home().join("in")).unwrap();
    let program = Program::with_users(&stage.file(), &["--auth-failed-timeout", "0"]);
    waited(&program, "3 user(s) in ");
    let mut bob = program.connect();
    bob.expect("USER bob", 331);
    bob.expect("PASS secret", 230).contains("Hello, bob.");
    bob.expect("MKD new", 257);
    bob.expect("MKD in/new", 550);
    let mut amy = program.login_as("amy a.", "secret");
    amy.expect("MKD other", 550);
    program.anonymous().expect("RETR x", 550);
    let mut other = program.connect();
    for name in ["bob", "nobody"] {
        other.expect(format!("USER {name}"), 331);
        other
            .expect("PASS wrong", 530)
            .contains("Authentication failed.");
    }
    let lines = program.last_words();
    assert!(
        !lines.iter().any(|line| line.contains("user file")),
        "{lines:?}"
    );
}

/// Every worker model that this system has.
const MODELS: &[&[&str]] = &[
    &[],
    &["--concurrency", "multi-thread"],
    #[cfg(unix)]
    &["--concurrency", "multi-proc"],
    #[cfg(unix)]
    &["--concurrency", "pre-fork", "--workers", "3"],
];

#[test]
fn all_workers_count_guesses_together() {
    for model in MODELS {
        let stage = Stage::new("bob HASH HOME elr\n");
        let flags = ["--auth-failed-timeout", "0", "--ban-after", "6"];
        let program = Program::with_users(&stage.file(), &[model, &flags[..]].concat());
        for code in [530, 530, 530, 530, 530, 421] {
            let mut client = program.connect();
            client.expect("USER bob", 331);
            client.expect("PASS wrong", code);
        }
        Client::connect(program.addr()).expect_reply(421);
        let lines = program.last_words();
        let banned = lines.iter().filter(|line| line.contains("address banned"));
        assert_eq!(banned.count(), 1, "{model:?}: {lines:#?}");
    }
}

#[cfg(unix)]
#[test]
fn every_worker_reads_the_users_again() {
    for model in MODELS {
        let stage = Stage::new("bob HASH HOME elr\n");
        let flags = ["--auth-failed-timeout", "0", "--ban-after", "0"];
        let program = Program::with_users(&stage.file(), &[model, &flags[..]].concat());
        program.login_as("bob", "secret");
        stage.write("amy HASH HOME elr\n");
        program.signal("HUP");
        waited(&program, "users reloaded");
        // A worker has heard of it a moment later than the one who tells.
        for name in ["amy"; 12] {
            let deadline = std::time::Instant::now() + PATIENCE;
            loop {
                let mut client = program.connect();
                client.expect(format!("USER {name}"), 331);
                if client.cmd("PASS secret").code == 230 {
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "{model:?}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn sighup_reads_the_users_again_and_a_bad_line_changes_nothing() {
    let stage = Stage::new("bob HASH HOME elr\n");
    let program = Program::with_users(&stage.file(), &["--auth-failed-timeout", "0"]);
    let mut inside = program.login_as("bob", "secret");
    stage.write("amy HASH HOME elr\nbob\n");
    program.signal("HUP");
    let bad = format!("users kept as they were: {}:2: ", stage.file().display());
    waited(&program, &bad);
    program.login_as("bob", "secret");
    stage.write("amy HASH HOME elr\n");
    program.signal("HUP");
    waited(&program, "users reloaded");
    program.login_as("amy", "secret");
    let mut bob = program.connect();
    bob.expect("USER bob", 331);
    bob.expect("PASS secret", 530);
    inside.expect_alive();
}

#[test]
fn a_bad_file_is_one_line_on_standard_error() {
    let stage = Stage::new("# users\nbob hunter2 HOME elr\n");
    let run = |file: &Path| {
        let mut command = Command::new(PROGRAM);
        command.args(["-p", "0", "--users"]).arg(file);
        output(&mut command, b"")
    };
    let bad = run(&stage.file());
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stderr).unwrap();
    let named = format!(
        "ftpdlib: --users: {}:2: no password hash",
        stage.file().display()
    );
    assert!(
        said.starts_with(&named) && said.lines().count() == 1,
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    let missing = run(Path::new("/no/such/users"));
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(
        said.contains("cannot read the user file /no/such/users"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_may_read_and_a_home_that_is_not_there_are_told() {
    let stage = Stage::new("bob HASH HOME elr\namy HASH /no/such/home elr\n");
    protect(&stage.file(), 0o644);
    let program = Program::with_users(&stage.file(), &[]);
    waited(
        &program,
        "is open to every user of this machine (mode 0644)",
    );
    waited(&program, "users:2: home /no/such/home is not available");
}

fn hash(input: &[u8]) -> Output {
    output(Command::new(PROGRAM).arg("--hash-password"), input)
}

#[test]
fn a_password_is_hashed_and_opens_the_account() {
    let hashed = hash("gr\u{fc}n \"#\n".as_bytes());
    assert!(hashed.status.success() && hashed.stderr.is_empty());
    let hashed = String::from_utf8(hashed.stdout).unwrap();
    assert!(
        hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hashed}"
    );
    let line = format!("bob {} HOME elr\n", hashed.trim_end());
    let stage = Stage::new(&line);
    let program = Program::with_users(&stage.file(), &[]);
    program.login_as("bob", "gr\u{fc}n \"#");

    for (input, text) in [
        (&b""[..], "the password is empty"),
        (b"\r\n", "the password is empty"),
        (&[b'x'; 4097], "longer than 4096 bytes"),
    ] {
        let refused = hash(input);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(text) && refused.stdout.is_empty(), "{said}");
    }
}

/// The lines of a server that was guessed at, and the client's address.
fn guessed_at() -> (Vec<String>, String) {
    let stage = Stage::new("bob HASH HOME elr\n");
    let flags = ["--auth-failed-timeout", "0", "--ban-after", "4"];
    let program = Program::with_users(&stage.file(), &flags);
    program.login_as("bob", "secret");
    let mut client = program.connect();
    let address = client.stream().local_addr().unwrap().to_string();
    let forged = "x' failed login.\r[I 2026-11-22 12:00:00] 192.0.2.1:5-[] USER 'y' failed login.";
    for name in ["bob", "a] USER 'b", forged] {
        client.expect(format!("USER {name}"), 331);
        client.expect("PASS wrong", 530);
    }
    client.expect_end();
    // No guess.
    let mut unasked = program.connect();
    unasked.expect("USER anonymous", 331);
    unasked.expect("PASS me@", 530);
    let mut last = program.connect();
    last.expect("USER bob", 331);
    last.expect("PASS wrong", 421);
    Client::connect(program.addr()).expect_reply(421);
    let lines = program.last_words();
    let banned = "address banned for 600s after 4 failed logins.";
    assert!(lines.iter().any(|line| line.contains(banned)), "{lines:?}");
    (lines, address)
}

#[test]
fn each_guess_is_one_line_with_the_address() {
    let (lines, address) = guessed_at();
    let failed = |line: &&String| line.ends_with(" failed login.");
    assert_eq!(lines.iter().filter(failed).count(), 4, "{lines:#?}");
    let line = format!("] {address}-[] USER 'bob' failed login.");
    assert_eq!(lines.iter().filter(|text| text.ends_with(&line)).count(), 1);
    let refused = "-[] USER 'anonymous' refused: Anonymous access not allowed.";
    let refused = |line: &&String| line.ends_with(refused);
    assert_eq!(lines.iter().filter(refused).count(), 1, "{lines:#?}");
    // And once is enough.
    let why = |line: &&String| line.contains("Anonymous access not allowed.");
    assert_eq!(lines.iter().filter(why).count(), 1, "{lines:#?}");
}

#[test]
fn fail2ban_finds_the_guesses_and_nothing_else() {
    let found = Command::new("fail2ban-regex").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        return skipped("no fail2ban-regex: its filter of docs/fail2ban is not tried");
    }
    let (lines, _) = guessed_at();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    let filter = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fail2ban/filter.d/ftpdlib.conf");
    let mut command = Command::new("fail2ban-regex");
    let output = output(command.args(["-o", "ip"]).arg(&log).arg(&filter), b"");
    let said = String::from_utf8_lossy(&output.stdout);
    let addresses: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(addresses, ["127.0.0.1"; 4], "{said}\n{lines:#?}");
}

/// Types two lines at a terminal of the program's own, each when it is asked for and the terminal
/// does not echo (no event tells that), and shows what the terminal showed.
const TYPIST: &str = "
import os, pty, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], '--hash-password'])
shown = b''
def until(text):
    global shown
    while text not in shown:
        shown += os.read(terminal, 1000)
for prompt, line in ((b'Password: ', sys.argv[2]), (b'again: ', sys.argv[3])):
    until(prompt)
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        time.sleep(0.001)
    os.write(terminal, line.encode() + b'\\n')
try:
    while True:
        part = os.read(terminal, 1000)
        if not part: break
        shown += part
except OSError:
    pass
os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[cfg(unix)]
#[test]
fn at_a_terminal_the_password_is_asked_for_twice_and_not_shown() {
    let found = Command::new("python3").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        return skipped("no python3: --hash-password is not tried at a terminal");
    }
    let typed = |first: &str, second: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", TYPIST, PROGRAM, first, second]);
        let output = output(&mut command, b"");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!shown.contains("hunter"), "{shown}");
        (output.status.code(), shown)
    };
    let (status, shown) = typed("hunter2", "hunter2");
    assert!(status == Some(0) && shown.contains("$argon2id$"), "{shown}");
    let (status, shown) = typed("hunter2", "hunter3");
    assert!(
        status == Some(1) && shown.contains("the two passwords differ"),
        "{shown}"
    );
}
