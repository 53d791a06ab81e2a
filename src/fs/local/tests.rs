//! The local file system on a real disk: what it opens, what it refuses and where it stays.

mod links;
mod race;

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::fs::testing::{path, says};
use crate::fs::{FileKind, FileSystem, LARGE, LocalFilesystem, OpenMode};
use crate::proto::path::VirtualPath;

/// `home` is the user's; `out` is next to it and none of his business.
struct Place {
    _temp: TempDir,
    home: PathBuf,
    out: PathBuf,
    tree: LocalFilesystem,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().canonicalize().unwrap();
    let (home, out) = (base.join("home"), base.join("out"));
    fs::create_dir_all(home.join("dir/sub")).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(home.join("file"), "inside").unwrap();
    fs::write(home.join("dir/sub/deep"), "deep").unwrap();
    fs::write(out.join("secret"), "secret").unwrap();
    let tree = LocalFilesystem::new(&home).unwrap();
    Place {
        _temp: temp,
        home,
        out,
        tree,
    }
}

impl Place {
    fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.home.join(name)).unwrap();
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let mut file = self.tree.open(&path(name), OpenMode::Read)?;
        let mut buf = [0; 64];
        let len = file.read(&mut buf)?;
        Ok(String::from_utf8_lossy(&buf[..len]).into_owned())
    }

    fn write(&self, name: &str, mode: OpenMode, data: &str) -> io::Result<()> {
        let mut file = self.tree.open(&path(name), mode)?;
        file.write_all(data.as_bytes())?;
        file.close()
    }

    fn names(&self, name: &str) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        let mut dir = self.tree.read_dir(&path(name))?;
        while dir.read_names(2, &mut names)? {}
        names.sort();
        Ok(names)
    }
}

fn mkfifo(at: &Path) {
    assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
}

#[track_caller]
fn outside<T>(result: io::Result<T>, name: &str) {
    says(
        result,
        &format!("'{name}' points to a path which is outside the user's root directory"),
    );
}

#[test]
fn files_are_read_written_appended_and_resumed() {
    let place = place();
    assert_eq!(place.read("/file").unwrap(), "inside");
    place.write("/new", OpenMode::Write, "first").unwrap();
    place.write("/new", OpenMode::Append, "+more").unwrap();
    assert_eq!(place.read("/new").unwrap(), "first+more");
    place.write("/new", OpenMode::Resume, "F").unwrap();
    assert_eq!(place.read("/new").unwrap(), "First+more");
    place.write("/new", OpenMode::Write, "x").unwrap();
    assert_eq!(place.read("/new").unwrap(), "x");
    place.write("/log", OpenMode::Append, "made").unwrap();
    assert_eq!(place.read("/log").unwrap(), "made");
    says(
        place.write("/none", OpenMode::Resume, ""),
        "No such file or directory",
    );
    assert!(!place.home.join("none").exists());
}

#[test]
fn position_size_and_descriptor_are_the_files() {
    let place = place();
    let mut file = place.tree.open(&path("/file"), OpenMode::Read).unwrap();
    assert_eq!(file.size().unwrap(), 6);
    file.seek(2).unwrap();
    let mut buf = [0; 2];
    assert_eq!((file.read(&mut buf).unwrap(), &buf), (2, b"si"));
    let flags = fs::read_to_string(format!(
        "/proc/self/fdinfo/{}",
        file.as_fd().unwrap().as_raw_fd()
    ));
    if let Ok(flags) = flags {
        assert!(flags.starts_with("pos:\t4\n"), "{flags}");
    }
    file.seek(100).unwrap();
    assert_eq!(file.read(&mut buf).unwrap(), 0);
    file.close().unwrap();
}

#[test]
fn the_size_at_open_is_of_then() {
    let place = place();
    place.link("file", "link");
    for name in ["/file", "/link", "/dir/sub/deep"] {
        let file = place.tree.open(&path(name), OpenMode::Read).unwrap();
        let then = file.size().unwrap();
        place.write(name, OpenMode::Append, "!").unwrap();
        assert_eq!(file.size_at_open(), Some(then), "{name}");
        assert_eq!(file.size().unwrap(), then + 1, "{name}");
    }
}

#[test]
fn a_new_file_is_made_in_every_mode_that_makes_one() {
    let place = place();
    for (number, mode) in [OpenMode::Write, OpenMode::Append, OpenMode::CreateNew]
        .into_iter()
        .enumerate()
    {
        for folder in ["", "/dir/sub"] {
            let name = format!("{folder}/new{number}");
            place.write(&name, mode, "new").unwrap();
            assert_eq!(place.read(&name).unwrap(), "new", "{mode:?} {name}");
        }
    }
    place.write("/new1", OpenMode::Append, "er").unwrap();
    assert_eq!(place.read("/new1").unwrap(), "newer");
    says(place.write("/new2", OpenMode::CreateNew, ""), "File exists");
    let mut file = place.tree.open(&path("/late"), OpenMode::Append).unwrap();
    place.write("/late", OpenMode::Append, "first").unwrap();
    file.write_all(b", then").unwrap();
    assert_eq!(place.read("/late").unwrap(), "first, then");
}

#[test]
fn close_tells_its_error_and_a_file_opened_for_reading_is_not_written() {
    let place = place();
    let mut file = place.tree.open(&path("/file"), OpenMode::Read).unwrap();
    says(file.write_all(b"x"), "Bad file descriptor");
    file.close().unwrap();
}

#[test]
fn only_regular_files_are_opened() {
    let place = place();
    mkfifo(&place.home.join("fifo"));
    mkfifo(&place.home.join("dir/fifo"));
    place.link("fifo", "link");
    place.link("/dev/null", "null");
    let _socket = std::os::unix::net::UnixListener::bind(place.home.join("socket")).unwrap();
    for mode in [
        OpenMode::Read,
        OpenMode::Write,
        OpenMode::Append,
        OpenMode::Resume,
    ] {
        says(place.write("/fifo", mode, ""), "Not a regular file");
        says(place.write("/dir/fifo", mode, ""), "Not a regular file");
        says(place.write("/link", mode, ""), "Not a regular file");
        says(place.write("/socket", mode, ""), "Not a regular file");
        says(place.write("/dir", mode, ""), "Is a directory");
        says(place.write("/", mode, ""), "Is a directory");
        outside(place.write("/null", mode, ""), "/null");
        says(place.write("/file/x", mode, ""), "Not a directory");
        says(
            place.write("/none/x", mode, ""),
            "No such file or directory",
        );
    }
    assert_eq!(place.read("/file").unwrap(), "inside");
}

/// Opening a device for reading may do something to it; of a terminal, the server must not become
/// a child.
#[test]
fn a_device_is_not_opened() {
    let tree = LocalFilesystem::new("/dev").unwrap();
    assert_eq!(tree.metadata(&path("/null")).unwrap().kind, FileKind::Other);
    says(
        tree.open(&path("/null"), OpenMode::Read).map(drop),
        "Not a regular file",
    );
}

#[test]
fn directories_and_the_root() {
    let place = place();
    let tree = &place.tree;
    tree.create_dir(&path("/new")).unwrap();
    says(tree.create_dir(&path("/new")), "File exists");
    says(tree.create_dir(&path("/")), "File exists");
    says(
        tree.create_dir(&path("/none/new")),
        "No such file or directory",
    );
    says(tree.remove_dir(&path("/dir")), "Directory not empty");
    says(tree.remove_dir(&path("/file")), "Not a directory");
    says(tree.remove_file(&path("/new")), "Is a directory");
    says(tree.remove_file(&path("/")), "Is a directory");
    says(tree.remove_dir(&path("/")), "Can't remove root directory");
    says(
        tree.rename(&path("/"), &path("/x")),
        "Can't rename root directory",
    );
    says(
        tree.rename(&path("/file"), &path("/")),
        "Can't replace root directory",
    );
    tree.remove_dir(&path("/new")).unwrap();
    place.link("dir/sub", "link");
    says(tree.remove_tree(&path("/link")), "Not a directory");
    place.link("../file", "dir/link");
    tree.remove_tree(&path("/dir")).unwrap();
    assert_eq!(place.names("/").unwrap(), [&b"file"[..], b"link"]);
    assert_eq!(tree.real_path(&path("/a/b")), Some(place.home.join("a/b")));
    assert_eq!(tree.real_path(&path("/")), Some(place.home.clone()));
    assert!(LocalFilesystem::new(place.home.join("file")).is_err());
    assert!(LocalFilesystem::new(place.home.join("none")).is_err());
}

// On macOS they are Unicode.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn names_are_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let place = place();
    let name = b"\xFF -\xC3(*) \r\n~\"\\";
    let odd = VirtualPath::root().child(name);
    place.tree.create_dir(&odd).unwrap();
    let inner = odd.child(name);
    let mut file = place.tree.open(&inner, OpenMode::Write).unwrap();
    file.write_all(b"odd").unwrap();
    file.close().unwrap();
    let real = place
        .home
        .join(OsStr::from_bytes(name))
        .join(OsStr::from_bytes(name));
    assert_eq!(fs::read(&real).unwrap(), b"odd");
    assert_eq!(place.tree.real_path(&inner).unwrap(), real);
    let mut names = Vec::new();
    let mut dir = place.tree.read_dir(&odd).unwrap();
    assert!(!dir.read_names(9, &mut names).unwrap());
    assert_eq!(names, [&name[..]]);
    assert_eq!(dir.metadata(name, true).unwrap().size, 3);
    place.tree.set_mode(&inner, 0o600).unwrap();
    place.tree.set_modified(&inner, 1).unwrap();
    place.tree.rename(&inner, &odd.child(b"\xFE")).unwrap();
    place.tree.remove_tree(&odd).unwrap();
    let long = VirtualPath::root().child(&[b'x'; 256]);
    says(place.tree.create_dir(&long), "File name too long");
    says(
        place.tree.open(&long, OpenMode::Write).map(drop),
        "File name too long",
    );
    let deep = (0..3000).fold(VirtualPath::root(), |path, _| path.child(b"x"));
    assert!(place.tree.metadata(&deep).is_err());
}

#[test]
fn a_listing_tells_the_facts_of_its_entries() {
    let place = place();
    place.link("file", "inside");
    place.link(place.home.join("dir"), "absolute");
    place.link("../file", "dir/up");
    place.link("../out/secret", "outside");
    place.link("none", "dangling");
    let mut dir = place.tree.read_dir(&path("/")).unwrap();
    let mut kind = |name: &str, follow| dir.metadata(name.as_bytes(), follow).map(|m| m.kind);
    assert_eq!(kind("file", false).unwrap(), FileKind::File);
    assert_eq!(kind("dir", true).unwrap(), FileKind::Directory);
    assert_eq!(kind("inside", false).unwrap(), FileKind::Symlink);
    assert_eq!(kind("inside", true).unwrap(), FileKind::File);
    assert_eq!(kind("absolute", true).unwrap(), FileKind::Directory);
    outside(kind("outside", true), "/outside");
    says(kind("dangling", true), "No such file or directory");
    says(kind("none", false), "No such file or directory");
    assert_eq!(dir.read_link(b"outside").unwrap(), b"../out/secret");
    says(dir.read_link(b"file"), "Invalid argument");
    let mut dir = place.tree.read_dir(&path("/absolute")).unwrap();
    assert_eq!(dir.metadata(b"up", true).unwrap().size, 6);
    says(
        place.tree.read_dir(&path("/file")).map(drop),
        "Not a directory",
    );
}

#[test]
fn facts_are_the_systems() {
    let place = place();
    let real = fs::metadata(place.home.join("file")).unwrap();
    let facts = place.tree.metadata(&path("/file")).unwrap();
    assert_eq!(facts.kind, FileKind::File);
    assert_eq!((facts.size, facts.modified), (6, real.mtime()));
    assert_eq!((facts.mode, facts.links), (real.mode(), real.nlink()));
    assert_eq!((facts.uid, facts.gid), (real.uid(), real.gid()));
    assert_eq!(facts.unique, Some((real.dev(), real.ino())));
    let mut dir = place.tree.read_dir(&path("/")).unwrap();
    assert_eq!(dir.metadata(b"file", false).unwrap(), facts);
    assert_eq!(place.tree.symlink_metadata(&path("/file")).unwrap(), facts);
    let born = real.created().ok().map(|time| {
        time.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs() as i64
    });
    assert_eq!(facts.created, born);
}

#[test]
fn mode_and_times_are_set_through_links_and_without_opening() {
    let place = place();
    let tree = &place.tree;
    mkfifo(&place.home.join("fifo"));
    place.link(place.home.join("file"), "link");
    for name in ["/file", "/link", "/fifo", "/dir", "/dir/sub/deep", "/"] {
        // None can be opened to read or write at the mode 0o100.
        for mode in [0o4755, 0o100] {
            tree.set_mode(&path(name), mode).unwrap();
            assert_eq!(
                tree.metadata(&path(name)).unwrap().mode & 0o7777,
                mode,
                "{name}"
            );
        }
        for seconds in [-1, 0, 1_700_000_000] {
            tree.set_modified(&path(name), seconds).unwrap();
            assert_eq!(
                tree.metadata(&path(name)).unwrap().modified,
                seconds,
                "{name}"
            );
        }
    }
    let link = tree.symlink_metadata(&path("/link")).unwrap();
    assert_ne!(link.modified, 1_700_000_000);
    says(
        tree.set_mode(&path("/none"), 0o600),
        "No such file or directory",
    );
    says(
        tree.set_modified(&path("/none"), 0),
        "No such file or directory",
    );
}

#[test]
fn new_files_have_the_mode_that_the_umask_leaves() {
    let place = place();
    fs::write(place.home.join("like"), "").unwrap();
    let like = fs::metadata(place.home.join("like"))
        .unwrap()
        .permissions()
        .mode();
    place.write("/new", OpenMode::Write, "").unwrap();
    let unique = path("/unique");
    place.write("/unique", OpenMode::CreateNew, "").unwrap();
    assert_eq!(place.tree.metadata(&path("/new")).unwrap().mode, like);
    assert_eq!(place.tree.metadata(&unique).unwrap().mode, like);
}

#[test]
fn a_new_file_takes_no_other_s_place() {
    let place = place();
    place
        .write("/dir/sub/new", OpenMode::CreateNew, "new")
        .unwrap();
    assert_eq!(place.read("/dir/sub/new").unwrap(), "new");
    let again = place.write("/dir/sub/new", OpenMode::CreateNew, "again");
    says(again, "File exists");
    std::os::unix::fs::symlink("nowhere", place.home.join("dangling")).unwrap();
    says(
        place.write("/dangling", OpenMode::CreateNew, ""),
        "File exists",
    );
    assert_eq!(place.read("/dir/sub/new").unwrap(), "new");
}

#[test]
fn a_rename_may_be_told_to_replace_nothing() {
    let place = place();
    let to = |name: &str| place.tree.rename_new(&path("/file"), &path(name));
    place.link("nowhere", "dangling");
    for there in ["/dir", "/dir/sub/deep", "/dangling", "/file"] {
        says(to(there), "File exists");
    }
    says(to("/none/new"), "No such file or directory");
    assert_eq!(place.read("/file").unwrap(), "inside");
    to("/dir/new").unwrap();
    assert_eq!(place.read("/dir/new").unwrap(), "inside");
    assert!(!place.home.join("file").exists());
    place
        .tree
        .rename_new(&path("/dir"), &path("/moved"))
        .unwrap();
    place.link(&place.out, "link");
    let escape = place
        .tree
        .rename_new(&path("/moved/new"), &path("/link/new"));
    outside(escape, "/link/new");
    assert!(!place.out.join("new").exists());
}

#[test]
fn the_disk_s_room_is_known() {
    let place = place();
    let room = |name: &str, mode, bytes| place.tree.check_room(&path(name), mode, bytes);
    room("/new", OpenMode::Write, Some(1)).unwrap();
    room("/file", OpenMode::Append, None).unwrap();
    for name in ["/new", "/file", "/dir/new"] {
        let full = room(name, OpenMode::Write, Some(u64::MAX));
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    assert!(room("/none/new", OpenMode::Write, Some(1)).is_err());
}

#[test]
fn the_real_path_is_that_of_the_directory_that_was_opened() {
    let place = place();
    let base = place.home.parent().unwrap();
    let (link, odd) = (base.join("link"), base.join("odd (deleted)"));
    fs::create_dir(&odd).unwrap();
    symlink(&place.home, &link).unwrap();
    let open = |path: &Path| LocalFilesystem::new(path).unwrap();
    let (tree, told, odd_tree) = (open(&link), open(&link), open(&odd));
    assert_eq!(told.home(), place.home);
    // The link leads elsewhere before anybody has asked.
    fs::remove_file(&link).unwrap();
    symlink(&place.out, &link).unwrap();
    assert_eq!(tree.home(), place.home);
    assert_eq!(
        tree.real_path(&path("/dir/x")),
        Some(place.home.join("dir/x"))
    );
    assert_eq!(told.home(), place.home);
    assert_eq!(odd_tree.home(), odd);
    let gone = open(&odd);
    fs::remove_dir(&odd).unwrap();
    assert_eq!(gone.home(), odd);
}

#[test]
fn a_home_that_vanishes_is_an_error_and_its_successor_another_tree() {
    let place = place();
    let tree = &place.tree;
    assert!(tree.is_current());
    fs::remove_dir_all(&place.home).unwrap();
    for round in 0..2 {
        assert!(!tree.is_current(), "{round}");
        says(place.read("/file"), "No such file or directory");
        says(
            place.write("/file", OpenMode::Write, ""),
            "No such file or directory",
        );
        says(tree.metadata(&path("/")), "No such file or directory");
        says(tree.metadata(&path("/dir")), "No such file or directory");
        says(
            tree.read_dir(&path("/")).map(drop),
            "No such file or directory",
        );
        says(tree.create_dir(&path("/dir")), "No such file or directory");
        says(
            tree.open(&path("/x"), OpenMode::CreateNew).map(drop),
            "No such file or directory",
        );
        says(
            tree.remove_file(&path("/file")),
            "No such file or directory",
        );
        says(
            tree.rename(&path("/file"), &path("/x")),
            "No such file or directory",
        );
        fs::create_dir_all(&place.home).unwrap();
    }
    let successor = LocalFilesystem::new(&place.home).unwrap();
    assert!(successor.is_current());
    assert!(successor.metadata(&path("/")).unwrap().is_dir());
}

#[test]
fn a_large_file_is_not_emptied_at_once() {
    let place = place();
    let large = place.home.join("large");
    fs::File::create(&large)
        .and_then(|file| file.set_len(LARGE))
        .unwrap();
    let opened = |mode| place.tree.open_at_once(&path("large"), mode).unwrap();
    assert!(opened(OpenMode::Write).is_none());
    assert_eq!(fs::metadata(&large).unwrap().len(), LARGE);
    // Nothing goes by these.
    for mode in [OpenMode::Read, OpenMode::Resume, OpenMode::Append] {
        assert!(opened(mode).is_some(), "{mode:?}");
    }
    place.write("large", OpenMode::Write, "").unwrap();
    assert_eq!(fs::metadata(&large).unwrap().len(), 0);
    let small = place.tree.open_at_once(&path("file"), OpenMode::Write);
    assert!(small.unwrap().is_some());
    assert_eq!(place.read("file").unwrap(), "");
}

#[test]
fn to_close_is_slow_where_a_large_file_has_no_name() {
    let place = place();
    let sized = |name: &str, size| {
        let file = fs::File::create(place.home.join(name));
        file.and_then(|file| file.set_len(size)).unwrap();
    };
    for (size, large) in [(LARGE - 1, false), (LARGE, true)] {
        sized("removed", size);
        sized("replaced", size);
        let open = |name: &str, mode| place.tree.open(&path(name), mode).unwrap();
        let files = [
            open("removed", OpenMode::Read),
            open("replaced", OpenMode::Append),
        ];
        assert!(files.iter().all(|file| !file.is_slow_to_close()));
        fs::remove_file(place.home.join("removed")).unwrap();
        sized("next", 0);
        fs::rename(place.home.join("next"), place.home.join("replaced")).unwrap();
        assert!(files.iter().all(|file| file.is_slow_to_close() == large));
        // The size is that behind the emptying.
        sized("emptied", size);
        let emptied = open("emptied", OpenMode::Write);
        assert_eq!(emptied.size_at_open(), Some(0));
    }
}
