//! Virtual paths: what a client means by a name, before any file system has a say.
//!
//! Confinement starts here: a virtual path has no `..` left in it and cannot get one.

use std::fmt;
use std::str::FromStr;

use super::escape::Escaped;

/// The longest path that a client may name, in bytes; PATH_MAX on most systems.
const MAX_PATH: usize = 4096;

/// An absolute, normalised path as a client sees it: `/` is the user's home.
///
/// It is bytes, separated by `/`, and never has an empty component, a `.`, a `..` or a NUL. It
/// orders by its bytes, and is shown with control characters and the like escaped.
///
/// ```
/// use ftpdlib::VirtualPath;
///
/// let docs: VirtualPath = "/pub/docs".parse()?;
/// assert_eq!(docs.join(b"../new//./a.txt")?.as_bytes(), b"/pub/new/a.txt");
/// assert!(docs.join(b"../../../..")?.is_root());
/// assert_eq!(docs.file_name(), Some(&b"docs"[..]));
/// assert!(docs.starts_with(&"/pub".parse()?));
/// # Ok::<(), ftpdlib::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualPath(Vec<u8>);

impl VirtualPath {
    /// `/`.
    pub fn root() -> VirtualPath {
        VirtualPath(b"/".to_vec())
    }

    /// The path that a client in the directory `self` means by `arg`.
    ///
    /// An `arg` that begins with `/` is absolute, an empty one is `self`, and the `..` of the root is
    /// the root. Names are taken as they are, blanks included.
    ///
    /// # Errors
    ///
    /// If `arg` holds a NUL, or the path is longer than 4,096 bytes.
    pub fn join(&self, arg: &[u8]) -> Result<VirtualPath, PathError> {
        if arg.contains(&0) {
            return Err(PathError::Nul);
        }
        let base = match arg.starts_with(b"/") {
            true => b"/",
            false => self.as_bytes(),
        };
        let mut path = VirtualPath(Vec::with_capacity(base.len() + 1 + arg.len()));
        path.0.extend_from_slice(base);
        for component in arg.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => path.pop(),
                name => path.push(name),
            }
        }
        if path.0.len() > MAX_PATH {
            Err(PathError::TooLong)
        } else {
            Ok(path)
        }
    }

    /// The path of an entry of the directory `self`, always exactly one component below it.
    ///
    /// `name` is meant to come from a listing. Of one that cannot be a component, `/` and NUL, and all
    /// of an empty one, `.` and `..`, become U+FFFD, so that it names nothing rather than something
    /// else. There is no limit on the length: what exists can be listed.
    pub fn child(&self, name: &[u8]) -> VirtualPath {
        const NOTHING: &str = "\u{FFFD}";
        let mut path = self.clone();
        if matches!(name, b"" | b"." | b"..") {
            path.push(NOTHING.as_bytes());
        } else if name.iter().any(|byte| matches!(byte, b'/' | 0)) {
            let parts: Vec<&[u8]> = name.split(|byte| matches!(byte, b'/' | 0)).collect();
            path.push(&parts.join(NOTHING.as_bytes()));
        } else {
            path.push(name);
        }
        path
    }

    /// The directory that it is in; the root is in none.
    pub fn parent(&self) -> Option<VirtualPath> {
        let mut parent = self.clone();
        parent.pop();
        (!self.is_root()).then_some(parent)
    }

    /// The last component; the root has none.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The components from the root on; of the root itself, none.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|name| !name.is_empty())
    }

    /// All of it, with the leading `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// It as seen from the root, without the leading `/`; the root is `.`.
    pub fn relative(&self) -> &[u8] {
        if self.is_root() { b"." } else { &self.0[1..] }
    }

    /// Whether it is `/`.
    pub fn is_root(&self) -> bool {
        self.0 == b"/"
    }

    /// Whether it is `base` or below it. `/ab` does not start with `/a`.
    pub fn starts_with(&self, base: &VirtualPath) -> bool {
        base.is_root()
            || self
                .0
                .strip_prefix(&*base.0)
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }

    fn push(&mut self, name: &[u8]) {
        if !self.is_root() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
    }

    fn pop(&mut self) {
        let slash = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.0.truncate(slash.max(1));
    }
}

impl Default for VirtualPath {
    fn default() -> VirtualPath {
        VirtualPath::root()
    }
}

/// As [`VirtualPath::join`] to the root: a leading `/` may be missing.
impl FromStr for VirtualPath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<VirtualPath, PathError> {
        VirtualPath::root().join(path.as_bytes())
    }
}

impl TryFrom<&str> for VirtualPath {
    type Error = PathError;

    fn try_from(path: &str) -> Result<VirtualPath, PathError> {
        path.parse()
    }
}

impl fmt::Display for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualPath({self})")
    }
}

/// Why something cannot be a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It holds a NUL byte.
    Nul,
    /// It is longer than 4,096 bytes.
    TooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::Nul => "Invalid path: it holds a NUL byte",
            PathError::TooLong => "Invalid path: it is too long",
        })
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VirtualPath {
        text.parse().unwrap()
    }

    fn assert_valid(path: &VirtualPath) {
        let bytes = path.as_bytes();
        assert_eq!(bytes.first(), Some(&b'/'), "{path}");
        assert!(!bytes.contains(&0), "{path}");
        if !path.is_root() {
            for component in bytes[1..].split(|&byte| byte == b'/') {
                assert!(!matches!(component, b"" | b"." | b".."), "{path}");
            }
        }
    }

    #[test]
    fn join_is_relative_unless_it_begins_with_a_slash() {
        let cwd = path("/a/b");
        for (arg, expected) in [
            ("", "/a/b"),
            (".", "/a/b"),
            ("c", "/a/b/c"),
            ("c/", "/a/b/c"),
            ("./c//d/.", "/a/b/c/d"),
            ("..", "/a"),
            ("../c", "/a/c"),
            ("c/../../d", "/a/d"),
            ("../..", "/"),
            ("../../../../x", "/x"),
            ("/", "/"),
            ("//", "/"),
            ("/x", "/x"),
            ("//x/../..//y/", "/y"),
            ("...", "/a/b/..."),
            (".. ", "/a/b/.. "),
            (" c ", "/a/b/ c "),
            ("~", "/a/b/~"),
            ("-la", "/a/b/-la"),
            ("c\\..\\d", "/a/b/c\\..\\d"),
            ("*?[x]", "/a/b/*?[x]"),
        ] {
            let joined = cwd.join(arg.as_bytes()).unwrap();
            assert_eq!(joined.as_bytes(), expected.as_bytes(), "{arg}");
            assert_valid(&joined);
        }
    }

    #[test]
    fn names_are_bytes() {
        let odd = path("/").join(b"\xFF\r\n\xC3/\xE4").unwrap();
        assert_eq!(odd.as_bytes(), b"/\xFF\r\n\xC3/\xE4");
        assert_eq!(odd.file_name(), Some(&b"\xE4"[..]));
        assert_eq!(odd.to_string(), r"/\xFF\r\n\xC3/\xE4");
        assert_eq!(format!("{odd:?}"), r"VirtualPath(/\xFF\r\n\xC3/\xE4)");
    }

    #[test]
    fn what_cannot_be_a_path_is_refused() {
        let root = VirtualPath::root();
        assert_eq!(root.join(b"a\0b"), Err(PathError::Nul));
        assert_eq!(root.join(b"\0/../x"), Err(PathError::Nul));
        let longest = [b"/", &[b'x'; MAX_PATH - 1][..]].concat();
        let deep = root.join(&longest).unwrap();
        assert_eq!(deep.as_bytes().len(), MAX_PATH);
        assert_eq!(deep.join(b"y"), Err(PathError::TooLong));
        assert_eq!(deep.join(b"../y").unwrap(), path("/y"));
        assert_eq!(root.join(&[b'x'; MAX_PATH]), Err(PathError::TooLong));
        assert_eq!("a\0".parse::<VirtualPath>(), Err(PathError::Nul));
        assert!(VirtualPath::try_from("x").is_ok_and(|path| path.as_bytes() == b"/x"));
        assert!(PathError::TooLong.to_string().starts_with("Invalid path"));
    }

    #[test]
    fn a_child_is_always_one_component_below() {
        for parent in [path("/"), path("/a b")] {
            for name in [
                &b"x"[..],
                b" ",
                b"\xFF\n",
                b"...",
                b"",
                b".",
                b"..",
                b"/",
                b"a/b",
                b"../../etc",
                b"\0",
                b"a\0",
            ] {
                let child = parent.child(name);
                assert_valid(&child);
                assert_eq!(child.parent(), Some(parent.clone()), "{child}");
                let plain = !matches!(name, b"" | b"." | b"..")
                    && !name.contains(&b'/')
                    && !name.contains(&0);
                assert_eq!(child.file_name() == Some(name), plain, "{child}");
            }
        }
        assert_eq!(
            path("/a").child(b"b/../c").as_bytes(),
            "/a/b\u{FFFD}..\u{FFFD}c".as_bytes()
        );
        assert_eq!(path("/a").child(b"..").as_bytes(), "/a/\u{FFFD}".as_bytes());
    }

    #[test]
    fn the_root_and_the_parts_of_others() {
        let root = VirtualPath::default();
        assert!(root.is_root());
        assert_eq!(
            (root.parent(), root.file_name(), root.relative()),
            (None, None, &b"."[..])
        );
        assert_eq!(root.components().count(), 0);
        let deep = path("/a/b c/d");
        assert_eq!(
            deep.components().collect::<Vec<_>>(),
            [&b"a"[..], b"b c", b"d"]
        );
        assert_eq!(deep.relative(), b"a/b c/d");
        assert_eq!(deep.parent(), Some(path("/a/b c")));
        assert_eq!(path("/a").parent(), Some(root));
    }

    #[test]
    fn starts_with_goes_by_components() {
        for (whole, base, expected) in [
            ("/a/b", "/", true),
            ("/", "/", true),
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/ab", "/a", false),
            ("/a", "/a/b", false),
            ("/", "/a", false),
            ("/A", "/a", false),
        ] {
            assert_eq!(
                path(whole).starts_with(&path(base)),
                expected,
                "{whole} {base}"
            );
        }
    }

    #[test]
    fn no_sequence_of_joins_leaves_the_root() {
        let parts = [
            "", ".", "..", "/", "a", "..a", "/..", "../", "a/..", "//", " ",
        ];
        for first in parts {
            for second in parts {
                for third in parts {
                    let arg = [first, second, third].concat();
                    let joined = path("/x").join(arg.as_bytes()).unwrap();
                    assert_valid(&joined);
                    assert_eq!(
                        VirtualPath::root().join(joined.as_bytes()),
                        Ok(joined.clone())
                    );
                    let stepwise = path("/x")
                        .join(first.as_bytes())
                        .and_then(|p| p.join(second.as_bytes()));
                    assert_valid(&stepwise.unwrap());
                }
            }
        }
    }
}
