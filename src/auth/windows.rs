//! The users of Windows: they log in with the system's passwords and touch their files with the rights
//! that the system gives them.

mod settings;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use settings::{WindowsOverride, WindowsSettings};

use super::dummy::ANONYMOUS;
use super::{Account, AuthFailed, Authorizer, AuthorizerError, Credentials, Identity};
use crate::fs::LocalFilesystem;
use crate::sys::token::{self, Token};
use crate::target::TARGET;

/// The built-in Administrator, and the Guest as whom a system may let in anybody, by the last part of
/// their identifiers.
const BUILT_IN: [u32; 2] = [500, 501];

/// The users of Windows, with their passwords, homes and rights.
///
/// A login is checked by the system itself (`LogonUserW`), on a worker thread: the password, and
/// whether the account is disabled, locked or expired, or its password is. The client is told
/// `Authentication failed.` in any case; the log says more. How long it takes is the system's
/// business. Users are who they are, however they are written (`ann`, `OFFICE\ann`, `ann@office`, any
/// case): settings for a user hold for all of it. The built-in accounts Administrator and Guest are
/// refused unless [`allowed_users`](WindowsSettings::allowed_users) names them, and so is whoever has no
/// password.
///
/// Every account has the user's [`Identity`]: his uploads are his, and he reads what he could read at
/// the machine. He sees the directory of his profile as `/`, or [another home](WindowsOverride::home).
/// Who has never been at this machine has no profile, and needs one.
///
/// By default users need the right to log on locally, as with pyftpdlib; see
/// [`network_logon`](WindowsSettings::network_logon).
///
/// ```no_run
/// use ftpdlib::{FtpServer, Perm, WindowsAuthorizer, WindowsOverride};
///
/// let users = WindowsAuthorizer::builder()
///     .rejected_users(["backup"])
///     .override_user("guest", WindowsOverride::new().perm(Perm::READ_ONLY))
///     .build()?;
/// FtpServer::builder().authorizer(users).bind("0.0.0.0:21")?.serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WindowsAuthorizer {
    settings: WindowsSettings,
    /// Those of the settings, by who they are.
    people: settings::People,
}

impl WindowsAuthorizer {
    /// With the defaults: everybody with a password may log in and do everything in his home that the
    /// system lets him.
    ///
    /// # Errors
    ///
    /// As [`WindowsSettings::build`].
    pub fn new() -> Result<Self, AuthorizerError> {
        Self::builder().build()
    }

    /// With settings.
    pub fn builder() -> WindowsSettings {
        WindowsSettings::default()
    }

    /// The user, if the password is his and nothing keeps him out; else what does, for the log.
    fn check(&self, name: &str, password: &[u8]) -> Result<Token, String> {
        // The system may let in who has none.
        if password.is_empty() {
            return Err("no password was given".to_owned());
        }
        let token = Token::log_on(name, password, self.settings.network_logon)
            .map_err(|error| error.to_string())?;
        // A system may let anybody in as somebody else.
        if token::user(name).as_ref() != Some(token.sid()) {
            return Err("the system logged another user on".to_owned());
        }
        if !self.people.admit(token.sid()) {
            return Err("the settings do not let this user in".to_owned());
        }
        let built_in = token
            .sid()
            .relative()
            .is_some_and(|id| BUILT_IN.contains(&id));
        if built_in && !self.people.name(token.sid()) {
            return Err("a built-in account must be named in allowed_users".to_owned());
        }
        Ok(token)
    }

    fn open(&self, name: &str, token: Token) -> Result<Account, AuthFailed> {
        let not_available = |error: std::io::Error| {
            log::warn!(target: TARGET, "home of user {name:?} is not available: {error}");
            AuthFailed::unavailable("Home directory not available.")
        };
        let settings = match name {
            ANONYMOUS => self.people.anonymous.as_ref(),
            _ => self.people.overrides.get(token.sid()),
        };
        let settings = settings.cloned().unwrap_or_default();
        let home = match settings.home.clone() {
            Some(home) => home,
            None => token.profile().map_err(not_available)?,
        };
        // By one name, however it was written: limits count by it.
        let called = match name {
            ANONYMOUS => None,
            _ => token.sid().name(),
        };
        let called = called.unwrap_or_else(|| name.to_owned());
        let identity = Identity::of_token(token);
        let files = self.files(&identity, &home).map_err(not_available)?;
        let account = Account::new(called, Arc::new(files)).identity(identity);
        Ok(self.settings.applied(name, settings, account))
    }

    fn files(&self, identity: &Identity, home: &Path) -> std::io::Result<LocalFilesystem> {
        let home = identity.run(|| LocalFilesystem::new(home))??;
        Ok(home.slow(self.settings.slow_files))
    }
}

impl WindowsSettings {
    /// The authorizer.
    ///
    /// # Errors
    ///
    /// [`AuthorizerError::Settings`] if both lists of users are given, one has `anonymous` in it, a user
    /// who is overridden is not to log in, or the anonymous user cannot log on;
    /// [`AuthorizerError::NoSuchUser`] of names that the system does not know.
    pub fn build(self) -> Result<WindowsAuthorizer, AuthorizerError> {
        self.check_lists()?;
        Ok(WindowsAuthorizer {
            people: self.check()?,
            settings: self,
        })
    }
}

impl Authorizer for WindowsAuthorizer {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let name = &*credentials.username;
        if name == ANONYMOUS {
            let (user, password) = self
                .settings
                .anonymous
                .as_ref()
                .ok_or_else(AuthFailed::no_anonymous)?;
            let token = Token::log_on(user, password.as_bytes(), self.settings.network_logon);
            let token = token.map_err(|error| {
                log::error!(target: TARGET, "the anonymous user {user:?} cannot log on: {error}");
                AuthFailed::no_anonymous()
            })?;
            return self.open(name, token);
        }
        let token = self
            .check(name, credentials.password.as_bytes())
            .map_err(|why| {
                log::info!(target: TARGET, "login of system user {name:?} refused: {why}");
                AuthFailed::default()
            })?;
        self.open(name, token)
    }

    /// A domain is asked over the network.
    fn is_slow(&self) -> bool {
        true
    }
}

impl fmt::Debug for WindowsAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowsAuthorizer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
