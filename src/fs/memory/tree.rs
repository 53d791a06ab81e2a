//! The names: directories by number, so that a renamed one keeps what it holds at no cost, and a
//! deep tree is dropped without recursion.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::Arc;

use super::content::Content;
use crate::fs::Metadata;
use crate::proto::path::VirtualPath;

/// The number of `/`. Those of directories are odd.
pub(super) const ROOT: u64 = 1;

/// As long as names are on most disks.
const MAX_NAME: usize = 255;

pub(super) struct Tree {
    directories: HashMap<u64, Dir>,
    files: usize,
    next: u64,
}

struct Dir {
    entries: BTreeMap<Box<[u8]>, Entry>,
    mode: u32,
    modified: i64,
    created: i64,
}

#[derive(Clone)]
pub(super) enum Entry {
    Dir(u64),
    File(Arc<Content>),
}

impl Dir {
    fn new(now: i64) -> Dir {
        Dir {
            entries: BTreeMap::new(),
            mode: 0o755,
            modified: now,
            created: now,
        }
    }
}

impl Tree {
    pub(super) fn new(now: i64) -> Tree {
        Tree {
            directories: HashMap::from([(ROOT, Dir::new(now))]),
            files: 0,
            next: ROOT + 2,
        }
    }

    /// Files and directories, without the root.
    pub(super) fn len(&self) -> usize {
        self.directories.len() - 1 + self.files
    }

    fn dir(&self, id: u64) -> io::Result<&Dir> {
        self.directories
            .get(&id)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn dir_mut(&mut self, id: u64) -> io::Result<&mut Dir> {
        self.directories
            .get_mut(&id)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn entry(&self, dir: u64, name: &[u8]) -> io::Result<Entry> {
        let entry = self.dir(dir)?.entries.get(name);
        entry.cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn find(&self, path: &VirtualPath) -> io::Result<Entry> {
        let mut at = Entry::Dir(ROOT);
        for name in path.components() {
            let Entry::Dir(id) = at else {
                return Err(ErrorKind::NotADirectory.into());
            };
            at = self.entry(id, name)?;
        }
        Ok(at)
    }

    /// The directory that `path` is in, and its name there.
    fn parent<'path>(&self, path: &'path VirtualPath) -> io::Result<(u64, &'path [u8])> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "Not the root directory",
            ));
        };
        match self.find(&parent)? {
            Entry::Dir(id) => Ok((id, name)),
            Entry::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// The names of a directory from `from` on; of one that is gone, none.
    pub(super) fn names_of(&self, id: u64, from: Bound<&[u8]>) -> impl Iterator<Item = &[u8]> {
        let dir = self.directories.get(&id);
        dir.into_iter()
            .flat_map(move |dir| dir.entries.range::<[u8], _>((from, Bound::Unbounded)))
            .map(|(name, _)| &**name)
    }

    pub(super) fn facts(&self, id: u64) -> io::Result<Metadata> {
        let dir = self.dir(id)?;
        let mut facts = Metadata::directory(dir.modified);
        facts.mode = 0o040_000 | dir.mode;
        facts.created = Some(dir.created);
        Ok(facts)
    }

    pub(super) fn set_mode(&mut self, id: u64, mode: u32) -> io::Result<()> {
        self.dir_mut(id)?.mode = mode & 0o7777;
        Ok(())
    }

    pub(super) fn set_modified(&mut self, id: u64, seconds: i64) -> io::Result<()> {
        self.dir_mut(id)?.modified = seconds;
        Ok(())
    }

    /// Gives `path`, which nothing has, to `entry`.
    pub(super) fn insert(
        &mut self,
        path: &VirtualPath,
        entry: Entry,
        max_entries: usize,
        now: i64,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        if name.len() > MAX_NAME {
            return Err(ErrorKind::InvalidFilename.into());
        }
        if self.len() >= max_entries {
            return Err(ErrorKind::StorageFull.into());
        }
        self.files += usize::from(matches!(entry, Entry::File(_)));
        let dir = self.dir_mut(parent)?;
        dir.entries.insert(name.into(), entry);
        dir.modified = now;
        Ok(())
    }

    pub(super) fn create_dir(
        &mut self,
        path: &VirtualPath,
        max_entries: usize,
        now: i64,
    ) -> io::Result<()> {
        match self.find(path) {
            Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let id = self.next;
        self.insert(path, Entry::Dir(id), max_entries, now)?;
        self.next += 2;
        self.directories.insert(id, Dir::new(now));
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &VirtualPath, now: i64) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let Entry::Dir(id) = self.entry(parent, name)? else {
            return Err(ErrorKind::NotADirectory.into());
        };
        self.must_be_empty(id)?;
        self.take(parent, name, now)?;
        self.directories.remove(&id);
        Ok(())
    }

    fn must_be_empty(&self, id: u64) -> io::Result<()> {
        if self.dir(id)?.entries.is_empty() {
            return Ok(());
        }
        Err(ErrorKind::DirectoryNotEmpty.into())
    }

    pub(super) fn remove_file(
        &mut self,
        path: &VirtualPath,
        now: i64,
    ) -> io::Result<Option<Entry>> {
        if path.is_root() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (parent, name) = self.parent(path)?;
        if let Entry::Dir(_) = self.entry(parent, name)? {
            return Err(ErrorKind::IsADirectory.into());
        }
        let removed = self.take(parent, name, now)?;
        self.files -= 1;
        Ok(removed)
    }

    fn take(&mut self, dir: u64, name: &[u8], now: i64) -> io::Result<Option<Entry>> {
        let dir = self.dir_mut(dir)?;
        dir.modified = now;
        Ok(dir.entries.remove(name))
    }

    /// As rename(2); gives what was replaced.
    pub(super) fn rename(
        &mut self,
        from: &VirtualPath,
        to: &VirtualPath,
        now: i64,
    ) -> io::Result<Option<Entry>> {
        let (old_dir, old_name) = self.parent(from)?;
        let (new_dir, new_name) = self.parent(to)?;
        let entry = self.entry(old_dir, old_name)?;
        if from == to {
            return Ok(None);
        }
        if to.starts_with(from) {
            return Err(ErrorKind::InvalidInput.into());
        }
        if new_name.len() > MAX_NAME {
            return Err(ErrorKind::InvalidFilename.into());
        }
        let there = self.dir(new_dir)?.entries.get(new_name).cloned();
        match (&entry, &there) {
            (_, None) => {}
            (Entry::File(_), Some(Entry::File(_))) => self.files -= 1,
            (Entry::File(_), Some(Entry::Dir(_))) => return Err(ErrorKind::IsADirectory.into()),
            (Entry::Dir(_), Some(Entry::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Entry::Dir(_), Some(Entry::Dir(id))) => {
                self.must_be_empty(*id)?;
                self.directories.remove(id);
            }
        }
        self.take(old_dir, old_name, now)?;
        let dir = self.dir_mut(new_dir)?;
        dir.entries.insert(new_name.into(), entry);
        dir.modified = now;
        Ok(there)
    }
}
