//! Users and groups of the system, made for a test and removed after it, and a server for them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ftpdlib::{FtpServer, ServerHandle, UnixAuthorizer, UnixSettings};
use tempfile::TempDir;

use crate::common::{Client, PATIENCE, Record, Recorder, skipped};

/// Their password.
pub(crate) const SECRET: &str = "secret-1";

/// The same, hashed with few rounds: a test is not about how long it takes.
const HASH: &str = "$6$rounds=1000$testsalt$vZ0WRxogeP0TlHAjltEtEC56ZLLtl/A0wq9MKV8RE0ojBx9LcFHixNAaNfl4Bal26WF75e0kU1RC.QB6XoIYO1";

/// Names of users and groups begin with this and the number of the process.
const PREFIX: &str = "ftpdt";

/// Whether this can make users; says that a test is skipped where not.
pub(crate) fn can_make_users(test: &str) -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    let is_root = id.stdout.trim_ascii() == b"0";
    let has_tools = ["useradd", "userdel", "groupadd", "groupdel"]
        .iter()
        .all(|tool| Command::new(tool).arg("--help").output().is_ok());
    if !is_root || !has_tools {
        skipped(&format!("{test} needs root, and useradd(8) and its kin"));
        return false;
    }
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    true
}

/// Removes what a test that was killed has left behind.
fn sweep() {
    for (file, tool) in [("/etc/passwd", "userdel"), ("/etc/group", "groupdel")] {
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            let name = line.split(':').next().unwrap_or_default();
            let pid = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split('n').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let options: &[&str] = if tool == "userdel" { &["-f"] } else { &[] };
                let mut tool = Command::new(tool);
                // Another process may do the same at the same time.
                let _ = tool.args(options).arg(name).stderr(Stdio::null()).status();
            }
        }
    }
}

/// The tools have one lock for all, and give up when another has it for long.
fn tool(command: &mut Command) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("a tool for users");
        if output.status.success() {
            return;
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("lock") && Instant::now() < deadline,
            "{command:?}: {text}"
        );
        // Another process has it; there is no event to wait for.
        thread::sleep(Duration::from_millis(50));
    }
}

fn fresh_name() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}n{number}", std::process::id())
}

/// A group without members of its own, gone when dropped.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) gid: u32,
}

impl Group {
    pub(crate) fn new() -> Group {
        let name = fresh_name();
        tool(Command::new("groupadd").arg(&name));
        let gid = field("/etc/group", &name, 2);
        Group { name, gid }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        tool(Command::new("groupdel").arg(&self.name));
    }
}

/// A user with the password [`SECRET`], a shell and a home, gone when dropped.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
    _temp: TempDir,
}

impl User {
    pub(crate) fn new() -> User {
        User::with(&[], &[])
    }

    /// One who is in these groups too, made with these options of useradd(8).
    pub(crate) fn with(groups: &[&Group], options: &[&str]) -> User {
        let (name, temp) = (fresh_name(), public_place());
        let home = temp.path().join("home");
        let groups: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
        tool(
            Command::new("useradd")
                .args([
                    "-U",
                    "-M",
                    "-s",
                    "/bin/sh",
                    "-p",
                    HASH,
                    "-G",
                    &groups.join(","),
                ])
                .arg("-d")
                .arg(&home)
                .args(options)
                .arg(&name),
        );
        let (uid, gid) = (
            field("/etc/passwd", &name, 2),
            field("/etc/passwd", &name, 3),
        );
        fs::create_dir(&home).expect("a home");
        chown(&home, Some(uid), Some(gid)).expect("a home of his own");
        User {
            name,
            uid,
            gid,
            home,
            _temp: temp,
        }
    }

    /// Changes him with usermod(8).
    pub(crate) fn change(&self, options: &[&str]) {
        tool(Command::new("usermod").args(options).arg(&self.name));
    }

    /// Changes the age of his password or account with chage(1).
    pub(crate) fn age(&self, options: &[&str]) {
        tool(Command::new("chage").args(options).arg(&self.name));
    }

    /// Runs a shell script as he would, with his groups.
    pub(crate) fn shell(&self, directory: &Path, script: &str) -> String {
        let place = public_place();
        let file = place.path().join("script");
        fs::write(&file, script).expect("a script");
        let output = Command::new("setpriv")
            .args(["--reuid", &self.uid.to_string()])
            .args(["--regid", &self.gid.to_string()])
            .args(["--init-groups", "sh"])
            .arg(&file)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("setpriv");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // Also one whose id is root's, who has processes.
        tool(Command::new("userdel").arg("-f").arg(&self.name));
    }
}

fn field(file: &str, name: &str, at: usize) -> u32 {
    let text = fs::read_to_string(file).expect("a database");
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    let value = line
        .and_then(|line| line.split(':').nth(at))
        .expect("an entry");
    value.parse().expect("a number")
}

/// A temporary directory that everybody may enter.
pub(crate) fn public_place() -> TempDir {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(temp.path(), mode).expect("a mode");
    temp
}

/// A server for the system's users.
pub(crate) struct UnixServer {
    handle: ServerHandle,
    pub(crate) record: Arc<Record>,
}

impl UnixServer {
    pub(crate) fn start(settings: impl FnOnce(UnixSettings) -> UnixSettings) -> UnixServer {
        let users = settings(UnixAuthorizer::builder()).build().expect("root");
        let record = Arc::new(Record::default());
        let for_handlers = record.clone();
        let handle = FtpServer::builder()
            .authorizer(users)
            .handler(move |_| Recorder(for_handlers.clone()))
            .auth_failed_timeout(Duration::from_millis(10))
            .max_login_attempts(0)
            .bind("127.0.0.1:0")
            .expect("a free port")
            .spawn()
            .expect("a running server");
        UnixServer { handle, record }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(self.handle.local_addr());
        client.expect_reply(220);
        client
    }

    #[track_caller]
    pub(crate) fn login(&self, user: &User) -> Client {
        let mut client = self.connect();
        client.login_as(&user.name, SECRET);
        client
    }

    /// Whether the password lets the user in. A refusal always has the same words.
    #[track_caller]
    pub(crate) fn lets_in(&self, name: &str, password: &str) -> bool {
        let mut client = self.connect();
        client.expect(format!("USER {name}"), 331);
        let reply = client.cmd(format!("PASS {password}"));
        if reply.code == 530 {
            assert_eq!(reply.text, "530 Authentication failed.");
        }
        reply.code == 230
    }
}
