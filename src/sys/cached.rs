//! Whether a file's bytes are in memory, or only on the disk: a read of one byte that may not wait
//! (`preadv2(2)` with `RWF_NOWAIT`, Linux).
//!
//! `cachestat(2)` is cheaper for many pages, but takes a page that is still on its way from the disk
//! for one that is there, and tells only those who may write to the file.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// A device that does not tell: a file system in memory, or one over the network. Most servers have
/// one such device or none; where there are more, each is asked now and then.
static SILENT: AtomicU64 = AtomicU64::new(NO_DEVICE);

const NO_DEVICE: u64 = u64::MAX;

/// Whether to read the byte at `offset` of a file on that device (`st_dev`) would wait for no disk; at
/// the end of the file there is nothing to wait for. `None` where the system does not tell, which it is
/// asked once.
///
/// Of what is not in memory the system may begin to read a page or more, without waiting for them.
pub(crate) fn is_cached(file: BorrowedFd<'_>, device: u64, offset: u64) -> Option<bool> {
    ask(file, device, offset, &SILENT)
}

fn ask(file: BorrowedFd<'_>, device: u64, offset: u64, silent: &AtomicU64) -> Option<bool> {
    if silent.load(Ordering::Relaxed) == device {
        return None;
    }
    let Err(error) = read_byte(file, offset) else {
        return Some(true);
    };
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Some(false),
        // A file system, a kernel or a sandbox that knows no such thing.
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::EPERM) => {
            silent.store(device, Ordering::Relaxed);
            None
        }
        // Whoever reads it will hear the same.
        _ => Some(true),
    }
}

fn read_byte(file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    // The one for large files, where that is another.
    #[cfg(not(target_env = "gnu"))]
    use libc::preadv2 as preadv64v2;
    #[cfg(target_env = "gnu")]
    use libc::preadv64v2;

    let offset = offset.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut byte = 0_u8;
    let into = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: the descriptor is open, and the only buffer is a local of that length.
    match unsafe {
        preadv64v2(
            file.as_raw_fd(),
            &raw const into,
            1,
            offset,
            libc::RWF_NOWAIT,
        )
    } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::time::{Duration, Instant};

    use super::*;

    const SIZE: u64 = 4 << 20;

    /// A file on the disk, as far as the folder is on one, with its device.
    fn on_disk() -> (File, u64) {
        let folder = std::env::current_exe().unwrap();
        let file = tempfile::tempfile_in(folder.parent().unwrap()).unwrap();
        file.write_all_at(&vec![7; SIZE as usize], 0).unwrap();
        file.sync_all().unwrap();
        let device = file.metadata().unwrap().dev();
        (file, device)
    }

    fn drop_from_memory(file: &File) {
        // SAFETY: the descriptor is open, and the call has no memory to look at.
        let told =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(told, 0);
    }

    #[test]
    fn what_was_written_is_in_memory_and_what_was_dropped_is_not() {
        let (file, device) = on_disk();
        let cached = |offset| is_cached(file.as_fd(), device, offset);
        match cached(0) {
            Some(found) => assert!(found, "just written"),
            None => return eprintln!("the folder's file system does not tell: nothing was tested"),
        }
        assert_eq!(cached(SIZE - 1), Some(true));
        // Nothing is there to wait for.
        assert_eq!(cached(SIZE), Some(true));
        assert_eq!(cached(u64::MAX), Some(true));
        drop_from_memory(&file);
        // Each at another place: to ask may bring the page, and its neighbours, in.
        let cold = (0..4).filter(|&at| cached(at << 20) == Some(false)).count();
        if cold == 0 {
            return eprintln!("the system keeps what it was told to drop: half of it was tested");
        }
        assert_eq!(cold, 4, "only some of it was dropped");
        // What was asked for comes by itself.
        let asked = Instant::now();
        while cached(0) == Some(false) && asked.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        let mut byte = [0];
        file.read_exact_at(&mut byte, SIZE / 2 + 99).unwrap();
        assert_eq!((byte, cached(SIZE / 2 + 99)), ([7], Some(true)));
    }

    #[test]
    fn memory_does_not_tell_and_is_not_asked_again() {
        let Ok(file) = tempfile::tempfile_in("/dev/shm") else {
            return eprintln!("no file system in memory: nothing was tested");
        };
        let device = file.metadata().unwrap().dev();
        let silent = AtomicU64::new(NO_DEVICE);
        if ask(file.as_fd(), device, 0, &silent).is_some() {
            return eprintln!("this system's memory tells: nothing was tested");
        }
        assert_eq!(silent.into_inner(), device);
        // Of a device that does not tell, not even what it would.
        let (disk, device) = on_disk();
        let silent = AtomicU64::new(device);
        assert_eq!(ask(disk.as_fd(), device, 0, &silent), None);
    }
}
