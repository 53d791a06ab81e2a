//! Large files that go: to remove or to empty one takes the system long, and is no reason for others to
//! wait. (Small ones go on the loop.)

use std::io;
use std::sync::Arc;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Builder, Credentials, Directory, File, FileSystem,
    LocalFilesystem, Metadata, OpenMode, Perm, VirtualPath,
};

use crate::common::made_up::Gate;
use crate::common::{Client, TestServer, sample};

/// Sixteen MiB.
const LARGE: u64 = 16 << 20;

/// A disk that takes its time, until the gate is open, to let go of a large file.
struct Disk {
    files: LocalFilesystem,
    gate: Gate,
}

impl Disk {
    fn lets_go(&self, path: &VirtualPath) {
        if self.files.metadata(path).is_ok_and(|it| it.size >= LARGE) {
            self.gate.pass();
        }
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
        self.files.open(path, mode)
    }
    fn open_at_once(
        &self,
        path: &VirtualPath,
        mode: OpenMode,
    ) -> io::Result<Option<Box<dyn File>>> {
        self.files.open_at_once(path, mode)
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

struct OnDisk(Arc<Disk>);

impl Authorizer for OnDisk {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        Ok(Account::new(&*credentials.username, self.0.clone()).perm(Perm::ALL))
    }
}

/// A server with a large file, the home it is in, and the gate of its disk.
fn stage(settings: impl FnOnce(Builder) -> Builder) -> (TestServer, tempfile::TempDir, Gate) {
    let home = tempfile::tempdir().unwrap();
    let large = std::fs::File::create(home.path().join("large")).unwrap();
    large.set_len(LARGE).unwrap();
    std::fs::write(home.path().join("small"), "content").unwrap();
    let gate = Gate::default();
    let disk = Arc::new(Disk {
        files: LocalFilesystem::new(home.path()).unwrap(),
        gate: gate.clone(),
    });
    let server = TestServer::with(|builder| settings(builder.authorizer(OnDisk(disk))));
    (server, home, gate)
}

/// Others must be answered, and this client not, until the gate is open.
#[track_caller]
fn expect_alone(server: &TestServer, client: &mut Client, gate: &Gate) {
    let mut other = server.login();
    for _ in 0..20 {
        other.expect_alive();
    }
    assert!(client.is_silent() && !gate.is_open());
    gate.open();
}

#[test]
fn removing_a_large_file_delays_nobody_else() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let (server, home, gate) = stage(|builder| builder);
    let mut client = server.login();
    client.line("DELE large");
    expect_alone(&server, &mut client, &gate);
    client.expect_reply(250);
    assert!(!home.path().join("large").exists());
}

#[test]
fn replacing_a_large_file_by_another_name_delays_nobody_else() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let (server, home, gate) = stage(|builder| builder);
    let mut client = server.login();
    client.expect("RNFR small", 350);
    client.line("RNTO large");
    expect_alone(&server, &mut client, &gate);
    client.expect_reply(250);
    assert_eq!(
        std::fs::read(home.path().join("large")).unwrap(),
        b"content"
    );
}

#[test]
fn an_upload_over_a_large_file_delays_nobody_else() {
    if crate::common::cannot_reach_callbacks() {
        return;
    }
    let content = sample(3_000_000);
    for atomic in [false, true] {
        let (server, home, gate) = stage(|builder| builder.atomic_uploads(atomic));
        let mut client = server.login();
        if atomic {
            client.upload("STOR large", &content);
            expect_alone(&server, &mut client, &gate);
        } else {
            let mut data = client.data(crate::common::Mode::Epsv);
            client.line("STOR large");
            expect_alone(&server, &mut client, &gate);
            client.expect_started("STOR large");
            io::Write::write_all(&mut data, &content).unwrap();
        }
        client.expect_reply(226);
        assert!(std::fs::read(home.path().join("large")).unwrap() == content);
    }
}
