//! tnftp, the FTP client of the BSDs and of macOS.

use std::os::unix::fs::PermissionsExt as _;

use crate::common::{PASSWORD, USER, sample};
use crate::stage::{Stage, expect_long_list};
use crate::tree;

each_way!("tnftp":
    upload_and_download
    resume
    append
    lists
    rename_and_delete
    many_files
    names_with_blanks
    ascii
    newer
    without_extended_commands
    urls
);

/// Runs a script in a session. The status does not tell what became of it.
#[track_caller]
fn tnftp(stage: &Stage, script: &str) -> String {
    let mut tnftp = stage.program("tnftp");
    // Neither .netrc nor questions; -A and -p let it not try the other mode.
    tnftp.args(["-n", "-i", "-v", "-V", "-v"]);
    tnftp.arg(if stage.way.active { "-A" } else { "-p" });
    tnftp
        .arg(stage.server.addr().ip().to_string())
        .arg(stage.port().to_string());
    stage.run_with(
        tnftp,
        &format!("user {USER} {PASSWORD}\nbinary\n{script}\nquit\n"),
    )
}

fn upload_and_download(stage: &Stage) {
    let content = sample(300_000);
    stage.write("up", &content);
    stage.write("empty", "");
    tnftp(
        stage,
        "put up there\nget there down\nput empty\nget empty nothing",
    );
    assert_eq!(stage.server.read("there"), content);
    assert_eq!(stage.read("down"), content);
    assert_eq!(stage.server.read("empty"), b"");
    assert_eq!(stage.read("nothing"), b"");
}

fn resume(stage: &Stage) {
    let content = sample(300_000);
    stage.server.write("down", &content);
    stage.write("down", &content[..100_000]);
    tnftp(stage, "reget down");
    assert_eq!(stage.read("down"), content);
    stage.expect_command("REST 100000");

    stage.write("up", &content);
    stage.server.write("up", &content[..123_456]);
    tnftp(stage, "restart 123456\nput up");
    assert_eq!(stage.server.read("up"), content);
    stage.expect_command("REST 123456");
}

fn append(stage: &Stage) {
    stage.server.write("file", "one, ");
    stage.write("up", "two");
    tnftp(stage, "append up file");
    assert_eq!(stage.server.read("file"), b"one, two");
}

fn lists(stage: &Stage) {
    stage.server.mkdir("sub/nested");
    stage.server.write("sub/a file", "12345");
    let out = tnftp(
        stage,
        "ls sub long\nnlist sub short\ncd sub\nmlsd\nmls . several\nmlst \"a file\"\nmodtime \"a file\"\n\
         size \"a file\"\ndir -la all",
    );
    let read = |name: &str| String::from_utf8(stage.read(name)).expect("a list in UTF-8");
    let long = read("long");
    expect_long_list(&long);
    assert!(read("all").contains(" a file"), "{}", read("all"));
    let mut short = read("short").replace("sub/", "");
    short.retain(|letter| letter != '\r');
    assert_eq!(short, "a file\nnested\n");
    assert!(read("several").contains("a file"), "{}", read("several"));
    // From MLSD and from MLST.
    assert_eq!(out.matches("size=5;type=file;").count(), 2, "{out}");
    assert!(out.contains("GMT") || out.contains("+0000"), "{out}");
}

fn rename_and_delete(stage: &Stage) {
    stage.server.write("old", "content");
    stage.server.write("doomed", "");
    let out = tnftp(
        stage,
        "mkdir \"a dir\"\nmkdir gone\nrename old \"a dir/new\"\nchmod 640 \"a dir/new\"\ndelete doomed\n\
         rmdir gone\ncd \"a dir\"\npwd\ncdup\nquote NOOP\nsite HELP",
    );
    assert_eq!(tree::names(stage.server.home()), ["a dir"], "{out}");
    assert_eq!(stage.server.read("a dir/new"), b"content");
    let facts = stage.server.path("a dir/new").metadata().expect("a file");
    assert_eq!(facts.permissions().mode() & 0o777, 0o640);
    assert!(out.contains("Remote directory: /a dir"), "{out}");
}

/// `mput` expands patterns itself; `mget` and `mdelete` leave that to the server by NLST, which takes
/// a name for what it is. So they are given names.
fn many_files(stage: &Stage) {
    stage.mkdir("up");
    let names: Vec<String> = (0..30).map(|number| format!("file{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        stage.write(&format!("up/{name}"), sample(number * 1000));
    }
    stage.mkdir("down");
    let names = names.join(" ");
    tnftp(
        stage,
        &format!("mkdir there\ncd there\nlcd up\nmput file*\nlcd ../down\nmget {names}"),
    );
    tree::assert_same(&stage.local("up"), &stage.server.path("there"));
    tree::assert_same(&stage.local("up"), &stage.local("down"));
    tnftp(stage, &format!("cd there\nmdelete {names}"));
    assert_eq!(tree::names(&stage.server.path("there")).len(), 0);
}

/// Quotes keep blanks together; wildcards and quotes in names are the client's own.
fn names_with_blanks(stage: &Stage) {
    for name in [
        "in side",
        " leading",
        "trailing ",
        "caf\u{e9} \u{65e5}",
        "-dash",
        "100%",
        "#hash",
    ] {
        stage.write("up", name);
        tnftp(stage, &format!("put up \"{name}\"\nget \"{name}\" down"));
        assert_eq!(stage.server.read(name), name.as_bytes());
        assert_eq!(stage.read("down"), name.as_bytes());
    }
}

fn ascii(stage: &Stage) {
    stage.write("up", "one\ntwo\n\nthree\n");
    tnftp(stage, "ascii\nput up text\nget text down");
    assert_eq!(stage.server.read("text"), b"one\ntwo\n\nthree\n");
    assert_eq!(stage.read("down"), b"one\ntwo\n\nthree\n");
}

/// `newer` fetches what is newer here than there, by MDTM.
fn newer(stage: &Stage) {
    stage.server.write("file", "content");
    tnftp(stage, "get file\nnewer file");
    assert_eq!(stage.read("file"), b"content");
    assert_eq!(stage.count("RETR"), 1, "{:?}", stage.commands());
}

/// Over IPv6 there are no others.
fn without_extended_commands(stage: &Stage) {
    stage.write("file", "content");
    tnftp(stage, "epsv4 off\nput file\nget file down");
    assert_eq!(stage.read("down"), b"content");
    let verb = match (stage.way.ipv6, stage.way.active) {
        (false, false) => "PASV",
        (false, true) => "PORT",
        (true, false) => "EPSV",
        (true, true) => "EPRT",
    };
    assert_eq!(stage.count(verb), 2, "{:?}", stage.commands());
}

/// Without a script: one URL to fetch or to fill.
fn urls(stage: &Stage) {
    let content = sample(300_000);
    let base = format!("ftp://{USER}:{PASSWORD}@{}:{}/", stage.host(), stage.port());
    let mode = if stage.way.active { "-A" } else { "-p" };
    let run = |arguments: &[&str]| {
        let mut tnftp = stage.program("tnftp");
        tnftp.args(["-V", mode]).args(arguments);
        stage.run(tnftp)
    };
    stage.server.mkdir("sub");
    stage.write("file", &content);
    run(&["-u", &format!("{base}sub/"), "file"]);
    assert_eq!(stage.server.read("sub/file"), content);
    run(&["-o", "down", &format!("{base}sub/file")]);
    assert_eq!(stage.read("down"), content);
    stage.write("file", &content[..100_000]);
    run(&["-R", &format!("{base}sub/file")]);
    assert_eq!(stage.read("file"), content);
    stage.expect_command("REST 100000");
}
