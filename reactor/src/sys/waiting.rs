//! Whether anybody waits at a listening socket: `poll(2)` costs a seventh of an `accept(2)` that finds
//! nobody, for which Linux makes a socket and a file, and throws them away.
#![allow(unsafe_code)]

use mio::net::TcpListener;

/// False when nobody waits, and an event will tell of who comes. Where readiness comes back only by an
/// operation that would block it is always true.
#[cfg(all(unix, not(mio_unsupported_force_poll_poll)))]
pub(crate) fn may_wait(listener: &TcpListener) -> bool {
    use std::os::fd::AsRawFd;
    let mut asked = libc::pollfd {
        fd: listener.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the descriptor is open while borrowed, and one `pollfd` is told and given.
    let found = unsafe { libc::poll(&raw mut asked, 1, 0) };
    // Accepting tells what a failure is about.
    found != 0
}

#[cfg(not(all(unix, not(mio_unsupported_force_poll_poll))))]
pub(crate) fn may_wait(_: &TcpListener) -> bool {
    true
}
