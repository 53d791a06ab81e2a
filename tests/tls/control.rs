//! AUTH, PBSZ, PROT and CCC, what is required before what, and the switch to TLS itself.

use std::io::{Read, Write};
use std::sync::Arc;

use ftpdlib::{Handler, Reply, Session};
use rustls::ClientConnection;
use rustls::version::{TLS12, TLS13};

use crate::client::{Ftps, Secure};
use crate::common::client::{connect, expect_data_end};
use crate::common::{Client, SHORT, TestServer};
use crate::testing::Pki;
use crate::{VERSIONS, server};

#[test]
fn replies_are_those_that_clients_know() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    let mut client = server.connect();
    client.expect("AUTH", 501);
    client
        .expect("AUTH KERBEROS", 502)
        .contains("use TLS or SSL");
    client
        .expect("PBSZ 0", 503)
        .contains("PBSZ not allowed on insecure control connection.");
    client
        .expect("PROT P", 503)
        .contains("PROT not allowed on insecure control connection.");
    client.expect("CCC", 533);
    for kind in ["TLS", "tls", "SSL", "TLS-C", "TLS-P"] {
        let mut client = server.connect();
        let upper = kind.to_uppercase();
        let reply = client.expect(format!("AUTH {kind}"), 234);
        assert_eq!(reply.text, format!("234 AUTH {upper} successful."));
        let socket = client.stream().try_clone().unwrap();
        let mut ftps = Ftps::secured(socket, server.addr(), &pki.client(&TLS13));
        ftps.expect("NOOP", 200);
    }
    let mut ftps = Ftps::upgrade(client, server.addr(), &pki.client(&TLS12));
    ftps.expect("AUTH TLS", 503).contains("Already using TLS.");
    ftps.expect("PROT P", 503)
        .contains("You must issue the PBSZ command prior to PROT.");
    ftps.expect("PBSZ 1024", 200).contains("PBSZ=0 successful.");
    ftps.expect("PROT P", 200)
        .contains("Protection set to Private");
    ftps.expect("prot c", 200)
        .contains("Protection set to Clear");
    ftps.expect("PROT S", 521)
        .contains("PROT S unsupported (use C or P).");
    ftps.expect("PROT E", 521);
    ftps.expect("PROT X", 502).contains("use C or P");
    ftps.expect("CCC", 534);
    // All of it before and after the login; REIN forgets it, but for TLS itself.
    ftps.log_in();
    ftps.expect("PROT P", 200);
    ftps.expect("REIN", 230);
    ftps.expect("PROT P", 503).contains("PBSZ");
    ftps.expect("AUTH TLS", 503);
}

#[test]
fn feat_and_help_know_tls_where_there_is_a_certificate() {
    let pki = Pki::new();
    let with = server(&pki, |tls| tls);
    let mut client = with.connect();
    let feat = client.expect("FEAT", 211);
    let lines: Vec<&str> = feat.body().iter().map(|line| line.trim()).collect();
    for row in ["AUTH TLS", "AUTH SSL", "PBSZ", "PROT"] {
        assert!(lines.contains(&row), "{lines:?}");
    }
    client.expect("HELP AUTH", 214);

    let without = TestServer::start();
    let mut client = without.connect();
    let feat = client.expect("FEAT", 211);
    assert!(
        !feat.text.contains("AUTH") && !feat.text.contains("PBSZ"),
        "{}",
        feat.text
    );
    client.expect("AUTH TLS", 500);
    client.expect("PBSZ 0", 500);
    client.expect("HELP AUTH", 501);
}

#[test]
fn tls_may_be_required_before_the_login() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.control_required(true));
    let mut client = server.connect();
    for line in ["USER user", "PASS 12345", "USER anonymous"] {
        let reply = client.expect(line, 550);
        assert_eq!(reply.text, "550 SSL/TLS required on the control channel.");
    }
    client.expect("SYST", 215);
    let mut ftps = Ftps::upgrade(client, server.addr(), &pki.client(&TLS13));
    ftps.log_in();
}

#[test]
fn tls_may_be_required_for_data() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.data_required(true));
    server.write("file", "content");
    let mut client = server.login();
    for line in [
        "PASV",
        "EPSV",
        "PORT 127,0,0,1,200,200",
        "EPRT |1|127.0.0.1|51400|",
    ] {
        let reply = client.expect(line, 550);
        assert_eq!(reply.text, "550 SSL/TLS required on the data channel.");
    }
    let mut ftps = Ftps::explicit(server.addr(), &pki.client(&TLS13));
    ftps.log_in();
    ftps.expect("EPSV", 550);
    ftps.protect();
    assert_eq!(ftps.fetch("RETR file"), b"content");
    // Nor can it be got around by a change of mind.
    let addr = ftps.passive_address();
    ftps.expect("PROT C", 200);
    let data = connect(addr);
    ftps.line("RETR file");
    let reply = ftps.reply();
    let last = if reply.code < 200 {
        ftps.reply()
    } else {
        reply
    };
    assert_eq!(last.code, 521, "{}", last.text);
    expect_data_end(data);
    ftps.expect("NOOP", 200);
}

#[test]
fn what_was_sent_in_clear_behind_auth_is_never_run() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    for version in VERSIONS {
        let mut client = server.connect();
        client.send("AUTH TLS\r\nUSER user\r\nPASS 12345\r\nDELE file\r\nNOO");
        client.expect_reply(234);
        let socket = client.stream().try_clone().unwrap();
        let mut ftps = Ftps::secured(socket, server.addr(), &pki.client(version));
        ftps.expect("PWD", 530);
    }
    assert!(
        !server
            .record()
            .all()
            .iter()
            .any(|event| event.starts_with("login"))
    );
}

#[test]
fn a_client_hello_right_behind_auth_is_the_handshakes() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    let config = pki.client(&TLS13);
    for time in 0..1000 {
        let mut client = server.connect();
        let name = "localhost".try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        match time % 2 {
            // In the next segment,
            0 => {
                client.send("AUTH TLS\r\n");
                client.send(&hello);
            }
            // or in the very same one.
            _ => client.send([&b"AUTH TLS\r\n"[..], &hello].concat()),
        }
        // No byte more than the reply: the handshake may be right behind it.
        let mut socket = client.stream().try_clone().unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            reply.extend(byte);
        }
        assert!(reply.starts_with(b"234 "));
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        if time % 100 == 0 {
            let mut stream = rustls::Stream::new(&mut tls, &mut socket);
            stream.write_all(b"NOOP\r\n").unwrap();
            let mut reply = [0; 4];
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"200 ");
        }
    }
}

#[test]
fn implicit_tls_comes_before_the_greeting() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.implicit(true).control_required(true));
    server.write("file", "content");
    for version in VERSIONS {
        let mut ftps = Ftps::implicit(server.addr(), &pki.client(version));
        ftps.expect("AUTH TLS", 503);
        ftps.log_in();
        ftps.protect();
        assert_eq!(ftps.fetch("RETR file"), b"content");
        ftps.expect("QUIT", 221);
        ftps.expect_end();
    }
}

/// Says something before the greeting, and does something then.
struct Says(fn(&mut Session<'_>));

impl Handler for Says {
    fn on_connect(&mut self, session: &mut Session<'_>) {
        session.respond(Reply::new(120, "Soon."));
        self.0(session);
    }
}

#[test]
fn what_comes_before_the_greeting_comes_in_implicit_tls_too() {
    let pki = Pki::new();
    let tls = pki.tls().implicit(true);
    let server = TestServer::with(|builder| builder.tls(tls).handler(|_| Says(|_| {})));
    for version in VERSIONS {
        let socket = connect(server.addr());
        let mut ftps = Ftps::secured(socket, server.addr(), &pki.client(version));
        ftps.expect_reply(120);
        ftps.expect_reply(220);
        ftps.log_in();
    }
}

#[test]
fn nothing_goes_in_clear_before_implicit_tls() {
    let pki = Pki::new();
    let says_and = |then: fn(&mut Session<'_>)| {
        let tls = pki.tls().implicit(true);
        TestServer::with(|builder| builder.tls(tls).handler(move |_| Says(then)))
    };
    let sent_away: [fn(&mut Session<'_>); 2] = [
        |session| session.answer(Reply::new(421, "No.")),
        |session| session.close_when_done(),
    ];
    for then in sent_away {
        let server = says_and(then);
        let mut content = Vec::new();
        connect(server.addr()).read_to_end(&mut content).unwrap();
        assert_eq!(String::from_utf8(content).unwrap(), "");
    }
    // A greeting that takes its time.
    let server = says_and(|session| {
        let asleep = session.del_channel();
        std::thread::spawn(|| drop(asleep));
    });
    let socket = connect(server.addr());
    let mut ftps = Ftps::secured(socket, server.addr(), &pki.client(&TLS13));
    ftps.expect_reply(120);
    ftps.expect_reply(220);
}

#[test]
fn who_does_not_shake_hands_is_sent_away() {
    let pki = Pki::new();
    let implicit = server(&pki, |tls| tls.implicit(true));
    let explicit = server(&pki, |tls| tls);
    for garbage in [
        "USER anonymous\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
        "EHLO x\r\n",
    ] {
        let mut socket = connect(implicit.addr());
        socket.write_all(garbage.as_bytes()).unwrap();
        expect_data_end(socket);

        let mut client = explicit.connect();
        client.expect("AUTH TLS", 234);
        client.send(garbage);
        expect_data_end(client.stream().try_clone().unwrap());
    }
    implicit
        .record()
        .wait_until(|events| events.iter().filter(|event| *event == "disconnect").count() == 4);
}

#[test]
fn a_handshake_has_its_deadline_and_nothing_is_written_after_it() {
    let pki = Pki::new();
    for implicit in [false, true] {
        let server = server(&pki, |tls| tls.handshake_timeout(SHORT).implicit(implicit));
        let mut client = Client::connect(server.addr());
        if !implicit {
            client.expect_reply(220);
            client.expect("AUTH TLS", 234);
        }
        // A beginning is no handshake.
        client.send([22, 3, 1, 2, 0, 1]);
        let mut rest = Vec::new();
        let _ = client.stream().try_clone().unwrap().read_to_end(&mut rest);
        assert_eq!(rest, b"");
        server.record().wait_for("disconnect");
    }
}

#[test]
fn old_versions_are_refused() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.implicit(true));
    // A ClientHello of TLS 1.1, as small as it can be.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x00, 0x2F, 1, 0]);
    let mut socket = connect(server.addr());
    socket.write_all(&hello).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
}

#[test]
fn the_end_of_a_control_connection_is_said() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    for version in VERSIONS {
        let mut ftps = Ftps::explicit(server.addr(), &pki.client(version));
        ftps.control.send(b"NOOP\r\nQUIT\r\n").unwrap();
        ftps.control.notify();
        ftps.expect_reply(200);
        ftps.expect_reply(221);
        ftps.expect_end();
        // Without QUIT too, and without close_notify what was sent before still counts.
        let mut ftps = Ftps::explicit(server.addr(), &pki.client(version));
        ftps.control.send(b"NOOP\r\n").unwrap();
        ftps.control.notify();
        ftps.expect_reply(200);
        ftps.expect_end();
        let mut ftps = Ftps::explicit(server.addr(), &pki.client(version));
        ftps.control.send(b"NOOP\r\n").unwrap();
        ftps.control
            .socket
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
        ftps.expect_reply(200);
        ftps.expect_end();
    }
}

#[test]
fn what_comes_with_the_end_of_a_control_connection_is_answered() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    for round in 0..20 {
        let mut ftps = Ftps::explicit(server.addr(), &pki.client(&TLS13));
        ftps.expect("NOOP", 200);
        let Secure { tls, socket } = &mut ftps.control;
        let mut records = Vec::new();
        for command in [&b"NOOP\r\n"[..], b"NO", b"OP\r\n", b"NOOP\r\n"] {
            tls.writer().write_all(command).unwrap();
        }
        if round % 2 == 0 {
            tls.send_close_notify();
        }
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        // The cut goes through another record each time.
        let (first, second) = records.split_at(records.len() * (round + 1) / 21);
        socket.write_all(first).unwrap();
        socket.write_all(second).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let replies = String::from_utf8(ftps.control.read_to_end().unwrap()).unwrap();
        assert_eq!(replies.matches("200 ").count(), 3, "{round}: {replies}");
    }
}

#[test]
fn a_client_certificate_reaches_authorizer_and_handler() {
    use ftpdlib::{Account, AuthFailed, Authorizer, Credentials, DummyAuthorizer, Perm};

    /// Lets in whoever calls himself what his certificate calls him.
    struct ByCertificate(DummyAuthorizer);
    impl Authorizer for ByCertificate {
        fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
            let name = credentials
                .certificate
                .as_ref()
                .and_then(|shown| shown.common_name());
            if name != Some(credentials.username.as_str()) || !credentials.secured {
                return Err(AuthFailed::new("Show your certificate."));
            }
            self.0.authenticate(credentials)
        }
    }

    let pki = Pki::new();
    let home = tempfile::tempdir().unwrap();
    let mut users = DummyAuthorizer::new();
    users
        .add_user("user", "12345", home.path(), Perm::ALL)
        .unwrap();
    let tls = pki.tls().client_ca(pki.path("ca.pem")).unwrap();
    let server = TestServer::with(|builder| builder.authorizer(ByCertificate(users)).tls(tls));
    for version in VERSIONS {
        let mut known = Ftps::explicit(server.addr(), &pki.client_named(version, "user"));
        known.log_in();
        for config in [pki.client(version), pki.client_named(version, "other")] {
            let mut other = Ftps::explicit(server.addr(), &config);
            other.expect("USER user", 331);
            other.expect("PASS 12345", 530).text.contains("Show");
        }
    }
}

#[test]
fn a_handshake_that_fails_gets_an_alert() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.implicit(true));
    // This client trusts somebody else.
    let refused = Secure::over(connect(server.addr()), &Pki::new().client(&TLS13));
    assert!(refused.is_err());
    server.record().wait_for("disconnect");
}

/// Has something to do when its user has logged out that takes longer than a handshake may.
struct Slow;

impl ftpdlib::Handler for Slow {
    fn on_logout(&mut self, session: &mut ftpdlib::Session<'_>, _: &str) {
        let channel = session.del_channel();
        std::thread::spawn(move || {
            // It is the time that is tested.
            std::thread::sleep(2 * SHORT);
            channel.add_channel();
        });
    }
}

#[test]
fn a_callback_behind_auth_costs_the_client_no_time() {
    let pki = Pki::new();
    let server = TestServer::with(|builder| {
        let tls = pki.tls().handshake_timeout(SHORT);
        builder.tls(tls).handler(|_| Slow)
    });
    let mut ftps = Ftps::upgrade(server.login(), server.addr(), &pki.client(&TLS13));
    ftps.expect("NOOP", 200);
    // The login in clear is over.
    ftps.expect("PWD", 530);
}
