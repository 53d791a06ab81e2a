//! Large files that go: to remove, to empty or to replace one takes the system long, and so does the end of
//! one that was removed while it was open. That is no reason for others to wait. (Small ones go on the loop.)

use std::fs::File as StdFile;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use ftpdlib::{
    Account, AuthFailed, Authorizer, Builder, Credentials, Directory, File, FileSystem, Handler,
    Limits, LocalFilesystem, MemoryFilesystem, Metadata, OpenMode, Overlay, Perm, Session,
    Transferred, VirtualPath,
};
use tempfile::TempDir;

use crate::common::made_up::Gate;
use crate::common::{Client, Mode, PATIENCE, TestServer, USER, cannot_reach_callbacks, sample};

/// Sixteen MiB.
const LARGE: u64 = 16 << 20;

/// A disk that takes its time, until the gate is open, to let go of a large file.
struct Disk {
    files: LocalFilesystem,
    work: Work,
}

/// That, and who has it done.
#[derive(Clone)]
struct Work {
    gate: Gate,
    /// Is told the name of the thread as it begins.
    done_by: Arc<Mutex<Sender<String>>>,
    open: Arc<AtomicUsize>,
}

impl Work {
    fn of(&self, size: u64) {
        if size < LARGE {
            return;
        }
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        // A test that has failed hears nothing.
        let _ = self.done_by.lock().unwrap().send(name);
        self.gate.pass();
    }
}

impl Disk {
    fn lets_go(&self, path: &VirtualPath) {
        let size = self.files.metadata(path).map_or(0, |found| found.size);
        self.work.of(size);
    }

    fn opened(&self, file: Box<dyn File>) -> Box<dyn File> {
        self.work.open.fetch_add(1, Ordering::SeqCst);
        let (file, work) = (Some(file), self.work.clone());
        Box::new(Open { file, work })
    }
}

/// The disk lets go of its bytes when it has no name any more.
struct Open {
    /// None when it is closed.
    file: Option<Box<dyn File>>,
    work: Work,
}

impl Open {
    fn file(&mut self) -> &mut dyn File {
        &mut **self.file.as_mut().unwrap()
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let copy = file.as_fd().unwrap().try_clone_to_owned()?;
        let found = StdFile::from(copy).metadata()?;
        if found.nlink() == 0 {
            self.work.of(found.len());
        }
        let closed = file.close();
        self.work.open.fetch_sub(1, Ordering::SeqCst);
        closed
    }
}

impl File for Open {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file().read(buf)
    }
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.file().write_all(buf)
    }
    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.file().seek(position)
    }
    fn size(&self) -> io::Result<u64> {
        self.file.as_ref().unwrap().size()
    }
    fn size_at_open(&self) -> Option<u64> {
        self.file.as_ref().unwrap().size_at_open()
    }
    fn close(mut self: Box<Self>) -> io::Result<()> {
        self.end()
    }
    fn is_slow_to_close(&self) -> bool {
        self.file.as_ref().unwrap().is_slow_to_close()
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().unwrap().as_fd()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl FileSystem for Disk {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.files.metadata(path)
    }
    fn symlink_metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        self.files.symlink_metadata(path)
    }
    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        if mode == OpenMode::Write {
            self.lets_go(path);
        }
        let file = self.files.open(path, mode)?;
        Ok(self.opened(file))
    }
    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        let file = self.files.open_at_once(path, mode)?;
        Ok(file.map(|file| self.opened(file)))
    }
    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        self.files.read_dir(path)
    }
    fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.files.create_dir(path)
    }
    fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.files.remove_dir(path)
    }
    fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        self.lets_go(path);
        self.files.remove_file(path)
    }
    fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
        self.lets_go(to);
        self.files.rename(from, to)
    }
    fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.files.set_mode(path, mode)
    }
    fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
        self.files.set_modified(path, seconds)
    }
}

struct OnDisk(Arc<dyn FileSystem>);

/// Whose uploads are counted, and go another way to the disk.
const METERED: &str = "metered";

impl Authorizer for OnDisk {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let account = Account::new(&*credentials.username, self.0.clone()).perm(Perm::ALL);
        let mut limits = Limits::default();
        if &*credentials.username == METERED {
            limits.quota_bytes = 100 << 20;
        }
        Ok(account.limits(limits))
    }
}

/// A server whose files are on such a disk, with a large one.
struct Stage {
    server: TestServer,
    home: TempDir,
    work: Work,
    done_by: Receiver<String>,
}

fn stage(settings: impl FnOnce(Builder) -> Builder) -> Stage {
    stage_of(settings, |disk| Arc::new(disk))
}

fn stage_of(
    settings: impl FnOnce(Builder) -> Builder,
    files: impl FnOnce(Disk) -> Arc<dyn FileSystem>,
) -> Stage {
    let home = tempfile::tempdir().unwrap();
    let large = StdFile::create(home.path().join("large")).unwrap();
    large.set_len(LARGE).unwrap();
    std::fs::write(home.path().join("small"), "content").unwrap();
    let (sender, done_by) = channel();
    let work = Work {
        gate: Gate::default(),
        done_by: Arc::new(Mutex::new(sender)),
        open: Arc::default(),
    };
    let files = files(Disk {
        files: LocalFilesystem::new(home.path()).unwrap(),
        work: work.clone(),
    });
    Stage {
        server: TestServer::with(|builder| settings(builder.authorizer(OnDisk(files)))),
        home,
        work,
        done_by,
    }
}

impl Stage {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// A worker thread lets go of something now, and others are answered meanwhile.
    #[track_caller]
    fn delays_nobody(&self) {
        let thread = self.done_by.recv_timeout(PATIENCE).unwrap();
        assert!(thread.starts_with("ftpdlib-job"), "by {thread:?}");
        let mut other = self.server.login();
        for _ in 0..20 {
            other.expect_alive();
        }
        assert!(!self.work.gate.is_open());
    }

    /// So it is, and the client has no answer until the gate is open.
    #[track_caller]
    fn delays_one(&self, client: &mut Client) {
        self.delays_nobody();
        assert!(client.is_silent());
        self.work.gate.open();
    }

    /// The server ends, with all that was open.
    #[track_caller]
    fn ends(self) {
        self.work.gate.open();
        drop(self.server);
        assert_eq!(self.work.open.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn removing_a_large_file_delays_nobody_else() {
    if cannot_reach_callbacks() {
        return;
    }
    let stage = stage(|builder| builder);
    let mut client = stage.server.login();
    client.line("DELE large");
    stage.delays_one(&mut client);
    client.expect_reply(250);
    assert!(!stage.path("large").exists());
}

#[test]
fn replacing_a_large_file_by_another_name_delays_nobody_else() {
    if cannot_reach_callbacks() {
        return;
    }
    let stage = stage(|builder| builder);
    let mut client = stage.server.login();
    client.expect("RNFR small", 350);
    client.line("RNTO large");
    stage.delays_one(&mut client);
    client.expect_reply(250);
    assert_eq!(std::fs::read(stage.path("large")).unwrap(), b"content");
}

#[test]
fn an_upload_over_a_large_file_delays_nobody_else() {
    if cannot_reach_callbacks() {
        return;
    }
    let content = sample(3_000_000);
    for atomic in [false, true] {
        let stage = stage(|builder| builder.atomic_uploads(atomic));
        let mut client = stage.server.login();
        if atomic {
            client.upload("STOR large", &content);
            stage.delays_one(&mut client);
        } else {
            let mut data = client.data(Mode::Epsv);
            client.line("STOR large");
            stage.delays_one(&mut client);
            client.expect_started("STOR large");
            data.write_all(&content).unwrap();
        }
        client.expect_reply(226);
        assert!(std::fs::read(stage.path("large")).unwrap() == content);
    }
}

#[test]
fn an_upload_over_a_large_file_of_an_overlay_delays_nobody_else() {
    if cannot_reach_callbacks() {
        return;
    }
    let settings = |builder: Builder| builder;
    let stage = stage_of(settings, |disk| {
        Arc::new(Overlay::new(disk, MemoryFilesystem::new()))
    });
    let mut client = stage.server.login();
    let mut data = client.data(Mode::Epsv);
    client.line("STOR large");
    stage.delays_one(&mut client);
    client.expect_started("STOR large");
    data.write_all(b"content").unwrap();
    drop(data);
    client.expect_reply(226);
    assert_eq!(std::fs::read(stage.path("large")).unwrap(), b"content");
    stage.ends();
}

#[test]
fn a_download_of_what_was_removed_meanwhile_delays_nobody_at_its_end() {
    if cannot_reach_callbacks() {
        return;
    }
    for sendfile in [true, false] {
        let stage = stage(|builder| builder.use_sendfile(sendfile));
        let mut client = stage.server.login();
        let mut data = client.begin("RETR large");
        std::fs::remove_file(stage.path("large")).unwrap();
        let mut content = Vec::new();
        data.read_to_end(&mut content).unwrap();
        assert_eq!(content.len() as u64, LARGE);
        client.expect_reply(226);
        stage.delays_nobody();
        client.expect_alive();
        stage.ends();
    }
}

#[test]
fn a_download_of_what_was_replaced_meanwhile_delays_nobody_where_it_is_cut() {
    if cannot_reach_callbacks() {
        return;
    }
    let replace =
        |stage: &Stage| std::fs::rename(stage.path("small"), stage.path("large")).unwrap();
    for leaves in [false, true] {
        let stage = stage(|builder| builder);
        let mut client = stage.server.login();
        let data = client.begin("RETR large");
        replace(&stage);
        if leaves {
            drop(client);
        } else {
            client.line("ABOR");
            client.expect_replies(&[426, 226]);
        }
        stage.delays_nobody();
        drop(data);
        stage.ends();
    }
    // It is open before anybody has connected for it.
    let stage = stage(|builder| builder);
    let mut client = stage.server.login();
    client.begin_unconnected("RETR large");
    replace(&stage);
    drop(client);
    stage.delays_nobody();
    stage.ends();
}

/// One way and the other, by a user without a quota and by one who has one.
const BOTH_WAYS: [(bool, &str); 4] = [
    (false, USER),
    (true, USER),
    (false, METERED),
    (true, METERED),
];

/// Begins an upload, of which the server has stored so much that it is a large file.
fn begin_large(client: &mut Client, path: impl Fn() -> Option<std::path::PathBuf>) -> TcpStream {
    let mut data = client.begin("STOR new");
    // More than it stores in a turn.
    let size = LARGE + (2 << 20);
    data.write_all(&sample(size as usize)).unwrap();
    let stored = || path().map_or(0, |path| path.metadata().unwrap().len());
    while stored() < size {
        client.cmd("STAT");
    }
    data
}

#[test]
fn an_upload_that_was_removed_meanwhile_delays_nobody_else() {
    if cannot_reach_callbacks() {
        return;
    }
    for (aborted, user) in BOTH_WAYS {
        let stage = stage(|builder| builder);
        let mut client = stage.server.login_as(user, "");
        let data = begin_large(&mut client, || Some(stage.path("new")));
        std::fs::remove_file(stage.path("new")).unwrap();
        if aborted {
            client.line("ABOR");
            client.expect_replies(&[426, 226]);
            stage.delays_nobody();
        } else {
            drop(data);
            // Whether all of it was stored is known when it is closed.
            stage.delays_one(&mut client);
            client.expect_reply(226);
        }
        client.expect_alive();
        stage.ends();
    }
}

#[test]
fn so_does_one_that_began_with_a_large_file() {
    if cannot_reach_callbacks() {
        return;
    }
    for (rest, user) in BOTH_WAYS {
        let stage = stage(|builder| builder);
        let mut client = stage.server.login_as(user, "");
        let data = client.data(Mode::Epsv);
        let line = match rest {
            true => {
                client.expect("REST 1000", 350);
                "STOR large"
            }
            false => "APPE large",
        };
        // The reply that comes behind the open.
        assert_eq!(client.started(line).code, 125);
        std::fs::remove_file(stage.path("large")).unwrap();
        drop(data);
        stage.delays_one(&mut client);
        client.expect_reply(226);
        stage.ends();
    }
}

#[test]
fn a_server_that_stops_waits_for_the_end_of_what_was_removed() {
    if cannot_reach_callbacks() {
        return;
    }
    let Stage {
        server,
        home,
        work,
        done_by,
    } = stage(|builder| builder);
    let mut client = server.login();
    let _data = client.begin("RETR large");
    std::fs::remove_file(home.path().join("large")).unwrap();
    let stopping = std::thread::spawn(move || server.stop());
    done_by.recv_timeout(PATIENCE).unwrap();
    work.gate.open();
    stopping.join().unwrap();
    assert_eq!(work.open.load(Ordering::SeqCst), 0);
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".ftpdlib-")
}

/// Panics where it hears of an upload that was cut off.
struct Panics;

impl Handler for Panics {
    fn on_incomplete_file_received(&mut self, _: &mut Session<'_>, _: &Transferred) {
        panic!("a callback's panic, on purpose");
    }
}

/// Nobody has said what is to become of the hidden file when the session ends.
#[test]
fn the_hidden_file_of_a_session_that_ends_delays_nobody_else() {
    if cannot_reach_callbacks() {
        return;
    }
    for panics in [false, true] {
        let stage = stage(|builder| match panics {
            true => builder.atomic_uploads(true).handler(|_| Panics),
            false => builder.atomic_uploads(true),
        });
        let mut client = stage.server.login();
        let data = begin_large(&mut client, || {
            let mut names = std::fs::read_dir(stage.home.path()).unwrap();
            let hidden = names.find(|name| is_hidden(&name.as_ref().unwrap().file_name()));
            hidden.map(|name| name.unwrap().path())
        });
        drop(client);
        stage.delays_nobody();
        stage.work.gate.open();
        let home = stage.home;
        drop((data, stage.server));
        let left = std::fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 2, "the large and the small one");
    }
}
