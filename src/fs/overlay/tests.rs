//! Two layers seen as one, on disks and in memory.

mod model;

use std::io::ErrorKind;

use super::Overlay;
use crate::fs::testing::{names, path, put, read, says, text};
use crate::fs::{FileSystem, MemoryFilesystem, OpenMode, ReadOnly};
use crate::proto::path::VirtualPath;

type InMemory = Overlay<MemoryFilesystem, MemoryFilesystem>;

/// A lower layer with files and directories, whatever it is of.
fn fill(files: &dyn FileSystem) {
    for name in ["/dir", "/dir/sub", "/empty"] {
        files.create_dir(&path(name)).unwrap();
    }
    for (name, data) in [
        ("/file", "below"),
        ("/dir/one", "1"),
        ("/dir/two", "22"),
        ("/dir/sub/deep", "deep"),
    ] {
        put(files, name, OpenMode::Write, data).unwrap();
        files.set_modified(&path(name), 1_000_000_000).unwrap();
        files.set_mode(&path(name), 0o640).unwrap();
    }
}

fn in_memory() -> InMemory {
    let lower = MemoryFilesystem::new();
    fill(&lower);
    Overlay::new(MemoryFilesystem::new(), lower)
}

/// All that can be seen: paths with mode and content; of directories, none.
fn tree(files: &dyn FileSystem) -> Vec<(VirtualPath, u32, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut todo = vec![VirtualPath::root()];
    while let Some(at) = todo.pop() {
        let mut names = Vec::new();
        let mut directory = files.read_dir(&at).unwrap();
        while directory.read_names(3, &mut names).unwrap() {}
        for name in names {
            let child = at.child(&name);
            let facts = directory.metadata(&name, false).unwrap();
            assert_eq!(facts, files.symlink_metadata(&child).unwrap(), "{child}");
            let mut content = None;
            if facts.is_dir() {
                todo.push(child.clone());
            } else {
                content = Some(read(files, &child).unwrap());
                assert_eq!(facts.size, content.as_ref().unwrap().len() as u64);
            }
            found.push((child, facts.mode & 0o7777, content));
        }
    }
    found.sort();
    for pair in found.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "listed twice");
    }
    found
}

/// `change` is seen, and the lower layer is as it was.
fn changes(change: impl FnOnce(&InMemory)) {
    let files = in_memory();
    let before = tree(files.lower());
    assert_eq!(tree(&files), before);
    change(&files);
    assert_eq!(tree(files.lower()), before);
}

#[test]
fn what_is_below_is_read_where_it_is() {
    changes(|files| {
        assert_eq!(text(files, "/dir/sub/deep"), "deep");
        assert_eq!(names(files, "/dir"), ["one", "sub", "two"]);
        files.enter_dir(&path("/dir/sub")).unwrap();
        says(files.enter_dir(&path("/file")), "Not a directory");
        says(files.enter_dir(&path("/none")), "No such file or directory");
        says(files.metadata(&path("/file/x")), "Not a directory");
        assert_eq!(tree(files.upper()), []);
    });
}

#[test]
fn a_file_is_copied_up_when_it_is_changed() {
    changes(|files| {
        put(files, "/dir/sub/deep", OpenMode::Append, "er").unwrap();
        assert_eq!(text(files, "/dir/sub/deep"), "deeper");
        put(files, "/dir/two", OpenMode::Resume, "X").unwrap();
        assert_eq!(text(files, "/dir/two"), "X2");
        put(files, "/file", OpenMode::Write, "above").unwrap();
        assert_eq!(text(files, "/file"), "above");
        files.set_modified(&path("/dir/one"), 5).unwrap();
        let one = files.metadata(&path("/dir/one")).unwrap();
        assert_eq!((one.modified, one.mode & 0o7777, one.size), (5, 0o640, 1));
        for name in ["/file", "/dir/two", "/dir/sub/deep"] {
            assert_eq!(files.metadata(&path(name)).unwrap().mode & 0o7777, 0o640);
        }
        files.set_mode(&path("/dir/sub"), 0o700).unwrap();
        assert_eq!(
            files.metadata(&path("/dir/sub")).unwrap().mode & 0o7777,
            0o700
        );
        assert_eq!(names(files, "/dir"), ["one", "sub", "two"]);
        assert_eq!(
            tree(files.upper()),
            tree(files)
                .into_iter()
                .filter(|it| it.0 != path("/empty"))
                .collect::<Vec<_>>()
        );
        says(
            put(files, "/none", OpenMode::Resume, ""),
            "No such file or directory",
        );
        says(put(files, "/file", OpenMode::CreateNew, ""), "File exists");
        says(put(files, "/dir", OpenMode::Append, ""), "Is a directory");
        // Whoever began to read before goes on with what it was.
    });
}

/// Whose the file is now, its user has not chosen.
#[cfg(unix)]
#[test]
fn what_ran_as_its_owner_does_not_run_as_another() {
    use crate::fs::LocalFilesystem;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let home = tempfile::tempdir().unwrap();
    for name in ["one", "two", "own"] {
        let file = home.path().join(name);
        std::fs::write(&file, name).unwrap();
        if std::fs::metadata(&file).unwrap().uid() == 0 && name != "own" {
            chown(&file, Some(54_321), None).unwrap();
        }
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o6755)).unwrap();
    }
    let lower = LocalFilesystem::new(home.path()).unwrap();
    let upper = tempfile::tempdir().unwrap();
    // Files in memory are root's.
    let in_memory = Overlay::new(MemoryFilesystem::new(), lower.clone());
    let on_disk = Overlay::new(LocalFilesystem::new(upper.path()).unwrap(), lower);
    let mode = |files: &dyn FileSystem, name| files.metadata(&path(name)).unwrap().mode & 0o7777;
    put(&in_memory, "/one", OpenMode::Write, "x").unwrap();
    put(&in_memory, "/two", OpenMode::Append, "x").unwrap();
    for name in ["/one", "/two"] {
        assert_eq!(mode(&in_memory, name), 0o755);
    }
    assert_eq!(mode(&in_memory, "/own"), 0o6755);
    on_disk.rename(&path("/own"), &path("/moved")).unwrap();
    assert_eq!(mode(&on_disk, "/moved"), 0o6755);
}

#[test]
fn a_copy_is_as_old_as_its_original() {
    let files = in_memory();
    let file = files.open(&path("/file"), OpenMode::Append).unwrap();
    let facts = files.metadata(&path("/file")).unwrap();
    assert_eq!((facts.modified, facts.size), (1_000_000_000, 5));
    drop(file);
}

#[test]
fn what_is_removed_stays_removed() {
    changes(|files| {
        files.remove_file(&path("/dir/one")).unwrap();
        says(
            files.remove_file(&path("/dir/one")),
            "No such file or directory",
        );
        says(
            files.metadata(&path("/dir/one")),
            "No such file or directory",
        );
        assert_eq!(names(files, "/dir"), ["sub", "two"]);
        says(files.remove_dir(&path("/dir")), "Directory not empty");
        files.remove_file(&path("/dir/sub/deep")).unwrap();
        files.remove_dir(&path("/dir/sub")).unwrap();
        files.remove_file(&path("/dir/two")).unwrap();
        assert_eq!(names(files, "/dir"), [""; 0]);
        files.remove_dir(&path("/dir")).unwrap();
        says(
            files.read_dir(&path("/dir")).map(drop),
            "No such file or directory",
        );
        // What comes to its name later is another one.
        files.create_dir(&path("/dir")).unwrap();
        assert_eq!(names(files, "/dir"), [""; 0]);
        put(files, "/dir/two", OpenMode::CreateNew, "new").unwrap();
        assert_eq!(tree(files).len(), 4);
        // Also for an overlay that is made anew over the same layers.
        let again = Overlay::new(files.upper().clone(), files.lower().clone());
        assert_eq!(tree(&again), tree(files));
        again.remove_file(&path("/dir/two")).unwrap();
        again.remove_dir(&path("/dir")).unwrap();
        assert_eq!(names(files, "/"), ["empty", "file"]);
        says(files.remove_file(&path("/empty")), "Is a directory");
        files.remove_dir(&path("/empty")).unwrap();
        says(files.remove_dir(&path("/file")), "Not a directory");
        put(files, "/empty", OpenMode::Write, "a file now").unwrap();
        files.remove_file(&path("/empty")).unwrap();
        assert_eq!(names(files, "/"), ["file"]);
    });
}

#[test]
fn a_whole_tree_goes_by_one_mark() {
    changes(|files| {
        put(files, "/dir/sub/new", OpenMode::Write, "new").unwrap();
        files.remove_file(&path("/dir/one")).unwrap();
        files.remove_tree(&path("/dir")).unwrap();
        assert_eq!(names(files, "/"), ["empty", "file"]);
        files.create_dir(&path("/dir")).unwrap();
        assert_eq!(names(files, "/dir"), [""; 0]);
        says(files.remove_tree(&path("/file")), "Not a directory");
        says(files.remove_tree(&path("/")), "Not the root directory");
    });
}

#[test]
fn renaming_goes_across_the_layers() {
    changes(|files| {
        let rename = |from, to| files.rename(&path(from), &path(to));
        rename("/file", "/dir/two").unwrap();
        assert_eq!(text(files, "/dir/two"), "below");
        says(rename("/file", "/x"), "No such file or directory");
        says(rename("/dir", "/dir/sub/x"), "Invalid argument");
        says(rename("/dir", "/dir/two"), "Invalid argument");
        says(rename("/dir/two", "/empty"), "Is a directory");
        says(rename("/dir/sub", "/dir/two"), "Not a directory");
        says(rename("/empty", "/dir"), "Directory not empty");
        says(rename("/", "/x"), "Not the root directory");
        rename("/dir", "/empty").unwrap();
        assert_eq!(names(files, "/"), ["empty"]);
        assert_eq!(names(files, "/empty"), ["one", "sub", "two"]);
        assert_eq!(text(files, "/empty/sub/deep"), "deep");
        // To where something of the lower layer was, which does not come back.
        files.remove_file(&path("/empty/one")).unwrap();
        rename("/empty", "/dir").unwrap();
        assert_eq!(names(files, "/dir"), ["sub", "two"]);
        rename("/dir/sub", "/file").unwrap();
        assert_eq!(names(files, "/file"), ["deep"]);
        let new = |from, to| files.rename_new(&path(from), &path(to));
        for there in ["/dir", "/dir/two", "/file"] {
            says(new("/file", there), "File exists");
        }
        new("/file", "/one").unwrap();
        new("/one", "/file").unwrap();
        rename("/file", "/file").unwrap();
        assert_eq!(names(files, "/"), ["dir", "file"]);
    });
}

#[test]
fn the_overlays_own_names_are_nobodys() {
    let files = in_memory();
    files.remove_file(&path("/file")).unwrap();
    put(files.lower(), "/.wh.below", OpenMode::Write, "x").unwrap();
    assert_eq!(names(&files, "/"), ["dir", "empty"]);
    for name in ["/.wh.file", "/.wh.below"] {
        let missing = "No such file or directory";
        says(files.metadata(&path(name)), missing);
        says(files.remove_file(&path(name)), missing);
        says(files.open(&path(name), OpenMode::Read).map(drop), missing);
        says(files.rename(&path(name), &path("/x")), missing);
    }
    let reserved = "Names that begin with '.wh.' are reserved";
    says(files.create_dir(&path("/.wh.dir")), reserved);
    says(put(&files, "/.wh.dir", OpenMode::Write, ""), reserved);
    says(files.rename(&path("/dir"), &path("/.wh.dir")), reserved);
    assert_eq!(names(&files, "/"), ["dir", "empty"]);
}

#[test]
fn a_full_upper_layer_changes_nothing_that_is_seen() {
    let lower = MemoryFilesystem::new();
    fill(&lower);
    let files = Overlay::new(MemoryFilesystem::new().max_size(3), lower);
    let before = tree(&files);
    let room = |name, mode, bytes| files.check_room(&path(name), mode, Some(bytes));
    room("/dir/sub/new", OpenMode::CreateNew, 3).unwrap();
    room("/dir/one", OpenMode::Append, 2).unwrap();
    room("/file", OpenMode::Write, 3).unwrap();
    for (name, mode, bytes) in [
        ("/dir/sub/new", OpenMode::CreateNew, 4),
        ("/dir/one", OpenMode::Append, 3),
        ("/file", OpenMode::Resume, 1),
    ] {
        let full = room(name, mode, bytes).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{name}");
    }
    for result in [
        put(&files, "/file", OpenMode::Append, "x"),
        files.rename(&path("/file"), &path("/moved")),
        files.rename(&path("/dir"), &path("/moved")),
        files.set_modified(&path("/file"), 1),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(tree(&files), before);
    }
    // Nothing is left of the copies that were begun.
    let hidden = names(files.upper(), "/");
    assert!(
        !hidden.iter().any(|name| name.starts_with(".wh.")),
        "{hidden:?}"
    );
}

#[test]
fn a_read_only_one_reads_and_nothing_else() {
    let files = ReadOnly::new(in_memory());
    let before = tree(&files);
    let refused = "Read-only file system";
    for mode in [
        OpenMode::Write,
        OpenMode::Append,
        OpenMode::CreateNew,
        OpenMode::Resume,
    ] {
        says(put(&files, "/file", mode, "x"), refused);
    }
    let (file, dir) = (path("/file"), path("/dir"));
    says(files.create_dir(&path("/new")), refused);
    says(files.remove_dir(&path("/empty")), refused);
    says(files.remove_tree(&dir), refused);
    says(files.remove_file(&file), refused);
    says(files.rename(&file, &path("/x")), refused);
    says(files.rename_new(&file, &path("/x")), refused);
    says(files.check_room(&file, OpenMode::Write, None), refused);
    says(files.set_mode(&file, 0o777), refused);
    says(files.set_modified(&file, 1), refused);
    assert_eq!(tree(&files), before);
    assert_eq!(tree(files.inner().upper()), []);
    assert!(!files.changes_are_slow() && files.inner().changes_are_slow());
}

#[cfg(unix)]
mod on_disks {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::fs::LocalFilesystem;

    struct Disks {
        _temp: tempfile::TempDir,
        upper: std::path::PathBuf,
        lower: std::path::PathBuf,
        files: Overlay<LocalFilesystem, LocalFilesystem>,
    }

    fn disks() -> Disks {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let (upper, lower) = (base.join("upper"), base.join("lower"));
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&lower).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        let open = |path| LocalFilesystem::new(path).unwrap();
        fill(&open(&lower));
        let files = Overlay::new(open(&upper), open(&lower));
        Disks {
            _temp: temp,
            upper,
            lower,
            files,
        }
    }

    #[test]
    fn real_paths_and_descriptors_are_those_of_the_layer() {
        let Disks {
            _temp,
            upper,
            lower,
            files,
        } = disks();
        let real = |name| files.real_path(&path(name)).unwrap();
        assert_eq!(real("/file"), lower.join("file"));
        assert_eq!(real("/new"), upper.join("new"));
        assert_eq!(real("/"), upper);
        let below = files.open(&path("/file"), OpenMode::Read).unwrap();
        assert!(below.as_fd().is_some());
        put(&files, "/file", OpenMode::Write, "above").unwrap();
        assert_eq!(real("/file"), upper.join("file"));
        let above = files.open(&path("/file"), OpenMode::Read).unwrap();
        assert!(above.as_fd().is_some());
        files.remove_file(&path("/file")).unwrap();
        assert_eq!(real("/file"), upper.join("file"));
        drop(files.open(&path("/dir/one"), OpenMode::Append).unwrap());
        assert_eq!(real("/dir/one"), upper.join("dir/one"));
    }

    #[test]
    fn links_lead_through_both_layers() {
        let Disks {
            _temp,
            upper,
            lower,
            files,
        } = disks();
        symlink("dir/sub", lower.join("relative")).unwrap();
        symlink(lower.join("dir"), lower.join("absolute")).unwrap();
        symlink("relative/../one", lower.join("mixed")).unwrap();
        symlink("dir", upper.join("across")).unwrap();
        assert_eq!(text(&files, "/relative/deep"), "deep");
        assert_eq!(text(&files, "/absolute/one"), "1");
        assert_eq!(text(&files, "/across/sub/deep"), "deep");
        assert_eq!(text(&files, "/mixed"), "1");
        // What is changed by a link is changed where it leads, and seen there.
        put(&files, "/absolute/new", OpenMode::Write, "new").unwrap();
        put(&files, "/mixed", OpenMode::Append, "+").unwrap();
        files.remove_file(&path("/across/sub/deep")).unwrap();
        assert_eq!(names(&files, "/dir"), ["new", "one", "sub", "two"]);
        assert_eq!(names(&files, "/relative"), [""; 0]);
        assert_eq!(text(&files, "/dir/one"), "1+");
        assert_eq!(fs::read_to_string(lower.join("dir/one")).unwrap(), "1");
        // The link itself.
        says(
            files.rename(&path("/relative"), &path("/x")),
            "Invalid cross-device link",
        );
        files.rename(&path("/across"), &path("/x")).unwrap();
        files.remove_file(&path("/relative")).unwrap();
        let expected = ["absolute", "dir", "empty", "file", "mixed", "x"];
        assert_eq!(names(&files, "/"), expected);
        let mut root = files.read_dir(&path("/")).unwrap();
        assert_eq!(root.read_link(b"x").unwrap(), b"dir");
        assert!(root.metadata(b"x", true).unwrap().is_dir());
        assert!(root.read_link(b"relative").is_err());
    }

    #[test]
    fn no_link_leads_outside() {
        let Disks {
            _temp,
            upper,
            lower,
            files,
        } = disks();
        for layer in [&upper, &lower] {
            symlink("../secret", layer.join("up")).unwrap();
            symlink("/etc/passwd", layer.join("absolute")).unwrap();
            symlink(layer.join("../secret"), layer.join("tricky")).unwrap();
            symlink("up", layer.join("chain")).unwrap();
            symlink("..", layer.join("parent")).unwrap();
            symlink("loop", layer.join("loop")).unwrap();
            let prefix = format!("{}2", layer.display());
            symlink(prefix, layer.join("prefix")).unwrap();
            for name in [
                "/up",
                "/absolute",
                "/tricky",
                "/chain",
                "/parent/secret",
                "/prefix",
            ] {
                let text =
                    format!("'{name}' points to a path which is outside the user's root directory");
                says(read(&files, &path(name)), &text);
                says(put(&files, name, OpenMode::Append, "x"), &text);
                says(put(&files, name, OpenMode::Write, "x"), &text);
                says(files.metadata(&path(name)), &text);
                says(files.set_mode(&path(name), 0o777), &text);
                says(files.read_dir(&path(name)).map(drop), &text);
            }
            says(
                read(&files, &path("/loop")),
                "Too many levels of symbolic links",
            );
            for name in [
                "up", "absolute", "tricky", "chain", "parent", "loop", "prefix",
            ] {
                fs::remove_file(layer.join(name)).unwrap();
            }
        }
        let secret = upper.join("../secret");
        assert_eq!(fs::read_to_string(secret).unwrap(), "secret");
    }

    #[test]
    fn without_its_upper_layer_it_is_read_but_not_changed() {
        let Disks {
            _temp,
            upper,
            files,
            ..
        } = disks();
        fs::remove_dir(&upper).unwrap();
        assert_eq!(text(&files, "/dir/sub/deep"), "deep");
        let missing = "No such file or directory";
        for name in ["/new", "/file", "/dir/new", "/dir/sub/deep"] {
            for mode in [OpenMode::Write, OpenMode::Append, OpenMode::CreateNew] {
                says(files.check_room(&path(name), mode, None), missing);
                says(files.check_room(&path(name), mode, Some(1)), missing);
            }
            says(put(&files, name, OpenMode::Write, "x"), missing);
        }
        says(files.create_dir(&path("/dir/new")), missing);
        assert!(files.remove_file(&path("/dir/one")).is_err());
        assert_eq!(text(&files, "/dir/one"), "1");
    }

    #[test]
    fn names_that_are_no_utf_8_and_long_ones() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let Disks {
            _temp,
            upper,
            lower,
            files,
        } = disks();
        let odd = VirtualPath::root().child(b"\xff\xfe\xe4");
        fs::write(lower.join(OsStr::from_bytes(b"\xff\xfe\xe4")), "odd").unwrap();
        assert_eq!(read(&files, &odd).unwrap(), b"odd");
        files
            .rename(&odd, &odd.parent().unwrap().child(b"\xfd"))
            .unwrap();
        assert!(upper.join(OsStr::from_bytes(b"\xfd")).exists());
        assert!(files.metadata(&odd).is_err());
        let longest = "n".repeat(255);
        fs::write(lower.join(&longest), "long").unwrap();
        let longest = path(&format!("/{longest}"));
        assert_eq!(read(&files, &longest).unwrap(), b"long");
        says(files.remove_file(&longest), "File name too long");
        assert_eq!(read(&files, &longest).unwrap(), b"long");
    }
}
