//! curl.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::common::{PASSWORD, USER, sample};
use crate::stage::{Stage, expect_long_list};
use crate::tree::{self, ODD_NAMES};

each_way!("curl":
    upload_and_download
    several_files_in_one_session
    resumed_download
    resumed_upload
    append
    range
    lists
    rename_and_delete
    refused_quote
    ascii
    ftp_methods
    created_directories
    without_extended_commands
    only_if_newer
    odd_names
);

fn curl(stage: &Stage) -> Command {
    let mut curl = stage.program("curl");
    // No ~/.curlrc, no progress bar, brackets in URLs are no globs.
    curl.args(["-q", "-sS", "-g"]);
    if stage.way.active {
        curl.args(["--ftp-port", "-"]);
    }
    curl
}

fn url(stage: &Stage, path: &str) -> String {
    format!(
        "ftp://{USER}:{PASSWORD}@{}:{}/{path}",
        stage.host(),
        stage.port()
    )
}

/// Runs curl with these arguments on a path of the server.
#[track_caller]
fn at(stage: &Stage, arguments: &[&str], path: &str) -> String {
    let mut curl = curl(stage);
    curl.args(arguments).arg(url(stage, path));
    stage.run(curl)
}

fn upload_and_download(stage: &Stage) {
    let content = sample(300_000);
    stage.write("up", &content);
    at(stage, &["-T", "up"], "there");
    assert_eq!(stage.server.read("there"), content);

    at(stage, &["-o", "down"], "there");
    assert_eq!(stage.read("down"), content);
}

fn several_files_in_one_session(stage: &Stage) {
    let (mut up, mut down) = (curl(stage), curl(stage));
    for name in ["one", "two", "three"] {
        stage.write(name, name);
        up.args(["-T", name]).arg(url(stage, name));
        down.arg(url(stage, name));
    }
    stage.run(up);
    assert_eq!(stage.count("USER"), 1);
    assert_eq!(stage.server.read("two"), b"two");
    assert_eq!(stage.run(down), "onetwothree");
    assert_eq!(stage.count("USER"), 2);
}

fn resumed_download(stage: &Stage) {
    let content = sample(300_000);
    stage.server.write("file", &content);
    stage.write("part", &content[..100_000]);
    at(stage, &["-C", "-", "-o", "part"], "file");
    assert_eq!(stage.read("part"), content);
    stage.expect_command("REST 100000");
}

/// curl asks for the size and appends the rest.
fn resumed_upload(stage: &Stage) {
    let content = sample(300_000);
    stage.server.write("file", &content[..100_000]);
    stage.write("up", &content);
    at(stage, &["-C", "-", "-T", "up"], "file");
    assert_eq!(stage.server.read("file"), content);
    stage.expect_command("APPE file");
}

fn append(stage: &Stage) {
    stage.server.write("file", "one, ");
    stage.write("up", "two");
    at(stage, &["--append", "-T", "up"], "file");
    assert_eq!(stage.server.read("file"), b"one, two");
}

/// curl has all it wants before the file ends, and hangs up on the data connection.
fn range(stage: &Stage) {
    let content = sample(3 << 20);
    stage.server.write("file", &content);
    at(stage, &["-r", "1000-1999", "-o", "middle"], "file");
    assert_eq!(stage.read("middle"), &content[1000..2000]);
    at(stage, &["-r", "-500", "-o", "tail"], "file");
    assert_eq!(stage.read("tail"), &content[content.len() - 500..]);
}

fn lists(stage: &Stage) {
    stage.server.mkdir("sub");
    stage.server.write("sub/a file", "12345");
    stage.server.mkdir("sub/nested");
    assert_eq!(at(stage, &["--list-only"], "sub/"), "a file\nnested\n");
    let long = at(stage, &[], "sub/");
    expect_long_list(&long);
    let machine = at(stage, &["-X", "MLSD"], "sub/");
    assert!(machine.contains("size=5;type=file;"), "{machine}");
    assert_eq!(at(stage, &["--list-only"], "sub/nested/"), "");
}

fn rename_and_delete(stage: &Stage) {
    stage.server.write("old", "content");
    stage.server.write("doomed", "");
    let before = [
        "MKD made",
        "RNFR old",
        "RNTO made/new name",
        "SITE CHMOD 640 made/new name",
    ];
    let mut arguments: Vec<&str> = before.iter().flat_map(|command| ["-Q", *command]).collect();
    // With the dash it comes after the transfer.
    arguments.extend(["-Q", "-DELE doomed", "--list-only"]);
    assert_eq!(at(stage, &arguments, ""), "doomed\nmade\n");
    assert_eq!(stage.server.read("made/new name"), b"content");
    assert!(!stage.server.exists("old") && !stage.server.exists("doomed"));
    let facts = stage
        .server
        .path("made/new name")
        .metadata()
        .expect("a file");
    assert_eq!(facts.permissions().mode() & 0o777, 0o640);

    at(stage, &["-Q", "DELE made/new name", "-Q", "RMD made"], "");
    assert!(!stage.server.exists("made"));
}

fn refused_quote(stage: &Stage) {
    // The asterisk says that the command may fail.
    assert_eq!(at(stage, &["-Q", "*DELE none"], ""), "");
    let mut curl = curl(stage);
    curl.args(["-Q", "DELE none"]).arg(url(stage, ""));
    let output = stage.attempt(curl, "");
    assert_eq!(output.status.code(), Some(21), "{}", stage.story(&output));
}

fn ascii(stage: &Stage) {
    stage.write("up", "one\ntwo\n\nthree");
    at(stage, &["-T", "up"], "text;type=a");
    stage.expect_command("TYPE A");
    assert_eq!(stage.server.read("text"), b"one\ntwo\n\nthree");

    // curl turns the line ends of the network into its own again, so what tells is the count.
    let count = at(
        stage,
        &["-o", "down", "-w", "%{size_download}"],
        "text;type=a",
    );
    assert!(["14", "17"].contains(&&*count), "{count}");
    assert_eq!(stage.read("down"), b"one\ntwo\n\nthree");

    stage.write("crlf", "one\r\ntwo\r\n");
    at(stage, &["-T", "crlf"], "text;type=i");
    assert_eq!(stage.server.read("text"), b"one\r\ntwo\r\n");
    assert_eq!(at(stage, &[], "text;type=i"), "one\r\ntwo\r\n");
}

fn ftp_methods(stage: &Stage) {
    stage.server.mkdir("a dir/b");
    for (method, command) in [
        ("multicwd", "CWD b"),
        ("singlecwd", "CWD a dir/b"),
        ("nocwd", "STOR a dir/b/file"),
    ] {
        stage.forget_commands();
        stage.write("up", method);
        at(
            stage,
            &["--ftp-method", method, "-T", "up"],
            "a%20dir/b/file",
        );
        stage.expect_command(command);
        assert_eq!(stage.server.read("a dir/b/file"), method.as_bytes());
        assert_eq!(
            at(stage, &["--ftp-method", method], "a%20dir/b/file"),
            method
        );
        assert_eq!(
            at(stage, &["--ftp-method", method, "-l"], "a%20dir/b/"),
            "file\n"
        );
    }
}

fn created_directories(stage: &Stage) {
    stage.write("up", "content");
    at(
        stage,
        &["--ftp-create-dirs", "-T", "up"],
        "x%20/-y/%5Bz%5D/file",
    );
    assert_eq!(stage.server.read("x /-y/[z]/file"), b"content");
}

/// With IPv6 there are only the extended ones, and curl does not listen.
fn without_extended_commands(stage: &Stage) {
    stage.write("up", "content");
    at(
        stage,
        &["--disable-epsv", "--disable-eprt", "-T", "up"],
        "file",
    );
    assert_eq!(
        at(stage, &["--disable-epsv", "--disable-eprt"], "file"),
        "content"
    );
    let verb = match (stage.way.ipv6, stage.way.active) {
        (false, false) => "PASV",
        (false, true) => "PORT",
        (true, false) => "EPSV",
        (true, true) => "EPRT",
    };
    assert_eq!(stage.count(verb), 2, "{:?}", stage.commands());

    stage.forget_commands();
    assert_eq!(at(stage, &[], "file"), "content");
    let verb = if stage.way.active { "EPRT" } else { "EPSV" };
    assert_eq!(stage.count(verb), 1, "{:?}", stage.commands());
}

fn only_if_newer(stage: &Stage) {
    stage.server.write("file", "content");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    let file = File::options().write(true).open(stage.server.path("file"));
    file.and_then(|file| file.set_modified(modified))
        .expect("a time");

    at(
        stage,
        &["-z", "Fri, 13 Feb 2009 23:31:31 GMT", "-o", "down"],
        "file",
    );
    assert_eq!(stage.count("RETR"), 0, "{:?}", stage.commands());
    at(
        stage,
        &["-z", "Fri, 13 Feb 2009 23:31:29 GMT", "-R", "-o", "down"],
        "file",
    );
    assert_eq!(stage.read("down"), b"content");
    let copied = stage
        .local("down")
        .metadata()
        .and_then(|facts| facts.modified());
    assert_eq!(copied.expect("a time"), modified);

    let head = at(stage, &["-I"], "file");
    assert!(
        head.contains("Last-Modified: Fri, 13 Feb 2009 23:31:30 GMT"),
        "{head}"
    );
    assert!(head.contains("Content-Length: 7"), "{head}");
}

/// In passive mode curl 7 sleeps now and then for up to a second before it connects, when the 229 or
/// 227 came very fast. There are fewer names then.
fn odd_names(stage: &Stage) {
    let every = if stage.way.active { 1 } else { 8 };
    let names: Vec<&str> = ODD_NAMES.iter().copied().step_by(every).collect();
    let content = |name: &str| format!("content of {name}");
    let paths: Vec<String> = names
        .iter()
        .map(|name| url(stage, &encoded(name)))
        .collect();
    let (mut up, mut down) = (curl(stage), curl(stage));
    for (at, (name, url)) in names.iter().zip(&paths).enumerate() {
        stage.write(&format!("up{at}"), content(name));
        up.arg("-T").arg(format!("up{at}")).arg(url);
        down.arg("-o").arg(format!("down{at}")).arg(url);
    }
    stage.run(up);
    let mut expected: Vec<OsString> = names.iter().map(OsString::from).collect();
    expected.sort();
    assert_eq!(tree::names(stage.server.home()), expected);
    stage.run(down);
    for (at, name) in names.iter().enumerate() {
        assert_eq!(stage.server.read(name), content(name).as_bytes());
        assert_eq!(stage.read(&format!("down{at}")), content(name).as_bytes());
    }
    let listed = at(stage, &["--list-only"], "");
    let mut listed: Vec<OsString> = listed.lines().map(OsString::from).collect();
    listed.sort();
    assert_eq!(listed, expected);
}

/// Each byte in the notation of URLs.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
