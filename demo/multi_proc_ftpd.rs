//! A process for each client: whatever goes wrong in one, a crash even, stays there.
//!
//! ```sh
//! cargo run --example multi_proc_ftpd
//! curl -u user:12345 -Q "SITE CRASH" ftp://127.0.0.1:2121/   # that was its own process only
//! curl -u user:12345 ftp://127.0.0.1:2121/
//! ```

use ftpdlib::{Command, DummyAuthorizer, FtpServer, Perm, Workers};

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;

    // As a library with a bug would do it.
    let crash = Command::site("CRASH")
        .help("Syntax: SITE CRASH (ends this client's process).")
        .run(|_session, _arg| std::process::abort());

    FtpServer::builder()
        .authorizer(users)
        .command(crash)
        .workers(Workers::MultiProcess)
        .bind("127.0.0.1:2121")?
        .serve_forever()
}
