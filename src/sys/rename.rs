//! `renameat2(2)` with `RENAME_NOREPLACE`: a rename that replaces nothing, in one step.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_uint;

/// Renames `from` in one directory to `to` in another; `EEXIST` if that is there. `EINVAL` or `ENOSYS`
/// where the file system or the kernel has no such thing.
pub(crate) fn rename_new(
    from_dir: BorrowedFd<'_>,
    from: &CStr,
    to_dir: BorrowedFd<'_>,
    to: &CStr,
) -> io::Result<()> {
    const NOREPLACE: c_uint = libc::RENAME_NOREPLACE;
    // SAFETY: the descriptors are open and the names end in NUL, for the time of the call. By its number,
    // for not every C library has a function for it.
    let done = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            from_dir.as_raw_fd(),
            from.as_ptr(),
            to_dir.as_raw_fd(),
            to.as_ptr(),
            NOREPLACE,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
