//! Digests of files, over real sockets: what they say, and that a huge file costs its own client only.

use std::sync::Arc;

use ftpdlib::{Command, Reply};

use crate::common::{Recorder, TestServer, record};

/// Nobody reads it to its end in a test, though it takes no room.
const HUGE: u64 = 1 << 42;

#[test]
fn a_client_checks_what_it_has_sent() {
    let server = TestServer::start();
    let mut client = server.login();
    // Several pieces, and a few bytes more.
    let content: Vec<u8> = (0..(33 << 20) + 5_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(server.path("large"), &content).unwrap();
    let features = client.expect("FEAT", 211).text;
    assert!(features.contains(" HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32"));
    let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
    let hex: String = expected
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let last = content.len() - 1;
    let reply = client.expect("HASH large", 213).text;
    assert_eq!(reply, format!("213 SHA-256 0-{last} {hex} large"));
    client.expect("OPTS HASH MD5", 200);
    client
        .expect("FEAT", 211)
        .contains(" HASH SHA-256;SHA-512;SHA-1;MD5*;CRC32");
    assert_eq!(
        client.expect("XSHA256 \"large\"", 250).text,
        format!("250 {hex}")
    );
    server.write("f", "123456789");
    assert_eq!(client.expect("XCRC f", 250).text, "250 cbf43926");
    // Nothing outside the home, and nothing that is no file.
    client.expect("HASH ../../../../etc/passwd", 550);
    client.expect("HASH .", 550);
    client.expect_alive();
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere_and_a_fifo_is_no_file() {
    let server = TestServer::start();
    std::os::unix::fs::symlink("/etc/passwd", server.path("out")).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(server.path("fifo"))
        .status();
    assert!(fifo.unwrap().success());
    let mut client = server.login();
    for name in ["out", "fifo"] {
        client.expect(format!("HASH {name}"), 550);
        client.expect(format!("XMD5 {name} 0 1"), 550);
    }
}

#[test]
fn abor_ends_the_hash_of_a_huge_file() {
    let server = TestServer::start();
    server.write_sparse("huge", HUGE);
    let mut client = server.login();
    for command in ["HASH huge", "XCRC huge 5"] {
        client.line(command);
        assert!(client.is_silent());
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
        client.expect_alive();
    }
}

#[test]
fn more_hashes_than_threads_keep_nobody_waiting() {
    let server = TestServer::start();
    server.write_sparse("huge", HUGE);
    server.write("f", "123456789");
    let mut many: Vec<_> = (0..12).map(|_| server.login()).collect();
    for client in &mut many {
        client.line("XSHA1 huge");
    }
    let mut other = server.login();
    for _ in 0..3 {
        assert_eq!(other.expect("XCRC f", 250).text, "250 cbf43926");
        other.expect_alive();
    }
    assert!(many.iter_mut().all(|client| client.is_silent()));
}

#[test]
fn a_client_who_leaves_is_not_waited_for() {
    let record = record();
    let for_handlers = Arc::clone(&record);
    let server =
        TestServer::with(|builder| builder.handler(move |_| Recorder(Arc::clone(&for_handlers))));
    server.write_sparse("huge", HUGE);
    let mut client = server.login();
    client.line("HASH huge");
    assert!(client.is_silent());
    drop(client);
    record.wait_for("disconnect");
}

#[test]
fn a_server_without_hashes_may_have_a_command_of_that_name() {
    let server = TestServer::with(|builder| {
        let own = Command::new("XMD5").run(|_, _| Ok(Reply::new(250, "Mine.")));
        builder.command(own).hashes(false)
    });
    let mut client = server.login();
    client.expect("HASH f", 500);
    let features = client.expect("FEAT", 211).text;
    assert!(!features.contains("HASH") && !features.contains("XCRC"));
    assert_eq!(client.expect("XMD5 f", 250).text, "250 Mine.");
}
