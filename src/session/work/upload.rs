//! Where the bytes of an upload go: into the file that the client names, or first into a hidden one
//! beside it that takes its name when the upload is a success (`atomic_uploads`).
//!
//! A hidden file is [`settled`](Hidden::settle) once: it gets its name, or is kept for a later REST, or
//! goes. One that is dropped before, since its session ended, is given up in the same way; only a
//! process that is killed leaves one behind.

use std::fmt;
use std::sync::Arc;
use std::{io, iter};

use super::opening::{OpenError, at_offset, within};
use super::pool::Hands;
use crate::fs::{File, FileSystem, OpenMode, describe, is_large, together};
use crate::proto::path::VirtualPath;
use crate::session::config::Uploads;
use crate::session::random;
use crate::target::TARGET;

/// How many names are tried before it is given up.
const TRIES: u64 = 50;
/// What the name of a hidden file begins with.
const HIDDEN: &[u8] = b".ftpdlib-";

/// An upload as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: VirtualPath,
    pub(crate) mode: OpenMode,
    /// With [`OpenMode::Resume`].
    pub(crate) rest: u64,
    /// ALLO's size.
    pub(crate) declared: Option<u64>,
    pub(crate) uploads: Uploads,
}

/// An upload whose bytes may come.
pub(crate) struct Upload {
    pub(crate) file: Box<dyn File>,
    pub(crate) hidden: Option<Hidden>,
}

/// A file that has not got its name yet.
pub(crate) struct Hidden {
    fs: Arc<dyn FileSystem>,
    path: VirtualPath,
    target: VirtualPath,
    /// It must not replace anything.
    new: bool,
    keep: bool,
    settled: bool,
    /// Who gives it up where that may take long.
    hands: Option<Hands>,
}

/// What becomes of a hidden file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It gets its name.
    Published,
    /// The upload was cut off: it is kept if the server keeps such, and goes otherwise.
    CutOff,
    /// Nobody is to have it.
    Refused,
}

/// Where the bytes of `target` are kept when their upload is cut off.
pub(crate) fn part_of(target: &VirtualPath) -> VirtualPath {
    let name = target.file_name().unwrap_or_default();
    beside(target, &[b".", name, b".part"].concat())
}

fn beside(path: &VirtualPath, name: &[u8]) -> VirtualPath {
    let parent = path.parent().unwrap_or_else(VirtualPath::root);
    parent.child(name)
}

impl Target {
    /// Whether it could work, found out without changing anything.
    pub(crate) fn check(&self, fs: &dyn FileSystem) -> Result<(), OpenError> {
        let at = self.place(fs)?;
        self.check_room(fs, &at)
    }

    /// Opens it.
    pub(crate) fn open(&self, fs: &Arc<dyn FileSystem>) -> Result<Upload, OpenError> {
        let open = |path: &VirtualPath, mode| fs.open(path, mode).map(Some);
        let upload = self.open_by(fs, open)?;
        upload.ok_or_else(|| io::Error::other("Not opened").into())
    }

    /// The same on the loop; `None` where that would take long.
    pub(crate) fn open_at_once(
        &self,
        fs: &Arc<dyn FileSystem>,
    ) -> Result<Option<Upload>, OpenError> {
        self.open_by(fs, |path, mode| fs.open_at_once(path, mode))
    }

    fn open_by(
        &self,
        fs: &Arc<dyn FileSystem>,
        open: impl FnOnce(&VirtualPath, OpenMode) -> io::Result<Option<Box<dyn File>>>,
    ) -> Result<Option<Upload>, OpenError> {
        // As a rule there is nothing that opening it would not tell.
        let place = match self.uploads {
            Uploads {
                atomic: false,
                no_overwrite: false,
                ..
            } => Place::Itself,
            _ => self.place(&**fs)?,
        };
        self.check_room(&**fs, &place)?;
        match place {
            Place::Itself => self.open_itself(open),
            Place::Part => self.open_part(fs).map(Some),
            Place::Hidden => self.open_hidden(fs).map(Some),
        }
    }

    /// Where its bytes are to go, if anywhere.
    fn place(&self, fs: &dyn FileSystem) -> Result<Place, OpenError> {
        let found = match fs.metadata(&self.path) {
            Ok(found) if found.is_dir() => {
                return Err(error(io::ErrorKind::IsADirectory, "Is a directory"));
            }
            Ok(found) if !found.is_file() => {
                return Err(io::Error::other("Not a regular file").into());
            }
            Ok(found) => Some(found.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let Uploads {
            atomic,
            keep_partial,
            no_overwrite,
        } = self.uploads;
        let whole = matches!(self.mode, OpenMode::Write | OpenMode::CreateNew);
        if whole && found.is_some() && (no_overwrite || self.mode == OpenMode::CreateNew) {
            return Err(exists().into());
        }
        let goes_on = match self.mode {
            OpenMode::Resume => true,
            // A client that has been told the part's size may also go on by APPE.
            OpenMode::Append => found.is_none(),
            _ => false,
        };
        if atomic && keep_partial && goes_on {
            let part = fs.metadata(&part_of(&self.path));
            if let Some(part) = part.ok().filter(|part| part.is_file()) {
                // It will replace what is there.
                if no_overwrite && found.is_some() {
                    return Err(exists().into());
                }
                within(self.rest, part.size)?;
                return Ok(Place::Part);
            }
        }
        match (found, self.mode) {
            (Some(size), OpenMode::Resume) if no_overwrite && self.rest < size => {
                return Err(exists().into());
            }
            (Some(size), _) => within(self.rest, size)?,
            (None, OpenMode::Resume) => return Err(missing(fs, &self.path)),
            (None, _) => {
                let parent = self.path.parent().unwrap_or_else(VirtualPath::root);
                if !fs.metadata(&parent)?.is_dir() {
                    return Err(error(io::ErrorKind::NotADirectory, "Not a directory"));
                }
            }
        }
        Ok(match atomic && whole {
            true => Place::Hidden,
            false => Place::Itself,
        })
    }

    fn check_room(&self, fs: &dyn FileSystem, place: &Place) -> Result<(), OpenError> {
        // ALLO may mean the whole file, or what is still to come of it.
        let bytes = self
            .declared
            .map(|declared| declared.saturating_sub(self.rest));
        let (path, mode) = match place {
            Place::Itself => (self.path.clone(), self.mode),
            Place::Part => (part_of(&self.path), self.mode),
            // Beside what it will replace.
            Place::Hidden => (beside(&self.path, HIDDEN), OpenMode::CreateNew),
        };
        fs.check_room(&path, mode, bytes).map_err(|error| {
            // What is asked for is more than there is: 552, as of a quota. It may be asked for less. (A
            // disk that fills up in the midst of it is a 452.)
            match error.kind() {
                io::ErrorKind::StorageFull if bytes.is_some() => {
                    io::Error::new(io::ErrorKind::QuotaExceeded, describe(&error)).into()
                }
                _ => error.into(),
            }
        })
    }

    fn open_itself(
        &self,
        open: impl FnOnce(&VirtualPath, OpenMode) -> io::Result<Option<Box<dyn File>>>,
    ) -> Result<Option<Upload>, OpenError> {
        let no_overwrite = self.uploads.no_overwrite;
        let mode = match self.mode {
            OpenMode::Write if no_overwrite => OpenMode::CreateNew,
            mode => mode,
        };
        let Some(file) = open(&self.path, mode).map_err(said_by_us)? else {
            return Ok(None);
        };
        let file = at_offset(file, self.rest)?;
        if self.mode == OpenMode::Resume && no_overwrite && self.rest < file.size()? {
            return Err(exists().into());
        }
        Ok(Some(Upload { file, hidden: None }))
    }

    fn open_hidden(&self, fs: &Arc<dyn FileSystem>) -> Result<Upload, OpenError> {
        for _ in 0..TRIES {
            let hidden = self.hidden(fs);
            match fs.open(&hidden.path, OpenMode::CreateNew) {
                Ok(file) => {
                    let hidden = Some(hidden);
                    return Ok(Upload { file, hidden });
                }
                Err(error) => {
                    hidden.forget();
                    if error.kind() != io::ErrorKind::AlreadyExists {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(io::Error::other("No usable unique file name found").into())
    }

    /// Takes the part that was kept away from others who would go on with it, too.
    fn open_part(&self, fs: &Arc<dyn FileSystem>) -> Result<Upload, OpenError> {
        let hidden = self.hidden(fs);
        if let Err(error) = fs.rename(&part_of(&self.path), &hidden.path) {
            hidden.forget();
            return Err(error.into());
        }
        // If this fails the part goes back to where it was.
        let file = at_offset(fs.open(&hidden.path, self.mode)?, self.rest)?;
        let hidden = Some(hidden);
        Ok(Upload { file, hidden })
    }

    fn hidden(&self, fs: &Arc<dyn FileSystem>) -> Hidden {
        let mut name = HIDDEN.to_vec();
        name.extend(random::letters());
        let unique = self.mode == OpenMode::CreateNew;
        Hidden {
            fs: Arc::clone(fs),
            path: beside(&self.path, &name),
            target: self.path.clone(),
            new: self.uploads.no_overwrite || unique,
            // Nobody can ask for that name again.
            keep: self.uploads.keep_partial && !unique,
            settled: false,
            hands: None,
        }
    }
}

enum Place {
    Itself,
    Hidden,
    /// What was kept of an earlier upload.
    Part,
}

impl Hidden {
    /// Where the bytes are.
    pub(crate) fn path(&self) -> &VirtualPath {
        &self.path
    }

    pub(crate) fn filesystem(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// Whether that may take long: where the file system is slow, and where it has to let go of a large file.
    pub(super) fn is_slow_to_settle(&self, fate: Fate) -> bool {
        let fs = &*self.fs;
        fs.changes_are_slow() || self.loses(fate).any(|path| is_large(fs, &path))
    }

    /// The files that may go when this is what becomes of it.
    fn loses(&self, fate: Fate) -> impl Iterator<Item = VirtualPath> {
        let first = match fate {
            Fate::Published => &self.target,
            Fate::CutOff | Fate::Refused => &self.path,
        };
        let part = (self.keep && fate != Fate::Refused).then(|| part_of(&self.target));
        iter::once(first.clone()).chain(part)
    }

    /// If it is dropped and to give it up may take long, a worker thread is to do it.
    pub(super) fn ends_on(&mut self, hands: Hands) {
        self.hands = Some(hands);
    }

    /// It was never made.
    fn forget(mut self) {
        self.settled = true;
    }

    pub(crate) fn settle(mut self, fate: Fate) -> io::Result<()> {
        let fs = Arc::clone(&self.fs);
        together(&*fs, || self.meet(fate))
            .unwrap_or_else(|| Err(io::Error::other("Internal error")))
    }

    fn meet(&mut self, fate: Fate) -> io::Result<()> {
        self.settled = true;
        if fate != Fate::Published {
            return self.give_up(fate);
        }
        let published = match self.new {
            true => self.fs.rename_new(&self.path, &self.target),
            false => self.fs.rename(&self.path, &self.target),
        };
        if let Err(error) = published {
            if let Err(left) = self.give_up(Fate::Refused) {
                self.lament(&left);
            }
            return Err(said_by_us(error));
        }
        if self.keep {
            // That of an earlier try is of no use any more.
            let _ = self.fs.remove_file(&part_of(&self.target));
        }
        Ok(())
    }

    fn give_up(&self, fate: Fate) -> io::Result<()> {
        let worth = || self.fs.metadata(&self.path).is_ok_and(|part| part.size > 0);
        if fate == Fate::CutOff
            && self.keep
            && worth()
            && self.fs.rename(&self.path, &part_of(&self.target)).is_ok()
        {
            return Ok(());
        }
        match self.fs.remove_file(&self.path) {
            // A handler may have taken it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn lament(&self, error: &io::Error) {
        let (path, why) = (&self.path, describe(error));
        log::warn!(target: TARGET, "the unfinished upload {path} stays: {why}");
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let fs = Arc::clone(&self.fs);
        if let Some(hands) = self.hands.take()
            && self.is_slow_to_settle(Fate::CutOff)
        {
            let same = Hidden {
                fs,
                path: self.path.clone(),
                target: self.target.clone(),
                new: self.new,
                keep: self.keep,
                settled: false,
                hands: None,
            };
            // Without a thread it is given up here.
            let _ = hands.run(move || drop(same));
            return;
        }
        if let Some(Err(error)) = together(&*fs, || self.meet(Fate::CutOff)) {
            self.lament(&error);
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hidden")
            .field("path", &self.path)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

fn error(kind: io::ErrorKind, text: &'static str) -> OpenError {
    io::Error::new(kind, text).into()
}

/// The system's error for a path that is not there.
fn missing(fs: &dyn FileSystem, path: &VirtualPath) -> OpenError {
    match fs.metadata(path) {
        Err(error) => error.into(),
        Ok(_) => error(io::ErrorKind::NotFound, "No such file or directory"),
    }
}

fn exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "File exists")
}

/// That something is there, in words that are the same on every system.
fn said_by_us(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => error,
    }
}
