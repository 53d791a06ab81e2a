//! File names are bytes, and any that the disk takes is listed, sent, received and removed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ftpdlib::{Command, DummyAuthorizer, Encoding, Perm, Reply};

use crate::common::{Client, PASSWORD, TestServer};

/// Names that shells, patterns, encodings or careless servers stumble over.
const ODD: &[&[u8]] = &[
    b" leading blank",
    b"trailing blank ",
    b"two  blanks",
    b"-la",
    b"--help",
    b"*",
    b"?",
    b"[a-z]",
    b"{a,b}",
    b"~",
    b"~root",
    b"$HOME",
    b"`id`",
    b"a;b&c|d",
    b"say \"hi\"",
    b"it's",
    b"back\\slash",
    b"...",
    b".hidden",
    b"%2e%2e",
    b"a\ttab",
    b"bell\x07",
    b"escape\x1b[31m",
    b"delete\x7f",
    "\u{fc}ml\u{e4}ut".as_bytes(),
    // The same letter twice in another form: there is no normalisation.
    "e\u{301}".as_bytes(),
    "\u{e9}".as_bytes(),
    "\u{4f60}\u{597d}".as_bytes(),
    "\u{1f980}".as_bytes(),
    "\u{202e}turned".as_bytes(),
    b"latin-1 \xfc",
    b"cut utf-8 \xe4\xbd",
    b"\xfe\xfe",
];

fn path(server: &TestServer, name: &[u8]) -> std::path::PathBuf {
    server.home().join(OsStr::from_bytes(name))
}

fn line(verb: &str, name: &[u8]) -> Vec<u8> {
    [verb.as_bytes(), b" ", name].concat()
}

/// The names of the home, as the disk has them.
fn on_disk(server: &TestServer) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = fs::read_dir(server.home())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_vec())
        .collect();
    names.sort();
    names
}

/// The names in the lines of a listing, each behind what `skip` finds.
fn listed(client: &mut Client, command: &str, skip: impl Fn(&[u8]) -> usize) -> Vec<Vec<u8>> {
    let content = client.fetch(command);
    let mut names: Vec<Vec<u8>> = content
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| line.strip_suffix(b"\r").expect("CR LF"))
        .map(|line| line[skip(line)..].to_vec())
        .collect();
    names.sort();
    names
}

#[test]
fn odd_names_go_through_every_command() {
    let server = TestServer::start();
    let mut client = server.login();
    for &name in ODD {
        let shown = String::from_utf8_lossy(name).into_owned();
        client.put(line("STOR", name), name);
        assert_eq!(fs::read(path(&server, name)).expect(&shown), name);
        assert_eq!(client.fetch(line("RETR", name)), name, "{shown}");
        client.expect(line("SIZE", name), 213);
        client.expect(line("MDTM", name), 213);
        client.expect(line("MLST", name), 250);
        client.expect(line("SITE CHMOD 600", name), 200);
        client.expect(line("MFMT 20170921013410", name), 213);
        client.expect(line("RNFR", name), 350);
        client.expect(line("RNTO", &[name, b".new"].concat()), 250);
        client.expect(line("DELE", &[name, b".new"].concat()), 250);
        client.expect(line("MKD", name), 257);
        // Some clients pad the argument of CWD; only where no such directory is, blanks are cut.
        client.expect(line("CWD", name), 250);
        client.expect("PWD", 257);
        client.expect("CDUP", 250);
        client.expect(line("RMD", name), 250);
    }
    assert_eq!(on_disk(&server), Vec::<Vec<u8>>::new());
}

#[test]
fn odd_names_are_listed_to_the_letter() {
    let server = TestServer::start();
    for name in ODD {
        fs::write(path(&server, name), "").unwrap();
    }
    let expected = on_disk(&server);
    let mut client = server.login();
    assert_eq!(listed(&mut client, "NLST", |_| 0), expected);
    // Facts hold no blank: the name is behind the first.
    let mlsd = listed(&mut client, "MLSD", |line| {
        line.iter().position(|&byte| byte == b' ').unwrap() + 1
    });
    assert_eq!(mlsd, expected);
    // In LIST it is behind the eighth column and one blank.
    let list = listed(&mut client, "LIST", name_column);
    assert_eq!(list, expected);
}

/// Where the name begins in a line of LIST.
fn name_column(line: &[u8]) -> usize {
    let mut at = 0;
    for _ in 0..8 {
        while line[at] == b' ' {
            at += 1;
        }
        while line[at] != b' ' {
            at += 1;
        }
    }
    at + 1
}

#[test]
fn nothing_is_a_pattern() {
    let server = TestServer::start();
    server.write("abc", "");
    let mut client = server.login();
    for pattern in ["*", "a*", "?bc", "[a]bc", "{abc}"] {
        client.refused(format!("NLST {pattern}"), 550);
        client.refused(format!("LIST {pattern}"), 550);
        client.refused(format!("RETR {pattern}"), 550);
        client.expect(format!("DELE {pattern}"), 550);
    }
    client
        .expect("STAT *", 550)
        .contains("Globbing not supported");
    assert!(server.exists("abc"));
}

#[test]
fn line_ends_in_names_cannot_forge_replies() {
    let server = TestServer::start();
    fs::write(path(&server, b"a\r\n226 forged"), "").unwrap();
    fs::create_dir(path(&server, b"dir\n550 forged")).unwrap();
    let mut client = server.login();
    // However such names are shown, each entry is one line, and each reply is one reply.
    for command in ["LIST", "NLST", "MLSD"] {
        assert_eq!(client.list(command).len(), 2, "{command}");
    }
    client.expect("STAT /", 213);
    client.expect_alive();
    let mut watched = server.login();
    watched.expect("MLST /", 250);
    watched.expect_alive();
}

#[test]
fn a_telnet_escaped_byte_255_is_part_of_a_name() {
    let server = TestServer::start();
    let mut client = server.login();
    // IAC IAC stands for one byte 255.
    client.put(b"STOR a\xff\xffb", "content");
    assert_eq!(on_disk(&server), [b"a\xffb"]);
    assert_eq!(client.fetch(b"RETR a\xff\xffb"), b"content");
    assert_eq!(client.fetch("NLST"), b"a\xffb\r\n");
    client.expect(b"DELE a\xff\xffb", 250);
}

#[test]
fn latin_1_is_spoken_where_it_is_asked_for() {
    let server = TestServer::with(|builder| builder.encoding(Encoding::Latin1));
    fs::write(path(&server, "gr\u{fc}n".as_bytes()), "green").unwrap();
    let mut client = server.login();
    let feat = client.expect("FEAT", 211);
    assert!(!feat.text.contains("UTF8"), "{}", feat.text);
    assert_eq!(client.fetch("NLST"), b"gr\xfcn\r\n");
    assert_eq!(client.fetch(b"RETR gr\xfcn"), b"green");
    client.put(b"STOR wei\xdf", "white");
    assert_eq!(
        fs::read(path(&server, "wei\u{df}".as_bytes())).unwrap(),
        b"white"
    );
    assert_eq!(
        client.expect(b"MKD \xe9t\xe9", 257).raw,
        b"257 \"/\xe9t\xe9\" directory created.\r\n"
    );
    client.expect(b"CWD \xe9t\xe9", 250);
    assert!(
        client
            .expect("PWD", 257)
            .raw
            .starts_with(b"257 \"/\xe9t\xe9\"")
    );
}

#[test]
fn texts_are_in_latin_1_too() {
    let server = TestServer::with(|builder| {
        let (mut users, home) = (DummyAuthorizer::new(), std::env::temp_dir());
        let user = users.add_user("j\u{fc}rg", PASSWORD, home, Perm::ALL);
        user.unwrap()
            .msg_login("Gr\u{fc}\u{df}e,\nJ\u{fc}rg.")
            .msg_quit("Tsch\u{fc}\u{df}.");
        builder
            .authorizer(users)
            .encoding(Encoding::Latin1)
            .banner("K\u{e4}se \u{bb}\u{fc}ber\u{ab}")
            .command(
                Command::new("XTXT")
                    .feat("XTXT \u{e9}")
                    .run(|_, _| Ok(Reply::new(200, "\u{e9}t\u{e9}"))),
            )
    });
    let mut client = Client::connect(server.addr());
    assert_eq!(
        client.expect_reply(220).raw,
        b"220 K\xe4se \xbb\xfcber\xab\r\n"
    );
    let features = client.expect("FEAT", 211).raw;
    assert!(
        features
            .windows(8)
            .any(|feature| feature == b"XTXT \xe9\r\n")
    );
    client.expect(b"USER j\xfcrg", 331);
    let welcome = client.expect(format!("PASS {PASSWORD}"), 230);
    assert_eq!(welcome.raw, b"230-Gr\xfc\xdfe,\r\n230 J\xfcrg.\r\n");
    let status = client.expect("STAT", 211).raw;
    assert!(status.windows(5).any(|five| five == b"j\xfcrg\r"));
    assert_eq!(client.expect("XTXT", 200).raw, b"200 \xe9t\xe9\r\n");
    assert_eq!(client.expect("QUIT", 221).raw, b"221 Tsch\xfc\xdf.\r\n");
}

#[test]
fn what_latin_1_cannot_say_is_still_listed() {
    let server = TestServer::with(|builder| builder.encoding(Encoding::Latin1));
    fs::write(path(&server, "\u{4f60}\u{597d}".as_bytes()), "x").unwrap();
    fs::write(path(&server, b"raw \xfc"), "y").unwrap();
    let mut client = server.login();
    let names = listed(&mut client, "NLST", |_| 0);
    assert_eq!(names.len(), 2);
    assert_eq!(client.list("LIST").len(), 2);
    assert_eq!(client.list("MLSD").len(), 2);
    // The name as it was listed is the name to ask for.
    for name in &names {
        assert_eq!(client.fetch(line("RETR", name)).len(), 1, "{name:?}");
    }
    for name in &names {
        client.expect(line("DELE", name), 250);
    }
    assert!(on_disk(&server).is_empty());
}

#[test]
fn long_names_and_deep_paths_end_in_replies() {
    let server = TestServer::start();
    let mut client = server.login();
    let longest = "n".repeat(255);
    client.put(format!("STOR {longest}"), "x");
    client.expect(format!("STOR {longest}x"), 550);
    client.expect(format!("MKD {longest}x"), 550);
    for _ in 0..6 {
        client.expect(&format!("MKD d{longest}")[..250], 257);
        client.expect(&format!("CWD d{longest}")[..250], 250);
    }
    client.expect("PWD", 257);
    client.put("STOR deep", "deep");
    assert_eq!(client.fetch("RETR deep"), b"deep");
    client.expect(format!("SIZE {}deep", "./".repeat(900)), 213);
}
