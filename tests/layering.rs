//! Holds the sources against the floors of `docs/ARCHITECTURE.md`: nothing points up.
//!
//! Cargo keeps the reactor apart, as a crate of its own; between the modules of one crate only a
//! test can. It reads the `use` declarations and the paths of every file, and has itself tested:
//! a wrong line is really found.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this holds more than one idea.
const LONGEST: usize = 600;

/// What a part of the library may name of the crate, and what of the outside world it may not.
struct Floor {
    /// Files whose path begins with this.
    part: &'static str,
    /// Modules of the crate that it may name; itself always.
    may: &'static [&'static str],
    /// Paths that it may not name.
    not: &'static [&'static str],
}

/// Sockets, files and the clock: the world outside a protocol.
const WORLD: &[&str] = &[
    "ftpdlib_reactor",
    "libc",
    "mio",
    "socket2",
    "cap_std",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant::now",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
];

/// Sockets and the loop.
const NETWORK: &[&str] = &[
    "ftpdlib_reactor",
    "mio",
    "socket2",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
];

/// The first that fits a file holds.
const FLOORS: &[Floor] = &[
    Floor {
        part: "src/sys/",
        may: &[],
        not: &["ftpdlib_reactor", "mio"],
    },
    Floor {
        part: "src/proto/",
        may: &[],
        not: WORLD,
    },
    Floor {
        part: "src/auth/",
        may: &["fs", "proto", "sys"],
        not: NETWORK,
    },
    Floor {
        part: "src/fs/",
        may: &["proto", "sys"],
        not: NETWORK,
    },
    Floor {
        part: "src/session/interpreter/",
        may: &["auth", "fs", "proto", "session"],
        not: WORLD,
    },
    Floor {
        part: "src/session/",
        may: &["auth", "fs", "proto", "stream", "sys"],
        not: LISTENING,
    },
    Floor {
        part: "src/stream.rs",
        may: &["proto", "sys"],
        not: LISTENING,
    },
    Floor {
        part: "src/error.rs",
        may: &["auth"],
        not: NETWORK,
    },
    Floor {
        part: "src/server/",
        may: &["auth", "error", "fs", "proto", "session", "stream", "sys"],
        not: &[],
    },
];

/// Who serves one client knows nothing of others, nor of processes.
const LISTENING: &[&str] = &["std::process", "std::net::TcpListener"];

fn floor_of(file: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| file.starts_with(floor.part))
}

/// What is wrong with a file of the library, a line for each.
fn faults(file: &str, source: &str) -> Vec<String> {
    let Some(floor) = floor_of(file) else {
        return Vec::new();
    };
    let own = floor
        .part
        .split('/')
        .nth(1)
        .expect("src and a module")
        .trim_end_matches(".rs");
    let tokens = tokens(source);
    let mut faults = Vec::new();
    for path in paths(&tokens) {
        if let Some(module) = module_of(file, &path) {
            if module != own && !floor.may.contains(&module.as_str()) {
                faults.push(format!("{file} points up: {}", path.join("::")));
            }
        }
    }
    // A test may need a clock to ask for things that the protocol is told.
    if !is_test_file(file) {
        for path in paths(&without_tests(&tokens)) {
            let shown = path.join("::");
            let named =
                |outside: &&&str| shown == **outside || shown.starts_with(&format!("{outside}::"));
            if let Some(outside) = floor.not.iter().find(named) {
                faults.push(format!("{file} must not know {outside}: {shown}"));
            }
        }
    }
    faults
}

fn is_test_file(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

/// The module of the crate's root that a path in a file begins with, if it is a path in the crate.
fn module_of(file: &str, path: &[String]) -> Option<String> {
    match path.first().map(String::as_str) {
        Some("crate") => path.get(1).cloned(),
        Some("super") => {
            // `src/proto/line.rs` is two modules below the root; `mod.rs` is its folder's.
            let depth = file.matches('/').count() - usize::from(file.ends_with("mod.rs"));
            let up = path.iter().take_while(|word| *word == "super").count();
            // Where a test module stands below its file, the root is one further up.
            (up >= depth && up > 1)
                .then(|| path.get(up).cloned())
                .flatten()
        }
        _ => None,
    }
    .filter(|name| name.starts_with(|first: char| first.is_lowercase()))
}

/// Words and signs of a source, without comments, strings and characters.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        let here = chars[index];
        if here == '/' && at(index + 1) == '/' {
            while index < chars.len() && chars[index] != '\n' {
                index += 1;
            }
        } else if here == '/' && at(index + 1) == '*' {
            index = end_of_comment(&chars, index);
        } else if let Some(end) = end_of_string(&chars, index) {
            index = end;
        } else if here == '\'' {
            // A lifetime has no second quote.
            index = match (at(index + 1), at(index + 2)) {
                ('\\', _) => (index + 3..chars.len())
                    .find(|&end| chars[end] == '\'')
                    .map_or(chars.len(), |end| end + 1),
                (_, '\'') => index + 3,
                _ => index + 1,
            };
        } else if is_word(here) {
            let start = index;
            while is_word(at(index)) {
                index += 1;
            }
            tokens.push(chars[start..index].iter().collect());
        } else if here == ':' && at(index + 1) == ':' {
            tokens.push("::".to_owned());
            index += 2;
        } else {
            if !here.is_whitespace() {
                tokens.push(here.to_string());
            }
            index += 1;
        }
    }
    tokens
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut index = start;
    while index + 1 < chars.len() {
        match (chars[index], chars[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    chars.len()
}

/// Where the string literal that begins here ends, if one begins here.
fn end_of_string(chars: &[char], start: usize) -> Option<usize> {
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    if start > 0 && is_word(at(start - 1)) {
        return None;
    }
    let mut index = start;
    while matches!(at(index), 'b' | 'c') && index - start < 1 {
        index += 1;
    }
    let raw = at(index) == 'r';
    index += usize::from(raw);
    let hashes = (index..)
        .take_while(|&index| raw && at(index) == '#')
        .count();
    index += hashes;
    if at(index) != '"' {
        return None;
    }
    index += 1;
    while index < chars.len() {
        match chars[index] {
            '\\' if !raw => index += 1,
            '"' if (1..=hashes).all(|offset| at(index + offset) == '#') => {
                return Some(index + 1 + hashes);
            }
            _ => {}
        }
        index += 1;
    }
    Some(chars.len())
}

/// The tokens without modules that are compiled for tests only.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST_MODULE: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let rest = &tokens[index..];
        if rest.len() > 9 && rest[..8].iter().eq(TEST_MODULE.iter()) && rest[9] == "{" {
            let mut depth = 0;
            let end = rest.iter().position(|token| {
                depth += i32::from(token == "{") - i32::from(token == "}");
                depth == 0 && token == "}"
            });
            index += end.map_or(rest.len(), |end| end + 1);
        } else {
            kept.push(tokens[index].clone());
            index += 1;
        }
    }
    kept
}

/// Every path in the tokens, those of `use` declarations with their braces taken apart.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        // `use<..>` is no import but a bound.
        if tokens[index] == "use" && tokens.get(index + 1).is_some_and(|next| next != "<") {
            index = use_tree(tokens, index + 1, &[], &mut found);
        } else if is_start(tokens, index) {
            let mut path = vec![tokens[index].clone()];
            while tokens.get(index + 1).is_some_and(|token| token == "::")
                && tokens
                    .get(index + 2)
                    .is_some_and(|token| token.starts_with(is_word))
            {
                path.push(tokens[index + 2].clone());
                index += 2;
            }
            if path.len() > 1 {
                found.push(path);
            }
            index += 1;
        } else {
            index += 1;
        }
    }
    found
}

/// Whether a path may begin with this token.
fn is_start(tokens: &[String], index: usize) -> bool {
    tokens[index].starts_with(is_word) && (index == 0 || tokens[index - 1] != "::")
}

/// Reads a tree of `use` behind `prefix` from `index` on; gives the index behind it.
fn use_tree(
    tokens: &[String],
    mut index: usize,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(index) {
        match token.as_str() {
            "::" => {}
            "{" => {
                index += 1;
                while tokens
                    .get(index)
                    .is_some_and(|token| token != "}" && token != ";")
                {
                    index = use_tree(tokens, index, &path, found);
                    index += usize::from(tokens.get(index).is_some_and(|token| token == ","));
                }
                return index + 1;
            }
            "," | ";" | "}" => break,
            "as" => index += 1,
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        index += 1;
    }
    found.push(path);
    index
}

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
    // program's log lines need the library's local time, which is no part of its API.
    const ALLOWED: [&str; 1] = ["../sys/local_time.rs"];
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

/// The watchdog barks.
mod itself {
    use super::*;

    #[track_caller]
    fn barks(file: &str, source: &str) {
        assert!(
            !faults(file, source).is_empty(),
            "not found in {file}: {source}"
        );
    }

    #[track_caller]
    fn is_silent(file: &str, source: &str) {
        assert_eq!(faults(file, source), Vec::<String>::new());
    }

    #[test]
    fn wrong_lines_are_found() {
        barks("src/proto/line.rs", "use crate::session::Client;");
        barks("src/proto/line.rs", "use crate::{proto::path, fs::File};");
        barks(
            "src/proto/line.rs",
            "use crate::{proto::{self, path}, server};",
        );
        barks("src/proto/line.rs", "fn f() { crate::auth::g(); }");
        barks("src/proto/line.rs", "use super::super::session::Client;");
        barks("src/proto/a/b.rs", "use super::super::super::fs::File;");
        barks("src/proto/addr.rs", "use std::net::{IpAddr, TcpStream};");
        barks("src/proto/addr.rs", "use std::{fs, io};");
        barks(
            "src/proto/addr.rs",
            "use std::{io, net::{self, UdpSocket}};",
        );
        barks("src/proto/throttle.rs", "use std::time::SystemTime;");
        barks(
            "src/proto/throttle.rs",
            "fn f() { let now = Instant::now(); }",
        );
        barks(
            "src/proto/throttle.rs",
            "fn f() -> std::time::SystemTime { todo() }",
        );
        barks("src/proto/mod.rs", "use mio::Poll; use socket2 as s;");
        barks("src/fs/local.rs", "use crate::session::job;");
        barks("src/auth/dummy.rs", "use ftpdlib_reactor::Context;");
        barks("src/auth/dummy/tests.rs", "use crate::server::Builder;");
        barks("src/session/dtp.rs", "use crate::server::FtpServer;");
        barks(
            "src/session/interpreter/data.rs",
            "use ftpdlib_reactor::TcpStream;",
        );
        barks("src/stream.rs", "fn f(_: &crate::session::Client) {}");
        barks("src/sys/close.rs", "use crate::fs::File;");
        barks(
            "src/proto/line.rs",
            "#[cfg(test)] mod tests { use crate::session::Client; }",
        );
        barks(
            "src/proto/line.rs",
            "#[cfg(test)] mod tests { } fn f() { Instant::now(); }",
        );
    }

    #[test]
    fn right_lines_are_let_pass() {
        is_silent(
            "src/proto/line.rs",
            "use crate::proto::{path::VirtualPath, reply};",
        );
        is_silent("src/proto/addr.rs", "use std::net::{IpAddr, SocketAddr};");
        is_silent(
            "src/proto/throttle.rs",
            "use std::time::{Duration, Instant};",
        );
        is_silent(
            "src/proto/line.rs",
            "// use crate::session::Client;\n/* crate::fs /* x */ */",
        );
        is_silent(
            "src/proto/line.rs",
            "const S: &str = \"use crate::session;\"; // '\"'",
        );
        is_silent(
            "src/proto/line.rs",
            "const S: &str = r#\"\" crate::fs::x \"#;",
        );
        is_silent(
            "src/proto/line.rs",
            "const S: [char; 2] = ['\"', '\\'']; fn f<'a>(_: &'a str) {}",
        );
        is_silent(
            "src/proto/line.rs",
            "use super::reply::Reply; use super::*;",
        );
        is_silent(
            "src/proto/line.rs",
            "#[cfg(test)] mod tests { fn f() { Instant::now(); } }",
        );
        is_silent(
            "src/session/dtp.rs",
            "use crate::{auth, fs, proto, stream::Stream};",
        );
        is_silent(
            "src/server/mod.rs",
            "use crate::session::Client; use std::process;",
        );
        is_silent(
            "src/session/dtp.rs",
            "fn f() -> impl Sized + use<> { g(); }",
        );
        is_silent("src/auth/account.rs", "use crate::fs::FileSystem;");
    }
}
