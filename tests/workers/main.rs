//! The worker models from outside, as programs: limits over all workers, deaths, ends, sockets that
//! are handed over, and what is left behind. What clients see in each model is what the other tests
//! see in it (`make test-workers`).
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

mod control;
mod deaths;
mod ends;
mod handover;
mod leftovers;
mod limits;
mod model;
mod ports;
mod work;
