//! What a library user hooks into: a handler's callbacks with the session that they get, and commands
//! of his own.

pub(crate) mod command;
pub(crate) mod handler;
pub(crate) mod offload;
pub(crate) mod session;
pub(crate) mod sleeping;
