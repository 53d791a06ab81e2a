//! The settings of a system's users that are the same on UNIX and on Windows: what all may do, who is let
//! in, and what is different for one of them.

use std::path::Path;

use super::dummy::ANONYMOUS;
#[cfg(unix)]
use super::unix::{UnixOverride as Override, UnixSettings as Settings};
#[cfg(windows)]
use super::windows::{WindowsOverride as Override, WindowsSettings as Settings};
use super::{Account, AuthorizerError, Limits};
use crate::proto::perm::Perm;

impl Settings {
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

    /// Says whether homes may be slow, such as on a network share
    /// ([`LocalFilesystem::slow`](crate::LocalFilesystem::slow)). Default: false.
    pub fn slow_files(mut self, slow: bool) -> Self {
        self.slow_files = slow;
        self
    }

    /// Gives one user, who may be `anonymous`, other settings than all have. The last for a user
    /// holds.
    pub fn override_user(mut self, name: impl Into<String>, settings: Override) -> Self {
        self.overrides.insert(name.into(), settings);
        self
    }

    /// Whether the lists of users can be.
    pub(super) fn check_lists(&self) -> Result<(), AuthorizerError> {
        if !self.allowed_users.is_empty() && !self.rejected_users.is_empty() {
            return Err(AuthorizerError::settings(
                "allowed_users and rejected_users exclude each other; give one of them",
            ));
        }
        let mut named = self.allowed_users.iter().chain(&self.rejected_users);
        match named.any(|name| name == ANONYMOUS) {
            true => Err(AuthorizerError::settings(
                "\"anonymous\" is no user of the system to allow or reject; see anonymous_user",
            )),
            false => Ok(()),
        }
    }

    /// The account of a login by `name`, with what is set for him alone, or else for all.
    pub(super) fn applied(&self, name: &str, own: Override, account: Account) -> Account {
        let default = match name {
            ANONYMOUS => Perm::READ_ONLY,
            _ => self.global_perm,
        };
        let mut account = account.perm(own.perm.unwrap_or(default));
        if let Some(text) = own.login_message.or_else(|| self.login_message.clone()) {
            account = account.msg_login(text);
        }
        if let Some(text) = own.quit_message.or_else(|| self.quit_message.clone()) {
            account = account.msg_quit(text);
        }
        match own.limits.or(self.limits) {
            Some(limits) => account.limits(limits),
            None => account,
        }
    }
}

impl Override {
    /// Nothing is different yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A home instead of the system's, or his profile's. It is opened with the user's rights.
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
