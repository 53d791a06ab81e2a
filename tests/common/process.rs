//! A server in a process of its own, forked from the test's: a worker process must not inherit the
//! connections of the clients that the test has, or they would never end.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ftpdlib::FtpServer;

use super::Record;

/// Nobody forks while others read: a child has the thread alone that forked it, and a lock that
/// another thread holds at that moment, such as the library's, is never free again in the child.
static FORKS: RwLock<()> = RwLock::new(());

/// To be held by a test that calls the library itself, from making a server on, where servers of
/// other tests may be forked. Making a [`TestServer`](super::TestServer) does so.
pub(crate) fn no_forks() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Ends when this is dropped, and with it all its workers.
pub(crate) struct ServerProcess(libc::pid_t);

impl ServerProcess {
    /// Forks, and lets the child serve with nothing open but what it needs.
    pub(crate) fn start(server: FtpServer) -> ServerProcess {
        let mut keep: Vec<RawFd> = Record::descriptors();
        keep.push(server.as_fd().as_raw_fd());
        let alone = FORKS.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the child takes no lock that another thread of the test program could hold: nobody
        // else is in the library now. It closes descriptors that nobody in it uses, serves, and ends
        // without unwinding.
        match unsafe { libc::fork() } {
            0 => {
                let served = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    die_with_the_test();
                    blind_others(&keep);
                    server.serve_forever()
                }));
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(if matches!(served, Ok(Ok(()))) { 0 } else { 1 }) }
            }
            child => {
                assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
                drop(server);
                drop(alone);
                ServerProcess(child)
            }
        }
    }
}

fn die_with_the_test() {
    #[cfg(target_os = "linux")]
    // SAFETY: takes numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    };
}

/// Points all descriptors but the standard ones and those in `keep` at nothing. They stay open, for
/// they have owners still, whom it does not matter to.
fn blind_others(keep: &[RawFd]) {
    let nothing = std::fs::File::open("/dev/null").expect("it is everywhere");
    for descriptor in 3..2000 {
        if keep.contains(&descriptor) || descriptor == nothing.as_raw_fd() {
            continue;
        }
        // SAFETY: this process was just forked; nobody in it uses the others for anything.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) != -1 {
                libc::dup2(nothing.as_raw_fd(), descriptor);
            }
        }
    }
}

impl ServerProcess {
    /// Lets it end in peace: whatever has been begun is done.
    #[allow(dead_code, reason = "not every test program needs it")]
    pub(crate) fn end(self) {
        let this = std::mem::ManuallyDrop::new(self);
        let mut status = 0;
        // SAFETY: it is our own child, and nobody else waits for it.
        unsafe {
            libc::kill(this.0, libc::SIGTERM);
            libc::waitpid(this.0, &raw mut status, 0);
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: it is our own child, and nobody else waits for it. The second of two different
        // signals ends it at once.
        unsafe {
            libc::kill(self.0, libc::SIGTERM);
            libc::kill(self.0, libc::SIGINT);
            libc::waitpid(self.0, &raw mut status, 0);
        }
    }
}
