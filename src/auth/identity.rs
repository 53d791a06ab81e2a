//! Whose rights a user's files are touched with, where that is not the server's own business.

mod files;

use std::fmt;
use std::io;
use std::sync::Arc;

pub(super) use files::FilesAs;

use crate::sys::accounts;
use crate::sys::identity::{self, Ids};

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
/// ```no_run
/// use std::sync::Arc;
/// use ftpdlib::{Account, Identity, LocalFilesystem, Perm};
///
/// let ann = Identity::of_user("ann").ok_or("no such user")?;
/// let home = ann.run(|| LocalFilesystem::new("/home/ann"))??;
/// let account = Account::new("ann", Arc::new(home)).perm(Perm::ALL).identity(ann);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Ids>);

impl Identity {
    /// The ids as they are given; `groups` are the supplementary ones.
    pub fn new(uid: u32, gid: u32, groups: impl IntoIterator<Item = u32>) -> Self {
        // He is in `gid` anyway; who is in no other group has none to be set.
        let mut groups: Vec<u32> = groups.into_iter().filter(|&group| group != gid).collect();
        // As the system keeps them.
        groups.sort_unstable();
        groups.dedup();
        Identity(Arc::new(Ids { uid, gid, groups }))
    }

    /// The ids of a user of the system, with all the groups that he is in; `None` if there is no
    /// such user. It may ask a directory service.
    pub fn of_user(name: &str) -> Option<Self> {
        let user = accounts::passwd(name)?;
        let groups = accounts::groups(name, user.gid);
        Some(Identity::new(user.uid, user.gid, groups))
    }

    /// User id.
    pub fn uid(&self) -> u32 {
        self.0.uid
    }

    /// Group id.
    pub fn gid(&self) -> u32 {
        self.0.gid
    }

    /// Supplementary groups, in order and without [`gid`](Self::gid).
    pub fn groups(&self) -> &[u32] {
        &self.0.groups
    }

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
        let assumed = identity::assume(&self.0).map_err(|error| {
            let uid = self.0.uid;
            log::error!("cannot act as user id {uid}: {error}; that takes root's privileges");
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

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("uid", &self.0.uid)
            .field("gid", &self.0.gid)
            .field("groups", &self.0.groups)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_in_order_and_there_once() {
        let identity = Identity::new(7, 8, [30, 8, 20, 30]);
        assert_eq!((identity.uid(), identity.gid()), (7, 8));
        assert_eq!(identity.groups(), [20, 30]);
        assert_eq!(identity, Identity::new(7, 8, [20, 30, 8]));
    }

    #[test]
    fn users_are_the_systems() {
        let root = Identity::of_user("root").unwrap();
        assert_eq!((root.uid(), root.gid()), (0, 0));
        assert!(Identity::of_user("no such user").is_none());
    }
}
