//! `getdents64(2)` and `statx(2)`: the names in an open directory, many with each call, and the
//! facts of an entry by its directory's handle and its name, without following a link. The
//! standard library opens the directory once more for the one and looks paths up for the other.

use std::io;
#[cfg(target_env = "gnu")]
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of entries that are read at a time: some thousand names.
const SIZE: usize = 32 * 1024;
/// Where an entry keeps its length, and its name, which ends in NUL.
const LENGTH: usize = 16;
const NAME: usize = 19;

/// Entries that were read and not taken yet.
#[derive(Default)]
pub(crate) struct Entries {
    buffer: Vec<u8>,
    next: usize,
}

impl Entries {
    /// Hands at most `max` further names in `dir` to `take`, without `.` and `..`; false when there
    /// are no more.
    pub(crate) fn each(
        &mut self,
        dir: BorrowedFd<'_>,
        max: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<bool> {
        let mut left = max;
        while left > 0 {
            let Some((name, length)) = entry(self.buffer.get(self.next..).unwrap_or_default())
            else {
                if self.fill(dir)? {
                    continue;
                }
                *self = Entries::default();
                return Ok(false);
            };
            self.next += length;
            if !matches!(name, b"." | b"..") {
                take(name);
                left -= 1;
            }
        }
        Ok(true)
    }

    /// False at the end.
    fn fill(&mut self, dir: BorrowedFd<'_>) -> io::Result<bool> {
        self.buffer.resize(SIZE, 0);
        self.next = 0;
        // SAFETY: `dir` is open while borrowed, and the buffer is writable and of that size.
        let count = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                dir.as_raw_fd(),
                self.buffer.as_mut_ptr(),
                SIZE,
            )
        };
        match usize::try_from(count) {
            Ok(count) => {
                self.buffer.truncate(count);
                Ok(count > 0)
            }
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

/// The first entry of `bytes`: its name, and how long it is.
fn entry(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let length = bytes.get(LENGTH..LENGTH + 2)?;
    let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
    let name = bytes.get(NAME..length)?;
    let end = name.iter().position(|&byte| byte == 0)?;
    Some((&name[..end], length))
}

/// The facts of the entry `name` of `dir`, which may be a link. `None` where that is not the name
/// of an entry, and where the system has no answer: ask another way, which knows why.
#[cfg(target_env = "gnu")]
pub(crate) fn facts(dir: BorrowedFd<'_>, name: &[u8]) -> Option<libc::statx> {
    let mut path = [MaybeUninit::<u8>::uninit(); 256];
    let odd = |byte: &u8| matches!(byte, b'/' | 0);
    if matches!(name, b"" | b"." | b"..") || name.len() >= path.len() || name.iter().any(odd) {
        return None;
    }
    // SAFETY: `name` is shorter than `path`.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), path.as_mut_ptr().cast(), name.len()) };
    path[name.len()].write(0);
    let mut found = MaybeUninit::<libc::statx>::uninit();
    // SAFETY: `dir` is open while borrowed, `path` is written to up to its NUL, and `found` is to be
    // filled in.
    let done = unsafe {
        libc::statx(
            dir.as_raw_fd(),
            path.as_ptr().cast(),
            libc::AT_SYMLINK_NOFOLLOW,
            libc::STATX_BASIC_STATS | libc::STATX_BTIME,
            found.as_mut_ptr(),
        )
    };
    // SAFETY: on success it has filled it in.
    let found = (done == 0).then(|| unsafe { found.assume_init() })?;
    // A file system may know less than that.
    let basic = libc::STATX_BASIC_STATS;
    (found.stx_mask & basic == basic).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn every_name_comes_once_in_batches_of_any_size() {
        let temp = tempfile::tempdir().unwrap();
        let names: BTreeSet<Vec<u8>> = (0..2_000)
            .map(|number| format!("{number}{}", "x".repeat(number % 100)).into_bytes())
            .chain([vec![b'n'; 255], b"\xff\n".to_vec(), b"...".to_vec()])
            .collect();
        for name in &names {
            File::create(temp.path().join(std::ffi::OsStr::from_bytes(name))).unwrap();
        }
        for max in [1, 7, 256, 100_000] {
            let dir = File::open(temp.path()).unwrap();
            let (mut entries, mut read) = (Entries::default(), Vec::new());
            loop {
                let before = read.len();
                let mut take = |name: &[u8]| read.push(name.to_vec());
                let more = entries.each(dir.as_fd(), max, &mut take).unwrap();
                assert!(read.len() - before <= max);
                if !more {
                    break;
                }
            }
            assert_eq!(read.len(), names.len());
            assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), names);
            assert!(!entries.each(dir.as_fd(), 1, &mut |_| panic!()).unwrap());
        }
    }

    #[test]
    fn what_is_no_directory_has_no_names() {
        let file = tempfile::tempfile().unwrap();
        let error = Entries::default().each(file.as_fd(), 1, &mut |_| panic!());
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
    }

    #[test]
    fn an_entry_that_is_cut_short_is_none() {
        let mut bytes = vec![0; 24];
        bytes[LENGTH..LENGTH + 2].copy_from_slice(&24u16.to_ne_bytes());
        bytes[NAME..NAME + 2].copy_from_slice(b"ab");
        assert_eq!(entry(&bytes), Some((&b"ab"[..], 24)));
        for cut in 0..24 {
            assert_eq!(entry(&bytes[..cut]), None);
        }
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn only_entries_have_facts_and_links_are_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("in")).unwrap();
        std::fs::write(temp.path().join("out"), "four").unwrap();
        std::fs::write(temp.path().join("in/file"), "seven!!").unwrap();
        std::os::unix::fs::symlink("../out", temp.path().join("in/link")).unwrap();
        let dir = File::open(temp.path().join("in")).unwrap();
        let ask = |name: &[u8]| facts(dir.as_fd(), name);
        assert_eq!(ask(b"file").unwrap().stx_size, 7);
        assert_eq!(ask(b"link").unwrap().stx_size, "../out".len() as u64);
        for name in [
            &b""[..],
            b".",
            b"..",
            b"../out",
            b"/etc/passwd",
            b"./file",
            b"file\0",
            b"missing",
            &[b'n'; 256],
        ] {
            assert!(ask(name).is_none(), "{}", name.escape_ascii());
        }
    }
}
