//! A file system in memory, as much of one as the interpreter's tests need.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::fs::{Directory, File, FileKind, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

/// Content of a file; None is a directory.
type Nodes = BTreeMap<VirtualPath, Option<Vec<u8>>>;

#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Nodes>>);

impl Memory {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.0.lock().unwrap()
    }

    pub(super) fn dir(&self, path: &str) -> &Memory {
        self.nodes().insert(path.parse().unwrap(), None);
        self
    }

    pub(super) fn file(&self, path: &str, content: &str) -> &Memory {
        self.nodes()
            .insert(path.parse().unwrap(), Some(content.into()));
        self
    }

    pub(super) fn content(&self, path: &str) -> Option<String> {
        let nodes = self.nodes();
        let bytes = nodes.get(&path.parse::<VirtualPath>().unwrap())?.clone()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// All paths, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.nodes().keys().map(ToString::to_string).collect()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.nodes()
            .contains_key(&path.parse::<VirtualPath>().unwrap())
    }
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "No such file or directory")
}

impl FileSystem for Memory {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        let nodes = self.nodes();
        let content = match nodes.get(path) {
            Some(content) => content.as_ref(),
            None if path.is_root() => None,
            None => return Err(missing()),
        };
        Ok(Metadata {
            kind: if content.is_some() {
                FileKind::File
            } else {
                FileKind::Directory
            },
            size: content.map_or(0, |content| content.len() as u64),
            modified: 1_000_000_000,
            created: None,
            mode: 0o644,
            links: 1,
            uid: 7,
            gid: 7,
            unique: None,
        })
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let found = self.nodes().get(path).cloned();
        let content = match (found, mode) {
            (Some(None), _) => {
                return Err(io::Error::new(
                    io::ErrorKind::IsADirectory,
                    "Is a directory",
                ));
            }
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Some(content)), OpenMode::Read | OpenMode::Append | OpenMode::Resume) => content,
            (None, OpenMode::Read | OpenMode::Resume) => return Err(missing()),
            _ => Vec::new(),
        };
        let position = if mode == OpenMode::Append {
            content.len()
        } else {
            0
        };
        self.nodes().insert(path.clone(), Some(content));
        Ok(Box::new(Open {
            files: self.clone(),
            path: path.clone(),
            position,
        }))
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        let nodes = self.nodes();
        let inside = nodes
            .keys()
            .filter(|node| node.parent().as_ref() == Some(path));
        let names = inside
            .filter_map(|node| node.file_name().map(<[u8]>::to_vec))
            .collect();
        Ok(Box::new(List {
            files: self.clone(),
            path: path.clone(),
            names,
        }))
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        match self.nodes().insert(path.clone(), None) {
            None => Ok(()),
            Some(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "File exists")),
        }
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.nodes().remove(path).map(drop).ok_or_else(missing)
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        self.nodes().remove(path).map(drop).ok_or_else(missing)
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        let mut nodes = self.nodes();
        let node = nodes.remove(from).ok_or_else(missing)?;
        nodes.insert(to.clone(), node);
        Ok(())
    }

    fn set_mode(&self, path: &VirtualPath, _: u32) -> io::Result<()> {
        self.metadata(path).map(drop)
    }

    fn set_modified(&self, path: &VirtualPath, _: i64) -> io::Result<()> {
        self.metadata(path).map(drop)
    }
}

struct Open {
    files: Memory,
    path: VirtualPath,
    position: usize,
}

impl File for Open {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let nodes = self.files.nodes();
        let content = nodes
            .get(&self.path)
            .and_then(Option::as_ref)
            .ok_or_else(missing)?;
        let rest = &content[self.position..];
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        let mut nodes = self.files.nodes();
        let content = nodes
            .get_mut(&self.path)
            .and_then(Option::as_mut)
            .ok_or_else(missing)?;
        let end = self.position + buf.len();
        content.resize(content.len().max(end), 0);
        content[self.position..end].copy_from_slice(buf);
        self.position = end;
        Ok(())
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.position = position as usize;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.files.metadata(&self.path)?.size)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

struct List {
    files: Memory,
    path: VirtualPath,
    names: Vec<Vec<u8>>,
}

impl Directory for List {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let count = max.min(self.names.len());
        into.extend(self.names.drain(..count));
        Ok(!self.names.is_empty())
    }

    fn metadata(&mut self, name: &[u8], _: bool) -> io::Result<Metadata> {
        self.files.metadata(&self.path.child(name))
    }

    fn read_link(&mut self, _: &[u8]) -> io::Result<Vec<u8>> {
        Err(missing())
    }
}
