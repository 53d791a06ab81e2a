//! Whose rights a user's files are touched with, where that is not the server's own business.

mod files;
#[cfg(unix)]
mod unix;

#[cfg(windows)]
use std::fmt;
use std::io;
use std::sync::Arc;

pub(super) use files::FilesAs;

#[cfg(unix)]
use crate::sys::identity::{Ids as Who, assume};
#[cfg(windows)]
use crate::sys::token::{Token as Who, assume};
use crate::target::TARGET;

/// A user of the system as whom an [`Account`](super::Account)'s files are touched: user id, group
/// id and supplementary groups.
///
/// On Linux it is assumed by the thread that does a file operation, for as long as that takes, and
/// by no other: clients of different users can be served by one thread and by several. It covers
/// what files are subject to: whose they become, which may be read, written, listed, changed and
/// removed, disk quotas and the blocks that are kept for root. Supplementary groups are the user's,
/// and root's are given up, as are root's capabilities. The rest of the process's identity stays: by
/// signals, `ptrace(2)` and the like the user can do nothing to it.
///
/// On other UNIX systems the whole process assumes it, one user at a time (`seteuid(2)`): use it
/// there where one thread serves all clients, or processes do.
///
/// The process must be allowed to change its user ids: it runs as root, or, on Linux, has the
/// capabilities `CAP_SETUID` and `CAP_SETGID`.
///
/// On Windows it is made by a login of `WindowsAuthorizer` and assumed by
/// the thread alone, too.
///
/// ```no_run
/// # #[cfg(unix)] {
/// use std::sync::Arc;
/// use ftpdlib::{Account, Identity, LocalFilesystem, Perm};
///
/// let ann = Identity::of_user("ann").ok_or("no such user")?;
/// let home = ann.run(|| LocalFilesystem::new("/home/ann"))??;
/// let account = Account::new("ann", Arc::new(home)).perm(Perm::ALL).identity(ann);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Who>);

impl Identity {
    /// Does `work` on this thread with the identity assumed; after it, and if it panics, the thread
    /// is who it was. Threads that it starts would keep the identity: let it start none.
    ///
    /// The process is aborted, with a line in the log, if the thread cannot become who it was: it
    /// would serve others with the wrong rights.
    ///
    /// # Errors
    ///
    /// When the process may not assume it; `work` is not done then.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let assumed = assume(&self.0).map_err(|error| {
            log::error!(
                target: TARGET,
                "cannot act as {self:?}: {error}; the process lacks the privilege"
            );
            // The client learns no more than that it was refused.
            io::Error::from(io::ErrorKind::PermissionDenied)
        })?;
        let done = work();
        drop(assumed);
        Ok(done)
    }

    /// As [`run`](Self::run), for work that may fail by itself.
    fn try_run<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.run(work)?
    }
}

#[cfg(windows)]
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(self.0.sid()).finish()
    }
}

#[cfg(windows)]
impl Identity {
    pub(super) fn of_token(token: Who) -> Self {
        Identity(Arc::new(token))
    }
}
