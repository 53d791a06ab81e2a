//! Memory that forked processes share, behind a lock that survives the death of its holder. On Linux
//! one that is stopped with the lock in its hand is ended: nobody else could go on until somebody has it
//! continued.
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
    /// The process that was stopped with the lock, and was ended for it.
    pub(crate) ended: Option<u32>,
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
        let taken = self.memory.lock();
        Locked {
            shared: self,
            abandoned: taken.abandoned,
            ended: taken.ended,
        }
    }
}

/// How the lock was had.
#[derive(Default)]
struct Taken {
    abandoned: bool,
    ended: Option<u32>,
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
    #[cfg(target_os = "linux")]
    use std::{
        sync::atomic::Ordering,
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use libc::{c_int, pthread_mutex_t};

    use super::Taken;
    #[cfg(target_os = "linux")]
    use crate::sys::holder::{end_if_stopped, this_process};

    /// Where the holder's number is, in front of the words.
    #[cfg(target_os = "linux")]
    const HOLDER: usize = size_of::<pthread_mutex_t>().next_multiple_of(size_of::<AtomicU64>());
    /// The place of the lock and its holder, up to a cache line's border.
    const HEAD: usize =
        (size_of::<pthread_mutex_t>() + 2 * size_of::<AtomicU64>()).next_multiple_of(64);

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

        #[cfg(not(target_os = "linux"))]
        pub(super) fn lock(&self) -> Taken {
            // SAFETY: `new` initialised the mutex, and it does not move.
            let told = unsafe { libc::pthread_mutex_lock(self.mutex()) };
            self.taken(told)
        }

        #[cfg(target_os = "linux")]
        pub(super) fn lock(&self) -> Taken {
            // SAFETY: `new` initialised the mutex, and it does not move.
            let taken = match unsafe { libc::pthread_mutex_trylock(self.mutex()) } {
                libc::EBUSY => self.wait(),
                told => self.taken(told),
            };
            self.holder()
                .store(this_process().into(), Ordering::Relaxed);
            taken
        }

        /// What a call that asks for the lock has told.
        fn taken(&self, told: c_int) -> Taken {
            let abandoned = match told {
                0 => false,
                #[cfg(any(target_os = "linux", target_os = "freebsd"))]
                libc::EOWNERDEAD => {
                    // SAFETY: `new` initialised the mutex; this thread holds it.
                    unsafe { libc::pthread_mutex_consistent(self.mutex()) };
                    true
                }
                // Nothing else is left to be said of a valid mutex that the thread does not hold.
                error => panic!("the lock of shared memory: error {error}"),
            };
            Taken {
                abandoned,
                ..Taken::default()
            }
        }

        /// Waits for the lock, and ends its holder if that is stopped. Only time that this process was
        /// awake counts: it may have been stopped itself, with all others.
        #[cfg(target_os = "linux")]
        fn wait(&self) -> Taken {
            let mut ended = None;
            for naps in 1_u64.. {
                let until = in_a_moment();
                // SAFETY: `new` initialised the mutex, and the time is a local.
                match unsafe { libc::pthread_mutex_timedlock(self.mutex(), &raw const until) } {
                    libc::ETIMEDOUT if naps % NAPS == 0 => {
                        // It is held for moments only: who has it for a second does not run.
                        let holder = self.holder().load(Ordering::Relaxed);
                        ended = u32::try_from(holder)
                            .ok()
                            .filter(|&holder| end_if_stopped(holder))
                            .or(ended);
                    }
                    libc::ETIMEDOUT => {}
                    told => {
                        return Taken {
                            ended,
                            ..self.taken(told)
                        };
                    }
                }
            }
            unreachable!("naps are numbered for longer than anybody waits")
        }

        /// The process that took the lock last.
        #[cfg(target_os = "linux")]
        fn holder(&self) -> &AtomicU64 {
            // SAFETY: `new` mapped a word there, behind the mutex and aligned, which nobody looks at but
            // as an atomic.
            unsafe { &*self.base.as_ptr().add(HOLDER).cast() }
        }

        pub(super) fn unlock(&self) {
            // Or the next one would be taken for this one until it has said who it is.
            #[cfg(target_os = "linux")]
            self.holder().store(0, Ordering::Relaxed);
            // SAFETY: `new` initialised the mutex; only a holder of the lock calls this.
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

    /// How many naps a holder has before it is looked what keeps him.
    #[cfg(target_os = "linux")]
    const NAPS: u64 = 10;

    /// The end of a nap, by the clock that the system's call asks for.
    #[cfg(target_os = "linux")]
    fn in_a_moment() -> libc::timespec {
        const NAP: Duration = Duration::from_millis(100);
        let end = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = end.unwrap_or_default() + NAP;
        libc::timespec {
            tv_sec: end.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            // Less than a second always fits.
            tv_nsec: end.subsec_nanos() as _,
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

    use super::Taken;

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
        pub(super) fn lock(&self) -> Taken {
            while self.locked.swap(true, Ordering::Acquire) {
                std::thread::yield_now();
            }
            Taken::default()
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

    /// A child that takes the lock, and stops or ends with it.
    #[cfg(target_os = "linux")]
    fn holder(shared: &Shared, signal: i32) -> crate::sys::process::Child {
        // It takes no lock that another test's thread could hold.
        let child = crate::sys::process::fork(&[], || {
            let _locked = shared.lock();
            shared.words()[0].store(1, Ordering::SeqCst);
            // SAFETY: takes a number.
            unsafe { libc::raise(signal) };
            0
        })
        .unwrap();
        while shared.words()[0].load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        child
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_holder_that_is_stopped_is_ended_and_the_lock_goes_on() {
        use crate::sys::process::{Ending, exit_of};

        for (signal, ended) in [(libc::SIGSTOP, true), (libc::SIGKILL, false)] {
            let shared = Shared::new(1).unwrap();
            let child = holder(&shared, signal);
            let locked = shared.lock();
            assert!(locked.abandoned);
            assert_eq!(locked.ended, ended.then(|| child.id()));
            drop(locked);
            let locked = shared.lock();
            assert!(!locked.abandoned && locked.ended.is_none());
            let ending = loop {
                match exit_of(&child) {
                    Some(ending) => break ending,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(ending, Ending::Killed(libc::SIGKILL));
        }
    }
}
