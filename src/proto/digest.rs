//! Digests of a file's bytes: the algorithms by the names that clients know, and their arithmetic.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use md5::Digest as _;

/// What HASH can be told to use (draft-bryan-ftpext-hash-02, 3.1; the names are IANA's hash function
/// textual names, and CRC32 is what servers call theirs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    #[default]
    Sha256,
    Sha512,
    Sha1,
    Md5,
    Crc32,
}

/// A digest that is being made.
pub struct Digest(State);

enum State {
    Sha(Context),
    Md5(md5::Md5),
    Crc32(crc32fast::Hasher),
}

impl Algorithm {
    /// The strongest ones first.
    pub const ALL: [Algorithm; 5] = [
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Sha1,
        Algorithm::Md5,
        Algorithm::Crc32,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512 => "SHA-512",
            Algorithm::Sha1 => "SHA-1",
            Algorithm::Md5 => "MD5",
            Algorithm::Crc32 => "CRC32",
        }
    }

    /// By its name, in letters of either case.
    pub fn from_name(name: &[u8]) -> Option<Algorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The line in FEAT, which marks this one as chosen.
    pub fn feat(self) -> String {
        let names = Self::ALL.map(|algorithm| match algorithm == self {
            true => format!("{}*", algorithm.name()),
            false => algorithm.name().to_owned(),
        });
        format!("HASH {}", names.join(";"))
    }
}

impl Digest {
    pub fn new(algorithm: Algorithm) -> Digest {
        Digest(match algorithm {
            Algorithm::Sha256 => State::Sha(Context::new(&SHA256)),
            Algorithm::Sha512 => State::Sha(Context::new(&SHA512)),
            Algorithm::Sha1 => State::Sha(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
            Algorithm::Crc32 => State::Crc32(crc32fast::Hasher::new()),
        })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha(context) => context.update(bytes),
            State::Md5(context) => context.update(bytes),
            State::Crc32(context) => context.update(bytes),
        }
    }

    /// In hexadecimal digits, the letters small.
    pub fn finish(self) -> String {
        match self.0 {
            State::Sha(context) => hex(context.finish().as_ref()),
            State::Md5(context) => hex(&context.finalize()),
            State::Crc32(context) => hex(&context.finalize().to_be_bytes()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the bytes in pieces.
    fn of(algorithm: Algorithm, pieces: &[&str]) -> String {
        let mut digest = Digest::new(algorithm);
        pieces
            .iter()
            .for_each(|piece| digest.update(piece.as_bytes()));
        digest.finish()
    }

    #[test]
    fn known_digests() {
        use Algorithm::{Crc32, Md5, Sha1, Sha256, Sha512};
        // FIPS 180 has these of "abc", RFC 1321 that of MD5; "123456789" is what CRCs are told by.
        for (algorithm, digest) in [
            (
                Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Md5, "900150983cd24fb0d6963f7d28e17f72"),
        ] {
            assert_eq!(of(algorithm, &["abc"]), digest, "{algorithm:?}");
            assert_eq!(of(algorithm, &["a", "", "bc"]), digest, "{algorithm:?}");
        }
        assert_eq!(of(Crc32, &["1234", "56789"]), "cbf43926");
        assert_eq!(of(Crc32, &[]), "00000000");
        assert_eq!(of(Md5, &[]), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn names_are_found_and_the_chosen_one_is_marked() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.name().to_lowercase();
            assert_eq!(Algorithm::from_name(name.as_bytes()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name(b"CRC-37"), None);
        assert_eq!(
            Algorithm::default().feat(),
            "HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32"
        );
        assert_eq!(
            Algorithm::Md5.feat(),
            "HASH SHA-256;SHA-512;SHA-1;MD5*;CRC32"
        );
    }
}
