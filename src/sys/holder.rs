//! The process that holds a lock which processes share, and its end when it is stopped meanwhile
//! (SIGSTOP, a debugger): a lock that survives its holder's death helps nobody while he neither lives
//! nor dies.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of this process, once somebody has asked; 0 in a process that was forked since.
static THIS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    THIS.store(0, Ordering::Relaxed);
}

/// The number of this process, which costs a system call only once.
pub(super) fn this_process() -> u32 {
    static FORKS: Once = Once::new();
    match THIS.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: the handler stores to an atomic and nothing else. Where the system has no room
            // for it, a child has its parent's number, and is not found when it is stopped.
            FORKS.call_once(|| unsafe {
                libc::pthread_atfork(None, None, Some(forked));
            });
            let number = std::process::id();
            THIS.store(number, Ordering::Relaxed);
            number
        }
        number => number,
    }
}

/// Ends another worker of this server that is stopped; whether it was. The parent is no worker.
pub(super) fn end_if_stopped(worker: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(worker) else {
        return false;
    };
    if pid <= 1 || worker == this_process() || !is_stopped_worker(worker) {
        return false;
    }
    // SAFETY: takes two numbers; only those of the same user hear of it.
    unsafe { libc::kill(pid, libc::SIGKILL) == 0 }
}

/// Whether `/proc` says that a process is stopped, by a signal or by who traces it, and a child of this
/// process or of its parent, as workers are: a number may have gone to somebody else.
fn is_stopped_worker(process: u32) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{process}/stat")) else {
        return false;
    };
    // Its name, in brackets, may be anything.
    let after = line.iter().rposition(|&byte| byte == b')');
    let after = after.and_then(|at| line.get(at + 1..)).unwrap_or_default();
    let after = String::from_utf8_lossy(after);
    let mut words = after.split_ascii_whitespace();
    let is_stopped = matches!(words.next(), Some("T" | "t"));
    let parent = words.next().and_then(|number| number.parse().ok());
    let here = [this_process(), std::os::unix::process::parent_id()];
    is_stopped && parent.is_some_and(|parent: u32| parent > 1 && here.contains(&parent))
}
