//! The file system in memory: what a disk does, and where it ends.

use std::io::ErrorKind;

use super::MemoryFilesystem;
use crate::fs::testing::{names, path, put, says, text};
use crate::fs::{FileSystem, OpenMode};

#[test]
fn files_are_read_written_appended_and_resumed() {
    let files = MemoryFilesystem::new();
    files.write("/f", "first").unwrap();
    put(&files, "/f", OpenMode::Append, "+more").unwrap();
    assert_eq!(text(&files, "/f"), "first+more");
    put(&files, "/f", OpenMode::Resume, "F").unwrap();
    assert_eq!(text(&files, "/f"), "First+more");
    put(&files, "/f", OpenMode::Write, "x").unwrap();
    assert_eq!((text(&files, "/f"), files.used()), ("x".into(), 1));
    says(put(&files, "/f", OpenMode::CreateNew, ""), "File exists");
    put(&files, "/new", OpenMode::CreateNew, "new").unwrap();
    says(
        put(&files, "/none", OpenMode::Resume, ""),
        "No such file or directory",
    );
    files.create_dir(&path("/d")).unwrap();
    says(put(&files, "/d", OpenMode::Write, ""), "Is a directory");
    says(put(&files, "/d", OpenMode::CreateNew, ""), "File exists");
    says(put(&files, "/f/x", OpenMode::Write, ""), "Not a directory");
    says(
        put(&files, "/no/x", OpenMode::Write, ""),
        "No such file or directory",
    );
    let mut file = files.open(&path("/f"), OpenMode::Read).unwrap();
    says(file.write_all(b"y"), "Bad file descriptor");
    file.seek(1000).unwrap();
    assert_eq!(file.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(names(&files, "/"), ["d", "f", "new"]);
}

#[test]
fn content_of_any_size_comes_back_and_holes_are_zero() {
    let files = MemoryFilesystem::new();
    let data: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
    let mut file = files.open(&path("/big"), OpenMode::Write).unwrap();
    for piece in data.chunks(999) {
        file.write_all(piece).unwrap();
    }
    // Over a border between two chunks, and far behind the end.
    file.seek(65_530).unwrap();
    file.write_all(b"0123456789").unwrap();
    file.seek(500_000).unwrap();
    file.write_all(b"end").unwrap();
    file.close().unwrap();
    let mut expected = data;
    expected[65_530..65_540].copy_from_slice(b"0123456789");
    expected.resize(500_000, 0);
    expected.extend(b"end");
    assert!(files.read("/big").unwrap() == expected);
    assert_eq!(files.used(), 500_003);
    let mut file = files.open(&path("/big"), OpenMode::Read).unwrap();
    let (mut read, mut buf) = (Vec::new(), [0; 7777]);
    loop {
        match file.read(&mut buf).unwrap() {
            0 => break,
            count => read.extend_from_slice(&buf[..count]),
        }
    }
    assert!(read == expected);
}

#[test]
fn what_is_open_goes_on_without_its_name() {
    let files = MemoryFilesystem::new();
    files.write("/f", "content").unwrap();
    let mut reader = files.open(&path("/f"), OpenMode::Read).unwrap();
    let mut writer = files.open(&path("/f"), OpenMode::Append).unwrap();
    files.rename(&path("/f"), &path("/g")).unwrap();
    writer.write_all(b"+more").unwrap();
    assert_eq!(text(&files, "/g"), "content+more");
    files.remove_file(&path("/g")).unwrap();
    let mut buf = [0; 32];
    assert_eq!(reader.read(&mut buf).unwrap(), 12);
    assert_eq!(files.used(), 12);
    drop((reader, writer));
    assert_eq!(files.used(), 0);
}

#[test]
fn renaming_is_as_on_a_disk() {
    let files = MemoryFilesystem::new();
    for (name, data) in [("/a/f", "f"), ("/b/g", "g"), ("/h", "h")] {
        files.write(name, data).unwrap();
    }
    files.create_dir(&path("/empty")).unwrap();
    let rename = |from, to| files.rename(&path(from), &path(to));
    says(rename("/none", "/x"), "No such file or directory");
    says(rename("/h", "/no/x"), "No such file or directory");
    says(rename("/h", "/a"), "Is a directory");
    says(rename("/a", "/h"), "Not a directory");
    says(rename("/a", "/b"), "Directory not empty");
    says(rename("/a", "/a/f/x"), "Not a directory");
    says(rename("/a", "/a/x"), "Invalid argument");
    says(rename("/", "/x"), "Not the root directory");
    rename("/h", "/h").unwrap();
    rename("/a", "/a").unwrap();
    rename("/h", "/a/f").unwrap();
    assert_eq!((text(&files, "/a/f"), files.used()), ("h".into(), 2));
    rename("/a", "/empty").unwrap();
    rename("/empty", "/b/deep").unwrap();
    assert_eq!(text(&files, "/b/deep/f"), "h");
    assert_eq!(names(&files, "/"), ["b"]);
    assert_eq!(names(&files, "/b"), ["deep", "g"]);
}

#[test]
fn directories_are_removed_when_they_are_empty() {
    let files = MemoryFilesystem::new();
    files.write("/d/sub/f", "x").unwrap();
    let (d, f) = (path("/d"), path("/d/sub/f"));
    says(files.remove_dir(&d), "Directory not empty");
    says(files.remove_dir(&f), "Not a directory");
    says(files.remove_file(&d), "Is a directory");
    says(files.remove_file(&path("/")), "Is a directory");
    says(files.remove_dir(&path("/")), "Not the root directory");
    says(files.create_dir(&d), "File exists");
    files.remove_tree(&d).unwrap();
    assert_eq!((names(&files, "/"), files.used()), (Vec::new(), 0));
    says(files.metadata(&f), "No such file or directory");
}

#[test]
fn facts_are_kept() {
    let files = MemoryFilesystem::new();
    files.write("/d/f", "x").unwrap();
    for name in ["/d/f", "/d", "/"] {
        files.set_mode(&path(name), 0o4751).unwrap();
        files.set_modified(&path(name), -1).unwrap();
        let facts = files.metadata(&path(name)).unwrap();
        assert_eq!((facts.mode & 0o7777, facts.modified), (0o4751, -1));
        assert!(facts.created.is_some_and(|time| time > 1_700_000_000));
    }
    let unique = |name| files.metadata(&path(name)).unwrap().unique.unwrap();
    assert_ne!(unique("/d"), unique("/d/f"));
    let before = unique("/d/f");
    files.rename(&path("/d/f"), &path("/g")).unwrap();
    assert_eq!(unique("/g"), before);
    // A change of the names is one of the directory.
    assert_ne!(files.metadata(&path("/d")).unwrap().modified, -1);
    let other = MemoryFilesystem::new();
    let root = other.metadata(&path("/")).unwrap();
    assert_ne!(root.unique, files.metadata(&path("/")).unwrap().unique);
}

#[test]
fn a_directory_that_changes_shows_what_stays_once() {
    let files = MemoryFilesystem::new();
    for number in 0..100 {
        files.write(format!("/d/{number:03}"), "").unwrap();
    }
    let mut directory = files.read_dir(&path("/d")).unwrap();
    let mut seen = Vec::new();
    let mut turn = 0;
    while directory.read_names(7, &mut seen).unwrap() {
        // One goes, new ones come before and behind, and the directory moves.
        files
            .remove_file(&path(&format!(
                "/d{}/{:03}",
                "x".repeat(turn),
                turn * 6 + 3
            )))
            .unwrap();
        let to = format!("/d{}", "x".repeat(turn + 1));
        files
            .rename(&path(&format!("/d{}", "x".repeat(turn))), &path(&to))
            .unwrap();
        files.write(format!("{to}/000new{turn}"), "").unwrap();
        turn += 1;
    }
    let mut stayed: Vec<Vec<u8>> = (0..100)
        .filter(|number| number % 6 != 3 || number / 6 >= turn)
        .map(|number| format!("{number:03}").into_bytes())
        .collect();
    stayed.retain(|name| seen.iter().filter(|it| *it == name).count() != 1);
    assert!(stayed.is_empty(), "{stayed:?}");
    assert!(directory.metadata(b"005", true).is_ok());
    let gone = directory.metadata(b"003", false).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let last = path(&format!("/d{}", "x".repeat(turn)));
    files.remove_tree(&last).unwrap();
    let mut directory = directory;
    assert!(!directory.read_names(7, &mut seen).unwrap());
}

#[test]
fn there_are_limits() {
    let files = MemoryFilesystem::new()
        .max_size(100)
        .max_file_size(60)
        .max_entries(3);
    let ten = "0123456789";
    let full = files.write("/a", ten.repeat(7)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::FileTooLarge);
    says(Err::<(), _>(full), "File too large");
    // As much as there was room for is there.
    assert_eq!(text(&files, "/a"), ten.repeat(6));
    let full = files.write("/b", ten.repeat(5)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!((text(&files, "/b"), files.used()), (ten.repeat(4), 100));
    let mut far = files.open(&path("/b"), OpenMode::Resume).unwrap();
    far.seek(u64::MAX).unwrap();
    assert_eq!(
        far.write_all(b"xy").unwrap_err().kind(),
        ErrorKind::FileTooLarge
    );
    files.remove_file(&path("/a")).unwrap();
    // Nor does it grow to where nothing can be written.
    far.seek(70).unwrap();
    assert_eq!(
        far.write_all(b"xy").unwrap_err().kind(),
        ErrorKind::FileTooLarge
    );
    assert_eq!((text(&files, "/b"), files.used()), (ten.repeat(4), 40));
    put(&files, "/b", OpenMode::Append, ten).unwrap();
    assert_eq!(files.used(), 50);
    files.create_dir(&path("/d")).unwrap();
    files.write("/d/f", "").unwrap();
    for full in [files.write("/x", ""), files.create_dir(&path("/x"))] {
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
    }
    says(
        files.rename(&path("/b"), &path(&format!("/{}", "n".repeat(256)))),
        "File name too long",
    );
    let room = |name, mode, bytes| files.check_room(&path(name), mode, Some(bytes));
    room("/b", OpenMode::Write, 60).unwrap();
    room("/b", OpenMode::Append, 10).unwrap();
    for (name, mode, bytes, kind) in [
        ("/b", OpenMode::Write, 61, ErrorKind::FileTooLarge),
        ("/b", OpenMode::Append, 11, ErrorKind::FileTooLarge),
        ("/d/f", OpenMode::Write, 51, ErrorKind::StorageFull),
        ("/x", OpenMode::CreateNew, 0, ErrorKind::StorageFull),
    ] {
        assert_eq!(room(name, mode, bytes).unwrap_err().kind(), kind, "{name}");
    }
    let taken = files.rename_new(&path("/b"), &path("/d/f")).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    files.rename_new(&path("/b"), &path("/c")).unwrap();
    files.rename(&path("/c"), &path("/d/f")).unwrap();
    files
        .create_dir(&path(&format!("/{}", "n".repeat(255))))
        .unwrap();
}

/// Deeper than a path can be, and than a thread's stack is made for.
#[test]
fn a_tree_may_be_as_deep_as_its_limit_allows() {
    let files = MemoryFilesystem::new();
    let deep = path(&"/x".repeat(800));
    for _ in 0..10 {
        files.create_dir_all(&deep).unwrap();
        files.rename(&path("/x"), &path("/y")).unwrap();
        files.create_dir_all(&deep).unwrap();
        files.rename(&path("/y"), &deep.child(b"y")).unwrap();
    }
    drop(files);
}
