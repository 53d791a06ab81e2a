//! Arguments as text without loss: on Unix a path may hold bytes that are no UTF-8, while the
//! parser knows text only. Such bytes travel through it as private-use characters.

use std::ffi::{OsStr, OsString};

/// The byte `b` travels as the character `MARK + b`: U+10FF00 to U+10FFFF, the very end of Unicode.
#[cfg(unix)]
const MARK: u32 = 0x10_FF00;

#[cfg(unix)]
fn is_mark(c: char) -> bool {
    u32::from(c) >= MARK
}

/// The argument as text; [`decode`] gives it back unchanged. `None` where it cannot be (Windows,
/// an unpaired surrogate).
#[cfg(unix)]
pub(super) fn encode(arg: &OsStr) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;

    let mark = |byte: &u8| char::from_u32(MARK + u32::from(*byte));
    let mut text = String::with_capacity(arg.len());
    for chunk in arg.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_mark(c) {
                // So that a mark in the text always stands for a byte.
                text.extend(
                    c.encode_utf8(&mut [0; 4])
                        .as_bytes()
                        .iter()
                        .filter_map(mark),
                );
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().filter_map(mark));
    }
    Some(text)
}

#[cfg(not(unix))]
pub(super) fn encode(arg: &OsStr) -> Option<String> {
    arg.to_str().map(str::to_owned)
}

/// What [`encode`] was given.
#[cfg(unix)]
pub(super) fn decode(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;

    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        if is_mark(c) {
            bytes.push(u32::from(c) as u8);
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(not(unix))]
pub(super) fn decode(text: &str) -> OsString {
    OsString::from(text)
}

/// The argument for a message to the user.
pub(super) fn display(text: &str) -> String {
    decode(text).to_string_lossy().into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn any_bytes_survive() {
        for bytes in [
            &b"plain"[..],
            b"",
            "caf\u{e9} \u{1F600}".as_bytes(),
            b"a\xff\xfe/\xc3",
        ] {
            let arg = OsStr::from_bytes(bytes);
            assert_eq!(decode(&encode(arg).unwrap()), arg);
        }
        let every: Vec<u8> = (1..=255).collect();
        assert_eq!(
            decode(&encode(OsStr::from_bytes(&every)).unwrap()).as_bytes(),
            every
        );
    }

    #[test]
    fn a_true_private_use_character_is_not_taken_for_a_byte() {
        let arg = OsStr::new("x\u{10FFE9}y\u{10FF00}");
        let text = encode(arg).unwrap();
        assert_eq!(decode(&text), arg);
        assert_ne!(text, "x\u{10FFE9}y\u{10FF00}");
    }

    #[test]
    fn valid_text_is_unchanged_and_the_rest_is_shown_as_replaced() {
        assert_eq!(encode(OsStr::new("gr\u{fc}n")).unwrap(), "gr\u{fc}n");
        assert_eq!(
            display(&encode(OsStr::from_bytes(b"a\xff")).unwrap()),
            "a\u{fffd}"
        );
    }
}
