//! Names of files: the protocol's bytes as the system has them and back, without loss, and which of
//! them the system takes for one.

#[cfg(not(any(unix, windows)))]
pub(crate) use other::{bytes, os, same};
#[cfg(unix)]
pub(crate) use unix::{bytes, os, same};
#[cfg(windows)]
pub(crate) use windows::{bytes, os, same};

#[cfg(unix)]
mod unix {
    use std::borrow::Cow;
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    /// Bytes as a name or path of the system's; `None` if they cannot be one.
    pub(crate) fn os(name: &[u8]) -> Option<Cow<'_, OsStr>> {
        Some(Cow::Borrowed(OsStr::from_bytes(name)))
    }

    /// A name of the system's as bytes.
    pub(crate) fn bytes(name: OsString) -> Vec<u8> {
        name.into_vec()
    }

    /// Whether two names in a directory are the same file's.
    pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
        one == other
    }
}

/// Names are UTF-16 in which surrogates may stand alone; the bytes are WTF-8, that is UTF-8 in which
/// they may, too.
#[cfg(windows)]
mod windows {
    use std::borrow::Cow;
    use std::ffi::{OsStr, OsString};
    use std::os::windows::ffi::OsStringExt;

    use windows_sys::Win32::Globalization::{CSTR_EQUAL, CompareStringOrdinal};

    use super::wtf8;

    pub(crate) fn os(name: &[u8]) -> Option<Cow<'_, OsStr>> {
        if let Ok(text) = std::str::from_utf8(name) {
            return Some(Cow::Borrowed(OsStr::new(text)));
        }
        Some(Cow::Owned(OsString::from_wide(&wtf8::units(name)?)))
    }

    pub(crate) fn bytes(name: OsString) -> Vec<u8> {
        // The standard library's own form is WTF-8; it says so of Windows.
        name.into_encoded_bytes()
    }

    /// By the system's own table of capital letters.
    pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
        if one == other {
            return true;
        }
        let (Some(one), Some(other)) = (wtf8::units(one), wtf8::units(other)) else {
            return false;
        };
        let length = |units: &[u16]| i32::try_from(units.len()).unwrap_or(0);
        // SAFETY: the pointers are to as many units as is told.
        let compared = unsafe {
            CompareStringOrdinal(
                one.as_ptr(),
                length(&one),
                other.as_ptr(),
                length(&other),
                1,
            )
        };
        compared == CSTR_EQUAL
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn names_are_the_same_whatever_their_case() {
            for (one, other) in [("a", "A"), ("Ärger", "äRGER"), ("x", "x")] {
                assert!(same(one.as_bytes(), other.as_bytes()), "{one} {other}");
            }
            for (one, other) in [("a", "b"), ("a", "ab"), ("ß", "SS"), ("", "a")] {
                assert!(!same(one.as_bytes(), other.as_bytes()), "{one} {other}");
            }
        }

        #[test]
        fn a_lone_surrogate_survives() {
            for units in [&[0xd800_u16][..], &[0x61, 0xdc01, 0x62], &[0xdc00, 0xd800]] {
                let name = OsString::from_wide(units);
                let bytes = bytes(name.clone());
                assert_eq!(os(&bytes).unwrap(), name);
            }
            assert!(os(b"\xff").is_none());
        }
    }
}

#[cfg(any(windows, test))]
mod wtf8 {
    /// The UTF-16 units of WTF-8; `None` of other bytes, also of a pair of surrogates that should have
    /// been one character: a name is written in one way.
    pub(super) fn units(mut bytes: &[u8]) -> Option<Vec<u16>> {
        let mut units: Vec<u16> = Vec::with_capacity(bytes.len());
        loop {
            let valid = match std::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
            };
            units.extend(valid.encode_utf16());
            bytes = &bytes[valid.len()..];
            let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, rest @ ..] = bytes else {
                return bytes.is_empty().then_some(units);
            };
            let unit = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
            let after_high = valid.is_empty()
                && units
                    .last()
                    .is_some_and(|last| (0xd800..0xdc00).contains(last));
            if after_high && unit >= 0xdc00 {
                return None;
            }
            units.push(unit);
            bytes = rest;
        }
    }

    #[cfg(test)]
    mod tests {
        use super::units;

        #[test]
        fn lone_surrogates_are_units() {
            assert_eq!(
                units("aé\u{1f600}".as_bytes()),
                Some("aé\u{1f600}".encode_utf16().collect())
            );
            assert_eq!(units(b"a\xed\xa0\x80b"), Some(vec![0x61, 0xd800, 0x62]));
            assert_eq!(units(b"\xed\xbf\xbf"), Some(vec![0xdfff]));
            assert_eq!(
                units(b"\xed\xb0\x80\xed\xa0\x80"),
                Some(vec![0xdc00, 0xd800])
            );
            // A pair, written as two; a character cut off; a byte of nothing.
            for bad in [
                &b"\xed\xa0\x80\xed\xb0\x80"[..],
                b"\xed\xa0",
                b"a\xff",
                b"\xc3",
            ] {
                assert_eq!(units(bad), None, "{bad:?}");
            }
        }
    }
}

/// Names are Unicode here, for all that is known.
#[cfg(not(any(unix, windows)))]
mod other {
    use std::borrow::Cow;
    use std::ffi::{OsStr, OsString};

    pub(crate) fn os(name: &[u8]) -> Option<Cow<'_, OsStr>> {
        Some(Cow::Borrowed(OsStr::new(std::str::from_utf8(name).ok()?)))
    }

    pub(crate) fn bytes(name: OsString) -> Vec<u8> {
        name.to_string_lossy().into_owned().into_bytes()
    }

    pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
        one == other
    }
}
