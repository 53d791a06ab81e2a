//! Transfers of many, on a loop that somebody else keeps busy: they queue, and all get on.

use std::thread;

use crate::common::hog::{Hog, with_spin};
use crate::common::{Mode, TestServer, sample};

#[test]
fn transfers_that_have_to_queue_are_whole() {
    let server = TestServer::with(with_spin);
    let content = sample(3_000_000);
    server.write("file", &content);
    server.write_sparse("big", 64 << 20);
    let hog = Hog::start(&server);
    thread::scope(|scope| {
        for number in 0..6 {
            let (server, content) = (&server, &content);
            scope.spawn(move || {
                let mut client = server.login();
                let mode = [Mode::Epsv, Mode::Eprt][number % 2];
                client.expect("TYPE I", 200);
                client.put_by(mode, format!("STOR up{number}"), content);
                assert!(server.read(&format!("up{number}")) == *content);
                assert!(client.fetch_by(mode, "RETR file") == *content);
                assert!(client.list("NLST").contains(&"file".to_owned()));
                client.expect("TYPE A", 200);
                client.put_by(
                    mode,
                    format!("STOR text{number}"),
                    b"line\r\n".repeat(50_000),
                );
                let text = server.read(&format!("text{number}"));
                assert!(text == b"line\n".repeat(50_000));
                let data = client.begin("RETR big");
                client.line("ABOR");
                client.expect_replies(&[426, 226]);
                drop(data);
                client.expect_alive();
            });
        }
    });
    drop(hog);
}
