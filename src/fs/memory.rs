//! A file system in memory: whole, bounded, and gone with the last handle to it.
//!
//! The names are one tree under one lock, which is held for a lookup and never for a file's bytes.
//! Each file has a lock of its own, and lives as long as it has a name or is open.

mod content;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use content::{Content, OpenFile, Space, now};
use tree::{Entry, Tree};

use super::{Directory, File, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

/// Files and directories in memory: for tests of FTP clients, for scratch space, and as the upper
/// layer of an [`Overlay`](crate::Overlay).
///
/// A clone is another handle to the same files, which go with the last one. It behaves as a disk
/// does: directories, renaming over what is there, modes and times, appending and resuming, files
/// that are open go on when they are renamed or removed, and a directory that changes while it is listed
/// shows every name that was there all the time, once. There are no symbolic links. Modes are kept
/// and shown; who may do what is up to the [`Account`](crate::Account). In the worker models that have
/// processes, each process has files of its own.
///
/// It has limits, which hold for all handles: 256 MiB of content, with no other limit on one file,
/// and 65,536 files and directories. A name has at most 255 bytes. What passes the limit of all is
/// `452` (`StorageFull`), a file that passes its own `552` (`FileTooLarge`); what came before stays, as
/// on a full disk. A file takes up to twice its size while it is small, and at most 64 KiB more.
///
/// ```
/// use ftpdlib::{Account, MemoryFilesystem, Perm};
///
/// let files = MemoryFilesystem::new().max_size(10 << 20).max_file_size(1 << 20);
/// files.write("/pub/hello.txt", "Hello.")?;
/// let account = Account::new("user", std::sync::Arc::new(files.clone())).perm(Perm::ALL);
/// // ... and what clients upload:
/// assert_eq!(files.read("/pub/hello.txt")?, b"Hello.");
/// assert_eq!(files.used(), 6);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryFilesystem(Arc<Shared>);

struct Shared {
    tree: Mutex<Tree>,
    space: Arc<Space>,
    /// Tells its files from those of every other one of this process.
    device: u64,
    next_file: AtomicU64,
}

impl MemoryFilesystem {
    /// An empty one.
    pub fn new() -> Self {
        static DEVICES: AtomicU64 = AtomicU64::new(1);
        MemoryFilesystem(Arc::new(Shared {
            tree: Mutex::new(Tree::new(now())),
            space: Arc::default(),
            device: DEVICES.fetch_add(1, Ordering::Relaxed),
            next_file: AtomicU64::new(0),
        }))
    }

    /// Sets how many bytes all files may hold together. Default: 256 MiB.
    pub fn max_size(self, bytes: u64) -> Self {
        self.0.space.max.store(bytes, Ordering::Relaxed);
        self
    }

    /// Sets how many bytes one file may hold. Default: no limit but that of all.
    pub fn max_file_size(self, bytes: u64) -> Self {
        self.0.space.max_file.store(bytes, Ordering::Relaxed);
        self
    }

    /// Sets how many files and directories there may be. Default: 65,536.
    pub fn max_entries(self, count: usize) -> Self {
        self.0.space.max_entries.store(count, Ordering::Relaxed);
        self
    }

    /// Bytes that its files hold, those included that have no name any more and are still open.
    pub fn used(&self) -> u64 {
        self.0.space.used()
    }

    /// Puts a file in place, as an upload does, with the directories that lead to it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `path` cannot be a [`VirtualPath`], and those of an upload.
    pub fn write(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> io::Result<()> {
        let path = virtual_path(path.as_ref())?;
        if let Some(parent) = path.parent() {
            self.create_dir_all(&parent)?;
        }
        let mut file = self.open(&path, OpenMode::Write)?;
        file.write_all(content.as_ref())?;
        file.close()
    }

    /// All of a file.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `path` cannot be a [`VirtualPath`], and those of a download.
    pub fn read(&self, path: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
        let mut file = self.open(&virtual_path(path.as_ref())?, OpenMode::Read)?;
        let mut content = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
        let count = file.read(&mut content)?;
        content.truncate(count);
        Ok(content)
    }

    fn create_dir_all(&self, path: &VirtualPath) -> io::Result<()> {
        let mut at = VirtualPath::root();
        for name in path.components() {
            at = at.child(name);
            match self.create_dir(&at) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn max_entry_count(&self) -> usize {
        self.0.space.max_entries.load(Ordering::Relaxed)
    }

    fn facts(&self, tree: &Tree, entry: &Entry) -> io::Result<Metadata> {
        let (mut facts, id) = match entry {
            Entry::File(content) => (content.facts(), content.id()),
            Entry::Dir(id) => (tree.facts(*id)?, *id),
        };
        facts.unique = Some((self.0.device, id));
        Ok(facts)
    }
}

impl Default for MemoryFilesystem {
    fn default() -> Self {
        MemoryFilesystem::new()
    }
}

impl fmt::Debug for MemoryFilesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFilesystem")
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

impl FileSystem for MemoryFilesystem {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        let tree = self.tree();
        self.facts(&tree, &tree.find(path)?)
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut tree = self.tree();
        let content = match (tree.find(path), mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(ErrorKind::AlreadyExists.into()),
            (Ok(Entry::Dir(_)), _) => return Err(ErrorKind::IsADirectory.into()),
            (Ok(Entry::File(content)), _) => content,
            (Err(error), OpenMode::Read | OpenMode::Resume) => return Err(error),
            (Err(error), _) if error.kind() != ErrorKind::NotFound => return Err(error),
            (Err(_), _) => {
                // Even, as those of directories are odd.
                let id = self.0.next_file.fetch_add(2, Ordering::Relaxed);
                let content = Arc::new(Content::new(id, now(), Arc::clone(&self.0.space)));
                let entry = Entry::File(Arc::clone(&content));
                tree.insert(path, entry, self.max_entry_count(), now())?;
                content
            }
        };
        drop(tree);
        if mode == OpenMode::Write {
            content.clear(now());
        }
        Ok(Box::new(OpenFile::new(content, mode)))
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        match self.tree().find(path)? {
            Entry::File(_) => Err(ErrorKind::NotADirectory.into()),
            Entry::Dir(id) => Ok(Box::new(OpenDirectory {
                files: self.clone(),
                id,
                after: None,
            })),
        }
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.tree().create_dir(path, self.max_entry_count(), now())
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.tree().remove_dir(path, now())
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        // What it held is given back when the lock is not held any more.
        let content = self.tree().remove_file(path, now())?;
        drop(content);
        Ok(())
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        let replaced = self.tree().rename(from, to, now())?;
        drop(replaced);
        Ok(())
    }

    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        let mut tree = self.tree();
        match tree.find(to) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => tree.rename(from, to, now()).map(drop),
        }
    }

    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        let tree = self.tree();
        let there = tree.find(path).and_then(|entry| self.facts(&tree, &entry));
        let there = there.ok().map(|facts| facts.size);
        if there.is_none() && tree.len() >= self.max_entry_count() {
            return Err(ErrorKind::StorageFull.into());
        }
        let (freed, kept) = match (there, mode) {
            (Some(size), OpenMode::Write | OpenMode::Resume) => (size, 0),
            (size, _) => (0, size.unwrap_or(0)),
        };
        self.0.space.check(bytes.unwrap_or(0), freed, kept)
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        let mut tree = self.tree();
        match tree.find(path)? {
            Entry::File(content) => content.set_mode(mode),
            Entry::Dir(id) => tree.set_mode(id, mode)?,
        }
        Ok(())
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        let mut tree = self.tree();
        match tree.find(path)? {
            Entry::File(content) => content.set_modified(seconds),
            Entry::Dir(id) => tree.set_modified(id, seconds)?,
        }
        Ok(())
    }

    /// Everything in it is the server's.
    fn user_name(&self, _uid: u32) -> Option<String> {
        Some("ftp".to_owned())
    }

    fn group_name(&self, _gid: u32) -> Option<String> {
        Some("ftp".to_owned())
    }
}

/// A directory by its number: it is still the same when it is renamed.
struct OpenDirectory {
    files: MemoryFilesystem,
    id: u64,
    /// The last name that was told. The next ones come behind it, whatever has changed.
    after: Option<Box<[u8]>>,
}

impl Directory for OpenDirectory {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let tree = self.files.tree();
        let from = match &self.after {
            Some(name) => Bound::Excluded(&**name),
            None => Bound::Unbounded,
        };
        let mut names = tree.names_of(self.id, from);
        let start = into.len();
        into.extend(names.by_ref().take(max).map(<[u8]>::to_vec));
        let more = names.next().is_some();
        drop(names);
        if let Some(last) = into[start..].last() {
            self.after = Some(last.as_slice().into());
        }
        Ok(more)
    }

    fn metadata(&mut self, name: &[u8], _follow: bool) -> io::Result<Metadata> {
        let tree = self.files.tree();
        self.files.facts(&tree, &tree.entry(self.id, name)?)
    }

    fn read_link(&mut self, _name: &[u8]) -> io::Result<Vec<u8>> {
        Err(ErrorKind::InvalidInput.into())
    }
}

fn virtual_path(path: &[u8]) -> io::Result<VirtualPath> {
    VirtualPath::root()
        .join(path)
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))
}
