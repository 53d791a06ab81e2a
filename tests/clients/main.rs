//! The server as the FTP clients of the world see it: each of them uploads, downloads, resumes,
//! lists, renames and deletes, over IPv4 and IPv6, active and passive.
//!
//! One module for each client, in which every test is there once for each way to connect, as
//! `lftp::ipv6_active::resume`. [`stage`] is where a test takes place; [`tree`] is what mirrors carry.
//!
//! Written for UNIX: for its file names, modes, links and descriptors.
#![cfg(unix)]

#[path = "../common/mod.rs"]
#[allow(unused_imports)] // Only the other binaries need the raw client.
mod common;

#[macro_use]
mod stage;
mod tree;

mod curl;
mod lftp;
mod lftp_mirror;
mod ncftp;
mod python;
mod tnftp;
