//! The data plane: bytes from a source to the data connection, or from it into a file.
//!
//! A [`Flow`] moves what can be moved now, within a budget, and says what it needs next. It holds
//! no buffer of its own while the connection takes everything: files are sent by `sendfile(2)`
//! where that works, else through the loop's scratch buffer, and what is received goes to a file by
//! `splice(2)`, else through that buffer.
//!
//! This file has what a flow is. Above it stand [`turn`], its turn within budget and bandwidth, [`send`] with a
//! step of a download, and [`receive`] with one of an upload; below it [`cold`], what of a file has to come from
//! the disk first. The bandwidth is not a flow's, but lent to it: [`rates`].

mod cold;
pub(crate) mod rates;
pub(crate) mod ready;
mod receive;
mod send;
mod source;
mod turn;

use std::io;
use std::time::{Duration, Instant};

use ftpdlib_reactor::Sleeping;

use self::cold::AtHand;
use self::ready::Ready;
use super::interpreter::{End, Progress, Verdict};
use super::limits::census::{Allowance, Direction};
use super::work::cancel::Canceller;
use super::work::elsewhere::was_large;
use super::work::job::{Job, Outcome, Source};
use super::work::pool::Pool;
use crate::fs::File;
use crate::proto::ascii::{FromNetwork, ToNetwork};
use crate::proto::throttle::Throttle;
use crate::stream::{Stream, Wants};
use crate::sys::splice::Pipes;

/// Bytes that are read at once where `sendfile` is not used, by a worker thread too, and that a
/// listing is formatted to at once.
const CHUNK: usize = 64 * 1024;

/// Files of so many bytes at most are read and written, not sent by `sendfile`: then the end of the
/// connection leaves in one packet with them.
const SMALL: u64 = 16 * 1024;

/// What a flow needs to go on.
pub(crate) enum Turn {
    /// Another turn: the budget is spent.
    Again,
    /// The connection.
    Blocked,
    /// Time: its bandwidth is spent.
    Pause(Duration),
    /// A worker thread.
    Job(Job),
    /// The file: it has nothing to read yet, and will say so when it has.
    Starved,
    /// Nothing any more.
    Ended(Verdict),
}

pub(crate) struct Flow {
    side: Side,
    /// The file system is slow: its files are read and written by worker threads.
    slow: bool,
    /// There is a limit on its bandwidth, its client's or its user's.
    limited: bool,
    allowance: Option<Allowance>,
    /// Bytes may have moved for which nobody has paused yet: of transfers before it, or its own.
    owes: bool,
    progress: Progress,
    started: Instant,
    moved: Instant,
    /// When it was looked last how much the system has still to send, and how much that was.
    looked: Option<(Instant, usize)>,
    /// Keeps the channel asleep while its bandwidth is spent.
    asleep: Option<Sleeping>,
    /// So it has been since its last turn.
    paused: bool,
    /// By what a file says that there is something to read, where it may have nothing.
    ready: Option<Ready>,
    starved: bool,
    /// Cancels its job, if it has one, when it ends.
    job: Option<Canceller>,
    /// It ends when its job is done.
    aborted: bool,
}

enum Side {
    Send {
        /// None while a worker thread has it.
        source: Option<Source>,
        more: bool,
        ascii: Option<ToNetwork>,
        /// Where in a file the next bytes are.
        offset: u64,
        sendfile: bool,
        at_hand: AtHand,
        /// What was left of the file when it was opened, and is not read yet; where that is known.
        left: Option<u64>,
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
        /// What comes may go to the file by `splice(2)`.
        splices: bool,
        /// The last step had so much that this pays.
        ample: bool,
        /// To close the file may take long, and is seen to wherever it is dropped.
        large: bool,
    },
}

/// What a flow may use of its loop.
pub(crate) struct Means<'a> {
    pub(super) scratch: &'a mut [u8],
    #[cfg_attr(not(unix), allow(dead_code, reason = "for splice(2)"))]
    pub(super) pipes: &'a Pipes,
    pub(super) pool: &'a Pool,
    /// What the client's transfers in this direction are held to, if they are.
    pub(super) throttle: Option<&'a mut Throttle>,
}

/// How a flow is to be done.
pub(super) struct Manner {
    pub(super) ascii: bool,
    pub(super) slow: bool,
    /// Nobody else is kept waiting when the loop waits for a disk.
    pub(super) alone: bool,
    /// There is a limit of the client's own.
    pub(super) throttled: bool,
    /// What the user's transfers share, if they do.
    pub(super) allowance: Option<Allowance>,
}

impl Flow {
    /// From a source, which is at `offset`; by the system call `sendfile` where it pays, if that may be
    /// used.
    pub(super) fn send(
        source: Source,
        offset: u64,
        sendfile: bool,
        manner: Manner,
        now: Instant,
    ) -> Flow {
        let unlimited = !manner.throttled && manner.allowance.is_none();
        let plain = sendfile && !manner.ascii && !manner.slow && unlimited;
        let left = source::size(&source).map(|size| size.saturating_sub(offset));
        let is_small = left.is_some_and(|left| left <= SMALL);
        let sendfile = plain && !is_small && source::has_descriptor(&source);
        let side = Side::Send {
            offset,
            sendfile,
            at_hand: match manner.slow || manner.alone {
                true => AtHand::all(),
                false => AtHand::none(offset),
            },
            left,
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
        let splices = !manner.ascii && !manner.slow;
        let large = manner.slow || was_large(&*file);
        Flow::new(
            Side::Receive {
                file: Some(file),
                ascii,
                buffer: Vec::new(),
                splices,
                ample: false,
                large,
            },
            manner,
            now,
        )
    }

    fn new(side: Side, manner: Manner, now: Instant) -> Flow {
        Flow {
            side,
            slow: manner.slow,
            limited: manner.throttled || manner.allowance.is_some(),
            allowance: manner.allowance,
            owes: true,
            progress: Progress::default(),
            started: now,
            moved: now,
            looked: None,
            asleep: None,
            paused: false,
            ready: None,
            starved: false,
            job: None,
            aborted: false,
        }
    }

    /// Whether its file may have nothing to read yet, as those of a disk never do.
    pub(super) fn may_starve(&self) -> bool {
        match &self.side {
            Side::Send {
                source: Some(source @ Source::File(_)),
                ..
            } => !self.slow && !source::has_descriptor(source),
            _ => false,
        }
    }

    /// Lets the file that is sent come at a pace of its own.
    pub(super) fn wake_by(&mut self, ready: Ready) {
        if let Side::Send {
            source: Some(Source::File(file)),
            ..
        } = &mut self.side
        {
            file.wake_by(&ready.waker());
            self.ready = Some(ready);
        }
    }

    /// The file says that there is something to read.
    pub(super) fn fed(&self) {
        if let Some(ready) = &self.ready {
            ready.heard();
        }
    }

    /// Holds the channel asleep until [`wake`](Flow::wake).
    pub(super) fn sleep(&mut self, asleep: Sleeping) {
        self.asleep = Some(asleep);
        self.paused = true;
    }

    pub(super) fn wake(&mut self) {
        self.asleep = None;
    }

    pub(super) fn direction(&self) -> Direction {
        match self.side {
            Side::Send { .. } => Direction::Sent,
            Side::Receive { .. } => Direction::Received,
        }
    }

    pub(super) fn wants(&self) -> Wants {
        let receive = self.direction() == Direction::Received;
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

    /// Looks whether bytes of a download that the system has taken go on leaving it. It may have taken
    /// megabytes, for which a slow client needs minutes.
    ///
    /// What was not looked at before may have become less, so the client gets the benefit of the doubt.
    pub(super) fn look(&mut self, stream: &Stream, now: Instant) {
        let Some(count @ 1..) = stream.in_flight() else {
            return;
        };
        let goes_on = match self.looked {
            Some((at, before)) if at >= self.moved => count < before,
            _ => true,
        };
        if goes_on {
            self.moved = now;
        }
        self.looked = Some((now, count));
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

    /// Whether it waits for a worker thread, its bandwidth or its file, not for the client.
    pub(super) fn is_held(&self) -> bool {
        self.starved
            || self.paused
            || matches!(
                self.side,
                Side::Send { source: None, .. } | Side::Receive { file: None, .. }
            )
    }

    /// Whether a worker thread has its file.
    pub(super) fn has_job(&self) -> bool {
        self.job.is_some()
    }

    /// ABOR has come. It waits for the job, if there is one, where that writes: its bytes could else go into what
    /// the client stores next under that name. Elsewhere it waits only if no more jobs `may_be_left`.
    pub(super) fn abort(&mut self, may_be_left: bool) -> bool {
        let Some(job) = &self.job else { return false };
        self.aborted = self.direction() == Direction::Received || !may_be_left;
        if self.aborted {
            job.cancel();
        }
        self.aborted
    }

    /// A worker thread has its file, until that is done or this cancels it.
    pub(super) fn works(&mut self, job: Canceller) {
        self.job = Some(job);
    }

    /// A worker thread gives back what it had; `Some` when that ends the flow.
    pub(super) fn job_done(&mut self, outcome: Outcome, now: Instant) -> Option<Verdict> {
        self.job = None;
        self.moved = now;
        match self.take_back(outcome) {
            // It was too late.
            Some(Verdict::Complete) => Some(Verdict::Complete),
            _ if self.aborted => Some(Verdict::Aborted),
            verdict => verdict,
        }
    }

    fn take_back(&mut self, outcome: Outcome) -> Option<Verdict> {
        match (&mut self.side, outcome) {
            (
                Side::Send {
                    source,
                    more,
                    ascii,
                    offset,
                    unsent,
                    sent,
                    ..
                },
                Outcome::Filled(back, bytes, result),
            ) => {
                *source = Some(back);
                *offset = offset.saturating_add(bytes.len() as u64);
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
            (
                Side::Send {
                    source,
                    offset,
                    at_hand,
                    ..
                },
                Outcome::Warmed(back, read),
            ) => {
                *source = Some(Source::File(back));
                match read {
                    Ok(count) => at_hand.warmed(*offset, count),
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
