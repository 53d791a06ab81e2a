//! Floor 1, plug-in: files behind virtual paths.
//!
//! A [`FileSystem`] answers for one user's tree. It speaks [`VirtualPath`]s only, so that nothing
//! above it can name a file outside. [`LocalFilesystem`] is the one of the disk, confined to the
//! user's home; a tree in memory or in an object store is another implementation of the trait.

mod local;
mod memory;
mod names;
mod overlay;
mod pointer;
mod read_only;
#[cfg(test)]
mod testing;
#[cfg(unix)]
mod unix;

use std::io;
use std::path::PathBuf;
use std::task::Waker;

pub use local::LocalFilesystem;
pub use memory::MemoryFilesystem;
pub use overlay::Overlay;
pub use read_only::ReadOnly;
#[cfg(unix)]
pub use unix::UnixFilesystem;

pub use crate::proto::facts::{FileKind, Metadata};
use crate::proto::path::VirtualPath;

/// Files of so many bytes keep who removes or empties them waiting for milliseconds: of 2 GiB it is a
/// quarter of a second in memory, and three quarters on a disk.
pub(crate) const LARGE: u64 = 16 * 1024 * 1024;

/// Whether there is a file that the system takes long to let go of.
pub(crate) fn is_large(fs: &dyn FileSystem, path: &VirtualPath) -> bool {
    // Cheaper to ask than where it leads to.
    let found = match fs.symlink_metadata(path) {
        Ok(link) if link.kind == FileKind::Symlink => fs.metadata(path),
        found => found,
    };
    found.is_ok_and(|found| found.is_file() && found.size >= LARGE)
}

/// How [`FileSystem::open`] opens a file. Only regular files are opened; anything else is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// For RETR. The position is 0.
    Read,
    /// For STOR: created if missing, emptied if not.
    Write,
    /// For APPE: created if missing; every write goes to the end (`O_APPEND`).
    Append,
    /// For STOU: created; an error if it exists.
    CreateNew,
    /// For STOR after REST: must exist, keeps its content; the position is 0.
    Resume,
}

/// One user's tree of files, behind [`VirtualPath`]s: absolute, and free of `..`.
///
/// It is asked for by every command that touches files, after the account's permissions have been.
/// Any thread may call, and several at a time.
///
/// **Where it runs.** On the server's loop, where every call keeps all clients waiting. One that may
/// take long says so by [`is_slow`](FileSystem::is_slow), for all that it does, or by
/// [`changes_are_slow`](FileSystem::changes_are_slow); its calls are made on the worker threads then.
/// A file that has nothing to read *yet* can wait without a thread: [`File::wake_by`].
///
/// **What an error becomes.** `550` and its text: of an error of the system (`raw_os_error`) or of
/// a mere [`ErrorKind`](io::ErrorKind) the system's own words, of any other its `Display`.
/// `StorageFull` becomes `452`, `QuotaExceeded` and `FileTooLarge` become `552`, `ResourceBusy`,
/// `OutOfMemory` and a lack of descriptors `450`; in the middle of a transfer the rest is `451`.
/// `NotFound` also says that STOR may create the file.
///
/// **What it need not do.** Paths come checked, and one call needs no other before it. But two
/// calls are two: what [`metadata`](FileSystem::metadata) has said may no longer be true when
/// [`open`](FileSystem::open) is called, so `open` looks for itself that it opens a regular file, and
/// whatever resolves links resolves them each time.
///
/// The guide to file systems (`docs/filesystems.md`) has a whole one to copy, and a table of the calls
/// that each command makes. `MemoryFilesystem` is another, and [`ReadOnly`] shows what a wrapper
/// passes on.
///
/// ```
/// use std::sync::Arc;
/// use ftpdlib::{Account, FileSystem, LocalFilesystem, OpenMode, ReadOnly};
///
/// // Those that there are can be called like any other, say in a callback.
/// let files: Arc<dyn FileSystem> = Arc::new(ReadOnly::new(LocalFilesystem::new(".")?));
/// let mut file = files.open(&"/Cargo.toml".parse()?, OpenMode::Read)?;
/// let mut bytes = vec![0; file.size()? as usize];
/// assert!(file.read(&mut bytes)? > 0);
/// let account = Account::new("user", files);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FileSystem: Send + Sync + 'static {
    /// The facts of what `path` leads to; symbolic links are followed. SIZE, MDTM, MLST, and what
    /// looks whether something is there.
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata>;

    /// The facts of `path` itself, though it may be a symbolic link. The default, for a tree without
    /// links, asks [`metadata`](FileSystem::metadata).
    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.metadata(path)
    }

    /// Opens a regular file; whatever else is there is an error. For an upload it is called when data
    /// can flow, so that nothing changes for one that does not come about.
    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>>;

    /// The same on the server's loop, where it is not slow: `None` if to open it would keep all clients
    /// waiting, as emptying a large file does. Then [`open`](FileSystem::open) is called, by a worker
    /// thread. The default just opens.
    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        self.open(path, mode).map(Some)
    }

    /// Opens a directory for listing: LIST, NLST, MLSD, STAT.
    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>>;

    /// Whether `path` can be the current directory (CWD); an error says why not. The default asks
    /// whether it is a directory.
    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        if self.metadata(path)?.is_dir() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "Not a directory",
        ))
    }

    /// Creates a directory.
    fn create_dir(&self, path: &VirtualPath) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()>;

    /// Removes a file or a symbolic link (the link, not its target).
    fn remove_file(&self, path: &VirtualPath) -> io::Result<()>;

    /// Renames `from` to `to`, replacing a file there. A directory takes all that is in it along.
    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()>;

    /// Renames `from` to `to`; an `AlreadyExists` error where something has that name. The default
    /// looks first and renames then, so that what comes there in between is replaced.
    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        match self.symlink_metadata(to) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "File exists")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename(from, to),
            Err(error) => Err(error),
        }
    }

    /// Whether there is room for an upload to `path`, opened in that mode, of so many bytes, if their
    /// number is known: a `StorageFull` or `QuotaExceeded` error if it is known that there is not. It
    /// promises nothing, and reserves nothing. The default knows nothing.
    fn check_room(
        &self,
        _path: &VirtualPath,
        _mode: OpenMode,
        _bytes: Option<u64>,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Changes the permission bits (SITE CHMOD); `mode` is at most `0o7777`.
    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()>;

    /// Sets access and modification time (MFMT), in seconds since 1970 UTC.
    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()>;

    /// Removes a directory with all that is in it, following no link. The default walks the tree
    /// through the other methods.
    fn remove_tree(&self, path: &VirtualPath) -> io::Result<()> {
        remove_tree(self, path, 0)
    }

    /// The path on the disk, for logs and for callbacks
    /// ([`Transferred::real_path`](crate::Transferred::real_path)); `None` where there is no disk below.
    /// Called when somebody asks for it: on the loop for the log, of a transfer at its end; and by a callback,
    /// on whatever thread that asks.
    fn real_path(&self, _path: &VirtualPath) -> Option<PathBuf> {
        None
    }

    /// Where a user is after login: always called on the loop, and not looked at whether it exists.
    /// Default: `/`.
    fn start_directory(&self) -> VirtualPath {
        VirtualPath::root()
    }

    /// The name of a user id in listings; `None` prints the number.
    fn user_name(&self, _uid: u32) -> Option<String> {
        None
    }

    /// The name of a group id in listings; `None` prints the number.
    fn group_name(&self, _gid: u32) -> Option<String> {
        None
    }

    /// Makes several calls, on it and on what it opens, which `work` is made of. For a file system
    /// around another one where a call has a price that many can share; others leave the default,
    /// which just does `work`. It must be done once, come what may.
    fn together(&self, work: &mut dyn FnMut()) {
        work();
    }

    /// Whether calls may take long (a network share, say). Then all of them, and those on the
    /// files and directories that it opens, are made on the worker threads while the client
    /// sleeps, and no other client waits. Default: false.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether those calls may take long that change something, though others do not: then they are
    /// made on the worker threads, and so is the opening of a file that is to be written. Default:
    /// as [`is_slow`](FileSystem::is_slow).
    fn changes_are_slow(&self) -> bool {
        self.is_slow()
    }
}

/// An open file.
pub trait File: Send {
    /// Reads at the current position; 0 is the end. A file that was given a waker by
    /// [`wake_by`](File::wake_by) may say `WouldBlock`.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Tells whom to wake when there is something to read, or the end, after a
    /// [`read`](File::read) said `WouldBlock`. It is called before a file is sent, of a file system
    /// that is not slow. For files whose bytes come at somebody else's pace: while there are none, their
    /// download takes neither the loop nor a thread. Waking too often does no harm. The default does
    /// nothing; then `WouldBlock` is an error like any other.
    fn wake_by(&mut self, _waker: &Waker) {}

    /// Writes all of `buf` at the current position.
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()>;

    /// Moves to `position` bytes from the start.
    fn seek(&mut self, position: u64) -> io::Result<()>;

    /// Size in bytes now, with all that was written: a quota counts by it.
    fn size(&self) -> io::Result<u64>;

    /// Size in bytes when it was opened (0 if that emptied it), where that is known without asking: no
    /// thread is taken for it, nor a user's identity. A download that has sent as much, and got less than it
    /// could take, does not look whether more has come since. The default does not know: then a
    /// [`read`](File::read) of nothing tells the end.
    fn size_at_open(&self) -> Option<u64> {
        None
    }

    /// Whether `len` bytes from `offset` on, or those there are, can be read without waiting for a disk.
    /// It is asked while a file is sent by a loop that others are served by, too, of a file system that is
    /// not slow: before the first byte, and then once for some megabytes at a time. If `Some(false)`, a worker
    /// thread reads what comes next, and nobody but this file's client waits. Of a file that has a
    /// [descriptor](File::as_fd) it reads some megabytes only so that the system has them in memory,
    /// [seeks](File::seek) back, and what is sent is asked for again. To such a thread `WouldBlock` is an
    /// error like any other.
    ///
    /// It must be cheap, and need not be certain. `None`, the default, is for a file that does not
    /// know: it is read on the loop, and not asked again.
    fn is_at_hand(&self, _offset: u64, _len: u64) -> Option<bool> {
        None
    }

    /// Closes it. An error here (a full disk may speak only now) is an incomplete upload.
    fn close(self: Box<Self>) -> io::Result<()>;

    /// Whether to close or to drop it now may take long, though its file system is not slow: as where the
    /// last name of a large file is gone, and the system frees its bytes then. If so, a worker thread does it.
    /// Only files of 16 MiB and more are asked, by their [size](File::size_at_open) when they were opened or
    /// what they have received since. Default: false.
    fn is_slow_to_close(&self) -> bool {
        false
    }

    /// The descriptor, if there is one whose own position is the file's: then downloads go by
    /// `sendfile(2)` if they are not small, and uploads by `splice(2)`, past [`read`](File::read) and
    /// [`write_all`](File::write_all). A file that does more in those than to read and write has to
    /// say `None`, which is the default.
    #[cfg(unix)]
    fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
}

/// Whether it is a file of the system's.
#[cfg(unix)]
pub(crate) fn has_descriptor(file: &dyn File) -> bool {
    file.as_fd().is_some()
}

#[cfg(not(unix))]
pub(crate) fn has_descriptor(_: &dyn File) -> bool {
    false
}

/// An open directory.
pub trait Directory: Send {
    /// Appends at most `max` further names to `into` (no `.` and `..`); false when there are no
    /// more to come.
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool>;

    /// The same for listings, which keep names packed: hands each to `take`. For directories that
    /// need no place in memory for every single name; the default is made of
    /// [`read_names`](Directory::read_names).
    fn each_name(&mut self, max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let mut names = Vec::new();
        let more = self.read_names(max, &mut names)?;
        names.iter().for_each(|name| take(name));
        Ok(more)
    }

    /// The facts of the entry `name`, following a symbolic link or not.
    fn metadata(&mut self, name: &[u8], follow: bool) -> io::Result<Metadata>;

    /// Where the symbolic link `name` points.
    fn read_link(&mut self, name: &[u8]) -> io::Result<Vec<u8>>;
}

/// What a client may read of an error: the system's words without its number, or the error's own.
pub fn describe(error: &io::Error) -> String {
    if let Some(code) = error.raw_os_error() {
        let number = format!(" (os error {code})");
        return error.to_string().trim_end_matches(&number).to_owned();
    }
    // An error that is only a kind, as a file system of one's own may give it.
    let words = match (error.get_ref(), error.kind()) {
        (Some(_), _) => return error.to_string(),
        (None, io::ErrorKind::NotFound) => "No such file or directory",
        (None, io::ErrorKind::AlreadyExists) => "File exists",
        (None, io::ErrorKind::PermissionDenied) => "Permission denied",
        (None, io::ErrorKind::IsADirectory) => "Is a directory",
        (None, io::ErrorKind::NotADirectory) => "Not a directory",
        (None, io::ErrorKind::DirectoryNotEmpty) => "Directory not empty",
        (None, io::ErrorKind::StorageFull) => "No space left on device",
        (None, io::ErrorKind::QuotaExceeded) => "Disk quota exceeded",
        (None, io::ErrorKind::FileTooLarge) => "File too large",
        (None, io::ErrorKind::InvalidFilename) => "File name too long",
        (None, io::ErrorKind::InvalidInput) => "Invalid argument",
        (None, io::ErrorKind::ReadOnlyFilesystem) => "Read-only file system",
        (None, io::ErrorKind::CrossesDevices) => "Invalid cross-device link",
        (None, io::ErrorKind::Unsupported) => "Operation not supported",
        (None, _) => return error.to_string(),
    };
    words.to_owned()
}

/// Whether the system lacks something for the moment, so that the same may work later.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::ResourceBusy => true,
        #[cfg(unix)]
        _ => matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
        ),
        #[cfg(not(unix))]
        _ => false,
    }
}

/// Deeper trees than this are refused: recursion has a bound.
const MAX_TREE_DEPTH: usize = 256;

fn remove_tree<F: FileSystem + ?Sized>(fs: &F, path: &VirtualPath, depth: usize) -> io::Result<()> {
    if depth > MAX_TREE_DEPTH {
        return Err(io::Error::other("Directory tree too deep"));
    }
    // Not through a link, which `read_dir` would follow.
    if !fs.symlink_metadata(path)?.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "Not a directory",
        ));
    }
    for (name, is_dir) in entries(fs, path)? {
        let child = path.child(&name);
        if is_dir {
            remove_tree(fs, &child, depth + 1)?;
        } else {
            fs.remove_file(&child)?;
        }
    }
    fs.remove_dir(path)
}

/// The names in a directory, and whether each is a directory itself. It is closed before anything
/// is done to them: a deep tree needs no more descriptors than a flat one.
fn entries<F: FileSystem + ?Sized>(fs: &F, path: &VirtualPath) -> io::Result<Vec<(Vec<u8>, bool)>> {
    let mut names = Vec::new();
    let mut dir = fs.read_dir(path)?;
    while dir.read_names(1024, &mut names)? {}
    names
        .into_iter()
        .map(|name| {
            let is_dir = dir.metadata(&name, false)?.is_dir();
            Ok((name, is_dir))
        })
        .collect()
}

/// As [`FileSystem::together`], with a result.
pub(crate) fn together<T>(fs: &dyn FileSystem, work: impl FnOnce() -> T) -> Option<T> {
    let (mut work, mut result) = (Some(work), None);
    fs.together(&mut || {
        if let Some(work) = work.take() {
            result = Some(work());
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_described_in_the_system_s_words() {
        #[cfg(unix)]
        assert_eq!(
            describe(&io::Error::from_raw_os_error(libc::ENOENT)),
            "No such file or directory"
        );
        let kind = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(describe(&kind), "No such file or directory");
        let own = io::Error::new(io::ErrorKind::NotFound, "Gone fishing");
        assert_eq!(describe(&own), "Gone fishing");
    }

    #[cfg(unix)]
    #[test]
    fn a_lack_of_descriptors_passes() {
        assert!(is_passing(&io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(!is_passing(&io::Error::from_raw_os_error(libc::ENOENT)));
    }
}
