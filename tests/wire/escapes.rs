//! Ways out of the home that need no race: mounts, links of the kernel's own, a home that moves, hard
//! links, and names that are written in odd ways.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;

use ftpdlib::{FileSystem, LocalFilesystem, OpenMode, VirtualPath, describe};

use crate::common::system::{bind_mount, mount_proc, own_mounts};
use crate::common::{TestServer, skipped};

/// `home` is the user's; `out` is next to it and none of his business.
struct Place {
    _temp: tempfile::TempDir,
    home: PathBuf,
    out: PathBuf,
    files: LocalFilesystem,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().canonicalize().unwrap();
    let (home, out) = (base.join("home"), base.join("out"));
    fs::create_dir_all(home.join("dir/sub")).unwrap();
    fs::create_dir_all(out.join("deep")).unwrap();
    fs::write(home.join("file"), "inside").unwrap();
    fs::write(base.join("secret"), "secret").unwrap();
    fs::write(out.join("mounted"), "mounted").unwrap();
    let files = LocalFilesystem::new(&home).unwrap();
    Place {
        _temp: temp,
        home,
        out,
        files,
    }
}

fn path(name: &str) -> VirtualPath {
    name.parse().unwrap()
}

fn read(files: &LocalFilesystem, name: &str) -> io::Result<String> {
    let mut file = files.open(&path(name), OpenMode::Read)?;
    let mut buf = [0; 64];
    let count = file.read(&mut buf)?;
    Ok(String::from_utf8_lossy(&buf[..count]).into_owned())
}

/// Nothing can be read, listed or changed by that name.
#[track_caller]
fn leads_nowhere(files: &LocalFilesystem, name: &str) {
    let at = path(name);
    let tries = [
        ("open", files.open(&at, OpenMode::Read).map(drop)),
        ("append", files.open(&at, OpenMode::Append).map(drop)),
        ("read_dir", files.read_dir(&at).map(drop)),
        ("enter_dir", files.enter_dir(&at)),
        ("metadata", files.metadata(&at).map(drop)),
        ("set_mode", files.set_mode(&at, 0o777)),
        ("set_modified", files.set_modified(&at, 1)),
        ("create_dir", files.create_dir(&at.child(b"new"))),
        ("below", files.symlink_metadata(&at.child(b"etc")).map(drop)),
    ];
    for (what, result) in tries {
        let error = result.expect_err(what);
        let text = describe(&error);
        // The kernel's own links are links that it does not follow.
        let refusals = [
            "outside the user's root directory",
            "Not a directory",
            "Too many levels of symbolic links",
        ];
        assert!(
            refusals.iter().any(|refusal| text.contains(refusal)),
            "{name}: {what}: {text}"
        );
    }
}

/// Runs `test` on a thread with mounts of its own, which go with it; the place is cleared away when
/// they are gone. A file system that is to see them has to be opened there.
fn with_mounts(test: impl FnOnce(&Place, &LocalFilesystem) + Send) {
    let place = place();
    thread::scope(|scope| {
        let run = || match own_mounts() {
            true => test(&place, &LocalFilesystem::new(&place.home).unwrap()),
            false => skipped("only root may mount"),
        };
        scope.spawn(run).join().unwrap();
    });
}

#[test]
fn a_mount_is_part_of_the_home_and_no_way_out_of_it() {
    with_mounts(|place, files| {
        let mount = place.home.join("dir/sub");
        symlink("../../file", place.out.join("up")).unwrap();
        symlink("../../../secret", place.out.join("far")).unwrap();
        symlink("../secret", place.out.join("real_neighbour")).unwrap();
        symlink(place.out.join("mounted"), place.out.join("itself")).unwrap();
        symlink("..", place.out.join("deep/back")).unwrap();
        if !bind_mount(&place.out, &mount) {
            return skipped("this place does not let root mount");
        }
        // An administrator's way to put something into a home.
        assert_eq!(read(files, "/dir/sub/mounted").unwrap(), "mounted");
        assert_eq!(
            read(files, "/dir/sub/deep/back/mounted").unwrap(),
            "mounted"
        );
        // `..` of the mount is what is seen, not the parent that it has elsewhere.
        assert_eq!(read(files, "/dir/sub/up").unwrap(), "inside");
        assert!(read(files, "/dir/sub/real_neighbour").is_err());
        leads_nowhere(files, "/dir/sub/far");
        leads_nowhere(files, "/dir/sub/itself");
        // Across its border nothing is moved.
        assert!(
            files
                .rename(&path("/file"), &path("/dir/sub/file"))
                .is_err()
        );
        assert!(files.remove_dir(&path("/dir/sub")).is_err());
    });
}

#[test]
fn links_of_the_kernels_own_lead_nowhere() {
    with_mounts(|place, files| {
        let dir = place.home.join("dir");
        // As links to names they are absolute ones like any other.
        for (name, target) in [
            ("root", "/proc/self/root"),
            ("cwd", "/proc/self/cwd"),
            ("thread", "/proc/thread-self/root/etc"),
            ("fd", "/proc/self/fd/0"),
        ] {
            symlink(target, place.home.join(name)).unwrap();
            leads_nowhere(files, &format!("/{name}"));
        }
        // Even with all of them in the home.
        if !mount_proc(&dir) {
            return skipped("this place does not let root mount");
        }
        let outside = fs::File::open(place.out.join("../secret")).unwrap();
        let held = std::os::fd::AsRawFd::as_raw_fd(&outside);
        for name in ["self/root", "self/cwd", "thread-self/root"] {
            leads_nowhere(files, &format!("/dir/{name}"));
        }
        let fd = format!("/dir/self/fd/{held}");
        assert!(read(files, &fd).is_err());
        assert!(files.open(&path(&fd), OpenMode::Append).is_err());
        assert!(files.set_mode(&path(&fd), 0o777).is_err());
    });
}

#[test]
fn a_home_that_moves_is_still_the_same_and_nothing_else_is() {
    let place = place();
    let files = &place.files;
    symlink(place.home.join("file"), place.home.join("absolute")).unwrap();
    symlink("../elsewhere/file", place.home.join("relative")).unwrap();
    assert_eq!(read(files, "/absolute").unwrap(), "inside");
    let elsewhere = place.out.join("../elsewhere");
    fs::rename(&place.home, &elsewhere).unwrap();
    // Somebody else's directory now has its old name.
    fs::create_dir(&place.home).unwrap();
    fs::write(place.home.join("file"), "another's").unwrap();
    assert_eq!(read(files, "/file").unwrap(), "inside");
    assert_ne!(read(files, "/absolute").ok().as_deref(), Some("another's"));
    leads_nowhere(files, "/relative");
    fs::write(elsewhere.join("new"), "moved along").unwrap();
    assert_eq!(read(files, "/new").unwrap(), "moved along");
    files.remove_file(&path("/file")).unwrap();
    assert_eq!(fs::read(place.home.join("file")).unwrap(), b"another's");
    assert!(!elsewhere.join("file").exists());
}

/// A hard link is the file itself: who can make one in the home has shared it.
#[test]
fn removing_a_hard_link_leaves_the_file() {
    let place = place();
    let secret = place.out.join("../secret");
    fs::hard_link(&secret, place.home.join("shared")).unwrap();
    assert_eq!(read(&place.files, "/shared").unwrap(), "secret");
    place.files.remove_file(&path("/shared")).unwrap();
    assert_eq!(fs::read(secret).unwrap(), b"secret");
}

#[test]
fn however_a_name_is_written_it_stays_inside() {
    let server = TestServer::start();
    let out = tempfile::tempdir().unwrap();
    fs::create_dir(out.path().join("dir")).unwrap();
    fs::write(out.path().join("secret"), "secret").unwrap();
    symlink(out.path(), server.path("link")).unwrap();
    server.mkdir("dir");
    let mut client = server.login();
    let far = format!("{}{}", "../".repeat(1300), out.path().display());
    let (long, longer) = ("x/../".repeat(800), "./".repeat(2040));
    let names = [
        "link/dir".to_owned(),
        "link/secret".to_owned(),
        "link/dir/../secret".to_owned(),
        "dir/../../link/secret".to_owned(),
        format!("{far}/secret"),
        format!("{far}/dir/"),
        format!("{long}link/secret"),
        format!("{longer}link/dir"),
        "LINK/secret".to_owned(),
        "link/secret/".to_owned(),
        "//link/.//secret".to_owned(),
    ];
    for name in &names {
        for command in ["RETR", "STOR", "APPE", "LIST", "NLST"] {
            client.refused(format!("{command} {name}"), 550);
        }
        for command in [
            "CWD",
            "MKD",
            "RMD",
            "DELE",
            "SIZE",
            "MLST",
            "RNFR",
            "SITE CHMOD 777",
        ] {
            client.expect(format!("{command} {name}"), 550);
        }
        client.expect("RNFR dir", 350);
        client.expect(format!("RNTO {name}"), 550);
    }
    // The link itself is the user's to move and to remove, and not what it leads to.
    for slashes in ["link/", "link//", "link/."] {
        client.expect(format!("CWD {slashes}"), 550);
        client.expect(format!("RMD {slashes}"), 550);
        client.expect(format!("SITE CHMOD 777 {slashes}"), 550);
        client.expect(format!("RNFR {slashes}"), 350);
        client.expect("RNTO moved/", 250);
        client.expect("RNFR moved", 350);
        client.expect("RNTO link", 250);
    }
    client.expect("DELE link/", 250);
    assert_eq!(names_in(out.path()), ["dir", "secret"]);
    assert_eq!(fs::read(out.path().join("secret")).unwrap(), b"secret");
    assert_eq!(names_in(server.home()), ["dir"]);
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
