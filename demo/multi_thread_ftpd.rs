//! A thread for each client: callbacks may block, and hold up nobody but their own client.
//!
//! ```sh
//! cargo run --example multi_thread_ftpd
//! curl -u user:12345 -T README.md ftp://127.0.0.1:2121/ &   # takes 5 seconds
//! curl -u user:12345 ftp://127.0.0.1:2121/                  # does not wait for it
//! ```

use std::thread;
use std::time::Duration;

use ftpdlib::{DummyAuthorizer, FtpServer, Handler, Perm, Session, Transferred, Workers};

struct Slow;

impl Handler for Slow {
    fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
        session.log(log::Level::Info, &format!("{} is looked at", file.path()));
        // Whatever takes its time: a conversion, a database, a mail.
        thread::sleep(Duration::from_secs(5));
    }
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;

    FtpServer::builder()
        .authorizer(users)
        .handler(|_peer| Slow)
        .workers(Workers::MultiThread)
        .bind("127.0.0.1:2121")?
        .serve_forever()
}
