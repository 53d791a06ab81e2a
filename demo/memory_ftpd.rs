//! A server that touches no disk: what is uploaded is in memory, and gone when the server stops.
//!
//! All users share it. It has a limit for all files together (then an upload ends with 452) and one
//! for each file (552).
//!
//! ```sh
//! cargo run --example memory_ftpd
//! curl ftp://127.0.0.1:2121/pub/welcome.txt
//! curl -u user:12345 -T README.md --ftp-create-dirs ftp://127.0.0.1:2121/new/readme
//! curl -u user:12345 ftp://127.0.0.1:2121/new/
//! head -c 2000000 /dev/zero | curl -u user:12345 -T - ftp://127.0.0.1:2121/big    # 552
//! ```

use std::sync::Arc;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, FtpServer, MemoryFilesystem, Perm, ReadOnly,
};

struct Everybody {
    files: MemoryFilesystem,
}

impl Authorizer for Everybody {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = self.files.clone(); // another handle to the same files
        match (&*credentials.username, credentials.password.as_bytes()) {
            ("anonymous", _) => Ok(Account::new("anonymous", Arc::new(ReadOnly::new(files)))),
            ("user", b"12345") => Ok(Account::new("user", Arc::new(files)).perm(Perm::ALL)),
            _ => Err(AuthFailed::default()),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let files = MemoryFilesystem::new()
        .max_size(64 << 20)
        .max_file_size(1 << 20)
        .max_entries(10_000);
    files.write("/pub/welcome.txt", "Welcome. Nothing here lasts.\r\n")?;

    FtpServer::builder()
        .authorizer(Everybody { files })
        .bind("0.0.0.0:2121")?
        .serve_forever()?;
    Ok(())
}
