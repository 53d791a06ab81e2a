//! One step of an upload: from the connection to the file.

use std::io;

#[cfg(unix)]
use super::send::is_disconnect;
use super::{CHUNK, Flow, Means, Side, Turn, interrupted};
use crate::fs::{File, LARGE};
use crate::session::interpreter::Verdict;
use crate::session::work::elsewhere::file_elsewhere;
use crate::session::work::job::Job;
use crate::session::work::pool::Pool;
use crate::stream::Stream;

/// From so many bytes at once on, `splice(2)` is cheaper than reading and writing.
const AMPLE: usize = 64 * 1024;

impl Flow {
    /// One step of an upload; `None` to go on.
    pub(super) fn receive_some(
        &mut self,
        stream: &mut Stream,
        means: &mut Means<'_>,
        max: usize,
    ) -> Option<Turn> {
        if let Some(done) = self.splice_some(stream, means, max) {
            return done;
        }
        let Side::Receive {
            file,
            ascii,
            buffer,
            ample,
            large,
            ..
        } = &mut self.side
        else {
            return None;
        };
        let unlimited = !self.limited;
        let Some(open) = file else {
            return Some(Turn::Blocked);
        };
        let scratch = &mut *means.scratch;
        // What is kept of it meanwhile is bounded.
        let kept = ascii.is_some() || self.slow;
        let chunk = if kept { CHUNK } else { scratch.len() };
        let count = match stream.read(scratch, max.min(chunk)) {
            Ok(count) => count,
            Err(error) => return Some(interrupted(&error)),
        };
        // With a limit the last bytes take their time before the end, as all do.
        let at_end = count == 0 || (stream.is_at_end() && unlimited && !self.slow);
        if at_end {
            stream.answer_end();
        }
        *ample = count >= AMPLE;
        self.progress.received += count as u64;
        let bytes = match ascii {
            None => &scratch[..count],
            Some(ascii) => {
                buffer.clear();
                ascii.convert(&scratch[..count], buffer);
                if at_end {
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
                0 if buffer.is_empty() => Job::Close { file, slow: true },
                _ => Job::Store(file, std::mem::take(buffer)),
            }));
        }
        if let Err(error) = open.write_all(bytes) {
            return Some(Turn::Ended(Verdict::File(error)));
        }
        if !at_end {
            return None;
        }
        let file = file.take()?;
        if (*large || self.progress.stored >= LARGE) && file.is_slow_to_close() {
            return Some(Turn::Job(Job::Close { file, slow: false }));
        }
        let closed = file.close();
        Some(Turn::Ended(
            closed.map_or_else(Verdict::File, |()| Verdict::Complete),
        ))
    }

    /// Sees to it that a file which has become large keeps nobody waiting if it is dropped.
    pub(super) fn watch_size(&mut self, pool: &Pool) {
        if let Side::Receive {
            file,
            large: large @ false,
            ..
        } = &mut self.side
            && self.progress.stored >= LARGE
        {
            *large = true;
            let whole = file.take();
            *file = whole.map(|file| file_elsewhere(file, false, pool.hands()));
        }
    }

    /// The same step by `splice(2)`; `None` to read and write instead.
    fn splice_some(
        &mut self,
        stream: &mut Stream,
        means: &mut Means<'_>,
        max: usize,
    ) -> Option<Option<Turn>> {
        let Side::Receive {
            file: Some(file),
            splices: splices @ true,
            ample: ample @ true,
            ..
        } = &mut self.side
        else {
            return None;
        };
        let (count, stored, turn) = match splice_file(stream, &mut **file, means, max) {
            Spliced::Moved(count) => {
                *ample = count >= AMPLE;
                (count, count, Some(None))
            }
            Spliced::Refused(count) => {
                *splices = false;
                (count, count, None)
            }
            Spliced::Nothing => (0, 0, None),
            Spliced::Disconnected => (0, 0, Some(Some(Turn::Ended(Verdict::Disconnected)))),
            Spliced::FileError(count, error) => {
                (count, 0, Some(Some(Turn::Ended(Verdict::File(error)))))
            }
        };
        self.progress.received += count as u64;
        self.progress.stored += stored as u64;
        turn
    }
}

/// What became of an attempt to splice.
#[cfg_attr(not(unix), allow(dead_code, reason = "for splice(2)"))]
enum Spliced {
    /// So much is in the file.
    Moved(usize),
    /// These two cannot be joined so; what was in the pipe already is in the file.
    Refused(usize),
    /// There was nothing, or it did not pass. Only reading tells what it is: the end, urgent data
    /// (where splicing stops), or nothing yet.
    Nothing,
    Disconnected,
    /// So much was received; not all of it is in the file.
    FileError(usize, io::Error),
}

/// Moves what the connection has into the file. Nothing is left in the pipe.
#[cfg(unix)]
fn splice_file(
    stream: &mut Stream,
    file: &mut dyn File,
    means: &mut Means<'_>,
    max: usize,
) -> Spliced {
    use crate::sys::splice::is_refusal;
    if stream.is_secured() || file.as_fd().is_none() {
        return Spliced::Refused(0);
    }
    let Some(mut pipe) = means.pipes.take() else {
        return Spliced::Refused(0);
    };
    let count = match stream.receive_into(&mut pipe, max) {
        Ok(count) if count > 0 => count,
        nothing => {
            means.pipes.give_back(pipe);
            return nothing.map_or_else(|error| unfilled(&error), |_| Spliced::Nothing);
        }
    };
    let poured = match file.as_fd() {
        Some(descriptor) => pipe.pour(descriptor),
        None => Err(io::ErrorKind::Unsupported.into()),
    };
    let done = match poured {
        Ok(()) => Ok(Spliced::Moved(count)),
        Err(error) if is_refusal(&error) => {
            copy(&mut pipe, file, means.scratch).map(|()| Spliced::Refused(count))
        }
        Err(error) => Err(error),
    };
    means.pipes.give_back(pipe);
    done.unwrap_or_else(|error| Spliced::FileError(count, error))
}

/// What an error means with which the pipe got nothing. That the client has gone is told by the few
/// that say so; with any other the system may not want this call alone (a sandbox, say), and
/// reading tells.
#[cfg(unix)]
fn unfilled(error: &io::Error) -> Spliced {
    match error.kind() {
        io::ErrorKind::WouldBlock => Spliced::Nothing,
        _ if is_disconnect(error) => Spliced::Disconnected,
        _ => Spliced::Refused(0),
    }
}

#[cfg(unix)]
fn copy(
    pipe: &mut crate::sys::splice::Pipe,
    file: &mut dyn File,
    scratch: &mut [u8],
) -> io::Result<()> {
    loop {
        match pipe.read(scratch)? {
            0 => return Ok(()),
            count => file.write_all(&scratch[..count])?,
        }
    }
}

#[cfg(not(unix))]
fn splice_file(_: &mut Stream, _: &mut dyn File, _: &mut Means<'_>, _: usize) -> Spliced {
    Spliced::Refused(0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_splice_may_not_do_is_read() {
        use io::ErrorKind as Kind;
        for refusal in [
            Kind::PermissionDenied,
            Kind::InvalidInput,
            Kind::Unsupported,
            Kind::OutOfMemory,
            Kind::Other,
        ] {
            let told = unfilled(&refusal.into());
            assert!(matches!(told, Spliced::Refused(0)), "{refusal:?}");
        }
        for gone in [Kind::ConnectionReset, Kind::TimedOut, Kind::BrokenPipe] {
            let told = unfilled(&gone.into());
            assert!(matches!(told, Spliced::Disconnected), "{gone:?}");
        }
        let nothing = unfilled(&Kind::WouldBlock.into());
        assert!(matches!(nothing, Spliced::Nothing));
    }
}
