//! What bounds clients and users, over all workers: connections and bandwidth, guesses of passwords,
//! what is stored.

#[cfg_attr(not(unix), allow(dead_code, reason = "what worker processes need"))]
pub(crate) mod census;
pub(crate) mod guard;
pub(crate) mod quota;
