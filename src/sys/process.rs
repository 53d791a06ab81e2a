//! Forked worker processes: their birth, their signals, and how they end.

use std::fmt;

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Killed(i32),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(status) => write!(f, "ended with status {status}"),
            Ending::Killed(signal) => match name(*signal) {
                Some(name) => write!(f, "was killed by signal {signal} ({name})"),
                None => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

#[cfg(unix)]
pub(crate) use unix::{Child, any_ended, close_inherited, exit_of, fork, unblock_signals};

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
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::RawFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr;

    use libc::{c_int, pid_t, sigset_t};

    use super::Ending;

    /// A child of this process that nobody has waited for yet; until then its number is its own.
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
            // SAFETY: takes two numbers. The child was not waited for, so the number is not another's.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Forks; the child runs `work`, without returning from here, and ends with the status that it
    /// gives. Signals are blocked in it until [`unblock_signals`].
    ///
    /// The child has this thread alone. Whatever other threads held at the time, a lock say, stays as
    /// it was; so a program forks before it starts threads, or sees to it that they rest.
    ///
    /// # Errors
    ///
    /// When the system has no room for another process.
    pub(crate) fn fork(work: impl FnOnce() -> i32) -> io::Result<Child> {
        let before = block_signals()?;
        // SAFETY: what the child may do is the caller's promise, told above; nothing of the parent's
        // is dropped or unwound in it.
        let forked = match unsafe { libc::fork() } {
            0 => {
                let status = catch_unwind(AssertUnwindSafe(work)).unwrap_or(101);
                let _ = catch_unwind(|| log::logger().flush());
                // SAFETY: ends the process without running what the parent has registered.
                unsafe { libc::_exit(status) }
            }
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(Child { pid }),
        };
        set_mask(&before)?;
        forked
    }

    /// To be called by a child of [`fork`] once it is ready for signals.
    pub(crate) fn unblock_signals() {
        let mut none = MaybeUninit::uninit();
        // SAFETY: the call initialises the set.
        let none = unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            none.assume_init()
        };
        // It cannot fail with these arguments.
        let _ = set_mask(&none);
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
            -1 => Some(Ending::Exited(-1)),
            _ if libc::WIFSIGNALED(status) => Some(Ending::Killed(libc::WTERMSIG(status))),
            _ => Some(Ending::Exited(libc::WEXITSTATUS(status))),
        }
    }

    /// Closes a descriptor in a child whose owner stayed behind in the parent's memory.
    pub(crate) fn close_inherited(descriptor: RawFd) {
        // SAFETY: the child got the number from the parent's owner, who is never used or dropped here.
        unsafe { libc::close(descriptor) };
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
        let child = fork(|| 7).unwrap();
        assert_eq!(end_of(&child), Ending::Exited(7));
        let child = fork(|| {
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
        assert_eq!(exit_of(&child), Some(Ending::Exited(-1)));
    }
}
