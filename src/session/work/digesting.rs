//! The digest of a file under way, on worker threads, one piece after another: between two pieces
//! other jobs have their turn, so that however long the files are that clients have hashed, a login
//! waits for a moment only.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::cancel::Cancel;
use crate::fs::File;
use crate::proto::digest::{Algorithm, Digest};

/// A piece's bytes at most.
const PIECE: u64 = 16 * 1024 * 1024;
/// How long a piece may take, on a disk that is slow.
const PIECE_TIME: Duration = Duration::from_millis(100);
/// What is read at once.
const CHUNK: usize = 128 * 1024;

/// The bytes that are to be hashed; to the file's end where `end` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    /// Behind the last one.
    pub(crate) end: Option<u64>,
}

/// How far it is.
pub(crate) struct Digesting {
    file: Box<dyn File>,
    digest: Digest,
    range: Range,
    /// None before the first piece.
    at: Option<u64>,
    buffer: Vec<u8>,
    cancel: Option<Cancel>,
}

/// What a piece came to.
#[derive(Debug)]
pub(crate) enum Digested {
    /// There is more to do.
    Part(Box<Digesting>),
    /// The digest, and the offset behind the last byte that is in it.
    Whole {
        digest: String,
        end: u64,
    },
    Cancelled,
    /// The file ends before the range does.
    Outside {
        size: u64,
    },
    Failed(io::Error),
}

impl Digesting {
    pub(crate) fn new(file: Box<dyn File>, algorithm: Algorithm, range: Range) -> Digesting {
        Digesting {
            file,
            digest: Digest::new(algorithm),
            range,
            at: None,
            buffer: Vec::new(),
            cancel: None,
        }
    }

    /// What the next piece looks at.
    pub(crate) fn cancel_by(&mut self, cancel: Cancel) {
        self.cancel = Some(cancel);
    }

    /// Does a piece.
    pub(crate) fn run(mut self: Box<Self>) -> Digested {
        let at = match self.at.map_or_else(|| self.begin(), Ok) {
            Ok(at) => at,
            Err(stopped) => return stopped,
        };
        let begun = Instant::now();
        let until = at.saturating_add(PIECE);
        let mut at = at;
        while at < until && begun.elapsed() < PIECE_TIME {
            if self.cancel.as_ref().is_some_and(Cancel::is_cancelled) {
                return Digested::Cancelled;
            }
            let left = self.range.end.map_or(u64::MAX, |end| end - at);
            let most = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
            let read = match most {
                0 => 0,
                _ => match self.file.read(&mut self.buffer[..most]) {
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Digested::Failed(error),
                },
            };
            if read == 0 {
                return match left {
                    0 => self.whole(at),
                    _ if self.range.end.is_none() => self.whole(at),
                    // It was longer when it began.
                    _ => Digested::Outside { size: at },
                };
            }
            self.digest.update(&self.buffer[..read]);
            at += read as u64;
        }
        self.at = Some(at);
        Digested::Part(self)
    }

    /// To the range's first byte.
    fn begin(&mut self) -> Result<u64, Digested> {
        let Range { start, end } = self.range;
        if start > 0 || end.is_some() {
            let size = self.file.size().map_err(Digested::Failed)?;
            if end.unwrap_or(start) > size {
                return Err(Digested::Outside { size });
            }
        }
        if start > 0 {
            self.file.seek(start).map_err(Digested::Failed)?;
        }
        self.buffer = vec![0; CHUNK];
        Ok(start)
    }

    fn whole(self, end: u64) -> Digested {
        let digest = self.digest.finish();
        Digested::Whole { digest, end }
    }
}

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digesting")
            .field("range", &self.range)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
