//! `umask(2)`: which permissions new files and directories of the process do not get.

/// Sets it, for all threads.
pub(crate) fn set(mask: u32) {
    // SAFETY: it takes a number, and cannot fail.
    unsafe { libc::umask((mask & 0o777) as libc::mode_t) };
}
