//! The data plane: bytes from a source to the data connection, or from it into a file.
//!
//! A [`Flow`] moves what can be moved now, within a budget, and says what it needs next. It holds
//! no buffer of its own while the connection takes everything: files are sent by `sendfile(2)`
//! where that works, else through the loop's scratch buffer.

use std::io;
use std::time::{Duration, Instant};

use ftpdlib_reactor::Sleeping;

use super::census::Allowance;
use super::interpreter::{End, Progress, Verdict};
use super::job::{Job, Outcome, Source};
use crate::fs::File;
use crate::proto::ascii::{FromNetwork, ToNetwork};
use crate::proto::throttle::Throttle;
use crate::stream::{Stream, Wants};

/// Bytes a flow may move before others have their turn, if there are others; a step is not cut short
/// for it, so there may be half as much more.
const BUDGET: usize = 256 * 1024;
/// The same for one that has the loop for itself: large reads wake and acknowledge less often.
const BUDGET_ALONE: usize = 1024 * 1024;
/// Bytes that all flows may move in a turn of the loop, as long as each has its `BUDGET`.
const BUDGET_OF_LOOP: usize = 4 * 1024 * 1024;
/// System calls a flow may make before others have their turn.
const MAX_CALLS: usize = 16;
/// Bytes that are read at once where `sendfile` is not used, by a worker thread too, and that a
/// listing is formatted to at once.
const CHUNK: usize = 64 * 1024;

/// What a flow needs to go on.
pub(super) enum Turn {
    /// Another turn: the budget is spent.
    Again,
    /// The connection.
    Blocked,
    /// Time: its bandwidth is spent.
    Pause(Duration),
    /// A worker thread.
    Job(Job),
    /// Nothing any more.
    Ended(Verdict),
}

pub(super) struct Flow {
    side: Side,
    /// The file system is slow: its files are read and written by worker threads.
    slow: bool,
    throttle: Option<Throttle>,
    allowance: Option<Allowance>,
    progress: Progress,
    started: Instant,
    moved: Instant,
    /// Keeps the channel asleep while its bandwidth is spent.
    asleep: Option<Sleeping>,
}

enum Side {
    Send {
        /// None while a worker thread has it.
        source: Option<Source>,
        more: bool,
        ascii: Option<ToNetwork>,
        /// Offset of the next `sendfile`; None where it is not used.
        sendfile: Option<u64>,
        /// What the connection did not take yet.
        unsent: Vec<u8>,
        sent: usize,
    },
    Receive {
        /// None while a worker thread has it.
        file: Option<Box<dyn File>>,
        ascii: Option<FromNetwork>,
        /// What ASCII conversion or a worker thread works on.
        buffer: Vec<u8>,
    },
}

/// How a flow is to be done.
pub(super) struct Manner {
    pub(super) ascii: bool,
    pub(super) slow: bool,
    /// Bytes a second; 0 is no limit.
    pub(super) limit: u64,
    /// What the user's transfers share, if they do.
    pub(super) allowance: Option<Allowance>,
}

impl Flow {
    /// From a source; `sendfile` is the offset to begin at, where the system call may be used.
    pub(super) fn send(
        source: Source,
        sendfile: Option<u64>,
        manner: Manner,
        now: Instant,
    ) -> Flow {
        let unlimited = manner.limit == 0 && manner.allowance.is_none();
        let plain = !manner.ascii && !manner.slow && unlimited;
        let side = Side::Send {
            sendfile: sendfile.filter(|_| plain && has_descriptor(&source)),
            source: Some(source),
            more: true,
            ascii: manner.ascii.then(ToNetwork::default),
            unsent: Vec::new(),
            sent: 0,
        };
        Flow::new(side, manner, now)
    }

    /// Into a file.
    pub(super) fn receive(file: Box<dyn File>, manner: Manner, now: Instant) -> Flow {
        let ascii = manner.ascii.then(FromNetwork::default);
        Flow::new(
            Side::Receive {
                file: Some(file),
                ascii,
                buffer: Vec::new(),
            },
            manner,
            now,
        )
    }

    fn new(side: Side, manner: Manner, now: Instant) -> Flow {
        Flow {
            side,
            slow: manner.slow,
            throttle: (manner.limit > 0).then(|| Throttle::new(manner.limit)),
            allowance: manner.allowance,
            progress: Progress::default(),
            started: now,
            moved: now,
            asleep: None,
        }
    }

    /// Holds the channel asleep until [`wake`](Flow::wake).
    pub(super) fn sleep(&mut self, asleep: Sleeping) {
        self.asleep = Some(asleep);
    }

    pub(super) fn wake(&mut self) {
        self.asleep = None;
    }

    pub(super) fn wants(&self) -> Wants {
        let receive = matches!(self.side, Side::Receive { .. });
        Wants {
            read: receive,
            write: !receive,
        }
    }

    pub(super) fn progress(&self, now: Instant) -> Progress {
        Progress {
            elapsed: now.duration_since(self.started),
            ..self.progress
        }
    }

    /// How long no byte has moved.
    pub(super) fn stalled_for(&self, now: Instant) -> Duration {
        now.duration_since(self.moved)
    }

    pub(super) fn end(self, verdict: Verdict, now: Instant) -> End {
        End {
            verdict,
            progress: self.progress(now),
        }
    }

    /// Whether it waits for a worker thread or its bandwidth, not for the client.
    pub(super) fn is_held(&self) -> bool {
        self.asleep.is_some()
            || matches!(
                self.side,
                Side::Send { source: None, .. } | Side::Receive { file: None, .. }
            )
    }

    /// Moves what can be moved now; `load` is the number of those who have something to do.
    pub(super) fn turn(
        &mut self,
        stream: &mut Stream,
        scratch: &mut [u8],
        load: usize,
        now: Instant,
    ) -> Turn {
        let budget = (BUDGET_OF_LOOP / load.max(1)).clamp(BUDGET, BUDGET_ALONE);
        let mut left = budget;
        for _ in 0..MAX_CALLS {
            let chunk = budget
                .min(self.throttle.as_ref().map_or(budget, Throttle::chunk))
                .min(self.allowance.as_ref().map_or(budget, Allowance::chunk));
            let (before, queued) = (self.progress, stream.unsent());
            let turn = match self.side {
                Side::Send { .. } => self.send_some(stream, scratch, chunk),
                Side::Receive { .. } => self.receive_some(stream, scratch, chunk),
            };
            let sent = (self.progress.sent - before.sent) as usize;
            let moved = sent + (self.progress.received - before.received) as usize;
            if moved > 0 || stream.unsent() < queued {
                self.moved = now;
            }
            left = left.saturating_sub(moved.max(stream.take_work()));
            if let Some(turn) = turn {
                return turn;
            }
            if let Some(pause) = self.pause(moved, now) {
                return Turn::Pause(pause);
            }
            if left < budget / 2 {
                break;
            }
        }
        Turn::Again
    }

    /// How long to pause when so many bytes have moved.
    fn pause(&mut self, moved: usize, now: Instant) -> Option<Duration> {
        let own = self.throttle.as_mut();
        let own = own.and_then(|throttle| throttle.used(moved, now));
        let shared = self.allowance.as_ref();
        own.max(shared.and_then(|allowance| allowance.used(moved, now)))
    }

    /// One step of a download; `None` to go on.
    fn send_some(&mut self, stream: &mut Stream, scratch: &mut [u8], max: usize) -> Option<Turn> {
        let Side::Send {
            source,
            more,
            ascii,
            sendfile,
            unsent,
            sent,
        } = &mut self.side
        else {
            return None;
        };
        // What TLS has encrypted goes first, so that a client that stalls costs no more than that.
        if let Err(error) = stream.flush() {
            return Some(interrupted(&error));
        }
        let max = max.min(stream.most_to_write());
        if *sent < unsent.len() {
            let end = unsent.len().min(*sent + max);
            let count = match stream.write(&unsent[*sent..end]) {
                Ok(count) => count,
                Err(error) => return Some(interrupted(&error)),
            };
            *sent += count;
            self.progress.sent += count as u64;
            if *sent == unsent.len() && stream.is_secured() {
                *unsent = Vec::new();
                *sent = 0;
            }
            return None;
        }
        unsent.clear();
        *sent = 0;
        if !*more {
            if let Err(error) = stream.finish() {
                return Some(interrupted(&error));
            }
            stream.discard(scratch);
            return Some(Turn::Ended(Verdict::Complete));
        }
        match source {
            Some(Source::File(file)) if !self.slow => {
                if let Some(offset) = sendfile {
                    match send_file(stream, &**file, offset, max) {
                        Ok(count) => {
                            *more = count > 0;
                            self.progress.sent += count as u64;
                            return None;
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            return Some(Turn::Blocked);
                        }
                        Err(error) if is_disconnect(&error) => return Some(interrupted(&error)),
                        // Some file systems refuse it: go on as if it did not exist.
                        Err(_) if self.progress.sent == 0 => {
                            *sendfile = None;
                            return None;
                        }
                        Err(error) => return Some(Turn::Ended(Verdict::File(error))),
                    }
                }
                // What the connection does not take is kept, so no more than this is read; text
                // may double.
                let max = match ascii.is_some() && stream.is_secured() {
                    true => max.min(CHUNK).div_ceil(2),
                    false => max.min(CHUNK),
                };
                let count = match file.read(&mut scratch[..max]) {
                    Ok(count) => count,
                    Err(error) => return Some(Turn::Ended(Verdict::File(error))),
                };
                *more = count > 0;
                let bytes = &scratch[..count];
                if let Some(ascii) = ascii {
                    ascii.convert(bytes, unsent);
                    return None;
                }
                let taken = match stream.write(bytes) {
                    Ok(taken) => taken,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(error) => return Some(interrupted(&error)),
                };
                self.progress.sent += taken as u64;
                unsent.extend_from_slice(&bytes[taken..]);
                None
            }
            Some(Source::Listing(listing)) if !listing.is_slow() => {
                match listing.fill(unsent, CHUNK) {
                    Ok(rest) => *more = rest,
                    Err(error) => return Some(Turn::Ended(Verdict::File(error))),
                }
                None
            }
            _ => Some(match source.take() {
                Some(source) => Turn::Job(Job::Fill(source, CHUNK)),
                None => Turn::Blocked,
            }),
        }
    }

    /// One step of an upload; `None` to go on.
    fn receive_some(
        &mut self,
        stream: &mut Stream,
        scratch: &mut [u8],
        max: usize,
    ) -> Option<Turn> {
        let Side::Receive {
            file,
            ascii,
            buffer,
        } = &mut self.side
        else {
            return None;
        };
        let Some(open) = file else {
            return Some(Turn::Blocked);
        };
        // What is kept of it meanwhile is bounded.
        let kept = ascii.is_some() || self.slow;
        let chunk = if kept { CHUNK } else { scratch.len() };
        let count = match stream.read(scratch, max.min(chunk)) {
            Ok(count) => count,
            Err(error) => return Some(interrupted(&error)),
        };
        if count == 0 {
            stream.answer_end();
        }
        self.progress.received += count as u64;
        let bytes = match ascii {
            None => &scratch[..count],
            Some(ascii) => {
                buffer.clear();
                if count > 0 {
                    ascii.convert(&scratch[..count], buffer);
                } else {
                    ascii.finish(buffer);
                }
                &buffer[..]
            }
        };
        self.progress.stored += bytes.len() as u64;
        if self.slow {
            if ascii.is_none() {
                buffer.clear();
                buffer.extend_from_slice(&scratch[..count]);
            }
            let file = file.take()?;
            return Some(Turn::Job(match count {
                0 if buffer.is_empty() => Job::Close(file),
                _ => Job::Store(file, std::mem::take(buffer)),
            }));
        }
        if let Err(error) = open.write_all(bytes) {
            return Some(Turn::Ended(Verdict::File(error)));
        }
        if count > 0 {
            return None;
        }
        let closed = file.take().map_or(Ok(()), |file| file.close());
        Some(Turn::Ended(
            closed.map_or_else(Verdict::File, |()| Verdict::Complete),
        ))
    }

    /// A worker thread gives back what it had; `Some` when that ends the flow.
    pub(super) fn job_done(&mut self, outcome: Outcome, now: Instant) -> Option<Verdict> {
        self.moved = now;
        match (&mut self.side, outcome) {
            (
                Side::Send {
                    source,
                    more,
                    ascii,
                    unsent,
                    sent,
                    ..
                },
                Outcome::Filled(back, bytes, result),
            ) => {
                *source = Some(back);
                *sent = 0;
                match ascii {
                    Some(ascii) => ascii.convert(&bytes, unsent),
                    None => *unsent = bytes,
                }
                match result {
                    Ok(rest) => *more = rest,
                    Err(error) => return Some(Verdict::File(error)),
                }
                None
            }
            (Side::Receive { file, buffer, .. }, Outcome::Stored(back, emptied, result)) => {
                (*file, *buffer) = (Some(back), emptied);
                result.err().map(Verdict::File)
            }
            (Side::Receive { .. }, Outcome::Done(Ok(()))) => Some(Verdict::Complete),
            (Side::Receive { .. }, Outcome::Done(Err(error))) => Some(Verdict::File(error)),
            _ => Some(Verdict::File(io::Error::other("Internal error"))),
        }
    }
}

/// What an error of the connection means.
fn interrupted(error: &io::Error) -> Turn {
    match error.kind() {
        io::ErrorKind::WouldBlock => Turn::Blocked,
        io::ErrorKind::Interrupted => Turn::Again,
        // A reset is never the end of a file.
        _ => Turn::Ended(Verdict::Disconnected),
    }
}

fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut
    )
}

#[cfg(unix)]
fn has_descriptor(source: &Source) -> bool {
    crate::sys::sendfile::SUPPORTED
        && matches!(source, Source::File(file) if file.as_fd().is_some())
}

#[cfg(not(unix))]
fn has_descriptor(_: &Source) -> bool {
    false
}

#[cfg(unix)]
fn send_file(
    stream: &mut Stream,
    file: &dyn File,
    offset: &mut u64,
    max: usize,
) -> io::Result<usize> {
    match file.as_fd() {
        Some(descriptor) => stream.send_file(descriptor, offset, max),
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(not(unix))]
fn send_file(_: &mut Stream, _: &dyn File, _: &mut u64, _: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
