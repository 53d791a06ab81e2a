//! Forked worker processes: their birth, their signals, and how they end.

use std::fmt;

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Killed(i32),
    /// Somebody else in this process has waited for it.
    Unknown,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(status) => write!(f, "ended with status {status}"),
            Ending::Unknown => f.write_str("ended, nobody can tell how"),
            Ending::Killed(signal) => match name(*signal) {
                Some(name) => write!(f, "was killed by signal {signal} ({name})"),
                None => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

#[cfg(unix)]
pub(crate) use unix::{Child, Private, any_ended, exit_of, fork, unblock_signals};

#[cfg(not(unix))]
fn name(_: i32) -> Option<&'static str> {
    None
}

#[cfg(unix)]
fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use libc::{c_int, pid_t, sigset_t};

    use super::Ending;

    /// A child of this process. Until somebody has waited for it, its number is its own.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Child {
        pid: pid_t,
    }

    impl Child {
        pub(crate) fn id(&self) -> u32 {
            self.pid.unsigned_abs()
        }

        /// Sends it a signal; one that has ended already is no matter.
        pub(crate) fn signal(&self, signal: c_int) {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            let id = self.id() as libc::id_t;
            // SAFETY: the information is valid for the call, which neither waits nor takes the child
            // away. Where it fails, somebody else has waited for the child, whose number may be
            // another's by now.
            let is_ours = unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), options) } == 0;
            if is_ours {
                // SAFETY: takes two numbers.
                unsafe { libc::kill(self.pid, signal) };
            }
        }
    }

    /// Descriptors that are this process's alone.
    static PRIVATE: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

    /// Keeps a descriptor from the children of this process, as long as this lives: they close it,
    /// whoever forks them. To be dropped before its descriptor is closed.
    #[derive(Debug)]
    pub(crate) struct Private(RawFd);

    impl Private {
        pub(crate) fn new(descriptor: &impl AsFd) -> Private {
            let number = descriptor.as_fd().as_raw_fd();
            private().push(number);
            Private(number)
        }
    }

    impl Drop for Private {
        fn drop(&mut self) {
            let mut all = private();
            if let Some(at) = all.iter().position(|&number| number == self.0) {
                all.swap_remove(at);
            }
        }
    }

    fn private() -> MutexGuard<'static, Vec<RawFd>> {
        PRIVATE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forks; the child runs `work`, without returning from here, and ends with the status that it
    /// gives. Of what is [`Private`] it has `keep` only. Signals are blocked in it until
    /// [`unblock_signals`].
    ///
    /// The child has this thread alone. Whatever other threads held at the time, a lock say, stays as
    /// it was; so a program forks before it starts threads, or sees to it that they rest.
    ///
    /// # Errors
    ///
    /// When the system has no room for another process.
    pub(crate) fn fork(keep: &[RawFd], work: impl FnOnce() -> i32) -> io::Result<Child> {
        let before = block_signals()?;
        // Held over the fork, so that no number in it is another's by then.
        let mut private = private();
        // SAFETY: what the child may do is the caller's promise, told above; nothing of the parent's
        // is dropped or unwound in it.
        let forked = match unsafe { libc::fork() } {
            0 => {
                private.sort_unstable();
                private.dedup();
                for number in private.drain(..).filter(|number| !keep.contains(number)) {
                    // SAFETY: its owner stayed behind in the parent's memory, and is never used or
                    // dropped here.
                    unsafe { libc::close(number) };
                }
                drop(private);
                BLOCKED_BEFORE.set(Some(before));
                let status = match catch_unwind(AssertUnwindSafe(work)) {
                    Ok(status) => status,
                    Err(payload) => {
                        // Its drop might panic, and unwind into what is the parent's.
                        std::mem::forget(payload);
                        101
                    }
                };
                if let Err(payload) = catch_unwind(|| log::logger().flush()) {
                    std::mem::forget(payload);
                }
                // SAFETY: ends the process without running what the parent has registered.
                unsafe { libc::_exit(status) }
            }
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(Child { pid }),
        };
        drop(private);
        set_mask(&before)?;
        forked
    }

    thread_local! {
        /// In a child of [`fork`], what its parent had blocked before.
        static BLOCKED_BEFORE: Cell<Option<sigset_t>> = const { Cell::new(None) };
    }

    /// To be called by a child of [`fork`] once it is ready for signals: what its parent had blocked is
    /// blocked again, but for those in `watched`.
    pub(crate) fn unblock_signals(watched: &[c_int]) {
        let Some(mut mask) = BLOCKED_BEFORE.take() else {
            return;
        };
        for &signal in watched {
            // SAFETY: an initialised set; a number that is no signal is an error and nothing else.
            unsafe { libc::sigdelset(&raw mut mask, signal) };
        }
        // It cannot fail with these arguments.
        let _ = set_mask(&mask);
    }

    fn block_signals() -> io::Result<sigset_t> {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the first call initialises `all`, the second `before`, or it fails.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            match libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) {
                0 => Ok(before.assume_init()),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    fn set_mask(mask: &sigset_t) -> io::Result<()> {
        // SAFETY: an initialised set, and no wish for the one before.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// The number of a child of this process that has ended and was not waited for, if there is one.
    pub(crate) fn any_ended() -> Option<u32> {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the information is valid for the call, which neither waits nor takes the child away;
        // zeroed it names no child.
        let pid = unsafe {
            match libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) {
                0 => info.assume_init().si_pid(),
                _ => 0,
            }
        };
        u32::try_from(pid).ok().filter(|&pid| pid > 0)
    }

    /// How a child has ended, if it has. After `Some` its number is free for others, and `child` of
    /// no more use.
    pub(crate) fn exit_of(child: &Child) -> Option<Ending> {
        let mut status = 0;
        // SAFETY: the status is valid for the call, which does not wait.
        match unsafe { libc::waitpid(child.pid, &raw mut status, libc::WNOHANG) } {
            0 => None,
            // Somebody else has waited for it: it is gone, how is not known.
            -1 => Some(Ending::Unknown),
            _ if libc::WIFSIGNALED(status) => Some(Ending::Killed(libc::WTERMSIG(status))),
            _ => Some(Ending::Exited(libc::WEXITSTATUS(status))),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Waits for it, as a test may.
    fn end_of(child: &Child) -> Ending {
        loop {
            if let Some(ending) = exit_of(child) {
                return ending;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn children_end_as_they_please() {
        // They take no lock that another test's thread could hold.
        let child = fork(&[], || 7).unwrap();
        assert_eq!(end_of(&child), Ending::Exited(7));
        let child = fork(&[], || {
            loop {
                std::hint::spin_loop();
            }
        })
        .unwrap();
        assert_eq!(exit_of(&child), None);
        child.signal(libc::SIGTERM);
        child.signal(libc::SIGKILL);
        let ending = end_of(&child);
        assert_eq!(ending, Ending::Killed(libc::SIGKILL));
        assert_eq!(ending.to_string(), "was killed by signal 9 (SIGKILL)");
        assert_eq!(Ending::Killed(64).to_string(), "was killed by signal 64");
        assert_eq!(Ending::Exited(1).to_string(), "ended with status 1");
        assert_eq!(exit_of(&child), Some(Ending::Unknown));
        // It is nobody's any more, and gets no signal.
        child.signal(libc::SIGKILL);
    }
    #[test]
    fn what_is_private_is_closed_in_children() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        use std::os::unix::net::UnixStream;

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (kept, mut kept_end) = UnixStream::pair().unwrap();
        let private = [Private::new(&ours), Private::new(&kept)];
        let child = fork(&[kept.as_raw_fd()], || {
            loop {
                std::hint::spin_loop();
            }
        })
        .unwrap();
        drop(private);
        drop((ours, kept));
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        kept_end.set_nonblocking(true).unwrap();
        let error = kept_end.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        child.signal(libc::SIGKILL);
        end_of(&child);
        assert_eq!(kept_end.read(&mut [0]).unwrap(), 0);
    }
}
