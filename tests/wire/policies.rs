//! Upload policies over real sockets and on a real disk: names that come at the end, parts that are
//! kept, files that are not replaced, quotas that all of a user's sessions share.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, Handler, Limits, LocalFilesystem, Perm, Reply,
    Session, Transferred,
};

use crate::common::client::reset;
use crate::common::{Client, TestServer};

/// What is in the home, sorted.
fn names(server: &TestServer) -> Vec<String> {
    let entries = fs::read_dir(server.home()).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// Waits for what the server does behind a client's back.
fn until(what: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !what() {
        assert!(begun.elapsed() < crate::common::PATIENCE);
        // A folder has no event to wait for here.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn half_an_upload_is_never_seen() {
    let server = TestServer::with(|builder| builder.atomic_uploads(true));
    server.write("file", "old");
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(b"ne").unwrap();
    until(|| names(&server).len() == 2);
    assert_eq!(server.read("file"), b"old");
    assert!(names(&server)[0].starts_with(".ftpdlib-"));
    data.write_all(b"w").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(
        (server.read("file"), names(&server)),
        (b"new".to_vec(), vec!["file".to_owned()])
    );

    let mut data = client.begin("STOR file");
    data.write_all(b"half").unwrap();
    reset(data);
    client.expect_reply(426);
    assert_eq!(
        (server.read("file"), names(&server).len()),
        (b"new".to_vec(), 1)
    );

    // The client goes away with all it has.
    let mut data = client.begin("STOR file");
    data.write_all(b"half").unwrap();
    until(|| names(&server).len() == 2);
    reset(data);
    drop(client);
    until(|| names(&server).len() == 1);
    assert_eq!(server.read("file"), b"new");
}

#[test]
fn a_server_that_stops_leaves_no_hidden_file() {
    let server = TestServer::with(|builder| {
        builder
            .atomic_uploads(true)
            .grace(std::time::Duration::from_millis(1))
    });
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(b"half").unwrap();
    until(|| names(&server).len() == 1);
    let home = server.stop();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_cut_upload_is_resumed() {
    let server = TestServer::with(|builder| builder.atomic_uploads(true).keep_partial(true));
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.write_all(b"01234").unwrap();
    until(|| {
        let hidden = names(&server).pop();
        hidden.is_some_and(|name| fs::metadata(server.path(&name)).is_ok_and(|it| it.len() == 5))
    });
    reset(data);
    client.expect_reply(426);
    assert_eq!(names(&server), [".file.part"]);
    assert_eq!(client.expect("SIZE file", 213).text, "213 5");
    client.expect("REST 5", 350);
    client.put("STOR file", "56789");
    assert_eq!(server.read("file"), b"0123456789");
    assert_eq!(names(&server), ["file"]);
}

/// Refuses what has a virus in it, and knows where to look.
struct Scanner;

impl Handler for Scanner {
    fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
        let content = fs::read(file.real_path()).unwrap_or_default();
        let target = file.target().to_string();
        if content.starts_with(b"virus") {
            // As scanners do that know nothing of hidden files.
            let _ = file.filesystem().remove_file(file.path());
            session.answer(Reply::new(550, format!("Infected: {target}.")));
        }
    }
}

#[test]
fn a_refused_upload_never_has_its_name_and_the_old_file_stays() {
    let server = TestServer::with(|builder| builder.atomic_uploads(true).handler(|_| Scanner));
    let mut client = server.login();
    client.put("STOR file", "clean");
    client.upload("STOR file", "virus");
    assert_eq!(client.expect_reply(550).text, "550 Infected: /file.");
    assert_eq!(
        (server.read("file"), names(&server).len()),
        (b"clean".to_vec(), 1)
    );
}

#[test]
fn nothing_is_replaced() {
    let server = TestServer::with(|builder| builder.overwrite(false));
    server.write("file", "first");
    server.mkdir("dir");
    let mut client = server.login();
    client.refused("STOR file", 550);
    client.put("STOR other", "x");
    for to in ["file", "dir", "other"] {
        client.expect("RNFR other", 350);
        assert_eq!(
            client.expect(format!("RNTO {to}"), 550).text,
            "550 File exists."
        );
    }
    client.expect("RNFR other", 350);
    client.expect("RNTO dir/new", 250);
    client.put("APPE file", " second");
    assert_eq!(server.read("file"), b"first second");
}

/// Everybody has the same home, and a quota of ten bytes.
struct Ten(std::path::PathBuf);

impl Authorizer for Ten {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = LocalFilesystem::new(&self.0).map_err(|_| AuthFailed::default())?;
        let mut limits = Limits::default();
        limits.quota_bytes = 10;
        let account = Account::new(&*credentials.username, Arc::new(files));
        Ok(account.perm(Perm::ALL).limits(limits))
    }
}

fn ann(server: &TestServer) -> Client {
    let mut client = Client::connect(server.addr());
    client.expect_reply(220);
    client.login_as("ann", "x");
    client
}

#[test]
fn all_sessions_of_a_user_share_his_quota() {
    let home = tempfile::tempdir().unwrap();
    let users = Ten(home.path().to_owned());
    fs::create_dir(home.path().join("dir")).unwrap();
    fs::write(home.path().join("dir/before"), "1234").unwrap();
    let server = TestServer::with(|builder| builder.authorizer(users));
    let (mut one, mut two) = (ann(&server), ann(&server));
    one.put("STOR a", "12345");
    two.upload("STOR b", "123");
    assert_eq!(
        two.expect_reply(552).text,
        "552 Quota exceeded; transfer aborted."
    );
    assert_eq!(fs::read(home.path().join("b")).unwrap(), b"1");
    one.expect("STOR c", 552);
    two.expect("DELE dir/before", 250);
    one.expect("ALLO 5", 202);
    one.expect("STOR c", 552);
    one.expect("ALLO 4", 202);
    one.put("STOR c", "abcd");
    drop((one, two));
    let mut again = ann(&server);
    again.expect("STOR d", 552);
    again.expect("DELE a", 250);
    again.put("STOR d", "12345");
    again.expect("APPE d", 552);
}

/// What is counted out is what was there: neither a second name of a file, nor a hole that two uploads
/// of one file make, wins anything.
#[test]
fn a_quota_is_what_is_on_the_disk() {
    let home = tempfile::tempdir().unwrap();
    let users = Ten(home.path().to_owned());
    fs::create_dir(home.path().join("dir")).unwrap();
    std::os::unix::fs::symlink("dir", home.path().join("link")).unwrap();
    let server = TestServer::with(|builder| builder.authorizer(users));
    let (mut one, mut two) = (ann(&server), ann(&server));
    one.put("STOR dir/kept", "12345");
    one.expect("RNFR dir/kept", 350);
    one.expect("RNTO link/kept", 250);
    one.expect("ALLO 6", 202);
    one.expect("STOR more", 552);

    let mut data = one.begin("STOR twice");
    data.write_all(b"1234").unwrap();
    until(|| fs::metadata(home.path().join("twice")).is_ok_and(|it| it.len() == 4));
    two.put("STOR twice", "");
    data.write_all(b"5").unwrap();
    drop(data);
    one.expect_reply(226);
    two.expect("DELE twice", 250);
    two.expect("ALLO 6", 202);
    two.expect("STOR more", 552);
    two.put("STOR more", "12345");
}

#[test]
fn a_size_that_the_disk_has_no_room_for_is_refused_at_once() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("ALLO 9223372036854775807", 202);
    assert_eq!(
        client.expect("STOR file", 552).text,
        "552 No space left on device."
    );
    assert!(!server.exists("file"));
    client.put("STOR file", "small");
}
