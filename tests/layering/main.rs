//! Holds the sources against the floors of `docs/ARCHITECTURE.md`: nothing points up.
//!
//! Cargo keeps the reactor apart, as a crate of its own; between the modules of one crate only a
//! test can. It reads the `use` declarations and the paths of every file, and has itself tested:
//! a wrong line is really found.

mod circles;
mod floors;
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use circles::{Crate, faults_of_session};
use floors::{faults, floor_of};
use scan::tokens;

/// A file longer than this holds more than one idea.
const LONGEST: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All sources below `folders`, as paths from the root of the repository.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut files);
    }
    files.sort();
    let relative = |path: &Path| {
        let path = path.strip_prefix(root()).expect("below the root");
        path.to_str().expect("names of ours").replace('\\', "/")
    };
    files
        .iter()
        .map(|path| (relative(path), fs::read_to_string(path).expect("a source")))
        .collect()
}

#[track_caller]
fn expect_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn nothing_points_up() {
    let sources = sources(&["src"]);
    assert!(sources.len() > 20, "where are the sources?");
    expect_none(
        sources
            .iter()
            .flat_map(|(file, source)| faults(file, source))
            .collect(),
    );
}

#[test]
fn every_file_of_the_library_has_a_floor() {
    const FACES: [&str; 4] = ["src/lib.rs", "src/main.rs", "src/cli/", "src/bin/"];
    let homeless = |file: &String| {
        floor_of(file).is_none() && !FACES.iter().any(|face| file.starts_with(face))
    };
    let files = sources(&["src"]).into_iter().map(|(file, _)| file);
    expect_none(
        files
            .filter(homeless)
            .map(|file| format!("{file} is on no floor"))
            .collect(),
    );
}

#[test]
fn faces_use_what_is_public() {
    // A face that takes a file of the library in by its path would see what is private. The
    // program's log lines need the library's local time, and to ask a pipe whether it takes one; neither is
    // part of its API.
    const ALLOWED: [&str; 2] = ["../sys/local_time.rs", "../sys/writable.rs"];
    let mut faults = Vec::new();
    for (file, source) in sources(&["src/cli", "src/bin", "demo"]) {
        for line in source
            .lines()
            .filter(|line| line.trim_start().starts_with("#[path"))
        {
            if !ALLOWED.iter().any(|allowed| line.contains(allowed)) {
                faults.push(format!("{file} takes a file in: {line}"));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn unsafe_code_is_in_the_modules_for_system_calls() {
    const ALLOWED: [&str; 2] = ["src/sys/", "reactor/src/sys/"];
    let sources = sources(&["src", "reactor/src", "reactor/examples", "demo"]);
    let unsafe_files = sources
        .iter()
        .filter(|(_, source)| tokens(source).iter().any(|token| token == "unsafe"));
    let faults = unsafe_files
        .map(|(file, _)| file)
        .filter(|file| !ALLOWED.iter().any(|allowed| file.starts_with(allowed)))
        .map(|file| format!("{file} has unsafe code"));
    expect_none(faults.collect());
}

#[test]
fn every_unsafe_block_has_its_reason() {
    let mut faults = Vec::new();
    for (file, source) in sources(&["src", "reactor/src"]) {
        let lines: Vec<&str> = source.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !code.contains("unsafe {") {
                continue;
            }
            let reason = lines[at.saturating_sub(8)..at]
                .iter()
                .any(|line| line.contains("SAFETY"));
            if !reason {
                faults.push(format!("{file}:{}: unsafe without a SAFETY reason", at + 1));
            }
        }
    }
    expect_none(faults);
}

#[test]
fn no_file_is_too_long_and_each_says_why_it_exists() {
    let mut faults = Vec::new();
    let folders = [
        "src",
        "reactor/src",
        "reactor/tests",
        "reactor/examples",
        "demo",
        "tests",
    ];
    for (file, source) in sources(&folders) {
        let lines = source.lines().count();
        if lines > LONGEST {
            faults.push(format!("{file} has {lines} lines, over {LONGEST}"));
        }
        if !source.starts_with("//!") {
            faults.push(format!("{file} does not say why it exists"));
        }
    }
    expect_none(faults);
}

#[test]
fn nothing_is_left_undone() {
    const SIGNS: [&str; 3] = ["todo", "unimplemented", "dbg"];
    let mut faults = Vec::new();
    for (file, source) in sources(&["src", "reactor/src", "demo", "tests"]) {
        let tokens = tokens(&source);
        for pair in tokens.windows(2) {
            if SIGNS.contains(&pair[0].as_str()) && pair[1] == "!" {
                faults.push(format!("{file}: {}!", pair[0]));
            }
            if pair[0] == "[" && pair[1] == "ignore" {
                faults.push(format!("{file}: an ignored test"));
            }
        }
    }
    expect_none(faults);
}

/// The messages that do not say under which target, for which `log` would take a module's path.
fn without_target(source: &str) -> Vec<String> {
    const MACROS: [&str; 7] = [
        "error",
        "warn",
        "info",
        "debug",
        "trace",
        "log",
        "log_enabled",
    ];
    let tokens = tokens(source);
    let calls = tokens.windows(4).filter(|next| {
        MACROS.contains(&&*next[0]) && next[1..3] == ["!", "("] && next[3] != "target"
    });
    calls
        .map(|call| format!("{}! without a target", call[0]))
        .collect()
}

#[test]
fn every_message_has_a_target() {
    let sources = sources(&["src", "reactor/src"]);
    let faults = sources.iter().flat_map(|(file, source)| {
        let faults = without_target(source).into_iter();
        faults.map(move |fault| format!("{file}: {fault}"))
    });
    expect_none(faults.collect());
    // It is really found.
    for wrong in [
        "fn f() { log::warn!(\"{x}\"); }",
        "fn f() { log::error!(\n\"{x}\",\nx); }",
        "fn f() { log::log!(level, \"\"); log::info!(target: TARGET, \"\"); }",
        "fn f() { log::info!(\"target: {x}\"); }",
        "fn f() { warn!(\"{x}\"); }",
    ] {
        assert_eq!(without_target(wrong).len(), 1, "{wrong}");
    }
    let right = "use log::error; fn f() { log::warn!(target: TARGET, \"{x}\"); }";
    assert!(without_target(right).is_empty());
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let sources = sources(&["src", "reactor/src"]);
    let faults = ["src/", "src/bin/ftpbench/", "reactor/src/"]
        .iter()
        .flat_map(|root| Crate::new(root, &sources).circles());
    expect_none(faults.filter(|fault| !is_of_the_loop(fault)).collect());
}

/// The one circle there is: the loop calls dispatchers, with a context by which they reach the loop, and
/// so do closures that threads post. Each of the four is of no use without the others.
fn is_of_the_loop(arrow: &str) -> bool {
    let ends = arrow.split(':').next().unwrap_or_default();
    ends.split(" -> ").all(|file| {
        ["context", "dispatcher", "engine", "post"]
            .iter()
            .any(|one| file == format!("reactor/src/{one}.rs"))
    })
}

#[test]
fn nothing_points_up_in_a_session() {
    let arrows = Crate::new("src/", &sources(&["src"])).arrows();
    assert!(arrows.len() > 100, "where are the arrows?");
    expect_none(faults_of_session(&arrows));
}

#[test]
fn the_map_names_files_that_are_there() {
    let map = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the map");
    let is_there = |named: &str| {
        ["", "src/", "src/session/"]
            .iter()
            .any(|folder| root().join(folder).join(named).exists())
    };
    // Every second piece between backticks is code.
    let named = map.split('`').skip(1).step_by(2);
    let files = named.filter(|name| name.contains('/') && name.ends_with(".rs"));
    let faults = files.filter(|name| !is_there(name));
    expect_none(faults.map(|name| format!("there is no {name}")).collect());
}
