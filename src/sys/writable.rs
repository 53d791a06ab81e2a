//! Whether a pipe or a terminal takes something now, or soon: `poll(2)`.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Bytes that a pipe takes at once when it takes any, and writes of which are not mixed with others'.
pub(crate) const AT_ONCE: usize = libc::PIPE_BUF;

/// True too when a write would fail at once.
pub(crate) fn is_writable(file: BorrowedFd<'_>, within: Duration) -> bool {
    let mut asked = libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    let time = within.as_millis().try_into().unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open while borrowed, and one `pollfd` is told and given.
    unsafe { libc::poll(&raw mut asked, 1, time) > 0 }
}
