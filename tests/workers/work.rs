//! Work on worker threads is done, in every model, though its client or its server has gone.

use std::path::PathBuf;
use std::time::Duration;

use ftpdlib::{DummyAuthorizer, FtpServer, Handler, Perm, Session, Workers};

use crate::common::process::ServerProcess;
use crate::common::{Client, Mode};
use crate::model::{children_of, start, wait_for};

/// Has something done when its client has gone.
struct Leaving(PathBuf);

impl Handler for Leaving {
    fn on_disconnect(&mut self, session: &mut Session<'_>) {
        let file = self.0.clone();
        let work = move || {
            // Whoever does not wait for it has ended by then.
            std::thread::sleep(Duration::from_millis(100));
            std::fs::write(file, "done").unwrap();
        };
        session.offload(work, |_: &mut Self, _, _| {});
    }
}

#[test]
fn work_is_done_when_a_client_or_the_server_goes() {
    for workers in [
        Workers::Async,
        Workers::MultiThread,
        Workers::MultiProcess,
        Workers::PreFork(1),
    ] {
        for client_goes in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let done = home.path().join("done");
            let mut users = DummyAuthorizer::new();
            users
                .add_user("user", "12345", home.path(), Perm::ALL)
                .unwrap();
            let file = done.clone();
            let server = FtpServer::builder()
                .authorizer(users)
                .workers(workers)
                .handler(move |_| Leaving(file.clone()))
                .bind("127.0.0.1:0")
                .unwrap();
            let addr = server.local_addr();
            let server = ServerProcess::start(server);
            let mut client = Client::connect(addr);
            client.expect_reply(220);
            client.login();
            if client_goes {
                client.expect("QUIT", 221);
                client.expect_end();
                wait_for("the work", || done.exists());
            }
            // A second signal would leave work behind that is waited for already.
            server.end();
            let said = std::fs::read_to_string(&done).unwrap_or_default();
            assert_eq!(said, "done", "{workers}, client goes: {client_goes}");
        }
    }
}

/// The thread tells of its result, and is not done before it has given the client up: whichever of the two
/// the loop finds last, it ends.
#[test]
fn a_clients_process_ends_with_the_work_that_outlives_him() {
    let home = tempfile::tempdir().unwrap();
    for number in 0..300 {
        std::fs::write(home.path().join(number.to_string()), "").unwrap();
    }
    let program = start("multi-proc", home.path(), &[]);
    for _ in 0..30 {
        let mut client = program.anonymous();
        let _data = client.data(Mode::Epsv);
        // So many names are read by a thread.
        client.send("LIST\r\n");
    }
    wait_for("the end of all processes", || {
        children_of(program.pid()).is_empty()
    });
}
