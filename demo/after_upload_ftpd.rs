//! Blocking work after each upload.
//!
//! A thread copies the file to a backup. The client who sent it sleeps meanwhile: his 226 comes when
//! the backup is there, and says so when it is not. Everybody else is served as ever.
//!
//! ```sh
//! cargo run --example after_upload_ftpd
//! curl -u user:12345 -T README.md ftp://127.0.0.1:2121/copy    # ends after three seconds
//! ls copy*
//! ```

use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

use ftpdlib::{DummyAuthorizer, FtpServer, Handler, Perm, Reply, Session, Transferred};

struct Backup;

impl Handler for Backup {
    fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
        let channel = session.del_channel();
        let path = file.real_path().to_owned();
        // Never more than one thread per client: he cannot send the next file before this ends.
        thread::spawn(move || {
            match back_up(&path) {
                Ok(bytes) => {
                    log::info!("{}: {bytes} bytes backed up", path.display());
                    channel.add_channel(); // or just drop it
                }
                Err(error) => {
                    log::error!("{}: no backup: {error}", path.display());
                    channel.answer(Reply::new(
                        226,
                        "Transfer complete, but there is no backup.",
                    ));
                }
            }
        });
    }
}

/// May take as long as it likes.
fn back_up(path: &Path) -> io::Result<u64> {
    thread::sleep(Duration::from_secs(3)); // so that you can see who waits and who does not
    let mut backup = path.as_os_str().to_owned();
    backup.push(".bak");
    fs::copy(path, backup)
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;
    users.add_anonymous(".")?;

    FtpServer::builder()
        .authorizer(users)
        .handler(|_peer| Backup)
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
