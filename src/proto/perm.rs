//! What a user may do: pyftpdlib's ten permission letters as a small set.

use std::fmt;
use std::ops::{BitOr, BitOrAssign, Sub};
use std::str::FromStr;

/// A set of permissions, written as pyftpdlib writes them: one letter each.
///
/// | letter | constant | commands |
/// |---|---|---|
/// | `e` | [`Perm::CWD`] | CWD, CDUP |
/// | `l` | [`Perm::LIST`] | LIST, NLST, STAT, MLSD, MLST, SIZE, MDTM |
/// | `r` | [`Perm::READ`] | RETR, HASH, XCRC, XMD5, XSHA1, XSHA256, XSHA512 |
/// | `a` | [`Perm::APPEND`] | APPE |
/// | `d` | [`Perm::DELETE`] | DELE, RMD |
/// | `f` | [`Perm::RENAME`] | RNFR, RNTO |
/// | `m` | [`Perm::MKDIR`] | MKD |
/// | `w` | [`Perm::WRITE`] | STOR, STOU |
/// | `M` | [`Perm::CHMOD`] | SITE CHMOD |
/// | `T` | [`Perm::MTIME`] | MFMT, SITE UTIME, `MDTM time path` |
///
/// ```
/// use ftpdlib::Perm;
///
/// let perm: Perm = "elr".parse()?;
/// assert_eq!(perm, Perm::READ_ONLY);
/// assert!(!(perm | Perm::WRITE).contains(Perm::DELETE));
/// assert_eq!((perm | Perm::DELETE).to_string(), "elrd");
/// # Ok::<(), ftpdlib::PermError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Perm(u16);

const LETTERS: &[u8; 10] = b"elradfmwMT";

impl Perm {
    /// No permission at all: the user can log in and look at nothing.
    pub const NONE: Perm = Perm(0);
    /// `e`: change directory.
    pub const CWD: Perm = Perm(1);
    /// `l`: list files and ask for their size, time and facts.
    pub const LIST: Perm = Perm(1 << 1);
    /// `r`: retrieve files.
    pub const READ: Perm = Perm(1 << 2);
    /// `a`: append to existing files.
    pub const APPEND: Perm = Perm(1 << 3);
    /// `d`: delete files and directories.
    pub const DELETE: Perm = Perm(1 << 4);
    /// `f`: rename files and directories.
    pub const RENAME: Perm = Perm(1 << 5);
    /// `m`: create directories.
    pub const MKDIR: Perm = Perm(1 << 6);
    /// `w`: store files.
    pub const WRITE: Perm = Perm(1 << 7);
    /// `M`: change the mode of files.
    pub const CHMOD: Perm = Perm(1 << 8);
    /// `T`: change the modification time of files.
    pub const MTIME: Perm = Perm(1 << 9);

    /// `elr`: look and download.
    pub const READ_ONLY: Perm = Perm(0b111);
    /// `adfmwMT`: everything that changes something.
    pub const WRITE_ALL: Perm = Perm(0b11_1111_1000);
    /// `elradfmwMT`: everything.
    pub const ALL: Perm = Perm(0b11_1111_1111);

    /// Whether every permission of `other` is in this set.
    pub const fn contains(self, other: Perm) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether this set and `other` share a permission.
    pub const fn intersects(self, other: Perm) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Perm {
    type Output = Perm;
    fn bitor(self, other: Perm) -> Perm {
        Perm(self.0 | other.0)
    }
}

impl BitOrAssign for Perm {
    fn bitor_assign(&mut self, other: Perm) {
        self.0 |= other.0;
    }
}

impl Sub for Perm {
    type Output = Perm;
    fn sub(self, other: Perm) -> Perm {
        Perm(self.0 & !other.0)
    }
}

impl FromStr for Perm {
    type Err = PermError;

    fn from_str(letters: &str) -> Result<Perm, PermError> {
        letters.chars().try_fold(Perm::NONE, |set, letter| {
            match LETTERS
                .iter()
                .position(|&known| char::from(known) == letter)
            {
                Some(bit) => Ok(set | Perm(1 << bit)),
                None => Err(PermError(letter)),
            }
        })
    }
}

impl fmt::Display for Perm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..LETTERS.len())
            .filter(|bit| self.0 & (1 << bit) != 0)
            .try_for_each(|bit| write!(f, "{}", char::from(LETTERS[bit])))
    }
}

impl fmt::Debug for Perm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Perm({self})")
    }
}

/// A letter that names no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermError(char);

impl fmt::Display for PermError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no such permission {:?}; use letters of \"elradfmwMT\"",
            self.0
        )
    }
}

impl std::error::Error for PermError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_round_trip_in_order() {
        let all: Perm = "TMwmfdarle".parse().unwrap();
        assert_eq!(all, Perm::ALL);
        assert_eq!(all.to_string(), "elradfmwMT");
        assert_eq!(Perm::READ_ONLY | Perm::WRITE_ALL, Perm::ALL);
        assert_eq!(Perm::ALL - Perm::WRITE_ALL, Perm::READ_ONLY);
        assert_eq!("".parse(), Ok(Perm::NONE));
    }

    #[test]
    fn an_unknown_letter_is_named() {
        let error = "elx".parse::<Perm>().unwrap_err();
        assert!(error.to_string().contains("'x'"), "{error}");
    }

    #[test]
    fn contains_means_all_and_intersects_means_any() {
        let perm = Perm::CWD | Perm::LIST;
        assert!(perm.contains(Perm::CWD));
        assert!(!perm.contains(Perm::CWD | Perm::READ));
        assert!(perm.intersects(Perm::CWD | Perm::READ));
        assert!(!perm.intersects(Perm::WRITE_ALL));
    }
}
