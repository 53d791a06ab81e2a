//! A tree of directories with names that break what can be broken, and the comparison of two trees.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::sample;

/// Names of one component that any client can say, if it can say them at all.
pub(crate) const ODD_NAMES: &[&str] = &[
    " leading space",
    "  two leading spaces",
    "trailing space ",
    "space  inside",
    " ",
    "'single'",
    "\"double\"",
    "\"",
    "-dash",
    "-la",
    "--",
    "composed caf\u{e9}",
    "decomposed cafe\u{301}",
    "\u{65e5}\u{672c}\u{8a9e}",
    "\u{1f980}",
    "[brackets]",
    "{curly}",
    "(round)",
    "<angles>",
    "star*",
    "question?",
    "100%",
    "%41%2F",
    "#hash",
    "back\\slash",
    "\\",
    "semi;colon",
    "a:b",
    "a=b; c",
    "type=file; x",
    "~tilde",
    "$HOME",
    "`backtick`",
    "and&and",
    "pi|pe",
    "!bang",
    "^caret",
    ",",
    "user@host",
    "...",
    ".hidden",
    "link -> target",
    "-rw-r--r--   1 root     root           10 Jan 01 00:00 file",
];

/// Builds a tree at `root`, which must not be there yet.
pub(crate) fn build(root: &Path) {
    for name in odd_names() {
        let directory = root.join("directories").join(&name);
        fs::create_dir_all(&directory).expect("a directory");
        write(&directory.join(&name), b"deep");
        write(&root.join(&name), name.as_encoded_bytes());
    }
    fs::create_dir(root.join("empty directory")).expect("a directory");
    write(&root.join("empty file"), b"");
    write(&root.join("binary"), &sample(3 << 20));
    let many = root.join("many");
    fs::create_dir(&many).expect("a directory");
    for number in 0..150 {
        write(&many.join(number.to_string()), &sample(number));
    }
}

fn odd_names() -> Vec<OsString> {
    let mut names: Vec<OsString> = ODD_NAMES.iter().map(OsString::from).collect();
    names.push(OsString::from("long".repeat(63)));
    names.push(OsString::from("tab\there"));
    // Elsewhere a name must be UTF-8.
    #[cfg(target_os = "linux")]
    names.push(std::os::unix::ffi::OsStringExt::from_vec(
        b"Latin-1 caf\xe9".to_vec(),
    ));
    names
}

fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// All that is below `root`: the content of files, `None` for directories.
fn contents(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(root.join(&directory))
            .unwrap_or_else(|error| panic!("{}: {error}", root.join(&directory).display()));
        for entry in entries {
            let entry = entry.expect("a readable directory");
            let path = directory.join(entry.file_name());
            let is_directory = entry.file_type().expect("a file type").is_dir();
            if is_directory {
                pending.push(path.clone());
            }
            let content = (!is_directory).then(|| fs::read(entry.path()).expect("a file"));
            found.insert(path, content);
        }
    }
    found
}

/// The trees must have the same names, byte for byte, and their files the same content.
#[track_caller]
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (contents(one), contents(other));
    assert!(!one.is_empty(), "nothing to compare");
    let lost: Vec<_> = one
        .keys()
        .filter(|path| !other.contains_key(*path))
        .collect();
    let extra: Vec<_> = other
        .keys()
        .filter(|path| !one.contains_key(*path))
        .collect();
    assert!(
        lost.is_empty() && extra.is_empty(),
        "lost {lost:?}, in their place {extra:?}"
    );
    let differ: Vec<_> = one
        .keys()
        .filter(|path| one[*path] != other[*path])
        .collect();
    assert!(differ.is_empty(), "not what they were: {differ:?}");
}

/// The names in a directory, in their order.
pub(crate) fn names(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<OsString> = entries
        .map(|entry| entry.expect("a readable directory").file_name())
        .collect();
    names.sort();
    names
}

#[test]
fn the_tree_has_each_name_twice() {
    let base = tempfile::tempdir().expect("a directory");
    let root = base.path().join("tree");
    build(&root);
    let top = names(&root);
    for name in odd_names() {
        assert!(top.contains(&name), "{name:?}");
        let content = fs::read(root.join("directories").join(&name).join(&name));
        assert_eq!(content.expect("a file"), b"deep", "{name:?}");
    }
    assert!(top.iter().any(|name| name == OsStr::new("empty directory")));
}
