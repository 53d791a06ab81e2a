//! The `ftpdlib` program: its flags, its log lines, its end, and the limits of its process.
//!
//! Written for UNIX: for its file names, modes, links and descriptors.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod ending;
mod flags;
mod log_lines;
mod resources;
#[cfg(target_os = "linux")]
mod secrets;
mod users;
