//! The facts of a file, as listings and replies need them; where they come from is `fs`'s matter.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file: the only kind that is sent or received.
    File,
    /// A directory.
    Directory,
    /// A symbolic link (only where links are not followed).
    Symlink,
    /// A device, FIFO or socket: listed, but never opened.
    Other,
}

/// The facts of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Last modification, in seconds since 1970-01-01 00:00 UTC (negative before).
    pub modified: i64,
    /// Creation ("birth") in the same seconds, where the system keeps it.
    pub created: Option<i64>,
    /// The mode as `stat(2)` gives it, type bits included.
    pub mode: u32,
    /// Number of hard links; 1 where the system does not count them.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// (device, inode) or any other pair that tells this file from every other of the tree.
    pub unique: Option<(u64, u64)>,
}

impl Metadata {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}
