//! `splice(2)`: what a socket received goes to a file by way of a pipe, without a copy through our
//! memory. Linux alone has it.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::sync::{Mutex, PoisonError};

/// Whether this system has it.
pub(crate) const SUPPORTED: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What a pipe is asked to hold; an unprivileged process may get less.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CAPACITY: libc::c_int = 1024 * 1024;
/// Pipes that are kept. A pipe is needed for one step of one upload, so each loop needs one.
const KEPT: usize = 4;

/// The pipes of the loops that share it; made when they are needed.
#[derive(Default)]
pub(crate) struct Pipes(Mutex<Vec<Pipe>>);

impl Pipes {
    /// An empty pipe, or none where the system has no `splice(2)` or grants no pipe.
    pub(crate) fn take(&self) -> Option<Pipe> {
        if !SUPPORTED {
            return None;
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.or_else(|| Pipe::new().ok())
    }

    /// Takes it back for the next one; a pipe that holds something still is closed.
    pub(crate) fn give_back(&self, pipe: Pipe) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pipe.filled == 0 && kept.len() < KEPT {
            kept.push(pipe);
        }
    }
}

/// A pipe, and how much is in it.
pub(crate) struct Pipe {
    reader: PipeReader,
    #[cfg_attr(not(unix), allow(dead_code, reason = "Linux"))]
    writer: PipeWriter,
    filled: usize,
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let (reader, writer) = io::pipe()?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use std::os::fd::AsRawFd;
            // SAFETY: the descriptor is ours, and the call has no memory to look at. A smaller pipe
            // is slower, no more.
            unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, CAPACITY) };
        }
        Ok(Pipe {
            reader,
            writer,
            filled: 0,
        })
    }

    /// Reads some of what is in it, for a file that takes nothing from a pipe; 0 when it is empty.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = self.filled.min(buf.len());
        if max == 0 {
            return Ok(0);
        }
        let count = super::retry::retry(|| self.reader.read(&mut buf[..max]))?;
        self.filled = self.filled.saturating_sub(count);
        Ok(count)
    }
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use super::Pipe;
    use crate::sys::retry::retry;

    impl Pipe {
        /// Takes at most `max` bytes from `socket`, and gives their number. 0 need not be the end:
        /// it comes at urgent data, too. Only reading tells.
        ///
        /// # Errors
        ///
        /// `WouldBlock` when the socket has nothing, or the pipe no room; [`is_refusal`] when this
        /// socket cannot be spliced; else those of reading it, which it gives once.
        ///
        /// [`is_refusal`]: super::is_refusal
        pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
            let count = retry(|| call(socket, self.writer.as_fd(), max))?;
            self.filled += count;
            Ok(count)
        }

        /// Puts all that is in it into `file`, at its position or end.
        ///
        /// # Errors
        ///
        /// Those of writing to the file, or [`is_refusal`](super::is_refusal); the pipe keeps what
        /// the file did not take.
        pub(crate) fn pour(&mut self, file: BorrowedFd<'_>) -> io::Result<()> {
            while self.filled > 0 {
                match retry(|| call(self.reader.as_fd(), file, self.filled))? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => self.filled = self.filled.saturating_sub(count),
                }
            }
            Ok(())
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn call(from: BorrowedFd<'_>, to: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        use std::os::fd::AsRawFd;
        use std::ptr::null_mut;
        let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
        // SAFETY: both descriptors are borrowed, hence open; without offsets there is no memory of
        // ours in it.
        let count = unsafe {
            libc::splice(
                from.as_raw_fd(),
                null_mut(),
                to.as_raw_fd(),
                null_mut(),
                max,
                flags,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn call(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether an error says that these two cannot be joined so: copy instead. A file that was opened
/// to append to says so, and so does a sandbox that knows no such call.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
    )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{Seek, SeekFrom, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    fn read_all(file: &mut File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn bytes_arrive_at_the_file_s_position() {
        let (ours, mut theirs) = pair();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        let content: Vec<u8> = (0..500_000u32).map(|at| (at % 251) as u8).collect();
        let sent = content.clone();
        let writer = std::thread::spawn(move || theirs.write_all(&sent).map(|()| theirs));
        let pipes = Pipes::default();
        let mut total = 0;
        while total < content.len() {
            let mut pipe = pipes.take().unwrap();
            total += match pipe.fill(ours.as_fd(), 300_000) {
                Ok(count) => count,
                Err(error) => panic!("{error}"),
            };
            pipe.pour(file.as_fd()).unwrap();
            pipes.give_back(pipe);
        }
        assert_eq!(total, content.len());
        writer.join().unwrap().unwrap();
        let got = read_all(&mut file);
        assert_eq!(&got[..4], b"0123");
        assert!(got[4..] == content);
        assert_eq!(pipes.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_socket_with_nothing_would_block_and_one_at_its_end_gives_nothing() {
        let (ours, theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        let mut pipe = Pipes::default().take().unwrap();
        let error = pipe.fill(ours.as_fd(), 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        ours.set_nonblocking(false).unwrap();
        assert_eq!(pipe.fill(ours.as_fd(), 10).unwrap(), 0);
    }

    #[test]
    fn what_a_file_refuses_can_be_read_back() {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"hello").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        let pipes = Pipes::default();
        let mut pipe = pipes.take().unwrap();
        assert_eq!(pipe.fill(ours.as_fd(), 10).unwrap(), 5);
        assert!(is_refusal(&pipe.pour(file.as_fd()).unwrap_err()));
        let mut buf = [0; 10];
        assert_eq!(pipe.read(&mut buf[..2]).unwrap(), 2);
        assert_eq!(pipe.read(&mut buf[2..]).unwrap(), 3);
        assert_eq!(&buf[..5], b"hello");
        assert_eq!(pipe.read(&mut buf).unwrap(), 0);
    }

    #[test]
    fn a_pipe_with_something_in_it_is_not_kept() {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"hello").unwrap();
        let pipes = Pipes::default();
        let mut pipe = pipes.take().unwrap();
        pipe.fill(ours.as_fd(), 10).unwrap();
        let closed_to_us = File::open("/dev/null").unwrap();
        let error = pipe.pour(closed_to_us.as_fd()).unwrap_err();
        assert!(!is_refusal(&error), "{error}");
        pipes.give_back(pipe);
        assert!(pipes.0.lock().unwrap().is_empty());
        for _ in 0..KEPT + 1 {
            pipes.give_back(Pipe::new().unwrap());
        }
        assert_eq!(pipes.0.lock().unwrap().len(), KEPT);
    }
}
