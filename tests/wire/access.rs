//! What a user may not do, and where nobody gets: permissions, and the walls of the home.

use std::fs;
use std::os::unix::fs::symlink;

use ftpdlib::{DummyAuthorizer, Perm};

use crate::common::{Client, TestServer};

const DENIED: &str = "550 Not enough privileges.";

/// Commands, each with the one permission it takes.
const GUARDED: &[(&str, Perm)] = &[
    ("CWD dir", Perm::CWD),
    ("XCWD dir", Perm::CWD),
    ("CDUP", Perm::CWD),
    ("XCUP", Perm::CWD),
    ("LIST", Perm::LIST),
    ("NLST", Perm::LIST),
    ("MLSD", Perm::LIST),
    ("MLST file", Perm::LIST),
    ("STAT /", Perm::LIST),
    ("SIZE file", Perm::LIST),
    ("MDTM file", Perm::LIST),
    ("RETR file", Perm::READ),
    ("APPE file", Perm::APPEND),
    ("DELE file", Perm::DELETE),
    ("RMD dir", Perm::DELETE),
    ("XRMD dir", Perm::DELETE),
    ("RNFR file", Perm::RENAME),
    ("MKD new", Perm::MKDIR),
    ("XMKD new", Perm::MKDIR),
    ("STOR file", Perm::WRITE),
    ("STOU", Perm::WRITE),
    ("STOU file", Perm::WRITE),
    ("SITE CHMOD 600 file", Perm::CHMOD),
    ("MFMT 20170921013410 file", Perm::MTIME),
    ("SITE UTIME 20170921013410 file", Perm::MTIME),
];

fn tree(server: &TestServer) {
    server.write("file", "0123456789");
    server.mkdir("dir");
}

#[test]
fn each_command_needs_its_permission() {
    let server = TestServer::users(|users, home| {
        for (at, (_, needed)) in GUARDED.iter().enumerate() {
            users
                .add_user(format!("u{at}"), "p", home, Perm::ALL - *needed)
                .unwrap();
        }
    });
    tree(&server);
    for (at, (line, _)) in GUARDED.iter().enumerate() {
        let mut client = server.login_as(&format!("u{at}"), "p");
        assert_eq!(client.expect(line, 550).text, DENIED, "{line}");
        client.expect_alive();
    }
    assert_eq!(server.read("file"), b"0123456789");
    assert_eq!(
        fs::read_dir(server.home()).unwrap().count(),
        2,
        "something was made"
    );
}

#[test]
fn the_permission_is_enough() {
    for (line, needed) in GUARDED {
        let server = TestServer::users(|users, home| {
            users.add_user("one", "p", home, *needed).unwrap();
        });
        tree(&server);
        let mut client = server.login_as("one", "p");
        let _data = client.data(crate::common::Mode::Epsv);
        let reply = client.cmd(line);
        assert!(reply.code < 400, "{line}: {}", reply.text);
    }
}

#[test]
fn anonymous_looks_and_leaves_no_trace() {
    let server = TestServer::start();
    tree(&server);
    let mut client = server.login_as("anonymous", "me@");
    assert_eq!(client.fetch("RETR file"), b"0123456789");
    assert_eq!(client.list("NLST"), ["dir", "file"]);
    for (line, needed) in GUARDED {
        if Perm::READ_ONLY - *needed != Perm::READ_ONLY {
            continue;
        }
        assert_eq!(client.expect(line, 550).text, DENIED, "{line}");
    }
    assert_eq!(fs::read_dir(server.home()).unwrap().count(), 2);
}

#[test]
fn overrides_hold_in_their_directory() {
    let server = TestServer::users(|users: &mut DummyAuthorizer, home| {
        for dir in ["flat/sub", "deep/sub", "other"] {
            fs::create_dir_all(home.join(dir)).unwrap();
        }
        users.add_user("guest", "p", home, Perm::READ_ONLY).unwrap();
        users
            .override_perm("guest", home.join("flat"), Perm::ALL, false)
            .unwrap();
        users
            .override_perm("guest", home.join("deep"), Perm::ALL, true)
            .unwrap();
    });
    let mut client = server.login_as("guest", "p");
    client.put("STOR flat/file", "x");
    client.put("STOR deep/file", "x");
    client.put("STOR deep/sub/file", "x");
    client.expect("MKD deep/sub/more", 257);
    client.put("STOR deep/sub/more/file", "x");
    for line in [
        "STOR file",
        "STOR other/file",
        "STOR flat/sub/file",
        "MKD flat/sub/more",
    ] {
        assert_eq!(client.expect(line, 550).text, DENIED, "{line}");
    }
    // Not by a detour either.
    for line in ["STOR deep/../file", "STOR flat/../other/file"] {
        assert_eq!(client.expect(line, 550).text, DENIED, "{line}");
    }
    client.expect("RNFR deep/file", 350);
    client.expect("RNTO file", 550);
    assert!(!server.exists("file"));
}

#[test]
fn an_override_can_take_away() {
    let server = TestServer::users(|users, home| {
        fs::create_dir_all(home.join("sealed/sub")).unwrap();
        fs::write(home.join("sealed/file"), "x").unwrap();
        users.add_user("guest", "p", home, Perm::ALL).unwrap();
        users
            .override_perm("guest", home.join("sealed"), Perm::NONE, true)
            .unwrap();
    });
    let mut client = server.login_as("guest", "p");
    for line in [
        "CWD sealed",
        "LIST sealed",
        "NLST sealed/sub",
        "RETR sealed/file",
        "STOR sealed/new",
        "DELE sealed/file",
        "SIZE sealed/file",
        "RNFR sealed/file",
        "SITE CHMOD 777 sealed/file",
    ] {
        assert_eq!(client.expect(line, 550).text, DENIED, "{line}");
    }
    client.put("STOR free", "x");
}

#[test]
fn mlst_shows_what_the_user_may_do() {
    let server = TestServer::start();
    tree(&server);
    let mut client = server.login();
    client.expect("OPTS MLST perm;", 200);
    let all = client.expect("MLST file", 250).text;
    let mut anonymous = server.login_as("anonymous", "");
    anonymous.expect("OPTS MLST perm;", 200);
    let few = anonymous.expect("MLST file", 250).text;
    let letters = |text: &str| {
        let (_, rest) = text.split_once("perm=").expect("a perm fact");
        rest.split_once(';').expect("its end").0.to_owned()
    };
    assert_eq!(letters(&few), "r");
    for letter in ["r", "a", "d", "f", "w"] {
        assert!(letters(&all).contains(letter), "no {letter} in {all:?}");
    }
}

/// A home with links that lead out of it, to a directory that must stay untouched.
fn beside() -> (TestServer, tempfile::TempDir) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let server = TestServer::start();
    symlink(outside.path(), server.path("out")).unwrap();
    symlink(outside.path().join("secret"), server.path("secret")).unwrap();
    symlink("..", server.path("up")).unwrap();
    symlink("/", server.path("root")).unwrap();
    server.mkdir("in/sub");
    symlink("../../..", server.path("in/sub/far")).unwrap();
    (server, outside)
}

#[test]
fn links_never_lead_outside() {
    let (server, outside) = beside();
    let mut client = server.login();
    for line in [
        "CWD out",
        "CWD up",
        "CWD root",
        "CWD root/etc",
        "CWD in/sub/far",
        "LIST out",
        "LIST up",
        "NLST root/etc",
        "RETR out/secret",
        "RETR secret",
        "RETR root/etc/passwd",
        "SIZE out/secret",
        "MDTM secret",
        "STOR secret",
        "STOR out/new",
        "APPE out/secret",
        "MKD out/dir",
        "RMD out/dir",
        "DELE out/secret",
        "RNFR out/secret",
        "SITE CHMOD 777 out/secret",
        "SITE CHMOD 777 secret",
        "MFMT 20170921013410 out/secret",
        "STAT root/etc",
        "MLST out/secret",
    ] {
        client.expect(line, 550);
    }
    let reply = client.cmd("MLSD out");
    assert!(matches!(reply.code, 501 | 550), "{}", reply.text);
    let reply = client.cmd("STOU out/x");
    assert!(matches!(reply.code, 450 | 550), "{}", reply.text);
    // What is outside is as it was; the links themselves are listed and can be deleted.
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(client.list("NLST"), ["in", "out", "root", "secret", "up"]);
    client.expect("DELE secret", 250);
    client.expect("DELE out", 250);
    assert!(outside.path().join("secret").exists());
}

#[test]
fn nothing_is_renamed_to_the_outside() {
    let (server, outside) = beside();
    server.write("file", "mine");
    let mut client = server.login();
    for target in ["out/file", "../file", "up/file", "in/sub/far/file"] {
        client.expect("RNFR file", 350);
        let reply = client.cmd(format!("RNTO {target}"));
        // `..` at the top is the top.
        assert!(
            reply.code == 550 || target == "../file",
            "{target}: {}",
            reply.text
        );
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(server.read("file"), b"mine");
}

#[test]
fn dots_never_lead_outside() {
    let server = TestServer::start();
    server.mkdir("dir");
    let mut client = server.login();
    for line in [
        "RETR ../../../../../../etc/passwd",
        "RETR /../etc/passwd",
        "RETR dir/../../../etc/passwd",
        "RETR ..\\..\\etc\\passwd",
        "RETR ....//....//etc/passwd",
        "SIZE //etc/passwd",
        "CWD /etc",
        "LIST ../etc",
    ] {
        client.expect(line, 550);
    }
    client.expect("CWD ../../dir/../..", 250).contains("\"/\"");
}

#[test]
fn links_inside_the_home_work() {
    let server = TestServer::start();
    server.mkdir("real/sub");
    server.write("real/sub/file", "content");
    symlink("real/sub", server.path("relative")).unwrap();
    symlink(
        server.path("real").canonicalize().unwrap(),
        server.path("absolute"),
    )
    .unwrap();
    symlink("../..", server.path("real/sub/top")).unwrap();
    let mut client = server.login();
    for line in [
        "RETR relative/file",
        "RETR absolute/sub/file",
        "RETR relative/top/real/sub/file",
    ] {
        assert_eq!(client.fetch(line), b"content", "{line}");
    }
    client.expect("CWD absolute", 250).contains("\"/absolute\"");
    client.put("STOR sub/new", "new");
    assert_eq!(server.read("real/sub/new"), b"new");
}

#[test]
fn links_in_a_circle_are_an_error() {
    let server = TestServer::start();
    symlink("b", server.path("a")).unwrap();
    symlink("a", server.path("b")).unwrap();
    let mut client: Client = server.login();
    client.expect("CWD a", 550);
    client.expect("RETR a", 550);
    client.expect("STOR a", 550);
    assert_eq!(client.list("LIST").len(), 2);
}

#[test]
fn a_link_swapped_while_it_is_used_never_leads_outside() {
    let (server, outside) = beside();
    server.mkdir("inside");
    server.write("inside/secret", "public");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each of these is what `door` is for a moment.
            symlink("inside", server.path("good")).unwrap();
            symlink(outside.path(), server.path("bad")).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for kind in ["good", "bad"] {
                    let _ = fs::remove_file(server.path("next"));
                    fs::hard_link(server.path(kind), server.path("next")).unwrap();
                    fs::rename(server.path("next"), server.path("door")).unwrap();
                }
            }
        });
        let mut client = server.login();
        for _ in 0..300 {
            let mut data = client.data(crate::common::Mode::Epsv);
            if client.cmd("RETR door/secret").code < 200 {
                let mut content = Vec::new();
                std::io::Read::read_to_end(&mut data, &mut content).unwrap();
                client.expect_reply(226);
                assert_ne!(content, b"secret");
            }
            client.cmd("MKD door/made");
            client.cmd("SITE CHMOD 600 door/secret");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(
        fs::read_dir(outside.path()).unwrap().count(),
        1,
        "made something outside"
    );
}
