//! Commands of a library user's own that run on a worker thread, and what they have to work with.

use std::sync::Arc;

use super::cancel::Cancel;
use crate::auth::Account;
use crate::fs::FileSystem;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;

/// What such a command does with its path.
pub(crate) type Pooled = Arc<dyn Fn(&Work, &VirtualPath) -> Result<Reply, Reply> + Send + Sync>;

/// What a [pooled](crate::Command::pooled) command has to work with.
#[derive(Debug)]
pub struct Work {
    account: Account,
    cancel: Cancel,
}

impl Work {
    pub(crate) fn new(account: Account, cancel: Cancel) -> Work {
        Work { account, cancel }
    }

    /// Who asks for it.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// His files.
    pub fn filesystem(&self) -> &Arc<dyn FileSystem> {
        self.account.filesystem()
    }

    /// Whether nobody waits for it any more: ABOR, or the end of the session.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The same for `?`, between two pieces of the work.
    ///
    /// # Errors
    ///
    /// The reply `426` when it is cancelled.
    pub fn check(&self) -> Result<(), Reply> {
        match self.is_cancelled() {
            true => Err(Reply::new(426, "Aborted via ABOR.")),
            false => Ok(()),
        }
    }
}
