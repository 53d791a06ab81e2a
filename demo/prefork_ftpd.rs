//! A worker process for each processor, all of which accept from one socket; one that dies is
//! replaced. Limits hold over all of them together.
//!
//! ```sh
//! cargo run --release --example prefork_ftpd
//! pkill -KILL -n prefork_ftpd   # the youngest worker; the log tells, and another starts
//! ```

use ftpdlib::{DummyAuthorizer, FtpServer, Perm, Workers};

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;
    users.add_anonymous(".")?;

    FtpServer::builder()
        .authorizer(users)
        .workers(Workers::pre_fork())
        .max_cons(512)
        .max_cons_per_ip(50)
        .bind("127.0.0.1:2121")?
        .serve_forever()
}
