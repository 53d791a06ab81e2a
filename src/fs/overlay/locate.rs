//! From a path to what both layers have there.

use std::io::{self, ErrorKind};

use super::layers::{Overlay, is_hidden, whiteout};
use crate::fs::{FileKind, FileSystem, Metadata, OpenMode};
use crate::proto::path::VirtualPath;

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// Every directory of a path costs some calls.
pub(super) const MAX_DEPTH: usize = 256;

/// A path without links, and what the layers have there.
#[derive(Clone)]
pub(super) struct Spot {
    pub(super) path: VirtualPath,
    pub(super) upper: Option<Metadata>,
    /// None where a whiteout, or something above it that is no directory, hides what there is. It is
    /// told of also where `upper` has something.
    pub(super) lower: Option<Metadata>,
}

impl Spot {
    /// What is seen of it.
    pub(super) fn facts(&self) -> Option<&Metadata> {
        self.upper.as_ref().or(self.lower.as_ref())
    }

    pub(super) fn into_facts(self) -> io::Result<Metadata> {
        let facts = self.upper.or(self.lower);
        facts.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// An error where nothing is.
    pub(super) fn is_dir(&self) -> io::Result<bool> {
        let facts = self.facts().map(Metadata::is_dir);
        facts.ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn must_not_be_hidden(&self) -> io::Result<()> {
        match self.path.file_name().is_some_and(is_hidden) {
            true => Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "Names that begin with '.wh.' are reserved",
            )),
            false => Ok(()),
        }
    }

    pub(super) fn must_be_free_or_file(&self, mode: OpenMode) -> io::Result<()> {
        self.must_not_be_hidden()?;
        match (self.facts().map(|facts| facts.kind), mode) {
            (Some(_), OpenMode::CreateNew) => Err(ErrorKind::AlreadyExists.into()),
            (Some(FileKind::Directory), _) => Err(ErrorKind::IsADirectory.into()),
            (Some(FileKind::File), _) => Ok(()),
            (Some(_), _) => Err(not_regular()),
            (None, OpenMode::Resume) => Err(ErrorKind::NotFound.into()),
            (None, _) => Ok(()),
        }
    }

    /// Whether it can be renamed to `new`, as rename(2) has it; false if they are the same.
    pub(super) fn may_replace(&self, new: &Spot, replace: bool) -> io::Result<bool> {
        let is_dir = self.is_dir()?;
        new.must_not_be_hidden()?;
        if !replace && new.facts().is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if self.path == new.path {
            return Ok(false);
        }
        if new.path.starts_with(&self.path) {
            return Err(ErrorKind::InvalidInput.into());
        }
        match (is_dir, new.facts().map(Metadata::is_dir)) {
            (false, Some(true)) => Err(ErrorKind::IsADirectory.into()),
            (true, Some(false)) => Err(ErrorKind::NotADirectory.into()),
            _ => Ok(true),
        }
    }
}

/// What is not there is no error.
pub(super) fn optional<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl<U: FileSystem, L: FileSystem> Overlay<U, L> {
    /// Frees `path` of links, of one at its end if they are to be followed there too. All but the
    /// last name must be there.
    pub(super) fn locate(&self, path: &VirtualPath, follow: bool) -> io::Result<Spot> {
        // The names that are still to come, the last first.
        let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        // The way from the root to where we are.
        let mut way = vec![self.root()];
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                way.pop();
                if way.is_empty() {
                    return Err(outside(path));
                }
                continue;
            }
            let here = way.last().ok_or_else(|| outside(path))?;
            if !here.is_dir()? {
                return Err(ErrorKind::NotADirectory.into());
            }
            if way.len() > MAX_DEPTH {
                return Err(ErrorKind::InvalidFilename.into());
            }
            let spot = self.look(here, &name)?;
            let is_link = spot.facts().is_some_and(|it| it.kind == FileKind::Symlink);
            if !is_link || (todo.is_empty() && !follow) {
                way.push(spot);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("Too many levels of symbolic links"));
            }
            let (is_absolute, target) = self.target(&spot).ok_or_else(|| outside(path))??;
            if is_absolute {
                way.truncate(1);
            }
            let names = target.split(|&byte| byte == b'/').rev();
            let names = names.filter(|name| !matches!(*name, b"" | b"."));
            todo.extend(names.map(<[u8]>::to_vec));
        }
        way.pop().ok_or_else(|| outside(path))
    }

    fn root(&self) -> Spot {
        Spot {
            path: VirtualPath::root(),
            upper: Some(Metadata::directory(0)),
            lower: Some(Metadata::directory(0)),
        }
    }

    /// What there is by this name in the directory `parent`.
    fn look(&self, parent: &Spot, name: &[u8]) -> io::Result<Spot> {
        let in_layer = |facts: &Option<Metadata>| facts.as_ref().is_some_and(Metadata::is_dir);
        let path = parent.path.child(name);
        let (mut upper, mut lower) = (None, None);
        if !is_hidden(name) {
            if in_layer(&parent.upper) {
                upper = optional(self.upper().symlink_metadata(&path))?;
            }
            if in_layer(&parent.lower) {
                lower = optional(self.lower().symlink_metadata(&path))?;
            }
            if lower.is_some() && in_layer(&parent.upper) && self.is_whited_out(parent, name)? {
                lower = None;
            }
        }
        Ok(Spot { path, upper, lower })
    }

    fn is_whited_out(&self, parent: &Spot, name: &[u8]) -> io::Result<bool> {
        let mark = parent.path.child(&whiteout(name));
        match self.upper().symlink_metadata(&mark) {
            Ok(_) => Ok(true),
            // No mark can be there whose name is too long.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::InvalidFilename
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Where a link points, and whether that counts from the root; None if it is outside the layer
    /// that has it.
    fn target(&self, link: &Spot) -> Option<io::Result<(bool, Vec<u8>)>> {
        let name = link.path.file_name()?;
        let parent = link.path.parent()?;
        let (directory, root) = match link.upper {
            Some(_) => (
                self.upper().read_dir(&parent),
                self.upper().real_path(&VirtualPath::root()),
            ),
            None => (
                self.lower().read_dir(&parent),
                self.lower().real_path(&VirtualPath::root()),
            ),
        };
        let target = match directory.and_then(|mut directory| directory.read_link(name)) {
            Ok(target) => target,
            Err(error) => return Some(Err(error)),
        };
        if !target.starts_with(b"/") {
            return Some(Ok((false, target)));
        }
        // On a disk it is written with the layer's real path.
        let rest = match &root {
            None => &target[..],
            Some(root) => {
                let root = root.as_os_str().as_encoded_bytes();
                let root = root.strip_suffix(b"/").unwrap_or(root);
                target
                    .strip_prefix(root)
                    .filter(|rest| rest.is_empty() || rest.starts_with(b"/"))?
            }
        };
        Some(Ok((true, rest.to_vec())))
    }
}

fn outside(path: &VirtualPath) -> io::Error {
    let text = format!("'{path}' points to a path which is outside the user's root directory");
    io::Error::new(ErrorKind::PermissionDenied, text)
}

fn not_regular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "Not a regular file")
}
