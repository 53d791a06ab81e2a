//! An open directory: names in batches, and the facts of each by one system call on its handle.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;

use super::confine::Home;
use super::facts::facts;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use super::facts::of_statx;
use super::name::os;
use crate::fs::{Directory, FileKind, Metadata};
use crate::proto::path::VirtualPath;
use crate::sys::name::bytes;

pub(in crate::fs) struct LocalDirectory {
    home: Arc<Home>,
    path: VirtualPath,
    dir: Dir,
    /// Gone after the last name.
    entries: Option<Names>,
}

/// Names are read from the handle itself, so of a directory that may be read and not searched too,
/// where even `.` is not to be found.
#[cfg(target_os = "linux")]
#[derive(Default)]
struct Names(crate::sys::directory::Entries);

#[cfg(not(target_os = "linux"))]
struct Names(cap_std::fs::ReadDir);

#[cfg(target_os = "linux")]
impl Names {
    fn of(_: &Dir) -> io::Result<Names> {
        Ok(Names::default())
    }

    fn each(&mut self, dir: &Dir, max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        self.0.each(std::os::fd::AsFd::as_fd(dir), max, take)
    }
}

#[cfg(not(target_os = "linux"))]
impl Names {
    fn of(dir: &Dir) -> io::Result<Names> {
        dir.entries().map(Names)
    }

    fn each(&mut self, _: &Dir, max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        for _ in 0..max {
            match self.0.next() {
                Some(entry) => take(&bytes(entry?.file_name())),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// For reading, at once.
#[cfg(target_os = "linux")]
fn open(home: &Home, path: &VirtualPath) -> io::Result<Dir> {
    use cap_std::fs::{OpenOptions, OpenOptionsExt};

    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY);
    let opened = home.follow(path, |dir, below| dir.open_with(below, &options))?;
    Ok(Dir::from_std_file(opened.into_std()))
}

#[cfg(not(target_os = "linux"))]
fn open(home: &Home, path: &VirtualPath) -> io::Result<Dir> {
    home.follow(path, |dir, below| dir.open_dir(below))
}

impl LocalDirectory {
    pub(super) fn open(home: &Arc<Home>, path: &VirtualPath) -> io::Result<LocalDirectory> {
        if path.is_root() {
            // Says so if the home is gone.
            home.metadata(path)?;
        }
        let dir = open(home, path)?;
        let entries = Names::of(&dir)?;
        Ok(LocalDirectory {
            home: Arc::clone(home),
            path: path.clone(),
            dir,
            entries: Some(entries),
        })
    }

    /// The facts of the entry itself.
    fn entry(&self, name: &[u8]) -> io::Result<Metadata> {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        if let Some(found) = crate::sys::directory::facts(self.as_fd(), name) {
            return Ok(of_statx(&found));
        }
        Ok(facts(&self.dir.symlink_metadata(os(name)?)?))
    }

    /// Its handle.
    #[cfg(unix)]
    pub(in crate::fs) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.dir)
    }
}

impl Directory for LocalDirectory {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        self.each_name(max, &mut |name| into.push(name.to_vec()))
    }

    fn each_name(&mut self, max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let Some(entries) = &mut self.entries else {
            return Ok(false);
        };
        let more = entries.each(&self.dir, max, take);
        if !matches!(more, Ok(true)) {
            self.entries = None;
        }
        more
    }

    fn metadata(&mut self, name: &[u8], follow: bool) -> io::Result<Metadata> {
        let found = self.entry(name)?;
        if follow && found.kind == FileKind::Symlink {
            // From the home on: the link may lead to anywhere in it, above this directory too.
            return self.home.metadata(&self.path.child(name));
        }
        Ok(found)
    }

    fn read_link(&mut self, name: &[u8]) -> io::Result<Vec<u8>> {
        self.dir
            .read_link_contents(os(name)?)
            .map(|target| bytes(target.into_os_string()))
    }
}
