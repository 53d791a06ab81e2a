//! The log on standard error: log readers know the shape of these lines.

use std::process::Command;
use std::time::Instant;

use crate::common::PATIENCE;
use crate::common::program::{PROGRAM, Program};

/// The text of a line behind `[I 2026-11-22 12:00:00] `, which must be there.
#[track_caller]
fn text(line: &str) -> &str {
    let (stamp, text) = line
        .split_once("] ")
        .unwrap_or_else(|| panic!("no stamp: {line:?}"));
    let shape: String = stamp
        .chars()
        .map(|char| if char.is_ascii_digit() { '9' } else { char })
        .collect();
    let levels = ["[I", "[W", "[D", "[E"];
    assert!(
        levels
            .iter()
            .any(|level| shape == format!("{level} 9999-99-99 99:99:99")),
        "{line:?}"
    );
    text
}

fn texts(program: &Program) -> Vec<String> {
    program
        .log()
        .all()
        .iter()
        .map(|line| text(line).to_owned())
        .collect()
}

#[test]
fn the_first_lines_tell_how_it_was_started() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &[]);
    let started = format!(
        ">>> starting FTP server on {}, pid={} <<<",
        program.addr(),
        program.pid()
    );
    let lines = texts(&program);
    for line in [
        &*started,
        "concurrency model: async",
        "masquerade (NAT) address: None",
        "passive ports: None",
    ] {
        assert!(
            lines.iter().any(|text| text == line),
            "no {line:?} in {lines:?}"
        );
    }

    let program = Program::start(home.path(), &["-n", "198.51.100.1", "-r", "40000-40010"]);
    let lines = texts(&program);
    for line in [
        "masquerade (NAT) address: 198.51.100.1",
        "passive ports: 40000->40010",
    ] {
        assert!(
            lines.iter().any(|text| text == line),
            "no {line:?} in {lines:?}"
        );
    }
}

#[test]
fn a_session_can_be_followed() {
    let home = tempfile::tempdir().unwrap();
    let real = home.path().canonicalize().unwrap();
    std::fs::write(home.path().join("file"), "seventeen bytes..").unwrap();
    let program = Program::start(home.path(), &["-w", "-u", "user", "-P", "secret"]);
    let mut client = program.connect();
    let peer = client.stream().local_addr().unwrap();
    client.login_as("user", "secret");
    client.fetch("RETR file");
    client.put("STOR up", "12345");
    client.expect("MKD dir", 257);
    client.expect("DELE nope", 550);
    client.expect("QUIT", 221);
    client.expect_end();
    program.log().wait_until(|lines| {
        lines
            .iter()
            .any(|line| line.contains("closed (disconnect)"))
    });

    let lines = texts(&program);
    let real = real.display();
    for line in [
        format!("{peer}-[] FTP session opened (connect)"),
        format!("{peer}-[user] USER 'user' logged in."),
        format!("{peer}-[user] RETR {real}/file completed=1 bytes=17 seconds="),
        format!("{peer}-[user] STOR {real}/up completed=1 bytes=5 seconds="),
        format!("{peer}-[user] MKD {real}/dir 257"),
        format!("{peer}-[user] DELE {real}/nope 550 'No such file or directory.'"),
        format!("{peer}-[user] FTP session closed (disconnect)."),
    ] {
        assert!(
            lines.iter().any(|text| text.starts_with(&line)),
            "no {line:?} in {lines:#?}"
        );
    }
    assert!(
        !lines.iter().any(|text| text.contains("secret")),
        "{lines:#?}"
    );
}

#[test]
fn a_transfer_that_was_cut_is_completed_0() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &["-w"]);
    let mut client = program.anonymous();
    let data = client.begin("STOR file");
    crate::common::client::reset(data);
    client.expect_reply(426);
    program.log().wait_until(|lines| {
        lines
            .iter()
            .any(|line| line.contains("completed=0 bytes=0"))
    });
}

#[test]
fn failed_logins_are_told() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &["--auth-failed-timeout", "0"]);
    let mut client = program.connect();
    client.expect("USER nobody", 331);
    client.expect("PASS guess", 530);
    let told = "USER 'nobody' failed login.";
    let lines = program.last_words();
    assert!(lines.iter().any(|line| line.contains(told)), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("guess")),
        "{lines:?}"
    );
}

#[test]
fn debug_shows_commands_and_replies_but_no_password() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &["-D", "-u", "user", "-P", "secret"]);
    let mut client = program.login_as("user", "secret");
    client.expect("PASS secret", 503);
    client.expect("pass secret", 503);
    client.expect("PASSsecret", 500);
    client.expect(" PASS secret", 500);
    client.expect("QUOTE PASS secret", 500);
    client.expect("CWD nope", 550);
    let last = "-> 550 No such file or directory.";
    program
        .log()
        .wait_until(|lines| lines.iter().any(|line| line.ends_with(last)));
    let lines = texts(&program);
    for line in [
        "<- USER user",
        "<- PASS ******",
        "-> 230 Login successful.",
        "<- CWD nope",
        last,
    ] {
        assert!(
            lines.iter().any(|text| text.ends_with(line)),
            "no {line:?} in {lines:#?}"
        );
    }
    // What is sent by mistake is still a password.
    let told: Vec<&String> = lines
        .iter()
        .filter(|text| text.to_lowercase().contains("secret"))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_client_cannot_break_a_line() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &["-D", "-w", "--auth-failed-timeout", "0"]);
    let mut client = program.connect();
    client.expect(b"USER a\x1b[31m\rb\0", 331);
    client.expect("PASS x", 530);
    client.login_as("anonymous", "");
    client.expect(b"MKD x\x1b[2Jy\r[I 2026-11-22 12:00:00] forged", 257);
    client.expect(b"\x1b[31mFOO", 500);
    client.expect(b"CWD \xfe\xfd\xc3", 550);
    client.expect("QUIT", 221);
    client.expect_end();
    for line in program.last_words() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        text(&line);
    }
}

#[test]
fn names_that_are_no_utf_8_are_told_apart_in_the_log() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let home = tempfile::tempdir().unwrap();
    for name in [&b"a\xe4"[..], b"a\xe5"] {
        std::fs::write(home.path().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let program = Program::start(home.path(), &["-w"]);
    let mut client = program.anonymous();
    client.expect("TYPE I", 200);
    assert_eq!(client.fetch(b"RETR a\xe4"), b"x");
    client.put(b"STOR a\xe5", "yy");
    client.expect(b"DELE a\xe5", 250);
    let home = home.path().canonicalize().unwrap();
    let home = home.display();
    for line in [
        format!("RETR {home}/a\\xE4 completed=1 bytes=1 "),
        format!("STOR {home}/a\\xE5 completed=1 bytes=2 "),
        format!("DELE {home}/a\\xE5 250"),
    ] {
        program
            .log()
            .wait_until(|lines| lines.iter().any(|text| text.contains(&line)));
    }
}

#[test]
fn rust_log_decides_when_it_is_set() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "RUST_LOG=debug exec \"$@\"",
        "sh",
        PROGRAM,
        "-i",
        "127.0.0.1",
    ]);
    let program = Program::run(&mut command, home.path(), &[]);
    program.anonymous();
    program
        .log()
        .wait_until(|lines| lines.iter().any(|line| line.contains("<- USER anonymous")));
}

#[test]
fn the_stamp_is_local_time() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["-i", "127.0.0.1"]).env("TZ", "EAST-14");
    let east = Program::run(&mut command, home.path(), &[]);
    let mut command = Command::new(PROGRAM);
    command.args(["-i", "127.0.0.1"]).env("TZ", "WEST+11");
    let west = Program::run(&mut command, home.path(), &[]);
    // More than a day apart, whatever the moments between the two.
    let day = |program: &Program| program.log().all()[0][3..13].to_owned();
    assert_ne!(day(&east), day(&west));
}

#[test]
fn a_pipe_that_nobody_reads_stops_nobody_and_what_it_lost_is_told() {
    let home = tempfile::tempdir().unwrap();
    let name = "x".repeat(200);
    for model in ["async", "multi-thread", "multi-proc", "pre-fork"] {
        let program = Program::start(home.path(), &["-D", "--concurrency", model]);
        let mut client = program.anonymous();
        let unread = program.pause_log();
        // Much more than a pipe holds.
        for _ in 0..1000 {
            client.expect(format!("MDTM {name}"), 550);
        }
        program.connect().expect("QUIT", 221);
        drop(unread);
        let begun = Instant::now();
        let told = |lines: &[String]| lines.iter().any(|line| line.contains("lost here"));
        while !told(&program.log().all()) {
            client.expect_alive();
            assert!(begun.elapsed() < PATIENCE, "{model}: nothing is told");
        }
        for line in program.log().all() {
            text(&line);
        }
    }
}
