//! Whether a transfer is called complete exactly when it is: every way in which a client may end a
//! data connection, for both versions of TLS and every direction.

use std::fs;
use std::io::Read;
use std::net::Shutdown;

use crate::client::{Ftps, Secure};
use crate::common::sample;
use crate::testing::Pki;
use crate::{VERSIONS, server};

/// Rare losses do not show at the first try.
const TIMES: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Clean,
    /// close_notify, and a close with nothing of the server's read.
    Unread,
    /// FIN without close_notify.
    Fin,
    Reset,
}

impl End {
    const ALL: [End; 4] = [End::Clean, End::Unread, End::Fin, End::Reset];

    fn is_clean(self) -> bool {
        matches!(self, End::Clean | End::Unread)
    }
}

fn end(mut data: Secure, end: End) {
    match end {
        End::Clean => {
            data.notify();
            data.socket.shutdown(Shutdown::Write).expect("a connection");
            assert!(
                data.read_to_end()
                    .expect("our close_notify is answered")
                    .is_empty()
            );
        }
        End::Unread => data.close(),
        End::Fin => drop(data),
        End::Reset => data.reset(),
    }
}

fn uploads(command: &str, before: &[u8]) {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    for version in VERSIONS {
        let mut ftps = Ftps::login(server.addr(), &pki.client(version));
        for how in End::ALL {
            for time in 0..TIMES {
                // Sizes around those of records and buffers, and none.
                let size = [0, 1, 16_384, 40_000, 300_000][time % 5];
                let content = sample(size);
                let name = format!("{command}-{how:?}-{size}");
                server.write(&name, before);
                let mut data = ftps.begin(&format!("{command} {name}"));
                data.send(&content).expect("the server reads");
                end(data, how);
                let seen = server.record();
                let expected = if command == "APPE" {
                    [before, &content[..]].concat()
                } else {
                    content
                };
                if how.is_clean() {
                    ftps.expect_reply(226);
                    assert!(
                        server.read(&name) == expected,
                        "{name} {}",
                        version_name(version)
                    );
                    seen.wait_for(&format!("received /{name} {size}"));
                } else {
                    ftps.expect_reply(426);
                    assert!(expected.starts_with(&server.read(&name)), "{name}");
                    if how == End::Fin {
                        // All of it had come, and still nobody knows that it was all.
                        seen.wait_for(&format!("incomplete_received /{name} {size}"));
                    }
                }
                fs::remove_file(server.path(&name)).expect("the file");
            }
        }
        let wrong = server.record().all().into_iter().find(|event| {
            event.starts_with("received ") && (event.contains("Fin") || event.contains("Reset"))
        });
        assert_eq!(wrong, None);
    }
}

fn version_name(version: &rustls::SupportedProtocolVersion) -> String {
    format!("{:?}", version.version)
}

#[test]
fn stor() {
    uploads("STOR", b"old content");
}

#[test]
fn appe() {
    uploads("APPE", b"old content");
}

#[test]
fn retr() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls);
    const SIZE: usize = 20_000_000;
    server.write("large", sample(SIZE));
    server.write("small", sample(1000));
    for version in VERSIONS {
        let mut ftps = Ftps::login(server.addr(), &pki.client(version));
        for how in End::ALL {
            for _ in 0..TIMES {
                // Complete when the client takes all of it, whatever it says of itself.
                let mut data = ftps.begin("RETR small");
                if how == End::Fin {
                    data.socket.shutdown(Shutdown::Write).expect("a connection");
                }
                assert_eq!(data.read_to_end().expect("close_notify"), sample(1000));
                drop(data);
                ftps.expect_reply(226);

                // Not complete when it leaves in the middle.
                let mut data = ftps.begin("RETR large");
                let mut first = [0; 1000];
                let mut stream = rustls::Stream::new(&mut data.tls, &mut data.socket);
                stream.read_exact(&mut first).expect("some of it");
                match how {
                    End::Clean | End::Unread => data.close(),
                    End::Fin => drop(data),
                    End::Reset => data.reset(),
                }
                ftps.expect_reply(426);
            }
        }
        ftps.expect("NOOP", 200);
    }
    let record = server.record();
    assert_eq!(record.count("sent /small 1000"), 2 * 4 * TIMES);
    assert_eq!(record.count(&format!("sent /large {SIZE}")), 0);
}

#[test]
fn a_bare_end_may_be_allowed() {
    let pki = Pki::new();
    let server = server(&pki, |tls| tls.allow_truncated_uploads(true));
    for version in VERSIONS {
        let mut ftps = Ftps::login(server.addr(), &pki.client(version));
        let mut data = ftps.begin("STOR file");
        data.send(&sample(100_000)).expect("the server reads");
        drop(data);
        ftps.expect_reply(226);
        assert!(server.read("file") == sample(100_000));
        // A reset is no end at all.
        let mut data = ftps.begin("STOR file");
        data.send(&sample(100_000)).expect("the server reads");
        data.reset();
        ftps.expect_reply(426);
    }
}
