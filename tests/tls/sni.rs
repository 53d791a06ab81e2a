//! Certificates chosen by the name that a client asks for: `Tls::from_resolver`.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use ftpdlib::{SessionReuse, Tls};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ResolvesServerCertUsingSni};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, SupportedProtocolVersion};

use crate::VERSIONS;
use crate::client::{Ftps, Secure};
use crate::common::TestServer;
use crate::common::client::expect_data_end;
use crate::testing::Pki;

const NAMES: [&str; 2] = ["one.test", "two.test"];
const UNKNOWN: &str = "three.test";
const DEFAULT: &str = "default.test";

/// One for each of the names, and for everybody else another or none.
#[derive(Debug)]
struct ByName {
    named: ResolvesServerCertUsingSni,
    default: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.named.resolve(hello).or_else(|| self.default.clone())
    }
}

/// A server, and the certificates of `NAMES`.
struct Hosts {
    pki: Pki,
    server: TestServer,
    certificates: Vec<CertificateDer<'static>>,
}

impl Hosts {
    fn new(with_default: bool, reuse: SessionReuse) -> Hosts {
        let pki = Pki::new();
        let mut named = ResolvesServerCertUsingSni::new();
        let mut certificates = Vec::new();
        for name in NAMES {
            let certified = certified(&pki, name);
            certificates.push(certified.cert[0].clone());
            named.add(name, certified).expect("a name of its own");
        }
        let default = with_default.then(|| Arc::new(certified(&pki, DEFAULT)));
        let resolver = Arc::new(ByName { named, default });
        let tls = Tls::from_resolver(resolver).expect("TLS");
        let tls = tls.session_reuse(reuse).data_required(true);
        let server = TestServer::with(|builder| builder.tls(tls));
        server.write("file", "content");
        Hosts {
            pki,
            server,
            certificates,
        }
    }

    /// A connection that waits for the client's handshake.
    #[track_caller]
    fn before_tls(&self) -> TcpStream {
        let mut client = self.server.connect();
        client.expect("AUTH TLS", 234);
        client.stream().try_clone().expect("a socket")
    }

    #[track_caller]
    fn login(&self, name: &'static str, config: &Arc<ClientConfig>) -> Ftps {
        let mut ftps = Ftps::asking(name, self.before_tls(), self.server.addr(), config);
        ftps.log_in();
        ftps.protect();
        ftps
    }
}

fn certified(pki: &Pki, name: &str) -> CertifiedKey {
    let (certificate, key) = pki.issue(name, &rcgen::PKCS_ECDSA_P256_SHA256);
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider).expect("a pair")
}

/// A client whose every handshake is a full one, so that the server shows its certificate.
fn forgetful(pki: &Pki, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = ClientConfig::clone(&pki.client(version));
    config.resumption = Resumption::disabled();
    config
}

#[track_caller]
fn assert_shown(secure: &Secure, certificate: &CertificateDer<'static>) {
    let shown = secure.tls.peer_certificates().expect("a certificate");
    assert_eq!(shown, std::slice::from_ref(certificate));
}

#[track_caller]
fn refusal(handshake: io::Result<Secure>) -> Error {
    let error = handshake.err().expect("no handshake");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    Error::clone(inner.unwrap_or_else(|| panic!("no word of TLS: {error}")))
}

#[test]
fn every_name_has_its_certificate_on_control_and_data() {
    let hosts = Hosts::new(false, SessionReuse::Off);
    for version in VERSIONS {
        let config = Arc::new(forgetful(&hosts.pki, version));
        // At the same time, so that a server with one for all would show.
        let mut sessions = NAMES.map(|name| hosts.login(name, &config));
        for _ in 0..3 {
            for (ftps, certificate) in sessions.iter_mut().zip(&hosts.certificates) {
                assert_shown(&ftps.control, certificate);
                let mut data = ftps.begin("RETR file");
                assert!(!data.is_resumed());
                assert_shown(&data, certificate);
                assert_eq!(data.read_to_end().expect("close_notify"), b"content");
                ftps.expect_reply(226);
            }
        }
    }
}

#[test]
fn sessions_of_every_name_are_resumed() {
    for reuse in [SessionReuse::Off, SessionReuse::Require] {
        let hosts = Hosts::new(false, reuse);
        for version in VERSIONS {
            let config = hosts.pki.client(version);
            let mut sessions = NAMES.map(|name| hosts.login(name, &config));
            for time in 0..3 {
                for (ftps, certificate) in sessions.iter_mut().zip(&hosts.certificates) {
                    let mut data = ftps.begin("STOR upload");
                    assert!(data.is_resumed(), "{version:?} {reuse:?} {time}");
                    assert_shown(&data, certificate);
                    data.send(b"content").expect("the server reads");
                    data.close();
                    ftps.expect_reply(226);
                }
            }
        }
    }
}

#[test]
fn an_unknown_name_may_have_the_default() {
    let hosts = Hosts::new(true, SessionReuse::Off);
    for version in VERSIONS {
        // The server goes on; it is the client who minds.
        let mut config = forgetful(&hosts.pki, version);
        let met = refusal(Secure::asking(
            UNKNOWN,
            hosts.before_tls(),
            &Arc::new(config.clone()),
        ));
        let Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) = met
        else {
            panic!("{met:?}");
        };
        assert!(
            presented.iter().any(|name| name.contains(DEFAULT)),
            "{presented:?}"
        );
        // One who knows the name and does not ask for it.
        config.enable_sni = false;
        let mut ftps = hosts.login(DEFAULT, &Arc::new(config));
        assert_eq!(ftps.fetch("RETR file"), b"content");
    }
}

#[test]
fn an_unknown_name_may_be_refused() {
    let hosts = Hosts::new(false, SessionReuse::Off);
    let denied = Error::AlertReceived(AlertDescription::AccessDenied);
    for version in VERSIONS {
        let config = Arc::new(forgetful(&hosts.pki, version));
        let mut ftps = hosts.login(NAMES[0], &config);
        let mut without = ClientConfig::clone(&config);
        without.enable_sni = false;
        for config in [&config, &Arc::new(without)] {
            // On a control connection that is the end of it.
            let socket = hosts.before_tls();
            let end = socket.try_clone().expect("a socket");
            assert_eq!(refusal(Secure::asking(UNKNOWN, socket, config)), denied);
            expect_data_end(end);
            // On a data connection, of the transfer.
            for line in ["RETR file", "STOR new", "APPE file"] {
                let socket = ftps.data();
                let end = socket.try_clone().expect("a socket");
                ftps.started(line);
                assert_eq!(refusal(Secure::asking(UNKNOWN, socket, config)), denied);
                ftps.expect_reply(522);
                expect_data_end(end);
            }
        }
        assert!(!hosts.server.exists("new"));
        assert_eq!(ftps.fetch("RETR file"), b"content");
    }
}
