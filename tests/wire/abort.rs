//! ABOR, QUIT, USER, REIN and STAT while data flows, or waits to.

use std::io::{Read, Write};
use std::time::Instant;

use crate::common::client::{expect_data_end, is_refused};
use crate::common::{Client, Mode, PATIENCE, TestServer, sample};

/// More than all socket buffers together hold.
const BIG: u64 = 64 << 20;

#[test]
fn abor_with_nothing_to_abort_is_226() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("ABOR", 226);
    client.expect("ABOR", 226);
    client.list("LIST");
}

#[test]
fn abor_closes_a_listener() {
    let server = TestServer::apart();
    let mut client = server.login();
    for mode in [Mode::Pasv, Mode::Epsv] {
        let addr = client.passive_address(mode);
        client.expect("ABOR", 226);
        assert!(is_refused(addr), "{mode:?} still listens");
    }
    client.list("LIST");
}

#[test]
fn abor_closes_a_connection_that_was_not_used() {
    let server = TestServer::start();
    let mut client = server.login();
    for mode in Mode::ALL {
        let data = client.data(mode);
        client.expect("ABOR", 226);
        expect_data_end(data);
        client.list("LIST");
    }
}

#[test]
fn abor_while_a_command_waits_for_its_connection() {
    let server = TestServer::start();
    server.write("file", "x");
    let mut client = server.login();
    for command in ["RETR file", "STOR other", "LIST"] {
        client.passive_address(Mode::Epsv);
        client.expect(command, 150);
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
        client.expect_alive();
    }
    client.list("LIST");
}

#[test]
fn abor_of_a_running_download() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    let mut client = server.login();
    let mut data = client.begin("RETR big");
    data.read_exact(&mut [0; 65536]).unwrap();
    client.line("ABOR");
    client.expect_replies(&[426, 226]);
    expect_data_end(data);
    client.list("LIST");
    server.record().wait_until(|events| {
        events
            .iter()
            .any(|event| event.starts_with("incomplete_sent /big "))
    });
}

#[test]
fn abor_of_a_running_upload() {
    let server = TestServer::start();
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(&sample(100_000)).unwrap();
    client.line("ABOR");
    let aborted = client.expect_reply(426);
    aborted.contains("ABOR");
    client.expect_reply(226);
    expect_data_end(data);
    client.list("LIST");
    let events = server.record().wait_until(|events| events.len() >= 3);
    assert!(
        events[2].starts_with("incomplete_received /file "),
        "{events:?}"
    );
}

#[test]
fn abor_before_the_first_byte_of_an_upload() {
    let server = TestServer::start();
    let mut client = server.login();
    let data = client.begin("STOR file");
    client.line("ABOR");
    client.expect_replies(&[426, 226]);
    expect_data_end(data);
    client.expect_alive();
}

#[test]
fn abor_of_a_running_listing() {
    let server = TestServer::start();
    for at in 0..3000 {
        server.write(&format!("{at:0>200}"), "");
    }
    let mut client = server.login();
    let data = client.narrow_data();
    client.started("LIST");
    client.line("ABOR");
    client.expect_replies(&[426, 226]);
    expect_data_end(data);
    client.expect_alive();
}

#[test]
fn abor_after_the_end_is_226_only() {
    let server = TestServer::start();
    server.write("file", "x");
    let mut client = server.login();
    client.fetch("RETR file");
    client.expect("ABOR", 226);
    client.expect_alive();
}

#[test]
fn abor_by_telnet_synch_and_urgent_data() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    let mut client = server.login();
    // As RFC 959 asks for: IAC IP, IAC DM of which DM is urgent, then the command.
    client.send([255, 244, 255]);
    client.urgent(242);
    client.line("ABOR");
    client.expect_reply(226);

    // As clients do it: with the last of IAC IP IAC urgent.
    for _ in 0..2 {
        let mut data = client.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        client.send([255, 244]);
        client.urgent(255);
        client.send(b"\xf2ABOR\r\n");
        client.expect_replies(&[426, 226]);
        expect_data_end(data);
        client.expect_alive();
    }

    // And as one test of pyftpdlib does, each byte urgent and without IAC before.
    client.urgent(244);
    client.urgent(255);
    client.line("abor");
    client.expect_reply(226);
    client.expect_alive();
}

#[test]
fn what_follows_an_urgent_byte_behind_a_whole_line_is_read() {
    let server = TestServer::start();
    let mut client = server.login();
    // A read ends before an urgent byte, though more is there; how much comes at once is chance.
    for _ in 0..200 {
        client.send(b"NOOP\r\n");
        client.urgent(255);
        client.send(b"\xf2NOOP\r\n");
        client.expect_replies(&[200, 200]);
    }
}

#[test]
fn stat_and_quit_may_come_behind_telnet_bytes() {
    let server = TestServer::start();
    let mut client = server.login();
    client.send(b"\xff\xf4\xff\xf2STAT\r\n");
    client.expect_reply(211);
    client.send(b"\xf2QUIT\r\n");
    client.expect_reply(221);
    client.expect_end();
}

/// Asks STAT until it shows `what`.
#[track_caller]
pub(super) fn stat_until(client: &mut Client, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stat = client.expect("STAT", 211);
        if stat.text.contains(what) {
            return;
        }
        assert!(Instant::now() < deadline, "no {what:?} in {:?}", stat.text);
    }
}

#[test]
fn stat_tells_how_far_a_transfer_is() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(&sample(54_321)).unwrap();
    stat_until(&mut client, "Total bytes received: 54321");
    drop(data);
    client.expect_reply(226);

    let mut data = client.begin("RETR big");
    data.read_exact(&mut [0; 1000]).unwrap();
    let stat = client.expect("STAT", 211);
    stat.contains("Total bytes sent: ")
        .contains("Total bytes received: 0");
    client.expect_alive();
    std::io::copy(&mut data, &mut std::io::sink()).unwrap();
    client.expect_reply(226);
    client
        .expect("STAT", 211)
        .contains("Data connection closed");
}

#[test]
fn harmless_commands_are_answered_during_a_transfer() {
    let server = TestServer::start();
    server.mkdir("dir");
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    for (line, code) in [
        ("NOOP", 200),
        ("PWD", 257),
        ("CWD dir", 250),
        ("SIZE /file", 213),
        ("MKD sub", 257),
        ("FEAT", 211),
        ("TYPE A", 200),
        ("STAT /", 213),
    ] {
        client.expect(line, code);
    }
    // What was begun as binary in `/` ends so.
    data.write_all(b"a\r\nb").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"a\r\nb");
}

#[test]
fn quit_lets_an_upload_finish() {
    let server = TestServer::start();
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(&sample(500_000)).unwrap();
    client.expect("QUIT", 221);
    // Nothing is listened to any more.
    client.line("NOOP");
    data.write_all(&sample(500_000)).unwrap();
    drop(data);
    client.expect_reply(226);
    client.expect_end();
    assert_eq!(server.read("file").len(), 1_000_000);
    server.record().wait_for("received /file 1000000");
    server.record().wait_for("disconnect");
}

#[test]
fn quit_lets_a_download_finish() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    let mut client = server.login();
    let mut data = client.begin("RETR big");
    data.read_exact(&mut [0; 1000]).unwrap();
    client.expect("QUIT", 221);
    let rest = std::io::copy(&mut data, &mut std::io::sink()).unwrap();
    assert_eq!(rest, BIG - 1000);
    client.expect_reply(226);
    client.expect_end();
}

#[test]
fn rein_and_user_let_a_transfer_finish() {
    for (line, code) in [("REIN", 230), ("USER user", 331)] {
        let server = TestServer::start();
        server.write_sparse("big", BIG);
        let mut client = server.login();
        let mut data = client.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        client.expect(line, code);
        client.expect("LIST", 530);
        let rest = std::io::copy(&mut data, &mut std::io::sink()).unwrap();
        assert_eq!(rest, BIG - 1000);
        client.expect_reply(226);
        client.expect("SIZE big", 530);
        client.login();
        client.expect("SIZE big", 213);
        server.record().wait_for(&format!("sent /big {BIG}"));
    }
}

#[test]
fn rein_drops_a_listener() {
    let server = TestServer::apart();
    let mut client = server.login();
    let addr = client.passive_address(Mode::Epsv);
    client.expect("REIN", 230);
    assert!(is_refused(addr), "still listens");
    client.login();
    client.list("LIST");
}

#[test]
fn a_lost_control_connection_ends_the_transfer() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    let mut client = server.login();
    let mut up = client.begin("STOR file");
    up.write_all(b"some").unwrap();
    crate::common::client::reset(client.stream().try_clone().unwrap());
    drop(client);
    expect_data_end(up);
    server.record().wait_until(|events| {
        events
            .iter()
            .any(|event| event.starts_with("incomplete_received /file "))
    });

    let mut client = server.login();
    let down = client.begin("RETR big");
    drop(client);
    expect_data_end(down);
    server.record().wait_until(|events| {
        events
            .iter()
            .any(|event| event.starts_with("incomplete_sent /big "))
            && events.iter().filter(|event| *event == "disconnect").count() == 2
    });
}
