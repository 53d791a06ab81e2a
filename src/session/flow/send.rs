//! One step of a download: from the file, or what is kept of it, to the connection.

use std::io;

use super::cold::WINDOW;
use super::{CHUNK, Flow, Side, Turn, interrupted};
use crate::fs::{File, has_descriptor};
use crate::session::interpreter::Verdict;
use crate::session::work::job::{Job, Source};
use crate::session::work::warming::Warming;
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
            left,
            unsent,
            sent,
        } = &mut self.side
        else {
            return None;
        };
        let unlimited = !self.limited;
        // What TLS has encrypted goes first, so that a client that stalls costs no more than that.
        if let Err(error) = stream.flush() {
            return Some(interrupted(&error));
        }
        let max = max.min(stream.most_to_write());
        if *sent < unsent.len() {
            let end = unsent.len().min(*sent + max);
            let is_last = !*more && end == unsent.len() && unlimited;
            let count = match write(stream, &unsent[*sent..end], is_last) {
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
                            *more = goes_on(left, count, max);
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
                *more = goes_on(left, count, max);
                *offset = offset.saturating_add(count as u64);
                let bytes = &scratch[..count];
                if let Some(ascii) = ascii {
                    ascii.convert(bytes, unsent);
                    return None;
                }
                let taken = match write(stream, bytes, !*more && unlimited) {
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
                Some(source) => Turn::Job(Job::Fill(source, std::mem::take(unsent), CHUNK)),
                None => Turn::Blocked,
            }),
        }
    }
}

/// Whether more may come of a file, of which `count` bytes came of `max` that were asked for. One that
/// gave less than was asked for, and just what was left of it when it was opened, is at its end; one
/// that gave more has grown, or tells no size worth the name, as the files of `/proc`.
fn goes_on(left: &mut Option<u64>, count: usize, max: usize) -> bool {
    let known = left.take();
    let rest = known.and_then(|left| left.checked_sub(count as u64));
    *left = rest;
    count > 0 && (rest != Some(0) || count == max)
}

fn write(stream: &mut Stream, bytes: &[u8], is_last: bool) -> io::Result<usize> {
    match is_last && !bytes.is_empty() {
        true => stream.write_last(bytes),
        false => stream.write(bytes),
    }
}

/// Has a worker thread read what comes next, of which something is not at hand.
fn fetch(source: &mut Option<Source>, offset: u64) -> Turn {
    match source.take() {
        // The system keeps what was read.
        Some(Source::File(file)) if has_descriptor(&*file) => {
            Turn::Job(Job::Warm(Warming::new(file, offset, WINDOW)))
        }
        Some(source) => Turn::Job(Job::Fill(source, Vec::new(), CHUNK)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a file of which `size` bytes are left goes on after steps of so many bytes out of 100.
    fn goes_on_after(size: Option<u64>, counts: &[usize]) -> bool {
        let mut left = size;
        let (last, before) = counts.split_last().unwrap();
        for &count in before {
            assert!(goes_on(&mut left, count, 100), "{size:?} {counts:?}");
        }
        goes_on(&mut left, *last, 100)
    }

    #[test]
    fn a_file_of_known_size_ends_with_its_last_byte() {
        assert!(!goes_on_after(Some(10), &[10]));
        assert!(!goes_on_after(Some(110), &[100, 10]));
        assert!(!goes_on_after(Some(110), &[50, 10, 50]));
        assert!(goes_on_after(Some(110), &[100]));
        assert!(goes_on_after(Some(110), &[10]));
    }

    #[test]
    fn only_nothing_is_the_end_of_a_file_that_told_another_size() {
        // All that was asked for came: there may be more since.
        assert!(!goes_on_after(Some(100), &[100, 0]));
        // It has grown,
        assert!(!goes_on_after(Some(100), &[100, 20, 0]));
        assert!(!goes_on_after(Some(10), &[20, 20, 0]));
        // it has shrunk,
        assert!(!goes_on_after(Some(1000), &[20, 0]));
        // or it has no size to speak of.
        assert!(!goes_on_after(Some(0), &[70, 70, 70, 0]));
        assert!(!goes_on_after(None, &[10, 10, 0]));
    }
}
