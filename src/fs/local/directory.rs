//! An open directory: names in batches, and the facts of each by one system call on its handle.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, ReadDir};

use super::confine::Home;
use super::facts::facts;
use super::name::os;
use crate::fs::{Directory, Metadata};
use crate::proto::path::VirtualPath;
use crate::sys::name::bytes;

pub(in crate::fs) struct LocalDirectory {
    home: Arc<Home>,
    path: VirtualPath,
    dir: Dir,
    /// Gone after the last name.
    entries: Option<Names>,
}

enum Names {
    Below(ReadDir),
    /// Of a directory that may be read and not searched, where even `.` is not to be found.
    #[cfg(target_os = "linux")]
    Itself(std::fs::ReadDir),
}

impl Names {
    fn of(dir: &Dir) -> io::Result<Names> {
        match dir.entries() {
            #[cfg(target_os = "linux")]
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                use std::os::fd::AsRawFd;
                // Through /proc the system takes the very same directory, and looks for nothing in it.
                let itself = format!("/proc/self/fd/{}", dir.as_raw_fd());
                std::fs::read_dir(itself).map(Names::Itself)
            }
            entries => entries.map(Names::Below),
        }
    }
}

impl Iterator for Names {
    type Item = io::Result<OsString>;

    fn next(&mut self) -> Option<io::Result<OsString>> {
        match self {
            Names::Below(entries) => Some(entries.next()?.map(|entry| entry.file_name())),
            #[cfg(target_os = "linux")]
            Names::Itself(entries) => Some(entries.next()?.map(|entry| entry.file_name())),
        }
    }
}

impl LocalDirectory {
    pub(super) fn open(home: &Arc<Home>, path: &VirtualPath) -> io::Result<LocalDirectory> {
        if path.is_root() {
            // Says so if the home is gone.
            home.metadata(path)?;
        }
        let dir = home.follow(path, |dir, below| dir.open_dir(below))?;
        let entries = Names::of(&dir)?;
        Ok(LocalDirectory {
            home: Arc::clone(home),
            path: path.clone(),
            dir,
            entries: Some(entries),
        })
    }

    /// Its handle.
    #[cfg(unix)]
    pub(in crate::fs) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.dir)
    }
}

impl Directory for LocalDirectory {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let Some(entries) = &mut self.entries else {
            return Ok(false);
        };
        for _ in 0..max {
            match entries.next() {
                Some(Ok(name)) => into.push(bytes(name)),
                Some(Err(error)) => {
                    self.entries = None;
                    return Err(error);
                }
                None => {
                    self.entries = None;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn metadata(&mut self, name: &[u8], follow: bool) -> io::Result<Metadata> {
        let found = self.dir.symlink_metadata(os(name)?)?;
        if follow && found.is_symlink() {
            // From the home on: the link may lead to anywhere in it, above this directory too.
            return self.home.metadata(&self.path.child(name));
        }
        Ok(facts(&found))
    }

    fn read_link(&mut self, name: &[u8]) -> io::Result<Vec<u8>> {
        self.dir
            .read_link_contents(os(name)?)
            .map(|target| bytes(target.into_os_string()))
    }
}
