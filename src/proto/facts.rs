//! The facts of a file, as listings and replies need them; where they come from is `fs`'s matter.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
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
    /// A regular file, readable and writable by its owner and readable by everybody, to be told
    /// the rest: all fields are public.
    ///
    /// ```
    /// let mut meta = ftpdlib::Metadata::file(1024, 1_700_000_000);
    /// meta.mode = 0o100_600;
    /// assert!(meta.is_file());
    /// ```
    pub fn file(size: u64, modified: i64) -> Metadata {
        Metadata {
            kind: FileKind::File,
            size,
            modified,
            created: None,
            mode: 0o100_644,
            links: 1,
            uid: 0,
            gid: 0,
            unique: None,
        }
    }

    /// A directory that everybody may list.
    pub fn directory(modified: i64) -> Metadata {
        Metadata {
            kind: FileKind::Directory,
            mode: 0o040_755,
            ..Metadata::file(0, modified)
        }
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}
