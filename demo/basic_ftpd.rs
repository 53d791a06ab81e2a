//! Users, an anonymous one, limits, passive ports.
//!
//! A user who may do everything, an anonymous one who may look and download, limits for
//! connections, and a range of ports for passive data connections.
//!
//! ```sh
//! cargo run --example basic_ftpd
//! curl ftp://127.0.0.1:2121/                                  # list, as anonymous
//! curl -T README.md -u user:12345 ftp://127.0.0.1:2121/copy   # upload, as user
//! ```

use ftpdlib::{DummyAuthorizer, FtpServer, Perm};

fn main() -> Result<(), ftpdlib::Error> {
    // Any logger of the `log` crate will do.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;
    users.add_anonymous(".")?;

    FtpServer::builder()
        .authorizer(users)
        .banner("ftpdlib ready.")
        // Behind a router add its public address, and forward the passive ports to this machine:
        // .masquerade_address(Ipv4Addr::new(203, 0, 113, 7))
        .passive_ports(60000..=65535)
        .max_cons(256)
        .max_cons_per_ip(5)
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
