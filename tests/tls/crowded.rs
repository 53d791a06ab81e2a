//! Handshakes and transfers on a loop that somebody else keeps busy: they queue, and all get on.

use std::thread;

use crate::VERSIONS;
use crate::client::Ftps;
use crate::common::hog::{Hog, with_spin};
use crate::common::{TestServer, sample};
use crate::testing::Pki;

#[test]
fn handshakes_that_have_to_queue_come_about() {
    let pki = Pki::new();
    let server = TestServer::with(|builder| with_spin(builder.tls(pki.tls())));
    let content = sample(500_000);
    let hog = Hog::start(&server);
    thread::scope(|scope| {
        for number in 0..6 {
            let (server, content) = (&server, &content);
            let config = pki.client(VERSIONS[number % 2]);
            scope.spawn(move || {
                let name = format!("up{number}");
                let mut ftps = Ftps::login(server.addr(), &config);
                ftps.put(&format!("STOR {name}"), content);
                assert!(ftps.fetch(&format!("RETR {name}")) == *content);
                ftps.expect("QUIT", 221);
            });
        }
    });
    drop(hog);
}
