//! Room on the disk, by `fstatvfs(3)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

// Those for large disks, where these are others.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
use libc::{fstatvfs, statvfs};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use libc::{fstatvfs64 as fstatvfs, statvfs64 as statvfs};

/// Bytes that whoever is not root may still write to the file system of `on`.
pub(crate) fn free(on: BorrowedFd<'_>) -> io::Result<u64> {
    let mut found = MaybeUninit::<statvfs>::uninit();
    // SAFETY: the descriptor is open, and there is room for the answer.
    if unsafe { fstatvfs(on.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled it in.
    let found = unsafe { found.assume_init() };
    // The types differ from system to system.
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "see above"
    )]
    let (blocks, size) = (found.f_bavail as u64, found.f_frsize as u64);
    Ok(blocks.saturating_mul(size))
}
