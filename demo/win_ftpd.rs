//! The users of Windows, with their passwords, homes and rights.
//!
//! A login lands in the directory of the user's profile; what he uploads is his.
//!
//! ```sh
//! cargo build --example win_ftpd
//! target\debug\examples\win_ftpd                  # port 2121, one thread for all
//! target\debug\examples\win_ftpd 127.0.0.1:21 multi-thread
//! curl -u ann ftp://127.0.0.1:2121/               # asks for the password; lists the home
//! ```

#[cfg(windows)]
fn main() -> Result<(), ftpdlib::Error> {
    use ftpdlib::{Error, FtpServer, WindowsAuthorizer, Workers};

    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "0.0.0.0:2121".to_owned());
    let workers = match args.next().as_deref() {
        None | Some("async") => Workers::Async,
        Some("multi-thread") => Workers::MultiThread,
        Some(other) => return Err(Error::Config(format!("no worker model {other:?} here"))),
    };

    // Everybody who has a password may log in, but the built-in Administrator and Guest.
    let users = WindowsAuthorizer::new()?;

    FtpServer::builder()
        .authorizer(users)
        .workers(workers)
        .handle_signals(true)
        .bind(address)?
        .serve_forever()
}

#[cfg(not(windows))]
fn main() {
    eprintln!("this system has no users of Windows; see unix_ftpd");
    std::process::exit(1);
}
