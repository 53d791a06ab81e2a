//! A server, as its clients' sessions know it.

use std::sync::Arc;

use super::common::Common;
use super::hooks::command::Command;
use super::hooks::handler::Factory;

/// What every session of a server is made of.
pub(crate) struct Service {
    pub(crate) common: Arc<Common>,
    /// A library user's commands; their rows are in the table.
    pub(crate) commands: Vec<Command>,
    pub(crate) handlers: Factory,
}
