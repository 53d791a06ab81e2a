//! Memory that forked processes share, behind a lock that survives the death of its holder.
//!
//! It is a row of words, all 0 at first, mapped before the fork. Pages that nobody writes to cost
//! nothing, so a table in it may be as large as its limit.

use std::io;
use std::sync::atomic::AtomicU64;

/// Words that this process and those it forks have in common.
pub(crate) struct Shared {
    memory: memory::Memory,
    words: usize,
}

/// The lock on a [`Shared`]; it is free again when this goes.
pub(crate) struct Locked<'a> {
    shared: &'a Shared,
    /// The last holder died with the lock: what it was about to write may be half done.
    pub(crate) abandoned: bool,
}

impl Shared {
    /// # Errors
    ///
    /// When the system grants no memory.
    pub(crate) fn new(words: usize) -> io::Result<Shared> {
        let memory = memory::Memory::new(words)?;
        Ok(Shared { memory, words })
    }

    /// All of them. Whoever changes several words that belong together holds the lock.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.memory.words(self.words)
    }

    /// Waits for the lock. To be held for moments only, and never twice by one thread.
    pub(crate) fn lock(&self) -> Locked<'_> {
        let abandoned = self.memory.lock();
        Locked {
            shared: self,
            abandoned,
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.shared.memory.unlock();
    }
}

#[cfg(unix)]
mod memory {
    use std::io;
    use std::mem::{MaybeUninit, size_of};
    use std::ptr::{self, NonNull};
    use std::sync::atomic::AtomicU64;

    use libc::{c_int, pthread_mutex_t};

    /// The lock's place in front of the words, on a cache line's border.
    const HEAD: usize = size_of::<pthread_mutex_t>().next_multiple_of(64);

    /// Pages count when they are written to. FreeBSD has no such flag, and does so anyway.
    #[cfg(not(any(target_os = "freebsd", target_os = "dragonfly")))]
    const NO_RESERVE: c_int = libc::MAP_NORESERVE;
    #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
    const NO_RESERVE: c_int = 0;

    /// A mapping: a mutex, then words.
    pub(super) struct Memory {
        base: NonNull<u8>,
        size: usize,
    }

    // SAFETY: the words are atomic, the mutex is made for threads and processes alike, and the
    // mapping stays where it is for as long as this value lives.
    unsafe impl Send for Memory {}
    // SAFETY: as above.
    unsafe impl Sync for Memory {}

    impl Memory {
        pub(super) fn new(words: usize) -> io::Result<Memory> {
            let size = words
                .checked_mul(size_of::<AtomicU64>())
                .and_then(|bytes| bytes.checked_add(HEAD))
                .ok_or(io::ErrorKind::OutOfMemory)?;
            // SAFETY: a new mapping, which replaces none.
            let base = unsafe {
                libc::mmap(
                    ptr::null_mut(),
                    size,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_ANON | NO_RESERVE,
                    -1,
                    0,
                )
            };
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
            let memory = Memory { base, size };
            init(memory.mutex())?;
            Ok(memory)
        }

        fn mutex(&self) -> *mut pthread_mutex_t {
            self.base.as_ptr().cast()
        }

        pub(super) fn words(&self, count: usize) -> &[AtomicU64] {
            debug_assert!(HEAD + count * size_of::<AtomicU64>() <= self.size);
            // SAFETY: `new` mapped so many words behind the head, aligned and 0 at first; nobody
            // looks at them but as atomics.
            unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(HEAD).cast(), count) }
        }

        /// Tells whether the last holder died with it.
        pub(super) fn lock(&self) -> bool {
            // SAFETY: `new` initialised the mutex, and it does not move.
            match unsafe { libc::pthread_mutex_lock(self.mutex()) } {
                0 => false,
                #[cfg(any(target_os = "linux", target_os = "freebsd"))]
                libc::EOWNERDEAD => {
                    // SAFETY: as above; this thread holds it.
                    unsafe { libc::pthread_mutex_consistent(self.mutex()) };
                    true
                }
                // Nothing else is left to be said of a valid mutex that the thread does not hold.
                error => panic!("the lock of shared memory: error {error}"),
            }
        }

        pub(super) fn unlock(&self) {
            // SAFETY: as above; only a holder of the lock calls this.
            unsafe { libc::pthread_mutex_unlock(self.mutex()) };
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            // The mutex is not destroyed: another process may hold it.
            // SAFETY: the mapping is this value's, and nothing borrows from it any more.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.size) };
        }
    }

    /// A mutex for several processes, which tells of a holder's death where the system can.
    fn init(mutex: *mut pthread_mutex_t) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the attributes are initialised by the first call and live until the last; the
        // mutex is memory of the right size and alignment that nobody uses yet.
        unsafe {
            check(libc::pthread_mutexattr_init(attributes))?;
            let made = check(libc::pthread_mutexattr_setpshared(
                attributes,
                libc::PTHREAD_PROCESS_SHARED,
            ))
            .and_then(|()| make_robust(attributes))
            .and_then(|()| check(libc::pthread_mutex_init(mutex, attributes)));
            libc::pthread_mutexattr_destroy(attributes);
            made
        }
    }

    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    fn make_robust(attributes: *mut libc::pthread_mutexattr_t) -> io::Result<()> {
        /// `PTHREAD_MUTEX_ROBUST` of both.
        const ROBUST: c_int = 1;
        // SAFETY: the caller has initialised them.
        check(unsafe { libc::pthread_mutexattr_setrobust(attributes, ROBUST) })
    }

    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    fn make_robust(_: *mut libc::pthread_mutexattr_t) -> io::Result<()> {
        Ok(())
    }

    fn check(error: c_int) -> io::Result<()> {
        match error {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Without fork, memory of this process will do.
#[cfg(not(unix))]
mod memory {
    use std::io;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    pub(super) struct Memory {
        words: Box<[AtomicU64]>,
        locked: AtomicBool,
    }

    impl Memory {
        pub(super) fn new(words: usize) -> io::Result<Memory> {
            let words = (0..words).map(|_| AtomicU64::new(0)).collect();
            let locked = AtomicBool::new(false);
            Ok(Memory { words, locked })
        }

        pub(super) fn words(&self, count: usize) -> &[AtomicU64] {
            &self.words[..count]
        }

        /// It is held for moments only, so waiting is spinning.
        pub(super) fn lock(&self) -> bool {
            while self.locked.swap(true, Ordering::Acquire) {
                std::thread::yield_now();
            }
            false
        }

        pub(super) fn unlock(&self) {
            self.locked.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn words_are_zero_at_first_and_locked_one_by_one() {
        let shared = Arc::new(Shared::new(1_000_000).unwrap());
        assert_eq!(shared.words().len(), 1_000_000);
        assert_eq!(shared.words()[999_999].load(Ordering::Relaxed), 0);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    for _ in 0..10_000 {
                        let locked = shared.lock();
                        assert!(!locked.abandoned);
                        let word = &shared.words()[7];
                        word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.words()[7].load(Ordering::Relaxed), 40_000);
    }
}
