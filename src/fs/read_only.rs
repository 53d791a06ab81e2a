//! Any file system without the ways to change it.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::{Directory, File, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

/// Another file system, of which nothing can be changed: whoever tries reads `550 Read-only file
/// system`, whatever his permissions are.
///
/// What is read is passed through as it is, descriptors for `sendfile(2)` too.
///
/// ```
/// use ftpdlib::{FileSystem, LocalFilesystem, OpenMode, ReadOnly};
///
/// let files = ReadOnly::new(LocalFilesystem::new(".")?);
/// let path = "/Cargo.toml".parse()?;
/// assert!(files.open(&path, OpenMode::Read).is_ok());
/// assert!(files.open(&path, OpenMode::Append).is_err());
/// assert!(files.remove_file(&path).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReadOnly<F>(F);

impl<F: FileSystem> ReadOnly<F> {
    /// `files` to read. Also an `Arc<dyn FileSystem>`, such as that of an account, is a file system.
    pub fn new(files: F) -> Self {
        ReadOnly(files)
    }

    /// The file system below, which can be changed.
    pub fn inner(&self) -> &F {
        &self.0
    }
}

fn refused<T>() -> io::Result<T> {
    Err(ErrorKind::ReadOnlyFilesystem.into())
}

impl<F: FileSystem> FileSystem for ReadOnly<F> {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.0.metadata(path)
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.0.symlink_metadata(path)
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        match mode {
            OpenMode::Read => self.0.open(path, mode),
            _ => refused(),
        }
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        self.0.read_dir(path)
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.0.enter_dir(path)
    }

    fn create_dir(&self, _path: &VirtualPath) -> io::Result<()> {
        refused()
    }

    fn remove_dir(&self, _path: &VirtualPath) -> io::Result<()> {
        refused()
    }

    fn remove_file(&self, _path: &VirtualPath) -> io::Result<()> {
        refused()
    }

    fn rename(&self, _from: &VirtualPath, _to: &VirtualPath) -> io::Result<()> {
        refused()
    }

    fn rename_new(&self, _from: &VirtualPath, _to: &VirtualPath) -> io::Result<()> {
        refused()
    }

    /// So an upload is refused before its data connection is there.
    fn check_room(&self, _: &VirtualPath, _: OpenMode, _: Option<u64>) -> io::Result<()> {
        refused()
    }

    fn set_mode(&self, _path: &VirtualPath, _mode: u32) -> io::Result<()> {
        refused()
    }

    fn set_modified(&self, _path: &VirtualPath, _seconds: i64) -> io::Result<()> {
        refused()
    }

    fn remove_tree(&self, _path: &VirtualPath) -> io::Result<()> {
        refused()
    }

    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        self.0.real_path(path)
    }

    fn start_directory(&self) -> VirtualPath {
        self.0.start_directory()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.0.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.0.group_name(gid)
    }

    fn together(&self, work: &mut dyn FnMut()) {
        self.0.together(work);
    }

    fn is_slow(&self) -> bool {
        self.0.is_slow()
    }

    /// A refusal takes no time.
    fn changes_are_slow(&self) -> bool {
        self.0.is_slow()
    }
}
