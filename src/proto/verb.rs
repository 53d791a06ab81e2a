//! A command's name. There is one for every line that a client sends, so a name of usual length needs
//! no memory of its own.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroize;

/// The longest name that is held in place, in bytes: as many as the other kind takes.
const SHORT: usize = 22;

/// The name of a command in upper case: `RETR`, `SITE CHMOD`. It is used as a `str`.
///
/// ```
/// # fn on_command(command: &ftpdlib::CommandLine) {
/// if command.name == "DELE" || command.name.starts_with("SITE ") {
///     println!("{} is not for everybody", command.name);
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Verb(Repr);

#[derive(Clone)]
enum Repr {
    /// In ASCII, and if PASS is in it, it is no more than that.
    Short {
        len: u8,
        bytes: [u8; SHORT],
    },
    Long(Box<str>),
}

impl Verb {
    /// Upper case, in ASCII only. What is not UTF-8 is read as Latin-1, so that it stays recognisable.
    pub(crate) fn upper(name: &[u8]) -> Verb {
        if name.len() <= SHORT && !holds_password(name) {
            let (mut bytes, mut bits) = ([0; SHORT], 0);
            for (upper, byte) in bytes.iter_mut().zip(name) {
                *upper = byte.to_ascii_uppercase();
                bits |= byte;
            }
            if bits.is_ascii() {
                let len = name.len() as u8;
                return Verb(Repr::Short { len, bytes });
            }
        }
        let upper = match str::from_utf8(name) {
            Ok(name) => name.to_ascii_uppercase(),
            Err(_) => name
                .iter()
                .map(|&byte| char::from(byte.to_ascii_uppercase()))
                .collect(),
        };
        Verb(Repr::Long(upper.into()))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Repr::Long(name) => name.as_bytes(),
        }
    }

    /// The first eight bytes as a number, by which names are looked up.
    pub(crate) fn head(&self) -> u64 {
        let mut head = [0; 8];
        match &self.0 {
            Repr::Short { bytes, .. } => head.copy_from_slice(&bytes[..8]),
            Repr::Long(name) => {
                let len = name.len().min(8);
                head[..len].copy_from_slice(&name.as_bytes()[..len]);
            }
        }
        u64::from_be_bytes(head)
    }

    /// Whether a password may be in it, or behind it: the name is PASS, or has that in it.
    pub(crate) fn holds_password(&self) -> bool {
        match &self.0 {
            Repr::Short { .. } => *self == "PASS",
            Repr::Long(name) => name.contains("PASS"),
        }
    }

    /// The name as a `str`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It is ASCII.
            Repr::Short { .. } => str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Long(name) => name,
        }
    }
}

/// Whether there is more to PASS than the word, after a typing error: who moves such a name must not
/// leave copies behind.
fn holds_password(name: &[u8]) -> bool {
    name.len() > 4
        && name
            .windows(4)
            .any(|word| word.eq_ignore_ascii_case(b"PASS"))
}

impl Deref for Verb {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Verb {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Verb {
    fn eq(&self, other: &Verb) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Verb {}

impl PartialEq<str> for Verb {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Verb {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Zeroize for Verb {
    fn zeroize(&mut self) {
        match &mut self.0 {
            Repr::Short { len, bytes } => {
                len.zeroize();
                bytes.zeroize();
            }
            Repr::Long(name) => name.zeroize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_the_same_kind_of_name() {
        assert_eq!(size_of::<Verb>(), 3 * size_of::<usize>());
        for len in [0, 1, 4, SHORT - 1, SHORT, SHORT + 1, 4000] {
            let verb = Verb::upper("a".repeat(len).as_bytes());
            let name = "A".repeat(len);
            assert_eq!(verb, *name);
            assert_eq!(verb.as_bytes(), name.as_bytes());
            assert_eq!((verb.to_string(), verb.len()), (name, len));
            assert_eq!(verb, verb.clone());
            assert_ne!(verb, Verb::upper(b"b"));
        }
    }

    #[test]
    fn a_head_is_the_first_eight_bytes() {
        let names = [
            "",
            "A",
            "ABOR",
            "SITE",
            "SITE CHM",
            "STOR",
            "\u{E9}",
            "\u{E9}XXXXXXX",
        ];
        for (at, name) in names.iter().enumerate() {
            let head = Verb::upper(name.as_bytes()).head();
            let others = names.iter().skip(at + 1);
            assert!(
                others
                    .clone()
                    .all(|other| Verb::upper(other.as_bytes()).head() != head)
            );
        }
        let [short, one, other] = ["SITE CHM", "SITE CHMOD", "SITE CHMAX"]
            .map(|name| Verb::upper(name.as_bytes()).head());
        assert_eq!((short, one), (one, other));
    }

    #[test]
    fn what_is_not_ascii_stays_recognisable() {
        assert_eq!(Verb::upper("käse".as_bytes()), "KäSE");
        assert_eq!(Verb::upper(b"k\xE4se"), "K\u{E4}SE");
        assert_eq!(format!("{:?}", Verb::upper(b"a\n")), r#""A\n""#);
    }

    #[test]
    fn it_can_be_wiped() {
        for name in ["pass", "pass\tsecret", "passsecretsecretsecretsecret"] {
            let mut verb = Verb::upper(name.as_bytes());
            assert_eq!(matches!(verb.0, Repr::Short { .. }), name == "pass");
            verb.zeroize();
            assert!(verb.as_bytes().iter().all(|&byte| byte == 0));
            assert!(!verb.contains("SECRET"));
        }
    }
}
