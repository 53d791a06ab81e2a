//! `ftpbench` as people call it: alone, and with servers side by side, some of which are not there.

#![cfg(unix)]

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn ftpbench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ftpbench"));
    command.args(args).output().expect("ftpbench to run")
}

/// What it said, when it should have gone well.
#[track_caller]
fn fine(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

/// Written by another process: a file that this one writes is open for writing, until they start
/// theirs, in those that other tests fork meanwhile, and such a file cannot be started.
fn script(folder: &Path, name: &str, text: &str) {
    let mut writer = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(folder.join(name))
        .stdin(Stdio::piped())
        .spawn()
        .expect("install(1)");
    let mut input = writer.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    assert!(writer.wait().expect("its end").success());
}

/// Rows with little work.
const ROWS: [&str; 12] = [
    "-q",
    "-s",
    "100K",
    "-r",
    "1",
    "-n",
    "5",
    "-b",
    "transfer",
    "-b",
    "many-retr",
    "-b",
];

#[test]
fn a_server_of_its_own_is_measured() {
    let said = fine(&ftpbench(&[&ROWS[..], &["idle", "--idle", "20"]].concat()));
    for part in [
        "STOR, 100 KiB file",
        "5 x RETR of 10 MiB at once",
        "20 idle clients",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    if cfg!(target_os = "linux") {
        assert!(
            said.contains("s/GiB") && said.contains("bytes each"),
            "{said}"
        );
    }
}

/// Clients who could not be held are no figure that is missing, but a failure.
#[test]
#[cfg(target_os = "linux")]
fn too_many_idle_clients_are_a_failure() {
    let mut shell = Command::new("sh");
    let limited = shell.args(["-c", "ulimit -n 200 && exec \"$@\"", "sh"]);
    let limited = limited.arg(env!("CARGO_BIN_EXE_ftpbench"));
    let output = limited.args(["-q", "-b", "idle", "--idle", "300"]).output();
    let output = output.expect("ftpbench to run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("failed: ftpbench may open 200 files only"),
        "{said}"
    );
}

#[test]
fn servers_take_turns_and_those_that_are_missing_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_ftpdlib");
    let own = format!(
        r#"#!/bin/sh
case $1 in
version) exec '{program}' --version ;;
serve) RUST_LOG=off exec '{program}' -i "$BENCH_ADDRESS" -p "$BENCH_PORT" -d "$BENCH_HOME" -w \
    -u "$BENCH_USER" -P "$BENCH_PASSWORD" --max-cons 0 ;;
esac
"#
    );
    script(folder.path(), "ftpdlib", &own);
    script(
        folder.path(),
        "other",
        &own.replace("version)", "rows) echo retr ;; version)"),
    );
    script(
        folder.path(),
        "gone",
        "#!/bin/sh\necho 'gone: not installed' >&2\nexit 1\n",
    );
    let mute = "#!/bin/sh\n[ $1 != serve ] || { echo 'no such option' >&2; exit 1; }\n";
    script(folder.path(), "mute", mute);
    script(folder.path(), "notes.md", "");
    let page = folder.path().join("page.md");
    fs::write(
        &page,
        "# Page\n<!-- results: begin -->\n<!-- results: end -->\n",
    )
    .unwrap();
    let [json, svg] = ["all.json", "plots"].map(|name| folder.path().join(name));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let files = [path(&json), path(&svg), path(&page), path(folder.path())];
    let out = [
        "--json",
        &files[0],
        "--svg",
        &files[1],
        "--markdown",
        &files[2],
    ];
    let said = fine(&ftpbench(
        &[&ROWS[..], &["noop", "--compare", &files[3]], &out].concat(),
    ));
    assert!(
        said.contains("gone is left out: gone: not installed\n"),
        "{said}"
    );
    assert!(
        said.contains("mute is left out: the server that was started"),
        "{said}"
    );
    assert!(said.contains("; it said: no such option\n"), "{said}");
    let (_, retr) = said.split_once("RETR, 100 KiB file\n").expect("the row");
    let names: Vec<_> = retr
        .lines()
        .take(2)
        .map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, [Some("ftpdlib"), Some("other")], "{said}");
    assert!(said.contains("goals\n"), "{said}");

    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.starts_with("# Page\n") && page.contains("| | ftpdlib | mute | other |"),
        "{page}"
    );
    assert!(
        page.contains("![Server CPU (less is better)](plots/cpu.svg)"),
        "{page}"
    );
    assert!(
        fs::read_to_string(svg.join("cpu.svg"))
            .unwrap()
            .contains(">other</text>")
    );
    assert!(
        fs::read_to_string(json)
            .unwrap()
            .contains("\"row\":\"retr\"")
    );
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let output = ftpbench(&["-H", "127.0.0.1", "-P", "1", "-u", "bob"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("ftpbench: 127.0.0.1:1: ") && said.lines().count() == 1,
        "{said}"
    );
}
