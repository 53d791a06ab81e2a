//! The users of the system, with their passwords, homes and rights.
//!
//! A login lands in the user's home and shows the whole tree of the machine, as far as the system
//! lets that user see it; what he uploads is his, whichever worker model serves him. It needs root:
//!
//! ```sh
//! cargo build --example unix_ftpd
//! sudo target/debug/examples/unix_ftpd            # port 21, one thread for all
//! sudo target/debug/examples/unix_ftpd 127.0.0.1:2121 multi-proc
//! curl -u "$USER" ftp://127.0.0.1/                # asks for the password; lists the home
//! ```
//!
//! Root's privileges that are not needed to serve are given up once it listens.

#[cfg(unix)]
fn main() -> Result<(), ftpdlib::Error> {
    use ftpdlib::{Capability, Error, FtpServer, UnixAuthorizer, Workers, drop_privileges};

    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "0.0.0.0:21".to_owned());
    let workers = match args.next().as_deref() {
        None | Some("async") => Workers::Async,
        Some("multi-thread") => Workers::MultiThread,
        Some("multi-proc") => Workers::MultiProcess,
        Some("pre-fork") => Workers::pre_fork(),
        Some(other) => return Err(Error::Config(format!("no worker model {other:?}"))),
    };

    // Everybody who has a password and a valid shell may log in, but root.
    let users = UnixAuthorizer::builder()
        .rejected_users(["root"])
        .whole_tree(true)
        .build()?;

    let server = FtpServer::builder()
        .authorizer(users)
        .workers(workers)
        .bind(address)?;
    drop_privileges(Capability::FOR_USERS)?;
    server.serve_forever()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this system has no users of UNIX");
}
