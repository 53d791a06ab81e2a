//! How much of what was written to a connection its peer has not taken yet: `ioctl(2)` with `TIOCOUTQ`
//! (Linux) or `FIONWRITE` (FreeBSD), `SO_NWRITE` (macOS).

/// Bytes that were written and that the peer has not taken; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn unsent(socket: std::os::fd::BorrowedFd<'_>) -> Option<usize> {
    use std::os::fd::AsRawFd;

    // It counts what was sent and is not acknowledged, too.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    use libc::TIOCOUTQ as REQUEST;

    #[cfg(target_os = "freebsd")]
    use libc::FIONWRITE as REQUEST;

    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open, and both requests store one `int`, which is a local.
    match unsafe { libc::ioctl(socket.as_raw_fd(), REQUEST, &raw mut count) } {
        0 => usize::try_from(count).ok(),
        _ => None,
    }
}

/// Bytes that were written and that the peer has not taken; `None` where the system does not tell.
#[cfg(target_vendor = "apple")]
pub(crate) fn unsent(socket: std::os::fd::BorrowedFd<'_>) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut count: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the option is one `int`, which is a local of that size.
    let told = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NWRITE,
            (&raw mut count).cast(),
            &raw mut size,
        )
    };
    match told {
        0 => usize::try_from(count).ok(),
        _ => None,
    }
}

/// Bytes that were written and that the peer has not taken; `None` where the system does not tell.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
)))]
pub(crate) fn unsent<S>(_: S) -> Option<usize> {
    None
}

#[cfg(all(test, any(target_os = "linux", target_os = "freebsd")))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_the_peer_takes_is_unsent_no_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        assert_eq!(unsent(ours.as_fd()), Some(0));
        ours.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(count) = ours.write(&[0; 65536]) {
            written += count;
        }
        let full = unsent(ours.as_fd()).unwrap();
        assert!(full > 0 && full <= written, "{full} of {written}");
        theirs.read_exact(&mut vec![0; written]).unwrap();
        // Its kernel acknowledges it, if not at once.
        while unsent(ours.as_fd()) != Some(0) {
            std::thread::yield_now();
        }
        let file = tempfile::tempfile().unwrap();
        assert_eq!(unsent(file.as_fd()), None);
    }
}
