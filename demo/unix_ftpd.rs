//! The users of the system, with their passwords, homes and rights.
//!
//! A login lands in the user's home and shows the whole tree of the machine, as far as the system
//! lets that user see it; what he uploads is his. It needs root:
//!
//! ```sh
//! cargo build --example unix_ftpd
//! sudo target/debug/examples/unix_ftpd            # port 21; or: ... 127.0.0.1:2121
//! curl -u "$USER" ftp://127.0.0.1/                # asks for the password; lists the home
//! ```
//!
//! Root's privileges that are not needed to serve are given up once it listens.

#[cfg(unix)]
fn main() -> Result<(), ftpdlib::Error> {
    use ftpdlib::{Capability, FtpServer, UnixAuthorizer, drop_privileges};

    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    // Everybody who has a password and a valid shell may log in, but root.
    let users = UnixAuthorizer::builder()
        .rejected_users(["root"])
        .whole_tree(true)
        .build()?;

    let address = std::env::args().nth(1);
    let server = FtpServer::builder()
        .authorizer(users)
        .bind(address.as_deref().unwrap_or("0.0.0.0:21"))?;
    drop_privileges(Capability::FOR_USERS)?;
    server.serve_forever()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this system has no users of UNIX");
}
