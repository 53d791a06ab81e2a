//! Users in a file, with hashes of their passwords.

mod lines;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use self::lines::{ANONYMOUS, Line, Secret};
use super::{Account, AuthFailed, Authorizer, AuthorizerError, Credentials, PasswordHash, User};
use crate::target::TARGET;

/// A file longer than this is no user file: some 200,000 users fit in.
const MAX_FILE: u64 = 64 << 20;

/// Users of a text file, one a line, with password hashes (`docs/users.md` describes it):
///
/// ```text
/// # name     password hash (ftpdlib --hash-password)  home            permissions  settings
/// alice      $argon2id$v=19$m=19456,t=2,p=1$...       /srv/alice      elradfmwMT
/// "bob b."   $6$...                                   "/srv/b's, too" elr          max_cons=2 write_limit=1M
/// carol      $y$j9T$...                               /srv/carol      elr          tree:/in=elw
/// anonymous  ""                                       /srv/pub        elr
/// ```
///
/// The hashes are those of [`PasswordHash`]. They are checked on worker threads, as they take time
/// and memory by design. An unknown name costs as much time as one in the file.
///
/// The file is read as a whole or not at all: [`reload`](Authorizer::reload), which a server calls
/// on SIGHUP, keeps the users that there were when a line of it is bad. Who is logged in stays so,
/// with the permissions that he came with. The homes need not be there yet; a login whose home is
/// not is refused.
///
/// ```no_run
/// use ftpdlib::{FileAuthorizer, FtpServer};
///
/// let users = FileAuthorizer::new("/etc/ftpdlib/users")?;
/// FtpServer::builder().authorizer(users).bind("0.0.0.0:2121")?.serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileAuthorizer {
    file: PathBuf,
    users: RwLock<Arc<Users>>,
    /// Held through a reload: of two at a time the one that read first would else win if it is slow.
    reloading: Mutex<()>,
    /// Which user's hash an unknown name costs; nobody outside can tell.
    decoys: RandomState,
}

/// What one version of the file has.
#[derive(Debug)]
struct Users {
    by_name: HashMap<String, Entry>,
    /// One for each user who has a hash, and one if nobody has.
    hashes: Vec<Arc<PasswordHash>>,
}

#[derive(Debug)]
struct Entry {
    user: User,
    lock: Lock,
}

#[derive(Debug)]
enum Lock {
    Hash(Arc<PasswordHash>),
    Open,
    Shut,
}

impl FileAuthorizer {
    /// Reads a user file. A warning is logged when others than its owner and group may read it, and
    /// for each home that is not there.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError::UserFile`] when it cannot be read, [`AuthorizerError::BadLines`] for lines
    /// that are no users.
    pub fn new(file: impl AsRef<Path>) -> Result<FileAuthorizer, AuthorizerError> {
        // Absolute now, lest a later chdir(2) leads a reload elsewhere.
        let file = file.as_ref();
        let unreadable = |error| AuthorizerError::UserFile(file.to_owned(), error);
        let file = std::path::absolute(file).map_err(unreadable)?;
        let users = RwLock::new(Arc::new(Users::load(&file)?));
        Ok(FileAuthorizer {
            file,
            users,
            reloading: Mutex::new(()),
            decoys: RandomState::new(),
        })
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users().by_name.len()
    }

    /// Whether there is such a user.
    pub fn has_user(&self, name: &str) -> bool {
        self.users().by_name.contains_key(name)
    }

    fn users(&self) -> Arc<Users> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&users)
    }

    /// Takes the time that a check of somebody's password takes: always the same one's for a name.
    fn waste_time(&self, users: &Users, credentials: &Credentials) {
        let number = self.decoys.hash_one(&credentials.username) as usize;
        if let Some(hash) = users.hashes.get(number % users.hashes.len().max(1)) {
            std::hint::black_box(hash.verify(credentials.password.as_bytes()));
        }
    }
}

impl Authorizer for FileAuthorizer {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let users = self.users();
        let entry = users.by_name.get(&credentials.username);
        match entry.map(|entry| (&entry.lock, &entry.user)) {
            Some((Lock::Open, user)) => user.account(),
            Some((Lock::Hash(hash), user)) if hash.verify(credentials.password.as_bytes()) => {
                user.account()
            }
            Some((Lock::Hash(_), _)) => Err(AuthFailed::default()),
            Some((Lock::Shut, _)) | None => {
                self.waste_time(&users, credentials);
                match credentials.username.as_str() {
                    ANONYMOUS => Err(AuthFailed::no_anonymous()),
                    _ => Err(AuthFailed::default()),
                }
            }
        }
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn is_reloadable(&self) -> bool {
        true
    }

    /// Reads the file again.
    ///
    /// # Errors
    ///
    /// As [`FileAuthorizer::new`]; then the users are what they were.
    fn reload(&self) -> Result<(), AuthorizerError> {
        let _one_at_a_time = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = Arc::new(Users::load(&self.file)?);
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        *users = fresh;
        Ok(())
    }
}

impl Users {
    fn load(path: &Path) -> Result<Users, AuthorizerError> {
        let content =
            read(path).map_err(|error| AuthorizerError::UserFile(path.to_owned(), error))?;
        let lines = lines::parse(&content).map_err(|faults| AuthorizerError::BadLines {
            file: path.to_owned(),
            faults: faults
                .into_iter()
                .map(|fault| (fault.number, fault.what))
                .collect(),
        })?;
        let mut users = Users {
            by_name: HashMap::with_capacity(lines.len()),
            hashes: Vec::new(),
        };
        for line in lines {
            if let Err(error) = std::fs::read_dir(&line.home) {
                let (file, number, home) = (path.display(), line.number, line.home.display());
                log::warn!(
                    target: TARGET,
                    "{file}:{number}: home {home} is not available: {error}"
                );
            }
            users.add(line);
        }
        if users.hashes.is_empty() {
            users.hashes.push(Arc::new(PasswordHash::nobody()));
        }
        Ok(users)
    }

    fn add(&mut self, line: Line) {
        let lock = match line.secret {
            Secret::Any => Lock::Open,
            Secret::Locked => Lock::Shut,
            Secret::Hash(hash) => {
                let hash = Arc::new(hash);
                self.hashes.push(Arc::clone(&hash));
                Lock::Hash(hash)
            }
        };
        let settings = line.settings;
        let mut user = User::at(&line.name, &[], line.home);
        user.perm(line.perm).limits(settings.limits);
        user.set_overrides(settings.overrides);
        if let Some(text) = settings.msg_login {
            user.msg_login(text);
        }
        if let Some(text) = settings.msg_quit {
            user.msg_quit(text);
        }
        user.slow_files(settings.slow_files.unwrap_or(false));
        self.by_name.insert(line.name, Entry { user, lock });
    }
}

/// The whole file, with a warning if everybody may read it: a hash can be guessed at in peace.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = file.metadata()?.mode();
        if mode & 0o007 != 0 {
            let (path, mode) = (path.display(), mode & 0o777);
            log::warn!(
                target: TARGET,
                "user file {path} is open to every user of this machine (mode {mode:04o}); \
                 it should be 0640 or less"
            );
        }
    }
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        let what = format!("longer than {} MiB, which is no user file", MAX_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(content)
}

// Their homes are written as on UNIX.
#[cfg(all(test, unix))]
mod tests;

#[cfg(all(test, windows))]
mod windows_tests {
    use super::lines::parse;

    #[test]
    fn homes_on_drives_and_shares_need_no_quotes() {
        let of = |home: &str| parse(format!("ann ! {home} elr").as_bytes());
        for (written, home) in [
            (r"C:\ftp\ann", r"C:\ftp\ann"),
            (r"\\host\share", r"\\host\share"),
            (r#""C:\\my ftp""#, r"C:\my ftp"),
        ] {
            let lines = of(written).unwrap();
            assert_eq!(lines[0].home.as_os_str(), home, "{written}");
        }
        for relative in [r"ftp\ann", r"\ftp", "C:ftp"] {
            assert!(of(relative).is_err(), "{relative}");
        }
    }
}
