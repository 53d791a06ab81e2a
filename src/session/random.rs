//! Numbers that nobody can foresee, and that no forked process has in common with another. (The keys
//! of the standard library's hash maps are copied by a fork.)

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number of 64 random bits.
pub(crate) fn number() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // A system without random numbers has had none for TLS either; these are what is left.
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

/// Random bytes that are had at a time: it is the first one of a call that costs.
const BLOCK: usize = 512;

/// Random numbers of a loop's own, for what needs many.
pub(super) struct Numbers {
    block: [u8; BLOCK],
    /// Bytes of it that are used.
    used: usize,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers {
            block: [0; BLOCK],
            used: BLOCK,
        }
    }
}

impl Numbers {
    /// As [`number`].
    pub(super) fn next(&mut self) -> u64 {
        if self.used == BLOCK {
            if getrandom::fill(&mut self.block).is_err() {
                return number();
            }
            self.used = 0;
        }
        let (next, _) = self.block[self.used..].split_at_mut(8);
        self.used += 8;
        let mut bytes = [0; 8];
        bytes.swap_with_slice(next);
        u64::from_ne_bytes(bytes)
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
        let (mut one, mut other) = (Numbers::default(), Numbers::default());
        let all: std::collections::HashSet<u64> = (0..2 * BLOCK)
            .flat_map(|_| [one.next(), other.next()])
            .collect();
        assert_eq!(all.len(), 4 * BLOCK);
        let word = || letters().collect::<Vec<u8>>();
        assert_eq!(word().len(), 12);
        assert_ne!(word(), word());
    }
}
