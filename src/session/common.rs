//! What all sessions of a server have in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::Config;
use super::interpreter::table::Table;
use super::limits::census::Census;
use super::work::pool::Pool;
use crate::sys::splice::Pipes;

/// What all sessions of a server share, but what a library user has hooked in.
pub(crate) struct Common {
    pub(crate) config: Arc<Config>,
    /// The rows of the built-in commands and of the user's.
    pub(crate) table: Table,
    pub(crate) pool: Pool,
    /// For checks of passwords alone, lest other work holds up every login.
    pub(crate) logins: Pool,
    pub(crate) pipes: Pipes,
    pub(crate) census: Arc<Census>,
    /// Our end of every client's connection, where that is not for the system to tell.
    pub(crate) address: Option<SocketAddr>,
    /// Each client has a loop of its own, whose memory nobody else uses.
    pub(crate) alone: bool,
}

impl Common {
    /// As [`Pool::finish`], for all worker threads.
    pub(crate) fn finish_work(&self, at_most: Duration) -> usize {
        let end = Instant::now() + at_most;
        [&self.pool, &self.logins]
            .map(|pool| pool.finish(end.saturating_duration_since(Instant::now())))
            .iter()
            .sum()
    }
}
