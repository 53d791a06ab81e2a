//! Floor 1: the FTP protocol as pure functions and small state machines.
//!
//! Nothing in here knows a socket, a file or the clock: bytes come in as slices, `now` is an
//! argument, and what comes out is a value. That is what makes every rule of RFC 959, 2389, 2428,
//! 2640 and 3659 testable on its own.

pub mod addr;
pub mod ascii;
pub mod attempts;
pub mod calendar;
pub mod command;
pub mod digest;
pub mod encoding;
pub mod escape;
pub mod facts;
pub mod line;
pub mod list;
pub mod mlsx;
pub mod path;
pub mod perm;
pub mod reply;
pub mod throttle;
pub mod verb;
