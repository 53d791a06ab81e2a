//! The facts of a file on the disk, read and set.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use super::confine::Home;
use crate::fs::{FileKind, Metadata};
use crate::proto::path::VirtualPath;

/// The system's facts in the words of the protocol.
pub(super) fn facts(found: &cap_std::fs::Metadata) -> Metadata {
    let kind = if found.is_file() {
        FileKind::File
    } else if found.is_dir() {
        FileKind::Directory
    } else if found.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    };
    let created = found.created().ok().map(|time| seconds(time.into_std()));
    of_the_system(found, kind, created)
}

#[cfg(unix)]
fn of_the_system(found: &cap_std::fs::Metadata, kind: FileKind, created: Option<i64>) -> Metadata {
    use cap_std::fs::MetadataExt;
    Metadata {
        kind,
        size: found.size(),
        modified: found.mtime(),
        created,
        mode: found.mode(),
        links: found.nlink(),
        uid: found.uid(),
        gid: found.gid(),
        unique: unique(found),
    }
}

#[cfg(not(unix))]
fn of_the_system(found: &cap_std::fs::Metadata, kind: FileKind, created: Option<i64>) -> Metadata {
    let type_bits = match kind {
        FileKind::Directory => 0o040_755,
        FileKind::Symlink => 0o120_777,
        FileKind::File | FileKind::Other => 0o100_644,
    };
    let mode = if found.permissions().readonly() {
        type_bits & !0o222
    } else {
        type_bits
    };
    Metadata {
        kind,
        size: found.len(),
        modified: found.modified().map_or(0, |time| seconds(time.into_std())),
        created,
        mode,
        links: 1,
        uid: 0,
        gid: 0,
        unique: None,
    }
}

/// What a file of that mode is.
#[cfg(unix)]
pub(super) fn kind(mode: libc::mode_t) -> FileKind {
    match mode & libc::S_IFMT {
        libc::S_IFREG => FileKind::File,
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// The same from `statx(2)`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn of_statx(found: &libc::statx) -> Metadata {
    let mode = u32::from(found.stx_mode);
    let born = found.stx_mask & libc::STATX_BTIME != 0;
    Metadata {
        kind: kind(mode as libc::mode_t),
        size: found.stx_size,
        modified: found.stx_mtime.tv_sec,
        created: born.then_some(found.stx_btime.tv_sec),
        mode,
        links: found.stx_nlink.into(),
        uid: found.stx_uid,
        gid: found.stx_gid,
        unique: Some((
            libc::makedev(found.stx_dev_major, found.stx_dev_minor),
            found.stx_ino,
        )),
    }
}

/// Device and inode.
#[cfg(unix)]
pub(super) fn unique(found: &cap_std::fs::Metadata) -> Option<(u64, u64)> {
    use cap_std::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

/// The standard library does not give them here.
#[cfg(not(unix))]
pub(super) fn unique(_: &cap_std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// Whole seconds since 1970, rounded down also before.
fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(error) => {
            let before = error.duration();
            let up = before
                .as_secs()
                .saturating_add(u64::from(before.subsec_nanos() > 0));
            i64::try_from(up).map_or(i64::MIN, |up| -up)
        }
    }
}

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
        use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_are_rounded_down_on_both_sides_of_1970() {
        let half = Duration::from_millis(500);
        assert_eq!(seconds(UNIX_EPOCH), 0);
        assert_eq!(seconds(UNIX_EPOCH + half), 0);
        assert_eq!(seconds(UNIX_EPOCH - half), -1);
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(2)), -2);
    }
}
