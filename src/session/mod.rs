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

mod channel;
pub(crate) mod client;
mod common;
pub(crate) mod config;
mod control;
mod core;
mod dtp;
mod effects;
mod flow;
pub(crate) mod hooks;
pub(crate) mod interpreter;
pub(crate) mod limits;
pub(crate) mod logging;
mod note;
mod questions;
mod random;
mod ready;
mod secure;
mod service;
mod slot;
pub(crate) mod work;

pub(crate) use self::client::Client;
pub(crate) use self::common::Common;
pub(crate) use self::config::Config;
pub(crate) use self::interpreter::table::Table;
pub(crate) use self::note::Note;
pub(crate) use self::service::Service;
pub(crate) use self::work::pool::Pool;
pub(crate) use crate::sys::splice::Pipes;
