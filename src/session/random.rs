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

/// Twelve letters and digits for a file's name, in small letters as some disks know no others.
pub(crate) fn letters() -> impl Iterator<Item = u8> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = number();
    (0..12).map(move |at| ALPHABET[((bits >> (at * 5)) & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_ne!(number(), number());
        let word = || letters().collect::<Vec<u8>>();
        assert_eq!(word().len(), 12);
        assert_ne!(word(), word());
    }
}
