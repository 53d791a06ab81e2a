//! What differs between systems: catching signals above all.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{Watch, ignore};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::{Watch, ignore};

#[cfg(not(any(unix, windows)))]
mod other;
#[cfg(not(any(unix, windows)))]
pub(crate) use other::{Watch, ignore};

pub(crate) mod alarm;
pub(crate) mod port;
pub(crate) mod waiting;
