//! Which users of Windows may log in, and how: checked as a whole before anybody does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::auth::dummy::ANONYMOUS;
use crate::auth::{AuthorizerError, Limits, Password};
use crate::proto::perm::Perm;
use crate::sys::token::{self, Sid, Token};

/// Settings of a [`WindowsAuthorizer`](crate::WindowsAuthorizer), by pyftpdlib's names.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct WindowsSettings {
    pub(crate) global_perm: Perm,
    pub(crate) allowed_users: Vec<String>,
    pub(crate) rejected_users: Vec<String>,
    pub(crate) anonymous: Option<(String, Password)>,
    pub(crate) login_message: Option<String>,
    pub(crate) quit_message: Option<String>,
    pub(crate) limits: Option<Limits>,
    pub(crate) network_logon: bool,
    pub(crate) slow_files: bool,
    pub(crate) overrides: BTreeMap<String, WindowsOverride>,
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

    /// Asks the system for a logon over the network (`LOGON32_LOGON_NETWORK`), for which users need the
    /// right to access the machine from the network, and not that to log on locally. Such a logon does
    /// not reach further machines, say for homes on shares. Default: false.
    pub fn network_logon(mut self, network: bool) -> Self {
        self.network_logon = network;
        self
    }

    /// Checks all of it; gives the users whom it names.
    pub(super) fn check(&self) -> Result<People, AuthorizerError> {
        let people = self.people()?;
        if let Some((user, password)) = &self.anonymous
            && let Err(error) = Token::log_on(user, password.as_bytes(), self.network_logon)
        {
            return Err(AuthorizerError::settings(&format!(
                "the anonymous user {user:?} cannot log on with the password that is given: {error}"
            )));
        }
        Ok(people)
    }

    fn people(&self) -> Result<People, AuthorizerError> {
        let mut people = People {
            allowed: sids(&self.allowed_users)?,
            rejected: sids(&self.rejected_users)?,
            ..People::default()
        };
        for (name, with) in &self.overrides {
            if name == ANONYMOUS {
                if self.anonymous.is_none() {
                    return Err(AuthorizerError::settings(
                        "\"anonymous\" is overridden and needs an anonymous_user",
                    ));
                }
                people.anonymous = Some(with.clone());
                continue;
            }
            let sid = find(name)?;
            if !people.admit(&sid) {
                return Err(AuthorizerError::settings(&format!(
                    "user {name:?} is overridden and may not log in"
                )));
            }
            people.overrides.insert(sid, with.clone());
        }
        Ok(people)
    }
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
    pub(crate) home: Option<PathBuf>,
    pub(crate) perm: Option<Perm>,
    pub(crate) login_message: Option<String>,
    pub(crate) quit_message: Option<String>,
    pub(crate) limits: Option<Limits>,
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
