//! What a callback is told of a file that was sent or received.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::fs::FileSystem;
use crate::proto::path::VirtualPath;

/// A file that was sent or received, or was to be.
#[derive(Clone)]
pub struct Transferred {
    pub(crate) command: &'static str,
    pub(crate) username: String,
    pub(crate) filesystem: Arc<dyn FileSystem>,
    pub(crate) path: VirtualPath,
    pub(crate) target: VirtualPath,
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

    /// The files of who sent or received it, on which [`path`](Self::path) is a path.
    pub fn filesystem(&self) -> &Arc<dyn FileSystem> {
        &self.filesystem
    }

    /// Where the file is, on [`filesystem`](Self::filesystem): the path as the client sees it.
    ///
    /// With [atomic uploads](crate::Builder::atomic_uploads) an upload has not got its name yet when the
    /// handler is told of it, so that one which the handler refuses never has it. This is then the path
    /// of a hidden file, and [`target`](Self::target) that of the name. The hidden file goes by itself if
    /// the upload is refused, and after the reply it is not there any more in any case.
    pub fn path(&self) -> &VirtualPath {
        &self.path
    }

    /// The path that the client named. Whatever is there is the file only when the client has its 226.
    pub fn target(&self) -> &VirtualPath {
        &self.target
    }

    /// [`path`](Self::path) on the disk; empty where the user's file system has no disk below.
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

impl fmt::Debug for Transferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transferred")
            .field("command", &self.command)
            .field("username", &self.username)
            .field("path", &self.path)
            .field("target", &self.target)
            .field("real_path", &self.real_path)
            .field("bytes", &self.bytes)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}
