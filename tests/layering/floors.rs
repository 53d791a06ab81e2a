//! The floors: which part of the library may name what.

use crate::scan::{paths, tokens, without_tests};

/// What a part of the library may name of the crate, and what of the outside world it may not.
pub(crate) struct Floor {
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
        part: "src/target.rs",
        may: &[],
        not: WORLD,
    },
    Floor {
        part: "src/sys/",
        may: &["target"],
        not: &["ftpdlib_reactor", "mio"],
    },
    Floor {
        part: "src/proto/",
        may: &[],
        not: WORLD,
    },
    Floor {
        part: "src/auth/",
        may: &["fs", "proto", "sys", "target"],
        not: NETWORK,
    },
    Floor {
        part: "src/fs/",
        may: &["proto", "sys"],
        not: NETWORK,
    },
    Floor {
        part: "src/tls/",
        may: &["auth", "sys"],
        not: NETWORK,
    },
    Floor {
        part: "src/session/interpreter/",
        // Of TLS the settings, which are values.
        may: &["auth", "fs", "proto", "session", "tls"],
        not: WORLD,
    },
    Floor {
        part: "src/session/limits/",
        may: &["auth", "fs", "proto", "session", "sys", "target"],
        not: NETWORK,
    },
    Floor {
        part: "src/session/work/",
        may: &["auth", "fs", "proto", "session", "sys", "target"],
        not: NETWORK,
    },
    Floor {
        part: "src/session/",
        may: &["auth", "fs", "proto", "stream", "sys", "target", "tls"],
        not: LISTENING,
    },
    Floor {
        part: "src/stream.rs",
        may: &["auth", "proto", "sys", "tls"],
        not: LISTENING,
    },
    Floor {
        part: "src/error.rs",
        may: &["auth", "tls"],
        not: NETWORK,
    },
    Floor {
        part: "src/server/",
        may: &[
            "auth", "error", "fs", "proto", "session", "stream", "sys", "target", "tls",
        ],
        not: &[],
    },
];

/// Who serves one client knows nothing of others, nor of processes. He takes random numbers of the system: another
/// generator has to be made in each client's process first, which takes longer than all else there.
const LISTENING: &[&str] = &["std::process", "std::net::TcpListener", "aws_lc_rs::rand"];

pub(crate) fn floor_of(file: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| file.starts_with(floor.part))
}

/// What is wrong with a file of the library, a line for each.
pub(crate) fn faults(file: &str, source: &str) -> Vec<String> {
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
        if let Some(module) = module_of(file, &path)
            && module != own
            && !floor.may.contains(&module.as_str())
        {
            faults.push(format!("{file} points up: {}", path.join("::")));
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
        barks(
            "src/session/channels/dtp.rs",
            "use crate::server::FtpServer;",
        );
        barks(
            "src/session/interpreter/data.rs",
            "use ftpdlib_reactor::TcpStream;",
        );
        barks("src/session/work/job.rs", "use ftpdlib_reactor::TcpStream;");
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
            "src/session/channels/dtp.rs",
            "use crate::{auth, fs, proto, stream::Stream};",
        );
        is_silent(
            "src/server/mod.rs",
            "use crate::session::Client; use std::process;",
        );
        is_silent(
            "src/session/channels/dtp.rs",
            "fn f() -> impl Sized + use<> { g(); }",
        );
        is_silent("src/auth/account.rs", "use crate::fs::FileSystem;");
    }
}
