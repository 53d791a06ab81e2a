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
mod common;
pub(crate) mod config;
mod control;
mod core;
mod digesting;
mod dtp;
mod effects;
mod elsewhere;
mod flow;
pub(crate) mod guard;
pub(crate) mod hooks;
mod interpreter;
mod job;
mod listing;
pub(crate) mod logging;
mod measuring;
mod names;
mod note;
mod opening;
mod pool;
pub(crate) mod pooled;
mod questions;
pub(crate) mod quota;
mod random;
mod ready;
mod secure;
mod service;
mod slot;
pub(crate) mod transferred;
pub(crate) mod upload;
mod warming;

pub(crate) use self::client::Client;
pub(crate) use self::common::Common;
pub(crate) use self::config::Config;
pub(crate) use self::interpreter::table::Table;
pub(crate) use self::note::Note;
pub(crate) use self::pool::Pool;
pub(crate) use self::service::Service;
pub(crate) use crate::sys::splice::Pipes;
