//! `fstatat(2)`, `utimensat(2)` and `fchmodat(2)`: a file's mode and times by its directory's handle
//! and its name, without opening the file and without following a link.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

// Those for large files and large numbers of files, where these are others: with 32 bits a file that has
// more is an error.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
use libc::{fstatat, stat};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use libc::{fstatat64 as fstatat, stat64 as stat};

/// The mode of `name` in `dir`, which is what it is and its permission bits, and its size in bytes. A name is
/// no path: it has no `/`.
pub(crate) fn look(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<(libc::mode_t, u64)> {
    let name = CString::new(name.as_bytes())?;
    let mut found = MaybeUninit::<stat>::uninit();
    // SAFETY: `dir` is open while borrowed, `name` ends in NUL, and `found` is to be filled in.
    let done = unsafe {
        fstatat(
            dir.as_raw_fd(),
            name.as_ptr(),
            found.as_mut_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    verdict(done)?;
    // SAFETY: on success it has filled it in.
    let found = unsafe { found.assume_init() };
    Ok((found.st_mode, found.st_size.try_into().unwrap_or_default()))
}

/// Sets access and modification time of `name` in `dir`, in seconds since 1970 UTC.
pub(crate) fn set_times(dir: BorrowedFd<'_>, name: &OsStr, seconds: i64) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    // SAFETY: all zeroes are a valid `timespec`, which has padding on some systems.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    #[allow(
        clippy::useless_conversion,
        reason = "time_t has 32 bits on some systems"
    )]
    let seconds = seconds
        .try_into()
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    time.tv_sec = seconds;
    let times = [time, time];
    // SAFETY: `dir` is open while borrowed, `name` ends in NUL, and `times` are two as it wants.
    let done = unsafe {
        libc::utimensat(
            dir.as_raw_fd(),
            name.as_ptr(),
            times.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    verdict(done)
}

/// Sets the permission bits of `name` in `dir`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_mode(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    let mode = mode as libc::mode_t & 0o7777;
    // SAFETY: `dir` is open while borrowed, and `name` ends in NUL.
    let done = unsafe {
        libc::fchmodat(
            dir.as_raw_fd(),
            name.as_ptr(),
            mode,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    verdict(done)
}

fn verdict(done: libc::c_int) -> io::Result<()> {
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_link_itself_is_set_and_not_its_target() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        symlink("file", temp.path().join("link")).unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        set_times(dir.as_fd(), OsStr::new("file"), -1).unwrap();
        set_times(dir.as_fd(), OsStr::new("link"), 1_000_000_000).unwrap();
        let file = std::fs::metadata(temp.path().join("link")).unwrap();
        let link = std::fs::symlink_metadata(temp.path().join("link")).unwrap();
        assert_eq!((file.mtime(), file.atime()), (-1, -1));
        assert_eq!((link.mtime(), link.mtime_nsec()), (1_000_000_000, 0));
    }

    #[test]
    fn what_is_seen_is_the_entry_itself() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "seven!!").unwrap();
        std::fs::create_dir(temp.path().join("dir")).unwrap();
        symlink("file", temp.path().join("link")).unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        for (name, kind) in [
            ("file", libc::S_IFREG),
            ("dir", libc::S_IFDIR),
            ("link", libc::S_IFLNK),
        ] {
            let (mode, size) = look(dir.as_fd(), OsStr::new(name)).unwrap();
            assert_eq!(mode & libc::S_IFMT, kind, "{name}");
            let own = std::fs::symlink_metadata(temp.path().join(name)).unwrap();
            assert_eq!(size, own.len(), "{name}");
        }
    }

    #[test]
    fn errors_come_through() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        let missing = set_times(dir.as_fd(), OsStr::new("missing"), 0).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        assert!(set_times(dir.as_fd(), OsStr::new("n\0ul"), 0).is_err());
        let missing = look(dir.as_fd(), OsStr::new("missing")).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        assert!(look(dir.as_fd(), OsStr::new("n\0ul")).is_err());
    }
}
