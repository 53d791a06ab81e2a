//! The file system of the whole machine: `/` is `/`, and a login lands in the user's home.
//!
//! It confines nobody. What its users may do is up to the system's permissions, so it goes with
//! an identity.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Directory, File, FileSystem, LocalFilesystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

/// The whole tree of the machine, as a user sees it in a shell: after login he is in his home, and
/// he can leave it.
///
/// For accounts with an [`Identity`](crate::Identity), such as those of a
/// [`UnixAuthorizer`](crate::UnixAuthorizer) that is told to
/// [show all of it](crate::UnixSettings::whole_tree). Without one every user has the rights of the
/// server's process on all of the machine.
///
/// Only regular files are opened, links are followed wherever they lead, and names are bytes.
/// What `/proc` shows of the server's own process is nobody's to read.
///
/// ```
/// use ftpdlib::{FileSystem, UnixFilesystem};
///
/// let tree = UnixFilesystem::new("/tmp")?;
/// assert_eq!(tree.start_directory().to_string(), "/tmp");
/// assert!(tree.metadata(&"/".parse().unwrap())?.is_dir());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UnixFilesystem {
    all: LocalFilesystem,
    start: VirtualPath,
}

impl UnixFilesystem {
    /// The tree of a user with this home; a relative one counts from the current directory. It need
    /// not exist, but then the user has to look for another place himself.
    ///
    /// # Errors
    ///
    /// If `/` cannot be opened, or the home's path is longer than a client could name (4,096 bytes).
    pub fn new(home: impl AsRef<Path>) -> io::Result<Self> {
        let all = LocalFilesystem::new("/")?;
        let start = VirtualPath::root();
        UnixFilesystem { all, start }.of(home.as_ref())
    }

    /// The same tree for another home, which costs no further descriptor.
    pub(crate) fn of(&self, home: &Path) -> io::Result<Self> {
        let home = std::path::absolute(home)?;
        let start = VirtualPath::root()
            .join(home.as_os_str().as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        Ok(UnixFilesystem {
            all: self.all.clone(),
            start,
        })
    }

    /// Says whether it may be slow, as [`LocalFilesystem::slow`]. Default: false.
    pub fn slow(mut self, slow: bool) -> Self {
        self.all = self.all.slow(slow);
        self
    }
}

impl FileSystem for UnixFilesystem {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.all.metadata(path)
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.all.symlink_metadata(path)
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let file = self.all.open(path, mode)?;
        file_not_ours(&*file)?;
        Ok(file)
    }

    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        let file = self.all.open_at_once(path, mode)?;
        if let Some(file) = &file {
            file_not_ours(&**file)?;
        }
        Ok(file)
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        let directory = self.all.open_directory(path)?;
        not_ours(directory.as_fd())?;
        Ok(Box::new(directory))
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.all.enter_dir(path)
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.all.create_dir(path)
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.all.remove_dir(path)
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        self.all.remove_file(path)
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.all.rename(from, to)
    }

    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.all.rename_new(from, to)
    }

    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        self.all.check_room(path, mode, bytes)
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.all.set_mode(path, mode)
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        self.all.set_modified(path, seconds)
    }

    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        self.all.real_path(path)
    }

    fn start_directory(&self) -> VirtualPath {
        self.start.clone()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.all.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.all.group_name(gid)
    }

    fn is_slow(&self) -> bool {
        self.all.is_slow()
    }
}

fn file_not_ours(file: &dyn File) -> io::Result<()> {
    file.as_fd().map_or(Ok(()), not_ours)
}

/// The server's memory map, its open files and the like are told to the server, whoever it acts as.
#[cfg(target_os = "linux")]
fn not_ours(opened: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    if crate::sys::procfs::is_of_this_process(opened)? {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn not_ours(_: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(name: impl AsRef<Path>) -> VirtualPath {
        let name = name.as_ref().as_os_str().as_bytes();
        VirtualPath::root().join(name).unwrap()
    }

    #[test]
    fn the_whole_tree_is_there_and_links_lead_anywhere() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().canonicalize().unwrap().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(temp.path().join("outside"), "seen").unwrap();
        symlink("../outside", home.join("up")).unwrap();
        symlink(temp.path().join("outside"), home.join("absolute")).unwrap();
        symlink("../../../../../../../../../../etc/passwd", home.join("far")).unwrap();
        let tree = UnixFilesystem::new(&home).unwrap();
        assert_eq!(tree.start_directory(), path(&home));
        assert_eq!(tree.real_path(&path(&home)), Some(home.clone()));
        assert_eq!(tree.real_path(&path("/")), Some("/".into()));
        for name in ["up", "absolute"] {
            let name = path(home.join(name));
            assert_eq!(tree.metadata(&name).unwrap().size, 4);
            let mut file = tree.open(&name, OpenMode::Read).unwrap();
            let mut buf = [0; 8];
            assert_eq!((file.read(&mut buf).unwrap(), &buf[..4]), (4, &b"seen"[..]));
        }
        let size = fs::metadata("/etc/passwd").unwrap().len();
        assert_eq!(tree.metadata(&path(home.join("far"))).unwrap().size, size);
        let mut names = Vec::new();
        tree.read_dir(&path("/"))
            .unwrap()
            .read_names(99, &mut names)
            .unwrap();
        assert!(names.contains(&b"etc".to_vec()));
        let gone = UnixFilesystem::new(home.join("gone")).unwrap();
        assert_eq!(gone.start_directory(), path(home.join("gone")));
        assert!(UnixFilesystem::new("/x".repeat(3000)).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_proc_shows_of_the_server_is_nobodys() {
        let tree = UnixFilesystem::new("/").unwrap();
        let temp = tempfile::tempdir().unwrap();
        let link = temp.path().canonicalize().unwrap().join("link");
        symlink("/proc/self/maps", &link).unwrap();
        let pid = std::process::id();
        for name in [
            "/proc/self/maps".to_owned(),
            "/proc/thread-self/maps".to_owned(),
            format!("/proc/{pid}/maps"),
            format!("/proc/{pid}/task/{pid}/maps"),
            link.display().to_string(),
        ] {
            let refused = tree.open(&path(&name), OpenMode::Read).err().unwrap();
            assert_eq!(refused.raw_os_error(), Some(libc::EACCES), "{name}");
        }
        for name in ["/proc/self", "/proc/self/fd", "/proc/thread-self"] {
            let refused = tree.read_dir(&path(name)).err().unwrap();
            assert_eq!(refused.raw_os_error(), Some(libc::EACCES), "{name}");
        }
        tree.open(&path("/proc/cpuinfo"), OpenMode::Read).unwrap();
        tree.read_dir(&path("/proc")).unwrap();
    }
}
