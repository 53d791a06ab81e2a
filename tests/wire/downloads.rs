//! RETR: whole, from the middle, as text, and what stops it.

use std::fs;
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::common::{Mode, TestServer, client, sample};

/// More than all socket buffers together hold.
const BIG: u64 = 64 << 20;

#[test]
fn a_file_arrives_whole_by_every_mode() {
    let server = TestServer::start();
    let content = sample(3_000_001);
    server.write("file", &content);
    let mut client = server.login();
    for mode in Mode::ALL {
        let got = client.fetch_by(mode, "RETR file");
        assert!(got == content, "{mode:?}: {} bytes", got.len());
    }
    server.record().wait_until(|events| {
        events
            .iter()
            .filter(|event| *event == "sent /file 3000001")
            .count()
            == 4
    });
}

#[test]
fn a_file_arrives_whole_without_sendfile() {
    let server = TestServer::with(|builder| builder.use_sendfile(false));
    let content = sample(3_000_001);
    server.write("file", &content);
    let mut client = server.login();
    assert!(client.fetch("RETR file") == content);
    client.expect("REST 2999990", 350);
    assert_eq!(client.fetch("RETR file"), content[2_999_990..]);
}

#[test]
fn an_empty_file_is_a_file() {
    let server = TestServer::start();
    server.write("empty", "");
    let mut client = server.login();
    assert_eq!(client.fetch("RETR empty"), b"");
    client.expect("TYPE A", 200);
    assert_eq!(client.fetch("RETR empty"), b"");
    server.record().wait_for("sent /empty 0");
}

#[test]
fn the_data_connection_may_be_there_before_or_after() {
    let server = TestServer::start();
    server.write("file", "content");
    let mut client = server.login();
    // 150, and the client connects afterwards.
    let addr = client.passive_address(Mode::Pasv);
    client.expect("RETR file", 150);
    let mut data = client::connect(addr);
    let mut content = String::new();
    data.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    client.expect_reply(226);
    // After PORT it is there.
    let mut data = client.data(Mode::Port);
    client.expect("RETR file", 125);
    data.read_to_end(&mut Vec::new()).unwrap();
    client.expect_reply(226);
}

#[test]
fn rest_begins_in_the_middle() {
    let server = TestServer::start();
    server.write("file", "0123456789");
    let mut client = server.login();
    client
        .expect("REST 4", 350)
        .contains("Restarting at position 4");
    assert_eq!(client.fetch("RETR file"), b"456789");
    // Once.
    assert_eq!(client.fetch("RETR file"), b"0123456789");
    client.expect("REST 10", 350);
    assert_eq!(client.fetch("RETR file"), b"");
    client.expect("REST 11", 350);
    client.refused("RETR file", 554).contains("> file size");
    assert_eq!(client.fetch("RETR file"), b"0123456789");
    client.expect("REST 4", 350);
    client.expect("REST 0", 350);
    assert_eq!(client.fetch("RETR file"), b"0123456789");
}

#[test]
fn rest_takes_numbers_only_and_no_text_mode() {
    let server = TestServer::start();
    let mut client = server.login();
    for wrong in [
        "str",
        "-1",
        "10.1",
        "0x10",
        "1 2",
        "99999999999999999999999999",
    ] {
        client
            .expect(format!("REST {wrong}"), 501)
            .contains("Invalid parameter");
    }
    client.expect("REST 18446744073709551615", 350);
    client.expect("TYPE A", 200);
    client
        .expect("REST 10", 501)
        .contains("not allowed in ASCII mode");
}

#[test]
fn text_mode_sends_line_ends_of_the_network() {
    let server = TestServer::start();
    // CR LF stays, also where it falls on the end of a chunk.
    let unix = "abcde12345\n".repeat(30_000);
    let network = "abcde12345\r\n".repeat(30_000);
    server.write("unix", &unix);
    server.write("network", &network);
    server.write("mixed", "a\nb\r\nc\rd\n\n\r\n");
    let mut client = server.login();
    client.expect("TYPE A", 200);
    assert!(client.fetch("RETR unix") == network.as_bytes());
    assert!(client.fetch("RETR network") == network.as_bytes());
    assert_eq!(client.fetch("RETR mixed"), b"a\r\nb\r\nc\rd\r\n\r\n\r\n");
    client.expect("TYPE I", 200);
    assert!(client.fetch("RETR unix") == unix.as_bytes());
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let server = TestServer::start();
    server.mkdir("dir");
    let fifo = std::process::Command::new("mkfifo")
        .arg(server.path("fifo"))
        .status()
        .unwrap();
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(server.path("socket")).unwrap();
    symlink("fifo", server.path("link")).unwrap();
    let mut client = server.login();
    let mut other = server.login();
    for name in ["nope", "dir", "fifo", "socket", "link", "/"] {
        client.refused(format!("RETR {name}"), 550);
        other.expect_alive();
    }
    for name in ["dir", "fifo", "socket", "link", "/"] {
        client.refused(format!("STOR {name}"), 550);
        client.refused(format!("APPE {name}"), 550);
        other.expect_alive();
    }
    assert_eq!(client.list("LIST").len(), 4);
    client.expect("DELE fifo", 250);
}

#[test]
fn a_device_is_refused_at_once() {
    let server = TestServer::users(|users, _| {
        users
            .add_user("dev", "p", "/dev", ftpdlib::Perm::ALL)
            .unwrap();
    });
    let mut client = server.login_as("dev", "p");
    for name in ["null", "zero", "tty"] {
        client.refused(format!("RETR {name}"), 550);
    }
    client.refused("STOR null", 550);
    client.expect_alive();
}

#[test]
fn a_file_that_may_not_be_read_is_550() {
    // Root may read everything: then there is nothing to see here.
    let server = TestServer::start();
    server.write("file", "x");
    fs::set_permissions(server.path("file"), fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(server.path("file")).is_ok() {
        return;
    }
    let mut client = server.login();
    client
        .refused("RETR file", 550)
        .contains("ermission denied");
}

#[test]
fn a_client_that_stops_reading_in_the_middle_is_told_426() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    let mut client = server.login();
    let mut data = client.begin("RETR big");
    data.read_exact(&mut [0; 100_000]).unwrap();
    drop(data);
    client.expect_reply(426);
    client.expect_alive();
    server.record().wait_until(|events| {
        events
            .iter()
            .any(|event| event.starts_with("incomplete_sent /big "))
    });

    // And by a reset.
    let mut data = client.begin("RETR big");
    data.read_exact(&mut [0; 100_000]).unwrap();
    client::reset(data);
    client.expect_reply(426);
    client.expect_alive();
}

#[test]
fn a_client_that_only_shuts_its_sending_side_gets_everything() {
    let server = TestServer::start();
    let content = sample(1_000_000);
    server.write("file", &content);
    let mut client = server.login();
    let mut data = client.begin("RETR file");
    data.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    data.read_to_end(&mut got).unwrap();
    assert!(got == content);
    client.expect_reply(226);
}

#[test]
fn a_resumed_download_is_whole() {
    let server = TestServer::start();
    let content = sample(20_000_000);
    server.write("file", &content);
    let mut client = server.login();
    let mut got = vec![0; 1_000_000];
    let mut data = client.begin("RETR file");
    data.read_exact(&mut got).unwrap();
    drop(data);
    client.expect_reply(426);
    client.expect(format!("REST {}", got.len()), 350);
    got.extend(client.fetch("RETR file"));
    assert!(got == content);
}

#[test]
fn a_file_may_vanish_or_shrink_while_it_is_sent() {
    let server = TestServer::start();
    server.write_sparse("gone", BIG);
    server.write_sparse("short", BIG);
    let mut client = server.login();

    // An unlinked file is still there for who has it open.
    let mut data = client.begin("RETR gone");
    data.read_exact(&mut [0; 1000]).unwrap();
    fs::remove_file(server.path("gone")).unwrap();
    let rest = std::io::copy(&mut data, &mut std::io::sink()).unwrap();
    assert_eq!(rest, BIG - 1000);
    client.expect_reply(226);

    // A truncated one just ends; that is the whole file now, or a cut one: both may be said.
    let mut data = client.begin("RETR short");
    data.read_exact(&mut [0; 1000]).unwrap();
    fs::File::options()
        .write(true)
        .open(server.path("short"))
        .unwrap()
        .set_len(2000)
        .unwrap();
    std::io::copy(&mut data, &mut std::io::sink()).unwrap();
    let reply = client.reply();
    assert!(matches!(reply.code, 226 | 426 | 451), "{}", reply.text);
    client.expect_alive();
}

#[test]
fn a_growing_file_is_sent_with_an_end() {
    let server = TestServer::start();
    server.write("log", sample(500_000));
    let mut client = server.login();
    let mut data = client.begin("RETR log");
    let mut got = vec![0; 1000];
    data.read_exact(&mut got).unwrap();
    let mut log = fs::File::options()
        .append(true)
        .open(server.path("log"))
        .unwrap();
    std::io::Write::write_all(&mut log, b"more").unwrap();
    data.read_to_end(&mut got).unwrap();
    assert!(got.len() >= 500_000, "{}", got.len());
    assert!(got[..500_000] == sample(500_000));
    client.expect_reply(226);
}

#[test]
fn what_grows_before_data_flows_is_sent_as_it_is_then() {
    let server = TestServer::start();
    let mut client = server.login();
    // Some are sent by sendfile(2), some read and written.
    for size in [0, 10, 16 * 1024, 16 * 1024 + 1, 200_000] {
        server.write("log", sample(size));
        let addr = client.passive_address(Mode::Epsv);
        client.expect("RETR log", 150);
        let mut log = fs::File::options()
            .append(true)
            .open(server.path("log"))
            .unwrap();
        let more = sample(100_000);
        std::io::Write::write_all(&mut log, &more).unwrap();
        let mut got = Vec::new();
        client::connect(addr).read_to_end(&mut got).unwrap();
        client.expect_reply(226);
        assert!(
            got == [sample(size), more].concat(),
            "{size}: {}",
            got.len()
        );
    }
}

/// Some files of the kernel's are made as they are read, and have the size 0.
#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_size_says_nothing_is_sent_whole() {
    let all = fs::read("/proc/kallsyms").unwrap_or_default();
    if all.len() < 100_000 {
        return crate::common::skipped("/proc/kallsyms is not to be read");
    }
    let server = TestServer::users(|users, _| {
        users
            .add_user("kernel", "p", "/proc", ftpdlib::Perm::READ_ONLY)
            .unwrap();
    });
    let mut client = server.login_as("kernel", "p");
    let got = client.fetch("RETR kallsyms");
    // Symbols come and go.
    assert!(got.len() > all.len() / 2, "{}", got.len());
    assert!(got[..4096] == all[..4096]);
}

#[test]
fn what_a_client_says_on_a_downloads_connection_loses_nothing() {
    let server = TestServer::start();
    let mut client = server.login();
    for size in [10, 5_000, 200_000] {
        let content = sample(size);
        server.write("file", &content);
        let mut data = client.data(Mode::Epsv);
        std::io::Write::write_all(&mut data, b"what nobody asked for").unwrap();
        client.started("RETR file");
        let mut got = Vec::new();
        data.read_to_end(&mut got).unwrap();
        assert!(got == content, "{size}: {}", got.len());
        client.expect_reply(226);
    }
}

#[test]
fn many_clients_read_at_once() {
    let server = TestServer::start();
    let content = sample(2_000_000);
    server.write("file", &content);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = server.login();
                assert!(client.fetch("RETR file") == content);
                client.expect("QUIT", 221);
                client.expect_end();
            });
        }
    });
}

#[test]
fn a_transfer_that_waits_harms_no_other() {
    let server = TestServer::start();
    server.write_sparse("big", BIG);
    server.write("file", "content");
    let mut slow = server.login();
    let data = slow.narrow_data();
    slow.started("RETR big");
    let mut quick = server.login();
    for _ in 0..20 {
        assert_eq!(quick.fetch("RETR file"), b"content");
    }
    slow.expect_alive();
    drop(data);
    slow.expect_reply(426);
}
