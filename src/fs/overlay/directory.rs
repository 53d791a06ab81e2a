//! A directory of both layers as one.

use std::collections::HashSet;
use std::io::{self, ErrorKind};

use super::layers::{HIDDEN, Overlay, is_hidden};
use super::locate::{Spot, optional};
use crate::fs::{Directory, FileKind, FileSystem, Metadata};
use crate::proto::path::VirtualPath;

/// First the upper layer's names, then those of the lower one that are neither among them nor
/// whited out.
pub(super) struct MergedDirectory<U, L> {
    overlay: Overlay<U, L>,
    path: VirtualPath,
    upper: Option<Layer>,
    lower: Option<Layer>,
    /// The names that the lower layer is not asked for. Only where there is one.
    covered: HashSet<Vec<u8>>,
}

struct Layer {
    directory: Box<dyn Directory>,
    more: bool,
}

impl Layer {
    fn of(directory: io::Result<Box<dyn Directory>>) -> io::Result<Option<Layer>> {
        let directory = optional(directory)?;
        Ok(directory.map(|directory| Layer {
            directory,
            more: true,
        }))
    }
}

impl<U: FileSystem, L: FileSystem> MergedDirectory<U, L> {
    pub(super) fn open(overlay: &Overlay<U, L>, spot: Spot) -> io::Result<Self> {
        let is_dir = |facts: &Option<Metadata>| facts.as_ref().is_some_and(Metadata::is_dir);
        let (mut upper, mut lower) = (None, None);
        if is_dir(&spot.upper) {
            upper = Layer::of(overlay.upper().read_dir(&spot.path))?;
        }
        if is_dir(&spot.lower) {
            lower = Layer::of(overlay.lower().read_dir(&spot.path))?;
        }
        Ok(MergedDirectory {
            overlay: overlay.clone(),
            path: spot.path,
            upper,
            lower,
            covered: HashSet::new(),
        })
    }

    /// Runs `ask` on the layer that has `name`.
    fn ask<T>(
        &mut self,
        name: &[u8],
        ask: impl Fn(&mut dyn Directory) -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(upper) = &mut self.upper
            && !is_hidden(name)
            && let Some(found) = optional(ask(&mut *upper.directory))?
        {
            return Ok(found);
        }
        // Before the upper layer is read to its end, not all that it covers is known.
        let unknown = self.upper.as_ref().is_some_and(|upper| upper.more);
        let covered = match unknown {
            true => {
                let spot = self.overlay.locate(&self.path.child(name), false)?;
                spot.lower.is_none()
            }
            false => self.covered.contains(name),
        };
        match &mut self.lower {
            Some(lower) if !is_hidden(name) && !covered => ask(&mut *lower.directory),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl<U: FileSystem, L: FileSystem> Directory for MergedDirectory<U, L> {
    /// One call of a layer each time, though it may bring nothing that is seen.
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let mut names = Vec::new();
        if let Some(upper) = &mut self.upper
            && upper.more
        {
            upper.more = upper.directory.read_names(max, &mut names)?;
            let more = upper.more || self.lower.is_some();
            for name in names {
                match name.strip_prefix(HIDDEN) {
                    Some(_) if self.lower.is_none() => {}
                    Some(hidden) => drop(self.covered.insert(hidden.to_vec())),
                    None => {
                        if self.lower.is_some() {
                            self.covered.insert(name.clone());
                        }
                        into.push(name);
                    }
                }
            }
            return Ok(more);
        }
        let Some(lower) = &mut self.lower else {
            return Ok(false);
        };
        if lower.more {
            lower.more = lower.directory.read_names(max, &mut names)?;
            names.retain(|name| !is_hidden(name) && !self.covered.contains(name));
            into.append(&mut names);
        }
        Ok(lower.more)
    }

    fn metadata(&mut self, name: &[u8], follow: bool) -> io::Result<Metadata> {
        let found = self.ask(name, |directory| directory.metadata(name, false))?;
        if follow && found.kind == FileKind::Symlink {
            // What it leads to may be in the other layer.
            return self.overlay.metadata(&self.path.child(name));
        }
        Ok(found)
    }

    fn read_link(&mut self, name: &[u8]) -> io::Result<Vec<u8>> {
        self.ask(name, |directory| directory.read_link(name))
    }
}
