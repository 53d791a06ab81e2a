//! Symbolic links: those that stay inside work, the others lead nowhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::{Place, outside, place};
use crate::fs::testing::{path, says};
use crate::fs::{FileKind, FileSystem, LocalFilesystem, OpenMode};

#[test]
fn links_that_stay_inside_work() {
    let place = place();
    place.link("dir/sub", "relative");
    place.link("../../file", "dir/sub/up");
    place.link(place.home.join("dir/sub"), "absolute");
    place.link(place.home.join("absolute"), "chain");
    place.link("chain/../sub/deep", "mixed");
    place.link("../home/dir", "out_and_in");
    place.link(&place.home, "self");
    place.link(".", "dot");
    for name in [
        "/relative/deep",
        "/absolute/deep",
        "/chain/deep",
        "/mixed",
        "/out_and_in/sub/deep",
        "/self/self/chain/deep",
        "/dot/absolute/../dir/sub/deep",
    ] {
        assert_eq!(place.read(name).unwrap(), "deep", "{name}");
        assert_eq!(place.tree.metadata(&path(name)).unwrap().size, 4, "{name}");
    }
    assert_eq!(place.read("/absolute/up").unwrap(), "inside");
    assert_eq!(place.names("/chain").unwrap(), [&b"deep"[..], b"up"]);
    place.tree.create_dir(&path("/chain/made")).unwrap();
    place
        .tree
        .rename(&path("/self/file"), &path("/absolute/moved"))
        .unwrap();
    place.write("/chain/new", OpenMode::Write, "new").unwrap();
    place.tree.remove_file(&path("/absolute/deep")).unwrap();
    let names = place.names("/dir/sub").unwrap();
    assert_eq!(names, [&b"made"[..], b"moved", b"new", b"up"]);
}

#[test]
fn links_written_with_the_path_that_was_given_work() {
    let place = place();
    let alias = place.out.join("alias");
    symlink(&place.home, &alias).unwrap();
    place.link(alias.join("dir"), "absolute");
    place.link("../out/alias/dir", "relative");
    outside(place.read("/absolute/sub/deep"), "/absolute/sub/deep");
    let place = Place {
        tree: LocalFilesystem::new(&alias).unwrap(),
        ..place
    };
    assert_eq!(place.tree.home(), place.home);
    assert_eq!(place.read("/absolute/sub/deep").unwrap(), "deep");
    assert_eq!(place.read("/relative/sub/deep").unwrap(), "deep");
    place.link(alias.join("../secret"), "tricky");
    outside(place.read("/tricky"), "/tricky");
}

#[test]
fn links_that_lead_outside_are_refused_by_every_operation() {
    let place = place();
    let (tree, secret) = (&place.tree, place.out.join("secret"));
    place.link("../out", "relative");
    place.link(&place.out, "absolute");
    place.link("dir/sub/../../../out", "dots");
    place.link("/", "root");
    place.link("..", "parent");
    place.link(place.home.join("absolute"), "chain");
    for link in ["/relative", "/absolute", "/dots", "/parent/out", "/chain"] {
        let name = format!("{link}/secret");
        let (at, file) = (path(link), path(&name));
        for mode in [
            OpenMode::Read,
            OpenMode::Write,
            OpenMode::Append,
            OpenMode::CreateNew,
            OpenMode::Resume,
        ] {
            outside(place.write(&name, mode, "overwritten"), &name);
        }
        outside(tree.metadata(&file), &name);
        outside(tree.symlink_metadata(&file), &name);
        outside(tree.read_dir(&at).map(drop), link);
        outside(
            tree.create_dir(&path(&format!("{link}/new"))),
            &format!("{link}/new"),
        );
        outside(tree.remove_dir(&file), &name);
        outside(tree.remove_file(&file), &name);
        outside(tree.rename(&file, &path("/stolen")), &name);
        outside(tree.rename(&path("/file"), &file), &name);
        outside(tree.set_mode(&file, 0o777), &name);
        outside(tree.set_modified(&file, 1), &name);
    }
    outside(tree.metadata(&path("/root/etc/passwd")), "/root/etc/passwd");
    outside(tree.set_mode(&path("/parent"), 0o777), "/parent");
    outside(tree.set_modified(&path("/absolute"), 1), "/absolute");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::read_dir(&place.out).unwrap().count(), 1);
    assert_ne!(fs::metadata(secret).unwrap().mode() & 0o777, 0o777);
}

#[test]
fn dangling_and_circular_links() {
    let place = place();
    place.link("made_relative", "relative");
    place.link(place.home.join("made_absolute"), "absolute");
    place.link(place.home.join("none/file"), "no_parent");
    place.link(place.out.join("made"), "outside");
    place.link(place.home.join("loop"), "loop");
    place.link("short", "short");
    for name in ["/relative", "/absolute", "/no_parent"] {
        says(place.read(name), "No such file or directory");
        assert_eq!(
            place.tree.symlink_metadata(&path(name)).unwrap().kind,
            FileKind::Symlink
        );
    }
    place.write("/relative", OpenMode::Write, "r").unwrap();
    place.write("/absolute", OpenMode::Write, "a").unwrap();
    assert_eq!(
        fs::read_to_string(place.home.join("made_relative")).unwrap(),
        "r"
    );
    assert_eq!(
        fs::read_to_string(place.home.join("made_absolute")).unwrap(),
        "a"
    );
    says(
        place.write("/no_parent", OpenMode::Write, ""),
        "No such file or directory",
    );
    outside(place.write("/outside", OpenMode::Write, ""), "/outside");
    assert!(!place.out.join("made").exists());
    says(place.read("/loop"), "Too many levels of symbolic links");
    says(place.read("/short"), "Too many levels of symbolic links");
}

#[test]
fn removal_and_renaming_act_on_the_link() {
    let place = place();
    let tree = &place.tree;
    for (number, target) in ["file", "dir", "../out/secret", "/", "none"]
        .iter()
        .enumerate()
    {
        let name = format!("link{number}");
        place.link(target, &name);
        let (from, to) = (path(&name), path("/moved"));
        tree.rename(&from, &to).unwrap();
        says(tree.remove_dir(&to), "Not a directory");
        tree.remove_file(&to).unwrap();
        says(tree.remove_file(&to), "No such file or directory");
    }
    assert_eq!(place.read("/file").unwrap(), "inside");
    assert!(place.out.join("secret").exists());
    assert_eq!(place.names("/").unwrap(), [&b"dir"[..], b"file"]);
}
