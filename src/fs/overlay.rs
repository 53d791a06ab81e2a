//! Two file systems as one: what is changed goes to the upper one, the lower one stays as it is.
//!
//! A path is first freed of its links, name by name through both layers (`locate`), since what a link
//! means is a matter of what is seen and not of one layer. What must be changed and is only below is
//! copied up (`copy`), what is removed and still below gets a *whiteout* above.

mod copy;
mod directory;
mod layers;
mod locate;

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use directory::MergedDirectory;
pub use layers::Overlay;
use layers::{is_hidden, whiteout};
use locate::{Spot, optional};

use super::{Directory, File, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

impl<U: FileSystem, L: FileSystem> Overlay<U, L> {
    /// Hides what the lower layer has there, for good.
    fn white_out(&self, path: &VirtualPath) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::PermissionDenied.into());
        };
        self.make_dirs(&parent)?;
        let mark = parent.child(&whiteout(name));
        self.upper().open(&mark, OpenMode::Write)?.close()
    }

    /// Renames, over what has the new name only if it may be replaced.
    fn give_name(&self, from: &VirtualPath, to: &VirtualPath, replace: bool) -> io::Result<()> {
        must_not_be_root(from)?;
        must_not_be_root(to)?;
        let (old, new) = (self.locate(from, false)?, self.locate(to, false)?);
        if !old.may_replace(&new, replace)? {
            return Ok(());
        }
        self.copy_up_tree(&old.path, 0)?;
        let _changing = self.changing();
        let (old, new) = (
            self.locate(&old.path, false)?,
            self.locate(&new.path, false)?,
        );
        if !old.may_replace(&new, replace)? {
            return Ok(());
        }
        if old.is_dir()? && new.facts().is_some() {
            self.remove_empty(&new)?;
        }
        if let Some(parent) = new.path.parent() {
            self.make_dirs(&parent)?;
        }
        if old.lower.is_some() {
            // All of it is above: it is still seen, and does not come back when it is renamed.
            self.white_out(&old.path)?;
        }
        self.upper().rename(&old.path, &new.path)
    }

    /// Removes a directory that is seen to be empty: what is in the upper one are marks.
    fn remove_empty(&self, spot: &Spot) -> io::Result<()> {
        let mut names = Vec::new();
        let mut directory = self.read_dir(&spot.path)?;
        while directory.read_names(256, &mut names)? {
            if !names.is_empty() {
                break;
            }
        }
        drop(directory);
        if !names.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        if spot.lower.is_some() {
            // Nor does it show the lower one's names when its own marks are gone.
            self.white_out(&spot.path)?;
        }
        if spot.upper.is_none() {
            return Ok(());
        }
        let mut directory = self.upper().read_dir(&spot.path)?;
        while directory.read_names(1024, &mut names)? {}
        drop(directory);
        for mark in names.iter().filter(|name| is_hidden(name)) {
            self.upper().remove_file(&spot.path.child(mark))?;
        }
        self.upper().remove_dir(&spot.path)
    }
}

impl<U: FileSystem, L: FileSystem> FileSystem for Overlay<U, L> {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        if path.is_root() {
            return self.upper().metadata(path);
        }
        self.locate(path, true)?.into_facts()
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        if path.is_root() {
            return self.upper().metadata(path);
        }
        self.locate(path, false)?.into_facts()
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let follow = mode != OpenMode::CreateNew;
        let spot = self.locate(path, follow)?;
        if mode == OpenMode::Read {
            return match (&spot.upper, &spot.lower) {
                (None, Some(_)) => self.lower().open(&spot.path, mode),
                (Some(_), _) => self.upper().open(&spot.path, mode),
                (None, None) => Err(ErrorKind::NotFound.into()),
            };
        }
        spot.must_be_free_or_file(mode)?;
        if matches!(mode, OpenMode::Append | OpenMode::Resume) {
            self.copy_up(&spot.path)?;
        }
        let _changing = self.changing();
        let spot = self.locate(&spot.path, follow)?;
        spot.must_be_free_or_file(mode)?;
        if let Some(parent) = spot.path.parent() {
            self.make_dirs(&parent)?;
        }
        let file = self.upper().open(&spot.path, mode)?;
        if let (None, Some(below)) = (&spot.upper, &spot.lower) {
            // It is emptied and not copied, but is still the same file.
            if let Err(error) = self.set_mode_above(&spot.path, below) {
                drop(file);
                // Then the old one is seen again.
                self.upper().remove_file(&spot.path)?;
                return Err(error);
            }
        }
        Ok(file)
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        let spot = self.locate(path, true)?;
        if !spot.is_dir()? {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Box::new(MergedDirectory::open(self, spot)?))
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        let spot = self.locate(path, true)?;
        match (spot.is_dir()?, &spot.upper) {
            (false, _) => Err(ErrorKind::NotADirectory.into()),
            (true, Some(_)) => self.upper().enter_dir(&spot.path),
            (true, None) => self.lower().enter_dir(&spot.path),
        }
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        let _changing = self.changing();
        let spot = self.locate(path, false)?;
        if spot.facts().is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        spot.must_not_be_hidden()?;
        if let Some(parent) = spot.path.parent() {
            self.make_dirs(&parent)?;
        }
        self.upper().create_dir(&spot.path)
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        must_not_be_root(path)?;
        let _changing = self.changing();
        let spot = self.locate(path, false)?;
        if !spot.is_dir()? {
            return Err(ErrorKind::NotADirectory.into());
        }
        self.remove_empty(&spot)
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        let _changing = self.changing();
        let spot = self.locate(path, false)?;
        if spot.is_dir()? {
            return Err(ErrorKind::IsADirectory.into());
        }
        if spot.lower.is_some() {
            self.white_out(&spot.path)?;
        }
        match spot.upper {
            Some(_) => self.upper().remove_file(&spot.path),
            None => Ok(()),
        }
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.give_name(from, to, true)
    }

    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.give_name(from, to, false)
    }

    /// The room is the upper layer's, also for what has to be copied up.
    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        let spot = self.locate(path, true)?;
        if spot.upper.is_some() {
            return self.upper().check_room(&spot.path, mode, bytes);
        }
        let copied = spot.lower.map_or(0, |below| below.size);
        let bytes = match mode {
            OpenMode::Append => Some(copied.saturating_add(bytes.unwrap_or(0))),
            OpenMode::Resume => Some(copied.max(bytes.unwrap_or(0))),
            _ => bytes,
        };
        // Its directory need not be above yet; but where not even the root is there, nothing can be put.
        let mut directory = spot.path.parent().unwrap_or_default();
        while optional(self.upper().symlink_metadata(&directory))?.is_none() {
            directory = directory.parent().ok_or(ErrorKind::NotFound)?;
        }
        let name = spot.path.file_name().unwrap_or_default();
        let at = directory.child(name);
        self.upper().check_room(&at, OpenMode::CreateNew, bytes)
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        let path = self.to_be_changed(path)?;
        self.upper().set_mode(&path, mode)
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        let path = self.to_be_changed(path)?;
        self.upper().set_modified(&path, seconds)
    }

    /// One whiteout hides all that is below it.
    fn remove_tree(&self, path: &VirtualPath) -> io::Result<()> {
        must_not_be_root(path)?;
        let changing = self.changing();
        let spot = self.locate(path, false)?;
        if !spot.is_dir()? {
            return Err(ErrorKind::NotADirectory.into());
        }
        if spot.lower.is_some() {
            self.white_out(&spot.path)?;
        }
        drop(changing);
        match spot.upper {
            Some(_) => self.upper().remove_tree(&spot.path),
            None => Ok(()),
        }
    }

    /// That of the layer that has it; of what there is not, that of the upper layer.
    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        match self.locate(path, true) {
            Ok(spot) if spot.upper.is_none() && spot.lower.is_some() => {
                self.lower().real_path(&spot.path)
            }
            Ok(spot) => self.upper().real_path(&spot.path),
            Err(_) => self.upper().real_path(path),
        }
    }

    /// The upper layer's; where that has none, the lower one's.
    fn start_directory(&self) -> VirtualPath {
        let start = self.upper().start_directory();
        match start.is_root() {
            true => self.lower().start_directory(),
            false => start,
        }
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        let name = self.upper().user_name(uid);
        name.or_else(|| self.lower().user_name(uid))
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        let name = self.upper().group_name(gid);
        name.or_else(|| self.lower().group_name(gid))
    }

    fn together(&self, work: &mut dyn FnMut()) {
        self.upper().together(&mut || self.lower().together(work));
    }

    fn is_slow(&self) -> bool {
        self.upper().is_slow() || self.lower().is_slow()
    }

    /// There may be much to copy.
    fn changes_are_slow(&self) -> bool {
        true
    }
}

fn must_not_be_root(path: &VirtualPath) -> io::Result<()> {
    match path.is_root() {
        true => Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "Not the root directory",
        )),
        false => Ok(()),
    }
}
