//! File systems that are slow, such as shares on a network: they delay their own clients only, who can leave
//! them by ABOR or by going away.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, Directory, DummyAuthorizer, File, FileSystem,
    Metadata, OpenMode, Perm, VirtualPath,
};

use crate::abort::stat_until;
use crate::common::client::{expect_data_end, reset};
use crate::common::made_up::{AllMadeUp, Gate, MadeUp, nothing_changes, refused};
use crate::common::{Mode, PASSWORD, Record, Recorder, TestServer, USER, cannot_reach_callbacks};

/// A server whose files are slow: they wait for the gate.
fn slow_files() -> (TestServer, Gate, Arc<Record>) {
    let gate = Gate::default();
    let record = Arc::new(Record::default());
    let for_handlers = Arc::clone(&record);
    let files = MadeUp {
        count: 1,
        before_gate: usize::MAX,
        gate: gate.clone(),
        slow: true,
    };
    let authorizer = AllMadeUp {
        files,
        slow_login: None,
    };
    let server = TestServer::with(|builder| {
        builder
            .authorizer(authorizer)
            .handler(move |_| Recorder(Arc::clone(&for_handlers)))
    });
    (server, gate, record)
}

#[test]
fn slow_files_delay_their_own_client_only() {
    let (server, gate, _) = slow_files();
    let (mut client, mut other) = (server.login(), server.login());
    client.send("SIZE 000000\r\nMKD dir\r\nNOOP\r\n");
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    gate.open();
    client.expect_replies(&[213, 550, 200]);
}

#[test]
fn abor_leaves_slow_files() {
    let (server, gate, _) = slow_files();
    let mut client = server.login();
    let _data = client.data(Mode::Epsv);
    client.send("LIST\r\nABOR\r\nNOOP\r\n");
    client.expect_replies(&[426, 226, 200]);
    client.send("SIZE 000000\r\n");
    server.login();
    client.send("ABOR\r\nNOOP\r\n");
    client.expect_replies(&[426, 226, 200]);
    gate.open();
    assert_eq!(client.fetch("RETR 000000").len(), 50);
}

/// Else a client could have as many jobs wait as he likes, with their files, in front of everybody else's.
#[test]
fn abor_leaves_no_more_than_a_few_jobs_behind() {
    let (server, gate, _) = slow_files();
    let (mut client, mut other) = (server.login(), server.login());
    for _ in 0..4 {
        client.send("SIZE 000000\r\nABOR\r\n");
        client.expect_replies(&[426, 226]);
    }
    client.send("SIZE 000000\r\nABOR\r\n");
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    gate.open();
    // One of those before may be done first.
    let first = client.reply();
    assert!(matches!(first.code, 213 | 426), "{first:?}");
    client.expect_reply(226);
    for _ in 0..10 {
        client.expect("SIZE 000000", 213);
    }
}

#[test]
fn abor_leaves_no_more_than_a_few_transfers_behind() {
    let (server, gate, _) = slow_files();
    let (mut client, mut other) = (server.login(), server.login());
    for left in 0..5 {
        let data = client.begin("RETR 000000");
        // Its first bytes are being read.
        gate.until_reached_by(left + 1);
        client.line("ABOR");
        if left == 4 {
            for _ in 0..20 {
                other.expect_alive();
            }
            assert!(client.is_silent());
            gate.open();
        }
        client.expect_replies(&[426, 226]);
        expect_data_end(data);
    }
    assert_eq!(client.fetch("RETR 000000").len(), 50);
}

#[test]
fn abor_with_an_argument_leaves_nothing() {
    let (server, gate, _) = slow_files();
    let mut client = server.login();
    client.send("SIZE 000000\r\nABOR now\r\nNOOP\r\n");
    server.login();
    gate.open();
    client.expect_replies(&[213, 501, 200]);
}

#[test]
fn whoever_leaves_slow_files_is_not_waited_for() {
    for (line, leave) in [
        ("SIZE 000000", drop::<std::net::TcpStream> as fn(_)),
        ("SIZE 000000", reset),
        // The result of this one is wanted; but a reset says that nobody reads it.
        ("STAT 000000", reset),
    ] {
        let (server, gate, record) = slow_files();
        let mut client = server.login();
        client.line(line);
        server.login();
        let stream = client.stream().try_clone().unwrap();
        drop(client);
        leave(stream);
        record.wait_until(|events| {
            let left = events.iter().filter(|event| *event == "disconnect").count();
            left == 2
        });
        gate.open();
    }
}

/// As many jobs as may be left behind, and one that ABOR would have to wait for.
#[test]
fn nor_is_whoever_leaves_behind_abor() {
    for leave in [drop::<std::net::TcpStream> as fn(_), reset] {
        let (server, gate, record) = slow_files();
        let mut client = server.login();
        for _ in 0..4 {
            client.send("SIZE 000000\r\nABOR\r\n");
            client.expect_replies(&[426, 226]);
        }
        client.line("SIZE 000000");
        gate.until_reached_by(5);
        let stream = client.stream().try_clone().unwrap();
        drop(client);
        leave(stream);
        record.wait_for("disconnect");

        gate.open();

        let (server, gate, record) = slow_files();
        let mut client = server.login();
        let mut transfers = Vec::new();
        for at in 1..=5 {
            transfers.push(client.begin("RETR 000000"));
            gate.until_reached_by(at);
            client.line("ABOR");
            if at < 5 {
                client.expect_replies(&[426, 226]);
            }
        }
        let stream = client.stream().try_clone().unwrap();
        drop(client);
        leave(stream);
        record.wait_for("disconnect");
        gate.open();
    }
}

#[test]
fn a_half_closed_client_still_gets_what_changes_something() {
    let (server, gate, record) = slow_files();
    let mut client = server.login();
    client.send("NOOP\r\nDELE 000000\r\n");
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    gate.open();
    client.expect_replies(&[200, 550]);
    client.expect_end();
    record.wait_for("disconnect");
}

#[test]
fn after_abor_the_next_data_connection_waits_for_no_old_job() {
    let (server, gate, _) = slow_files();
    let mut client = server.login();
    // Its first bytes are being read.
    let first = client.begin("RETR 000000");
    client.line("ABOR");
    client.expect_replies(&[426, 226]);
    drop(first);
    let mut second = client.data(Mode::Epsv);
    stat_until(&mut client, "Data connection open");
    gate.open();
    client.started("RETR 000000");
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut second, &mut content).unwrap();
    client.expect_reply(226);
    assert_eq!(content.len(), 50);
}

#[test]
fn a_slow_upload_and_download_move_everything() {
    // Many jobs in a row, on a channel that is on the loop all the while.
    let (server, gate, record) = slow_files();
    gate.open();
    let mut client = server.login();
    for _ in 0..5 {
        assert_eq!(client.fetch("RETR 000000").len(), 50);
        client.expect_alive();
    }
    assert_eq!(record.count("sent /000000 50"), 5);
}

/// A file that writes of several uploads may change, the first of which waits for the gate.
#[derive(Clone, Default)]
struct Shared {
    content: Arc<Mutex<Vec<u8>>>,
    gate: Gate,
    writes: Arc<AtomicUsize>,
}

impl FileSystem for Shared {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        Ok(match path.is_root() {
            true => Metadata::directory(0),
            false => Metadata::file(0, 0),
        })
    }

    fn open(&self, _: &VirtualPath, _: OpenMode) -> io::Result<Box<dyn File>> {
        self.content.lock().unwrap().clear();
        Ok(Box::new(Writer(self.clone(), 0)))
    }

    fn read_dir(&self, _: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        refused()
    }

    nothing_changes!();

    fn is_slow(&self) -> bool {
        true
    }
}

/// Where it writes next.
struct Writer(Shared, usize);

impl File for Writer {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        let Writer(file, at) = self;
        if file.writes.fetch_add(1, Ordering::SeqCst) == 0 {
            file.gate.pass();
        }
        let mut content = file.content.lock().unwrap();
        let end = *at + buf.len();
        let len = content.len().max(end);
        content.resize(len, 0);
        content[*at..end].copy_from_slice(buf);
        *at = end;
        Ok(())
    }

    fn seek(&mut self, _: u64) -> io::Result<()> {
        refused()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl Authorizer for Shared {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = Arc::new(self.clone());
        Ok(Account::new(&*credentials.username, files).perm(Perm::ALL))
    }
}

/// Else it could go into a file that the client has stored meanwhile, and been told that it is whole.
#[test]
fn abor_waits_for_what_is_being_written() {
    if cannot_reach_callbacks() {
        return;
    }
    let files = Shared::default();
    let server = TestServer::with(|builder| builder.authorizer(files.clone()));
    let (mut client, mut other) = (server.login(), server.login());
    let mut data = client.begin("STOR file");
    data.write_all(b"of the first one").unwrap();
    while files.writes.load(Ordering::SeqCst) == 0 {
        other.expect_alive();
    }
    client.line("ABOR");
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    files.gate.open();
    client.expect_replies(&[426, 226]);
    expect_data_end(data);
    client.put("STOR file", "second");
    assert_eq!(*files.content.lock().unwrap(), b"second");
}

#[test]
fn users_who_are_being_changed_delay_logins_only() {
    let home = tempfile::tempdir().unwrap();
    let mut users = DummyAuthorizer::new();
    users.add_user(USER, PASSWORD, &home, Perm::ALL).unwrap();
    let users = Arc::new(RwLock::new(users));
    let server = TestServer::with(|builder| builder.authorizer(Arc::clone(&users)));
    let (mut inside, mut client) = (server.login(), server.connect());
    let changing = users.write().unwrap();
    client.send(format!("USER {USER}\r\nPASS {PASSWORD}\r\n"));
    client.expect_reply(331);
    for _ in 0..20 {
        inside.expect_alive();
    }
    assert!(client.is_silent());
    drop(changing);
    client.expect_reply(230);
}
