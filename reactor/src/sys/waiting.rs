//! Whether anybody waits at a listening socket: `poll(2)` costs a seventh of an `accept(2)` that finds
//! nobody, for which Linux makes a socket and a file, and throws them away.
#![allow(unsafe_code)]

use mio::net::TcpListener;

/// Whether an event tells of everybody who comes, though no `accept` has found nobody before: so it is
/// with `epoll` and `kqueue`. mio's other pollers announce more only after an operation that would block.
#[cfg(unix)]
const EVENTS_COME_BY_THEMSELVES: bool = cfg!(all(
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "macos",
    ),
    not(mio_unsupported_force_poll_poll)
));

/// False when nobody waits, and an event will tell of who comes. Where that needs an `accept` in vain
/// it is always true.
#[cfg(unix)]
pub(crate) fn may_wait(listener: &TcpListener) -> bool {
    use std::os::fd::AsRawFd;
    if !EVENTS_COME_BY_THEMSELVES {
        return true;
    }
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

#[cfg(not(unix))]
pub(crate) fn may_wait(_: &TcpListener) -> bool {
    true
}
