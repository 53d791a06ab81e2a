//! The encoding of names towards the client, which need not be that of the file system.
//!
//! Names are bytes on both sides, and most often UTF-8 on the server's. Whatever a name's bytes
//! are, the client gets something that names the same file when it comes back.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// How names are written for the client.
///
/// ```
/// use ftpdlib::Encoding;
///
/// let encoding: Encoding = "Latin-1".parse()?;
/// assert_eq!(*encoding.encode("Käse".as_bytes()), *b"K\xE4se");
/// assert_eq!(*encoding.decode(b"K\xE4se"), *"Käse".as_bytes());
/// # Ok::<(), ftpdlib::EncodingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8 (RFC 2640), the default. Bytes pass as they are, UTF-8 or not.
    #[default]
    Utf8,
    /// ISO 8859-1, for clients of old.
    ///
    /// What it lacks is written as C1 control bytes, which no real name has: each byte that is not
    /// part of a character from U+0000 to U+007F or from U+0090 to U+00FF becomes `0x80 | high
    /// nibble`, `0x80 | low nibble`. So a name in Cyrillic looks odd, but can be fetched and deleted.
    Latin1,
}

impl Encoding {
    /// A name of the server's, as the client gets it. `decode` takes it back to `name`, whatever it is.
    pub fn encode(self, name: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Encoding::Latin1 if !name.is_ascii() => Cow::Owned(to_latin1(name)),
            _ => Cow::Borrowed(name),
        }
    }

    /// A name from the client, as the server has it.
    pub fn decode(self, name: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Encoding::Latin1 if !name.is_ascii() => Cow::Owned(from_latin1(name)),
            _ => Cow::Borrowed(name),
        }
    }
}

fn to_latin1(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(byte) if !is_nibble(byte) => out.push(byte),
                _ => put_nibbles(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        put_nibbles(&mut out, chunk.invalid());
    }
    out
}

fn put_nibbles(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend([0x80 | byte >> 4, 0x80 | byte & 0x0F]);
    }
}

fn is_nibble(byte: u8) -> bool {
    matches!(byte, 0x80..=0x8F)
}

/// Pairs of nibbles back to bytes, everything else to the UTF-8 of its character.
///
/// `to_latin1` writes nibbles in pairs only, of bytes from 0x80 on, and never as a character of its
/// own; so reading from left to right finds its pairs again and nothing else. A pair that would make
/// an ASCII byte is none: a client must not be able to say `/`, LF or NUL in another way.
fn from_latin1(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() * 2);
    let mut rest = name;
    loop {
        rest = match *rest {
            [] => return out,
            [high @ 0x88..=0x8F, low @ 0x80..=0x8F, ref after @ ..] => {
                out.push(high << 4 | low & 0x0F);
                after
            }
            [byte, ref after @ ..] => {
                out.extend_from_slice(char::from(byte).encode_utf8(&mut [0; 2]).as_bytes());
                after
            }
        };
    }
}

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(name: &str) -> Result<Encoding, EncodingError> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(Encoding::Utf8),
            "latin-1" | "latin1" | "iso-8859-1" => Ok(Encoding::Latin1),
            _ => Err(EncodingError(name.to_owned())),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Latin1 => "latin-1",
        })
    }
}

/// A name that names no [`Encoding`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingError(String);

impl fmt::Display for EncodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no such encoding {:?}; use utf-8 (utf8) or latin-1 (latin1, iso-8859-1)",
            self.0
        )
    }
}

impl std::error::Error for EncodingError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_bijective(name: &[u8]) {
        let encoded = Encoding::Latin1.encode(name);
        assert_eq!(
            Encoding::Latin1.decode(&encoded),
            name,
            "{name:02X?} as {encoded:02X?}"
        );
        assert_eq!(Encoding::Utf8.decode(&Encoding::Utf8.encode(name)), name);
    }

    /// What a client gets back for a name of its own must be the same file again.
    fn assert_stable(typed: &[u8]) {
        let name = Encoding::Latin1.decode(typed);
        let listed = Encoding::Latin1.encode(&name);
        assert_eq!(
            Encoding::Latin1.decode(&listed),
            name,
            "{typed:02X?} listed as {listed:02X?}"
        );
    }

    #[test]
    fn utf8_passes_everything() {
        for name in [&b"a"[..], "ä日".as_bytes(), b"\xFF\xC3", b""] {
            assert!(matches!(Encoding::Utf8.encode(name), Cow::Borrowed(same) if same == name));
            assert!(matches!(Encoding::Utf8.decode(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[test]
    fn latin1_converts_what_it_has() {
        for (name, latin1) in [
            ("plain.txt", &b"plain.txt"[..]),
            ("Käse ÿ\u{A0}", b"K\xE4se \xFF\xA0"),
            ("\u{90}\u{9F}", b"\x90\x9F"),
            ("€", b"\x8E\x82\x88\x82\x8A\x8C"),
            ("ä€ä", b"\xE4\x8E\x82\x88\x82\x8A\x8C\xE4"),
            ("\u{85}", b"\x8C\x82\x88\x85"),
        ] {
            assert_eq!(*Encoding::Latin1.encode(name.as_bytes()), *latin1, "{name}");
            assert_eq!(*Encoding::Latin1.decode(latin1), *name.as_bytes(), "{name}");
        }
        assert_eq!(
            *Encoding::Latin1.encode(b"a\xFF\xE4"),
            *b"a\x8F\x8F\x8E\x84"
        );
        assert!(matches!(
            Encoding::Latin1.encode(b"plain"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn every_short_name_comes_back() {
        for a in 0..=u8::MAX {
            assert_bijective(&[a]);
            for b in 0..=u8::MAX {
                assert_bijective(&[a, b]);
                assert_stable(&[a, b]);
            }
        }
        // Longer ones over one byte of each kind: ASCII, nibbles of both sorts, other continuation
        // bytes, and leading bytes of every length.
        let kinds = *b"A\x80\x85\x88\x8F\x90\xA2\xBF\xC2\xC3\xE2\xED\xF0\xFF";
        for number in 0..kinds.len().pow(5) {
            let name: [u8; 5] = std::array::from_fn(|place| {
                kinds[number / kinds.len().pow(place as u32) % kinds.len()]
            });
            assert_bijective(&name);
            assert_stable(&name);
        }
    }

    #[test]
    fn pseudo_random_names_come_back() {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..100_000 {
            let mut name = Vec::new();
            for _ in 0..random(12) {
                match random(4) {
                    0 => name.push(random(256) as u8),
                    1 => name.push(0x80 | random(64) as u8),
                    2 => name.extend(char::from(random(256) as u8).to_string().into_bytes()),
                    _ => name.extend(
                        char::from_u32(random(0x11_0000) as u32)
                            .map_or(vec![0xED], |c| c.to_string().into_bytes()),
                    ),
                }
            }
            assert_bijective(&name);
            assert_stable(&name);
        }
    }

    #[test]
    fn a_client_cannot_disguise_an_ascii_character() {
        for first in 0x80..=u8::MAX {
            for second in 0x80..=u8::MAX {
                let decoded = Encoding::Latin1.decode(&[first, second]).into_owned();
                assert!(
                    !decoded.iter().any(u8::is_ascii),
                    "{first:02X} {second:02X}"
                );
            }
        }
    }

    #[test]
    fn names_of_encodings() {
        for name in ["utf-8", "UTF8", "Utf-8"] {
            assert_eq!(name.parse(), Ok(Encoding::Utf8));
        }
        for name in ["latin-1", "LATIN1", "iso-8859-1", "ISO-8859-1"] {
            assert_eq!(name.parse(), Ok(Encoding::Latin1));
        }
        for encoding in [Encoding::Utf8, Encoding::Latin1] {
            assert_eq!(encoding.to_string().parse(), Ok(encoding));
        }
        let error = "koi8-r".parse::<Encoding>().unwrap_err().to_string();
        assert!(error.contains("koi8-r") && error.contains("utf-8") && error.contains("latin-1"));
        assert_eq!(Encoding::default(), Encoding::Utf8);
    }
}
