//! Users in memory, set up by the program.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::fmt;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::account::WeakAccount;
use super::{Account, AuthFailed, Authorizer, AuthorizerError, Credentials, Limits, Password};
use crate::fs::LocalFilesystem;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::target::TARGET;

/// The user who needs no password.
pub(super) const ANONYMOUS: &str = "anonymous";

/// What the password of a user who does not exist is compared with.
const NOBODYS_PASSWORD: &[u8] = b"no such user";

/// Virtual users with a password, a home on the disk and permissions, kept in memory.
///
/// The user `anonymous` may log in with any password. Passwords are compared without telling by
/// the time it takes how much of one was right, or whether the user exists.
///
/// To change users while a server runs, give the server an `Arc<RwLock<DummyAuthorizer>>` and keep a
/// clone. A change holds from the next login on.
///
/// ```
/// use ftpdlib::{DummyAuthorizer, Perm};
///
/// let mut users = DummyAuthorizer::new();
/// users.add_user("user", "12345", ".", Perm::ALL)?.msg_login("Welcome back.");
/// users.add_anonymous(".")?;
/// assert!(users.has_user("anonymous"));
/// assert!(users.add_user("user", "other", ".", Perm::NONE).is_err());
/// # Ok::<(), ftpdlib::AuthorizerError>(())
/// ```
#[derive(Debug, Default)]
pub struct DummyAuthorizer {
    users: HashMap<String, User>,
    /// Whether a user has slow files. Forgotten where users change, and counted when it is asked for: they
    /// may be many, and it is asked for at each login.
    slow: OnceLock<bool>,
}

impl DummyAuthorizer {
    /// Without users, so that nobody may log in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user; what it gives back is for further settings.
    ///
    /// # Errors
    ///
    /// If there is a user of that name, or `home` is no directory.
    pub fn add_user(
        &mut self,
        name: impl Into<String>,
        password: impl AsRef<[u8]>,
        home: impl AsRef<Path>,
        perm: Perm,
    ) -> Result<&mut User, AuthorizerError> {
        self.slow.take();
        match self.users.entry(name.into()) {
            Entry::Occupied(known) => Err(AuthorizerError::UserExists(known.key().clone())),
            Entry::Vacant(place) => {
                let user = User::new(place.key(), password.as_ref(), home.as_ref())?;
                Ok(place.insert(user).perm(perm))
            }
        }
    }

    /// Adds the user `anonymous`, who may look and download ([`Perm::READ_ONLY`]).
    ///
    /// # Errors
    ///
    /// As [`add_user`](Self::add_user).
    pub fn add_anonymous(&mut self, home: impl AsRef<Path>) -> Result<&mut User, AuthorizerError> {
        self.add_user(ANONYMOUS, "", home, Perm::READ_ONLY)
    }

    /// Gives a user other permissions in `directory`, a directory of the disk inside his home: with
    /// all that is below it if `recursive`, else with the files in it but not with its
    /// sub-directories. See [`Account::override_perm`].
    ///
    /// # Errors
    ///
    /// If there is no such user, or `directory` is no directory, the home itself or outside of it.
    pub fn override_perm(
        &mut self,
        name: &str,
        directory: impl AsRef<Path>,
        perm: Perm,
        recursive: bool,
    ) -> Result<(), AuthorizerError> {
        let missing = || AuthorizerError::NoSuchUser(name.to_owned());
        let user = self.users.get_mut(name).ok_or_else(missing)?;
        user.override_perm(directory.as_ref(), perm, recursive)
    }

    /// Removes a user; says whether there was one. Who is logged in stays so.
    pub fn remove_user(&mut self, name: &str) -> bool {
        self.slow.take();
        self.users.remove(name).is_some()
    }

    /// Whether there is such a user.
    pub fn has_user(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }

    /// A user, for an authorizer that checks passwords in its own way.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }
}

impl Authorizer for DummyAuthorizer {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let user = self.user(&credentials.username);
        let expected = user.map_or(NOBODYS_PASSWORD, User::password);
        let same = same_secret(expected, credentials.password.as_bytes());
        match user {
            Some(user) if same || user.is_anonymous() => user.account(),
            None if credentials.username == ANONYMOUS => Err(AuthFailed::no_anonymous()),
            _ => Err(AuthFailed::default()),
        }
    }

    /// If somebody's home may be slow, for a login opens it.
    fn is_slow(&self) -> bool {
        let count = || self.users.values().any(|user| user.slow_files);
        *self.slow.get_or_init(count)
    }
}

/// Compares in a time that depends on the length of `given` alone.
pub(super) fn same_secret(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    let mut cycle = expected.iter().cycle();
    for byte in given {
        // Of an empty `expected` nothing comes, but then the lengths differ.
        difference |= black_box(byte ^ cycle.next().unwrap_or(&0));
    }
    black_box(difference) == 0
}

/// A user of a [`DummyAuthorizer`].
pub struct User {
    name: String,
    password: Password,
    home: PathBuf,
    perm: Perm,
    login_message: Option<String>,
    quit_message: Option<String>,
    overrides: Vec<(VirtualPath, Perm, bool)>,
    slow_files: bool,
    limits: Limits,
    /// What his sessions of now share, so that each costs neither a descriptor nor a copy.
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    filesystem: Weak<LocalFilesystem>,
    account: Option<WeakAccount>,
}

impl User {
    fn new(name: &str, password: &[u8], home: &Path) -> Result<User, AuthorizerError> {
        let not_a_directory = |error| AuthorizerError::NotADirectory(home.to_owned(), error);
        // Absolute now, lest a later chdir(2) moves the home; links are followed anew at each login.
        let home = std::path::absolute(home).map_err(not_a_directory)?;
        LocalFilesystem::new(&home).map_err(not_a_directory)?;
        Ok(User::at(name, password, home))
    }

    /// With a home that nobody has looked at yet, an absolute path.
    pub(super) fn at(name: &str, password: &[u8], home: PathBuf) -> User {
        User {
            name: name.to_owned(),
            password: Password::new(password),
            home,
            perm: Perm::NONE,
            login_message: None,
            quit_message: None,
            overrides: Vec::new(),
            slow_files: false,
            limits: Limits::default(),
            shared: Mutex::default(),
        }
    }

    /// Sets what the user may do. A warning is logged if that lets `anonymous` change something.
    pub fn perm(&mut self, perm: Perm) -> &mut Self {
        self.warn_of_writing(perm);
        self.perm = perm;
        self.changed()
    }

    /// Sets the text of the `230` reply to a login. Default: `Login successful.`
    pub fn msg_login(&mut self, text: impl Into<String>) -> &mut Self {
        self.login_message = Some(text.into());
        self.changed()
    }

    /// Sets the text of the `221` reply to QUIT. Default: `Goodbye.`
    pub fn msg_quit(&mut self, text: impl Into<String>) -> &mut Self {
        self.quit_message = Some(text.into());
        self.changed()
    }

    /// Says whether his home may be slow, such as on a network share
    /// ([`LocalFilesystem::slow`]). It holds from the next login with no other of his under way. As a login
    /// looks at the home, with one such user all logins are on worker threads. Default: false.
    pub fn slow_files(&mut self, slow: bool) -> &mut Self {
        self.slow_files = slow;
        self.changed()
    }

    /// Sets what he may use over all of his sessions. Default: no limit of his own.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self.changed()
    }

    /// Overrides of permissions: a directory as the user sees it, and whether they hold for all
    /// that is below it.
    pub(super) fn set_overrides(&mut self, overrides: Vec<(VirtualPath, Perm, bool)>) {
        for &(_, perm, _) in &overrides {
            self.warn_of_writing(perm);
        }
        self.overrides = overrides;
        self.changed();
    }

    /// His password, as it was given.
    pub fn password(&self) -> &[u8] {
        self.password.as_bytes()
    }

    /// The account that a login of his opens. Logins at the same time share one.
    ///
    /// # Errors
    ///
    /// If his home is gone, which is also logged as a warning.
    pub fn account(&self) -> Result<Account, AuthFailed> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let filesystem = match shared
            .filesystem
            .upgrade()
            .filter(|files| files.is_current())
        {
            Some(filesystem) => filesystem,
            None => {
                let opened = LocalFilesystem::new(&self.home).map_err(|error| {
                    let (name, home) = (&self.name, self.home.display());
                    log::warn!(
                        target: TARGET,
                        "home {home} of user {name:?} is not available: {error}"
                    );
                    AuthFailed::unavailable("Home directory not available.")
                })?;
                let filesystem = Arc::new(opened.slow(self.slow_files));
                *shared = Shared {
                    filesystem: Arc::downgrade(&filesystem),
                    account: None,
                };
                filesystem
            }
        };
        if let Some(account) = shared.account.as_ref().and_then(WeakAccount::upgrade) {
            return Ok(account);
        }
        let account = self.make_account(filesystem);
        shared.account = Some(account.downgrade());
        Ok(account)
    }

    fn make_account(&self, filesystem: Arc<LocalFilesystem>) -> Account {
        let mut account = Account::new(&self.name, filesystem)
            .perm(self.perm)
            .limits(self.limits);
        if let Some(text) = &self.login_message {
            account = account.msg_login(text);
        }
        if let Some(text) = &self.quit_message {
            account = account.msg_quit(text);
        }
        for (directory, perm, recursive) in &self.overrides {
            account = account.override_perm(directory.clone(), *perm, *recursive);
        }
        account
    }

    fn override_perm(
        &mut self,
        directory: &Path,
        perm: Perm,
        recursive: bool,
    ) -> Result<(), AuthorizerError> {
        let not_a_directory = |path: &Path| {
            let path = path.to_owned();
            |error| AuthorizerError::NotADirectory(path, error)
        };
        let found = LocalFilesystem::new(directory).map_err(not_a_directory(directory))?;
        let home = LocalFilesystem::new(&self.home).map_err(not_a_directory(&self.home))?;
        let outside = || AuthorizerError::OverrideOutsideHome(directory.to_owned());
        let inside = found
            .home()
            .strip_prefix(home.home())
            .map_err(|_| outside())?;
        let path = inside
            .iter()
            .fold(VirtualPath::root(), |path, name| path.child(bytes(name)));
        if path.is_root() {
            return Err(AuthorizerError::OverrideOfHome(directory.to_owned()));
        }
        self.warn_of_writing(perm);
        self.overrides.push((path, perm, recursive));
        self.changed();
        Ok(())
    }

    fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    fn warn_of_writing(&self, perm: Perm) {
        if self.is_anonymous() && perm.intersects(Perm::WRITE_ALL) {
            log::warn!(
                target: TARGET,
                "the anonymous user is allowed to change files (permissions {perm})"
            );
        }
    }

    /// The next login makes a new account.
    fn changed(&mut self) -> &mut Self {
        self.shared
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .account = None;
        self
    }
}

#[cfg(unix)]
fn bytes(name: &OsStr) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(name)
}

#[cfg(not(unix))]
fn bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("home", &self.home)
            .field("perm", &self.perm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
