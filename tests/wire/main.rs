//! The server as a client on the wire sees it: every command, over real sockets.
//!
//! One binary, because linking costs more than the tests do; one module for each idea.
//!
//! Written for UNIX: for its file names, modes, links and descriptors.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod abort;
mod access;
mod active;
mod bad_input;
mod cold;
#[cfg(target_os = "linux")]
mod confinement;
mod crowded;
mod decisions;
mod downloads;
#[cfg(target_os = "linux")]
mod escapes;
mod files;
mod filesystems;
mod guessing;
mod handlers;
mod hashes;
mod large_files;
mod large_uploads;
mod limits;
mod listing;
mod login;
mod names;
mod offload;
mod own_commands;
mod passive;
mod pipelining;
mod policies;
mod pool;
mod raw_names;
mod servers;
mod session;
mod slow_files;
mod storm;
mod streams;
mod uploads;
