//! FTPS: FTP over TLS, required for passwords and files alike. Make a certificate first:
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! cargo run --example tls_ftpd
//! curl --ssl-reqd --cacert cert.pem -u user:12345 ftp://localhost:2121/
//! ```

use ftpdlib::{DummyAuthorizer, FtpServer, Perm, Tls};

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;

    let tls = Tls::from_pem_files("cert.pem", Some("key.pem"))?
        .control_required(true)
        .data_required(true);

    FtpServer::builder()
        .authorizer(users)
        .tls(tls)
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
