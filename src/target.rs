//! What the library logs under, for loggers that choose by target. It stands below all floors, since each may log.

/// Given with every message: without it the `log` crate would take the module's path.
pub(crate) const TARGET: &str = "ftpdlib";
