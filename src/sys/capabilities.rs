//! Capabilities (`capabilities(7)`): what root may do, in pieces. The calls are the raw ones, which
//! act on the thread that makes them. Linux has them.

use std::io;

/// A set of capabilities, a bit for each by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set(u64);

impl Set {
    /// Those of these numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = u32>) -> Set {
        let bit = |number| 1_u64.checked_shl(number).unwrap_or(0);
        Set(numbers.into_iter().map(bit).fold(0, |all, bit| all | bit))
    }

    /// Those that are in both.
    #[must_use]
    pub(crate) fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// Whether all of `other` are in it.
    pub(crate) fn contains(self, other: Set) -> bool {
        self.0 & other.0 == other.0
    }
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words of 32 bits for each set.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

type Words = [Word; 2];

/// Of the calling thread.
const HEADER: Header = Header {
    version: VERSION,
    pid: 0,
};

fn get() -> io::Result<Words> {
    let (mut header, mut words) = (HEADER, Words::default());
    // SAFETY: both point to locals of the layout that this version of the call writes.
    let done = unsafe { libc::syscall(libc::SYS_capget, &mut header, words.as_mut_ptr()) };
    verdict(done).map(|()| words)
}

fn set(words: &Words) -> io::Result<()> {
    let mut header = HEADER;
    // SAFETY: both point to what lives during the call, of the layout that it reads.
    let done = unsafe { libc::syscall(libc::SYS_capset, &mut header, words.as_ptr()) };
    verdict(done)
}

fn verdict(done: libc::c_long) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn halves(set: Set) -> [u32; 2] {
    [set.0 as u32, (set.0 >> 32) as u32]
}

/// What the calling thread may do now.
pub(crate) fn effective() -> io::Result<Set> {
    let [low, high] = get()?;
    Ok(Set(
        u64::from(low.effective) | u64::from(high.effective) << 32
    ))
}

/// Sets what the calling thread may do now; it must be permitted.
pub(crate) fn set_effective(wanted: Set) -> io::Result<()> {
    let mut words = get()?;
    for (word, wanted) in words.iter_mut().zip(halves(wanted)) {
        word.effective = wanted;
    }
    set(&words)
}

/// Gives up for good what is not in `kept`: the calling thread, what it starts and what that
/// executes have at most those, and no program that is executed gains any.
pub(crate) fn limit(kept: Set) -> io::Result<()> {
    // First, as it takes a capability of its own.
    limit_bounds(kept)?;
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
    )
    .map(drop)?;
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)?;
    let mut words = get()?;
    for (word, kept) in words.iter_mut().zip(halves(kept)) {
        word.permitted &= kept;
        word.effective = word.permitted;
        word.inheritable = 0;
    }
    set(&words)
}

fn limit_bounds(kept: Set) -> io::Result<()> {
    for number in 0..u64::BITS {
        // The kernel's last capability was the one before.
        let Ok(there) = prctl(libc::PR_CAPBSET_READ, number.into()) else {
            break;
        };
        if there == 0 || kept.contains(Set::of([number])) {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, number.into()) {
            // Who may not change the bounds: that nothing new is gained holds all the same.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => break,
            done => done.map(drop)?,
        }
    }
    Ok(())
}

fn prctl(what: libc::c_int, value: libc::c_ulong) -> io::Result<libc::c_int> {
    let nothing: libc::c_ulong = 0;
    // SAFETY: of the calls made here none takes a pointer.
    match unsafe { libc::prctl(what, value, nothing, nothing, nothing) } {
        -1 => Err(io::Error::last_os_error()),
        done => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capability sets of the calling thread, by the kernel's own account of it.
    fn status(field: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    }

    #[test]
    fn sets_are_those_of_the_thread() {
        assert_eq!(effective().unwrap().0, status("CapEff"));
        std::thread::spawn(|| {
            let all = effective().unwrap();
            let few = all.and(Set::of([6, 7, 33]));
            set_effective(few).unwrap();
            assert_eq!(status("CapEff"), few.0);
            set_effective(all).unwrap();
            assert_eq!(status("CapEff"), all.0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_given_up_does_not_come_back() {
        let before = status("CapPrm");
        std::thread::spawn(move || {
            let all = effective().unwrap();
            let kept = Set::of([6, 7]);
            limit(kept).unwrap();
            let left = before & kept.0;
            assert_eq!((status("CapPrm"), status("CapEff")), (left, left));
            assert_eq!(status("CapInh") | status("CapAmb"), 0);
            assert_eq!(status("NoNewPrivs:"), 1);
            if all.contains(Set::of([8])) {
                assert_eq!(status("CapBnd") & !kept.0, 0);
                assert!(set_effective(all).is_err());
            }
        })
        .join()
        .unwrap();
        assert_eq!(status("CapPrm"), before);
    }

    #[test]
    fn arithmetic() {
        let set = Set::of([0, 7, 40]);
        assert_eq!(set.0, 1 << 40 | 1 << 7 | 1);
        assert!(set.contains(Set::of([7])) && !set.contains(Set::of([7, 8])));
        assert_eq!(set.and(Set::of([8, 40])), Set::of([40]));
        assert_eq!(Set::of([64]).0, 0);
    }
}
