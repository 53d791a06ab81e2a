//! `sendfile(2)`: a file's bytes to a socket without a copy through our memory. Linux, macOS and
//! the BSDs have one each, all different.

/// Whether this system has it.
pub(crate) const SUPPORTED: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
));

#[cfg(unix)]
pub(crate) use unix::sendfile;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

    /// Sends at most `count` bytes of `file` from `offset` on, moves `offset` on by as many, and
    /// gives their number; 0 is the end of the file. The file's own position is not used and may
    /// or may not stay.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket takes nothing now. `Unsupported`, `InvalidInput` (`EINVAL`),
    /// `ENOSYS`, `ENOTSOCK`, `EOPNOTSUPP` and `EOVERFLOW` say that these two cannot be joined so:
    /// copy instead. The others are those of writing to a socket and reading a file.
    pub(crate) fn sendfile(
        socket: BorrowedFd<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        if count == 0 {
            // For macOS it would mean all there is.
            return Ok(0);
        }
        loop {
            match call(socket.as_raw_fd(), file.as_raw_fd(), *offset, count) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(sent) => {
                    *offset = offset.saturating_add(sent as u64);
                    return Ok(sent);
                }
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn call(socket: RawFd, file: RawFd, offset: u64, count: usize) -> io::Result<usize> {
        // The one for large files, where that is another.
        #[cfg(not(any(target_env = "gnu", target_os = "android")))]
        use libc::sendfile as sendfile64;
        #[cfg(any(target_env = "gnu", target_os = "android"))]
        use libc::sendfile64;

        let mut offset = offset.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: both descriptors are borrowed, hence open; `offset` is a local of ours.
        let sent = unsafe { sendfile64(socket, file, &mut offset, count) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    #[cfg(target_vendor = "apple")]
    fn call(socket: RawFd, file: RawFd, offset: u64, count: usize) -> io::Result<usize> {
        let offset = offset.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut sent = libc::off_t::try_from(count).unwrap_or(libc::off_t::MAX);
        // SAFETY: both descriptors are borrowed, hence open; `sent` is a local of ours, and there
        // are neither headers nor trailers.
        let status =
            unsafe { libc::sendfile(file, socket, offset, &mut sent, std::ptr::null_mut(), 0) };
        verdict(status, sent)
    }

    #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
    fn call(socket: RawFd, file: RawFd, offset: u64, count: usize) -> io::Result<usize> {
        let offset = offset.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut sent: libc::off_t = 0;
        let no_headers = std::ptr::null_mut();
        // SAFETY: both descriptors are borrowed, hence open; `sent` is a local of ours, and there
        // are neither headers nor trailers.
        let status =
            unsafe { libc::sendfile(file, socket, offset, count, no_headers, &mut sent, 0) };
        verdict(status, sent)
    }

    /// These two systems send a part and say `EAGAIN` or `EINTR` in the same call.
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly"
    ))]
    fn verdict(status: libc::c_int, sent: libc::off_t) -> io::Result<usize> {
        let error = io::Error::last_os_error();
        match (status, error.kind()) {
            (0, _) => Ok(sent as usize),
            (_, io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) if sent > 0 => {
                Ok(sent as usize)
            }
            _ => Err(error),
        }
    }

    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
    )))]
    fn call(_socket: RawFd, _file: RawFd, _offset: u64, _count: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(
    test,
    any(target_os = "linux", target_vendor = "apple", target_os = "freebsd")
))]
mod tests {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    const SIZE: usize = 8 * 1024 * 1024;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    fn filled_file() -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..SIZE as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn a_file_arrives_whole_from_its_offset_on() {
        const { assert!(SUPPORTED) };
        let (file, bytes) = filled_file();
        let (ours, mut theirs) = pair();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).map(|_| got)
        });
        let mut offset = 1_000;
        while sendfile(ours.as_fd(), file.as_fd(), &mut offset, 300_000).unwrap() > 0 {}
        assert_eq!(offset, SIZE as u64);
        drop(ours);
        assert!(reader.join().unwrap().unwrap() == bytes[1_000..]);
    }

    #[test]
    fn a_full_socket_would_block_after_its_part() {
        let (file, bytes) = filled_file();
        let (ours, mut theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        let mut offset = 0;
        let error = loop {
            // Again from the start: no buffer of a socket is endless.
            offset %= SIZE as u64;
            if let Err(error) = sendfile(ours.as_fd(), file.as_fd(), &mut offset, SIZE) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        assert_eq!(got.len() % SIZE, offset as usize % SIZE);
        assert!(got.iter().zip(bytes.iter().cycle()).all(|(a, b)| a == b));
    }

    #[test]
    fn nothing_to_send_sends_nothing() {
        let (file, _) = filled_file();
        let (ours, _theirs) = pair();
        for (start, count) in [(0, 0), (SIZE as u64, 10), (SIZE as u64 * 2, 10)] {
            let mut offset = start;
            assert_eq!(
                sendfile(ours.as_fd(), file.as_fd(), &mut offset, count).unwrap(),
                0
            );
            assert_eq!(offset, start);
        }
    }

    #[test]
    fn what_cannot_be_joined_is_an_error_and_moves_nothing() {
        let (file, _) = filled_file();
        let (ours, _theirs) = pair();
        let mut offset = u64::MAX;
        let error = sendfile(ours.as_fd(), file.as_fd(), &mut offset, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(offset, u64::MAX);
        let (reader, _writer) = io::pipe().unwrap();
        assert!(sendfile(ours.as_fd(), reader.as_fd(), &mut 0, 1).is_err());
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let (file, _) = filled_file();
        let (ours, theirs) = pair();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        drop(theirs);
        assert!(sendfile(ours.as_fd(), file.as_fd(), &mut 0, 10).is_err());
    }
}
