//! Several users at the same time: each one's files are his, whichever thread serves whom.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::{Client, sample};
use crate::users::{Group, UnixServer, User, can_make_users, public_place};

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::metadata(path).unwrap();
    (found.uid(), found.gid())
}

/// Two uploads and two downloads whose pieces alternate.
fn interleaved(slow: bool) {
    let users = [User::new(), User::new()];
    let server = UnixServer::start(|settings| settings.slow_files(slow));
    let content = sample(3_000_000);
    let mut uploads: Vec<(Client, std::net::TcpStream)> = users
        .iter()
        .map(|user| {
            let mut client = server.login(user);
            let data = client.begin("STOR upload");
            (client, data)
        })
        .collect();
    for piece in content.chunks(100_000) {
        for (_, data) in &mut uploads {
            data.write_all(piece).unwrap();
        }
    }
    for ((mut client, data), user) in uploads.into_iter().zip(&users) {
        drop(data);
        client.expect_reply(226);
        client.expect("MKD made", 257);
        let modified = client.expect("MFMT 20200101000000 upload", 213);
        modified.contains("20200101000000");
        for name in ["upload", "made"] {
            assert_eq!(owner(&user.home.join(name)), (user.uid, user.gid), "{name}");
        }
        assert!(fs::read(user.home.join("upload")).unwrap() == content);
    }
    for user in &users {
        // Nobody else's to read.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(user.home.join("upload"), mode).unwrap();
    }
    let mut downloads: Vec<(Client, std::net::TcpStream, usize)> = users
        .iter()
        .map(|user| {
            let mut client = server.login(user);
            let data = client.begin("RETR upload");
            (client, data, 0)
        })
        .collect();
    let mut piece = vec![0; 100_000];
    while downloads.iter().any(|(.., got)| *got < content.len()) {
        for (_, data, got) in &mut downloads {
            let count = data.read(&mut piece).unwrap();
            assert!(piece[..count] == content[*got..*got + count]);
            *got += count;
        }
    }
    for (mut client, data, _) in downloads {
        drop(data);
        client.expect_reply(226);
    }
}

#[test]
fn interleaved_on_the_loop() {
    if can_make_users("interleaved transfers on the loop") {
        interleaved(false);
    }
}

#[test]
fn interleaved_on_worker_threads() {
    if can_make_users("interleaved transfers on worker threads") {
        interleaved(true);
    }
}

/// A storm of small operations of many users on all threads at once.
#[test]
fn nobody_s_files_become_another_s() {
    if !can_make_users("a storm of users") {
        return;
    }
    const ROUNDS: usize = 40;
    let (group, place) = (Group::new(), public_place());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    fs::set_permissions(place.path(), mode).unwrap();
    let users: Vec<User> = (0..4).map(|_| User::with(&[&group], &[])).collect();
    for slow in [false, true] {
        let server = UnixServer::start(|users| users.whole_tree(true).slow_files(slow));
        std::thread::scope(|scope| {
            for user in &users {
                let (server, place) = (&server, place.path());
                scope.spawn(move || {
                    let mut client = server.login(user);
                    for round in 0..ROUNDS {
                        let file = format!("{}/{}-{slow}-{round}", place.display(), user.name);
                        client.put(format!("STOR {file}"), &user.name);
                        client.expect(format!("MKD {file}.d"), 257);
                        client.expect(format!("SITE CHMOD 600 {file}"), 200);
                        assert_eq!(client.fetch(format!("RETR {file}")), user.name.as_bytes());
                        assert!(client.list(format!("LIST {file}"))[0].contains(&user.name));
                        client.refused("RETR /etc/shadow", 550);
                    }
                });
            }
        });
        for user in &users {
            for round in 0..ROUNDS {
                let file = place.path().join(format!("{}-{slow}-{round}", user.name));
                assert_eq!(owner(&file), (user.uid, user.gid), "{}", file.display());
                let directory = format!("{}.d", file.display());
                assert_eq!(owner(directory.as_ref()), (user.uid, user.gid));
            }
        }
    }
}

/// An upload that is cut, and a client that leaves, leave no thread somebody else.
#[test]
fn what_is_cut_ends_the_identity_too() {
    if !can_make_users("cut transfers") {
        return;
    }
    let user = User::new();
    let server = UnixServer::start(|users| users.slow_files(true));
    for round in 0..5 {
        let mut client = server.login(&user);
        let mut data = client.begin(format!("STOR cut{round}"));
        data.write_all(&sample(200_000)).unwrap();
        crate::common::client::reset(data);
        client.expect_reply(426);
        let mut data = client.begin(format!("STOR left{round}"));
        data.write_all(&sample(200_000)).unwrap();
        drop(client);
        assert_eq!(
            owner(&user.home.join(format!("cut{round}"))),
            (user.uid, user.gid)
        );
    }
    server.record.wait_until(|events| {
        events
            .iter()
            .filter(|event| event.starts_with("disconnect"))
            .count()
            >= 5
    });
    let mut client = server.login(&user);
    client.put("STOR last", b"x");
    assert_eq!(owner(&user.home.join("last")), (user.uid, user.gid));
}
