//! Who gets in, to what, and what a login costs.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};

use tempfile::TempDir;

use super::*;
use crate::auth::Grant;

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("in/sub")).unwrap();
    home
}

fn login(users: &impl Authorizer, name: &str, password: &[u8]) -> Result<Account, String> {
    let address: SocketAddr = "127.0.0.1:21".parse().unwrap();
    let credentials = Credentials::new(name, password, address, address);
    users
        .authenticate(&credentials)
        .map_err(|refused| refused.to_string())
}

#[track_caller]
fn refused(users: &impl Authorizer, name: &str, password: &[u8], text: &str) {
    assert_eq!(login(users, name, password).err().as_deref(), Some(text));
}

#[test]
fn who_tries_anonymous_has_not_guessed() {
    let users = DummyAuthorizer::new();
    let address: SocketAddr = "127.0.0.1:21".parse().unwrap();
    for (name, is_guess) in [("anonymous", false), ("Anonymous", true), ("user", true)] {
        let credentials = Credentials::new(name, b"me@", address, address);
        let refused = users.authenticate(&credentials).unwrap_err();
        assert_eq!(refused.is_guess(), is_guess, "{name}");
    }
}

#[test]
fn logins_are_slow_where_a_home_is() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    users.add_user("fast", "", &home, Perm::ALL).unwrap();
    assert!(!users.is_slow());
    let user = users.add_user("slow", "", &home, Perm::ALL).unwrap();
    user.slow_files(true);
    assert!(users.is_slow());
    users.remove_user("fast");
    assert!(users.is_slow());
    users.remove_user("slow");
    assert!(!users.is_slow());
    users.add_anonymous(&home).unwrap().slow_files(true);
    let users = RwLock::new(users);
    assert!(users.is_slow());
    *users.write().unwrap() = DummyAuthorizer::new();
    assert!(!users.is_slow());
    let _changing = users.write().unwrap();
    assert!(users.is_slow(), "or the loop would wait for the change");
}

fn path(name: &str) -> VirtualPath {
    name.parse().unwrap()
}

#[test]
fn a_user_needs_his_own_password() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", &home, Perm::ALL).unwrap();
    users
        .add_user("other", b"\xFF\0 x", &home, Perm::NONE)
        .unwrap();
    let account = login(&users, "user", b"12345").unwrap();
    assert_eq!((account.username(), account.perms()), ("user", Perm::ALL));
    assert_eq!(account.login_message(), "Login successful.");
    assert_eq!(account.quit_message(), "Goodbye.");
    assert!(
        account
            .filesystem()
            .metadata(&path("/in"))
            .unwrap()
            .is_dir()
    );
    login(&users, "other", b"\xFF\0 x").unwrap();
    for password in [
        &b""[..],
        b"1234",
        b"123456",
        b"12346",
        b"\xFF\0 x",
        b"1234512345",
    ] {
        refused(&users, "user", password, "Authentication failed.");
    }
    let long = "x".repeat(100_000);
    for name in ["", "User", "user ", "nobody", "n\0\r\n\u{FFFD}", &long] {
        refused(&users, name, b"12345", "Authentication failed.");
        refused(&users, name, NOBODYS_PASSWORD, "Authentication failed.");
    }
}

#[test]
fn secrets_are_the_same_only_if_all_of_them_is() {
    assert!(same_secret(b"", b""));
    assert!(same_secret(b"abc", b"abc"));
    for (expected, given) in [
        ("", "a"),
        ("a", ""),
        ("abc", "abcabc"),
        ("abcabc", "abc"),
        ("abc", "abd"),
        ("abc", "xbc"),
    ] {
        assert!(
            !same_secret(expected.as_bytes(), given.as_bytes()),
            "{expected} {given}"
        );
    }
}

#[test]
fn anonymous_logs_in_with_any_password_if_he_exists() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    refused(&users, "anonymous", b"me@", "Anonymous access not allowed.");
    users.add_anonymous(&home).unwrap();
    for password in [&b""[..], b"me@", b"\xFF"] {
        assert_eq!(
            login(&users, "anonymous", password).unwrap().perms(),
            Perm::READ_ONLY
        );
    }
    users.remove_user("anonymous");
    users
        .add_user("anonymous", "secret", &home, Perm::ALL)
        .unwrap();
    assert_eq!(login(&users, "anonymous", b"").unwrap().perms(), Perm::ALL);
}

#[test]
fn users_are_added_once_and_removed() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    users.add_user("b", "first", &home, Perm::ALL).unwrap();
    users.add_user("a", "second", &home, Perm::ALL).unwrap();
    let error = users.add_user("b", "third", &home, Perm::NONE).unwrap_err();
    assert_eq!(error.to_string(), "user \"b\" already exists");
    assert!(users.add_anonymous(&home).is_ok() && users.add_anonymous(&home).is_err());
    assert_eq!(users.user("b").unwrap().password(), b"first");
    assert!(users.user("b").unwrap().account().is_ok());
    assert!(users.remove_user("b") && !users.remove_user("b"));
    assert!(!users.has_user("b") && users.has_user("a") && users.user("b").is_none());
    refused(&users, "b", b"first", "Authentication failed.");
    users.add_user("b", "third", &home, Perm::NONE).unwrap();
    assert_eq!(login(&users, "b", b"third").unwrap().perms(), Perm::NONE);
    login(&users, "a", b"second").unwrap();
}

#[test]
fn a_home_must_be_a_directory() {
    let home = home();
    fs::write(home.path().join("file"), "").unwrap();
    let mut users = DummyAuthorizer::new();
    for name in ["file", "none"] {
        let bad = home.path().join(name);
        let error = users.add_user("user", "", &bad, Perm::ALL).unwrap_err();
        assert!(matches!(&error, AuthorizerError::NotADirectory(path, _) if *path == bad));
        assert!(
            error
                .to_string()
                .starts_with(&format!("{bad:?} is not a directory")),
            "{error}"
        );
        assert!(!error.to_string().contains('\n') && error.source().is_some());
    }
    assert!(!users.has_user("user"));
}

#[test]
fn settings_hold_from_the_next_login_on() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    let user = users.add_user("user", "", &home, Perm::NONE).unwrap();
    user.msg_login("Hi.").msg_quit("Bye.").perm(Perm::CWD);
    let before = login(&users, "user", b"").unwrap();
    assert_eq!(
        (before.login_message(), before.quit_message()),
        ("Hi.", "Bye.")
    );
    users
        .override_perm("user", home.path().join("in"), Perm::WRITE, true)
        .unwrap();
    users
        .users
        .get_mut("user")
        .unwrap()
        .perm(Perm::LIST)
        .msg_login("Ho.");
    let after = login(&users, "user", b"").unwrap();
    assert_eq!((before.perms(), after.perms()), (Perm::CWD, Perm::LIST));
    assert_eq!(after.login_message(), "Ho.");
    assert_eq!(before.has_perm(Perm::WRITE, &path("/in/x")), Grant::No);
    assert_eq!(after.has_perm(Perm::WRITE, &path("/in/x")), Grant::Yes);
    assert!(Arc::ptr_eq(before.filesystem(), after.filesystem()));
}

#[test]
fn overrides_are_of_directories_inside_the_home() {
    let home = home();
    let elsewhere = tempfile::tempdir().unwrap();
    let inside = home.path().join("in");
    let mut users = DummyAuthorizer::new();
    users.add_user("user", "", &home, Perm::READ_ONLY).unwrap();
    let mut set = |directory: &Path| users.override_perm("user", directory, Perm::WRITE, false);
    let text = |result: Result<(), AuthorizerError>| result.unwrap_err().to_string();
    assert!(text(set(home.path())).ends_with("set the user's own permissions instead"));
    assert!(text(set(&inside.join(".."))).ends_with("set the user's own permissions instead"));
    assert!(text(set(elsewhere.path())).ends_with("is not inside the user's home"));
    assert!(text(set(&home.path().join(".."))).ends_with("is not inside the user's home"));
    assert!(text(set(&home.path().join("none"))).contains("is not a directory"));
    set(&inside.join("sub/../../in")).unwrap();
    let nobody = users.override_perm("nobody", &inside, Perm::ALL, true);
    assert_eq!(text(nobody), "no such user \"nobody\"");
    let account = login(&users, "user", b"").unwrap();
    let only_files = Grant::Depends {
        on_directory: false,
    };
    assert_eq!(account.has_perm(Perm::WRITE, &path("/in")), Grant::Yes);
    assert_eq!(account.has_perm(Perm::WRITE, &path("/in/sub")), only_files);
    assert_eq!(account.has_perm(Perm::WRITE, &path("/in/sub/x")), Grant::No);
}

#[test]
fn logins_at_the_same_time_share_one_account_and_none_costs_nothing() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    users.add_user("user", "", &home, Perm::ALL).unwrap();
    let is_open = || {
        users
            .user("user")
            .unwrap()
            .shared
            .lock()
            .unwrap()
            .filesystem
            .strong_count()
    };
    assert_eq!(is_open(), 0);
    let first = login(&users, "user", b"").unwrap();
    let second = login(&users, "user", b"").unwrap();
    assert!(Arc::ptr_eq(first.filesystem(), second.filesystem()));
    assert_eq!(is_open(), 1, "the account is shared, not only its files");
    drop((first, second));
    assert_eq!(is_open(), 0);
    login(&users, "user", b"").unwrap();
}

/// Windows lets nobody remove a directory that is open.
#[cfg(not(windows))]
#[test]
fn a_home_that_vanished_refuses_the_login_until_it_is_back() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    users.add_user("user", "right", &home, Perm::ALL).unwrap();
    let before = login(&users, "user", b"right").unwrap();
    fs::remove_dir_all(&home).unwrap();
    refused(&users, "user", b"right", "Home directory not available.");
    refused(&users, "user", b"wrong", "Authentication failed.");
    fs::create_dir_all(home.path().join("new")).unwrap();
    let after = login(&users, "user", b"right").unwrap();
    assert!(before.filesystem().metadata(&path("/new")).is_err());
    assert!(after.filesystem().metadata(&path("/new")).unwrap().is_dir());
}

#[test]
fn users_change_while_others_log_in() {
    let home = home();
    let users = Arc::new(RwLock::new(DummyAuthorizer::new()));
    refused(&users, "late", b"", "Authentication failed.");
    users
        .write()
        .unwrap()
        .add_user("late", "", &home, Perm::ALL)
        .unwrap();
    let account = login(&users, "late", b"").unwrap();
    users.write().unwrap().remove_user("late");
    refused(&users, "late", b"", "Authentication failed.");
    assert!(account.filesystem().metadata(&path("/in")).is_ok());
}

#[test]
fn debug_output_keeps_passwords() {
    let home = home();
    let mut users = DummyAuthorizer::new();
    users.add_user("user", "hunter2", &home, Perm::ALL).unwrap();
    let shown = format!("{users:?} {:?}", login(&users, "user", b"hunter2").unwrap());
    assert!(
        shown.contains("\"user\"") && !shown.contains("hunter2"),
        "{shown}"
    );
}
