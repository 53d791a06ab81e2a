//! Random changes to an overlay and to one plain file system: what is seen must be the same.

use std::io;

use super::{fill, tree};
#[cfg(unix)]
use crate::fs::LocalFilesystem;
use crate::fs::testing::{path, put};
use crate::fs::{FileSystem, MemoryFilesystem, OpenMode, Overlay};
use crate::proto::path::VirtualPath;

/// xorshift; the same sequence each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// Of few names, so that changes meet.
    fn path(&mut self) -> VirtualPath {
        const NAMES: [&str; 5] = ["dir", "sub", "file", "one", "empty"];
        let mut path = VirtualPath::root();
        for _ in 0..=self.roll(3) {
            path = path.child(NAMES[self.roll(NAMES.len())].as_bytes());
        }
        path
    }
}

/// One change of both, by the same dice; what became of it.
#[derive(Debug)]
enum Change {
    Put(VirtualPath, OpenMode, String),
    CreateDir(VirtualPath),
    RemoveDir(VirtualPath),
    RemoveFile(VirtualPath),
    RemoveTree(VirtualPath),
    Rename(VirtualPath, VirtualPath),
    SetMode(VirtualPath, u32),
}

impl Change {
    fn any(dice: &mut Dice) -> Change {
        let path = dice.path();
        match dice.roll(13) {
            0 => Change::Put(path, OpenMode::Write, "written".into()),
            1 => Change::Put(path, OpenMode::Append, "+".into()),
            2 => Change::Put(path, OpenMode::CreateNew, "new".into()),
            3 => Change::Put(path, OpenMode::Resume, "R".into()),
            4 | 5 => Change::CreateDir(path),
            6 => Change::RemoveDir(path),
            7 | 8 => Change::RemoveFile(path),
            9 => Change::SetMode(path, 0o600 + dice.roll(0o100) as u32),
            // Not too often, or nothing is left.
            10 if dice.roll(4) == 0 => Change::RemoveTree(path),
            _ => Change::Rename(path, dice.path()),
        }
    }

    fn make(&self, files: &dyn FileSystem) -> io::Result<()> {
        match self {
            Change::Put(path, mode, data) => {
                let mut file = files.open(path, *mode)?;
                file.write_all(data.as_bytes())?;
                file.close()
            }
            Change::CreateDir(path) => files.create_dir(path),
            Change::RemoveDir(path) => files.remove_dir(path),
            Change::RemoveFile(path) => files.remove_file(path),
            Change::RemoveTree(path) => files.remove_tree(path),
            Change::Rename(from, to) => files.rename(from, to),
            Change::SetMode(path, mode) => files.set_mode(path, *mode),
        }
    }
}

fn compare<U: FileSystem, L: FileSystem>(seed: u64, changes: usize, upper: U, lower: L) {
    let plain = MemoryFilesystem::new();
    fill(&plain);
    fill(&lower);
    // What was above before the overlay was made.
    for files in [&plain as &dyn FileSystem, &upper] {
        put(files, "/one", OpenMode::Write, "above").unwrap();
    }
    // Modes of directories are what the system makes of them.
    for name in ["/dir", "/dir/sub", "/empty"] {
        plain.set_mode(&path(name), 0o755).unwrap();
        lower.set_mode(&path(name), 0o755).unwrap();
    }
    for files in [&plain as &dyn FileSystem, &upper] {
        files.set_mode(&path("/one"), 0o644).unwrap();
    }
    let below = tree(&lower);
    let files = Overlay::new(upper, lower);
    let mut dice = Dice(seed);
    let mut done = 0;
    for number in 0..changes {
        let change = Change::any(&mut dice);
        let (seen, expected) = (change.make(&files), change.make(&plain));
        let kind = |result: &io::Result<()>| result.as_ref().map_err(io::Error::kind).copied();
        assert_eq!(kind(&seen), kind(&expected), "{seed}, {number}: {change:?}");
        assert_eq!(tree(&files), tree(&plain), "{seed}, {number}: {change:?}");
        done += usize::from(seen.is_ok());
    }
    assert_eq!(tree(files.lower()), below);
    assert!(
        done > changes / 10,
        "only {done} of {changes} did something"
    );
}

#[test]
fn in_memory_it_is_as_one_file_system() {
    for seed in 1..=60_u64 {
        let (upper, lower) = (MemoryFilesystem::new(), MemoryFilesystem::new());
        compare(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), 150, upper, lower);
    }
}

#[cfg(unix)]
#[test]
fn on_disks_it_is_as_one_file_system() {
    for seed in 1..=4 {
        let (upper, lower) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |dir: &tempfile::TempDir| LocalFilesystem::new(dir.path()).unwrap();
        let (upper_files, lower_files) = (open(&upper), open(&lower));
        compare(seed * 0x9E37_79B9, 100, upper_files, lower_files);
    }
}

/// Whatever comes of changes that meet, it is one tree, and nothing below has changed.
#[test]
fn many_threads_change_it_at_once() {
    let lower = MemoryFilesystem::new();
    fill(&lower);
    let below = tree(&lower);
    let files = Overlay::new(MemoryFilesystem::new(), lower);
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let files = &files;
            scope.spawn(move || {
                let mut dice = Dice(seed * 0x9E37_79B9);
                for _ in 0..2000 {
                    // Most are refused, and some because of what another thread has just done.
                    let _ = Change::any(&mut dice).make(files);
                    let _ = files.metadata(&dice.path());
                }
            });
        }
    });
    tree(&files);
    assert_eq!(tree(files.lower()), below);
    // No copy that was begun is left, nor is anything in the way of emptying it.
    let mut names = Vec::new();
    let mut root = files.read_dir(&VirtualPath::root()).unwrap();
    while root.read_names(9, &mut names).unwrap() {}
    for name in names {
        let child = VirtualPath::root().child(&name);
        match files.metadata(&child).unwrap().is_dir() {
            true => files.remove_tree(&child).unwrap(),
            false => files.remove_file(&child).unwrap(),
        }
    }
    for (path, _, content) in tree(files.upper()) {
        let name = path.file_name().unwrap();
        assert!(
            name.starts_with(b".wh.") && !name.starts_with(b".wh..wh."),
            "{path}"
        );
        assert_eq!(content.unwrap(), b"");
    }
}
