//! The file system in memory, in the few words that these tests need.

use crate::fs::{FileSystem, MemoryFilesystem};
use crate::proto::path::VirtualPath;

#[derive(Clone, Default)]
pub(super) struct Memory(pub(super) MemoryFilesystem);

impl Memory {
    pub(super) fn dir(&self, path: &str) -> &Memory {
        self.0.create_dir(&path.parse().unwrap()).unwrap();
        self
    }

    /// Whatever the clock says, it is of 2001.
    pub(super) fn file(&self, path: &str, content: &str) -> &Memory {
        self.0.write(path, content).unwrap();
        let path = path.parse().unwrap();
        self.0.set_modified(&path, 1_000_000_000).unwrap();
        self
    }

    pub(super) fn content(&self, path: &str) -> Option<String> {
        let bytes = self.0.read(path).ok()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// All paths, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut todo = vec![VirtualPath::root()];
        while let Some(at) = todo.pop() {
            let mut names = Vec::new();
            let mut directory = self.0.read_dir(&at).unwrap();
            while directory.read_names(100, &mut names).unwrap() {}
            for child in names.iter().map(|name| at.child(name)) {
                found.push(child.to_string());
                if self.0.metadata(&child).unwrap().is_dir() {
                    todo.push(child);
                }
            }
        }
        found.sort();
        found
    }

    pub(super) fn has(&self, path: &str) -> bool {
        let path: VirtualPath = path.parse().unwrap();
        self.0.metadata(&path).is_ok()
    }
}
