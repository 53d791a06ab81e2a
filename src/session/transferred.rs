//! What a callback is told of a file that was sent or received.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::proto::path::VirtualPath;

/// A file that was sent or received, or was to be.
#[derive(Debug, Clone)]
pub struct Transferred {
    pub(crate) command: &'static str,
    pub(crate) username: String,
    pub(crate) path: VirtualPath,
    pub(crate) real_path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

impl Transferred {
    /// RETR, STOR, APPE or STOU.
    pub fn command(&self) -> &str {
        self.command
    }

    /// Who sent or received it. A transfer goes on when its user logs out, so this need not be the
    /// session's user by now.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The path as the client sees it.
    pub fn path(&self) -> &VirtualPath {
        &self.path
    }

    /// The path on the disk; empty where the user's file system has no disk below.
    pub fn real_path(&self) -> &Path {
        &self.real_path
    }

    /// Bytes that went over the data connection.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long the data connection took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// [`elapsed`](Self::elapsed) in seconds.
    pub fn seconds(&self) -> f64 {
        self.elapsed.as_secs_f64()
    }
}
