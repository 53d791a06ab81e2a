//! What `/proc` shows of this very process. The kernel lets a process look at itself, also when it
//! acts as a user who may not look at it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

/// Whether the open file or directory is one that `/proc` has of this process or of a thread of it.
pub(crate) fn is_of_this_process(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: all zeroes are a valid `statfs`.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open while borrowed, and `found` is a local of ours.
    if unsafe { libc::fstatfs(file.as_raw_fd(), &mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[allow(
        clippy::unnecessary_cast,
        reason = "its type is another on some systems"
    )]
    if found.f_type as i64 != libc::PROC_SUPER_MAGIC as i64 {
        return Ok(false);
    }
    // Wherever it is mounted, and however the way there was named.
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(names(&real, std::process::id()))
}

/// Whether the path leads through the directory of that process.
fn names(real: &Path, pid: u32) -> bool {
    let pid = pid.to_string();
    real.iter().any(|name| name == pid.as_str())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[track_caller]
    fn ours(path: &str) -> bool {
        is_of_this_process(File::open(path).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn the_own_entries_are_known_by_any_name() {
        let pid = std::process::id();
        for path in [
            "/proc/self",
            "/proc/self/maps",
            "/proc/thread-self/maps",
            "/proc/self/fd",
            &format!("/proc/{pid}/limits"),
            &format!("/proc/self/task/{pid}/status"),
        ] {
            assert!(ours(path), "{path}");
        }
        for path in [
            "/proc",
            "/proc/1",
            "/proc/cpuinfo",
            "/proc/sys",
            "/",
            "/etc/passwd",
        ] {
            assert!(!ours(path), "{path}");
        }
    }
}
