//! Acting as another user for a while: user and group ids of the thread that calls.
//!
//! On Linux these are a thread's own, and the raw system calls change nothing else; the C library's
//! functions would change all threads of the process. `setfsuid(2)` changes whose files are touched
//! and not whose process this is: other processes of that user cannot signal, trace or reschedule
//! the thread meanwhile. Of root's capabilities it drops those for files; the others, such as the
//! one to ignore disk quotas, are dropped here.
//!
//! Elsewhere the whole process changes, one user at a time.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::ptr;

use crate::target::TARGET;

/// Whom to act as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

thread_local! {
    /// As whom this thread acts now, by address; null as itself.
    static NOW: Cell<*const Ids> = const { Cell::new(ptr::null()) };
}

/// Acting as somebody until dropped, also by a panic.
#[must_use = "dropping it ends the identity"]
pub(crate) struct Assumed<'ids> {
    before: system::Before,
    outer: *const Ids,
    // While it lives nobody else can have their address. And it is of this thread.
    _ids: PhantomData<(&'ids Ids, *const ())>,
}

/// Acts as `ids` from here on, with no more rights than they have. If this thread does so already,
/// that costs nothing.
///
/// # Errors
///
/// When the system does not let this process do so; nothing is changed then.
pub(crate) fn assume(ids: &Ids) -> io::Result<Assumed<'_>> {
    let outer = NOW.get();
    if ptr::eq(outer, ids) {
        return Ok(Assumed {
            before: system::Before::default(),
            outer,
            _ids: PhantomData,
        });
    }
    // -1 means "no change" to these calls.
    if ids.uid == u32::MAX || ids.gid == u32::MAX || ids.groups.contains(&u32::MAX) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut assumed = Assumed {
        before: system::before(),
        outer,
        _ids: PhantomData,
    };
    assumed.before.change(ids)?;
    NOW.set(ids);
    Ok(assumed)
}

/// Whether this thread may act as others.
pub(crate) fn may_assume() -> bool {
    system::may_assume()
}

/// Leaves root's supplementary groups, of the calling thread; whoever is not root keeps his.
#[cfg(target_os = "linux")]
pub(crate) fn leave_groups() -> io::Result<()> {
    // SAFETY: it only asks.
    if unsafe { libc::geteuid() } != 0 || !may_assume() {
        return Ok(());
    }
    system::set_groups(&[])
}

impl Drop for Assumed<'_> {
    fn drop(&mut self) {
        NOW.set(self.outer);
        if let Err(error) = self.before.restore() {
            // As somebody else, this thread would go on to serve others.
            log::error!(
                target: TARGET,
                "cannot end a user's identity, so the process ends: {error}"
            );
            std::process::abort();
        }
    }
}

/// More groups than most users are in: one call gets them.
const FEW: usize = 32;

/// The groups of the calling thread.
fn groups() -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; FEW];
    loop {
        let room = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: it writes at most `room` ids, and there is room for them.
        let got = unsafe { libc::getgroups(room, groups.as_mut_ptr()) };
        if let Ok(got) = usize::try_from(got) {
            groups.truncate(got);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
        // There are more. The system has a limit of its own, in the thousands.
        let size = groups.len() * 4;
        groups.resize(size, 0);
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    #[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
    use libc::{SYS_setfsgid as SETFSGID, SYS_setfsuid as SETFSUID, SYS_setgroups as SETGROUPS};
    // There the others take ids of 16 bits.
    #[cfg(any(target_arch = "x86", target_arch = "arm"))]
    use libc::{
        SYS_setfsgid32 as SETFSGID, SYS_setfsuid32 as SETFSUID, SYS_setgroups32 as SETGROUPS,
    };

    use super::{Ids, groups};
    use crate::sys::capabilities::{self, Set};

    /// What it takes to change, also back: `CAP_SETGID` and `CAP_SETUID`.
    const TO_CHANGE: [u32; 2] = [6, 7];

    /// What was changed, as it was.
    #[derive(Default)]
    pub(super) struct Before {
        groups: Option<Vec<u32>>,
        gid: Option<u32>,
        uid: Option<u32>,
        effective: Option<Set>,
    }

    pub(super) fn may_assume() -> bool {
        capabilities::effective().is_ok_and(|all| all.contains(Set::of(TO_CHANGE)))
    }

    pub(super) fn before() -> Before {
        Before::default()
    }

    impl Before {
        pub(super) fn change(&mut self, ids: &Ids) -> io::Result<()> {
            let own = groups()?;
            let all = capabilities::effective()?;
            if own != ids.groups {
                set_groups(&ids.groups)?;
                self.groups = Some(own);
            }
            self.gid = Some(set_id(SETFSGID, ids.gid)?);
            self.uid = Some(set_id(SETFSUID, ids.uid)?);
            if ids.uid == 0 {
                return Ok(());
            }
            // The kernel drops those for files if this was root, and none if it was somebody else.
            let left = capabilities::effective()?;
            let kept = left.and(Set::of(TO_CHANGE));
            if left != kept {
                capabilities::set_effective(kept)?;
                self.effective = Some(all);
            }
            Ok(())
        }

        pub(super) fn restore(&mut self) -> io::Result<()> {
            if let Some(uid) = self.uid.take() {
                set_id(SETFSUID, uid)?;
            }
            if let Some(gid) = self.gid.take() {
                set_id(SETFSGID, gid)?;
            }
            if let Some(groups) = self.groups.take() {
                set_groups(&groups)?;
            }
            if let Some(all) = self.effective.take() {
                capabilities::set_effective(all)?;
            }
            Ok(())
        }
    }

    pub(super) fn set_groups(groups: &[u32]) -> io::Result<()> {
        // SAFETY: the kernel reads as many ids as are there.
        match unsafe { libc::syscall(SETGROUPS, groups.len(), groups.as_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Gives the id that it was. The calls tell no error, so the kernel is asked whether it was
    /// done, by one that can't be.
    fn set_id(call: libc::c_long, id: u32) -> io::Result<u32> {
        // SAFETY: they take a number.
        let (before, after) = unsafe { (libc::syscall(call, id), libc::syscall(call, u32::MAX)) };
        if after as u32 == id {
            return Ok(before as u32);
        }
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::cell::Cell;
    use std::io;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::{Ids, groups};

    /// What macOS takes (`NGROUPS_MAX`).
    const MOST_GROUPS: usize = 16;

    /// The process is one user at a time.
    static TURN: Mutex<()> = Mutex::new(());

    thread_local! {
        /// Whether it is this thread's turn already.
        static MINE: Cell<bool> = const { Cell::new(false) };
    }

    /// What was changed, as it was.
    #[derive(Default)]
    pub(super) struct Before {
        groups: Option<Vec<u32>>,
        gid: Option<u32>,
        uid: Option<u32>,
        turn: Option<MutexGuard<'static, ()>>,
    }

    pub(super) fn may_assume() -> bool {
        // SAFETY: it only asks.
        unsafe { libc::geteuid() == 0 }
    }

    pub(super) fn before() -> Before {
        let turn =
            (!MINE.replace(true)).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        Before {
            turn,
            ..Before::default()
        }
    }

    impl Before {
        pub(super) fn change(&mut self, ids: &Ids) -> io::Result<()> {
            // SAFETY: these only ask.
            let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
            let own = groups()?;
            // On macOS and FreeBSD the first of them is the effective group, whatever it was: what
            // `setegid` puts there must not take the place of another.
            let mut wanted = [&[ids.gid], &*ids.groups].concat();
            if cfg!(target_vendor = "apple") {
                wanted.truncate(MOST_GROUPS);
            }
            if own != wanted {
                set_groups(&wanted)?;
                self.groups = Some(own);
            }
            // SAFETY: it takes a number.
            verdict(unsafe { libc::setegid(ids.gid) })?;
            self.gid = Some(gid);
            // SAFETY: it takes a number.
            verdict(unsafe { libc::seteuid(ids.uid) })?;
            self.uid = Some(uid);
            Ok(())
        }

        pub(super) fn restore(&mut self) -> io::Result<()> {
            if let Some(uid) = self.uid.take() {
                // SAFETY: it takes a number.
                verdict(unsafe { libc::seteuid(uid) })?;
            }
            if let Some(gid) = self.gid.take() {
                // SAFETY: it takes a number.
                verdict(unsafe { libc::setegid(gid) })?;
            }
            if let Some(groups) = self.groups.take() {
                set_groups(&groups)?;
            }
            if self.turn.take().is_some() {
                MINE.set(false);
            }
            Ok(())
        }
    }

    fn set_groups(groups: &[u32]) -> io::Result<()> {
        let count = groups
            .len()
            .try_into()
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the system reads as many ids as are there.
        verdict(unsafe { libc::setgroups(count, groups.as_ptr()) })
    }

    fn verdict(done: libc::c_int) -> io::Result<()> {
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
