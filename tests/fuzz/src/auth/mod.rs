//! As much of the library's `auth` as can be had without a file system.

pub mod file;
#[path = "../../../../src/auth/hash.rs"]
pub mod hash;
#[path = "../../../../src/auth/limits.rs"]
mod limits;

pub use hash::{PasswordHash, PasswordHashError};
pub use limits::Limits;
