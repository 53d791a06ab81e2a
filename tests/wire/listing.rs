//! LIST, NLST, MLSD, MLST and STAT of a path.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use crate::common::made_up::{AllMadeUp, Gate, MadeUp};
use crate::common::{Client, TestServer};

fn tree() -> TestServer {
    let server = TestServer::start();
    server.write("file", "0123456789");
    server.write(".hidden", "");
    server.mkdir("dir/sub");
    server.write("dir/inside", "");
    symlink("file", server.path("link")).unwrap();
    symlink("nowhere", server.path("dangling")).unwrap();
    let old = fs::File::options()
        .write(true)
        .open(server.path("file"))
        .unwrap();
    old.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000))
        .unwrap();
    fs::set_permissions(server.path("file"), fs::Permissions::from_mode(0o640)).unwrap();
    server
}

/// The words of the line whose last is `name`.
fn find(lines: &[String], name: &str) -> Vec<String> {
    let line = lines
        .iter()
        .find(|line| line.split_ascii_whitespace().last() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name:?} in {lines:?}"));
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn list_looks_like_ls() {
    let server = tree();
    let mut client = server.login();
    let lines = client.list("LIST");
    let names: Vec<&str> = lines
        .iter()
        .map(|line| {
            line.split(" -> ")
                .next()
                .unwrap()
                .split(' ')
                .next_back()
                .unwrap()
        })
        .collect();
    assert_eq!(
        names,
        [".hidden", "dangling", "dir", "file", "link"],
        "sorted, all, no dots"
    );

    let file = find(&lines, "file");
    assert_eq!(file[0], "-rw-r-----");
    assert_eq!(file[1], "1");
    assert_eq!(file[4..], ["10", "Sep", "09", "2001", "file"]);
    let dir = find(&lines, "dir");
    assert!(dir[0].starts_with("drwx"), "{dir:?}");
    assert_eq!(dir.len(), 9);
    // What is younger than six months shows the time of day.
    assert!(find(&lines, ".hidden")[7].contains(':'), "{lines:?}");

    let link = lines.iter().find(|line| line.contains("link")).unwrap();
    assert!(
        link.starts_with('l') && link.ends_with("link -> file"),
        "{link}"
    );
    let dangling = lines.iter().find(|line| line.contains("dangling")).unwrap();
    assert!(
        dangling.starts_with('l') && dangling.ends_with("dangling -> nowhere"),
        "{dangling}"
    );
}

#[test]
fn a_link_that_leads_nowhere_is_listed_by_itself() {
    let server = tree();
    symlink("loop", server.path("loop")).unwrap();
    symlink(server.path("around"), server.path("around")).unwrap();
    symlink("/etc", server.path("out")).unwrap();
    let mut client = server.login();
    for name in ["dangling", "loop", "around"] {
        let lines = client.list(format!("LIST {name}"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with('l'), "{lines:?}");
        assert_eq!(client.list(format!("NLST {name}")), [name]);
        client.expect(format!("STAT {name}"), 213).contains(name);
    }
    client.refused("LIST out", 550);
    client.expect("STAT out", 550);
}

#[test]
fn list_takes_a_path_and_options_of_ls() {
    let server = tree();
    let mut client = server.login();
    let all = client.list("LIST");
    for same in [
        "LIST /",
        "LIST .",
        "LIST -a",
        "LIST -l",
        "LIST -al",
        "LIST -la",
        "LIST -aL",
        "LIST -a -l",
        "LIST -la /",
    ] {
        assert_eq!(client.list(same), all, "{same}");
    }
    assert_eq!(client.list("LIST dir").len(), 2);
    assert_eq!(client.list("LIST -la dir").len(), 2);
    let one = client.list("LIST file");
    assert_eq!(one.len(), 1);
    assert!(one[0].ends_with(" file"), "{one:?}");
    assert_eq!(client.list("LIST dir/sub"), Vec::<String>::new());
    client.refused("LIST nope", 550).contains("No such file");
    client.expect("CWD dir", 250);
    assert_eq!(client.list("LIST").len(), 2);
    assert_eq!(client.list("LIST -a").len(), 2);
}

#[test]
fn a_file_that_is_named_like_an_option_is_listed() {
    let server = tree();
    server.write("-la", "");
    server.mkdir("-a");
    let mut client = server.login();
    let one = client.list("LIST -la");
    assert!(one.len() == 1 && one[0].ends_with(" -la"), "{one:?}");
    assert_eq!(client.list("LIST -a"), Vec::<String>::new());
    assert!(client.list("LIST -l").len() > 2);
}

#[test]
fn nlst_gives_names_only() {
    let server = tree();
    let mut client = server.login();
    let names = [".hidden", "dangling", "dir", "file", "link"];
    for line in ["NLST", "NLST /", "NLST .", "NLST -1", "NLST -a", "NLST -la"] {
        assert_eq!(client.list(line), names, "{line}");
    }
    assert_eq!(client.list("NLST dir"), ["inside", "sub"]);
    assert_eq!(client.list("NLST file"), ["file"]);
    assert_eq!(client.list("NLST dir/sub"), Vec::<String>::new());
    client.refused("NLST nope", 550).contains("No such file");
}

/// The facts of a line of MLSD or MLST, and its name.
fn facts(line: &str) -> (Vec<(String, String)>, String) {
    let (facts, name) = line.split_once(' ').unwrap();
    let facts = facts.strip_suffix(';').unwrap_or(facts);
    let pairs = facts.split(';').filter(|fact| !fact.is_empty());
    let pairs = pairs.map(|fact| fact.split_once('=').unwrap());
    (
        pairs
            .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
            .collect(),
        name.to_owned(),
    )
}

fn fact(line: &str, wanted: &str) -> String {
    let (facts, _) = facts(line);
    let found = facts.into_iter().find(|(key, _)| key == wanted);
    found.unwrap_or_else(|| panic!("no {wanted} in {line:?}")).1
}

#[test]
fn mlsd_gives_facts() {
    let server = tree();
    let mut client = server.login();
    let lines = client.list("MLSD");
    let line = |name: &str| {
        let suffix = format!(" {name}");
        lines
            .iter()
            .find(|line| line.ends_with(&suffix))
            .expect("a line")
            .clone()
    };
    assert_eq!(fact(&line("file"), "type"), "file");
    assert_eq!(fact(&line("file"), "size"), "10");
    assert_eq!(fact(&line("file"), "modify"), "20010909014640");
    assert!(fact(&line("file"), "perm").contains('r'));
    assert_eq!(fact(&line("dir"), "type"), "dir");
    // A link is what it leads to; `unique` tells that both are the same.
    assert_eq!(fact(&line("link"), "type"), "file");
    assert_eq!(fact(&line("link"), "unique"), fact(&line("file"), "unique"));
    assert_ne!(fact(&line("dir"), "unique"), fact(&line("file"), "unique"));

    assert_eq!(client.list("MLSD /"), lines);
    assert_eq!(client.list("MLSD dir").len(), 2);
    assert_eq!(
        client.list("MLSD dir ").len(),
        2,
        "trailing blanks are tolerated"
    );
    assert_eq!(client.list("MLSD dir/sub"), Vec::<String>::new());
    client.refused("MLSD file", 501);
    let reply = client.cmd("MLSD nope");
    assert!(matches!(reply.code, 501 | 550), "{}", reply.text);
}

#[test]
fn mlst_is_about_one_path() {
    let server = tree();
    let mut client = server.login();
    let line = |client: &mut Client, command: &str| {
        let reply = client.expect(command, 250);
        let body = reply.body();
        assert_eq!(body.len(), 1, "{:?}", reply.text);
        body[0].to_owned()
    };
    let root = line(&mut client, "MLST");
    assert!(root.starts_with(' ') && root.ends_with(" /"), "{root:?}");
    assert_eq!(line(&mut client, "MLST /"), root);
    assert!(root.contains("type=dir;"));
    let file = line(&mut client, "MLST file");
    assert!(
        file.contains("type=file;") && file.ends_with(" /file"),
        "{file:?}"
    );
    client.expect("CWD dir", 250);
    assert!(line(&mut client, "MLST inside").ends_with(" /dir/inside"));
    assert!(line(&mut client, "MLST").ends_with(" /dir"));
    client.expect("MLST nope", 550).contains("No such file");
}

#[test]
fn opts_mlst_chooses_facts() {
    let server = tree();
    let mut client = server.login();
    let offered = |client: &mut Client| {
        let feat = client.expect("FEAT", 211);
        let line = feat
            .body()
            .into_iter()
            .find(|line| line.starts_with(" MLST "))
            .map(str::to_owned);
        line.expect("MLST in FEAT")
    };
    assert!(offered(&mut client).contains("type*;perm*;size*;modify*;"));
    assert_eq!(
        client.expect("OPTS MLST type;", 200).text,
        "200 MLST OPTS type;"
    );
    assert_eq!(
        client.expect("opts mLSt TypE;", 200).text,
        "200 MLST OPTS type;"
    );
    assert!(offered(&mut client).contains("type*;perm;size;modify;"));
    assert_eq!(client.expect("MLST", 250).body(), [" type=dir; /"]);
    assert_eq!(
        client.list("MLSD dir"),
        ["type=file; inside", "type=dir; sub"]
    );

    assert_eq!(
        client.expect("OPTS MLST", 200).text.trim_end(),
        "200 MLST OPTS"
    );
    assert!(!offered(&mut client).contains('*'));
    // Without facts there are two blanks before the path (RFC 3659, 7.2).
    assert_eq!(client.expect("MLST", 250).body(), ["  /"]);
    let reply = client.expect("OPTS MLST fish;cakes;type;", 200);
    assert_eq!(reply.text, "200 MLST OPTS type;");
    client
        .expect("OPTS MLST bad_fact", 501)
        .contains("Invalid argument");
    client.expect("OPTS MLST type ;", 501);

    let all = offered(&mut client).replace('*', "");
    let all = all.strip_prefix(" MLST ").unwrap();
    client.expect(format!("OPTS MLST {all}"), 200);
    let reply = client.expect("MLST file", 250);
    let line = reply.body()[0].trim_start().to_owned();
    for wanted in all
        .split(';')
        .filter(|fact| !fact.is_empty() && *fact != "create")
    {
        fact(&line, wanted);
    }
    // Octal without a letter, as all clients expect it.
    assert_eq!(fact(&line, "unix.mode"), "0640");
}

#[test]
fn stat_lists_over_the_control_connection() {
    let server = tree();
    let mut client = server.login();
    let listed = client.list("LIST");
    let stat = client.expect("STAT /", 213);
    let lines: Vec<&str> = stat.body();
    assert_eq!(lines, listed);
    assert_eq!(
        client.expect("STAT dir/sub", 213).body(),
        Vec::<&str>::new()
    );
    assert_eq!(client.expect("STAT file", 213).body().len(), 1);
    client.expect("STAT nope", 550).contains("No such file");
    client.expect("STAT *", 550).contains("Globbing");
    client.expect_alive();
}

#[test]
fn stat_of_a_long_listing_is_one_reply_between_others() {
    let server = TestServer::start();
    server.mkdir("many");
    for at in 0..2000 {
        server.write(&format!("many/{at:04}"), "");
    }
    let mut client = server.login();
    client.send("NOOP\r\nSTAT many\r\nPWD\r\n");
    client.expect_reply(200);
    assert_eq!(client.expect_reply(213).body().len(), 2000);
    client.expect_reply(257);
}

#[test]
fn listings_are_the_same_in_text_mode_and_by_every_mode() {
    let server = tree();
    let mut client = server.login();
    let binary = client.fetch("LIST");
    client.expect("TYPE A", 200);
    for mode in crate::common::Mode::ALL {
        assert_eq!(client.fetch_by(mode, "LIST"), binary, "{mode:?}");
    }
}

#[test]
fn a_directory_of_thousands_is_complete_and_sorted() {
    let server = TestServer::start();
    let mut names: Vec<String> = (0..5000).map(|at| format!("file-{at}")).collect();
    for name in &names {
        server.write(name, "");
    }
    names.sort();
    let mut client = server.login();
    assert_eq!(client.list("NLST"), names);
    let last_words = |lines: Vec<String>| -> Vec<String> {
        lines
            .iter()
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(last_words(client.list("LIST")), names);
    let mut mlsd = last_words(client.list("MLSD"));
    mlsd.sort();
    assert_eq!(mlsd, names);
}

#[test]
fn every_line_of_megabytes_has_the_facts_of_its_name() {
    let server = TestServer::start();
    let mut files: Vec<(String, usize)> = (0..10_000)
        .map(|at| (format!("{}-{at}", "long".repeat(50)), at % 7))
        .collect();
    for (name, size) in &files {
        server.write(name, &"1234567"[..*size]);
    }
    files.sort();
    let mut client = server.login();
    let listed: Vec<(String, usize)> = client
        .list("LIST")
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[8].to_owned(), words[4].parse().unwrap())
        })
        .collect();
    assert!(listed == files);
    let listed: Vec<(String, usize)> = client
        .list("MLSD")
        .iter()
        .map(|line| (facts(line).1, fact(line, "size").parse().unwrap()))
        .collect();
    assert!(listed == files);
}

const HUGE: usize = 200_000;

fn made_up(files: MadeUp) -> TestServer {
    TestServer::with(|builder| {
        builder.authorizer(AllMadeUp {
            files,
            slow_login: None,
        })
    })
}

/// A directory of which most names come when the gate is open.
fn huge() -> (TestServer, Gate) {
    let gate = Gate::default();
    let files = MadeUp {
        count: HUGE,
        before_gate: 10_000,
        gate: gate.clone(),
        slow: false,
    };
    (made_up(files), gate)
}

/// The rest of the listing is not given before another client has had its answer.
#[test]
fn a_huge_listing_keeps_nobody_waiting() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let (server, gate) = huge();
    let mut other = server.login();
    for command in ["LIST", "NLST", "MLSD"] {
        let mut client = server.login();
        let mut data = client.begin(command);
        other.expect_alive();
        other.expect("PWD", 257);
        gate.open();
        let mut listing = Vec::new();
        data.read_to_end(&mut listing).unwrap();
        client.expect_reply(226);
        assert_eq!(
            listing.iter().filter(|&&byte| byte == b'\n').count(),
            HUGE,
            "{command}"
        );
    }
}

#[test]
fn a_huge_listing_can_be_aborted_and_left() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let (server, gate) = huge();
    let mut client = server.login();
    let data = client.begin("LIST");
    client.line("ABOR");
    gate.open();
    client.expect_replies(&[426, 226]);
    drop(data);
    client.expect_alive();

    let mut leaves = server.login();
    let data = leaves.begin("LIST");
    drop((leaves, data));
    server.record().wait_for("disconnect");
    client.expect_alive();
}

#[test]
fn a_slow_file_system_keeps_only_its_own_client_waiting() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let gate = Gate::default();
    let server = made_up(MadeUp {
        count: 3,
        before_gate: usize::MAX,
        gate: gate.clone(),
        slow: true,
    });
    let mut other = server.login();
    let mut client = server.login();
    let mut reader = server.login();
    // Their replies come in order, when there are any.
    client.send("CWD /\r\nNOOP\r\nSIZE 000001\r\n");
    let mut data = reader.data(crate::common::Mode::Epsv);
    reader.line("RETR 000001");
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    gate.open();
    client.expect_replies(&[250, 200, 213]);
    let reply = reader.reply();
    assert!(matches!(reply.code, 125 | 150), "{}", reply.text);
    let mut content = Vec::new();
    data.read_to_end(&mut content).unwrap();
    assert_eq!(content, [b'x'; 50]);
    reader.expect_reply(226);
    assert_eq!(client.list("NLST"), ["000000", "000001", "000002"]);
}

#[test]
fn errors_of_a_made_up_file_system_are_told() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let server = made_up(MadeUp {
        count: 3,
        before_gate: usize::MAX,
        gate: Gate::default(),
        slow: false,
    });
    let mut client = server.login();
    assert_eq!(client.fetch("RETR 000001"), [b'x'; 50]);
    client.expect("REST 48", 350);
    assert_eq!(client.fetch("RETR 000001"), b"xx");
    client.expect("DELE 000001", 550);
    client.expect("MKD x", 550);
    let data = client.data(crate::common::Mode::Epsv);
    let reply = client.cmd("STOR 000001");
    if reply.code < 200 {
        client.expect_reply(550);
    } else {
        assert_eq!(reply.code, 550, "{}", reply.text);
    }
    drop(data);
    client.expect_alive();
}
