//! Who is let in, and with which password.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use ftpdlib::{Perm, UnixOverride};

use crate::users::{SECRET, UnixServer, User, can_make_users, public_place};

#[test]
fn a_user_logs_in_with_his_system_password_and_no_other() {
    if !can_make_users("a login") {
        return;
    }
    let (user, server) = (User::new(), UnixServer::start(|users| users));
    assert!(server.lets_in(&user.name, SECRET));
    for wrong in ["", "x", "secret-", "secret-11", "Secret-1", "*", "!"] {
        assert!(!server.lets_in(&user.name, wrong), "{wrong:?}");
    }
    for nobody in ["nosuchuser", "root\0", "daemon", &format!("{}x", user.name)] {
        assert!(!server.lets_in(nobody, SECRET), "{nobody:?}");
    }
    let mut client = server.login(&user);
    assert!(client.expect("PWD", 257).text.contains("\"/\""));
    client.expect("QUIT", 221);
}

/// The system's own way to set a password, with the kind of hash that the system prefers.
#[test]
fn the_systems_preferred_hash_is_verified() {
    if !can_make_users("a login with the system's hash") {
        return;
    }
    let user = User::new();
    let mut chpasswd = Command::new("chpasswd")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let line = format!("{}:another secret, with blanks: äöü", user.name);
    chpasswd
        .stdin
        .take()
        .unwrap()
        .write_all(line.as_bytes())
        .unwrap();
    assert!(chpasswd.wait().unwrap().success());
    let server = UnixServer::start(|users| users);
    assert!(server.lets_in(&user.name, "another secret, with blanks: äöü"));
    assert!(!server.lets_in(&user.name, SECRET));
}

#[test]
fn locked_expired_and_shell_less_users_are_refused() {
    if !can_make_users("refused logins") {
        return;
    }
    let user = User::new();
    let server = UnixServer::start(|users| users);
    let without_shell = UnixServer::start(|users| users.require_valid_shell(false));
    type Change = fn(&User);
    let (forth, back): (&[Change], &[Change]) = (
        &[
            |user| user.change(&["-L"]),
            |user| user.change(&["-e", "1970-01-02"]),
            |user| user.change(&["-e", "2020-02-02"]),
            |user| user.age(&["-d", "0"]),
            |user| user.age(&["-d", "2020-01-01", "-M", "30"]),
            |user| user.change(&["-p", ""]),
            |user| user.change(&["-p", "*"]),
        ],
        &[
            |user| user.change(&["-U"]),
            |user| user.change(&["-e", ""]),
            |user| user.change(&["-e", ""]),
            |user| user.age(&["-d", "2020-01-01"]),
            |user| user.age(&["-M", "99999"]),
            |_| {},
            |_| {},
        ],
    );
    for (at, (change, undo)) in forth.iter().zip(back).enumerate() {
        if at < 6 {
            assert!(server.lets_in(&user.name, SECRET), "before change {at}");
        }
        change(&user);
        for server in [&server, &without_shell] {
            assert!(!server.lets_in(&user.name, SECRET), "after change {at}");
            assert!(!server.lets_in(&user.name, ""), "after change {at}");
        }
        undo(&user);
    }
    let user = User::new();
    user.change(&["-s", "/usr/sbin/no-such-shell"]);
    assert!(!server.lets_in(&user.name, SECRET));
    assert!(without_shell.lets_in(&user.name, SECRET));
}

#[test]
fn lists_of_users() {
    if !can_make_users("lists of users") {
        return;
    }
    let (ann, bob) = (User::new(), User::new());
    let allowed = UnixServer::start(|users| users.allowed_users([&ann.name]));
    let rejected = UnixServer::start(|users| users.rejected_users([&bob.name]));
    for server in [allowed, rejected] {
        assert!(server.lets_in(&ann.name, SECRET));
        assert!(!server.lets_in(&bob.name, SECRET));
    }
}

#[test]
fn anonymous_is_a_user_of_the_system_who_reads() {
    if !can_make_users("anonymous") {
        return;
    }
    let public = User::with(&[], &["-s", "/usr/sbin/no-such-shell", "-p", "*"]);
    fs::write(public.home.join("file"), "for all").unwrap();
    let server = UnixServer::start(|users| users.anonymous_user(&public.name));
    let mut client = server.connect();
    client.login_as("anonymous", "me@");
    assert_eq!(client.fetch("RETR file"), b"for all");
    client.refused("STOR new", 550);
    // Only by that name.
    assert!(!server.lets_in(&public.name, "me@"));
    let closed = UnixServer::start(|users| users);
    let mut client = closed.connect();
    client.expect("USER anonymous", 331);
    client
        .expect("PASS me@", 530)
        .contains("Anonymous access not allowed.");
}

#[test]
fn a_user_may_be_different() {
    if !can_make_users("overrides") {
        return;
    }
    let (user, other, place) = (User::new(), User::new(), public_place());
    fs::write(place.path().join("there"), "another home").unwrap();
    let server = UnixServer::start(|users| {
        let own = UnixOverride::new()
            .password("for FTP alone")
            .home(place.path())
            .perm(Perm::READ_ONLY)
            .msg_login("Hello.")
            .msg_quit("Farewell.");
        users
            .override_user(&user.name, own)
            .msg_login("Welcome.")
            .global_perm(Perm::READ_ONLY | Perm::MKDIR)
    });
    assert!(!server.lets_in(&user.name, SECRET));
    let mut client = server.connect();
    client.expect(format!("USER {}", user.name), 331);
    client.expect("PASS for FTP alone", 230).contains("Hello.");
    assert_eq!(client.fetch("RETR there"), b"another home");
    client.expect("MKD new", 550);
    client.expect("QUIT", 221).contains("Farewell.");
    // The account's own end holds for the other password too.
    user.change(&["-L"]);
    assert!(server.lets_in(&user.name, "for FTP alone"));
    user.change(&["-e", "2020-02-02"]);
    assert!(!server.lets_in(&user.name, "for FTP alone"));

    let mut client = server.connect();
    client.expect(format!("USER {}", other.name), 331);
    client
        .expect(format!("PASS {SECRET}"), 230)
        .contains("Welcome.");
    client.expect("MKD new", 257);
    client.refused("STOR file", 550);
}

#[test]
fn a_home_that_is_not_there() {
    if !can_make_users("a missing home") {
        return;
    }
    let user = User::new();
    fs::remove_dir(&user.home).unwrap();
    let confined = UnixServer::start(|users| users);
    let mut client = confined.connect();
    client.expect(format!("USER {}", user.name), 331);
    client
        .expect(format!("PASS {SECRET}"), 530)
        .contains("Home directory not available.");
    let whole = UnixServer::start(|users| users.whole_tree(true));
    let mut client = whole.login(&user);
    assert!(client.expect("PWD", 257).text.contains("\"/\""));
    client.expect("CWD /tmp", 250);
}

/// Root has the system to lose.
#[test]
fn root_is_let_in_only_by_name() {
    if !can_make_users("root") {
        return;
    }
    // Another user of the id 0, so that the machine's own root needs no password.
    let root = User::with(&[], &["-o", "-u", "0"]);
    let server = UnixServer::start(|users| users);
    assert!(!server.lets_in(&root.name, SECRET));
    let server = UnixServer::start(|users| users.allowed_users([&root.name]).whole_tree(true));
    let mut client = server.login(&root);
    assert!(!client.fetch("RETR /etc/shadow").is_empty());
}
