//! Sockets that the process was started with.

use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

/// Takes the descriptor `number`, if that is a listening TCP socket; a program can do so once.
///
/// # Errors
///
/// `InvalidInput` for whatever is not one.
pub(crate) fn take_listener(number: RawFd) -> io::Result<TcpListener> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let unusable = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
    // SAFETY: it only looks whether the number is that of an open descriptor.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(unusable("there is no such descriptor"));
    }
    // SAFETY: it is open, and only looked at while this is borrowed.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let socket = SockRef::from(&borrowed);
    let address = socket.local_addr().ok().and_then(|addr| addr.as_socket());
    if address.is_none() || !listens(&socket).unwrap_or(false) {
        return Err(unusable("it is no TCP socket that listens"));
    }
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(unusable("it was taken already"));
    }
    // Not for programs that this one starts.
    socket.set_cloexec(true)?;
    // SAFETY: it is open, it was given to this process to be used so, and nobody else here has taken
    // it, by the flag above.
    Ok(unsafe { TcpListener::from_raw_fd(number) })
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn listens(socket: &SockRef<'_>) -> io::Result<bool> {
    socket.is_listener()
}

/// This system does not tell. What is connected does not listen; what neither is nor does fails when
/// the first client is to be accepted.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn listens(socket: &SockRef<'_>) -> io::Result<bool> {
    Ok(socket.r#type()? == socket2::Type::STREAM && socket.peer_addr().is_err())
}
