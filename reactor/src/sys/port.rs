//! When the system chooses the source port of a connection.
#![allow(unsafe_code)]

use socket2::Socket;

/// Lets the port be chosen by `connect` instead of `bind`: then only the whole quadruple of
/// addresses and ports must be free, not the port for itself, and a server does not run out of
/// ports while closed connections linger. Where the system lacks it, the port is chosen by `bind`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn choose_late(socket: &Socket) {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the option value is a `c_int` of the size that is told.
    // A kernel that does not know the option says so, and nothing has changed.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn choose_late(_: &Socket) {}
