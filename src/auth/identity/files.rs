//! A file system of which every call, and every call on what it opens, is made as a user.
//!
//! The session knows nothing of identities: it is given this file system in place of the one below.
//! So there is no way to the disk that could forget the identity, and an account without one pays
//! nothing.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;

use super::Identity;
use crate::fs::{Directory, File, FileSystem, Metadata, OpenMode, has_descriptor};
use crate::proto::path::VirtualPath;

/// `files` as `identity` may touch them.
pub(in crate::auth) struct FilesAs {
    pub(in crate::auth) identity: Identity,
    pub(in crate::auth) files: Arc<dyn FileSystem>,
}

impl FilesAs {
    fn file(&self, file: Box<dyn File>, mode: OpenMode) -> Box<dyn File> {
        Box::new(FileAs {
            identity: self.identity.clone(),
            mode,
            file: Some(file),
        })
    }
}

impl FileSystem for FilesAs {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.identity.try_run(|| self.files.metadata(path))
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.identity.try_run(|| self.files.symlink_metadata(path))
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let file = self.identity.try_run(|| self.files.open(path, mode))?;
        Ok(self.file(file, mode))
    }

    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        let open = || self.files.open_at_once(path, mode);
        let file = self.identity.try_run(open)?;
        Ok(file.map(|file| self.file(file, mode)))
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        let directory = self.identity.try_run(|| self.files.read_dir(path))?;
        Ok(Box::new(DirectoryAs {
            identity: self.identity.clone(),
            directory: Some(directory),
        }))
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.enter_dir(path))
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.create_dir(path))
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.remove_dir(path))
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.remove_file(path))
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.rename(from, to))
    }

    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.rename_new(from, to))
    }

    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        self.identity
            .try_run(|| self.files.check_room(path, mode, bytes))
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.identity.try_run(|| self.files.set_mode(path, mode))
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        self.identity
            .try_run(|| self.files.set_modified(path, seconds))
    }

    fn remove_tree(&self, path: &VirtualPath) -> io::Result<()> {
        self.identity.try_run(|| self.files.remove_tree(path))
    }

    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        self.identity.run(|| self.files.real_path(path)).ok()?
    }

    fn start_directory(&self) -> VirtualPath {
        self.identity
            .run(|| self.files.start_directory())
            .unwrap_or_else(|_| VirtualPath::root())
    }

    /// The identity is assumed once for all of it.
    fn together(&self, work: &mut dyn FnMut()) {
        let mut done = false;
        // Where it cannot be had, each call will say so.
        let assumed = self.identity.run(|| {
            done = true;
            self.files.together(work);
        });
        if assumed.is_err() && !done {
            work();
        }
    }

    // Names are not the user's, but the system's, and kept for all.
    fn user_name(&self, uid: u32) -> Option<String> {
        self.files.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.files.group_name(gid)
    }

    fn is_slow(&self) -> bool {
        self.files.is_slow()
    }

    fn changes_are_slow(&self) -> bool {
        self.files.changes_are_slow()
    }
}

struct FileAs {
    identity: Identity,
    #[cfg_attr(not(unix), allow(dead_code, reason = "it is the descriptor's"))]
    mode: OpenMode,
    /// None when it was closed.
    file: Option<Box<dyn File>>,
}

impl FileAs {
    fn file(&self) -> io::Result<&dyn File> {
        self.file.as_deref().ok_or_else(closed)
    }

    /// Whether reading it is reading a descriptor: whether that is allowed was settled when it was
    /// opened.
    #[cfg(unix)]
    fn is_plain(&self) -> bool {
        self.as_fd().is_some()
    }

    #[cfg(not(unix))]
    fn is_plain(&self) -> bool {
        false
    }
}

fn closed() -> io::Error {
    io::Error::other("the file is closed")
}

impl File for FileAs {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let plain = self.is_plain();
        let file = self.file.as_deref_mut().ok_or_else(closed)?;
        if plain {
            return file.read(buf);
        }
        self.identity.try_run(|| file.read(buf))
    }

    fn wake_by(&mut self, waker: &Waker) {
        if let Some(file) = self.file.as_deref_mut() {
            file.wake_by(waker);
        }
    }

    /// As the user also though it is open: his are the quota, the blocks that only root may use and
    /// the set-user-id bit that a write takes away.
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        let file = self.file.as_deref_mut().ok_or_else(closed)?;
        self.identity.try_run(|| file.write_all(buf))
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        let plain = self.is_plain();
        let file = self.file.as_deref_mut().ok_or_else(closed)?;
        if plain {
            return file.seek(position);
        }
        self.identity.try_run(|| file.seek(position))
    }

    /// A descriptor's is told to whoever has it, for whatever it was opened.
    fn size(&self) -> io::Result<u64> {
        let file = self.file()?;
        if has_descriptor(file) {
            return file.size();
        }
        self.identity.try_run(|| file.size())
    }

    /// It is known without asking, as whomever.
    fn size_at_open(&self) -> Option<u64> {
        self.file.as_ref()?.size_at_open()
    }

    fn is_at_hand(&self, offset: u64, len: u64) -> Option<bool> {
        let file = self.file.as_deref()?;
        if self.is_plain() {
            return file.is_at_hand(offset, len);
        }
        self.identity.run(|| file.is_at_hand(offset, len)).ok()?
    }

    fn is_slow_to_close(&self) -> bool {
        let Some(file) = self.file.as_deref() else {
            return false;
        };
        if self.is_plain() {
            return file.is_slow_to_close();
        }
        let asked = self.identity.run(|| file.is_slow_to_close());
        asked.unwrap_or(false)
    }

    fn close(mut self: Box<Self>) -> io::Result<()> {
        let file = self.file.take().ok_or_else(closed)?;
        self.identity.try_run(|| file.close())
    }

    /// None of a file that is written, which has to be done through
    /// [`write_all`](File::write_all).
    #[cfg(unix)]
    fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match self.mode {
            OpenMode::Read => self.file.as_ref()?.as_fd(),
            _ => None,
        }
    }
}

/// A file system of one's own may have work to do with a file that is not closed but dropped, such
/// as to remove it.
impl Drop for FileAs {
    fn drop(&mut self) {
        if self.is_plain() {
            return;
        }
        if let Some(file) = self.file.take() {
            // If the identity cannot be had, the error is in the log and `file` dropped all the same.
            let _ = self.identity.run(|| drop(file));
        }
    }
}

struct DirectoryAs {
    identity: Identity,
    /// None when it is being dropped.
    directory: Option<Box<dyn Directory>>,
}

impl DirectoryAs {
    fn run<T>(&mut self, work: impl FnOnce(&mut dyn Directory) -> io::Result<T>) -> io::Result<T> {
        let directory = self.directory.as_deref_mut().ok_or_else(closed)?;
        self.identity.try_run(|| work(directory))
    }
}

impl Directory for DirectoryAs {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        self.run(|directory| directory.read_names(max, into))
    }

    fn each_name(&mut self, max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        self.run(|directory| directory.each_name(max, take))
    }

    fn metadata(&mut self, name: &[u8], follow: bool) -> io::Result<Metadata> {
        self.run(|directory| directory.metadata(name, follow))
    }

    fn read_link(&mut self, name: &[u8]) -> io::Result<Vec<u8>> {
        self.run(|directory| directory.read_link(name))
    }
}

/// As that of a file.
impl Drop for DirectoryAs {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.take() {
            let _ = self.identity.run(|| drop(directory));
        }
    }
}
