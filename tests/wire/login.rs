//! USER, PASS, REIN and QUIT: who is in, in which order, and how often one may try.

use std::time::{Duration, Instant};

use crate::common::{PASSWORD, SHORT, TestServer, USER};

#[test]
fn a_user_logs_in_with_his_password() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.expect("USER user", 331);
    client
        .expect("PASS 12345", 230)
        .contains("Login successful");
    client.expect("PWD", 257);
    server.record().expect(&["connect", "login user"]);
}

#[test]
fn wrong_password_and_unknown_user_sound_alike() {
    let server = TestServer::start();
    let mut client = server.connect();
    let known = client.expect("USER user", 331);
    let wrong_password = client.expect("PASS wrong", 530);
    let unknown = client.expect("USER nobody", 331);
    let wrong_user = client.expect("PASS 12345", 530);
    assert_eq!(known.text, unknown.text);
    assert_eq!(wrong_password.text, wrong_user.text);
    wrong_user.contains("Authentication failed");
    client.expect("PWD", 530);
}

#[test]
fn passwords_are_taken_to_the_letter() {
    let server = TestServer::users(|users, home| {
        users
            .add_user("blank", "two  words ", home, ftpdlib::Perm::ALL)
            .unwrap();
    });
    let mut client = server.connect();
    client.expect("USER blank", 331);
    client.expect("PASS two  words", 530);
    client.expect("USER blank", 331);
    client.expect("PASS two  words ", 230);
}

#[test]
fn anonymous_needs_no_password_but_the_right_case() {
    let server = TestServer::start();
    let mut client = server.connect();
    for password in ["PASS anon@", "PASS ", "PASS"] {
        client.expect("USER anonymous", 331);
        client.expect(password, 230);
        client.expect("PWD", 257);
    }
    client.expect("USER AnoNymouS", 331);
    client.expect("PASS foo", 530);
}

#[test]
fn an_anonymous_who_is_not_let_in_is_told_so() {
    let server = TestServer::with(|builder| builder.authorizer(ftpdlib::DummyAuthorizer::new()));
    let mut client = server.connect();
    client.expect("USER anonymous", 331);
    client
        .expect("PASS guest", 530)
        .contains("Anonymous access not allowed");
}

#[test]
fn pass_needs_user_first() {
    let server = TestServer::start();
    let mut client = server.connect();
    client
        .expect("PASS 12345", 503)
        .contains("Login with USER first");
    client.login();
    client
        .expect("PASS 12345", 503)
        .contains("already authenticated");
    client.expect("PWD", 257);
}

#[test]
fn a_failed_login_takes_the_username_with_it() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.expect("PASS wrong", 530);
    client.expect("PASS 12345", 503);
}

#[test]
fn the_third_failure_ends_the_session() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..2 {
        client.expect("USER user", 331);
        client.expect("PASS wrong", 530);
    }
    client.expect("USER user", 331);
    client.expect("PASS wrong", 530).contains("Disconnecting");
    client.expect_end();
    server.record().expect(&[
        "connect",
        "login_failed user wrong",
        "login_failed user wrong",
        "login_failed user wrong",
        "disconnect",
    ]);
}

#[test]
fn the_number_of_attempts_can_be_set() {
    let server = TestServer::with(|builder| builder.max_login_attempts(1));
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.expect("PASS wrong", 530);
    client.expect_end();
}

#[test]
fn zero_attempts_means_no_limit() {
    let server = TestServer::with(|builder| {
        builder
            .max_login_attempts(0)
            .ban_after(0)
            .auth_failed_timeout(Duration::ZERO)
    });
    let mut client = server.connect();
    for _ in 0..20 {
        client.expect("USER user", 331);
        client.expect("PASS wrong", 530);
    }
    client.login();
}

#[test]
fn a_success_forgets_the_failures_before() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        for _ in 0..2 {
            client.expect("USER user", 331);
            client.expect("PASS wrong", 530);
        }
        client.login();
    }
}

#[test]
fn user_again_does_not_refill_the_attempts() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..2 {
        client.expect("USER user", 331);
        client.expect("USER other", 331);
        client.expect("PASS wrong", 530);
    }
    client.expect("USER user", 331);
    client.expect("PASS wrong", 530);
    client.expect_end();
}

#[test]
fn a_failure_is_told_after_its_delay() {
    let server = TestServer::with(|builder| builder.auth_failed_timeout(SHORT));
    let mut guesser = server.connect();
    guesser.expect("USER user", 331);
    let sent = Instant::now();
    guesser.expect("PASS wrong", 530);
    let took = sent.elapsed();
    assert!(took >= SHORT, "refused after {took:?}");
}

#[test]
fn the_delay_of_a_failure_holds_up_nobody_else() {
    // Nobody waits for this.
    let delay = Duration::from_secs(3600);
    let server = TestServer::with(|builder| builder.auth_failed_timeout(delay));
    let mut other = server.login();
    let mut guesser = server.connect();
    guesser.send("USER user\r\nPASS wrong\r\n");
    guesser.expect_reply(331);
    for _ in 0..10 {
        other.expect_alive();
        other.expect("PWD", 257);
    }
    server.login();
    assert!(guesser.is_silent());
}

#[test]
fn commands_behind_a_failing_pass_keep_their_turn() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("USER user\r\nPASS wrong\r\nNOOP\r\nUSER user\r\nPASS 12345\r\nPWD\r\n");
    client.expect_replies(&[331, 530, 200, 331, 230, 257]);
}

#[test]
fn a_client_may_leave_while_his_failure_is_delayed() {
    let server =
        TestServer::with(|builder| builder.auth_failed_timeout(Duration::from_millis(100)));
    let mut client = server.connect();
    client.expect("USER user", 331);
    client.line("PASS wrong");
    drop(client);
    server.record().wait_for("disconnect");
    server.login();
}

#[test]
fn rein_logs_out() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("REIN", 230);
    client
        .expect("PWD", 530)
        .contains("Log in with USER and PASS first");
    client.expect("PASS 12345", 503);
    client.login();
    client.expect("PWD", 257);
    server
        .record()
        .expect(&["connect", "login user", "logout user", "login user"]);
}

#[test]
fn rein_resets_type_rest_rnfr_and_directory() {
    let server = TestServer::start();
    server.mkdir("sub");
    server.write("sub/file", "0123456789");
    let mut client = server.login();
    client.expect("CWD sub", 250);
    client.expect("RNFR file", 350);
    client.expect("REST 5", 350);
    client.expect("REIN", 230);

    client.expect("USER user", 331);
    client.expect("PASS 12345", 230);
    client.expect("PWD", 257).contains("\"/\"");
    client.expect("RNTO other", 503);
    // TYPE A is the default again, in which there is neither SIZE nor REST.
    client.expect("SIZE sub/file", 550);
    client.expect("TYPE I", 200);
    assert_eq!(client.fetch("RETR sub/file"), b"0123456789");
}

#[test]
fn user_again_logs_out() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("USER anonymous", 331).contains("flushed");
    client.expect("PWD", 530);
    client.expect("PASS x", 230);
    client.expect("PWD", 257);
    client.expect("MKD nope", 550);
    server
        .record()
        .expect(&["connect", "login user", "logout user", "login anonymous"]);
}

#[test]
fn quit_says_goodbye_and_closes() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.expect("QUIT", 221).contains("Goodbye");
    client.expect_end();
    server.record().expect(&["connect", "disconnect"]);

    let mut client = server.login();
    client.expect("QUIT", 221);
    client.expect_end();
    server.record().expect(&[
        "connect",
        "disconnect",
        "connect",
        "login user",
        "logout user",
        "disconnect",
    ]);
}

#[test]
fn commands_behind_quit_are_not_run() {
    let server = TestServer::start();
    let mut client = server.login();
    client.send("QUIT\r\nMKD late\r\nNOOP\r\n");
    client.expect_reply(221);
    client.expect_end();
    server.record().wait_for("disconnect");
    assert!(!server.exists("late"));
}

#[test]
fn the_accounts_own_words_are_said() {
    let long = format!("Welcome {}", "x".repeat(100));
    let server = TestServer::users(|users, home| {
        users
            .add_user("guest", "g", home, ftpdlib::Perm::READ_ONLY)
            .unwrap()
            .msg_login("Be nice.")
            .msg_quit("Come back.");
        users
            .add_user("wordy", "w", home, ftpdlib::Perm::READ_ONLY)
            .unwrap()
            .msg_login(&long)
            .msg_quit("one line\nand another");
    });
    let mut client = server.connect();
    client.expect("USER guest", 331);
    assert_eq!(client.expect("PASS g", 230).text, "230 Be nice.");
    assert_eq!(client.expect("QUIT", 221).text, "221 Come back.");

    let mut client = server.connect();
    client.expect("USER wordy", 331);
    client.expect("PASS w", 230).contains(&long);
    let quit = client.expect("QUIT", 221);
    quit.contains("one line").contains("and another");
    client.expect_end();
}

#[test]
fn a_connection_that_just_ends_is_no_logout() {
    let server = TestServer::start();
    drop(server.login());
    server.record().wait_for("disconnect");
    server
        .record()
        .expect(&["connect", "login user", "disconnect"]);
}

#[test]
fn two_sessions_of_one_user_do_not_know_each_other() {
    let server = TestServer::start();
    server.mkdir("a");
    let mut one = server.login();
    let mut two = server.login();
    one.expect("CWD a", 250);
    two.expect("PWD", 257).contains("\"/\"");
    one.expect("REIN", 230);
    two.expect("PWD", 257);
    assert_eq!(server.record().count(&format!("login {USER}")), 2);
    one.login_as(USER, PASSWORD);
}
