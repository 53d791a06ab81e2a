//! From the greeting to the farewell.

use super::*;
use crate::proto::attempts::Policy;
use crate::session::limits::guard::Guard;

/// Bans after so many failures, for an hour.
fn guard(ban_after: u32) -> Guard {
    Guard::new(Policy {
        ban_after,
        ban_time: Duration::from_secs(3600),
    })
    .on_duty()
    .unwrap()
}

const TOO_MANY: &str = "421 Too many failed logins from your address, try again later.";

impl Bench {
    /// Other sessions of the client's address guess at a user's password.
    fn fail_elsewhere(&self, user: &str, times: u32) {
        for _ in 0..times {
            let (config, peer) = (&self.it.config, self.it.peer());
            let guess = Credentials::new(user, b"guess", peer, peer);
            let _ = config.guard.authenticate(&*config.authorizer, &guess);
        }
    }
}

#[test]
fn greeting_and_login() {
    let mut bench = Bench::with(|config, _| config.banner = "Hello.".into());
    assert_eq!(bench.feed(Input::Start(None)), ["220 Hello."]);
    assert_eq!(bench.say("PASS 12345"), "503 Login with USER first.");
    assert_eq!(bench.say("USER user"), "331 Username ok, send password.");
    assert_eq!(bench.say("PASS 12345"), "230 Login successful.");
    assert_eq!(bench.say("PASS 12345"), "503 User already authenticated.");
    assert_eq!(bench.events, ["login user"]);
}

#[test]
fn a_refusal_comes_late_and_tells_nothing() {
    let mut answers = Vec::new();
    for name in ["user", "nobody"] {
        let mut bench = Bench::new();
        bench.say(&format!("USER {name}"));
        // The delay begins with the password, not with the end of its check.
        bench.slow = true;
        assert!(bench.all("PASS wrong").is_empty());
        assert!(!bench.it.wants_line());
        assert_eq!(
            bench.timers.last(),
            Some(&(Timer::Refusal, Duration::from_secs(3)))
        );
        assert!(bench.run_jobs().is_empty());
        answers.push(bench.feed(Input::Timer(Timer::Refusal)));
        bench.slow = false;
        assert_eq!(bench.events, [format!("failed {name}")]);
        assert_eq!(bench.say("PASS 12345"), "503 Login with USER first.");
    }
    assert_eq!(answers[0], ["530 Authentication failed."]);
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_check_that_takes_longer_than_the_delay_is_answered_at_once() {
    let mut bench = Bench::new();
    bench.say("USER user");
    bench.slow = true;
    bench.all("PASS wrong");
    assert!(bench.feed(Input::Timer(Timer::Refusal)).is_empty());
    assert_eq!(bench.run_jobs(), ["530 Authentication failed."]);
    bench.say("USER user");
    bench.all("PASS 12345");
    assert_eq!(bench.run_jobs(), ["230 Login successful."]);
    assert_eq!(bench.timers.last(), Some(&(Timer::Refusal, Duration::ZERO)));
}

#[test]
fn no_password_reaches_a_reply() {
    let mut bench = Bench::new();
    assert_eq!(bench.say("PASS\tsecret"), "500 Command not understood.");
    assert_eq!(bench.say("NOPE x"), "500 Command \"NOPE\" not understood.");
    assert_eq!(bench.code("GET / HTTP/1.1"), 500);
    assert!(bench.closed);
}

#[test]
fn too_many_refusals_end_the_session() {
    let mut bench = Bench::with(|config, _| {
        config.max_login_attempts = 2;
        config.auth_failed_timeout = Duration::ZERO;
    });
    bench.say("USER x");
    assert_eq!(bench.say("PASS x"), "530 Authentication failed.");
    assert!(!bench.closed);
    bench.say("USER x");
    assert_eq!(
        bench.say("PASS x"),
        "530 Authentication failed. Disconnecting."
    );
    assert!(bench.closed);

    let mut endless = Bench::with(|config, _| {
        config.max_login_attempts = 0;
        config.auth_failed_timeout = Duration::ZERO;
        config.guard = guard(0);
    });
    for _ in 0..10 {
        endless.say("USER x");
        assert_eq!(endless.say("PASS x"), "530 Authentication failed.");
    }
}

#[test]
fn after_many_failures_a_users_answers_wait_and_the_right_password_opens() {
    let mut bench = Bench::with(|config, _| {
        config.max_login_attempts = 0;
        config.auth_failed_timeout = Duration::from_millis(10);
        config.guard = guard(100);
    });
    for _ in 0..5 {
        bench.say("USER user");
        assert!(bench.all("PASS wrong").is_empty());
        let delay = Duration::from_millis(10);
        assert_eq!(bench.timers.last(), Some(&(Timer::Refusal, delay)));
        let replies = bench.feed(Input::Timer(Timer::Refusal));
        assert_eq!(replies, ["530 Authentication failed."]);
    }
    for (password, hold, reply) in [
        ("wrong", 1, "530 Authentication failed."),
        ("12345", 2, "230 Login successful."),
        // Known by now.
        ("12345", 0, "230 Login successful."),
    ] {
        bench.say("USER user");
        let replies = bench.all(&format!("PASS {password}"));
        let hold = Duration::from_secs(hold);
        assert_eq!(bench.timers.last(), Some(&(Timer::Refusal, hold)));
        match hold.is_zero() {
            true => assert_eq!(replies, [reply]),
            false => {
                assert!(replies.is_empty() && !bench.it.wants_line());
                assert_eq!(bench.feed(Input::Timer(Timer::Refusal)), [reply]);
            }
        }
    }
}

#[test]
fn a_banned_address_has_no_password_looked_at() {
    let mut bench = Bench::with(|config, _| {
        config.auth_failed_timeout = Duration::ZERO;
        config.guard = guard(2);
    });
    bench.fail_elsewhere("amy", 2);
    bench.say("USER user");
    assert_eq!(bench.say("PASS 12345"), TOO_MANY);
    assert!(bench.closed && bench.events.is_empty());
}

#[test]
fn the_failure_that_brings_the_ban_about_ends_the_session() {
    let mut bench = Bench::with(|config, _| {
        config.auth_failed_timeout = Duration::ZERO;
        config.guard = guard(2);
    });
    bench.say("USER user");
    assert_eq!(bench.say("PASS wrong"), "530 Authentication failed.");
    bench.say("USER user");
    assert_eq!(bench.say("PASS wrong"), TOO_MANY);
    assert!(bench.closed);
    assert_eq!(bench.events, ["failed user", "failed user"]);
}

#[test]
fn what_was_guessed_when_a_ban_strikes_is_never_known() {
    let second = Duration::from_secs(1);
    for held in [false, true] {
        let mut told = Vec::new();
        for password in ["12345", "wrong"] {
            let mut bench = Bench::with(|config, _| config.guard = guard(7));
            if held {
                // His answers are held back by now.
                bench.fail_elsewhere("user", 5);
            }
            bench.say("USER user");
            bench.slow = true;
            bench.all(&format!("PASS {password}"));
            let (id, job) = bench.jobs.pop_front().unwrap();
            let outcome = job.run();
            let mut delays = Vec::new();
            if held {
                bench.feed(Input::Job(id, outcome));
                bench.fail_elsewhere("amy", 7);
                delays.push(bench.timers.last().unwrap().1);
                if password == "12345" {
                    assert!(bench.feed(Input::Timer(Timer::Refusal)).is_empty());
                    delays.push(bench.timers.last().unwrap().1);
                    assert_eq!(delays[0], second);
                }
            } else {
                bench.fail_elsewhere("amy", 7);
                delays.push(bench.timers.last().unwrap().1);
                assert!(bench.feed(Input::Job(id, outcome)).is_empty());
            }
            assert!(!bench.closed && !bench.it.wants_line());
            let replies = bench.feed(Input::Timer(Timer::Refusal));
            assert!(bench.closed);
            assert_eq!(bench.events, ["failed user"]);
            told.push((replies, delays.iter().sum::<Duration>()));
        }
        assert_eq!(told[0], (vec![TOO_MANY.to_owned()], 3 * second));
        assert_eq!(told[0], told[1]);
    }
}

#[test]
fn a_ban_strikes_while_the_handler_thinks() {
    let mut bench = Bench::with(|config, _| {
        config.auth_failed_timeout = Duration::ZERO;
        config.guard = guard(2);
    });
    bench.thinks = true;
    bench.say("USER user");
    assert!(bench.all("PASS 12345").is_empty());
    bench.fail_elsewhere("amy", 2);
    assert_eq!(bench.feed(Input::LoginAnswered(None)), [TOO_MANY]);
    assert!(bench.closed);
    assert_eq!(bench.events, ["login user", "failed user"]);
}

#[test]
fn what_is_not_the_clients_fault_is_not_counted() {
    let mut bench = Bench::with(|config, _| {
        config.auth_failed_timeout = Duration::ZERO;
        config.max_login_attempts = 0;
        config.guard = guard(1);
    });
    for _ in 0..3 {
        bench.say("USER homeless");
        assert_eq!(bench.say("PASS 12345"), "530 Home directory not available.");
    }
    bench.say("USER user");
    assert_eq!(bench.say("PASS 12345"), "230 Login successful.");
}

#[test]
fn another_user_or_rein_logs_out() {
    let mut bench = Bench::logged_in();
    bench.files.dir("/dir");
    bench.say("CWD dir");
    bench.say("EPSV ALL");
    assert_eq!(
        bench.say("USER user"),
        "331 Previous account information was flushed, send password."
    );
    assert_eq!(bench.code("PWD"), 530);
    bench.say("PASS 12345");
    assert_eq!(bench.say("PWD"), "257 \"/\" is the current directory.");
    assert_eq!(bench.code("PASV"), 227);
    assert_eq!(bench.say("REIN"), "230 Ready for new user.");
    assert!(!bench.listening);
    assert_eq!(bench.events, ["logout user", "login user", "logout user"]);
}

#[test]
fn the_idle_timer_ends_the_session_but_no_transfer() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    bench.open_data();
    assert_eq!(bench.code("RETR f"), 125);
    assert!(bench.timers.contains(&(Timer::Idle, Duration::ZERO)));
    assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty());
    assert!(!bench.closed);
    bench.end(Verdict::Complete, 4);
    assert_eq!(
        bench.timers.last(),
        Some(&(Timer::Idle, Duration::from_secs(300)))
    );
    assert_eq!(
        bench.feed(Input::Timer(Timer::Idle)),
        ["421 Control connection timed out."]
    );
    assert!(bench.closed);
}

#[test]
fn quit_says_goodbye() {
    let mut bench = Bench::logged_in();
    assert_eq!(bench.say("QUIT"), "221 Goodbye.");
    assert!(bench.closed && !bench.it.wants_line());
    assert_eq!(bench.events, ["logout user"]);
    let mut stranger = Bench::new();
    assert_eq!(stranger.say("QUIT"), "221 Goodbye.");
    assert!(stranger.closed && stranger.events.is_empty());
}

#[test]
fn a_server_that_stops_waits_for_the_transfer() {
    let mut idle = Bench::logged_in();
    assert_eq!(idle.feed(Input::Shutdown).len(), 1);
    assert!(idle.closed);

    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    bench.open_data();
    bench.say("RETR f");
    assert!(bench.feed(Input::Shutdown).is_empty());
    assert!(!bench.closed);
    assert_eq!(bench.end(Verdict::Complete, 4), ["226 Transfer complete."]);
    assert!(bench.closed);
}

#[test]
fn parameters() {
    let mut bench = Bench::logged_in();
    for line in [
        "TYPE A", "type a n", "TYPE L7", "TYPE I", "TYPE L 8", "STRU F", "MODE S",
    ] {
        assert_eq!(bench.code(line), 200, "{line}");
    }
    for (line, code) in [
        ("TYPE E", 504),
        ("STRU R", 504),
        ("STRU X", 501),
        ("MODE B", 504),
    ] {
        assert_eq!(bench.code(line), code, "{line}");
    }
    assert_eq!(bench.say("OPTS UTF8 ON"), "200 Always in UTF8 mode.");
    assert_eq!(
        bench.say("OPTS MLST type;size;nonsense;"),
        "200 MLST OPTS type;size;"
    );
    assert_eq!(bench.code("OPTS MLST nonsense"), 501);
    assert_eq!(bench.code("OPTS PASV x"), 501);
    assert_eq!(bench.code("HELP"), 214);
    assert_eq!(bench.code("HELP retr"), 214);
    assert_eq!(bench.code("HELP nope"), 501);
    assert_eq!(bench.code("SITE HELP chmod"), 214);
    assert_eq!(bench.code("SITE NOPE"), 500);
    assert_eq!(bench.code("FEAT"), 211);
}

#[test]
fn quit_waits_for_no_data_connection_that_cannot_come() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    assert_eq!(bench.code("RETR f"), 150);
    assert_eq!(
        bench.all("QUIT"),
        ["221 Goodbye.", "425 Can't open data connection."]
    );
    assert!(bench.closed);
    // One that may still come is waited for.
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    bench.say("RETR f");
    bench.say("QUIT");
    assert!(!bench.closed);
    bench.open_data();
    bench.end(Verdict::Complete, 4);
    assert!(bench.closed);
}
