//! From the lower layer to the upper one.
//!
//! Content is copied beside its place, without a lock, and put there in one step. The lower layer
//! does not change, so a copy is true whenever it was made.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;

use super::layers::{HIDDEN, Overlay, whiteout};
use super::locate::{MAX_DEPTH, optional};
use crate::fs::{FileKind, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

/// Bytes that are copied at once.
const PIECE: usize = 256 * 1024;
/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;

impl<U: FileSystem, L: FileSystem> Overlay<U, L> {
    /// What `path` leads to, which is in the upper layer now.
    pub(super) fn to_be_changed(&self, path: &VirtualPath) -> io::Result<VirtualPath> {
        let spot = self.locate(path, true)?;
        if spot.facts().is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        self.copy_up(&spot.path)?;
        Ok(spot.path)
    }

    /// Sees to it that the directory `path`, which is seen, is in the upper layer.
    pub(super) fn make_dirs(&self, path: &VirtualPath) -> io::Result<()> {
        let mut at = VirtualPath::root();
        for name in path.components() {
            at = at.child(name);
            if optional(self.upper().symlink_metadata(&at))?.is_some() {
                continue;
            }
            let below = self.lower().symlink_metadata(&at)?;
            self.upper().create_dir(&at)?;
            self.set_mode_above(&at, &below)?;
            self.set_modified_above(&at, &below)?;
        }
        Ok(())
    }

    /// The mode of a copy, where there are modes. A file that is somebody else's now must not run as
    /// him.
    pub(super) fn set_mode_above(&self, path: &VirtualPath, like: &Metadata) -> io::Result<()> {
        let mut mode = like.mode & 0o7777;
        if like.is_file() && mode & SET_ID != 0 {
            let own = self.upper().symlink_metadata(path)?;
            if (own.uid, own.gid) != (like.uid, like.gid) {
                mode &= !SET_ID;
            }
        }
        if_supported(self.upper().set_mode(path, mode))
    }

    fn set_modified_above(&self, path: &VirtualPath, like: &Metadata) -> io::Result<()> {
        if_supported(self.upper().set_modified(path, like.modified))
    }

    /// Copies what is only in the lower layer: a file with its content, a directory without.
    pub(super) fn copy_up(&self, path: &VirtualPath) -> io::Result<()> {
        let spot = self.locate(path, false)?;
        let (None, Some(below)) = (&spot.upper, &spot.lower) else {
            return Ok(());
        };
        match below.kind {
            FileKind::Directory => {
                let _changing = self.changing();
                self.make_dirs(&spot.path)
            }
            FileKind::File => self.copy_file(&spot.path, below),
            FileKind::Symlink | FileKind::Other => Err(ErrorKind::CrossesDevices.into()),
        }
    }

    /// The same with all that is in a directory.
    pub(super) fn copy_up_tree(&self, path: &VirtualPath, depth: usize) -> io::Result<()> {
        let spot = self.locate(path, false)?;
        if spot.lower.is_none() {
            return Ok(());
        }
        self.copy_up(path)?;
        if !spot.is_dir()? {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(io::Error::other("Directory tree too deep"));
        }
        let mut names = Vec::new();
        let mut directory = self.read_dir(path)?;
        while directory.read_names(1024, &mut names)? {}
        drop(directory);
        for name in names {
            match self.copy_up_tree(&path.child(&name), depth + 1) {
                // Removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                done => done?,
            }
        }
        Ok(())
    }

    fn copy_file(&self, path: &VirtualPath, below: &Metadata) -> io::Result<()> {
        let Some(parent) = path.parent() else {
            return Err(ErrorKind::IsADirectory.into());
        };
        let number = self.0.copies.fetch_add(1, Ordering::Relaxed);
        let name = format!("copy-{}-{number}", std::process::id());
        let copy = parent.child(&whiteout(&[HIDDEN, name.as_bytes()].concat()));
        {
            let _changing = self.changing();
            self.make_dirs(&parent)?;
        }
        let placed = self
            .copy_content(path, &copy, below)
            .and_then(|()| self.place(&copy, path));
        if !matches!(placed, Ok(true)) {
            // If that fails too, an invisible file is left over.
            let _ = self.upper().remove_file(&copy);
        }
        placed.map(drop)
    }

    /// False if there is no use for the copy any more.
    fn place(&self, copy: &VirtualPath, path: &VirtualPath) -> io::Result<bool> {
        let _changing = self.changing();
        let spot = self.locate(path, false)?;
        if spot.upper.is_some() || spot.lower.is_none() {
            return Ok(false);
        }
        self.upper().rename(copy, path)?;
        Ok(true)
    }

    fn copy_content(
        &self,
        from: &VirtualPath,
        to: &VirtualPath,
        facts: &Metadata,
    ) -> io::Result<()> {
        let mut source = self.lower().open(from, OpenMode::Read)?;
        let mut target = self.upper().open(to, OpenMode::CreateNew)?;
        // Before there is anything to read in it.
        self.set_mode_above(to, facts)?;
        let mut buffer = vec![0; PIECE];
        let mut copied = 0;
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            copied += count as u64;
            if copied > facts.size {
                break;
            }
            target.write_all(&buffer[..count])?;
        }
        target.close()?;
        if copied != facts.size {
            return Err(io::Error::other("The file changed while it was copied"));
        }
        self.set_modified_above(to, facts)
    }
}

fn if_supported(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        done => done,
    }
}
