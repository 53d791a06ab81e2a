//! How much of a processor a thread gets beside others, by `nice(2)`. Only on Linux has each thread a
//! nice value of its own.

/// How much nicer threads become: a tenth of what they had, where the others want all of it.
#[cfg(target_os = "linux")]
const NICER: libc::c_int = 10;

/// Lets the thread that calls give way to the others of its process, and to other processes, for ever.
/// Where this is a process's and not a thread's, nothing is done.
#[cfg(target_os = "linux")]
pub(crate) fn give_way() {
    // SAFETY: the call has no memory to look at. It may be refused, by a sandbox say: then all threads
    // are equal.
    unsafe { libc::nice(NICER) };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn give_way() {}

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
            give_way();
            niceness()
        });
        let expected = (before + NICER).min(NICEST);
        assert_eq!(thread.join().unwrap(), expected);
        assert_eq!(niceness(), before);
    }
}
