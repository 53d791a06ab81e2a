//! Carries out what the interpreter asks for: on the control channel, on the data channel, and on worker
//! threads, and tells it what came of that.

pub(crate) mod control;
pub(crate) mod core;
pub(crate) mod data;
pub(crate) mod dtp;
mod effects;
pub(crate) mod secure;
pub(crate) mod slot;
