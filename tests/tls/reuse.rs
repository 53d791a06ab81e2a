//! Session resumption on data connections, and what `SessionReuse::Require` makes of it.

use ftpdlib::SessionReuse;
use rustls::version::{TLS12, TLS13};

use crate::client::{Ftps, Secure};
use crate::common::client::expect_data_end;
use crate::testing::Pki;
use crate::{VERSIONS, server};

#[test]
fn data_connections_resume_without_being_asked() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    for version in VERSIONS {
        let mut ftps = Ftps::login(server.addr(), &pki.client(version));
        // The tickets come with the first reply, at the latest.
        for time in 0..4 {
            let mut data = ftps.begin("STOR file");
            assert!(data.is_resumed(), "{version:?} {time}");
            data.send(b"x").unwrap();
            data.close();
            ftps.expect_reply(226);
        }
    }
}

#[test]
fn require_lets_in_the_own_session_only() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.session_reuse(SessionReuse::Require));
    for version in VERSIONS {
        server.write("file", "old");
        let own = pki.client(version);
        let mut ftps = Ftps::login(server.addr(), &own);
        ftps.put("APPE file", b"+own");
        assert_eq!(server.read("file"), b"old+own");

        // A session of somebody else who is logged in, or is not, and none at all.
        let foreign = pki.client(version);
        let mut mallory = Ftps::login(server.addr(), &foreign);
        mallory.expect("NOOP", 200);
        let stranger = pki.client(version);
        Ftps::explicit(server.addr(), &stranger).expect("NOOP", 200);
        for config in [foreign, stranger, pki.client(version)] {
            for line in ["STOR file", "APPE file", "RETR file", "LIST", "STOR new"] {
                let socket = ftps.data();
                ftps.started(line);
                let mut data = Secure::over(socket, &config).unwrap();
                assert!(!data.is_resumed());
                let _ = data.send(b"evil");
                ftps.expect_reply(522);
                expect_data_end(data.socket);
                assert_eq!(server.read("file"), b"old+own");
                assert!(!server.exists("new"));
            }
        }
        assert!(
            !server
                .record()
                .all()
                .iter()
                .any(|event| event.contains("evil"))
        );
        ftps.expect("NOOP", 200);
    }
}

#[test]
fn a_refusal_before_the_command_is_told_to_the_command() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.session_reuse(SessionReuse::Require));
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    let data = Secure::over(ftps.data(), &pki.client(&TLS13)).unwrap();
    expect_data_end(data.socket);
    ftps.expect("STOR file", 522);
    assert!(!server.exists("file"));
    // And that was that.
    ftps.put("STOR file", b"content");
}

#[test]
fn require_does_not_starve_clients_that_use_a_ticket_once() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.session_reuse(SessionReuse::Require));
    server.write("file", "content");
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS13));
    for _ in 0..20 {
        assert_eq!(ftps.fetch("RETR file"), b"content");
        let mut data = ftps.begin("STOR other");
        data.send(b"other").unwrap();
        data.notify();
        assert!(data.read_to_end().unwrap().is_empty());
        ftps.expect_reply(226);
    }
}

#[test]
fn require_holds_for_a_ticket_used_again_and_again() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.session_reuse(SessionReuse::Require));
    let mut ftps = Ftps::login(server.addr(), &pki.client(&TLS12));
    for _ in 0..50 {
        ftps.put("STOR file", b"content");
    }
}

#[test]
fn clients_that_share_a_cache_are_told_apart() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.session_reuse(SessionReuse::Require));
    let shared = pki.client(&TLS12);
    let mut first = Ftps::login(server.addr(), &shared);
    let mut second = Ftps::login(server.addr(), &shared);
    assert!(!second.control.is_resumed());
    // The cache has the later one's ticket.
    second.put("STOR file", b"second");
    let socket = first.data();
    first.started("STOR file");
    let mut data = Secure::over(socket, &shared).unwrap();
    let _ = data.send(b"first");
    first.expect_reply(522);
    assert_eq!(server.read("file"), b"second");
}
