//! Uploads of so much at once that they take the short way from the socket to the file where the
//! system has one (`splice(2)`): the bytes and the verdicts are the same as on the long one.

use std::fs;
use std::io::{self, Write};

use crate::common::{TestServer, client, sample};

/// More than any buffer on the way holds.
const LARGE: usize = 12 << 20;

#[test]
fn appending_goes_to_the_end_whoever_else_writes() {
    let server = TestServer::start();
    server.write("log", "begin ");
    let mut client = server.login();
    let content = sample(LARGE);
    let mut data = client.begin("APPE log");
    data.write_all(&content[..LARGE / 2]).unwrap();
    let mut other = fs::File::options()
        .append(true)
        .open(server.path("log"))
        .unwrap();
    other.write_all(b"(other)").unwrap();
    data.write_all(&content[LARGE / 2..]).unwrap();
    drop(data);
    client.expect_reply(226);
    let got = server.read("log");
    assert_eq!(got.len(), 6 + LARGE + 7);
    assert!(got.starts_with(b"begin "));
    let at = got
        .windows(7)
        .position(|window| window == b"(other)")
        .unwrap();
    let without = [&got[6..at], &got[at + 7..]].concat();
    assert!(without == content);
}

#[test]
fn resuming_goes_on_at_the_offset() {
    let server = TestServer::start();
    let content = sample(LARGE);
    server.write("file", vec![b'x'; LARGE + 1000]);
    let mut client = server.login();
    client.expect("REST 1000", 350);
    client.put("STOR file", &content);
    let got = server.read("file");
    assert!(got[..1000] == [b'x'; 1000] && got[1000..] == content);
}

#[test]
fn a_reset_behind_much_data_is_426() {
    let server = TestServer::start();
    let mut client = server.login();
    for round in 0..20 {
        let mut data = client.begin("STOR file");
        // At other moments of the server's.
        data.write_all(&sample(LARGE / 8 + round * 100_000))
            .unwrap();
        client::reset(data);
        client.expect_reply(426);
    }
    client.expect_alive();
}

#[test]
fn an_upload_that_is_aborted_leaves_nothing_for_the_next() {
    let server = TestServer::start();
    let mut client = server.login();
    for _ in 0..5 {
        let data = client.begin("STOR aborted");
        let mut sender = data.try_clone().unwrap();
        // As much as there is time for.
        let writer = std::thread::spawn(move || {
            let content = sample(LARGE);
            while sender.write_all(&content).is_ok() {}
        });
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
        drop(data);
        writer.join().unwrap();
        client.put("STOR next", sample(LARGE / 4));
        assert!(server.read("next") == sample(LARGE / 4));
    }
}

#[test]
fn an_upload_is_held_to_its_rate() {
    let rate = 4_000_000;
    let server = TestServer::with(|builder| builder.read_limit(rate));
    let mut client = server.login();
    let begun = std::time::Instant::now();
    let content = sample(8_000_000);
    client.put("STOR file", &content);
    assert!(server.read("file") == content);
    // Two seconds' worth, of which half a second's may burst.
    let took = begun.elapsed();
    assert!(took > std::time::Duration::from_secs(1), "{took:?}");
}

/// What is behind urgent data is not lost, and its end is no end of the file.
#[cfg(target_os = "linux")]
#[test]
fn urgent_data_does_not_end_a_file() {
    let server = TestServer::start();
    let mut client = server.login();
    let content = sample(LARGE);
    for split in [0, 1, 1 << 20, LARGE / 2, LARGE - 1] {
        let mut data = client.begin("STOR file");
        data.write_all(&content[..split]).unwrap();
        socket2::SockRef::from(&data)
            .send_out_of_band(b"!")
            .unwrap();
        data.write_all(&content[split..]).unwrap();
        drop(data);
        client.expect_reply(226);
        assert!(server.read("file") == content, "{split}");
    }
}

#[cfg(target_os = "linux")]
mod bad_disk {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::path::PathBuf;
    use std::sync::Arc;

    use ftpdlib::{
        Account, AuthFailed, Authorizer, Credentials, Directory, File, FileSystem, LocalFilesystem,
        Metadata, OpenMode, Perm, VirtualPath,
    };

    use super::*;

    /// A disk that takes what is written to it, and fails at what is spliced.
    struct BadDisk(LocalFilesystem);

    struct BadFile(fs::File);

    impl File for BadFile {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn seek(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn size(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn close(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
        fn as_fd(&self) -> Option<BorrowedFd<'_>> {
            Some(self.0.as_fd())
        }
    }

    impl FileSystem for BadDisk {
        fn open(&self, _: &VirtualPath, _: OpenMode) -> io::Result<Box<dyn File>> {
            // Not open for writing: EBADF.
            Ok(Box::new(BadFile(fs::File::open("/dev/null")?)))
        }
        fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
            self.0.metadata(path)
        }
        fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
            self.0.read_dir(path)
        }
        fn create_dir(&self, path: &VirtualPath) -> io::Result<()> {
            self.0.create_dir(path)
        }
        fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
            self.0.remove_dir(path)
        }
        fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
            self.0.remove_file(path)
        }
        fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> io::Result<()> {
            self.0.rename(from, to)
        }
        fn set_mode(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
            self.0.set_mode(path, mode)
        }
        fn set_modified(&self, path: &VirtualPath, seconds: i64) -> io::Result<()> {
            self.0.set_modified(path, seconds)
        }
        fn real_path(&self, _: &VirtualPath) -> Option<PathBuf> {
            None
        }
    }

    struct AllBad(Arc<BadDisk>);

    impl Authorizer for AllBad {
        fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
            Ok(Account::new(&*credentials.username, self.0.clone()).perm(Perm::ALL))
        }
    }

    #[test]
    fn an_error_of_the_disk_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(BadDisk(LocalFilesystem::new(dir.path()).unwrap()));
        let server = TestServer::with(|builder| builder.authorizer(AllBad(disk)));
        let mut client = server.login();
        for _ in 0..5 {
            let mut data = client.begin("STOR file");
            // The server closes on it.
            let _ = data.write_all(&sample(LARGE));
            client.expect_reply(451);
        }
        server.record().wait_until(|events| {
            let cut = |event: &&String| event.starts_with("incomplete_received /file");
            events.iter().filter(cut).count() == 5
        });
        client.expect_alive();
    }
}
