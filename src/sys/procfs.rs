//! What `/proc` shows of this very process. The kernel lets a process look at itself, also when it
//! acts as a user who may not look at it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

// Those for large disks, where these are others.
#[cfg(not(target_env = "gnu"))]
use libc::{fstatfs, statfs};
#[cfg(target_env = "gnu")]
use libc::{fstatfs64 as fstatfs, statfs64 as statfs};

/// Whether the open file or directory is one that `/proc` has of this process or of a thread of it.
pub(crate) fn is_of_this_process(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: all zeroes are a valid `statfs`.
    let mut found: statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open while borrowed, and `found` is a local of ours.
    if unsafe { fstatfs(file.as_raw_fd(), &mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[allow(
        clippy::unnecessary_cast,
        reason = "its type is another on some systems"
    )]
    if found.f_type as i64 != libc::PROC_SUPER_MAGIC as i64 {
        return Ok(false);
    }
    // However the way there was named, and wherever it is mounted.
    let real = link_of(file)?;
    Ok(real.ancestors().any(is_directory_of_this_process))
}

/// The path without links of what is open; `None` where it has none now, or `/proc` is not mounted.
pub(crate) fn path_of(file: BorrowedFd<'_>) -> Option<PathBuf> {
    let path = link_of(file).ok()?;
    // What was removed is marked so, and what is outside of the root directory is no absolute path. A
    // name may end like the mark; then another way must do.
    let removed = path.as_os_str().as_bytes().ends_with(b" (deleted)");
    (path.is_absolute() && !removed).then_some(path)
}

fn link_of(file: BorrowedFd<'_>) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether that is `/proc/PID` or `/proc/TID` of ours. It may have the numbers of another namespace.
fn is_directory_of_this_process(path: &Path) -> bool {
    let is_number = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
    if !path.file_name().is_some_and(is_number) {
        return false;
    }
    let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NStgid:"));
    let innermost = ids.and_then(|ids| ids.split_ascii_whitespace().next_back());
    innermost == Some(&std::process::id().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_open_has_the_path_that_it_has_now() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        for name in ["a", "b", "c (deleted)"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("a", base.join("link")).unwrap();
        let open = |name| File::open(base.join(name)).unwrap();
        let (a, b, c) = (open("link"), open("b"), open("c (deleted)"));
        assert_eq!(path_of(a.as_fd()), Some(base.join("a")));
        std::fs::rename(base.join("a"), base.join("d")).unwrap();
        assert_eq!(path_of(a.as_fd()), Some(base.join("d")));
        std::fs::remove_dir(base.join("b")).unwrap();
        assert_eq!(path_of(b.as_fd()), None);
        assert_eq!(path_of(c.as_fd()), None);
    }

    #[track_caller]
    fn ours(path: &str) -> bool {
        is_of_this_process(File::open(path).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn the_own_entries_are_known_by_any_name() {
        let pid = std::process::id();
        // A thread has an entry by its own number too, which no listing shows.
        let thread = std::fs::read_link("/proc/thread-self").unwrap();
        let thread = thread.file_name().unwrap().to_str().unwrap().to_owned();
        for path in [
            "/proc/self",
            "/proc/self/maps",
            "/proc/thread-self/maps",
            "/proc/self/fd",
            &format!("/proc/{pid}/limits"),
            &format!("/proc/{thread}/limits"),
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
