//! Users from a file: lines, reloads, and what a login costs.

mod reading;

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::lines::{Line, parse};
use super::*;
use crate::auth::Grant;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;

/// Of `secret`, as cheap as can be.
const HASH: &str =
    "$argon2id$v=19$m=32,t=2,p=2$c2FsdHNhbHRzYWx0$+0XobRXqLS1X1ReACBvULy2lJ13wTVvxwzR9tKf+mq0";

fn one(line: &str) -> Line {
    let mut lines = parse(line.as_bytes()).unwrap_or_else(|faults| panic!("{line}: {faults:?}"));
    assert_eq!(lines.len(), 1, "{line}");
    lines.remove(0)
}

/// What is wrong with a file, as `number: what`.
fn faults(file: &[u8]) -> Vec<String> {
    let faults = parse(file).expect_err("a bad file");
    faults
        .iter()
        .map(|fault| format!("{}: {}", fault.number, fault.what))
        .collect()
}

fn path(name: &str) -> VirtualPath {
    name.parse().unwrap()
}

/// A file of users in a folder of its own, whose sub-folder `home` is there.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new(content: &str) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        let stage = Stage { folder };
        stage.write(content);
        stage
    }

    /// `HASH` and `HOME` stand for those.
    fn write(&self, content: &str) {
        let home = self.folder.path().join("home");
        let content = content
            .replace("HASH", HASH)
            .replace("HOME", home.to_str().unwrap());
        fs::write(self.file(), content).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    fn users(&self) -> FileAuthorizer {
        FileAuthorizer::new(self.file()).unwrap()
    }
}

fn login(users: &impl Authorizer, name: &str, password: &str) -> Result<Account, AuthFailed> {
    let address: SocketAddr = "127.0.0.1:21".parse().unwrap();
    let credentials = Credentials::new(name, password.as_bytes(), address, address);
    users.authenticate(&credentials)
}

#[track_caller]
fn refused(users: &impl Authorizer, name: &str, password: &str, text: &str) {
    let refusal = login(users, name, password).expect_err(name);
    assert_eq!(refusal.to_string(), text);
    assert_eq!(refusal.is_guess(), text == "Authentication failed.");
}

#[test]
fn users_log_in_and_get_what_their_line_says() {
    let stage = Stage::new(
        "bob HASH HOME elradfmwMT max_cons=3 tree:/archive=elr msg_login=Hi! msg_quit=Bye!\n\
         shut !HASH HOME elr\n\
         gone HASH /no/such/home elr\n\
         anonymous \"\" HOME elr\n",
    );
    let users = stage.users();
    assert!(users.is_slow() && users.is_reloadable());
    assert_eq!(users.user_count(), 4);
    let bob = login(&users, "bob", "secret").unwrap();
    assert_eq!((bob.username(), bob.perms()), ("bob", Perm::ALL));
    assert_eq!((bob.login_message(), bob.quit_message()), ("Hi!", "Bye!"));
    assert_eq!(bob.his_limits().max_cons, 3);
    assert_eq!(bob.has_perm(Perm::WRITE, &path("/archive/a/b")), Grant::No);
    assert_eq!(bob.has_perm(Perm::WRITE, &path("/other")), Grant::Yes);
    let anonymous = login(&users, "anonymous", "whatever").unwrap();
    assert_eq!(anonymous.login_message(), "Login successful.");

    refused(&users, "bob", "Secret", "Authentication failed.");
    refused(&users, "bob", "", "Authentication failed.");
    refused(&users, "shut", "secret", "Authentication failed.");
    refused(&users, "nobody", "secret", "Authentication failed.");
    refused(&users, "gone", "secret", "Home directory not available.");
    refused(&users, "gone", "wrong", "Authentication failed.");
}

#[test]
fn without_anonymous_nobody_is() {
    let users = Stage::new("bob HASH HOME elr\n").users();
    refused(&users, "anonymous", "x", "Anonymous access not allowed.");
    let nobody = Stage::new("# nobody yet\n").users();
    assert_eq!((nobody.user_count(), nobody.users().hashes.len()), (0, 1));
    refused(&nobody, "bob", "x", "Authentication failed.");
}

#[test]
fn a_file_is_taken_whole_or_not_at_all() {
    let stage = Stage::new("bob HASH HOME elr\n");
    let users = Arc::new(stage.users());
    let before = login(&users, "bob", "secret").unwrap();
    stage.write("amy HASH HOME elr\nbob HASH HOME elr\nbad\n");
    let error = users.reload().unwrap_err().to_string();
    let file = stage.file();
    let named = format!("{}:3: a password hash is missing", file.display());
    assert!(error.starts_with(&named), "{error}");
    assert!(!users.has_user("amy"));
    login(&users, "bob", "secret").unwrap();

    stage.write("amy HASH HOME elr\n");
    users.reload().unwrap();
    login(&users, "amy", "secret").unwrap();
    refused(&users, "bob", "secret", "Authentication failed.");
    // Who is in stays in.
    assert!(before.filesystem().metadata(&path("/")).unwrap().is_dir());

    fs::remove_file(stage.file()).unwrap();
    let error = users.reload().unwrap_err();
    assert!(matches!(error, AuthorizerError::UserFile(..)), "{error}");
    login(&users, "amy", "secret").unwrap();
}

#[cfg(unix)]
#[test]
fn of_two_reloads_the_later_counts() {
    let stage = Stage::new("bob HASH HOME elr\n");
    let users = Arc::new(stage.users());
    let old = fs::read(stage.file()).unwrap();
    fs::remove_file(stage.file()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(stage.file())
        .status();
    assert!(made.unwrap().success());
    let reload = || {
        let users = Arc::clone(&users);
        std::thread::spawn(move || users.reload().unwrap())
    };
    let first = reload();
    // Opens when the first has opened it, which then waits for what is in it.
    let mut fifo = fs::OpenOptions::new()
        .write(true)
        .open(stage.file())
        .unwrap();
    fs::remove_file(stage.file()).unwrap();
    stage.write("amy HASH HOME elr\n");
    let second = reload();
    assert!(users.reloading.try_lock().is_err());
    std::io::Write::write_all(&mut fifo, &old).unwrap();
    drop(fifo);
    first.join().unwrap();
    second.join().unwrap();
    assert!(users.has_user("amy") && !users.has_user("bob"));
}

#[test]
fn errors_name_the_first_lines_and_count_the_rest() {
    let stage = Stage::new("a\nb\nc\nd\ne\n");
    let error = FileAuthorizer::new(stage.file()).unwrap_err().to_string();
    assert!(error.ends_with("; and 2 more bad lines"), "{error}");
    assert_eq!(error.matches("users:").count(), 3, "{error}");
    let error = FileAuthorizer::new("/no/such/users")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read the user file /no/such/users: "),
        "{error}"
    );
}

#[test]
fn what_has_no_end_is_no_user_file() {
    if cfg!(target_os = "linux") {
        let error = FileAuthorizer::new("/dev/zero").unwrap_err().to_string();
        assert!(error.contains("longer than 64 MiB"), "{error}");
    }
}

#[test]
fn an_unknown_name_always_costs_the_same_users_hash() {
    let stage = Stage::new("a HASH HOME e\nb HASH HOME e\nc ! HOME e\nanonymous \"\" HOME e\n");
    let users = stage.users();
    let table = users.users();
    assert_eq!(table.hashes.len(), 2);
    let picked = |name: &str| users.decoys.hash_one(name) as usize % table.hashes.len();
    let names: Vec<String> = (0..64).map(|number| format!("nobody{number}")).collect();
    let first: Vec<usize> = names.iter().map(|name| picked(name)).collect();
    let again: Vec<usize> = names.iter().map(|name| picked(name)).collect();
    assert_eq!(first, again);
    assert!(first.contains(&0) && first.contains(&1));
}
