//! Numbers that nobody can foresee, and that no forked process has in common with another. (The keys
//! of the standard library's hash maps are copied by a fork.)

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number of 64 random bits.
pub(crate) fn number() -> u64 {
    let mut bytes = [0; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // A system without random numbers has had none for TLS either; these are what is left.
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_ne!(number(), number());
    }
}
