//! The log into a pipe or a socket whose reader may be slow, or not read at all: what does not go in
//! is lost and counted, and nobody waits for long. A write that blocks would stop the event loop, and
//! with it all clients.
//!
//! Standard error itself must stay as it is: its flags are shared with whoever else has it. On Linux
//! the pipe is opened a second time, without waiting; a socket is told with each write. Elsewhere the
//! pipe is asked before each write, which is sure as long as no other process writes to it.
//!
//! There is no thread that writes, for it would not be there in worker processes, and each line would
//! have to wake it.

// The library's own file: the program has no system calls of its own.
#[path = "../sys/writable.rs"]
#[allow(unsafe_code, reason = "foreign functions")]
mod writable;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::process;
use std::time::{Duration, Instant};

use socket2::SockRef;

use writable::{AT_ONCE, is_writable};

/// How long a line may wait for the reader, who may only just have woken up. As long again nothing
/// waits for him afterwards, so that half of the time is for the clients, however slow he is; and once
/// a line is lost, nothing waits until he reads again.
const WAIT: Duration = Duration::from_millis(10);

/// Where log lines go, each in one `write`.
pub(super) struct LogPipe {
    file: File,
    way: Way,
    /// What is left of a line, of which only a part went in.
    rest: Vec<u8>,
    /// Lines that did not get in since the last one that did.
    lost: u64,
    /// Makes the line that says how many were lost.
    notice: fn(u64) -> Vec<u8>,
    /// The process that the rest and the lost lines are of.
    process: u32,
    may_wait_from: Instant,
}

/// How to write without waiting.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// As it is opened.
    NonBlocking,
    Socket,
    /// A pipe that is asked first.
    Asked,
}

impl LogPipe {
    /// Over that descriptor, if it is a pipe or a socket.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub(super) fn over(
        descriptor: impl AsFd,
        notice: fn(u64) -> Vec<u8>,
    ) -> io::Result<Option<LogPipe>> {
        let file = File::from(descriptor.as_fd().try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        let (file, way) = match (kind.is_fifo(), kind.is_socket()) {
            (true, _) => match opened_anew(&file) {
                Some(own) => (own, Way::NonBlocking),
                None => (file, Way::Asked),
            },
            (_, true) => (file, Way::Socket),
            _ => return Ok(None),
        };
        Ok(Some(LogPipe {
            file,
            way,
            rest: Vec::new(),
            lost: 0,
            notice,
            process: process::id(),
            may_wait_from: Instant::now(),
        }))
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_behind() && self.process != process::id() {
            // The parent says it.
            (self.rest, self.lost) = (Vec::new(), 0);
        }
        let rest = std::mem::take(&mut self.rest);
        let taken = self.offer(&rest)?;
        self.keep(&rest[taken..]);
        if !self.rest.is_empty() {
            self.lost += 1;
        } else if self.lost > 0 {
            // Both or none of them: the first may find room where the second does not.
            let both = [&(self.notice)(self.lost), line].concat();
            self.begin(&both)?;
        } else {
            self.begin(line)?;
        }
        if self.is_behind() {
            self.process = process::id();
        }
        Ok(())
    }

    /// Lets a line in, or counts it.
    fn begin(&mut self, line: &[u8]) -> io::Result<()> {
        match self.offer(line)? {
            0 => self.lost += 1,
            taken => {
                self.lost = 0;
                self.keep(&line[taken..]);
            }
        }
        Ok(())
    }

    fn is_behind(&self) -> bool {
        self.lost > 0 || !self.rest.is_empty()
    }

    fn keep(&mut self, rest: &[u8]) {
        self.rest = rest.to_vec();
    }

    /// How much of it goes in.
    fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut taken, mut waited) = (0, false);
        while taken < bytes.len() {
            match self.try_write(&bytes[taken..]) {
                Ok(0) => break,
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if waited || !self.wait() {
                        break;
                    }
                    waited = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.way {
            Way::NonBlocking => (&self.file).write(bytes),
            Way::Socket => SockRef::from(&self.file).send_with_flags(bytes, libc::MSG_DONTWAIT),
            Way::Asked if !is_writable(self.file.as_fd(), Duration::ZERO) => {
                Err(ErrorKind::WouldBlock.into())
            }
            Way::Asked => (&self.file).write(&bytes[..bytes.len().min(AT_ONCE)]),
        }
    }

    /// Gives the reader a moment; whether he has used it.
    fn wait(&mut self) -> bool {
        let now = Instant::now();
        if self.lost > 0 || now < self.may_wait_from {
            return false;
        }
        let found = is_writable(self.file.as_fd(), WAIT);
        self.may_wait_from = now + now.elapsed() * 2;
        found
    }
}

impl Write for LogPipe {
    /// Takes all of it, wherever it goes.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same pipe with flags of its own. `None` where the system has no such way, or this user may not.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn opened_anew(pipe: &File) -> Option<File> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
        .ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn opened_anew(_: &File) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn notice(count: u64) -> Vec<u8> {
        format!("lost {count}\n").into_bytes()
    }

    fn line(number: usize) -> String {
        format!("{number:099}\n")
    }

    /// Fills it, with nobody reading, until lines are lost; how many were written.
    fn fill(log: &mut LogPipe) -> usize {
        for number in 0.. {
            log.write_all(line(number).as_bytes()).unwrap();
            if log.lost == 10 {
                return number + 1;
            }
        }
        unreachable!("it takes no end");
    }

    /// All that is lost is told of, behind what is not and before what follows.
    fn expect_all_told(mut log: LogPipe, reader: impl Read) {
        let written = fill(&mut log);
        let mut reader = BufReader::new(reader);
        for number in 0..written - 10 {
            let mut read = String::new();
            reader.read_line(&mut read).unwrap();
            assert_eq!(read, line(number));
        }
        log.write_all(b"again\n").unwrap();
        log.write_all(b"and again\n").unwrap();
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "lost 10\nagain\nand again\n");
    }

    #[test]
    fn what_a_full_pipe_does_not_take_is_counted_and_told() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LogPipe::over(&writer, notice).unwrap().unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(log.way, Way::NonBlocking);
        }
        drop(writer);
        expect_all_told(log, reader);

        let (reader, writer) = io::pipe().unwrap();
        let mut log = LogPipe::over(&writer, notice).unwrap().unwrap();
        (log.way, log.file) = (Way::Asked, File::from(std::os::fd::OwnedFd::from(writer)));
        expect_all_told(log, reader);
    }

    #[test]
    fn what_a_full_socket_does_not_take_is_counted_and_told() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let log = LogPipe::over(&writer, notice).unwrap().unwrap();
        assert_eq!(log.way, Way::Socket);
        drop(writer);
        expect_all_told(log, reader);
    }

    #[test]
    fn a_line_that_goes_in_by_halves_is_ended_before_the_next() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = LogPipe::over(&writer, notice).unwrap().unwrap();
        drop(writer);
        let long = [vec![b'x'; 10 << 20], b"\n".to_vec()].concat();
        log.write_all(&long).unwrap();
        let ahead = long.len() - log.rest.len();
        log.write_all(b"lost\n").unwrap();
        assert!(ahead > 0 && log.lost == 1);
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        // Somebody reads: it gets in bit by bit.
        while log.is_behind() {
            log.write_all(b"next\n").unwrap();
        }
        drop(log);
        let all = reading.join().unwrap().unwrap();
        let (read, rest) = all.split_at(long.len());
        assert!(read == long, "the long line is broken");
        let rest = String::from_utf8(rest.to_vec()).unwrap();
        assert!(
            rest.starts_with("lost ") && rest.ends_with("\nnext\n"),
            "{rest}"
        );
    }

    #[test]
    fn files_are_none_of_its_business_and_a_reader_who_is_gone_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(LogPipe::over(&file, notice).unwrap().is_none());
        let (reader, writer) = io::pipe().unwrap();
        let mut log = LogPipe::over(&writer, notice).unwrap().unwrap();
        drop(reader);
        let error = log.write_all(b"line\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
