//! Transfers with a limited bandwidth.
//!
//! Uploads and downloads at 30 KiB per second and transfer. A throttled transfer sleeps between its
//! bursts; it takes no processor time meanwhile and holds up nobody.
//!
//! ```sh
//! cargo run --example throttled_ftpd
//! head -c 300K /dev/zero > zeros
//! curl -u user:12345 -T zeros ftp://127.0.0.1:2121/copy            # about ten seconds
//! curl -u user:12345 -o /dev/null ftp://127.0.0.1:2121/copy        # the same
//! ```

use ftpdlib::{DummyAuthorizer, FtpServer, Perm};

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;
    users.add_anonymous(".")?;

    FtpServer::builder()
        .authorizer(users)
        .read_limit(30 * 1024) // bytes per second from the client: uploads
        .write_limit(30 * 1024) // bytes per second to the client: downloads
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
