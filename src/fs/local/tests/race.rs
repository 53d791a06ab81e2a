//! A component that is a directory one moment and a link to the outside the next: whatever runs
//! meanwhile, nothing outside changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::fs::{FileSystem, LocalFilesystem, OpenMode};
use crate::proto::path::VirtualPath;

const ROUNDS: usize = 2000;

/// All that an attack could change: which names there are, and of each mode, times and content.
type Snapshot = BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>;

fn snapshot(dir: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let facts = fs::symlink_metadata(&path).unwrap();
        let mut content = Vec::new();
        if facts.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            content = fs::read(&path).unwrap();
        }
        found.insert(
            path,
            (facts.mode(), facts.mtime(), facts.mtime_nsec(), content),
        );
    }
    found
}

fn fill(dir: &Path) {
    fs::create_dir_all(dir.join("empty")).unwrap();
    fs::write(dir.join("file"), "content").unwrap();
}

/// Swaps `home/d` between a directory and a link to `out` until `done`; how often.
fn swap(home: &Path, out: &Path, done: &AtomicBool) -> usize {
    let at = |name| home.join(name);
    symlink(out, at("link")).unwrap();
    let mut swaps = 0;
    while !done.load(Ordering::Relaxed) {
        fs::rename(at("d"), at("real")).unwrap();
        fs::rename(at("link"), at("d")).unwrap();
        stay(swaps);
        fs::rename(at("d"), at("link")).unwrap();
        fs::rename(at("real"), at("d")).unwrap();
        stay(swaps / 7);
        swaps += 1;
    }
    swaps
}

/// For a moment, each time another one: from far less to more than an operation takes.
fn stay(turn: usize) {
    (0..turn % 100 * 50).for_each(|_| std::hint::spin_loop());
}

/// Each does harm if `/d` is followed to the outside; how many succeeded, inside.
fn attack(tree: &LocalFilesystem, round: usize) -> usize {
    let path = |name: &str| name.parse::<VirtualPath>().unwrap();
    let write = |mode| {
        let mut file = tree.open(&path("/d/file"), mode)?;
        file.write_all(b"overwritten")?;
        file.close()
    };
    let results = [
        write(OpenMode::Write),
        write(OpenMode::Append),
        write(OpenMode::Resume),
        tree.open(&path("/d/unique"), OpenMode::CreateNew)
            .and_then(|_| tree.remove_file(&path("/d/unique"))),
        tree.create_dir(&path("/d/new")),
        tree.rename(&path("/d/new"), &path(&format!("/d/renamed{}", round % 2))),
        tree.rename(&path("/d/file"), &path("/stolen")),
        tree.rename(&path("/stolen"), &path("/d/file")),
        tree.remove_dir(&path(&format!("/d/renamed{}", round % 2))),
        tree.remove_dir(&path("/d/empty")),
        tree.create_dir(&path("/d/empty")),
        tree.set_mode(&path("/d/file"), 0o641),
        tree.set_mode(&path("/d"), 0o751),
        tree.set_modified(&path("/d/file"), 12345),
        tree.set_modified(&path("/d"), 12345),
        tree.remove_file(&path("/d/file")),
        write(OpenMode::Write),
    ];
    results.iter().filter(|result| result.is_ok()).count()
}

/// Reads what `/d` shows; none of it may be the outside's.
fn spy(tree: &LocalFilesystem) {
    let path = |name: &str| name.parse::<VirtualPath>().unwrap();
    let mut names = Vec::new();
    if let Ok(mut dir) = tree.read_dir(&path("/d")) {
        while dir.read_names(100, &mut names).unwrap() {}
    }
    assert!(!names.contains(&b"outside".to_vec()));
    assert!(tree.metadata(&path("/d/outside")).is_err());
    assert!(tree.symlink_metadata(&path("/d/outside")).is_err());
    assert!(tree.open(&path("/d/outside"), OpenMode::Read).is_err());
}

fn race(link_to: impl Fn(&Path) -> PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().canonicalize().unwrap();
    let (home, out) = (base.join("home"), base.join("out"));
    fill(&home.join("d"));
    fill(&out);
    fs::write(out.join("outside"), "outside").unwrap();
    let tree = LocalFilesystem::new(&home).unwrap();
    let before = snapshot(&out);
    let done = AtomicBool::new(false);
    let target = link_to(&out);
    let (swaps, successes) = thread::scope(|scope| {
        let swapper = scope.spawn(|| swap(&home, &target, &done));
        let attacker = scope.spawn(|| {
            let attacks = |round| {
                spy(&tree);
                attack(&tree, round)
            };
            (0..ROUNDS).map(attacks).sum::<usize>()
        });
        let successes = attacker.join();
        done.store(true, Ordering::Relaxed);
        (swapper.join().unwrap(), successes.unwrap())
    });
    assert_eq!(snapshot(&out), before);
    assert!(
        swaps > 0 && successes > 0,
        "nothing raced: {swaps} swaps, {successes} successes"
    );
}

#[test]
fn a_link_swapped_in_leads_nowhere() {
    race(|_| "../out".into());
    race(Path::to_owned);
}
