//! What a name must not be, so that it names what it says and nothing else.
//!
//! On UNIX any bytes do. On Windows `NUL` is a device in every directory, `file:x` a stream of `file`,
//! `file.` and `file ` are `file`, `..\x` is a path, and `PROGRA~1` is `Program Files`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
#[cfg(windows)]
use std::path::{Component, Path, PathBuf, Prefix};

use crate::sys::name;

/// The bytes of a relative path as the system wants it.
pub(super) fn os(path: &[u8]) -> io::Result<Cow<'_, OsStr>> {
    #[cfg(windows)]
    if path != b"." && !path.split(|&byte| byte == b'/').all(is_plain) {
        return Err(invalid());
    }
    name::os(path).ok_or_else(invalid)
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "Invalid file name")
}

/// Names of devices, whatever follows a dot. Of a number, `COM` and `LPT` are.
#[cfg(any(windows, test))]
const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Whether Windows takes the name for that of a file, and for no other file's.
#[cfg(any(windows, test))]
fn is_plain(name: &[u8]) -> bool {
    let odd = |byte: &u8| *byte < b' ' || b"<>:\"|?*\\/".contains(byte);
    if name.is_empty() || name.iter().any(odd) || matches!(name.last(), Some(b'.' | b' ')) {
        return false;
    }
    let stem = name.split(|&byte| byte == b'.').next().unwrap_or(name);
    let stem = stem.trim_ascii_end();
    if DEVICES
        .iter()
        .any(|device| device.as_bytes().eq_ignore_ascii_case(stem))
    {
        return false;
    }
    let numbered = stem
        .split_at_checked(3)
        .filter(|(port, _)| port.eq_ignore_ascii_case(b"COM") || port.eq_ignore_ascii_case(b"LPT"));
    // Small raised digits count, too.
    !numbered.is_some_and(|(_, number)| {
        matches!(number, [b'0'..=b'9'])
            || ["\u{b9}", "\u{b2}", "\u{b3}"]
                .iter()
                .any(|digit| digit.as_bytes() == number)
    })
}

/// Whether it looks like one of the short names (8 characters, a dot, 3 characters) by which the system
/// knows files with longer ones.
#[cfg(any(windows, test))]
pub(super) fn may_be_short(name: &[u8]) -> bool {
    let mut parts = name.split(|&byte| byte == b'.');
    let (base, extension) = (parts.next().unwrap_or_default(), parts.next());
    let tilde = base.iter().position(|&byte| byte == b'~');
    parts.next().is_none()
        && base.len() <= 8
        && extension.is_none_or(|extension| extension.len() <= 3)
        && tilde.is_some_and(|at| at + 1 < base.len())
}

/// A path as people write it, of one that the system has made absolute: `C:\home`, not
/// `\\?\C:\home`.
#[cfg(windows)]
pub(super) fn familiar(path: PathBuf) -> PathBuf {
    use crate::sys::name::bytes;

    let mut components = path.components();
    let root = match components.next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::VerbatimDisk(letter) => format!("{}:\\", char::from(letter)).into(),
            Prefix::VerbatimUNC(server, share) => {
                let mut root = std::ffi::OsString::from(r"\\");
                root.push(server);
                root.push(r"\");
                root.push(share);
                root.push(r"\");
                root
            }
            _ => return path,
        },
        _ => return path,
    };
    let plain = |component: Component<'_>| match component {
        Component::RootDir => true,
        Component::Normal(name) => is_plain(&bytes(name.to_owned())),
        _ => false,
    };
    // Such a name needs the long form.
    if !components.clone().all(plain) {
        return path;
    }
    let below: PathBuf = components
        .filter(|component| matches!(component, Component::Normal(_)))
        .collect();
    Path::new(&root).join(below)
}

#[cfg(not(windows))]
pub(super) fn familiar(path: std::path::PathBuf) -> std::path::PathBuf {
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_something_else_on_windows() {
        for name in [
            "",
            "a:b",
            "a::$DATA",
            "C:",
            "..\\x",
            "a\\b",
            "a/b",
            "a.",
            "a ",
            "a. ",
            "...",
            " ",
            "a\x01",
            "a\n",
            "a?",
            "a*",
            "a<b",
            "a>b",
            "a\"",
            "a|b",
            "NUL",
            "nul",
            "Con.txt",
            "aux .x.y",
            "COM1",
            "com0.log",
            "lpt9",
            "COM\u{b9}",
            "LPT\u{b3}.txt",
            "prn",
            "CONIN$",
            "conout$.a",
        ] {
            assert!(!is_plain(name.as_bytes()), "{name:?}");
        }
        for name in [
            "a",
            ".a",
            "a.b",
            " a",
            "NULL",
            "nul_",
            "COM",
            "COM10",
            "COMX",
            "xCOM1",
            "com1x.txt",
            "\u{e9}",
            "a~1",
            "x.nul",
            "$MFT",
        ] {
            assert!(is_plain(name.as_bytes()), "{name:?}");
        }
        assert!(is_plain(b"\xed\xa0\x80"));
    }

    #[test]
    fn short_names() {
        for name in ["PROGRA~1", "a~1.txt", "ABCD~XYZ.TX", "~1", "LONGNA~1.HTM"] {
            assert!(may_be_short(name.as_bytes()), "{name}");
        }
        for name in [
            "notes~",
            "a.txt~",
            "a.b~1",
            "long name~1",
            "a~1.html",
            "a~1.b.c",
            "",
            "a",
        ] {
            assert!(!may_be_short(name.as_bytes()), "{name}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn paths_as_people_write_them() {
        for (path, written) in [
            (r"\\?\C:\", r"C:\"),
            (r"\\?\C:\a\b", r"C:\a\b"),
            (r"\\?\UNC\host\share\a", r"\\host\share\a"),
            (r"\\?\C:\a.", r"\\?\C:\a."),
            (r"\\?\C:\nul\b", r"\\?\C:\nul\b"),
            (r"C:\a", r"C:\a"),
        ] {
            assert_eq!(familiar(path.into()), Path::new(written));
        }
    }

    #[cfg(unix)]
    #[test]
    fn on_unix_any_bytes_are_a_name() {
        use std::os::unix::ffi::OsStrExt;
        for name in [&b"nul"[..], b"a:b", b"a.", b"\xff", b"x/y"] {
            assert_eq!(os(name).unwrap().as_bytes(), name);
        }
    }
}
