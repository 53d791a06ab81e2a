//! File systems that are no directory of the disk, as clients see them.

use std::sync::Arc;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, FileSystem, LocalFilesystem, MemoryFilesystem,
    Overlay, Perm, ReadOnly,
};

use crate::common::{Mode, TestServer, cannot_reach_callbacks, sample};

struct Anybody(Arc<dyn FileSystem>);

impl Authorizer for Anybody {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = Arc::clone(&self.0);
        Ok(Account::new(&*credentials.username, files).perm(Perm::ALL))
    }
}

fn serve(files: impl FileSystem) -> TestServer {
    TestServer::with(|builder| builder.authorizer(Anybody(Arc::new(files))))
}

#[test]
fn memory_is_a_disk_to_a_client() {
    let server = serve(MemoryFilesystem::new());
    let mut client = server.login();
    assert_eq!(client.fetch("NLST"), b"");
    client.expect("MKD dir", 257);
    client.expect("CWD dir", 250);
    let content = sample(1_000_000);
    client.put("STOR file", &content);
    assert!(client.fetch("RETR file") == content);
    client.expect("REST 999990", 350);
    assert_eq!(client.fetch("RETR file"), &content[999_990..]);
    client.put("APPE file", "+");
    client.expect("REST 1", 350);
    client.put("STOR file", "resumed");
    client.expect("SIZE file", 213).contains("1000001");
    client.expect("MFMT 20010909014640 file", 213);
    client.expect("MDTM file", 213).contains("20010909014640");
    client.expect("SITE CHMOD 600 file", 200);
    let listing = client.list("LIST");
    assert!(listing[0].starts_with("-rw-------"), "{listing:?}");
    assert!(listing[0].contains(" ftp "), "{listing:?}");
    client
        .expect("RMD /dir", 550)
        .contains("Directory not empty");
    client.expect("RNFR file", 350);
    client.expect("RNTO /moved", 250);
    client.expect("CWD /moved", 550).contains("Not a directory");
    client.expect("DELE /moved", 250);
    client.expect("RMD /dir", 250);
    client.expect("CWD /dir", 550);
}

#[test]
fn a_full_memory_says_so_at_the_byte_that_passes_its_limit() {
    let files = MemoryFilesystem::new()
        .max_size(500_000)
        .max_file_size(300_000)
        .max_entries(2);
    let server = serve(files);
    let mut client = server.login();
    for (name, size, code, left) in [
        ("one", 300_000, 226, 300_000),
        ("two", 300_001, 452, 200_000),
        ("one", 1_000_000, 552, 300_000),
        ("two", 200_000, 226, 200_000),
    ] {
        let mut data = client.begin(format!("STOR {name}"));
        // The server may stop reading before the end.
        let _ = std::io::Write::write_all(&mut data, &sample(size));
        drop(data);
        let reply = client.reply();
        assert_eq!(reply.code, code, "{name}: {}", reply.text);
        client
            .expect(format!("SIZE {name}"), 213)
            .contains(&left.to_string());
    }
    client.expect("MKD three", 452);
    let _data = client.data(Mode::Epsv);
    client.expect("STOR three", 452);
    client.expect("DELE one", 250);
    client.expect("MKD three", 257);
}

#[test]
fn a_read_only_tree_is_read_and_nothing_else() {
    let files = MemoryFilesystem::new();
    files.write("/dir/file", "content").unwrap();
    let server = serve(ReadOnly::new(files.clone()));
    let mut client = server.login();
    assert_eq!(client.fetch("RETR dir/file"), b"content");
    for line in [
        "MKD x",
        "RMD dir",
        "DELE dir/file",
        "SITE CHMOD 777 dir/file",
        "MFMT 20010909014640 dir/file",
    ] {
        client.expect(line, 550).contains("Read-only file system");
    }
    client.expect("RNFR dir/file", 350);
    client
        .expect("RNTO x", 550)
        .contains("Read-only file system");
    for line in ["STOR x", "APPE dir/file", "STOU x"] {
        let data = client.data(Mode::Epsv);
        let mut reply = client.cmd(line);
        if reply.code < 200 {
            reply = client.reply();
        }
        assert!(matches!(reply.code, 450 | 550), "{}", reply.text);
        reply.contains("Read-only file system");
        drop(data);
    }
    assert_eq!(files.read("/dir/file").unwrap(), b"content");
    assert_eq!(client.fetch("NLST"), b"dir\r\n");
}

/// A listing of both layers that is too long for one turn, and changes that are made on the threads.
#[test]
fn an_overlay_on_a_disk_leaves_the_disk_as_it_is() {
    // (The disk is opened here, and a server's process of the tests has nothing that was open before.)
    if cannot_reach_callbacks() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for number in 0..600 {
        std::fs::write(folder.path().join(format!("{number:03}")), "below").unwrap();
    }
    let disk = LocalFilesystem::new(folder.path()).unwrap();
    let server = serve(Overlay::new(MemoryFilesystem::new(), disk));
    let mut client = server.login();
    assert_eq!(client.list("NLST").len(), 600);
    // Pipelined, so that each waits for the one before.
    client.send("DELE 000\r\nRNFR 001\r\nRNTO 000\r\nMKD 001\r\nDELE 002\r\n");
    client.expect_replies(&[250, 350, 250, 257, 250]);
    client.put("APPE 003", " and above");
    client.put("STOR new", "above");
    assert_eq!(client.fetch("RETR 003"), b"below and above");
    assert_eq!(client.fetch("RETR 000"), b"below");
    client.refused("RETR 002", 550);
    let names = client.list("NLST");
    assert_eq!(names.len(), 600);
    assert!(!names.contains(&"002".to_owned()) && names.contains(&"new".to_owned()));
    assert_eq!(client.list("LIST").len(), 600);
    assert_eq!(client.fetch("NLST 001"), b"");
    let mut left = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        assert_eq!(std::fs::read(entry.unwrap().path()).unwrap(), b"below");
        left += 1;
    }
    assert_eq!(left, 600);
}

#[test]
fn upload_policies_go_with_an_overlay() {
    let lower = MemoryFilesystem::new();
    lower.write("/dir/file", "below").unwrap();
    let files = Overlay::new(MemoryFilesystem::new().max_size(10), lower.clone());
    let server = TestServer::with(|builder| {
        builder
            .authorizer(Anybody(Arc::new(files)))
            .atomic_uploads(true)
    });
    let mut client = server.login();
    client.put("STOR dir/file", "above");
    assert_eq!(client.fetch("RETR dir/file"), b"above");
    // What is cut off for lack of room is nowhere, and the old one where it was.
    client.upload("STOR dir/file", "far too much");
    client.expect_reply(452);
    assert_eq!(client.fetch("RETR dir/file"), b"above");
    assert_eq!(client.fetch("NLST dir"), b"file\r\n");
    client.expect("ALLO 11", 202);
    let _data = client.data(Mode::Epsv);
    client.expect("STOR dir/new", 552);
    assert_eq!(lower.read("/dir/file").unwrap(), b"below");
}
