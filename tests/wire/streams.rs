//! Files whose bytes come at somebody else's pace: their downloads wait for them, and nobody else.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Waker;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, Directory, File, FileSystem, Metadata, OpenMode,
    Perm, VirtualPath,
};

use crate::common::made_up::{nothing_changes, refused};
use crate::common::{PATIENCE, TestServer, cannot_reach_callbacks};

/// Every file of it is a download of what the test lets come.
#[derive(Clone, Default)]
struct Taps(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    ended: bool,
    wakers: Vec<Waker>,
    opened: usize,
    dropped: usize,
}

impl Taps {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.0.lock().unwrap();
        change(&mut state);
        state.wakers.iter().for_each(Waker::wake_by_ref);
        self.0.1.notify_all();
    }

    fn wait_until(&self, enough: impl Fn(&State) -> bool) {
        let state = self.0.0.lock().unwrap();
        let waited = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| !enough(state));
        assert!(enough(&waited.unwrap().0));
    }
}

impl FileSystem for Taps {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        Ok(match path.is_root() {
            true => Metadata::directory(0),
            false => Metadata::file(0, 0),
        })
    }

    fn open(&self, _: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        if mode != OpenMode::Read {
            return refused();
        }
        self.change(|state| state.opened += 1);
        Ok(Box::new(Tap(self.clone())))
    }

    fn read_dir(&self, _: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        refused()
    }

    nothing_changes!();
}

struct Tap(Taps);

impl File for Tap {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.0.0.lock().unwrap();
        match (state.bytes.is_empty(), state.ended) {
            (false, _) => state.bytes.read(buf),
            (true, true) => Ok(0),
            (true, false) => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn wake_by(&mut self, waker: &Waker) {
        self.0.0.0.lock().unwrap().wakers.push(waker.clone());
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        refused()
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

impl Drop for Tap {
    fn drop(&mut self) {
        self.0.change(|state| state.dropped += 1);
    }
}

impl Authorizer for Taps {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = Arc::new(self.clone());
        Ok(Account::new(&*credentials.username, files).perm(Perm::ALL))
    }
}

fn taps() -> (TestServer, Taps) {
    let taps = Taps::default();
    let server = TestServer::with(|builder| builder.authorizer(taps.clone()));
    (server, taps)
}

#[test]
fn a_download_comes_as_its_bytes_come() {
    if cannot_reach_callbacks() {
        return;
    }
    let (server, taps) = taps();
    let (mut client, mut other) = (server.login(), server.login());
    let mut data = client.begin("RETR tap");
    let mut piece = [0; 5];
    for turn in 0..100 {
        other.expect_alive();
        let text = format!("{turn:05}");
        taps.change(|state| state.bytes.extend(text.as_bytes()));
        data.read_exact(&mut piece).unwrap();
        assert_eq!(piece, text.as_bytes());
    }
    // More at once than a socket takes.
    let much = vec![b'x'; 3_000_000];
    taps.change(|state| state.bytes.extend(&much));
    taps.change(|state| state.ended = true);
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).unwrap();
    client.expect_reply(226);
    assert!(rest == much);
    server.record().wait_for("sent /tap 3000500");
    taps.wait_until(|state| state.dropped == 1);
}

#[test]
fn downloads_that_wait_take_no_threads() {
    if cannot_reach_callbacks() {
        return;
    }
    let (server, taps) = taps();
    // More than there are worker threads.
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.login();
            let data = client.begin("RETR tap");
            (client, data)
        })
        .collect();
    server.login().expect_alive();
    taps.change(|state| state.ended = true);
    for (mut client, mut data) in waiting {
        assert_eq!(data.read_to_end(&mut Vec::new()).unwrap(), 0);
        client.expect_reply(226);
    }
    taps.wait_until(|state| (state.opened, state.dropped) == (20, 20));
}

/// Else a client that is gone without a word would be waited for as long as the file is silent.
#[cfg(target_os = "linux")]
#[test]
fn whoever_waits_for_a_silent_file_is_asked_whether_he_is_there() {
    if cannot_reach_callbacks() {
        return;
    }
    let (server, taps) = taps();
    let mut client = server.login();
    // The kind of timer that the server's end of the control connection has: 2 is that of probes.
    let socket = client.stream();
    let hex = |addr: std::net::SocketAddr| match addr {
        std::net::SocketAddr::V4(addr) => {
            let ip = u32::from_ne_bytes(addr.ip().octets());
            format!("{ip:08X}:{:04X}", addr.port())
        }
        std::net::SocketAddr::V6(_) => unreachable!("the tests' loopback is IPv4"),
    };
    let ends = [socket.peer_addr().unwrap(), socket.local_addr().unwrap()].map(hex);
    let timer = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = table.lines().map(|row| row.split_whitespace().collect());
        let row = rows.find(|row: &Vec<&str>| row[1..3] == ends);
        row.expect("the server's end")[5][..2].to_owned()
    };
    assert_ne!(timer(), "02");
    let data = client.begin("RETR tap");
    taps.wait_until(|state| state.opened == 1);
    client.expect_alive();
    // Before it come those that send again what was not acknowledged.
    let begun = std::time::Instant::now();
    while timer() != "02" {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    drop(data);
}

#[test]
fn whoever_leaves_or_gives_up_ends_the_source() {
    if cannot_reach_callbacks() {
        return;
    }
    let (server, taps) = taps();
    let mut client = server.login();
    let data = client.begin("RETR tap");
    client.line("ABOR");
    client.expect_replies(&[426, 226]);
    taps.wait_until(|state| state.dropped == 1);
    drop(data);
    // Its waker is still there, and wakes nobody.
    taps.change(|_| {});
    client.expect_alive();
    let data = client.begin("RETR tap");
    drop((client, data));
    taps.wait_until(|state| state.dropped == 2);
    server.record().wait_for("incomplete_sent /tap 0");
    // Who only closes the data connection is noticed with the next bytes.
    let mut client = server.login();
    drop(client.begin("RETR tap"));
    let more = vec![b'x'; 3_000_000];
    taps.change(|state| state.bytes.extend(&more));
    client.expect_reply(426);
    taps.wait_until(|state| state.dropped == 3);
}

#[test]
fn text_and_a_limit_go_with_it() {
    if cannot_reach_callbacks() {
        return;
    }
    let taps = Taps::default();
    let server = TestServer::with(|builder| {
        builder
            .authorizer(taps.clone())
            .write_limit(1_000_000)
            .data_timeout(crate::common::SHORT)
    });
    let mut client = server.login();
    client.expect("TYPE A", 200);
    let mut data = client.begin_first("RETR tap");
    let mut line = [0; 5];
    // Time without a byte is the source's and not the client's.
    std::thread::sleep(crate::common::SHORT * 2);
    for _ in 0..10 {
        taps.change(|state| state.bytes.extend(b"one\n"));
        data.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"one\r\n");
    }
    taps.change(|state| state.ended = true);
    assert_eq!(data.read_to_end(&mut Vec::new()).unwrap(), 0);
    client.expect_reply(226);
}
