//! Which users of Windows may log in, and how: checked as a whole before anybody does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::auth::dummy::ANONYMOUS;
use crate::auth::{AuthorizerError, Limits, Password};
use crate::proto::perm::Perm;
use crate::sys::token::{self, Sid, Token};

/// Settings of a [`WindowsAuthorizer`](crate::WindowsAuthorizer), by pyftpdlib's names.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct WindowsSettings {
    pub(super) global_perm: Perm,
    allowed_users: Vec<String>,
    rejected_users: Vec<String>,
    pub(super) anonymous: Option<(String, Password)>,
    pub(super) login_message: Option<String>,
    pub(super) quit_message: Option<String>,
    pub(super) limits: Option<Limits>,
    pub(super) network_logon: bool,
    pub(super) slow_files: bool,
    overrides: BTreeMap<String, WindowsOverride>,
}

impl Default for WindowsSettings {
    fn default() -> Self {
        WindowsSettings {
            global_perm: Perm::ALL,
            allowed_users: Vec::new(),
            rejected_users: Vec::new(),
            anonymous: None,
            login_message: None,
            quit_message: None,
            limits: None,
            network_logon: false,
            slow_files: false,
            overrides: BTreeMap::new(),
        }
    }
}

impl WindowsSettings {
    /// What everybody may do but `anonymous`, as far as the system lets him. Default:
    /// [`Perm::ALL`].
    pub fn global_perm(mut self, perm: Perm) -> Self {
        self.global_perm = perm;
        self
    }

    /// Only these may log in. Default, and with no names: everybody. It excludes
    /// [`rejected_users`](Self::rejected_users).
    pub fn allowed_users(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_users = names.into_iter().map(Into::into).collect();
        self
    }

    /// These may not log in. Default: nobody. It excludes [`allowed_users`](Self::allowed_users).
    pub fn rejected_users(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rejected_users = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets `anonymous` in, with any password: as this user of the system, whose password the system
    /// needs for that, in his home, with [`Perm::READ_ONLY`]. Default: he is not let in.
    pub fn anonymous_user(
        mut self,
        system_name: impl Into<String>,
        anonymous_password: impl AsRef<[u8]>,
    ) -> Self {
        let password = Password::new(anonymous_password.as_ref());
        self.anonymous = Some((system_name.into(), password));
        self
    }

    /// Sets the text of the `230` reply to a login. Default: `Login successful.`
    pub fn msg_login(mut self, text: impl Into<String>) -> Self {
        self.login_message = Some(text.into());
        self
    }

    /// Sets the text of the `221` reply to QUIT. Default: `Goodbye.`
    pub fn msg_quit(mut self, text: impl Into<String>) -> Self {
        self.quit_message = Some(text.into());
        self
    }

    /// Sets everybody's limits. Default: none.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Asks the system for a logon over the network (`LOGON32_LOGON_NETWORK`), for which users need the
    /// right to access the machine from the network, and not that to log on locally. Such a logon does
    /// not reach further machines, say for homes on shares. Default: false.
    pub fn network_logon(mut self, network: bool) -> Self {
        self.network_logon = network;
        self
    }

    /// Says whether homes may be slow, such as on a network share
    /// ([`LocalFilesystem::slow`](crate::LocalFilesystem::slow)). Default: false.
    pub fn slow_files(mut self, slow: bool) -> Self {
        self.slow_files = slow;
        self
    }

    /// Sets what is different for one user; for `anonymous` by that name.
    pub fn override_user(mut self, name: impl Into<String>, with: WindowsOverride) -> Self {
        self.overrides.insert(name.into(), with);
        self
    }

    /// Checks all of it; gives the users whom it names.
    pub(super) fn check(&self) -> Result<People, AuthorizerError> {
        let people = self.people()?;
        if let Some((user, password)) = &self.anonymous
            && let Err(error) = Token::log_on(user, password.as_bytes(), self.network_logon)
        {
            return Err(settings(&format!(
                "the anonymous user {user:?} cannot log on with the password that is given: {error}"
            )));
        }
        Ok(people)
    }

    fn people(&self) -> Result<People, AuthorizerError> {
        if !self.allowed_users.is_empty() && !self.rejected_users.is_empty() {
            return Err(settings(
                "allowed_users and rejected_users exclude each other; give one of them",
            ));
        }
        let mut named = self.allowed_users.iter().chain(&self.rejected_users);
        if named.any(|name| name == ANONYMOUS) {
            return Err(settings(
                "\"anonymous\" is no user of the system to allow or reject; see anonymous_user",
            ));
        }
        let mut people = People {
            allowed: sids(&self.allowed_users)?,
            rejected: sids(&self.rejected_users)?,
            ..People::default()
        };
        for (name, with) in &self.overrides {
            if name == ANONYMOUS {
                if self.anonymous.is_none() {
                    return Err(settings(
                        "\"anonymous\" is overridden and needs an anonymous_user",
                    ));
                }
                people.anonymous = Some(with.clone());
                continue;
            }
            let sid = find(name)?;
            if !people.admit(&sid) {
                return Err(settings(&format!(
                    "user {name:?} is overridden and may not log in"
                )));
            }
            people.overrides.insert(sid, with.clone());
        }
        Ok(people)
    }
}

fn settings(text: &str) -> AuthorizerError {
    AuthorizerError::Settings(text.to_owned())
}

fn find(name: &str) -> Result<Sid, AuthorizerError> {
    token::user(name).ok_or_else(|| AuthorizerError::NoSuchUser(name.to_owned()))
}

fn sids(names: &[String]) -> Result<BTreeSet<Sid>, AuthorizerError> {
    names.iter().map(|name| find(name)).collect()
}

/// The users that the settings name, by who they are.
#[derive(Default)]
pub(super) struct People {
    allowed: BTreeSet<Sid>,
    rejected: BTreeSet<Sid>,
    pub(super) overrides: BTreeMap<Sid, WindowsOverride>,
    pub(super) anonymous: Option<WindowsOverride>,
}

impl People {
    /// Whether the lists let a user in.
    pub(super) fn admit(&self, sid: &Sid) -> bool {
        (self.allowed.is_empty() || self.allowed.contains(sid)) && !self.rejected.contains(sid)
    }

    /// Whether he is named among those who are allowed.
    pub(super) fn name(&self, sid: &Sid) -> bool {
        self.allowed.contains(sid)
    }
}

/// What is different for one user of a [`WindowsAuthorizer`](crate::WindowsAuthorizer); what is not set is as for all. There is
/// no password of one's own here: the system lets a server act as a user only with the user's.
///
/// ```
/// use ftpdlib::{Perm, WindowsOverride};
///
/// let guest = WindowsOverride::new().home(r"C:\guest").perm(Perm::READ_ONLY).msg_login("Hello.");
/// # drop(guest);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing by itself"]
pub struct WindowsOverride {
    pub(super) home: Option<PathBuf>,
    pub(super) perm: Option<Perm>,
    pub(super) login_message: Option<String>,
    pub(super) quit_message: Option<String>,
    pub(super) limits: Option<Limits>,
}

impl WindowsOverride {
    /// Nothing is different yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A home instead of the profile's. It is opened with the user's rights.
    pub fn home(mut self, home: impl AsRef<Path>) -> Self {
        // Absolute now, lest a later change of the current directory moves it.
        let home = home.as_ref();
        self.home = Some(std::path::absolute(home).unwrap_or_else(|_| home.to_owned()));
        self
    }

    /// What he may do, as far as the system lets him.
    pub fn perm(mut self, perm: Perm) -> Self {
        self.perm = Some(perm);
        self
    }

    /// The text of the `230` reply to his login.
    pub fn msg_login(mut self, text: impl Into<String>) -> Self {
        self.login_message = Some(text.into());
        self
    }

    /// The text of the `221` reply to his QUIT.
    pub fn msg_quit(mut self, text: impl Into<String>) -> Self {
        self.quit_message = Some(text.into());
        self
    }

    /// His limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be() {
        let refused = |settings: WindowsSettings| settings.build().unwrap_err().to_string();
        let both = WindowsSettings::default()
            .allowed_users(["a"])
            .rejected_users(["b"]);
        assert!(refused(both).contains("exclude each other"));
        let anonymous = WindowsSettings::default().allowed_users([ANONYMOUS]);
        assert!(refused(anonymous).contains("no user of the system"));
        let overridden =
            WindowsSettings::default().override_user(ANONYMOUS, WindowsOverride::new());
        assert!(refused(overridden).contains("needs an anonymous_user"));
        let unknown = WindowsSettings::default().rejected_users(["no such user at all"]);
        assert!(refused(unknown).contains("no such user"));
        let cannot = WindowsSettings::default().anonymous_user("no such user at all", "x");
        assert!(refused(cannot).contains("cannot log on"));
    }
}
