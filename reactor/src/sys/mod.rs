//! What differs between systems in catching signals.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{Watch, ignore};

#[cfg(not(unix))]
mod other;
#[cfg(not(unix))]
pub(crate) use other::{Watch, ignore};

pub(crate) mod port;
