//! Downloads of what is not in memory: a worker thread reads it from the disk, and nobody but its own
//! client waits.

use std::fs::File as StdFile;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ftpdlib::{
    Account, AuthFailed, Authorizer, Builder, Credentials, Directory, File, FileSystem, Metadata,
    OpenMode, Perm, VirtualPath, Workers,
};

use crate::common::client::reset;
use crate::common::made_up::{Gate, nothing_changes, refused};
use crate::common::{Client, Mode, TestServer, callbacks_are_here, sample, skipped, workers};

/// Every file of it has the same content, of which nothing is in memory: whoever reads waits for the
/// gate, which stands for the disk.
#[derive(Clone)]
struct Disk(Arc<State>);

struct State {
    content: Vec<u8>,
    /// Where the content is, too, for a file that has a descriptor.
    copy: Option<StdFile>,
    gate: Gate,
    /// What a read says instead.
    broken: bool,
    /// What was asked for on the loop and was not at hand.
    on_the_loop: Mutex<Vec<String>>,
    asked: AtomicUsize,
    open: AtomicUsize,
}

impl Disk {
    fn with(content: Vec<u8>, descriptor: bool, broken: bool) -> Disk {
        let copy = descriptor.then(|| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            file
        });
        Disk(Arc::new(State {
            content,
            copy,
            broken,
            gate: Gate::default(),
            on_the_loop: Mutex::default(),
            asked: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }))
    }

    fn new(descriptor: bool) -> Disk {
        Disk::with(sample(5_000_000), descriptor, false)
    }

    fn serve(&self, set: impl FnOnce(Builder) -> Builder) -> TestServer {
        TestServer::with(|builder| set(builder.authorizer(self.clone())))
    }
}

/// Where each client has a loop of his own, that may wait for a disk.
fn cannot_be_asked() -> bool {
    let away = !callbacks_are_here() || workers() == Workers::MultiThread;
    if away {
        skipped("each client has a loop of its own, or callbacks cannot be reached");
    }
    away
}

impl FileSystem for Disk {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        Ok(match path.is_root() {
            true => Metadata::directory(0),
            false => Metadata::file(self.0.content.len() as u64, 0),
        })
    }

    fn open(&self, _: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        if mode != OpenMode::Read {
            return refused();
        }
        self.0.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Cold {
            at: 0,
            // A position of its own, as if it had been opened once more.
            file: self.0.copy.as_ref().map(reopen).transpose()?,
            disk: self.clone(),
        }))
    }

    fn read_dir(&self, _: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        refused()
    }

    nothing_changes!();
}

fn reopen(file: &StdFile) -> io::Result<StdFile> {
    let mut copy = tempfile::tempfile()?;
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut file, &mut copy)?;
    copy.seek(SeekFrom::Start(0))?;
    Ok(copy)
}

struct Cold {
    at: usize,
    file: Option<StdFile>,
    disk: Disk,
}

impl File for Cold {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default().to_owned();
        if !name.starts_with("ftpdlib-job") {
            self.disk.0.on_the_loop.lock().unwrap().push(name);
        }
        self.disk.0.gate.pass();
        if self.disk.0.broken {
            return Err(io::Error::other("Bad sector"));
        }
        match &mut self.file {
            Some(file) => file.read(buf),
            None => {
                let count = (&self.disk.0.content[self.at..]).read(buf)?;
                self.at += count;
                Ok(count)
            }
        }
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        refused()
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.at = position as usize;
        match &mut self.file {
            Some(file) => file.seek(SeekFrom::Start(position)).map(drop),
            None => Ok(()),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.0.content.len() as u64)
    }

    /// Never, as if the system gave the memory away at once.
    fn is_at_hand(&self, _: u64, _: u64) -> Option<bool> {
        self.disk.0.asked.fetch_add(1, Ordering::SeqCst);
        Some(false)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        self.disk.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Authorizer for Disk {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = Arc::new(self.clone());
        Ok(Account::new(&*credentials.username, files).perm(Perm::ALL))
    }
}

/// Nothing comes before the disk has it, others go on, and all of it comes in the end.
fn waits_alone(disk: &Disk, server: &TestServer, text: bool, rest: usize) {
    let (mut client, mut other) = (server.login(), server.login());
    if text {
        client.expect("TYPE A", 200);
    }
    let mut data = client.data(Mode::Epsv);
    if rest > 0 {
        client.expect(format!("REST {rest}"), 350);
    }
    client.started("RETR file");
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent());
    data.set_nonblocking(true).unwrap();
    let error = data.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    data.set_nonblocking(false).unwrap();
    disk.0.gate.open();
    let mut content = Vec::new();
    data.read_to_end(&mut content).unwrap();
    client.expect_reply(226);
    let sent = &disk.0.content[rest..];
    match text {
        true => assert!(content == lines(sent)),
        false => assert!(content == sent),
    }
    client.expect_alive();
}

/// As TYPE A sends it.
fn lines(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in bytes {
        if byte == b'\n' && text.last() != Some(&b'\r') {
            text.push(b'\r');
        }
        text.push(byte);
    }
    text
}

#[test]
fn a_cold_file_delays_its_own_client_only() {
    if cannot_be_asked() {
        return;
    }
    for descriptor in [true, false] {
        for (text, rest) in [(false, 0), (false, 3_333_333), (true, 0)] {
            let disk = Disk::new(descriptor);
            waits_alone(&disk, &disk.serve(|builder| builder), text, rest);
            // `sendfile(2)` has no thread, but all that was read was read on a worker thread.
            let on_the_loop = disk.0.on_the_loop.lock().unwrap();
            match text && descriptor {
                // Read again, from memory then.
                true => assert!(!on_the_loop.is_empty()),
                false => assert_eq!(*on_the_loop, [""; 0]),
            }
        }
    }
}

#[test]
fn without_sendfile_and_with_a_limit_too() {
    if cannot_be_asked() {
        return;
    }
    for descriptor in [true, false] {
        let disk = Disk::new(descriptor);
        let server = disk.serve(|builder| builder.use_sendfile(false));
        waits_alone(&disk, &server, false, 1);
        let disk = Disk::with(sample(500_000), descriptor, false);
        let server = disk.serve(|builder| builder.write_limit(10_000_000));
        waits_alone(&disk, &server, false, 0);
    }
}

#[test]
fn the_disk_is_asked_once_for_megabytes() {
    if cannot_be_asked() {
        return;
    }
    let disk = Disk::new(true);
    disk.0.gate.open();
    let server = disk.serve(|builder| builder);
    assert_eq!(server.login().fetch("RETR file").len(), 5_000_000);
    // Three windows, and the end.
    let asked = disk.0.asked.load(Ordering::SeqCst);
    assert!((3..=5).contains(&asked), "asked {asked} times");
}

#[test]
fn abor_does_not_wait_for_the_disk() {
    if cannot_be_asked() {
        return;
    }
    for descriptor in [true, false] {
        let disk = Disk::new(descriptor);
        let server = disk.serve(|builder| builder);
        let mut client = server.login();
        let data = client.begin("RETR file");
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
        drop(data);
        client.expect_alive();
        // What the worker thread comes back with is not the next download's.
        let mut next = client.begin("RETR file");
        disk.0.gate.open();
        let mut content = Vec::new();
        next.read_to_end(&mut content).unwrap();
        assert!(content == disk.0.content);
        client.expect_reply(226);
        server.record().wait_for("incomplete_sent /file 0");
        drop((client, server));
        assert_eq!(disk.0.open.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn whoever_leaves_does_not_wait_for_the_disk() {
    if cannot_be_asked() {
        return;
    }
    let disk = Disk::new(true);
    let server = disk.serve(|builder| builder);
    for (at, leave) in [drop::<std::net::TcpStream>, reset].into_iter().enumerate() {
        let mut client = server.login();
        let data = client.begin("RETR file");
        let stream = client.stream().try_clone().unwrap();
        drop((client, data));
        leave(stream);
        server.record().wait_until(|events| {
            let left = events.iter().filter(|event| *event == "disconnect");
            left.count() > at
        });
    }
    disk.0.gate.open();
    drop(server);
    assert_eq!(disk.0.open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_server_that_stops_closes_what_waits_for_the_disk() {
    if cannot_be_asked() {
        return;
    }
    let disk = Disk::new(true);
    let server = disk.serve(|builder| builder);
    let mut client = server.login();
    let _data = client.begin("RETR file");
    let stopping = std::thread::spawn(move || server.stop());
    // The session ends though the disk has not answered.
    while !matches!(client.try_reply(), Ok(None) | Err(_)) {}
    disk.0.gate.open();
    stopping.join().unwrap();
    assert_eq!(disk.0.open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_bad_disk_fails_its_transfer() {
    if cannot_be_asked() {
        return;
    }
    for descriptor in [true, false] {
        let disk = Disk::with(sample(1000), descriptor, true);
        disk.0.gate.open();
        let server = disk.serve(|builder| builder);
        let mut client: Client = server.login();
        let mut data = client.begin("RETR file");
        assert_eq!(data.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert_eq!(
            client.expect_reply(451).text,
            "451 Bad sector; transfer aborted."
        );
        client.expect_alive();
        drop((client, server));
        assert_eq!(disk.0.open.load(Ordering::SeqCst), 0);
    }
}

/// The real thing, as far as the temporary folder is on a disk.
#[test]
#[cfg(target_os = "linux")]
fn what_the_system_dropped_from_memory_arrives_whole() {
    use rustix::fs::{Advice, fadvise};
    let server = TestServer::start();
    let content = sample(9_000_001);
    server.write("file", &content);
    let file = StdFile::open(server.path("file")).unwrap();
    file.sync_all().unwrap();
    let mut client = server.login();
    for rest in [0, 5_000_000, 9_000_000] {
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let mut data = client.data(Mode::Epsv);
        client.expect(format!("REST {rest}"), 350);
        client.started("RETR file");
        let mut got = Vec::new();
        data.read_to_end(&mut got).unwrap();
        client.expect_reply(226);
        assert!(got == content[rest..], "from {rest}");
    }
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    client.expect("TYPE A", 200);
    assert!(client.fetch("RETR file") == lines(&content));
}
