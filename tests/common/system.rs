//! System calls that tests need and the standard library does not have.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path without NUL")
}

/// Swaps two names in one step (`renameat2(2)`).
pub(crate) fn exchange(one: &Path, other: &Path) {
    let (one, other) = (c_string(one), c_string(other));
    // SAFETY: both paths end in NUL and live through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    assert_eq!(done, 0, "renameat2: {}", io::Error::last_os_error());
}

/// Gives this thread, and those that it starts, mounts of their own; false if it may not.
pub(crate) fn own_mounts() -> bool {
    // SAFETY: it takes no pointer, and concerns this thread only.
    let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    unshared && mount(None, Path::new("/"), None, libc::MS_PRIVATE | libc::MS_REC)
}

/// Shows the directory `what` at the directory `at` too; false if it may not.
pub(crate) fn bind_mount(what: &Path, at: &Path) -> bool {
    mount(Some(what), at, None, libc::MS_BIND)
}

/// Mounts `/proc` at `at`; false if it may not.
pub(crate) fn mount_proc(at: &Path) -> bool {
    mount(Some(Path::new("proc")), at, Some(c"proc"), 0)
}

fn mount(
    source: Option<&Path>,
    at: &Path,
    kind: Option<&std::ffi::CStr>,
    flags: libc::c_ulong,
) -> bool {
    let (source, at) = (source.map(c_string), c_string(at));
    let null = std::ptr::null();
    let source = source.as_ref().map_or(null, |source| source.as_ptr());
    let kind = kind.map_or(null, |kind| kind.as_ptr());
    // SAFETY: what is no null pointer ends in NUL and lives through the call.
    unsafe { libc::mount(source, at.as_ptr(), kind, flags, null.cast()) == 0 }
}
