//! Log lines in pyftpdlib's shape: `127.0.0.1:34178-[user] message`.
//!
//! A client cannot break a line: what comes from it is escaped where it enters a message.

use std::net::SocketAddr;
use std::path::Path;

use log::Level;

use crate::proto::escape::Escaped;
use crate::proto::path::VirtualPath;
use crate::target::TARGET;

/// One line of a session.
pub(crate) fn line(level: Level, peer: SocketAddr, username: &str, message: &str) {
    let (ip, port, user) = (peer.ip(), peer.port(), Escaped(username.as_bytes()));
    log::log!(target: TARGET, level, "{ip}:{port}-[{user}] {message}");
}

/// A worker process had to be ended, for the others waited for it.
pub(crate) fn ended_with_lock(worker: u32) {
    log::error!(
        target: TARGET,
        "worker {worker} was stopped while all others waited for it; it had to be killed"
    );
}

/// Whether lines of this level go anywhere.
pub(crate) fn enabled(level: Level) -> bool {
    log::log_enabled!(target: TARGET, level)
}

/// A file's name for the log: the real path where there is one.
pub(crate) fn shown(real: Option<&Path>, path: &VirtualPath) -> String {
    let name = match real {
        Some(real) => real.as_os_str().as_encoded_bytes(),
        None => path.as_bytes(),
    };
    Escaped(name).to_string()
}
