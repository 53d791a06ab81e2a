//! What the tests over real sockets share: a server of one's own in a temporary home, a record of
//! what its handler was called with, and a raw client.
//!
//! No test sleeps and none knows a port: one waits for a reply, an end of file or an event.

// Each test binary takes what it needs of this.
#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod hog;
pub(crate) mod made_up;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod record;
#[cfg(target_os = "linux")]
pub(crate) mod system;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ftpdlib::{Builder, DummyAuthorizer, FtpServer, Perm, ServerHandle, Workers};
use tempfile::TempDir;

// Each test binary takes what it needs of these.
#[allow(unused_imports)]
pub(crate) use client::{Client, Mode};
pub(crate) use record::{Record, Recorder};

/// Every wait ends after this, and the test fails. No test that passes gets near it, on a machine
/// that hardly runs either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A time limit that a test wants to see run out. Nobody can be sure to be in time for it: what is to
/// come before is sent in one segment with what starts it.
pub(crate) const SHORT: Duration = Duration::from_millis(500);

/// A time limit for which a test wants to be in time, and still see it run out.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "12345";

/// A server on a free port with a home of its own; both are gone when it is dropped.
pub(crate) struct TestServer {
    running: Running,
    addr: SocketAddr,
    home: TempDir,
    record: Arc<Record>,
}

impl TestServer {
    /// Users `user` (who may do everything) and `anonymous` (read only), on 127.0.0.1.
    pub(crate) fn start() -> TestServer {
        TestServer::with(|server| server)
    }

    /// The same with other settings.
    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> TestServer {
        TestServer::on(Ipv4Addr::LOCALHOST.into(), settings)
    }

    /// The same on `::1`.
    pub(crate) fn ipv6(settings: impl FnOnce(Builder) -> Builder) -> TestServer {
        TestServer::on(Ipv6Addr::LOCALHOST.into(), settings)
    }

    /// The same on an address that nobody else is at, so that no other test gets a port of this
    /// server's when it is free again. Where there is but one such address, on that.
    pub(crate) fn apart() -> TestServer {
        TestServer::on(own_loopback().into(), |server| server)
    }

    /// The same on an address of one's choice.
    pub(crate) fn on(
        address: std::net::IpAddr,
        settings: impl FnOnce(Builder) -> Builder,
    ) -> TestServer {
        TestServer::build(address, |_, _| {}, settings)
    }

    /// With further users, who are added to the two that there are.
    pub(crate) fn users(add: impl FnOnce(&mut DummyAuthorizer, &Path)) -> TestServer {
        TestServer::build(Ipv4Addr::LOCALHOST.into(), add, |server| server)
    }

    pub(crate) fn build(
        address: std::net::IpAddr,
        add: impl FnOnce(&mut DummyAuthorizer, &Path),
        settings: impl FnOnce(Builder) -> Builder,
    ) -> TestServer {
        let home = tempfile::tempdir().expect("a temporary home");
        let in_the_library = process::no_forks();
        let mut users = DummyAuthorizer::new();
        users
            .add_user(USER, PASSWORD, home.path(), Perm::ALL)
            .expect("user");
        users.add_anonymous(home.path()).expect("anonymous");
        add(&mut users, home.path());

        let record = record();
        let for_handlers = record.clone();
        let builder = FtpServer::builder()
            .authorizer(users)
            .handler(move |_peer| Recorder(for_handlers.clone()))
            .workers(workers())
            .auth_failed_timeout(Duration::from_millis(10));
        let server = settings(builder)
            .bind(SocketAddr::new(address, 0))
            .expect("a free port");
        drop(in_the_library);
        TestServer {
            addr: server.local_addr(),
            running: Running::new(server),
            home,
            record,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The real path of `name` in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts a file into the home.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file in the home");
    }

    /// Puts a file of `size` bytes into the home that takes no space.
    pub(crate) fn write_sparse(&self, name: &str, size: u64) {
        let file = fs::File::create(self.path(name)).expect("a file in the home");
        file.set_len(size).expect("a sparse file");
    }

    /// The content of a file of the home.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn mkdir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("a directory in the home");
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// What the handlers of all sessions were called with.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// A client that has read the greeting.
    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(self.addr());
        client.expect_reply(220);
        client
    }

    /// A client that is logged in as `user`.
    #[track_caller]
    pub(crate) fn login(&self) -> Client {
        self.login_as(USER, PASSWORD)
    }

    #[track_caller]
    pub(crate) fn login_as(&self, name: &str, password: &str) -> Client {
        let mut client = self.connect();
        client.login_as(name, password);
        client
    }

    /// Stops the server and gives its home back.
    pub(crate) fn stop(self) -> TempDir {
        drop(self.running);
        self.home
    }
}

/// A server that runs in this process, or in one of its own; it ends when this is dropped.
enum Running {
    Here { _handle: ServerHandle },
    InProcess { _process: process::ServerProcess },
}

impl Running {
    fn new(server: FtpServer) -> Running {
        match callbacks_are_here() {
            true => Running::Here {
                _handle: server.spawn().expect("a running server"),
            },
            false => Running::InProcess {
                _process: process::ServerProcess::start(server),
            },
        }
    }
}

/// The worker model that the tests are to run in: `FTPDLIB_TEST_WORKERS`, by its name on the command
/// line; by default the default one.
pub(crate) fn workers() -> Workers {
    match std::env::var("FTPDLIB_TEST_WORKERS").as_deref() {
        Err(_) | Ok("async") => Workers::Async,
        Ok("multi-thread") => Workers::MultiThread,
        Ok("multi-proc") => Workers::MultiProcess,
        Ok("pre-fork") => Workers::PreFork(2),
        Ok(other) => panic!("FTPDLIB_TEST_WORKERS={other}"),
    }
}

/// Whether callbacks run in this process, so that they and the test can share more than a record.
pub(crate) fn callbacks_are_here() -> bool {
    matches!(workers(), Workers::Async | Workers::MultiThread)
}

/// Whether this test cannot be in the model that is asked for, because it holds in its hand what only
/// callbacks of the same process can reach; says so.
pub(crate) fn cannot_reach_callbacks() -> bool {
    let away = !callbacks_are_here();
    if away {
        skipped("the test shares memory with callbacks, which run in worker processes");
    }
    away
}

/// A record that the callbacks can write to, wherever they run.
pub(crate) fn record() -> Arc<Record> {
    Arc::new(match callbacks_are_here() {
        true => Record::default(),
        false => Record::over_processes(),
    })
}

/// A loopback address that this process uses once. Linux has a whole network of them.
pub(crate) fn own_loopback() -> Ipv4Addr {
    static USED: AtomicU8 = AtomicU8::new(0);
    if cfg!(not(target_os = "linux")) {
        return Ipv4Addr::LOCALHOST;
    }
    let [.., high, low] = std::process::id().to_be_bytes();
    // The first ones, such as 127.0.0.2, are others'.
    let net = 10 + USED.fetch_add(1, Ordering::Relaxed) % 200;
    Ipv4Addr::new(127, net, high, low)
}

/// Bytes that repeat with no power of two, so that a chunk lost or doubled shows.
pub(crate) fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Whether this machine has `::1`.
pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Says on the real standard error, past the test harness, that a test could not be run.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {why}");
}
