//! ncftpput, ncftpget, ncftpls and ncftp itself. They know no IPv6: neither its addresses nor EPSV
//! nor EPRT.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::common::{PASSWORD, USER, sample};
use crate::stage::{Stage, expect_long_list};
use crate::tree;

each_way!("ncftpput" over IPv4:
    upload_and_download
    resume
    append
    piped
    lists
    rename_and_delete
    recursive
    ascii
    times
    temporary_name
    removed_after_download
    raw_commands
);

/// One of the programs with all it needs to know of the server, but for its name.
fn program(stage: &Stage, name: &str) -> Command {
    let mut program = stage.program(name);
    program.args(["-u", USER, "-p", PASSWORD, "-t", "30", "-r", "1"]);
    program.args(["-P", &stage.port().to_string()]);
    program.arg(if stage.way.active { "-E" } else { "-F" });
    if name != "ncftpls" {
        program.arg("-V");
    }
    program
}

#[track_caller]
fn put(stage: &Stage, options: &[&str], arguments: &[&str]) {
    let mut put = program(stage, "ncftpput");
    put.args(options).arg(stage.host()).args(arguments);
    stage.run(put);
}

#[track_caller]
fn get(stage: &Stage, options: &[&str], arguments: &[&str]) -> String {
    let mut get = program(stage, "ncftpget");
    get.args(options).arg(stage.host()).args(arguments);
    stage.run(get)
}

#[track_caller]
fn ls(stage: &Stage, options: &[&str], path: &str) -> String {
    let mut ls = program(stage, "ncftpls");
    ls.args(options)
        .arg(format!("ftp://{}/{path}", stage.host()));
    stage.run(ls)
}

/// A script in a session of ncftp itself.
#[track_caller]
fn ncftp(stage: &Stage, script: &str) -> String {
    let passive = if stage.way.active { "off" } else { "on" };
    let mut ncftp = stage.program("ncftp");
    ncftp.args(["-u", USER, "-p", PASSWORD, "-P", &stage.port().to_string()]);
    ncftp.arg(stage.host());
    let settings =
        format!("set passive {passive}\nset progress-meter 0\nset autosave-bookmark-changes no\n");
    stage.run_with(ncftp, &format!("{settings}{script}\nquit\n"))
}

fn upload_and_download(stage: &Stage) {
    let content = sample(300_000);
    stage.write("file", &content);
    stage.write("a second one", "2");
    stage.server.mkdir("sub");
    put(stage, &[], &["/sub", "file", "a second one"]);
    assert_eq!(stage.server.read("sub/file"), content);
    assert_eq!(stage.server.read("sub/a second one"), b"2");

    stage.mkdir("down");
    get(stage, &[], &["down", "/sub/file", "/sub/a second one"]);
    tree::assert_same(&stage.server.path("sub"), &stage.local("down"));
}

fn resume(stage: &Stage) {
    let content = sample(300_000);
    stage.server.write("down", &content);
    stage.write("down", &content[..100_000]);
    get(stage, &["-z"], &[".", "/down"]);
    assert_eq!(stage.read("down"), content);
    stage.expect_command("REST 100000");

    // Without -s, ncftpput 3.2.6 sends the whole file behind the part that is there: its sendfile
    // call begins at the file's start.
    stage.write("up", &content);
    stage.server.write("up", &content[..123_456]);
    put(stage, &["-z", "-s"], &["/", "up"]);
    assert_eq!(stage.server.read("up"), content);
    stage.expect_command("REST 123456");
}

fn append(stage: &Stage) {
    stage.server.write("file", "one, ");
    stage.write("file", "two");
    put(stage, &["-A"], &["/", "file"]);
    assert_eq!(stage.server.read("file"), b"one, two");
    get(stage, &["-A"], &[".", "/file"]);
    assert_eq!(stage.read("file"), b"twoone, two");
}

fn piped(stage: &Stage) {
    let mut put = program(stage, "ncftpput");
    put.args(["-c", &stage.host(), "/file"]);
    stage.run_with(put, "from standard input");
    assert_eq!(stage.server.read("file"), b"from standard input");
    assert_eq!(get(stage, &["-c"], &["/file"]), "from standard input");
}

fn lists(stage: &Stage) {
    stage.server.mkdir("sub/nested");
    stage.server.write("sub/a file", "12345");
    for option in ["-1", "-C", "-a"] {
        assert_eq!(ls(stage, &[option], "sub/"), "a file\nnested\n", "{option}");
    }
    let machine = ls(stage, &["-m"], "sub/");
    assert!(machine.contains("size=5;type=file;"), "{machine}");
    // With -R it relies on LIST -R, and is content with what comes without: the first level.
    for option in ["-l", "-R"] {
        let long = ls(stage, &[option], "sub/");
        expect_long_list(&long);
    }
}

fn rename_and_delete(stage: &Stage) {
    stage.server.write("old", "content");
    stage.server.write("doomed", "");
    stage.write("up", "up");
    let out = ncftp(
        stage,
        "mkdir \"a dir\"\nmkdir gone\nrename old \"a dir/new\"\nchmod 640 \"a dir/new\"\nrm doomed\n\
         rmdir gone\nput -z up sent\nget -z sent down\ncd \"a dir\"\npwd\nls -1\ncd ..\nquote NOOP",
    );
    assert_eq!(tree::names(stage.server.home()), ["a dir", "sent"], "{out}");
    assert_eq!(stage.server.read("a dir/new"), b"content");
    let facts = stage.server.path("a dir/new").metadata().expect("a file");
    assert_eq!(facts.permissions().mode() & 0o777, 0o640);
    assert_eq!(stage.server.read("sent"), b"up");
    assert_eq!(stage.read("down"), b"up");
    assert!(out.lines().any(|line| line.trim() == "new"), "{out}");
}

/// Names with odd characters at their ends or with wildcards are beyond ncftp's own means.
fn recursive(stage: &Stage) {
    stage.mkdir("tree/sub dir/deep");
    stage.mkdir("tree/empty");
    stage.write("tree/binary", sample(1 << 20));
    stage.write("tree/sub dir/caf\u{e9}", "composed");
    stage.write("tree/sub dir/cafe\u{301}", "decomposed");
    stage.write("tree/sub dir/deep/empty file", "");
    stage.write("tree/100% #1; 'q'", "odd");
    for number in 0..30 {
        stage.write(&format!("tree/sub dir/{number}"), sample(number));
    }
    put(stage, &["-R"], &["/", "tree"]);
    tree::assert_same(&stage.local("tree"), &stage.server.path("tree"));

    // With -T it does not first ask for "tree.tar", which some servers make on the fly.
    for options in [&["-R", "-T"][..], &["-R"]] {
        stage.mkdir("down");
        get(stage, options, &["down", "/tree"]);
        tree::assert_same(&stage.local("tree"), &stage.local("down/tree"));
        fs::remove_dir_all(stage.local("down")).expect("a directory");
    }
}

fn ascii(stage: &Stage) {
    stage.write("text", "one\ntwo\n\nthree\n");
    put(stage, &["-a"], &["/", "text"]);
    // It knows that a session begins so.
    assert_eq!(stage.count("TYPE"), 0, "{:?}", stage.commands());
    assert_eq!(stage.server.read("text"), b"one\ntwo\n\nthree\n");
    get(stage, &["-a", "-C"], &["/text", "down"]);
    assert_eq!(stage.read("down"), b"one\ntwo\n\nthree\n");
}

/// A file keeps its time of modification on both ways.
fn times(stage: &Stage) {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    stage.write("file", "content");
    let file = File::options().write(true).open(stage.local("file"));
    file.and_then(|file| file.set_modified(modified))
        .expect("a time");
    put(stage, &[], &["/", "file"]);
    stage.mkdir("down");
    get(stage, &[], &["down", "/file"]);
    for path in [stage.server.path("file"), stage.local("down/file")] {
        let found = path.metadata().and_then(|facts| facts.modified());
        assert_eq!(found.expect("a time"), modified, "{}", path.display());
    }
}

fn temporary_name(stage: &Stage) {
    stage.write("file", "content");
    put(stage, &["-T", "tmp."], &["/", "file"]);
    stage.expect_command("STOR tmp.file");
    assert_eq!(tree::names(stage.server.home()), ["file"]);
    assert_eq!(stage.server.read("file"), b"content");
}

fn removed_after_download(stage: &Stage) {
    stage.server.write("file", "content");
    get(stage, &["-DD"], &[".", "/file"]);
    assert_eq!(stage.read("file"), b"content");
    assert!(!stage.server.exists("file"));
}

fn raw_commands(stage: &Stage) {
    stage.server.write("old", "");
    stage.write("file", "content");
    let options = ["-W", "MKD made", "-X", "NOOP", "-Y", "DELE /old", "-m"];
    put(stage, &options, &["/x/y", "file"]);
    assert_eq!(tree::names(stage.server.home()), ["made", "x"]);
    assert_eq!(stage.server.read("x/y/file"), b"content");
}
