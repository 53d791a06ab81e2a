//! Open files: regular ones only, and how they come to be open.

use std::fs::{File as StdFile, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};

use cap_std::fs::OpenOptions;

use super::confine::Home;
#[cfg(unix)]
use crate::fs::LARGE;
use crate::fs::{File, FileKind, OpenMode};
use crate::proto::path::VirtualPath;

/// An open regular file.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: StdFile,
    /// When it was opened.
    size: u64,
    /// Of what was there before.
    #[cfg(target_os = "linux")]
    device: Option<u64>,
}

/// Of so few bytes all or none are in memory: the system reads as many at once.
#[cfg(target_os = "linux")]
const FEW: u64 = 128 * 1024;

/// Opens the regular file `path`.
pub(super) fn open(home: &Home, path: &VirtualPath, mode: OpenMode) -> io::Result<LocalFile> {
    let file = open_unless(home, path, mode, |_| false)?;
    file.ok_or_else(|| io::Error::other("Not opened"))
}

/// The same, unless it has to be emptied and has a size that is `too_large` for that.
pub(super) fn open_unless(
    home: &Home,
    path: &VirtualPath,
    mode: OpenMode,
    too_large: impl Fn(u64) -> bool,
) -> io::Result<Option<LocalFile>> {
    if mode == OpenMode::CreateNew {
        return create(home, path, mode).map(Some);
    }
    // Asked before, since opening a device may do something, and again of what was opened.
    let mut empties = false;
    match home.look(path) {
        Ok((kind, size)) => {
            must_be_regular(kind)?;
            // Of one that is empty this sets the time.
            empties = mode == OpenMode::Write;
            if empties && too_large(size) {
                return Ok(None);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && creates(mode) => {
            match create(home, path, mode) {
                // Something is there after all, be it a link that leads to nothing yet.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(Some),
            }
        }
        Err(error) => return Err(error),
    }
    let file = open_below(home, path, options(mode).truncate(empties && cfg!(unix)))?;
    let found = file.metadata()?;
    must_be_regular(kind_of(&found))?;
    let mut size = found.len();
    if mode == OpenMode::Write && size > 0 {
        // It has come, or grown, since; or this is Windows, where to empty by opening is to replace.
        if too_large(size) {
            return Ok(None);
        }
        file.set_len(0)?;
        size = 0;
    }
    Ok(Some(LocalFile {
        file,
        size,
        #[cfg(target_os = "linux")]
        device: Some(std::os::linux::fs::MetadataExt::st_dev(&found)),
    }))
}

/// Creates what is not there. What is created so is a regular file and empty, and need not be asked.
fn create(home: &Home, path: &VirtualPath, mode: OpenMode) -> io::Result<LocalFile> {
    let mut options = options(mode);
    options.create_new(true);
    Ok(LocalFile {
        file: open_below(home, path, &options)?,
        size: 0,
        #[cfg(target_os = "linux")]
        device: None,
    })
}

fn open_below(home: &Home, path: &VirtualPath, options: &OpenOptions) -> io::Result<StdFile> {
    let file = home.follow(path, |dir, below| dir.open_with(below, options))?;
    Ok(file.into_std())
}

fn creates(mode: OpenMode) -> bool {
    matches!(mode, OpenMode::Write | OpenMode::Append)
}

fn options(mode: OpenMode) -> OpenOptions {
    let mut options = common_options();
    match mode {
        OpenMode::Read => options.read(true),
        OpenMode::Write => options.write(true).create(true),
        OpenMode::Append => options.append(true).create(true),
        OpenMode::CreateNew => options.write(true).create_new(true),
        OpenMode::Resume => options.write(true),
    };
    options
}

/// A FIFO or terminal that got in between the question and the open is opened without waiting for
/// its other end and without becoming ours. The mode of a new file is 0666 minus the umask.
fn common_options() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "flags of Unix"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt;
        options
            .mode(0o666)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options
}

fn kind_of(found: &Metadata) -> FileKind {
    if found.is_file() {
        FileKind::File
    } else if found.is_dir() {
        FileKind::Directory
    } else {
        FileKind::Other
    }
}

fn must_be_regular(kind: FileKind) -> io::Result<()> {
    match kind {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(is_a_directory()),
        FileKind::Symlink | FileKind::Other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "Not a regular file",
        )),
    }
}

pub(super) fn is_a_directory() -> io::Error {
    io::Error::new(io::ErrorKind::IsADirectory, "Is a directory")
}

impl File for LocalFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.file.write_all(buf)
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(position)).map(drop)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn size_at_open(&self) -> Option<u64> {
        Some(self.size)
    }

    /// Its first and its last byte stand for all: what was read or written before leaves memory from one
    /// end, not in the middle.
    #[cfg(target_os = "linux")]
    fn is_at_hand(&self, offset: u64, len: u64) -> Option<bool> {
        use crate::sys::cached::is_cached;
        let device = self.device?;
        let end = self.size.min(offset.saturating_add(len));
        if end <= offset {
            return Some(true);
        }
        let file = std::os::fd::AsFd::as_fd(&self.file);
        let cached = |at| is_cached(file, device, at);
        if end - offset > FEW && !cached(offset)? {
            return Some(false);
        }
        cached(end - 1)
    }

    #[cfg(unix)]
    fn is_slow_to_close(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let found = self.file.metadata();
        found.is_ok_and(|found| found.nlink() == 0 && found.len() >= LARGE)
    }

    #[cfg(unix)]
    fn close(self: Box<Self>) -> io::Result<()> {
        crate::sys::close::close(self.file.into())
    }

    #[cfg(not(unix))]
    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        Some(std::os::fd::AsFd::as_fd(&self.file))
    }
}
