//! Protected data connections: every order of command, connection and handshake.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustls::version::TLS13;

use crate::client::{Ftps, Secure};
use crate::common::client::{connect, connect_narrow, eprt_command, expect_data_end};
use crate::common::{LIMIT, SHORT, TestServer, sample};
use crate::testing::Pki;
use crate::{VERSIONS, server};

#[test]
fn every_transfer_goes_through_tls() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    let content = sample(5_000_000);
    for version in VERSIONS {
        let mut ftps = Ftps::login(server.addr(), &pki.client(version));
        ftps.put("STOR file", &content);
        assert!(server.read("file") == content);
        ftps.put("APPE file", b"tail");
        ftps.expect("REST 4999999", 350);
        let tail = ftps.fetch("RETR file");
        assert_eq!(&tail[1..], b"tail");
        assert!(ftps.fetch("RETR file")[..5_000_000] == content);
        let listing = String::from_utf8(ftps.fetch("LIST")).unwrap();
        assert!(listing.contains("5000004"), "{listing}");
        assert_eq!(ftps.fetch("NLST"), b"file\r\n");
        ftps.expect("TYPE A", 200);
        ftps.put("STOR text", &b"line\r\n".repeat(50_000));
        assert!(server.read("text") == b"line\n".repeat(50_000));
        assert!(ftps.fetch("RETR text") == b"line\r\n".repeat(50_000));
        std::fs::remove_file(server.path("text")).unwrap();
    }
}

#[test]
fn prot_c_is_clear_again() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    server.write("file", "content");
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    assert_eq!(ftps.fetch("RETR file"), b"content");
    ftps.expect("PROT C", 200);
    let mut data = ftps.data();
    ftps.started("RETR file");
    let mut content = Vec::new();
    data.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"content");
    ftps.expect_reply(226);
}

#[test]
fn the_handshake_may_come_before_the_command_and_after_the_reply() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    for version in VERSIONS {
        let config = pki.client(version);
        let mut ftps = Ftps::login(server.addr(), &config);
        // Before it, and the data as well.
        let mut data = Secure::over(ftps.data(), &config).unwrap();
        data.send(b"early").unwrap();
        data.notify();
        ftps.expect("NOOP", 200);
        ftps.started("STOR early");
        ftps.expect_reply(226);
        assert_eq!(server.read("early"), b"early");
        let mut data = Secure::over(ftps.data(), &config).unwrap();
        ftps.started("RETR early");
        assert_eq!(data.read_to_end().unwrap(), b"early");
        ftps.expect_reply(226);
        // Connected after the reply.
        let addr = ftps.passive_address();
        ftps.started("STOR late");
        assert!(!server.exists("late"));
        let socket = connect(addr);
        ftps.expect("NOOP", 200);
        assert!(!server.exists("late"), "nothing before the handshake");
        let mut data = Secure::over(socket, &config).unwrap();
        data.send(b"late").unwrap();
        data.close();
        ftps.expect_reply(226);
        assert_eq!(server.read("late"), b"late");
        std::fs::remove_file(server.path("late")).unwrap();
    }
}

#[test]
fn active_connections_are_protected_too() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    let config = pki.client(&TLS13);
    let mut ftps = Ftps::login(server.addr(), &config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        ftps.expect(&eprt_command(listener.local_addr().unwrap()), 200);
        let (socket, _) = listener.accept().unwrap();
        ftps.started("STOR file");
        let mut data = Secure::over(socket, &config).unwrap();
        data.send(b"content").unwrap();
        data.close();
        ftps.expect_reply(226);
        assert_eq!(server.read("file"), b"content");
    }
}

#[test]
fn a_data_connection_that_is_no_tls_is_522_and_changes_nothing() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    server.write("file", "old");
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    for line in ["STOR file", "APPE file", "RETR file", "LIST"] {
        let mut data = ftps.data();
        ftps.started(line);
        data.write_all(b"plain text, and quite a bit of it\r\n")
            .unwrap();
        ftps.expect_reply(522);
        expect_data_end(data);
        // Gone without a word.
        let data = ftps.data();
        ftps.started(line);
        drop(data);
        ftps.expect_reply(522);
    }
    assert_eq!(server.read("file"), b"old");
    ftps.expect("NOOP", 200);
}

#[test]
fn a_data_handshake_has_its_deadline() {
    let pki = Pki::new();
    // Those who do shake hands are to be in time.
    let server = server(&pki, |tls| tls.handshake_timeout(LIMIT));
    server.write("file", "old");
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    for line in ["STOR file", "RETR file"] {
        let data = ftps.data();
        ftps.started(line);
        ftps.expect_reply(522);
        expect_data_end(data);
    }
    assert_eq!(server.read("file"), b"old");
    ftps.put("STOR file", b"new");
}

#[test]
fn a_client_who_is_to_shake_hands_is_not_idle() {
    let pki = Pki::new();
    let server = TestServer::with(|builder| {
        let tls = pki.tls().handshake_timeout(LIMIT + 2 * SHORT);
        builder.tls(tls).timeout(LIMIT)
    });
    server.write("file", "old");
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    let data = ftps.data();
    ftps.started("RETR file");
    ftps.expect_reply(522);
    expect_data_end(data);
    ftps.expect("NOOP", 200);
}

#[test]
fn abor_ends_a_data_handshake() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    server.write("file", "old");
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    for line in ["STOR file", "RETR file"] {
        let data = ftps.data();
        ftps.started(line);
        ftps.expect("STOR other", 450);
        ftps.expect("ABOR", 426);
        ftps.expect_reply(226);
        expect_data_end(data);
    }
    assert_eq!(server.read("file"), b"old");
    // And a transfer under way.
    let mut data = ftps.begin("STOR file");
    data.send(b"some").unwrap();
    ftps.expect("ABOR", 426);
    ftps.expect_reply(226);
    expect_data_end(data.socket);
    ftps.put("STOR file", b"new");
}

#[test]
fn a_slow_reader_gets_everything() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    let content = sample(2_000_000);
    server.write("file", &content);
    for version in VERSIONS {
        let config = pki.client(version);
        let mut ftps = Ftps::login(server.addr(), &config);
        let socket = connect_narrow(ftps.passive_address());
        ftps.started("RETR file");
        let mut data = Secure::over(socket, &config).unwrap();
        assert!(data.read_to_end().unwrap() == content);
        ftps.expect_reply(226);
    }
}

#[test]
fn limits_hold_for_protected_transfers() {
    let pki = Pki::new();
    let server = crate::common::TestServer::with(|builder| {
        builder
            .tls(pki.tls())
            .read_limit(400_000)
            .write_limit(400_000)
    });
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    let content = sample(200_000);
    let began = std::time::Instant::now();
    ftps.put("STOR file", &content);
    assert!(ftps.fetch("RETR file") == content);
    assert!(began.elapsed().as_secs_f64() > 0.5, "{:?}", began.elapsed());
    assert!(server.read("file") == content);
}

// What the system has taken and the client has not, it tells there.
#[cfg(target_os = "linux")]
#[test]
fn a_download_whose_records_leave_the_system_slowly_does_not_stall() {
    let pki = Pki::new();
    let tls = pki.tls();
    let server = TestServer::with(|builder| builder.tls(tls).data_timeout(LIMIT));
    server.write_sparse("big", 8 << 20);
    let config = pki.client(&TLS13);
    let mut ftps = Ftps::login(server.addr(), &config);
    let socket = connect_narrow(ftps.passive_address());
    ftps.started("RETR big");
    let mut data = Secure::over(socket, &config).unwrap();
    let begun = Instant::now();
    let mut taken = 0;
    while begun.elapsed() < 2 * LIMIT {
        taken += data.stream().read(&mut [0; 4096]).unwrap();
        ftps.expect_silence(Duration::from_millis(200));
    }
    assert!(taken < 400_000, "{taken}");
    assert_eq!(taken + data.read_to_end().unwrap().len(), 8 << 20);
    ftps.expect_reply(226);
}
