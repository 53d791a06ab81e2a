//! What files are made of: bytes that tell where they belong, so that a file whose parts are
//! lost, doubled or in disorder is not taken for a right one.

use std::io;

/// After so many bytes they begin anew; a prime, so that no power of two fits.
const PERIOD: usize = 65_521;
/// The largest piece.
pub(crate) const PIECE: usize = 256 << 10;

/// The bytes of a file of any length.
pub(crate) struct Content(Vec<u8>);

impl Content {
    pub(crate) fn new() -> Content {
        // A xorshift generator: neither side can compress it, and each run has the same.
        let mut state = 0x2545_f491_u32;
        let mut bytes = Vec::with_capacity(PERIOD + PIECE);
        for _ in 0..PERIOD {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            bytes.push(state as u8);
        }
        for at in 0..PIECE {
            bytes.push(bytes[at]);
        }
        Content(bytes)
    }

    /// The bytes from `offset` on, as many as are at hand and `left`.
    pub(crate) fn piece(&self, offset: u64, left: u64) -> &[u8] {
        let start = (offset % PERIOD as u64) as usize;
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        &self.0[start..start + length]
    }

    /// Fails unless `bytes` are the file's from `offset` on.
    pub(crate) fn check(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        for (number, chunk) in bytes.chunks(PIECE).enumerate() {
            let from = offset + (number * PIECE) as u64;
            let right = self.piece(from, chunk.len() as u64);
            // Slices are compared quickly; only a wrong one is looked at byte by byte.
            if chunk != right {
                let same = |(came, right): (&u8, &u8)| came == right;
                let at = from
                    + chunk
                        .iter()
                        .zip(right)
                        .take_while(|&pair| same(pair))
                        .count() as u64;
                return Err(io::Error::other(format!("byte {at} of the file is wrong")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_one_file() {
        let content = Content::new();
        let mut file = Vec::new();
        while file.len() < 3 * PIECE {
            file.extend_from_slice(content.piece(file.len() as u64, 100_000));
        }
        content.check(0, &file).unwrap();
        content.check(70_000, &file[70_000..]).unwrap();
        assert_eq!(content.piece(u64::MAX - 5, 3).len(), 3);
    }

    #[test]
    fn what_is_lost_or_moved_is_found() {
        let content = Content::new();
        let piece = content.piece(0, 100_000).to_vec();
        let mut wrong = piece.clone();
        wrong[77] ^= 1;
        let error = content.check(0, &wrong).unwrap_err();
        assert_eq!(error.to_string(), "byte 77 of the file is wrong");
        assert!(content.check(0, &piece[16_384..]).is_err());
        assert!(content.check(65_536, &piece).is_err());
    }
}
