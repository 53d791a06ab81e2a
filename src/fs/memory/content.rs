//! What a file holds, in pieces, so that a file that grows is never copied; and the space that all
//! of them share.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use crate::fs::{File, Metadata, OpenMode};

/// A file's bytes are kept in pieces of this size.
const CHUNK: usize = 64 * 1024;

/// What all files take, and how much they may.
pub(super) struct Space {
    used: AtomicU64,
    pub(super) max: AtomicU64,
    pub(super) max_file: AtomicU64,
    pub(super) max_entries: AtomicUsize,
}

impl Default for Space {
    fn default() -> Self {
        Space {
            used: AtomicU64::new(0),
            max: AtomicU64::new(256 << 20),
            max_file: AtomicU64::new(u64::MAX),
            max_entries: AtomicUsize::new(65_536),
        }
    }
}

impl Space {
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// As much of `wanted` as there is.
    fn take(&self, wanted: u64) -> u64 {
        let max = self.max.load(Ordering::Relaxed);
        let granted = |used: u64| wanted.min(max.saturating_sub(used));
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(granted(used))
            });
        taken.map_or(0, granted)
    }

    /// Whether there is room for `bytes` when so many others are gone, in a file that keeps so many.
    pub(super) fn check(&self, bytes: u64, freed: u64, kept: u64) -> io::Result<()> {
        if bytes.saturating_add(kept) > self.max_file.load(Ordering::Relaxed) {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let used = self.used().saturating_sub(freed);
        match bytes > self.max.load(Ordering::Relaxed).saturating_sub(used) {
            true => Err(ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A file, whatever its names are.
pub(super) struct Content {
    id: u64,
    created: i64,
    space: Arc<Space>,
    state: RwLock<State>,
}

struct State {
    /// All but the last stand for [`CHUNK`] bytes; what one lacks of that is zero.
    chunks: Vec<Vec<u8>>,
    size: u64,
    modified: i64,
    mode: u32,
}

impl Content {
    pub(super) fn new(id: u64, now: i64, space: Arc<Space>) -> Content {
        Content {
            id,
            created: now,
            space,
            state: RwLock::new(State {
                chunks: Vec::new(),
                size: 0,
                modified: now,
                mode: 0o644,
            }),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn facts(&self) -> Metadata {
        let state = self.state();
        let mut facts = Metadata::file(state.size, state.modified);
        facts.mode = 0o100_000 | state.mode;
        facts.created = Some(self.created);
        facts
    }

    pub(super) fn set_mode(&self, mode: u32) {
        self.change().mode = mode & 0o7777;
    }

    pub(super) fn set_modified(&self, seconds: i64) {
        self.change().modified = seconds;
    }

    pub(super) fn clear(&self, now: i64) {
        let mut state = self.change();
        state.modified = now;
        let chunks = std::mem::take(&mut state.chunks);
        self.space.give_back(std::mem::take(&mut state.size));
        drop(state);
        drop(chunks);
    }

    fn write(&self, at: Option<u64>, buf: &[u8], now: i64) -> io::Result<(u64, usize)> {
        let mut state = self.change();
        let at = at.unwrap_or(state.size);
        let end = at
            .checked_add(buf.len() as u64)
            .ok_or(ErrorKind::FileTooLarge)?;
        let allowed = end.min(self.space.max_file.load(Ordering::Relaxed));
        let granted = self.space.take(allowed.saturating_sub(state.size));
        let size = state.size + granted;
        let count = size.min(end).saturating_sub(at);
        let count = usize::try_from(count).unwrap_or(buf.len());
        match count {
            // It does not become as long as to where nothing is.
            0 => self.space.give_back(granted),
            count => {
                state.size = size;
                state.put(at, &buf[..count]);
                state.modified = now;
            }
        }
        if count == buf.len() {
            Ok((at, count))
        } else if size < allowed {
            Err(ErrorKind::StorageFull.into())
        } else {
            Err(ErrorKind::FileTooLarge.into())
        }
    }
}

/// The last name is gone, and nobody has it open.
impl Drop for Content {
    fn drop(&mut self) {
        self.space.give_back(self.state().size);
    }
}

impl State {
    fn get(&self, at: u64, buf: &mut [u8]) -> usize {
        let rest = self.size.saturating_sub(at);
        let count = usize::try_from(rest).map_or(buf.len(), |rest| rest.min(buf.len()));
        let mut done = 0;
        while done < count {
            let (number, from) = place(at + done as u64);
            let part = &mut buf[done..count.min(done + CHUNK - from)];
            let chunk = self.chunks.get(number).map_or(&[][..], Vec::as_slice);
            let there = chunk.get(from..).unwrap_or_default();
            let there = &there[..there.len().min(part.len())];
            part[..there.len()].copy_from_slice(there);
            part[there.len()..].fill(0);
            done += part.len();
        }
        count
    }

    fn put(&mut self, at: u64, buf: &[u8]) {
        let mut done = 0;
        while done < buf.len() {
            let (number, from) = place(at + done as u64);
            let part = &buf[done..buf.len().min(done + CHUNK - from)];
            if self.chunks.len() <= number {
                self.chunks.resize_with(number + 1, Vec::new);
            }
            let chunk = &mut self.chunks[number];
            let end = from + part.len();
            if chunk.capacity() < end {
                // Doubled while it is small, and never more than a chunk.
                let wanted = end.max(chunk.capacity().saturating_mul(2).min(CHUNK));
                chunk.reserve_exact(wanted - chunk.len());
            }
            if chunk.len() < end {
                chunk.resize(end, 0);
            }
            chunk[from..end].copy_from_slice(part);
            done += part.len();
        }
    }
}

/// The chunk of a position, and where in it that is.
fn place(at: u64) -> (usize, usize) {
    let size = CHUNK as u64;
    (
        usize::try_from(at / size).unwrap_or(usize::MAX),
        (at % size) as usize,
    )
}

/// A file that is open.
pub(super) struct OpenFile {
    content: Arc<Content>,
    mode: OpenMode,
    position: u64,
}

impl OpenFile {
    pub(super) fn new(content: Arc<Content>, mode: OpenMode) -> OpenFile {
        OpenFile {
            content,
            mode,
            position: 0,
        }
    }

    /// For reading or for writing, never both.
    fn must_be_for(&self, reading: bool) -> io::Result<()> {
        if reading == (self.mode == OpenMode::Read) {
            return Ok(());
        }
        Err(io::Error::other("Bad file descriptor"))
    }
}

impl File for OpenFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.must_be_for(true)?;
        let count = self.content.state().get(self.position, buf);
        self.position += count as u64;
        Ok(count)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.must_be_for(false)?;
        let at = (self.mode != OpenMode::Append).then_some(self.position);
        let (at, count) = self.content.write(at, buf, now())?;
        self.position = at + count as u64;
        Ok(())
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.position = position;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content.state().size)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |since| since.as_secs() as i64)
}
