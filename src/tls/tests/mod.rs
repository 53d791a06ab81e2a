//! The tunnel against rustls's own client, over a wire in memory: what comes in which order, and
//! how much of it, is the test's choice.

mod barren;
mod duo;
mod pem;
mod resumption;

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use self::duo::{Duo, End, data_duo, kind, sample};
use super::testing::Pki;
use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

#[test]
fn plaintext_goes_both_ways_in_pieces_of_any_size() {
    let pki = Pki::new();
    for version in VERSIONS {
        let mut duo = data_duo(&pki, version);
        assert!(!duo.server.wants().handshake);
        let content = sample(300_000);
        for max in [1000, 16 * 1024, 70_000, 256 * 1024, 1024 * 1024] {
            duo.client_writes(&content);
            let (got, end) = duo.read_all(max);
            assert!(got == content, "{max}");
            assert_eq!(kind(end), io::ErrorKind::WouldBlock);
        }
        for size in [1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 200_000] {
            let mut sent = 0;
            let mut got = Vec::new();
            while sent < size {
                sent += duo
                    .server
                    .write(&mut duo.wire, &content[sent..size])
                    .unwrap();
                got.extend(duo.client_takes());
            }
            assert!(got == content[..size], "{size}");
        }
        duo.server.release();
        assert_eq!(duo.server.held(), 0);
    }
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let pki = Pki::new();
    for version in VERSIONS {
        let tunnel = pki.tls().session().unwrap().control().unwrap();
        let mut duo = Duo::new(tunnel, &pki.client(version));
        let mut plain = Vec::new();
        for round in 0.. {
            duo.client_sends();
            let flight: Vec<u8> = duo.wire.to_server.drain(..).collect();
            for byte in flight {
                duo.wire.to_server.push_back(byte);
                if duo
                    .server
                    .handshake(&mut duo.wire, &mut duo.scratch)
                    .unwrap()
                {
                    let (bytes, end) = duo.read_all(1);
                    plain.extend(bytes);
                    assert_eq!(kind(end), io::ErrorKind::WouldBlock);
                }
            }
            duo.client_takes();
            match round {
                5 => duo.client_writes(b"NOOP\r\n"),
                6 => break,
                _ => {}
            }
        }
        assert_eq!(plain.len(), 6);
        assert_eq!(plain, b"NOOP\r\n");
    }
}

#[test]
fn what_comes_with_the_end_of_the_handshake_is_not_lost() {
    let pki = Pki::new();
    for version in VERSIONS {
        let tunnel = pki.tls().session().unwrap().data().unwrap();
        let mut duo = Duo::new(tunnel, &pki.client(version));
        duo.client.writer().write_all(&sample(40_000)).unwrap();
        duo.try_shake_hands().unwrap();
        duo.client_closes();
        let (got, end) = duo.read_all(5000);
        assert!(got == sample(40_000));
        end.unwrap();
    }
}

#[test]
fn it_is_known_when_only_the_transport_can_give_more() {
    let pki = Pki::new();
    // What came with the end of the handshake says nothing of what came since.
    let mut duo = Duo::new(
        pki.tls().session().unwrap().data().unwrap(),
        &pki.client(VERSIONS[0]),
    );
    duo.client_writes(b"early");
    duo.try_shake_hands().unwrap();
    duo.client_writes(b"late");
    assert_eq!(duo.read_all(100).0, b"earlylate");

    let emptied = |duo: &mut Duo, max: usize, expected: &[u8]| {
        assert_eq!(duo.read(max).unwrap(), expected);
        duo.server.is_emptied()
    };
    duo.client_writes(b"one");
    assert!(emptied(&mut duo, 100, b"one"));
    // The second is read already, and then nobody has asked the transport.
    duo.client_writes(b"one");
    duo.client_writes(b"two");
    assert!(!emptied(&mut duo, 1, b"one") && !emptied(&mut duo, 1, b"two"));
    assert_eq!(kind(duo.read(100).map(drop)), io::ErrorKind::WouldBlock);
    // The rest of a record announces itself.
    duo.client_writes(b"one");
    duo.client_writes(b"half");
    let rest = duo.wire.to_server.split_off(duo.wire.to_server.len() - 3);
    assert!(emptied(&mut duo, 100, b"one"));
    duo.wire.to_server.extend(rest);
    assert!(emptied(&mut duo, 100, b"half"));
    // The end, which came with the last words, does not.
    duo.client_writes(b"last");
    duo.client_closes();
    assert!(!emptied(&mut duo, 100, b"last") && !emptied(&mut duo, 100, b""));
}

#[test]
fn an_uploading_client_gets_no_byte_behind_the_handshake() {
    let pki = Pki::new();
    for version in VERSIONS {
        let mut duo = data_duo(&pki, version);
        duo.client_writes(&sample(100_000));
        duo.read_all(256 * 1024).0.truncate(0);
        assert!(duo.wire.to_client.is_empty());
    }
}

#[test]
fn only_close_notify_ends_a_file() {
    let pki = Pki::new();
    for version in VERSIONS {
        for (end, expected) in [
            (End::No, io::ErrorKind::WouldBlock),
            (End::Fin, io::ErrorKind::UnexpectedEof),
            (End::Reset, io::ErrorKind::ConnectionReset),
        ] {
            let mut duo = data_duo(&pki, version);
            duo.client_writes(&sample(50_000));
            duo.wire.end = end;
            let (got, result) = duo.read_all(256 * 1024);
            assert!(got == sample(50_000));
            assert_eq!(kind(result), expected);
            // It does not become an end by asking again.
            assert_eq!(kind(duo.read_all(100).1), expected);
        }
        for end in [End::No, End::Fin, End::Reset] {
            let mut duo = data_duo(&pki, version);
            duo.client_writes(&sample(50_000));
            duo.client_closes();
            duo.wire.end = end;
            let (got, result) = duo.read_all(256 * 1024);
            assert!(got == sample(50_000));
            result.unwrap();
            duo.server.finish(&mut duo.wire).unwrap();
            duo.client_takes();
            assert_eq!(
                duo.client.reader().read(&mut [0; 1]).unwrap(),
                0,
                "our close_notify"
            );
        }
    }
}

#[test]
fn a_bare_end_may_be_allowed_but_not_within_a_record() {
    let pki = Pki::new();
    let tls = pki.tls().allow_truncated_uploads(true);
    for (cut, expected) in [(0, None), (1, Some(io::ErrorKind::UnexpectedEof))] {
        let tunnel = tls.session().unwrap().data().unwrap();
        let mut duo = Duo::new(tunnel, &pki.client(&TLS13)).shaken();
        duo.client_writes(&sample(1000));
        duo.client_writes(&sample(1000));
        let len = duo.wire.to_server.len() - cut;
        duo.wire.to_server.truncate(len);
        duo.wire.end = End::Fin;
        let (got, result) = duo.read_all(256 * 1024);
        assert_eq!(got.len(), if cut == 0 { 2000 } else { 1000 });
        assert_eq!(result.err().map(|error| error.kind()), expected);
    }
    // Before the handshake is through there is no file to end.
    let tunnel = tls.session().unwrap().data().unwrap();
    let mut duo = Duo::new(tunnel, &pki.client(&TLS13));
    duo.client_sends();
    duo.wire.end = End::Fin;
    let result = duo.try_shake_hands();
    assert_eq!(kind(result), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_changed_record_is_an_error_behind_what_was_good() {
    let pki = Pki::new();
    for version in VERSIONS {
        let mut duo = data_duo(&pki, version);
        duo.client_writes(&sample(1000));
        duo.client_writes(&sample(1000));
        *duo.wire.to_server.back_mut().unwrap() ^= 1;
        let (got, result) = duo.read_all(256 * 1024);
        assert_eq!(got, sample(1000));
        assert_eq!(kind(result), io::ErrorKind::InvalidData);
        assert_eq!(kind(duo.read_all(100).1), io::ErrorKind::InvalidData);
        // The alert is out.
        assert!(!duo.wire.to_client.is_empty());
        let refused = duo.server.write(&mut duo.wire, b"x").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn what_is_no_handshake_is_an_error_at_once() {
    let pki = Pki::new();
    for garbage in [
        &b"USER anonymous\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x80\x2e\x01\x03\x01",
        &[0; 100],
        &[0xFF; 100_000],
    ] {
        let tunnel = pki.tls().session().unwrap().control().unwrap();
        let mut duo = Duo::new(tunnel, &pki.client(&TLS13));
        duo.wire.to_server.extend(garbage);
        let error = duo
            .server
            .handshake(&mut duo.wire, &mut duo.scratch)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{garbage:?}");
    }
}

#[test]
fn a_client_that_never_comes_to_an_end_is_bounded() {
    let pki = Pki::new();
    // A handshake message of 16 MiB, in records.
    let tunnel = pki.tls().session().unwrap().control().unwrap();
    let mut duo = Duo::new(tunnel, &pki.client(&TLS13));
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF];
    record.resize(16 * 1024 + 5, 0);
    let mut result = Ok(false);
    for _ in 0..64 {
        duo.wire.to_server.extend(&record);
        result = duo.server.handshake(&mut duo.wire, &mut duo.scratch);
        assert!(duo.server.held() <= 256 * 1024, "{}", duo.server.held());
        if result.is_err() {
            break;
        }
        record.splice(5..9, [0; 4]);
    }
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_stalled_reader_costs_little() {
    let pki = Pki::new();
    for version in VERSIONS {
        let mut duo = data_duo(&pki, version);
        duo.wire.room = 10_000;
        let content = sample(256 * 1024);
        let mut sent = duo.server.write(&mut duo.wire, &content).unwrap();
        for _ in 0..10 {
            let refused = duo
                .server
                .write(&mut duo.wire, &content[sent..])
                .unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        }
        assert!(duo.server.wants().unsent);
        assert!(duo.server.held() < 80 * 1024, "{}", duo.server.held());
        let refused = duo.server.finish(&mut duo.wire).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);

        // It goes on where it stopped.
        let mut got = duo.client_takes();
        while duo.server.finish(&mut duo.wire).is_err() {
            got.extend(duo.client_takes());
        }
        got.extend(duo.client_takes());
        assert!(got == content[..sent]);
        assert_eq!(duo.client.reader().read(&mut [0; 1]).unwrap(), 0);
        sent = 0;
        assert!(duo.server.write(&mut duo.wire, &content[sent..]).is_err());
    }
}

#[test]
fn an_uploader_that_is_not_read_from_costs_little() {
    let pki = Pki::new();
    for version in VERSIONS {
        let mut duo = data_duo(&pki, version);
        duo.client_writes(&sample(200_000));
        let mut rest = 200_000;
        while rest > 0 {
            rest -= duo.read(100).unwrap().len();
            assert!(duo.server.held() <= 128 * 1024, "{}", duo.server.held());
        }
    }
}

#[test]
fn records_that_grow_and_shrink_arrive_whole() {
    let pki = Pki::new();
    for version in VERSIONS {
        let mut duo = data_duo(&pki, version);
        for max in [1, 500, 64 * 1024, 1024 * 1024] {
            let mut content = Vec::new();
            // The size of a record is a guess at that of the next.
            for size in [1, 16 * 1024, 3, 4000, 1, 1, 16 * 1024, 16 * 1024, 100] {
                let part = sample(size);
                duo.client_writes(&part);
                content.extend(part);
            }
            duo.client_writes(&sample(300_000));
            content.extend(sample(300_000));
            let mut got = Vec::new();
            while got.len() < content.len() {
                got.extend(duo.read(max).unwrap());
                assert!(duo.server.held() <= 128 * 1024, "{}", duo.server.held());
            }
            assert!(got == content, "{max}");
        }
    }
}

#[test]
fn records_of_one_size_leave_no_rest() {
    let pki = Pki::new();
    let mut duo = data_duo(&pki, &TLS13);
    duo.client_writes(&sample(10 * 1024 * 1024));
    duo.server.release();
    duo.read(1).unwrap();
    for _ in 0..9 {
        assert_eq!(duo.read(1024 * 1024).unwrap().len(), 1024 * 1024);
        assert_eq!(duo.server.held(), 0);
    }
}

#[test]
fn keys_may_be_updated_while_a_file_is_received() {
    let pki = Pki::new();
    let mut duo = data_duo(&pki, &TLS13);
    for _ in 0..3 {
        duo.client.refresh_traffic_keys().unwrap();
        duo.client_writes(&sample(20_000));
        assert!(duo.read_all(256 * 1024).0 == sample(20_000));
    }
    let sent = duo.server.write(&mut duo.wire, b"still here").unwrap();
    assert_eq!((sent, duo.client_takes()), (10, b"still here".to_vec()));
}

#[test]
fn client_certificates_are_asked_for_checked_and_named() {
    let pki = Pki::new();
    let strangers = Pki::new();
    for version in VERSIONS {
        let tls = pki.tls().client_ca(pki.path("ca.pem")).unwrap();
        let shaken = |client: &Arc<ClientConfig>| {
            let mut duo = Duo::new(tls.session().unwrap().control().unwrap(), client);
            duo.try_shake_hands()
                .map(|()| duo.server.client_certificate())
        };
        let named = shaken(&pki.client_named(version, "alice"))
            .unwrap()
            .unwrap();
        assert_eq!(
            (named.subject().as_str(), named.common_name()),
            ("CN=alice", Some("alice"))
        );
        assert_eq!(shaken(&pki.client(version)).unwrap(), None);

        let mut stranger = (*strangers.client_named(version, "alice")).clone();
        stranger
            .dangerous()
            .set_certificate_verifier(Arc::new(Anyone));
        assert!(shaken(&Arc::new(stranger)).is_err());
    }
}

/// Trusts every server.
#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.verify_tls12_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
