//! System calls that neither the standard library nor a crate of ours gives us, each in a file of
//! its own. This is the only place of `unsafe`; what it exports is safe.
#![allow(unsafe_code, reason = "foreign functions")]

#[cfg(unix)]
pub(crate) mod accounts;
#[cfg(unix)]
pub(crate) mod attributes;
#[cfg(target_os = "linux")]
pub(crate) mod cached;
#[cfg(target_os = "linux")]
pub(crate) mod capabilities;
#[cfg(unix)]
pub(crate) mod clock;
#[cfg(unix)]
pub(crate) mod close;
#[cfg(unix)]
pub(crate) mod crypt;
#[cfg(unix)]
mod database;
#[cfg(unix)]
pub(crate) mod descriptors;
#[cfg(target_os = "linux")]
pub(crate) mod directory;
#[cfg(target_os = "linux")]
mod holder;
#[cfg(unix)]
pub(crate) mod identity;
#[cfg(unix)]
pub(crate) mod inherited;
pub(crate) mod local_time;
pub(crate) mod name;
pub(crate) mod owner;
pub(crate) mod ports;
pub(crate) mod priority;
#[cfg(unix)]
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod procfs;
#[cfg(target_os = "linux")]
pub(crate) mod rename;
pub(crate) mod retry;
pub(crate) mod sendfile;
pub(crate) mod shared;
#[cfg(unix)]
pub(crate) mod space;
#[cfg_attr(not(unix), allow(dead_code, reason = "splice(2) is Linux'"))]
pub(crate) mod splice;
#[cfg(windows)]
pub(crate) mod token;
#[cfg(unix)]
pub(crate) mod umask;
#[cfg(unix)]
pub(crate) mod unsent;
