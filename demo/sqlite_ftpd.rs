//! Users in an SQLite database, with password hashes.
//!
//! An authorizer of one's own that asks a database. It says that it is slow, so each login runs on a
//! worker thread: neither the database nor the password hash holds up another client.
//!
//! ```sh
//! cargo run --example sqlite_ftpd    # makes users.sqlite, with the user "user"
//! curl -u user:12345 ftp://127.0.0.1:2121/
//! sqlite3 users.sqlite "UPDATE users SET perm = 'elr' WHERE name = 'user'"    # from the next login on
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, FtpServer, LocalFilesystem, PasswordHash,
};
use rusqlite::{Connection, OptionalExtension};

struct SqliteAuthorizer {
    /// Held for a query, and not while a password is hashed.
    database: Mutex<Connection>,
    /// What the password of an unknown user is checked against, so that the time of an answer does
    /// not tell who exists.
    nobody: PasswordHash,
}

/// A row of the database.
struct User {
    hash: String,
    home: String,
    perm: String,
}

impl SqliteAuthorizer {
    fn open(file: &Path) -> Result<Self, Box<dyn Error>> {
        let database = Connection::open(file)?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS users (
                name TEXT PRIMARY KEY,
                hash TEXT NOT NULL,
                home TEXT NOT NULL,
                perm TEXT NOT NULL
            ) STRICT",
        )?;
        let count: u32 = database.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
        if count == 0 {
            let hash = PasswordHash::new(b"12345")?.to_string();
            let sql = "INSERT INTO users VALUES ('user', ?1, '.', 'elradfmwMT')";
            database.execute(sql, [hash])?;
        }
        Ok(SqliteAuthorizer {
            database: Mutex::new(database),
            nobody: PasswordHash::nobody(),
        })
    }

    fn find(&self, name: &str) -> rusqlite::Result<Option<User>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let mut query = database.prepare("SELECT hash, home, perm FROM users WHERE name = ?1")?;
        let user = query.query_row([name], |row| {
            Ok(User {
                hash: row.get(0)?,
                home: row.get(1)?,
                perm: row.get(2)?,
            })
        });
        user.optional()
    }
}

/// For the client no more than that it is not his fault; for the log what it is.
fn unavailable(what: &str, error: &dyn Error) -> AuthFailed {
    log::error!("{what}: {error}");
    AuthFailed::unavailable("Login is not possible now.")
}

impl Authorizer for SqliteAuthorizer {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let name = &credentials.username;
        let password = credentials.password.as_bytes();
        let user = self
            .find(name)
            .map_err(|error| unavailable("users", &error))?;
        let Some(user) = user else {
            self.nobody.verify(password);
            return Err(AuthFailed::default());
        };
        let hash: PasswordHash = user
            .hash
            .parse()
            .map_err(|error| unavailable(name, &error))?;
        if !hash.verify(password) {
            return Err(AuthFailed::default());
        }
        let perm = user
            .perm
            .parse()
            .map_err(|error| unavailable(name, &error))?;
        let files = LocalFilesystem::new(user.home).map_err(|error| unavailable(name, &error))?;
        Ok(Account::new(name, Arc::new(files)).perm(perm))
    }

    fn is_slow(&self) -> bool {
        true
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let users = SqliteAuthorizer::open(Path::new("users.sqlite"))?;
    FtpServer::builder()
        .authorizer(users)
        .bind("0.0.0.0:2121")?
        .serve_forever()?;
    Ok(())
}
