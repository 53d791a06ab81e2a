//! Certificates that are read again while the server runs.

use crate::VERSIONS;
use crate::client::{Ftps, Secure};
use crate::common::TestServer;
use crate::testing::Pki;

#[test]
fn new_handshakes_have_the_new_certificate_and_old_sessions_the_old_one() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    for version in VERSIONS {
        let (old, new) = (Pki::new(), Pki::new());
        let tls = old.tls();
        let server = TestServer::with(|builder| builder.tls(tls.clone()));
        let mut before = Ftps::login(server.addr(), &old.client(version));
        old.write("cert.pem", std::fs::read(new.path("cert.pem")).unwrap());
        // Half of it changed: an error, and nothing happens.
        let error = tls.reload().unwrap_err().to_string();
        assert!(
            error.contains("cert.pem") && error.contains("key.pem"),
            "{error}"
        );
        Ftps::login(server.addr(), &old.client(version)).expect("NOOP", 200);

        old.write("key.pem", std::fs::read(new.path("key.pem")).unwrap());
        tls.reload().unwrap();
        let mut after = Ftps::login(server.addr(), &new.client(version));
        before.put("STOR file", b"of the old one");
        after.put("APPE file", b", and of the new one");
        assert_eq!(server.read("file"), b"of the old one, and of the new one");
        let mut client = server.connect();
        client.expect("AUTH TLS", 234);
        let socket = client.stream().try_clone().unwrap();
        let refused = Secure::over(socket, &old.client(version));
        assert!(refused.is_err());
    }
}
