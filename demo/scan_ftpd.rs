//! Uploads that are scanned before they are accepted.
//!
//! The scan runs on a worker thread. The client who sent the file waits for its verdict: 226, or a
//! 550 and the file is removed. Everybody else is served as ever.
//!
//! ```sh
//! cargo run --example scan_ftpd
//! curl -u user:12345 -T README.md ftp://127.0.0.1:2121/copy       # 226
//! printf 'a virus, say' > virus.txt
//! curl -u user:12345 -T virus.txt ftp://127.0.0.1:2121/infected    # 550; ls infected
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use ftpdlib::{DummyAuthorizer, FtpServer, Handler, Perm, Reply, Session, Transferred};

#[derive(Default)]
struct Scanner {
    refused: u32,
}

impl Handler for Scanner {
    fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
        let file = file.clone();
        // What must be done in any case belongs here: it runs to its end, whatever becomes of the
        // client and the server.
        let work = move || -> io::Result<bool> {
            let clean = is_clean(File::open(file.real_path())?)?;
            if !clean {
                file.filesystem().remove_file(file.path())?;
            }
            Ok(clean)
        };
        // Back on the loop, with this handler and its session.
        session.offload(work, |this: &mut Self, session, clean| match clean {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                this.refused += 1;
                session.log(
                    log::Level::Warn,
                    &format!("{} refused so far", this.refused),
                );
                session.answer(Reply::new(550, "Infected; removed."));
            }
            Ok(Err(error)) => session.answer(error.into()),
            Err(error) => {
                session.log(log::Level::Error, &format!("scanner: {error}"));
                session.answer(Reply::new(451, "The file could not be scanned."));
            }
        });
    }
}

/// Stands for a real scanner.
fn is_clean(file: File) -> io::Result<bool> {
    for line in BufReader::new(file).split(b'\n') {
        if line?.windows(7).any(|word| word == b"a virus") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;

    FtpServer::builder()
        .authorizer(users)
        .handler(|_peer| Scanner::default())
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
