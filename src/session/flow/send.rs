//! One step of a download: from the file, or what is kept of it, to the connection.

use std::io;

use super::cold::WINDOW;
use super::{CHUNK, Flow, Side, Turn, interrupted};
use crate::fs::File;
use crate::session::interpreter::Verdict;
use crate::session::job::{Job, Source};
use crate::session::warming::Warming;
use crate::stream::Stream;

impl Flow {
    /// One step of a download; `None` to go on.
    pub(super) fn send_some(
        &mut self,
        stream: &mut Stream,
        scratch: &mut [u8],
        max: usize,
    ) -> Option<Turn> {
        let Side::Send {
            source,
            more,
            ascii,
            offset,
            sendfile,
            at_hand,
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
            // Whoever called closes it, which says the rest.
            if let Err(error) = stream.send_end() {
                return Some(interrupted(&error));
            }
            stream.discard(scratch);
            return Some(Turn::Ended(Verdict::Complete));
        }
        match source {
            Some(Source::File(file)) if !self.slow => {
                let max = at_hand.of(&**file, *offset, max);
                if max == 0 {
                    return Some(fetch(source, *offset));
                }
                if *sendfile {
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
                            *sendfile = false;
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
                    Err(error)
                        if error.kind() == io::ErrorKind::WouldBlock && self.ready.is_some() =>
                    {
                        self.starved = true;
                        return Some(Turn::Starved);
                    }
                    Err(error) => return Some(Turn::Ended(Verdict::File(error))),
                };
                *more = count > 0;
                *offset = offset.saturating_add(count as u64);
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
}

/// Has a worker thread read what comes next, of which something is not at hand.
fn fetch(source: &mut Option<Source>, offset: u64) -> Turn {
    match source.take() {
        // The system keeps what was read.
        Some(Source::File(file)) if file_has_descriptor(&*file) => {
            Turn::Job(Job::Warm(Warming::new(file, offset, WINDOW)))
        }
        Some(source) => Turn::Job(Job::Fill(source, CHUNK)),
        None => Turn::Blocked,
    }
}

pub(super) fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut
    )
}

pub(super) fn has_descriptor(source: &Source) -> bool {
    crate::sys::sendfile::SUPPORTED
        && matches!(source, Source::File(file) if file_has_descriptor(&**file))
}

#[cfg(unix)]
fn file_has_descriptor(file: &dyn File) -> bool {
    file.as_fd().is_some()
}

#[cfg(not(unix))]
fn file_has_descriptor(_: &dyn File) -> bool {
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
