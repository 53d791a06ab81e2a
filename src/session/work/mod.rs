//! Work that may block, as values: jobs with their outcomes, on files and passwords, and the worker
//! threads that do the slow ones.

pub(crate) mod cancel;
pub(crate) mod caught;
pub(crate) mod digesting;
pub(crate) mod elsewhere;
pub(crate) mod job;
pub(crate) mod listing;
mod measuring;
mod names;
pub(crate) mod opening;
pub(crate) mod pool;
pub(crate) mod pooled;
pub(crate) mod upload;
pub(crate) mod warming;
