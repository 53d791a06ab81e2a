//! Which users of the system may log in, and how: checked as a whole before anybody does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{fs, io};

use super::verify;
use crate::auth::dummy::ANONYMOUS;
use crate::auth::{AuthorizerError, Limits, Password};
use crate::proto::perm::Perm;
use crate::sys::accounts::{self, Passwd};
use crate::sys::{crypt, identity};

/// Settings of a [`UnixAuthorizer`](crate::UnixAuthorizer), by pyftpdlib's names.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct UnixSettings {
    pub(crate) global_perm: Perm,
    pub(crate) allowed_users: BTreeSet<String>,
    pub(crate) rejected_users: BTreeSet<String>,
    pub(crate) require_valid_shell: bool,
    pub(crate) anonymous_user: Option<String>,
    pub(crate) login_message: Option<String>,
    pub(crate) quit_message: Option<String>,
    pub(crate) limits: Option<Limits>,
    pub(crate) whole_tree: bool,
    pub(crate) slow_files: bool,
    pub(crate) overrides: BTreeMap<String, UnixOverride>,
}

impl Default for UnixSettings {
    fn default() -> Self {
        UnixSettings {
            global_perm: Perm::ALL,
            allowed_users: BTreeSet::new(),
            rejected_users: BTreeSet::new(),
            require_valid_shell: true,
            anonymous_user: None,
            login_message: None,
            quit_message: None,
            limits: None,
            whole_tree: false,
            slow_files: false,
            overrides: BTreeMap::new(),
        }
    }
}

impl UnixSettings {
    /// Refuses users whose login shell is not in `/etc/shells`; where that file is missing, those
    /// whose shell is `nologin` or `false`. It does not hold for `anonymous`. Default: true.
    pub fn require_valid_shell(mut self, require: bool) -> Self {
        self.require_valid_shell = require;
        self
    }

    /// Lets `anonymous` in, with any password: as this user of the system, in his home, with
    /// [`Perm::READ_ONLY`]. Default: he is not let in.
    pub fn anonymous_user(mut self, system_name: impl Into<String>) -> Self {
        self.anonymous_user = Some(system_name.into());
        self
    }

    /// Shows users the whole tree of the machine ([`UnixFilesystem`](crate::UnixFilesystem)): a login lands in the home and
    /// may leave it. One whose home cannot be entered begins in `/`. Default: false, a user's `/` is
    /// his home and nothing outside of it can be reached.
    pub fn whole_tree(mut self, whole: bool) -> Self {
        self.whole_tree = whole;
        self
    }

    /// Checks all of it, and that the process has the rights that it takes; gives what `/etc/shadow` has.
    pub(super) fn check(&self) -> Result<Vec<u8>, AuthorizerError> {
        self.check_names()?;
        let shadow = privileged()?;
        self.check_users()?;
        Ok(shadow)
    }

    /// What can be told without asking the system.
    fn check_names(&self) -> Result<(), AuthorizerError> {
        for (name, with) in &self.overrides {
            if name != ANONYMOUS && !self.admits(name) {
                return Err(AuthorizerError::settings(&format!(
                    "user {name:?} is overridden and may not log in"
                )));
            }
            if name == ANONYMOUS && with.password.is_some() {
                return Err(AuthorizerError::settings(
                    "\"anonymous\" cannot have a password",
                ));
            }
            if name == ANONYMOUS && self.anonymous_user.is_none() {
                return Err(AuthorizerError::settings(
                    "\"anonymous\" is overridden and needs an anonymous_user",
                ));
            }
        }
        Ok(())
    }

    fn check_users(&self) -> Result<(), AuthorizerError> {
        let anonymous = self.anonymous_user.iter();
        let overridden = self.overrides.keys().filter(|&name| name != ANONYMOUS);
        let named = self.allowed_users.iter().chain(&self.rejected_users);
        for name in named.chain(overridden.clone()).chain(anonymous) {
            if user(name)?.is_none() {
                return Err(AuthorizerError::NoSuchUser(name.clone()));
            }
        }
        if self.require_valid_shell {
            for name in self.allowed_users.iter().chain(overridden) {
                let shell = user(name)?.map(|user| user.shell);
                if !shell.is_some_and(|shell| verify::has_valid_shell(&shell)) {
                    return Err(AuthorizerError::settings(&format!(
                        "user {name:?} has no shell of /etc/shells and could not log in; give him \
                         one, or do not require a valid shell"
                    )));
                }
            }
        }
        let anonymous = self.anonymous_user.as_deref().map(user).transpose()?;
        if let Some(user) = anonymous.flatten() {
            if user.uid == 0 {
                return Err(AuthorizerError::settings(
                    "the anonymous user cannot be root",
                ));
            }
            let home = self.of(ANONYMOUS).home.unwrap_or(user.home);
            let found = fs::metadata(&home);
            let verdict = found.and_then(|found| match found.is_dir() {
                true => Ok(()),
                false => Err(io::ErrorKind::NotADirectory.into()),
            });
            verdict.map_err(|error| AuthorizerError::NotADirectory(home, error))?;
        }
        Ok(())
    }

    /// Whether the lists let a user in.
    pub(super) fn admits(&self, name: &str) -> bool {
        (self.allowed_users.is_empty() || self.allowed_users.contains(name))
            && !self.rejected_users.contains(name)
    }

    /// What is set for that user alone.
    pub(super) fn of(&self, name: &str) -> UnixOverride {
        self.overrides.get(name).cloned().unwrap_or_default()
    }
}

/// The user of exactly that name: whoever writes it otherwise would name nobody who can log in.
fn user(name: &str) -> Result<Option<Passwd>, AuthorizerError> {
    let found = accounts::passwd(name).map_err(|error| {
        AuthorizerError::settings(&format!(
            "the system's users cannot be asked for {name:?}: {error}"
        ))
    })?;
    Ok(found.filter(|user| user.name == name.as_bytes()))
}

const SHADOW: &str = "/etc/shadow";

/// Whether the process may read hashes and act as others; gives what `/etc/shadow` has.
fn privileged() -> Result<Vec<u8>, AuthorizerError> {
    let refused = |why: &str| {
        let text = format!("users of the system need root's privileges: run it as root ({why})");
        AuthorizerError::Privileges(text)
    };
    if !identity::may_assume() {
        return Err(refused("it may not act as other users"));
    }
    if !crypt::is_available() {
        let text = "passwords of the system need the library libcrypt: install it (Debian: \
                    libcrypt1, Fedora: libxcrypt)";
        return Err(AuthorizerError::Privileges(text.to_owned()));
    }
    match fs::read(SHADOW) {
        // Some systems keep them elsewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| refused(&format!("{SHADOW}: {error}"))),
    }
}

/// What is different for one user of a [`UnixAuthorizer`](crate::UnixAuthorizer); what is not set is as for all.
///
/// ```
/// use ftpdlib::{Perm, UnixOverride};
///
/// let guest = UnixOverride::new().home("/srv/guest").perm(Perm::READ_ONLY).msg_login("Hello.");
/// # drop(guest);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing by itself"]
pub struct UnixOverride {
    pub(crate) password: Option<Password>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) perm: Option<Perm>,
    pub(crate) login_message: Option<String>,
    pub(crate) quit_message: Option<String>,
    pub(crate) limits: Option<Limits>,
}

impl UnixOverride {
    /// A password instead of the system's, for FTP alone. The user may then have none of the
    /// system's or a locked one; an account that has expired is refused all the same.
    pub fn password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.password = Some(Password::new(password.as_ref()));
        self
    }
}
