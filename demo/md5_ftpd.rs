//! Passwords that are stored as digests.
//!
//! Passwords are stored as hash digests, not in clear: an authorizer of one's own around
//! [`DummyAuthorizer`].
//!
//! MD5 keeps this short and is good for nothing else: whoever steals its digests finds the
//! passwords in no time. For real users take a password hash such as Argon2, bcrypt or scrypt.
//!
//! ```sh
//! cargo run --example md5_ftpd
//! curl -u user:12345 ftp://127.0.0.1:2121/    # lists
//! curl -u user:54321 ftp://127.0.0.1:2121/    # access denied, after three seconds
//! ```

use ftpdlib::{Account, AuthFailed, Authorizer, Credentials, DummyAuthorizer, FtpServer, Perm};
use md5::{Digest, Md5};

/// The users' "passwords" are hex digests.
struct DummyMd5Authorizer(DummyAuthorizer);

impl Authorizer for DummyMd5Authorizer {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let user = self
            .0
            .user(&credentials.username)
            .ok_or_else(AuthFailed::default)?;
        let digest = hex_digest(credentials.password.as_bytes());
        if credentials.username != "anonymous" && user.password() != digest.as_bytes() {
            return Err(AuthFailed::default());
        }
        user.account()
    }

    /// MD5 takes a microsecond. A true password hash takes tens of milliseconds, and a database
    /// may take longer: then say true, and logins run on worker threads, keeping nobody waiting.
    fn is_slow(&self) -> bool {
        false
    }
}

fn hex_digest(data: &[u8]) -> String {
    Md5::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    // `printf 12345 | md5sum`; a true server would read this from a file.
    users.add_user("user", "827ccb0eea8a706c4c34a16891f84e7b", ".", Perm::ALL)?;
    users.add_anonymous(".")?;

    FtpServer::builder()
        .authorizer(DummyMd5Authorizer(users))
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
