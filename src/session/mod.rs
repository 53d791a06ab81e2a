//! Floor 2: one client's session.
//!
//! ```text
//!   control socket ─ control ─┐                       ┌─ job ─ pool ─ file system
//!                             ├─ client ─ interpreter ┤
//!   data socket ─ dtp ─ flow ─┘                       └─ question ─ handler (a library user's)
//! ```
//!
//! [`client`] is the dispatcher on the event loop; [`interpreter`] decides, without IO; the others
//! carry out. A session knows no other client.

mod cancel;
mod caught;
#[cfg_attr(not(unix), allow(dead_code, reason = "what worker processes need"))]
pub(crate) mod census;
mod channel;
pub(crate) mod client;
pub(crate) mod config;
mod control;
mod core;
pub(crate) mod custom;
mod digesting;
mod dtp;
mod elsewhere;
mod flow;
pub(crate) mod guard;
pub(crate) mod handler;
mod interpreter;
mod job;
mod listing;
pub(crate) mod logging;
mod names;
mod opening;
mod pool;
pub(crate) mod pooled;
pub(crate) mod question;
pub(crate) mod quota;
mod random;
mod ready;
mod secure;
mod slot;
pub(crate) mod transferred;
pub(crate) mod upload;
mod warming;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::census::Census;
pub(crate) use self::client::Client;
pub(crate) use self::config::Config;
pub(crate) use self::core::Note;
use self::custom::Command;
use self::handler::Factory;
pub(crate) use self::interpreter::table::Table;
pub(crate) use self::pool::Pool;
pub(crate) use crate::sys::splice::Pipes;

/// What all sessions of a server share.
pub(crate) struct Service {
    pub(crate) config: Arc<Config>,
    /// The built-in commands' rows and those of the user's commands.
    pub(crate) table: Table,
    pub(crate) commands: Vec<Command>,
    pub(crate) handlers: Factory,
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

impl Service {
    /// As [`Pool::finish`], for all worker threads.
    pub(crate) fn finish_work(&self, at_most: Duration) -> usize {
        let end = Instant::now() + at_most;
        [&self.pool, &self.logins]
            .map(|pool| pool.finish(end.saturating_duration_since(Instant::now())))
            .iter()
            .sum()
    }
}
