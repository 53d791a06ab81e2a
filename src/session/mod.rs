//! Floor 2: one client's session. It knows no other client.
//!
//! From the top down, each of them naming only what stands below it:
//!
//! ```text
//! client        the dispatcher on the event loop: lines in, effects out
//! questions     what waits for a callback's word
//! hooks         what a library user hooks in: handlers, commands, the session that they get
//! channels      control channel, data channel, timers: effects are carried out
//! flow          the data plane: the bytes of one transfer
//! per_loop      what the sessions of a loop use in turns
//! interpreter   the protocol, sans-IO: inputs, effects, the table of commands
//! work          jobs: what may block, here or on a worker thread
//! config        the settings
//! limits        counts that hold over all workers
//! ```

mod channels;
pub(crate) mod client;
mod common;
pub(crate) mod config;
mod flow;
pub(crate) mod hooks;
pub(crate) mod interpreter;
pub(crate) mod limits;
pub(crate) mod logging;
mod note;
mod per_loop;
mod questions;
mod random;
mod service;
pub(crate) mod work;

pub(crate) use self::client::Client;
pub(crate) use self::common::Common;
pub(crate) use self::config::Config;
pub(crate) use self::interpreter::table::Table;
pub(crate) use self::note::Note;
pub(crate) use self::service::Service;
pub(crate) use self::work::pool::Pool;
pub(crate) use crate::sys::splice::Pipes;
