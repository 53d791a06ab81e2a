//! lftp, but for its mirrors.

use std::os::unix::fs::PermissionsExt as _;

use crate::common::{PASSWORD, USER, sample};
use crate::stage::Stage;
use crate::tree;

each_way!("lftp":
    upload_and_download
    resume
    append
    in_several_parts
    lists
    rename_and_delete
    recursive_delete
    patterns
    mode
    ascii
    pipelined
    queue
    stays_after_an_error
);

/// What every script begins with: no second attempt hides a failure, and none asks for TLS.
const SETTINGS: &str = "
set cmd:fail-exit yes
set cmd:move-background no
set cmd:interactive no
set color:use-color no
set net:max-retries 1
set net:timeout 30
set ftp:ssl-allow no
set file:charset utf-8
set xfer:log no
";

/// Runs a script in a session, with `set cmd:fail-exit`.
#[track_caller]
pub(super) fn lftp(stage: &Stage, script: &str) -> String {
    let passive = if stage.way.active { "no" } else { "yes" };
    let (host, port) = (stage.host(), stage.port());
    stage.write(
        ".script",
        format!(
            "{SETTINGS}set ftp:passive-mode {passive}\n\
             open -u {USER},{PASSWORD} ftp://{host}:{port}\n{script}\n"
        ),
    );
    let mut lftp = stage.program("lftp");
    lftp.args(["-f", ".script"]);
    stage.run(lftp)
}

fn upload_and_download(stage: &Stage) {
    let content = sample(300_000);
    stage.write("up", &content);
    stage.write("empty", "");
    let out = lftp(
        stage,
        "put up -o there; get there -o down; put empty; get empty -o nothing; cat there | wc -c",
    );
    assert_eq!(stage.server.read("there"), content);
    assert_eq!(stage.read("down"), content);
    assert_eq!(stage.server.read("empty"), b"");
    assert_eq!(stage.read("nothing"), b"");
    assert_eq!(out.split_whitespace().last(), Some("300000"), "{out}");
}

fn resume(stage: &Stage) {
    let content = sample(300_000);
    stage.server.write("file", &content);
    stage.write("part", &content[..100_000]);
    lftp(stage, "get -c file -o part");
    assert_eq!(stage.read("part"), content);
    stage.expect_command("REST 100000");

    stage.write("up", &content);
    stage.server.write("rest", &content[..123_456]);
    lftp(stage, "put -c up -o rest");
    assert_eq!(stage.server.read("rest"), content);
    stage.expect_command("REST 123456");

    // What is there already is not sent again.
    stage.forget_commands();
    lftp(stage, "put -c up -o rest");
    assert_eq!(stage.server.read("rest"), content);
    assert_eq!(stage.count("STOR"), 0, "{:?}", stage.commands());
}

/// lftp sends APPE only as a raw command, which has no data; it asks for the rest by REST and STOR.
fn append(stage: &Stage) {
    stage.server.write("file", "one, ");
    stage.write("file", "one, two");
    lftp(stage, "put -c file");
    assert_eq!(stage.server.read("file"), b"one, two");
}

/// Four sessions fetch a part each, and hang up on the data when they have it. Each is slow enough
/// for the others to come in time.
fn in_several_parts(stage: &Stage) {
    let content = sample(3 << 20);
    stage.server.write("file", &content);
    lftp(
        stage,
        "set net:limit-rate 3M; set net:limit-max 64k; set pget:min-chunk-size 64k; pget -n 4 file -o down",
    );
    assert_eq!(stage.read("down"), content);
    assert_eq!(stage.count("USER"), 4, "{:?}", stage.commands());
}

fn lists(stage: &Stage) {
    stage.server.mkdir("sub/nested");
    stage.server.write("sub/a file", sample(2048));
    stage.server.write("sub/nested/b", sample(1024));
    assert_eq!(lftp(stage, "cls -1 sub"), "sub/a file\nsub/nested/\n");
    assert_eq!(lftp(stage, "cd sub; cls -1"), "a file\nnested/\n");
    assert_eq!(
        lftp(stage, "nlist sub/nested")
            .trim_end()
            .rsplit('/')
            .next(),
        Some("b")
    );
    let long = lftp(stage, "ls sub");
    assert_eq!(long.lines().count(), 2, "{long}");
    assert!(
        long.lines()
            .next()
            .is_some_and(|line| line.ends_with(" a file")),
        "{long}"
    );
    assert_eq!(
        lftp(stage, "ls -la sub")
            .lines()
            .filter(|line| line.ends_with("nested"))
            .count(),
        1
    );
    assert_eq!(
        lftp(stage, "find sub"),
        "sub/\nsub/a file\nsub/nested/\nsub/nested/b\n"
    );
    let used = lftp(stage, "du -b -s sub");
    assert!(used.starts_with("3072\t"), "{used}");
    let sizes = lftp(
        stage,
        "set ftp:use-mlsd no; cls -1 -s --block-size=1 sub/nested",
    );
    assert_eq!(sizes.split_whitespace().next(), Some("1024"), "{sizes}");
}

fn rename_and_delete(stage: &Stage) {
    stage.server.write("old", "content");
    stage.server.write("doomed", "");
    lftp(
        stage,
        "mkdir 'a dir'; mv old 'a dir/new name'; rm doomed; mkdir -p x/y/z; rmdir x/y/z; cd x; pwd; cd ..",
    );
    assert_eq!(tree::names(stage.server.home()), ["a dir", "x"]);
    assert_eq!(stage.server.read("a dir/new name"), b"content");
    assert_eq!(tree::names(&stage.server.path("x/y")).len(), 0);
}

fn recursive_delete(stage: &Stage) {
    tree::build(&stage.server.path("tree"));
    stage.server.write("kept", "");
    lftp(stage, "rm -r tree");
    assert_eq!(tree::names(stage.server.home()), ["kept"]);
}

fn patterns(stage: &Stage) {
    for name in ["a1", "a2", "b1"] {
        stage.server.write(name, name);
    }
    stage.write("c1", "c1");
    stage.write("c2", "c2");
    lftp(stage, "mget a*; mrm a*; mput c*");
    assert_eq!(tree::names(stage.server.home()), ["b1", "c1", "c2"]);
    assert_eq!(
        (stage.read("a1"), stage.read("a2")),
        (b"a1".to_vec(), b"a2".to_vec())
    );
    assert_eq!(stage.server.read("c2"), b"c2");
}

fn mode(stage: &Stage) {
    stage.server.write("file", "");
    lftp(stage, "chmod 640 file");
    let facts = stage.server.path("file").metadata().expect("a file");
    assert_eq!(facts.permissions().mode() & 0o777, 0o640);
}

fn ascii(stage: &Stage) {
    stage.write("up", "one\ntwo\n\nthree");
    lftp(stage, "put -a up -o text; get -a text -o down");
    // lftp knows that a session begins so.
    assert_eq!(stage.count("TYPE"), 0, "{:?}", stage.commands());
    assert_eq!(stage.server.read("text"), b"one\ntwo\n\nthree");
    assert_eq!(stage.read("down"), b"one\ntwo\n\nthree");
}

/// Commands go out before the replies to those before have come.
fn pipelined(stage: &Stage) {
    for number in 0..50 {
        stage.write(&format!("file{number}"), sample(number * 100));
    }
    lftp(
        stage,
        "set ftp:sync-mode no; mkdir there; mput -O there file*; mkdir -p back/x; lcd /; cls -1 there",
    );
    for number in 0..50 {
        assert_eq!(
            stage.server.read(&format!("there/file{number}")),
            sample(number * 100)
        );
    }
    stage.mkdir("down");
    lftp(stage, "set ftp:sync-mode no; mget -O down there/file*");
    tree::assert_same(&stage.server.path("there"), &stage.local("down"));
}

/// Several transfers at a time, each in a session of its own.
fn queue(stage: &Stage) {
    for number in 0..6 {
        stage
            .server
            .write(&format!("file{number}"), sample(200_000 + number));
    }
    lftp(
        stage,
        "mkdir made; get file0 & get file1 & get file2 & get file3 & get file4 & get file5 & wait all",
    );
    for number in 0..6 {
        assert_eq!(
            stage.read(&format!("file{number}")),
            sample(200_000 + number)
        );
    }
}

fn stays_after_an_error(stage: &Stage) {
    stage.server.write("file", "content");
    let out = lftp(
        stage,
        "set cmd:fail-exit no; get none; cd none; rm none; cat file",
    );
    assert_eq!(out, "content");
    assert_eq!(stage.count("USER"), 1, "{:?}", stage.commands());
}
