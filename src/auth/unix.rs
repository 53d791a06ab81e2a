//! The users of the system: they log in with the system's passwords and touch their files with the
//! rights that the system gives them.

mod settings;
mod verify;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use settings::{UnixOverride, UnixSettings};

use super::dummy::{ANONYMOUS, same_secret};
use super::{Account, AuthFailed, Authorizer, AuthorizerError, Credentials, Identity};
use crate::fs::{FileSystem, LocalFilesystem, UnixFilesystem};
use crate::proto::escape::Escaped;
use crate::sys::accounts::{self, Passwd, Shadow};
use crate::target::TARGET;

/// The users of the system, with their passwords, homes and rights.
///
/// A login is checked as the system's own login programs check it: the password against the hash in
/// `shadow(5)` (or where else the system's name service has it) by the system's `crypt(3)`, on a
/// worker thread. Locked and expired accounts are refused, and so are expired passwords, accounts
/// without a password, users without a [valid shell](UnixSettings::require_valid_shell), everybody
/// but root while `/etc/nologin` or `/run/nologin` is there, and root
/// himself unless [`allowed_users`](UnixSettings::allowed_users) names him. The client is told
/// `Authentication failed.` in any case, after the same time; the log says more. A name must be
/// written as the system writes it, also where its name service takes `BOB` for `bob`.
///
/// Every account has the user's [`Identity`]: his uploads are his, and he reads what he could read
/// in a shell. He sees his home as `/`, or [the whole tree](UnixSettings::whole_tree).
///
/// The server must run as root, or on Linux have the capabilities `CAP_SETUID`, `CAP_SETGID` and one
/// that lets it read `/etc/shadow`. What else root may do is best [given up](crate::drop_privileges)
/// when the server has its port. On Linux with glibc the shared library `libcrypt` is needed, which
/// is there wherever users log in with passwords (Debian: `libcrypt1`, Fedora: `libxcrypt`).
/// Passwords that only PAM can check, such as those of a directory service that gives out no hashes,
/// need an authorizer of one's own.
///
/// ```no_run
/// use ftpdlib::{FtpServer, Perm, UnixAuthorizer, UnixOverride};
///
/// let users = UnixAuthorizer::builder()
///     .rejected_users(["backup"])
///     .anonymous_user("ftp")
///     .override_user("guest", UnixOverride::new().perm(Perm::READ_ONLY))
///     .build()?;
/// FtpServer::builder().authorizer(users).bind("0.0.0.0:21")?.serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixAuthorizer {
    settings: UnixSettings,
    /// Where users see all of the machine.
    tree: Option<UnixFilesystem>,
    /// The hash by which the passwords of those who have none are hashed.
    decoy: Vec<u8>,
}

impl UnixAuthorizer {
    /// With the defaults: everybody with a password and a shell may log in, see his home and do
    /// everything in it that the system lets him.
    ///
    /// # Errors
    ///
    /// As [`UnixSettings::build`].
    pub fn new() -> Result<Self, AuthorizerError> {
        Self::builder().build()
    }

    /// With settings.
    pub fn builder() -> UnixSettings {
        UnixSettings::default()
    }

    /// The user, if the password is his and nothing keeps him out.
    fn check(&self, name: &str, password: &[u8]) -> Result<Passwd, Refusal> {
        let (user, shadow, fault) = match find(name) {
            Ok((user, shadow)) => (user, shadow, None),
            Err(error) => (None, None, Some(error)),
        };
        let hash = user
            .as_ref()
            .and_then(|user| verify::hash_of(user, shadow.as_ref()));
        // Always, so that a login takes as long whoever it is.
        let system_s = verify::is_password(password, hash, &self.decoy);
        let other = self
            .settings
            .overrides
            .get(name)
            .and_then(|user| user.password.as_ref());
        let right = match other {
            Some(other) => same_secret(other.as_bytes(), password),
            None => system_s,
        };
        if let Some(error) = fault {
            return Err(Refusal::NoTelling(error));
        }
        let user = user.filter(|_| right).ok_or(Refusal::Wrong)?;
        if !self.settings.admits(name) {
            return Err(Refusal::KeptOut("the settings do not let this user in"));
        }
        if user.uid == 0 && !self.settings.allowed_users.contains(name) {
            return Err(Refusal::KeptOut("root must be named in allowed_users"));
        }
        let age =
            shadow.and_then(|shadow| verify::expired(&shadow, other.is_none(), verify::today()));
        if let Some(why) = age {
            return Err(Refusal::KeptOut(why));
        }
        if self.settings.require_valid_shell && !verify::has_valid_shell(&user.shell) {
            return Err(Refusal::KeptOut("the user has no valid shell"));
        }
        let closed = ["/etc/nologin", "/run/nologin"];
        if user.uid != 0 && closed.iter().any(|file| Path::new(file).exists()) {
            return Err(Refusal::KeptOut("the system lets nobody log in (nologin)"));
        }
        Ok(user)
    }

    /// The account of a login by `name` as the user `system_name`.
    fn open(&self, name: &str, system_name: &str, user: &Passwd) -> Result<Account, AuthFailed> {
        let identity = Identity::new(user.uid, user.gid, accounts::groups(system_name, user.gid));
        let settings = self.settings.of(name);
        let home = settings.home.as_deref().unwrap_or(&user.home);
        let files = self.files(&identity, home).map_err(|error| {
            log::warn!(
                target: TARGET,
                "home {} of user {name:?} is not available: {error}",
                home.display()
            );
            AuthFailed::unavailable("Home directory not available.")
        })?;
        let account = Account::new(name, files).identity(identity);
        Ok(self.settings.applied(name, settings, account))
    }

    /// His home, or all of the machine with his home to begin in, opened with his rights.
    fn files(&self, identity: &Identity, home: &Path) -> std::io::Result<Arc<dyn FileSystem>> {
        let slow = self.settings.slow_files;
        let Some(tree) = &self.tree else {
            let home = identity.run(|| LocalFilesystem::new(home))??;
            return Ok(Arc::new(home.slow(slow)));
        };
        let tree = tree.of(home)?;
        let start = tree.start_directory();
        let there = identity.run(|| tree.metadata(&start))?;
        if there.as_ref().is_ok_and(|found| found.is_dir()) {
            return Ok(Arc::new(tree));
        }
        // As a login on a terminal does.
        log::warn!(
            target: TARGET,
            "home {} cannot be entered; its user begins in /",
            home.display()
        );
        Ok(Arc::new(tree.of(Path::new("/"))?))
    }
}

impl UnixSettings {
    /// Checks all of it, and that the process has the rights that it takes.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError::Settings`] if both lists of users are given, one has `anonymous` in it, or
    /// a user who is named is not to log in or has no valid shell; [`AuthorizerError::NoSuchUser`] of
    /// names that the system does not know; [`AuthorizerError::NotADirectory`] of the home of
    /// `anonymous`; [`AuthorizerError::Privileges`] if the process is not root, or `libcrypt` is
    /// missing.
    pub fn build(self) -> Result<UnixAuthorizer, AuthorizerError> {
        self.check_lists()?;
        let shadow = self.check()?;
        let not_a_directory = |error| AuthorizerError::NotADirectory(PathBuf::from("/"), error);
        let tree = match self.whole_tree {
            true => Some(
                UnixFilesystem::new("/")
                    .map_err(not_a_directory)?
                    .slow(self.slow_files),
            ),
            false => None,
        };
        Ok(UnixAuthorizer {
            tree,
            decoy: verify::decoy(&shadow),
            settings: self,
        })
    }
}

/// Why somebody is not let in.
enum Refusal {
    /// No such user, or not his password.
    Wrong,
    /// The password is right, but something else is not.
    KeptOut(&'static str),
    /// The system does not say who he is.
    NoTelling(io::Error),
}

impl Refusal {
    /// What the client is told: the same in any case. The log is told the rest.
    fn told(self, name: &str) -> AuthFailed {
        let failed = AuthFailed::default();
        match self {
            Refusal::Wrong => failed,
            Refusal::KeptOut(why) => {
                log::info!(target: TARGET, "login of system user {name:?} refused: {why}");
                failed
            }
            Refusal::NoTelling(error) => {
                log::error!(
                    target: TARGET,
                    "the system's users cannot be asked for {name:?}: {error}"
                );
                AuthFailed::unavailable(failed.to_string())
            }
        }
    }
}

/// The user of exactly that name, and his hash where that is kept apart.
fn find(name: &str) -> io::Result<(Option<Passwd>, Option<Shadow>)> {
    let user = accounts::passwd(name)?.filter(|user| is_called(user, name));
    let shadow = match &user {
        Some(_) => accounts::shadow(name)?,
        None => None,
    };
    Ok((user, shadow))
}

/// Whether a user that was found by a name has exactly that one. A name service may find `bob` for
/// `BOB`, whom no rejection, override or limit of `bob` would hold for.
fn is_called(user: &Passwd, name: &str) -> bool {
    let called = user.name == name.as_bytes();
    if !called {
        let own = Escaped(&user.name);
        log::info!(target: TARGET, "login as {name:?} refused: the system calls this user '{own}'");
    }
    called
}

impl Authorizer for UnixAuthorizer {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let name = &*credentials.username;
        if name == ANONYMOUS {
            let system_name = self
                .settings
                .anonymous_user
                .as_ref()
                .ok_or_else(AuthFailed::no_anonymous)?;
            let user = accounts::passwd(system_name)
                .map_err(|error| Refusal::NoTelling(error).told(name))?
                .ok_or_else(AuthFailed::no_anonymous)?;
            return self.open(name, system_name, &user);
        }
        let user = self
            .check(name, credentials.password.as_bytes())
            .map_err(|refusal| refusal.told(name))?;
        self.open(name, name, &user)
    }

    /// Password hashes take long.
    fn is_slow(&self) -> bool {
        true
    }
}

impl fmt::Debug for UnixAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixAuthorizer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_service_that_is_down_is_nobodys_guess() {
        let down = Refusal::NoTelling(io::ErrorKind::TimedOut.into()).told("bob");
        assert!(!down.is_guess());
        // He cannot tell one from the other.
        let wrong = Refusal::Wrong.told("bob");
        assert!(wrong.is_guess());
        assert_eq!(down.to_string(), wrong.to_string());
    }

    #[test]
    fn a_user_logs_in_by_the_name_that_the_system_has() {
        let bob = Passwd {
            name: b"bob".to_vec(),
            uid: 1000,
            gid: 1000,
            home: "/home/bob".into(),
            shell: Vec::new(),
            hash: Vec::new(),
        };
        assert!(is_called(&bob, "bob"));
        for other in ["BOB", "Bob", "bob@example.org", "bob ", ""] {
            assert!(!is_called(&bob, other), "{other:?}");
        }
    }
}
