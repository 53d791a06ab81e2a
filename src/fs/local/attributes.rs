//! Sets a file's permission bits and times, inside the home.

use std::io;

use super::confine::Home;
use crate::proto::path::VirtualPath;

impl Home {
    /// Sets the permission bits of what `path` leads to, without opening it for reading or writing.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::PermissionsExt;

        use cap_std::fs::{OpenOptions, OpenOptionsExt};

        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_PATH);
        let file = self.follow(path, |dir, below| dir.open_with(below, &options))?;
        // fchmod(2) takes no O_PATH descriptor; through /proc the system takes the very same file.
        let file_itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        std::fs::set_permissions(file_itself, std::fs::Permissions::from_mode(mode))
    }

    /// Sets the permission bits of what `path` leads to, without opening it.
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    pub(super) fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        use std::os::fd::AsFd;
        let (dir, name) = self.target(path)?;
        crate::sys::attributes::set_mode(dir.as_fd(), &name, mode)
    }

    /// This system knows read-only files and no other bits: it goes by the owner's to write.
    #[cfg(not(unix))]
    pub(super) fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.follow(path, |dir, below| {
            let mut permissions = dir.metadata(below)?.permissions();
            permissions.set_readonly(mode & 0o200 == 0);
            dir.set_permissions(below, permissions)
        })
    }

    /// Sets both times of what `path` leads to, without opening it.
    #[cfg(unix)]
    pub(super) fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        use std::os::fd::AsFd;
        let (dir, name) = self.target(path)?;
        crate::sys::attributes::set_times(dir.as_fd(), &name, seconds)
    }

    /// Sets both times of what `path` leads to.
    #[cfg(not(unix))]
    pub(super) fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        use std::fs::FileTimes;
        use std::time::{Duration, UNIX_EPOCH};

        let distance = Duration::from_secs(seconds.unsigned_abs());
        let time = match seconds {
            0.. => UNIX_EPOCH.checked_add(distance),
            _ => UNIX_EPOCH.checked_sub(distance),
        };
        let time = time.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let options = attribute_options();
        let file = self.follow(path, |dir, below| dir.open_with(below, &options))?;
        file.into_std()
            .set_times(FileTimes::new().set_accessed(time).set_modified(time))
    }
}

/// To set times by: a directory is opened so too, and a file that nobody may write to.
#[cfg(windows)]
fn attribute_options() -> cap_std::fs::OpenOptions {
    use cap_std::fs::OpenOptionsExt;
    use windows_sys::Win32::Storage::FileSystem::{
        FILE_FLAG_BACKUP_SEMANTICS, FILE_WRITE_ATTRIBUTES,
    };
    let mut options = cap_std::fs::OpenOptions::new();
    options
        .access_mode(FILE_WRITE_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    options
}

#[cfg(not(any(unix, windows)))]
fn attribute_options() -> cap_std::fs::OpenOptions {
    let mut options = cap_std::fs::OpenOptions::new();
    options.write(true);
    options
}
