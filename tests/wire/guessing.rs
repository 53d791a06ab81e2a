//! Who guesses at passwords: bans, answers that wait, and passwords of every length and byte.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ftpdlib::{Account, AuthFailed, Authorizer, Builder, Credentials, DummyAuthorizer, Perm};

use crate::common::{Client, PASSWORD, PATIENCE, TestServer, USER};

/// Answers refusals at once, and bans after three.
fn strict(builder: Builder) -> Builder {
    builder
        .auth_failed_timeout(Duration::ZERO)
        .max_login_attempts(0)
        .ban_after(3)
}

/// Guesses three times, which is once too often.
fn guess_thrice(mut client: Client) {
    for code in [530, 530, 421] {
        client.expect(format!("USER {USER}"), 331);
        client.expect("PASS wrong", code);
    }
    client.expect_end();
}

#[test]
fn an_address_that_guesses_is_sent_away() {
    let server = TestServer::with(|builder| strict(builder).ban_time(Duration::from_secs(600)));
    let mut inside = server.login();
    let mut other = server.connect();
    guess_thrice(server.connect());
    // Not the right password any more, wherever the connection stems from.
    other.line(format!("USER {USER}"));
    other.line(format!("PASS {PASSWORD}"));
    other.expect_reply(331);
    other.expect_reply(421).contains("failed logins");
    other.expect_end();
    let mut late = Client::connect(server.addr());
    late.expect_reply(421)
        .contains("Too many failed logins from your address, try again later.");
    late.expect_end();
    // Who is in stays in.
    inside.expect_alive();
}

#[test]
fn a_ban_ends() {
    let time = Duration::from_millis(300);
    let server = TestServer::with(|builder| strict(builder).ban_time(time));
    let mut client = server.connect();
    let before = Instant::now();
    for _ in 0..3 {
        client.expect(format!("USER {USER}"), 331);
        // The last one may hear of the ban, or that may be over by then.
        if client.cmd("PASS wrong").code == 421 {
            break;
        }
    }
    // That it ends can be found out by trying alone; on a machine that is slow enough for the
    // three guesses to be further apart than the ban is long, there is none.
    loop {
        let mut client = Client::connect(server.addr());
        match client.reply().code {
            421 => client.expect_end(),
            code => {
                assert_eq!(code, 220);
                client.login();
                break;
            }
        }
        assert!(before.elapsed() < PATIENCE, "no end of the ban");
    }
}

#[test]
fn who_hangs_up_before_the_answer_has_failed_all_the_same() {
    let server = TestServer::with(|builder| {
        // Nobody waits for this.
        strict(builder).auth_failed_timeout(Duration::from_secs(3600))
    });
    for _ in 0..3 {
        let mut client = server.connect();
        client.expect(format!("USER {USER}"), 331);
        client.line("PASS wrong");
    }
    until_banned(&server);
}

#[test]
fn who_tries_anonymous_is_not_banned() {
    let server = TestServer::with(|builder| {
        let (mut users, home) = (DummyAuthorizer::new(), std::env::temp_dir());
        users.add_user(USER, PASSWORD, home, Perm::ALL).unwrap();
        strict(builder).authorizer(users)
    });
    let mut client = server.connect();
    for _ in 0..4 {
        client.expect("USER anonymous", 331);
        client
            .expect("PASS me@", 530)
            .contains("Anonymous access not allowed.");
    }
    server.login();
    guess_thrice(client);
}

/// Waits for the server to have read what clients sent who are gone.
fn until_banned(server: &TestServer) {
    let deadline = Instant::now() + PATIENCE;
    while Client::connect(server.addr()).reply().code != 421 {
        assert!(Instant::now() < deadline, "not banned");
    }
}

/// Notes what it was asked with, and lets everybody in.
struct Notes {
    users: DummyAuthorizer,
    seen: Mutex<Vec<Credentials>>,
}

impl Authorizer for Notes {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        self.seen.lock().unwrap().push(credentials.clone());
        self.users
            .user(USER)
            .ok_or_else(AuthFailed::default)?
            .account()
    }
}

#[test]
fn a_password_may_be_four_kibibytes_of_any_bytes() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut users = DummyAuthorizer::new();
    users.add_user(USER, "x", home.path(), Perm::ALL).unwrap();
    let notes = std::sync::Arc::new(Notes {
        users,
        seen: Mutex::default(),
    });
    let server = TestServer::with(|builder| builder.authorizer(notes.clone()));
    let longest = vec![b'p'; 4096];
    // CR LF and LF end a line, and 0xFF is doubled by whoever speaks Telnet.
    let every: Vec<u8> = (0..=0xFE)
        .filter(|byte| *byte != b'\n')
        .cycle()
        .take(4096)
        .collect();
    let doubled = [0xFF; 8192];
    for (sent, meant) in [
        (&b""[..], &b""[..]),
        (b" ", b" "),
        (&longest, &longest),
        (&every, &every),
        (&doubled, &doubled[..4096]),
    ] {
        let mut client = server.connect();
        client.expect(format!("USER {USER}"), 331);
        client.expect([b"PASS ", sent].concat(), 230);
        let seen = notes.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.password.as_bytes(), meant);
        assert_eq!(seen.peer, client.stream().local_addr().unwrap());
        assert_eq!(seen.local, server.addr());
        assert!(!seen.secured && seen.certificate.is_none());
    }
}
