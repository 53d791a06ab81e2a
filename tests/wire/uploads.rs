//! STOR, APPE, STOU, REST and ALLO; and that 226 means every byte is written.

use std::fs;
use std::io::Write;

use crate::common::{Mode, TestServer, client, sample};

#[test]
fn a_file_is_stored_whole_by_every_mode() {
    let server = TestServer::start();
    let content = sample(3_000_001);
    let mut client = server.login();
    for (at, mode) in Mode::ALL.into_iter().enumerate() {
        client.put_by(mode, format!("STOR file{at}"), &content);
        assert!(server.read(&format!("file{at}")) == content, "{mode:?}");
        server
            .record()
            .wait_for(&format!("received /file{at} 3000001"));
    }
}

#[test]
fn storing_replaces_what_was_there() {
    let server = TestServer::start();
    server.write("file", sample(1000));
    let mut client = server.login();
    client.put("STOR file", "short");
    assert_eq!(server.read("file"), b"short");
    client.put("STOR file", "");
    assert_eq!(server.read("file"), b"");
    server.record().wait_for("received /file 0");
}

#[test]
fn nothing_over_nothing_is_stored_now() {
    let server = TestServer::start();
    server.write("empty", "");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(server.path("empty"));
    file.unwrap().set_modified(long_ago).unwrap();
    let mut client = server.login();
    client.expect("MDTM empty", 213).contains("20010909014640");
    client.put("STOR empty", "");
    let found = fs::metadata(server.path("empty")).unwrap();
    assert_ne!(found.modified().unwrap(), long_ago);
}

#[test]
fn the_data_connection_may_come_after_the_command() {
    let server = TestServer::start();
    let mut client = server.login();
    let addr = client.passive_address(Mode::Epsv);
    client.expect("STOR file", 150);
    let mut data = client::connect(addr);
    data.write_all(b"content").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"content");
}

#[test]
fn what_was_sent_before_the_command_counts_too() {
    let server = TestServer::start();
    let mut client = server.login();
    let mut data = client.data(Mode::Epsv);
    data.write_all(b"early ").unwrap();
    client.expect_alive();
    client.started("STOR file");
    data.write_all(b"late").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"early late");

    // Even if it is all there and ended before.
    let mut data = client.data(Mode::Epsv);
    data.write_all(b"all of it").unwrap();
    drop(data);
    client.expect_alive();
    client.started("STOR file");
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"all of it");
}

#[test]
fn appe_appends_and_creates() {
    let server = TestServer::start();
    let mut client = server.login();
    client.put("APPE log", "one ");
    client.put("APPE log", "two ");
    // Really at the end, whoever else writes meanwhile.
    let mut data = client.begin("APPE log");
    fs::File::options()
        .append(true)
        .open(server.path("log"))
        .unwrap()
        .write_all(b"and ")
        .unwrap();
    data.write_all(b"three").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("log"), b"one two and three");
}

#[test]
fn rest_resumes_an_upload() {
    let server = TestServer::start();
    let mut client = server.login();
    client.put("STOR file", "0123456789");
    client.expect("REST 11", 350);
    client.refused("STOR file", 554).contains("> file size");
    client.expect("REST 4", 350);
    client.put("STOR file", "abc");
    assert_eq!(server.read("file"), b"0123abc789");
    client.expect("REST 10", 350);
    client.put("STOR file", "more");
    assert_eq!(server.read("file"), b"0123abc789more");

    client.expect("REST 10", 350);
    client.refused("STOR nope", 550).contains("No such file");
    assert!(!server.exists("nope"));
    // The mark is used up.
    client.put("STOR nope", "x");
    assert_eq!(server.read("nope"), b"x");
}

#[test]
fn rest_makes_no_sense_for_appe_and_stou() {
    let server = TestServer::start();
    server.write("file", "0123456789");
    let mut client = server.login();
    client.expect("REST 4", 350);
    client
        .expect("APPE file", 450)
        .contains("Can't APPE while REST");
    client.expect("REST 4", 350);
    client.expect("STOU", 450).contains("Can't STOU while REST");
    client.expect("REST 0", 350);
    client.put("APPE file", "x");
    assert_eq!(server.read("file"), b"0123456789x");
}

#[test]
fn stou_makes_names_of_its_own() {
    let server = TestServer::start();
    server.mkdir("dir");
    let mut client = server.login();
    let mut names = Vec::new();
    for (line, start) in [("STOU", "ftpd."), ("STOU", "ftpd."), ("STOU mine", "mine.")] {
        let mut data = client.data(Mode::Epsv);
        let reply = client.started(line);
        let name = reply
            .text
            .split("FILE: ")
            .nth(1)
            .expect("a name")
            .to_owned();
        assert!(name.starts_with(start), "{name}");
        data.write_all(name.as_bytes()).unwrap();
        drop(data);
        client.expect_reply(226);
        assert_eq!(server.read(&name), name.as_bytes());
        names.push(name);
    }
    names.dedup();
    assert_eq!(names.len(), 3);
    let before = fs::read_dir(server.path("dir")).unwrap().count();
    client.put("STOU dir/x", "in there");
    assert_eq!(
        fs::read_dir(server.path("dir")).unwrap().count(),
        before + 1
    );
    client.refused("STOU nope/x", 450);
}

#[test]
fn a_refused_stou_leaves_no_orphan() {
    let server = TestServer::start();
    let mut client = server.login_as("anonymous", "");
    client.refused("STOU", 550);
    client.refused("STOU x", 550);
    assert_eq!(fs::read_dir(server.home()).unwrap().count(), 0);
}

#[test]
fn text_mode_stores_line_ends_of_the_system() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("TYPE A", 200);
    client.put("STOR big", "abcde12345\r\n".repeat(30_000));
    assert!(server.read("big") == "abcde12345\n".repeat(30_000).as_bytes());
    client.put("STOR mixed", "a\r\nb\nc\rd\r\r\n\r");
    assert_eq!(server.read("mixed"), b"a\nb\nc\rd\r\n\r");
    client.put("APPE mixed", "\r\nend");
    assert_eq!(server.read("mixed"), b"a\nb\nc\rd\r\n\r\nend");
}

#[test]
fn a_line_end_may_be_cut_in_two() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("TYPE A", 200);
    let mut data = client.begin("STOR file");
    data.set_nodelay(true).unwrap();
    for piece in ["\r", "\n foo ", "\r", "\n b", "ar\r", "x\r", "\r", "\n"] {
        data.write_all(piece.as_bytes()).unwrap();
        // A reply on the other channel: the server had its turn.
        client.expect_alive();
    }
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"\n foo \n bar\rx\r\n");
}

#[test]
fn a_reset_is_never_a_finished_upload() {
    let server = TestServer::start();
    let mut client = server.login();
    for command in ["STOR file", "APPE file", "STOU file"] {
        // A few bytes may be taken when the reset has come already.
        for size in [100_000, 1, 1000, 2] {
            let mut data = client.begin(command);
            data.write_all(&sample(size)).unwrap();
            client::reset(data);
            client.expect_reply(426);
            client.expect_alive();
        }
    }
    let events = server.record().wait_until(|events| {
        events
            .iter()
            .filter(|event| event.starts_with("incomplete_received /file"))
            .count()
            == 12
    });
    assert!(
        !events.iter().any(|event| event.starts_with("received ")),
        "{events:?}"
    );
}

/// A read stops at urgent data, as it does where nothing more is there.
#[test]
fn urgent_data_is_not_where_an_upload_ends() {
    let server = TestServer::start();
    let mut client = server.login();
    for round in 0..20 {
        // All of it is there when the server looks, or some comes later.
        let mut data = match round % 2 {
            0 => client.begin("STOR file"),
            _ => client.data(Mode::Epsv),
        };
        data.set_nodelay(true).unwrap();
        data.write_all(b"begin ").unwrap();
        socket2::SockRef::from(&data)
            .send_out_of_band(b"!")
            .unwrap();
        data.write_all(&sample(500)).unwrap();
        drop(data);
        if round % 2 == 1 {
            client.started("STOR file");
        }
        client.expect_reply(226);
        assert_eq!(server.read("file"), [b"begin ", &sample(500)[..]].concat());
    }
}

#[test]
fn allo_declares_the_size_of_the_next_upload() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("ALLO 7", 202);
    client.put("STOR exact", "content");

    for (line, content) in [
        ("STOR short", "conten"),
        ("STOR long", "content!"),
        ("APPE x", ""),
    ] {
        client.expect("ALLO 7", 202);
        let mut data = client.begin(line);
        data.write_all(content.as_bytes()).unwrap();
        drop(data);
        client.expect_reply(426);
    }
    server.record().wait_for("incomplete_received /short 6");
    server.record().wait_for("incomplete_received /x 0");
    client.expect_alive();

    // It holds once,
    client.put("STOR exact", "another size");
    // the last one counts,
    client.expect("ALLO 100", 202);
    client.expect("ALLO 3", 202);
    client.put("STOR exact", "abc");
    // and what is no number says nothing.
    client.expect("ALLO x", 202);
    client.put("STOR exact", "abcd");
}

#[test]
fn nothing_changes_on_the_disk_before_data_can_flow() {
    let server = TestServer::with(|builder| builder.passive_timeout(crate::common::SHORT));
    server.write("file", "old");
    let mut client = server.login();

    // Aborted before the connection,
    client.send("EPSV\r\nSTOR file\r\nABOR\r\n");
    client.expect_replies(&[229, 150, 426, 226]);
    assert_eq!(server.read("file"), b"old");
    // never connected,
    client.begin_unconnected("STOR file");
    client.expect_reply(425);
    client.expect_alive();
    assert_eq!(server.read("file"), b"old");
    // and gone.
    client.begin_unconnected("STOR new");
    drop(client);
    server.record().wait_for("disconnect");
    assert_eq!(server.read("file"), b"old");
    assert!(!server.exists("new"));
}

#[test]
fn a_new_passive_socket_serves_the_transfer_that_waits() {
    let server = TestServer::apart();
    server.write("file", "old");
    let mut client = server.login();
    let first = client.passive_address(Mode::Epsv);
    client.expect("STOR file", 150);
    let second = client.passive_address(Mode::Epsv);
    assert!(client::is_refused(first), "both listen");
    assert_eq!(server.read("file"), b"old");
    let mut data = client::connect(second);
    data.write_all(b"new").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"new");
}

#[test]
fn the_wrong_folder_is_told_before_any_byte() {
    let server = TestServer::start();
    server.write("file", "");
    let mut client = server.login();
    client
        .refused("STOR no/where", 550)
        .contains("No such file");
    client.refused("STOR file/below", 550);
    client.refused("APPE no/where", 550);
    client.refused("STOR", 501);
}

#[test]
fn a_second_transfer_while_one_runs_is_450_and_harms_neither() {
    let server = TestServer::start();
    server.write("other", "other");
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(b"first ").unwrap();
    for line in [
        "RETR other",
        "STOR other",
        "APPE other",
        "STOU",
        "LIST",
        "NLST",
        "MLSD",
        "PASV",
        "EPSV",
    ] {
        client.expect(line, 450);
    }
    let listener = client.listen();
    let addr = listener.local_addr().unwrap();
    client.expect(client::port_command(addr), 450);
    client.expect(client::eprt_command(addr), 450);
    data.write_all(b"second").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file"), b"first second");
    assert_eq!(server.read("other"), b"other");
    assert_eq!(client.fetch("RETR other"), b"other");
}

#[test]
fn the_folder_may_vanish_under_an_upload() {
    let server = TestServer::start();
    server.mkdir("dir");
    let mut client = server.login();
    let mut data = client.begin("STOR dir/file");
    data.write_all(b"some").unwrap();
    client.expect_alive();
    let _ = fs::remove_dir_all(server.path("dir"));
    data.write_all(b" more").unwrap();
    drop(data);
    let reply = client.reply();
    assert!(
        matches!(reply.code, 226 | 426 | 451 | 550),
        "{}",
        reply.text
    );
    client.expect_alive();
}

#[test]
fn the_real_path_reaches_the_callback() {
    struct Real(std::sync::Arc<crate::common::Record>);
    impl ftpdlib::Handler for Real {
        fn on_file_received(&mut self, _: &mut ftpdlib::Session<'_>, file: &ftpdlib::Transferred) {
            let path = file.real_path().display();
            let known = if file.seconds() >= 0.0 { "timed" } else { "" };
            self.0.add(format!("{} {path} {known}", file.command()));
        }
    }
    let record = crate::common::record();
    let for_handlers = record.clone();
    let server = TestServer::with(|builder| builder.handler(move |_| Real(for_handlers.clone())));
    server.mkdir("dir");
    let mut client = server.login();
    client.expect("CWD dir", 250);
    client.put("STOR file", "x");
    let real = server.path("dir/file").canonicalize().unwrap();
    record.wait_until(|events| !events.is_empty());
    let event = record.all().remove(0);
    let path = event
        .strip_prefix("STOR ")
        .and_then(|rest| rest.strip_suffix(" timed"))
        .unwrap();
    assert_eq!(std::path::Path::new(path).canonicalize().unwrap(), real);
}
