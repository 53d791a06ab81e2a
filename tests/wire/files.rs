//! Directories and files without their content: CWD to MFMT.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::common::TestServer;

fn seconds(server: &TestServer, name: &str) -> i64 {
    let modified = fs::metadata(server.path(name)).unwrap().modified().unwrap();
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

fn set_time(server: &TestServer, name: &str, time: SystemTime) {
    fs::File::options()
        .write(true)
        .open(server.path(name))
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn cwd_and_pwd() {
    let server = TestServer::start();
    server.mkdir("a/b");
    server.write("file", "");
    let mut client = server.login();
    assert_eq!(
        client.expect("PWD", 257).text,
        "257 \"/\" is the current directory."
    );
    assert_eq!(
        client.expect("CWD a", 250).text,
        "250 \"/a\" is the current directory."
    );
    client.expect("CWD b", 250);
    client.expect("PWD", 257).contains("\"/a/b\"");
    client.expect("XPWD", 257).contains("\"/a/b\"");
    client.expect("CWD ..", 250).contains("\"/a\"");
    client.expect("CWD /a/./b/../b//", 250).contains("\"/a/b\"");
    client.expect("CWD nope", 550).contains("No such file");
    client.expect("PWD", 257).contains("\"/a/b\"");
    client.expect("CWD /file", 550);
    client.expect("CWD", 250).contains("\"/\"");
    client.expect("XCWD a", 250).contains("\"/a\"");
}

#[test]
fn cdup_stops_at_the_root() {
    let server = TestServer::start();
    server.mkdir("a/b");
    let mut client = server.login();
    client.expect("CWD a/b", 250);
    client.expect("CDUP", 250).contains("\"/a\"");
    client.expect("XCUP", 250).contains("\"/\"");
    client.expect("CDUP", 250).contains("\"/\"");
    client.expect("CWD ../../..", 250).contains("\"/\"");
}

#[test]
fn cwd_tolerates_trailing_blanks_of_old_clients() {
    let server = TestServer::start();
    server.mkdir("a");
    server.mkdir("kept ");
    let mut client = server.login();
    client.expect("CWD a ", 250).contains("\"/a\"");
    client.expect("CWD /kept ", 250).contains("\"/kept \"");
}

#[test]
fn quotes_are_doubled() {
    let server = TestServer::start();
    let mut client = server.login();
    client
        .expect("MKD say \"hi\"", 257)
        .contains("\"/say \"\"hi\"\"\"");
    client.expect("CWD say \"hi\"", 250);
    client.expect("PWD", 257).contains("\"/say \"\"hi\"\"\"");
    assert!(server.path("say \"hi\"").is_dir());
}

#[test]
fn mkd_and_rmd() {
    let server = TestServer::start();
    server.write("file", "");
    let mut client = server.login();
    assert_eq!(
        client.expect("MKD a", 257).text,
        "257 \"/a\" directory created."
    );
    client.expect("XMKD /a/b", 257).contains("\"/a/b\"");
    client.expect("MKD a", 550).contains("File exists");
    client.expect("MKD no/where", 550).contains("No such file");
    client.expect("RMD a", 550).contains("not empty");
    client.expect("RMD a/b", 250);
    client.expect("XRMD a", 250);
    client.expect("RMD a", 550).contains("No such file");
    client.expect("RMD file", 550).contains("Not a directory");
    client.expect("RMD /", 550).contains("root directory");
    client.expect("RMD a/..", 550);
    assert!(server.home().is_dir());
}

#[test]
fn dele_removes_files_and_links_but_no_directories() {
    let server = TestServer::start();
    server.write("file", "x");
    server.write("target", "x");
    server.mkdir("dir");
    symlink("target", server.path("link")).unwrap();
    symlink("nowhere", server.path("dangling")).unwrap();
    let mut client = server.login();
    client.expect("DELE file", 250);
    client.expect("DELE file", 550).contains("No such file");
    client.expect("DELE dir", 550);
    client.expect("DELE link", 250);
    client.expect("DELE dangling", 250);
    assert!(server.path("dir").is_dir());
    assert!(!server.exists("link") && !server.exists("dangling") && server.exists("target"));
}

#[test]
fn renaming_files_and_directories() {
    let server = TestServer::start();
    server.write("file", "content");
    server.write("victim", "old");
    server.mkdir("dir/sub");
    let mut client = server.login();
    client.expect("RNFR file", 350);
    client.expect("RNTO dir/sub/other", 250);
    assert_eq!(server.read("dir/sub/other"), b"content");
    client.expect("RNFR dir", 350);
    client.expect("RNTO moved", 250);
    client.expect("RNFR moved/sub/other", 350);
    client.expect("RNTO victim", 250);
    assert_eq!(server.read("victim"), b"content");
}

#[test]
fn renaming_goes_wrong_in_order() {
    let server = TestServer::start();
    server.write("file", "");
    server.mkdir("dir");
    let mut client = server.login();
    client.expect("RNTO x", 503).contains("RNFR first");
    client.expect("RNFR nope", 550).contains("No such file");
    client.expect("RNTO x", 503);
    client.expect("RNFR /", 550).contains("home directory");
    client.expect("RNFR file", 350);
    client.expect("RNTO no/where", 550);
    client.expect("RNTO other", 503);
    client.expect("RNFR file", 350);
    client.expect("RNTO /", 550);
    client.expect("RNFR dir", 350);
    client.expect("RNTO dir/itself", 550);
    assert!(server.exists("file") && server.exists("dir"));
}

#[test]
fn a_dangling_link_can_be_renamed() {
    let server = TestServer::start();
    symlink("nowhere", server.path("link")).unwrap();
    let mut client = server.login();
    client.expect("RNFR link", 350);
    client.expect("RNTO other", 250);
    assert_eq!(
        fs::read_link(server.path("other")).unwrap().to_str(),
        Some("nowhere")
    );
}

#[test]
fn size_is_of_files_and_binary() {
    let server = TestServer::start();
    server.write("file", "0123456789");
    server.mkdir("dir");
    symlink("file", server.path("link")).unwrap();
    let mut client = server.login();
    assert_eq!(client.expect("SIZE file", 213).text, "213 10");
    client.expect("SIZE link", 213).contains("10");
    client.expect("SIZE dir", 550).contains("not retrievable");
    client.expect("SIZE nope", 550);
    client.expect("TYPE A", 200);
    client.expect("SIZE file", 550).contains("ASCII mode");
}

#[test]
fn sizes_beyond_four_gigabytes_are_told_right() {
    let server = TestServer::start();
    server.write_sparse("huge", 5_000_000_000);
    let mut client = server.login();
    client.expect("SIZE huge", 213).contains("5000000000");
    client.expect("MLST huge", 250).contains("size=5000000000;");
    client.expect("STAT huge", 213).contains(" 5000000000 ");
    client.expect("REST 4999999997", 350);
    assert_eq!(client.fetch("RETR huge"), [0, 0, 0]);
}

#[test]
fn mdtm_tells_the_time() {
    let server = TestServer::start();
    server.write("file", "");
    server.mkdir("dir");
    set_time(
        &server,
        "file",
        UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    );
    let mut client = server.login();
    assert_eq!(client.expect("MDTM file", 213).text, "213 20010909014640");
    client.expect("MDTM dir", 550).contains("not retrievable");
    client.expect("MDTM nope", 550).contains("not retrievable");
}

#[test]
fn times_before_1970_and_far_ahead_do_no_harm() {
    let server = TestServer::start();
    server.write("old", "");
    server.write("ahead", "");
    set_time(
        &server,
        "old",
        UNIX_EPOCH - Duration::from_secs(2_000_000_000),
    );
    set_time(
        &server,
        "ahead",
        UNIX_EPOCH + Duration::from_secs(15_000_000_000),
    );
    let mut client = server.login();
    client.expect("MDTM old", 213).contains("19060816");
    client.expect("MLST old", 250).contains("modify=19060816");
    client.expect("MDTM ahead", 213).contains("2445");
    assert_eq!(client.list("LIST").len(), 2);
    assert_eq!(client.list("MLSD").len(), 2);
    client.expect("STAT /", 213);
}

#[test]
fn mfmt_sets_the_time() {
    let server = TestServer::start();
    server.write("a file", "");
    server.mkdir("dir");
    let mut client = server.login();
    let reply = client.expect("MFMT 20170921013410 a file", 213);
    reply.contains("Modify=20170921013410").contains("/a file");
    assert_eq!(seconds(&server, "a file"), 1_505_957_650);
    client.expect("MDTM a file", 213).contains("20170921013410");

    client.expect("MFMT a", 501).contains("Syntax error");
    for time in [
        "B017092101341A",
        "20170921",
        "20171321013410",
        "20170230000000",
        "2017092101341",
    ] {
        client
            .expect(format!("MFMT {time} a file"), 550)
            .contains("Invalid time format");
    }
    client.expect("MFMT 20170921013410 nope", 550);
    assert_eq!(seconds(&server, "a file"), 1_505_957_650);
}

#[test]
fn mdtm_with_a_time_sets_it() {
    let server = TestServer::start();
    server.write("file", "");
    // A file may be named so; then it is asked for, as MDTM says.
    server.write("20170921013410 file", "");
    let mut client = server.login();
    client.expect("MDTM 20170921013411 file", 253);
    assert_eq!(seconds(&server, "file"), 1_505_957_651);
    client.expect("MDTM 20170921013411 nope", 550);
    let anonymous = &mut server.login_as("anonymous", "");
    anonymous.expect("MDTM 20000101000000 file", 550);
    assert_eq!(seconds(&server, "file"), 1_505_957_651);
}

#[test]
fn site_utime_sets_the_time() {
    let server = TestServer::start();
    server.write("a file", "");
    let mut client = server.login();
    // The form of ncftp: access, modification and creation time.
    client.expect(
        "SITE UTIME a file 20170921013410 20170921013411 20170921013412 UTC",
        200,
    );
    assert_eq!(seconds(&server, "a file"), 1_505_957_651);
    // The form of others.
    client.expect("SITE UTIME 20170921013415 a file", 200);
    assert_eq!(seconds(&server, "a file"), 1_505_957_655);
    client.expect("SITE UTIME 201709210134 a file", 200);
    assert_eq!(seconds(&server, "a file"), 1_505_957_640);
    let bad = client.cmd("SITE UTIME yesterday a file");
    assert!(matches!(bad.code, 501 | 550), "{}", bad.text);
    client.expect("SITE UTIME 20170921013410 nope", 550);
}

#[test]
fn site_chmod_takes_three_or_four_octal_digits() {
    let server = TestServer::start();
    server.write("a file", "");
    let mode = || {
        fs::metadata(server.path("a file"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    let mut client = server.login();
    for (asked, got) in [
        ("755", 0o755),
        ("0644", 0o644),
        ("600", 0o600),
        ("1777", 0o1777),
    ] {
        client.expect(format!("SITE CHMOD {asked} a file"), 200);
        assert_eq!(mode(), got);
    }
    client.expect("site chmod 640 a file", 200);
    for wrong in ["-177", "778", "foo", "77", "77777", "+644", "0o64"] {
        client
            .expect(format!("SITE CHMOD {wrong} a file"), 501)
            .contains("SITE CHMOD format");
    }
    client
        .expect("SITE CHMOD 777", 501)
        .contains("needs two arguments");
    client.expect("SITE CHMOD 777 nope", 550);
    assert_eq!(mode(), 0o640);
}

#[test]
fn a_vanished_working_directory_is_550_and_not_the_end() {
    let server = TestServer::start();
    server.mkdir("a");
    let mut client = server.login();
    client.expect("CWD a", 250);
    fs::remove_dir(server.path("a")).unwrap();
    client.refused("LIST", 550);
    client.refused("NLST", 550);
    client.refused("STOR x", 550);
    client.expect("MKD x", 550);
    client.expect("SIZE x", 550);
    client.expect("PWD", 257);
    client.expect("CWD /", 250);
    client.expect("MKD x", 257);
}

#[test]
fn a_vanished_home_is_550_and_not_the_end() {
    let server = TestServer::start();
    server.write("file", "");
    let mut client = server.login();
    fs::remove_dir_all(server.home()).unwrap();
    client.refused("LIST", 550);
    client.refused("RETR file", 550);
    client.refused("STOR file", 550);
    client.expect("MKD a", 550);
    client.expect("RNFR file", 550);
    client.expect("DELE file", 550);
    client.expect("CWD a", 550);
    client.expect_alive();
    // Someone who comes now may not get in, but he is answered.
    let mut late = server.connect();
    late.expect("USER user", 331);
    let reply = late.cmd("PASS 12345");
    assert!(matches!(reply.code, 230 | 530 | 550), "{}", reply.text);
    late.expect_alive();
    client.expect("QUIT", 221);
}
