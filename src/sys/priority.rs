//! How much of a processor a thread gets beside others, by `nice(2)`. Only on Linux has each thread a
//! nice value of its own.

use std::cell::Cell;

/// How much nicer threads become: a tenth of what they had, where the others want all of it.
#[cfg(target_os = "linux")]
const NICER: libc::c_int = 10;

thread_local! {
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

/// Whether the thread that calls gives way: then those that it starts do so from their first moment.
pub(crate) fn gives_way() -> bool {
    GIVES_WAY.get()
}

/// Lets the thread that calls give way to the others of its process, and to other processes, for ever.
/// `already` tells whether the thread that started it [did](gives_way). Where this is a process's and
/// not a thread's, nothing is done.
pub(crate) fn give_way(already: bool) {
    GIVES_WAY.set(true);
    if !already {
        be_nicer();
    }
}

#[cfg(target_os = "linux")]
fn be_nicer() {
    // SAFETY: the call has no memory to look at. It may be refused, by a sandbox say: then all threads
    // are equal.
    unsafe { libc::nice(NICER) };
}

#[cfg(not(target_os = "linux"))]
fn be_nicer() {}

/// The nice value of the thread that calls.
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn niceness() -> libc::c_int {
    // SAFETY: the call has no memory to look at; 0 is the thread that calls.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_gives_way_takes_no_other_along() {
        const NICEST: libc::c_int = 19;
        let before = niceness();
        let thread = std::thread::spawn(|| {
            give_way(false);
            niceness()
        });
        let expected = (before + NICER).min(NICEST);
        assert_eq!(thread.join().unwrap(), expected);
        assert_eq!(niceness(), before);
    }
}
