//! What a login opens: whose it is, what he may do where, and his files.

use std::fmt;
use std::sync::{Arc, Weak};

use super::Limits;
#[cfg(any(unix, windows))]
use super::identity::{FilesAs, Identity};
use crate::fs::FileSystem;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::sys::name::same;

/// What a user may do, and the files he does it to.
///
/// Made by an [`Authorizer`](super::Authorizer). A clone shares everything with its original: a
/// session costs one pointer.
///
/// ```
/// use std::sync::Arc;
/// use ftpdlib::{Account, Grant, LocalFilesystem, Perm};
///
/// let files = Arc::new(LocalFilesystem::new(".")?);
/// let account = Account::new("user", files)
///     .perm(Perm::ALL)
///     .msg_login("Welcome.")
///     .override_perm("/archive".parse()?, Perm::READ_ONLY, true);
/// assert_eq!(account.has_perm(Perm::WRITE, &"/new".parse()?), Grant::Yes);
/// assert_eq!(account.has_perm(Perm::WRITE, &"/archive/2025".parse()?), Grant::No);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Account(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    username: String,
    filesystem: Arc<dyn FileSystem>,
    perm: Perm,
    overrides: Vec<Override>,
    login_message: String,
    quit_message: String,
    limits: Limits,
    /// The identity, and the files without it.
    #[cfg(any(unix, windows))]
    identity: Option<(Identity, Arc<dyn FileSystem>)>,
}

#[derive(Clone)]
struct Override {
    directory: VirtualPath,
    perm: Perm,
    recursive: bool,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It depends on what the path leads to: allowed if and only if (it is a directory) equals
    /// `on_directory`. What does not exist is no directory.
    Depends {
        /// Whether it is allowed on a directory, and not on anything else; or the other way round.
        on_directory: bool,
    },
}

impl Account {
    /// An account of `username` with the permissions [`Perm::READ_ONLY`].
    pub fn new(username: impl Into<String>, filesystem: Arc<dyn FileSystem>) -> Self {
        Account(Arc::new(Inner {
            username: username.into(),
            filesystem,
            perm: Perm::READ_ONLY,
            overrides: Vec::new(),
            login_message: "Login successful.".to_owned(),
            quit_message: "Goodbye.".to_owned(),
            limits: Limits::default(),
            #[cfg(any(unix, windows))]
            identity: None,
        }))
    }

    /// Sets what the user may do where no override says otherwise.
    pub fn perm(mut self, perm: Perm) -> Self {
        self.inner().perm = perm;
        self
    }

    /// Sets the text of the `230` reply to a login. Default: `Login successful.`
    pub fn msg_login(mut self, text: impl Into<String>) -> Self {
        self.inner().login_message = text.into();
        self
    }

    /// Sets the text of the `221` reply to QUIT. Default: `Goodbye.`
    pub fn msg_quit(mut self, text: impl Into<String>) -> Self {
        self.inner().quit_message = text.into();
        self
    }

    /// Sets what the user may use over all of his sessions. Default: no limit of his own.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.inner().limits = limits;
        self
    }

    /// Sets other permissions for `directory`: with all that is below it if `recursive`, else with
    /// the files in it but not with its sub-directories.
    ///
    /// Where several apply, the one that was set first does; setting one anew keeps its place.
    /// It goes by the path as the client names it: a symbolic link elsewhere in the tree that leads
    /// into `directory` has the permissions of the place where the link is.
    pub fn override_perm(mut self, directory: VirtualPath, perm: Perm, recursive: bool) -> Self {
        let overrides = &mut self.inner().overrides;
        match overrides
            .iter_mut()
            .find(|known| known.directory == directory)
        {
            Some(known) => (known.perm, known.recursive) = (perm, recursive),
            None => overrides.push(Override {
                directory,
                perm,
                recursive,
            }),
        }
        self
    }

    /// Has his files touched with the rights of that user of the system, whatever they are: every
    /// call on his file system, and on what it opens, is made with the identity assumed. Default:
    /// with those of the server's process, which costs nothing.
    ///
    /// A file system that is opened with [`Identity::run`] has been opened with these rights too.
    #[cfg(any(unix, windows))]
    pub fn identity(mut self, identity: Identity) -> Self {
        let inner = self.inner();
        let files = match inner.identity.take() {
            Some((_, files)) => files,
            None => Arc::clone(&inner.filesystem),
        };
        inner.filesystem = Arc::new(FilesAs {
            identity: identity.clone(),
            files: Arc::clone(&files),
        });
        inner.identity = Some((identity, files));
        self
    }

    /// As whom his files are touched, if not as the server's process.
    #[cfg(any(unix, windows))]
    pub fn assumed_identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref().map(|(identity, _)| identity)
    }

    /// The user's name.
    pub fn username(&self) -> &str {
        &self.0.username
    }

    /// What he may do where no override says otherwise.
    pub fn perms(&self) -> Perm {
        self.0.perm
    }

    /// The text of the `230` reply to the login.
    pub fn login_message(&self) -> &str {
        &self.0.login_message
    }

    /// The text of the `221` reply to QUIT.
    pub fn quit_message(&self) -> &str {
        &self.0.quit_message
    }

    /// What he may use over all of his sessions.
    pub(crate) fn his_limits(&self) -> Limits {
        self.0.limits
    }

    /// The same account with other files, which stand for his.
    pub(crate) fn with_filesystem(mut self, filesystem: Arc<dyn FileSystem>) -> Self {
        self.inner().filesystem = filesystem;
        self
    }

    /// His files.
    pub fn filesystem(&self) -> &Arc<dyn FileSystem> {
        &self.0.filesystem
    }

    /// Whether he has all of `perm` on `path`.
    pub fn has_perm(&self, perm: Perm, path: &VirtualPath) -> Grant {
        let mut on_file = None;
        for rule in &self.0.overrides {
            let allowed = rule.perm.contains(perm);
            match rule.covers(path) {
                Covers::All => return grant(on_file.unwrap_or(allowed), allowed),
                // The first one decides; of a directory the next ones are still asked.
                Covers::UnlessDirectory => on_file = on_file.or(Some(allowed)),
                Covers::Nothing => {}
            }
        }
        let allowed = self.0.perm.contains(perm);
        grant(on_file.unwrap_or(allowed), allowed)
    }

    /// All that he may do on `path`, given what it is.
    pub fn perms_on(&self, path: &VirtualPath, is_directory: bool) -> Perm {
        let mut covering = self
            .0
            .overrides
            .iter()
            .filter(|rule| match rule.covers(path) {
                Covers::All => true,
                Covers::UnlessDirectory => !is_directory,
                Covers::Nothing => false,
            });
        covering.next().map_or(self.0.perm, |rule| rule.perm)
    }

    /// All that he may do, where that is the same on every path.
    pub(crate) fn perms_everywhere(&self) -> Option<Perm> {
        self.0.overrides.is_empty().then_some(self.0.perm)
    }

    /// Whether an override holds for something below `path`: renaming that would shed it.
    pub(crate) fn has_override_below(&self, path: &VirtualPath) -> bool {
        let overrides = self.0.overrides.iter();
        overrides
            .map(|rule| &rule.directory)
            .any(|directory| is_below(directory, path) && !is_below(path, directory))
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// A reference that keeps nothing alive.
    pub(super) fn downgrade(&self) -> WeakAccount {
        WeakAccount(Arc::downgrade(&self.0))
    }
}

fn grant(on_file: bool, on_directory: bool) -> Grant {
    match (on_file, on_directory) {
        (true, true) => Grant::Yes,
        (false, false) => Grant::No,
        (_, on_directory) => Grant::Depends { on_directory },
    }
}

/// Whether `path` is `base` or below it, whichever of its spellings the system would take for it.
fn is_below(path: &VirtualPath, base: &VirtualPath) -> bool {
    let mut names = path.components();
    base.components()
        .all(|name| names.next().is_some_and(|other| same(name, other)))
}

/// What an override has to say about a path.
enum Covers {
    All,
    UnlessDirectory,
    Nothing,
}

impl Override {
    fn covers(&self, path: &VirtualPath) -> Covers {
        if !is_below(path, &self.directory) {
            return Covers::Nothing;
        }
        let depth = path.components().count() - self.directory.components().count();
        match depth {
            _ if self.recursive => Covers::All,
            0 => Covers::All,
            1 => Covers::UnlessDirectory,
            _ => Covers::Nothing,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.0.username)
            .field("perm", &self.0.perm)
            .finish_non_exhaustive()
    }
}

/// An account that is there as long as somebody uses it.
pub(super) struct WeakAccount(Weak<Inner>);

impl WeakAccount {
    pub(super) fn upgrade(&self) -> Option<Account> {
        self.0.upgrade().map(Account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::LocalFilesystem;

    const FILE_ONLY: Grant = Grant::Depends {
        on_directory: false,
    };
    const DIRECTORY_ONLY: Grant = Grant::Depends { on_directory: true };

    fn account() -> Account {
        Account::new("user", Arc::new(LocalFilesystem::new(".").unwrap()))
    }

    fn path(text: &str) -> VirtualPath {
        text.parse().unwrap()
    }

    #[track_caller]
    fn expect(account: &Account, perm: Perm, cases: &[(&str, Grant)]) {
        for &(name, grant) in cases {
            assert_eq!(account.has_perm(perm, &path(name)), grant, "{name}");
        }
    }

    /// Where the system takes names in any case for the same file, no spelling gets around an override.
    #[test]
    fn an_override_holds_for_every_spelling_of_its_directory() {
        let account =
            account()
                .perm(Perm::ALL)
                .override_perm(path("/Archive"), Perm::READ_ONLY, true);
        let other = if cfg!(windows) { Grant::No } else { Grant::Yes };
        let cases = [
            ("/Archive/x", Grant::No),
            ("/aRCHIVE", other),
            ("/archive/x", other),
            ("/archive2", Grant::Yes),
            ("/", Grant::Yes),
        ];
        expect(&account, Perm::WRITE, &cases);
        assert!(account.has_override_below(&path("/")));
        assert!(!account.has_override_below(&path("/archive")));
    }

    #[test]
    fn permissions_on_a_path_and_overrides_below_it() {
        let path = |text: &str| text.parse::<VirtualPath>().unwrap();
        let account =
            account()
                .perm(Perm::ALL)
                .override_perm(path("/pub/secret"), Perm::NONE, false);
        assert_eq!(account.perms_on(&path("/pub/secret"), true), Perm::NONE);
        assert_eq!(account.perms_on(&path("/pub/secret/x"), false), Perm::NONE);
        assert_eq!(account.perms_on(&path("/pub/secret/x"), true), Perm::ALL);
        assert!(account.has_override_below(&path("/pub")));
        assert!(account.has_override_below(&path("/")));
        assert!(!account.has_override_below(&path("/pub/secret")));
        assert!(!account.has_override_below(&path("/publicity")));
    }

    #[test]
    fn without_overrides_the_permissions_hold_everywhere() {
        let account = account();
        assert_eq!(account.perms(), Perm::READ_ONLY);
        expect(
            &account,
            Perm::READ,
            &[("/", Grant::Yes), ("/a/b", Grant::Yes)],
        );
        expect(
            &account,
            Perm::WRITE,
            &[("/", Grant::No), ("/a/b", Grant::No)],
        );
        expect(&account, Perm::READ | Perm::WRITE, &[("/a", Grant::No)]);
    }

    #[test]
    fn a_recursive_override_covers_the_sub_tree_and_nothing_else() {
        let account = account().override_perm(path("/in"), Perm::WRITE, true);
        let yes = ["/in", "/in/a", "/in/a/b/c"].map(|name| (name, Grant::Yes));
        let no = ["/", "/i", "/inn", "/out/in"].map(|name| (name, Grant::No));
        expect(&account, Perm::WRITE, &yes);
        expect(&account, Perm::WRITE, &no);
        expect(
            &account,
            Perm::READ,
            &[("/in/a", Grant::No), ("/inn", Grant::Yes)],
        );
    }

    #[test]
    fn another_override_covers_the_directory_and_its_files() {
        let account = account().override_perm(path("/in"), Perm::WRITE, false);
        let cases = [
            ("/in", Grant::Yes),
            ("/in/a", FILE_ONLY),
            ("/in/a/b", Grant::No),
        ];
        expect(&account, Perm::WRITE, &cases);
        let cases = [
            ("/in", Grant::No),
            ("/in/a", DIRECTORY_ONLY),
            ("/in/a/b", Grant::Yes),
        ];
        expect(&account, Perm::READ, &cases);
        let both = account
            .perm(Perm::ALL)
            .override_perm(path("/in"), Perm::ALL, false);
        expect(&both, Perm::READ, &[("/in/a", Grant::Yes)]);
    }

    #[test]
    fn the_first_that_applies_decides() {
        let account = account()
            .override_perm(path("/a"), Perm::NONE, false)
            .override_perm(path("/a"), Perm::WRITE, false)
            .override_perm(path("/a/b"), Perm::NONE, false)
            .override_perm(path("/"), Perm::ALL, true)
            .override_perm(path("/a/b/c"), Perm::NONE, true);
        expect(
            &account,
            Perm::WRITE,
            &[("/a", Grant::Yes), ("/a/x", Grant::Yes)],
        );
        // The file by the first override, a directory by the third.
        expect(&account, Perm::WRITE, &[("/a/b", FILE_ONLY)]);
        expect(
            &account,
            Perm::READ,
            &[("/a/x", DIRECTORY_ONLY), ("/a/b", Grant::No)],
        );
        expect(
            &account,
            Perm::READ,
            &[("/a/b/c", DIRECTORY_ONLY), ("/a/b/c/d", Grant::Yes)],
        );
    }

    #[test]
    fn a_clone_is_a_pointer_until_it_is_changed() {
        let account = account();
        let same = account.clone();
        assert!(Arc::ptr_eq(&account.0, &same.0));
        assert_eq!(size_of::<Account>(), size_of::<usize>());
        let other = same.perm(Perm::ALL).msg_login("Hi.").msg_quit("Bye.");
        assert_eq!(
            (account.perms(), other.perms()),
            (Perm::READ_ONLY, Perm::ALL)
        );
        assert_eq!(
            (account.login_message(), other.login_message()),
            ("Login successful.", "Hi.")
        );
        assert_eq!(
            (account.quit_message(), other.quit_message()),
            ("Goodbye.", "Bye.")
        );
        assert_eq!(other.username(), "user");
    }
}
