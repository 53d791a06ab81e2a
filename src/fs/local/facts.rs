//! The facts of a file on the disk, as the system tells them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::fs::{FileKind, Metadata};

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
