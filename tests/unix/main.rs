//! Users of the system: their passwords, and their files with their rights. These tests make users
//! and groups and remove them, so they run as root only, and say so otherwise.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod identity;
mod login;
mod privileges;
mod rights;
mod settings;
mod transfers;
mod users;
