//! Floor 2: one client's session.
//!
//! ```text
//!   control socket ─ control ─┐                       ┌─ job ─ pool ─ file system
//!                             ├─ client ─ interpreter ┤
//!   data socket ─ dtp ─ flow ─┘                       └─ handler (a library user's)
//! ```
//!
//! [`client`] is the dispatcher on the event loop; [`interpreter`] decides, without IO; the others
//! carry out. A session knows no other client.

pub(crate) mod census;
mod channel;
pub(crate) mod client;
pub(crate) mod config;
mod control;
pub(crate) mod custom;
mod dtp;
mod flow;
pub(crate) mod handler;
mod interpreter;
mod job;
mod listing;
pub(crate) mod logging;
mod pool;
mod table;

use std::sync::Arc;

pub(crate) use self::client::{Client, Note};
pub(crate) use self::config::Config;
pub(crate) use self::pool::Pool;
use self::census::Census;
use self::handler::Factory;

/// What all sessions of a server share.
pub(crate) struct Service {
    pub(crate) config: Arc<Config>,
    pub(crate) handlers: Factory,
    pub(crate) pool: Pool,
    pub(crate) census: Arc<Census>,
}
