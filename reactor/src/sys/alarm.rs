//! A clock that wakes the loop when a distant timer is due, so that its waits need no timeout: for a
//! wait with one the kernel sets a timer and takes it back, which is a tenth of what waking costs.
//!
//! It is set for the next timer and left alone while timers move on to later times, as idle timeouts
//! do with every command. Then it rings in vain, and is set anew.

use mio::{Registry, Token};
use std::io;
use std::time::{Duration, Instant};

#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
use linux::Clock;
#[cfg(not(all(target_os = "linux", not(mio_unsupported_force_poll_poll))))]
use other::Clock;

/// Waits of less have a timeout: what comes so soon is worth no alarm.
const NEAR: Duration = Duration::from_millis(100);

pub(crate) struct Alarm {
    clock: Clock,
    /// It rings then, or has rung and the event is on its way.
    set_for: Option<Instant>,
}

impl Alarm {
    /// An alarm whose events have that token; `None` where there is nothing of the kind.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Option<Alarm>> {
        let clock = Clock::new(registry, token)?;
        Ok(clock.map(|clock| Alarm {
            clock,
            set_for: None,
        }))
    }

    /// Sees to it that an event comes by `deadline`, or earlier; false when a timeout is to do it.
    pub(crate) fn covers(&mut self, deadline: Instant) -> bool {
        if self.set_for.is_some_and(|rings| rings <= deadline) {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left < NEAR || self.clock.set(left).is_err() {
            return false;
        }
        self.set_for = Some(deadline);
        true
    }

    /// The event has come.
    pub(crate) fn has_rung(&mut self) {
        self.set_for = None;
    }
}

#[cfg(all(target_os = "linux", not(mio_unsupported_force_poll_poll)))]
mod linux {
    #![allow(unsafe_code)]

    use super::*;
    use mio::Interest;
    use mio::unix::SourceFd;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    pub(super) struct Clock(OwnedFd);

    impl Clock {
        pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Option<Clock>> {
            let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
            // SAFETY: takes numbers only.
            let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: it is open, and nobody else's.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // Each ring is an edge of its own, so that nobody has to read that it rang.
            registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Some(Clock(fd)))
        }

        /// Rings once, after `left`, which is more than nothing.
        pub(super) fn set(&self, left: Duration) -> io::Result<()> {
            let never = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let new = libc::itimerspec {
                it_interval: never,
                it_value: libc::timespec {
                    // Ringing early does no harm.
                    tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                    // Below 10^9, which every integer type of C's takes.
                    tv_nsec: left.subsec_nanos() as _,
                },
            };
            // SAFETY: the descriptor is open, `new` is read, and what was set before is not asked for.
            let done = unsafe {
                libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const new, std::ptr::null_mut())
            };
            match done {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(mio_unsupported_force_poll_poll))))]
mod other {
    use super::*;

    /// There is none.
    pub(super) enum Clock {}

    impl Clock {
        pub(super) fn new(_: &Registry, _: Token) -> io::Result<Option<Clock>> {
            Ok(None)
        }

        pub(super) fn set(&self, _: Duration) -> io::Result<()> {
            match *self {}
        }
    }
}
