//! A user's files with his quota: what he stores is counted before it is written, and what would pass
//! his limits is refused (`Limits::quota_bytes`, `quota_files`).
//!
//! The file system of such a user is put in this one at login, so that no way to his files goes past the
//! count, and nobody else pays for it. What he has is counted on a worker thread when his first session
//! begins (`measuring.rs`), and kept up from then on in the memory that all workers share ([`Usage`]), as
//! long as he has a session. What changes behind the server's back shows at the next count.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::census::usage::{Amount, Usage};
use crate::auth::Limits;
use crate::fs::{Directory, File, FileSystem, LARGE, Metadata, OpenMode};
use crate::proto::path::VirtualPath;
use crate::sys::name::same;

/// `files` with a count.
pub(crate) struct Metered {
    files: Arc<dyn FileSystem>,
    quota: Quota,
}

#[derive(Clone)]
struct Quota {
    usage: Usage,
    most: Amount,
}

impl Metered {
    pub(crate) fn new(files: Arc<dyn FileSystem>, usage: Usage, limits: Limits) -> Metered {
        let most = Amount {
            bytes: limits.quota_bytes,
            files: limits.quota_files,
        };
        let quota = Quota { usage, most };
        Metered { files, quota }
    }

    /// Makes something that has a name of its own; counted before, so that two at once do not both
    /// have the last place.
    fn one_more<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !self.quota.usage.take_file(self.quota.most.files) {
            return Err(exceeded());
        }
        make().inspect_err(|_| self.quota.usage.give_back(0, 1))
    }

    /// What `path` itself is; none if it is not there.
    fn what(&self, path: &VirtualPath) -> io::Result<Option<Metadata>> {
        found(self.files.symlink_metadata(path))
    }

    /// What was there is gone.
    fn gone(&self, what: Option<Metadata>) {
        if let Some(what) = what {
            let bytes = if what.is_file() { what.size } else { 0 };
            self.quota.usage.give_back(bytes, 1);
        }
    }
}

fn found(answer: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn exceeded() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "Quota exceeded")
}

impl FileSystem for Metered {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.files.metadata(path)
    }

    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.files.symlink_metadata(path)
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let open = || self.files.open(path, mode);
        let there = match mode {
            OpenMode::Read => return open(),
            OpenMode::Resume => true,
            OpenMode::CreateNew => false,
            OpenMode::Write | OpenMode::Append => found(self.files.metadata(path))?.is_some(),
        };
        // It is emptied by the open, which tells no size.
        let before = match mode {
            OpenMode::Write if there => self.files.metadata(path)?.size,
            _ => 0,
        };
        let file = match there {
            true => open()?,
            false => self.one_more(open)?,
        };
        self.quota.usage.give_back(before, 0);
        Ok(Box::new(MeteredFile {
            at: 0,
            appends: mode == OpenMode::Append,
            file,
            quota: self.quota.clone(),
        }))
    }

    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        let large = |there: Metadata| there.size >= LARGE;
        if mode == OpenMode::Write && found(self.files.metadata(path))?.is_some_and(large) {
            return Ok(None);
        }
        self.open(path, mode).map(Some)
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        self.files.read_dir(path)
    }

    fn enter_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.files.enter_dir(path)
    }

    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.one_more(|| self.files.create_dir(path))
    }

    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.files.remove_dir(path)?;
        self.quota.usage.give_back(0, 1);
        Ok(())
    }

    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        let what = self.what(path)?;
        self.files.remove_file(path)?;
        self.gone(what);
        Ok(())
    }

    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        let replaced = self.what(to)?;
        // One file, by two names of its own or by links to its directory: then it stays.
        let stays = match replaced.as_ref().and_then(|there| there.unique) {
            Some(there) => self.what(from)?.and_then(|from| from.unique) == Some(there),
            None => same(from.as_bytes(), to.as_bytes()),
        };
        self.files.rename(from, to)?;
        self.gone(replaced.filter(|_| !stays));
        Ok(())
    }

    fn rename_new(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.files.rename_new(from, to)
    }

    fn check_room(&self, path: &VirtualPath, mode: OpenMode, bytes: Option<u64>) -> io::Result<()> {
        let there = found(self.files.metadata(path))?;
        let left = self.quota.usage.left(self.quota.most);
        let freed = match (&there, mode) {
            // Where in it a resumed one begins is not known here; it ends at its byte, then.
            (Some(there), OpenMode::Write | OpenMode::Resume) => there.size,
            _ => 0,
        };
        // One of unknown size will have a byte, most likely.
        let room = left.bytes.saturating_add(freed) >= bytes.unwrap_or(1);
        if !room || there.is_none() && left.files == 0 {
            return Err(exceeded());
        }
        self.files.check_room(path, mode, bytes)
    }

    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.files.set_mode(path, mode)
    }

    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        self.files.set_modified(path, seconds)
    }

    fn real_path(&self, path: &VirtualPath) -> Option<PathBuf> {
        self.files.real_path(path)
    }

    fn start_directory(&self) -> VirtualPath {
        self.files.start_directory()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.files.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.files.group_name(gid)
    }

    fn together(&self, work: &mut dyn FnMut()) {
        self.files.together(work);
    }

    fn is_slow(&self) -> bool {
        self.files.is_slow()
    }

    fn changes_are_slow(&self) -> bool {
        self.files.changes_are_slow()
    }
}

struct MeteredFile {
    file: Box<dyn File>,
    quota: Quota,
    at: u64,
    /// Each write goes to the end, wherever that is by then.
    appends: bool,
}

impl File for MeteredFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }

    /// Writes what there is room for, and then says that there is no more.
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        let len = buf.len() as u64;
        // As it is, not as this left it: another upload may have emptied it or made it larger. A hole
        // counts, for who removes the file is given that back, too.
        let size = self.file.size()?;
        let at = if self.appends { size } else { self.at };
        let Quota { usage, most } = &self.quota;
        let growth = at.saturating_add(len).saturating_sub(size);
        let granted = usage.take_bytes(growth, most.bytes);
        let fits = len.saturating_sub(growth - granted);
        let written = match fits {
            0 => Ok(()),
            fits => self.file.write_all(&buf[..fits as usize]),
        };
        let grown = match &written {
            Ok(()) if fits > 0 => granted,
            Ok(()) => 0,
            // A part of it may be there.
            Err(_) => self
                .file
                .size()
                .map_or(granted, |now| now.saturating_sub(size)),
        };
        usage.give_back(granted.saturating_sub(grown), 0);
        written?;
        self.at = at.saturating_add(fits);
        match fits < len {
            true => Err(exceeded()),
            false => Ok(()),
        }
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.file.seek(position)?;
        self.at = position;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn size_at_open(&self) -> Option<u64> {
        self.file.size_at_open()
    }

    fn is_slow_to_close(&self) -> bool {
        self.file.is_slow_to_close()
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        self.file.close()
    }
}
