//! The file system of the disk: one user's home, and nothing outside it.
//!
//! Every operation starts at a handle of the home directory and is resolved below it by the kernel
//! (`openat2(2)` with `RESOLVE_BENEATH` on Linux, component by component elsewhere), so that there
//! is no moment between a check and its use in which a link could be swapped in.

mod attributes;
mod confine;
mod directory;
mod facts;
mod file;
mod name;

#[cfg(all(test, unix))]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use confine::Home;
use directory::LocalDirectory;
use name::os;

use super::{Directory, File, FileSystem, LARGE, Metadata, OpenMode, names};
use crate::proto::path::VirtualPath;
#[cfg(unix)]
use crate::sys::space;

/// A directory of the disk as one user's tree: his `/` is that directory.
///
/// No `..`, no symbolic link, and no link put in place while an operation runs leads outside.
/// Links that point inside go on working, absolute ones too; one that points outside is an error
/// with a text that says so. Names are bytes. Only regular files are opened, so that a FIFO or
/// a device can neither block the server nor be set off.
///
/// It holds one descriptor. A home that is removed makes every operation fail with the system's
/// `No such file or directory`; a new directory of the same name needs a new `LocalFilesystem`.
///
/// ```
/// use ftpdlib::LocalFilesystem;
///
/// let tree = LocalFilesystem::new(".")?;
/// assert!(tree.home().is_absolute());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalFilesystem {
    home: Arc<Home>,
    slow: bool,
}

impl LocalFilesystem {
    /// Opens `home`; an error if it is no directory or cannot be reached.
    pub fn new(home: impl AsRef<Path>) -> io::Result<Self> {
        Ok(LocalFilesystem {
            home: Arc::new(Home::open(home.as_ref())?),
            slow: false,
        })
    }

    /// Says whether it may be slow, such as on a network share. Then its files are worked on by
    /// worker threads while their client sleeps, and nobody else waits. Default: false.
    pub fn slow(mut self, slow: bool) -> Self {
        self.slow = slow;
        self
    }

    /// The home's real path: absolute, without links.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub(super) fn open_directory(&self, path: &VirtualPath) -> io::Result<LocalDirectory> {
        LocalDirectory::open(&self.home, path)
    }

    /// Whether the path that was given still leads to the directory that was opened.
    pub(crate) fn is_current(&self) -> bool {
        self.home.is_current()
    }
}

impl FileSystem for LocalFilesystem {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.home.metadata(path)
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        if path.is_root() {
            return self.home.metadata(path);
        }
        let (dir, name) = self.home.parent(path)?;
        dir.symlink_metadata(name).map(|found| facts::facts(&found))
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        Ok(Box::new(file::open(&self.home, path, mode)?))
    }

    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        let file = file::open_unless(&self.home, path, mode, |size| size >= LARGE)?;
        Ok(file.map(|file| Box::new(file) as Box<dyn File>))
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(self.open_directory(path)?))
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.home.enter(path)
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        let (dir, name) = self.home.parent(path)?;
        dir.create_dir(name)
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        refuse_root(path, "Can't remove root directory")?;
        let (dir, name) = self.home.parent(path)?;
        dir.remove_dir(name)
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        if path.is_root() {
            return Err(file::is_a_directory());
        }
        let (dir, name) = self.home.parent(path)?;
        dir.remove_file(&name).map_err(|error| {
            // POSIX lets unlink(2) say EPERM of a directory; macOS and the BSDs do.
            let eperm = error.kind() == io::ErrorKind::PermissionDenied;
            if eperm
                && dir
                    .symlink_metadata(&name)
                    .is_ok_and(|found| found.is_dir())
            {
                return file::is_a_directory();
            }
            error
        })
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        refuse_root(from, "Can't rename root directory")?;
        refuse_root(to, "Can't replace root directory")?;
        let (old_dir, old_name) = self.home.parent(from)?;
        let (new_dir, new_name) = self.home.parent(to)?;
        old_dir.rename(old_name, &new_dir, new_name)
    }

    #[cfg(target_os = "linux")]
    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        refuse_root(from, "Can't rename root directory")?;
        refuse_root(to, "Can't replace root directory")?;
        let (old_dir, old_name) = self.home.parent(from)?;
        let (new_dir, new_name) = self.home.parent(to)?;
        match confine::rename_new(&old_dir, &old_name, &new_dir, &new_name) {
            // Not on this file system: looked at first, then.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
                match new_dir.symlink_metadata(&new_name) {
                    Ok(_) => Err(io::Error::from_raw_os_error(libc::EEXIST)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        old_dir.rename(old_name, &new_dir, new_name)
                    }
                    Err(error) => Err(error),
                }
            }
            done => done,
        }
    }

    /// As the disk knows it, where the size is known.
    #[cfg(unix)]
    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        let Some(bytes) = bytes else { return Ok(()) };
        let (dir, _) = self.home.parent(path)?;
        let freed = match mode {
            OpenMode::Write | OpenMode::Resume => {
                self.home.metadata(path).map_or(0, |found| found.size)
            }
            _ => 0,
        };
        let free = space::free(std::os::fd::AsFd::as_fd(&*dir))?;
        match bytes > free.saturating_add(freed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.home.set_mode(path, mode)
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        self.home.set_modified(path, seconds)
    }

    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        if path.is_root() {
            return Some(self.home().to_owned());
        }
        Some(self.home().join(os(path.relative()).ok()?))
    }

    fn is_slow(&self) -> bool {
        self.slow
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        names::user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        names::group_name(gid)
    }
}

fn refuse_root(path: &VirtualPath, text: &'static str) -> io::Result<()> {
    if path.is_root() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}
