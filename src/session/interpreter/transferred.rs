//! What a callback is told of a file that was sent or received.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::fs::FileSystem;
use crate::proto::path::VirtualPath;
use crate::session::logging;

/// The file of a transfer, from its beginning on, and whose it is: he may be logged out by its end.
pub(crate) struct FileOf {
    pub(crate) username: Arc<str>,
    pub(crate) filesystem: Arc<dyn FileSystem>,
    pub(crate) path: VirtualPath,
}

impl FileOf {
    /// For the log. An overlay has another answer when the file has been written.
    pub(crate) fn shown(&self) -> String {
        let real = self.filesystem.real_path(&self.path);
        logging::shown(real.as_deref(), &self.path)
    }
}

/// A file that was sent or received, or was to be; or, by [`Session::transfer`](crate::Session::transfer), is.
#[derive(Clone)]
pub struct Transferred {
    pub(crate) command: &'static str,
    pub(crate) file: Arc<FileOf>,
    /// Where it is as long as it has not got its name.
    pub(crate) hidden: Option<VirtualPath>,
    /// Looked up when somebody asks.
    pub(crate) real_path: OnceLock<PathBuf>,
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
        &self.file.username
    }

    /// The files of who sent or received it, on which [`path`](Self::path) is a path.
    pub fn filesystem(&self) -> &Arc<dyn FileSystem> {
        &self.file.filesystem
    }

    /// Where the file is, on [`filesystem`](Self::filesystem): the path as the client sees it.
    ///
    /// With [atomic uploads](crate::Builder::atomic_uploads) an upload has not got its name yet when the
    /// handler is told of it, so that one which the handler refuses never has it. This is then the path
    /// of a hidden file, and [`target`](Self::target) that of the name. The hidden file goes by itself if
    /// the upload is refused, and after the reply it is not there any more in any case.
    pub fn path(&self) -> &VirtualPath {
        self.hidden.as_ref().unwrap_or(&self.file.path)
    }

    /// The path that the client named. Whatever is there is the file only when the client has its 226.
    pub fn target(&self) -> &VirtualPath {
        &self.file.path
    }

    /// [`path`](Self::path) on the disk; empty where the user's file system has no disk below. It is looked up
    /// when it is first asked for.
    pub fn real_path(&self) -> &Path {
        self.real_path.get_or_init(|| {
            let real = self.file.filesystem.real_path(self.path());
            real.unwrap_or_default()
        })
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
            .field("username", &self.username())
            .field("path", self.path())
            .field("target", self.target())
            .field("real_path", &self.real_path.get())
            .field("bytes", &self.bytes)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}
