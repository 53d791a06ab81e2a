//! Identities of accounts that are no users of the system: an authorizer of one's own.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::Arc;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, FtpServer, Identity, LocalFilesystem, Perm,
};

use crate::common::{Client, skipped};
use crate::users::public_place;

struct One(Account);

impl Authorizer for One {
    fn authenticate(&self, _: &Credentials) -> Result<Account, AuthFailed> {
        Ok(self.0.clone())
    }
}

fn is_root() -> bool {
    fs::File::open("/etc/shadow").is_ok()
}

#[test]
fn an_account_of_ones_own_acts_as_somebody() {
    if !is_root() {
        return skipped("acting as somebody needs root");
    }
    let place = public_place();
    let nobody = Identity::new(54_321, 54_322, [54_323]);
    chown(place.path(), Some(54_321), Some(54_322)).unwrap();
    fs::write(place.path().join("groups"), "read by the group").unwrap();
    chown(place.path().join("groups"), Some(0), Some(54_323)).unwrap();
    fs::set_permissions(
        place.path().join("groups"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    fs::write(place.path().join("roots"), "").unwrap();
    fs::set_permissions(
        place.path().join("roots"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let home = nobody
        .run(|| LocalFilesystem::new(place.path()))
        .unwrap()
        .unwrap();
    let account = Account::new("one", Arc::new(home))
        .perm(Perm::ALL)
        .identity(nobody.clone());
    assert_eq!(account.assumed_identity(), Some(&nobody));
    // Another identity takes the first one's place.
    let other = account.clone().identity(Identity::new(54_999, 54_999, []));
    assert!(
        other
            .filesystem()
            .open(&"/groups".parse().unwrap(), ftpdlib::OpenMode::Read)
            .is_err()
    );

    let server = FtpServer::builder()
        .authorizer(One(account))
        .bind("127.0.0.1:0")
        .unwrap();
    let server = server.spawn().unwrap();
    let mut client = Client::connect(server.local_addr());
    client.expect_reply(220);
    client.login_as("one", "x");
    assert_eq!(client.fetch("RETR groups"), b"read by the group");
    client.refused("RETR roots", 550);
    client.refused("APPE groups", 550);
    client.put("STOR new", b"new");
    let made = fs::metadata(place.path().join("new")).unwrap();
    assert_eq!((made.uid(), made.gid()), (54_321, 54_322));
}

/// A file system that is all there is to one may be of another kind; it is called with the identity
/// all the same, and one that panics does not take it along.
#[test]
fn every_call_is_made_as_the_user() {
    use ftpdlib::{Directory, File, FileSystem, Metadata, OpenMode, VirtualPath};

    fn fsuid() -> u32 {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("Uid:"))
            .unwrap();
        line.split('\t').next_back().unwrap().parse().unwrap()
    }

    fn check() -> io::Result<()> {
        assert_eq!(fsuid(), 54_321);
        Err(io::Error::other("as the user"))
    }

    struct Probe;

    impl FileSystem for Probe {
        fn metadata(&self, _: &VirtualPath) -> io::Result<Metadata> {
            check().map(|()| unreachable!())
        }
        fn open(&self, _: &VirtualPath, _: OpenMode) -> io::Result<Box<dyn File>> {
            assert_eq!(fsuid(), 54_321);
            Ok(Box::new(ProbeFile))
        }
        fn read_dir(&self, _: &VirtualPath) -> io::Result<Box<dyn Directory>> {
            assert_eq!(fsuid(), 54_321);
            Ok(Box::new(ProbeFile))
        }
        fn create_dir(&self, _: &VirtualPath) -> io::Result<()> {
            check()
        }
        fn remove_dir(&self, _: &VirtualPath) -> io::Result<()> {
            check()
        }
        fn remove_file(&self, _: &VirtualPath) -> io::Result<()> {
            check()
        }
        fn rename(&self, _: &VirtualPath, _: &VirtualPath) -> io::Result<()> {
            check()
        }
        fn set_mode(&self, _: &VirtualPath, _: u32) -> io::Result<()> {
            check()
        }
        fn set_modified(&self, _: &VirtualPath, _: i64) -> io::Result<()> {
            check()
        }
        fn start_directory(&self) -> VirtualPath {
            panic!("as the user, on purpose")
        }
    }

    struct ProbeFile;

    impl File for ProbeFile {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            check().map(|()| 0)
        }
        fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
            check()
        }
        fn seek(&mut self, _: u64) -> io::Result<()> {
            check()
        }
        fn size(&self) -> io::Result<u64> {
            check().map(|()| 0)
        }
        fn size_at_open(&self) -> Option<u64> {
            Some(7)
        }
        fn is_slow_to_close(&self) -> bool {
            fsuid() == 54_321
        }
        fn close(self: Box<Self>) -> io::Result<()> {
            check()
        }
    }

    impl Drop for ProbeFile {
        fn drop(&mut self) {
            assert_eq!(fsuid(), 54_321);
        }
    }

    impl Directory for ProbeFile {
        fn read_names(&mut self, _: usize, _: &mut Vec<Vec<u8>>) -> io::Result<bool> {
            check().map(|()| false)
        }
        fn metadata(&mut self, _: &[u8], _: bool) -> io::Result<Metadata> {
            check().map(|()| unreachable!())
        }
        fn read_link(&mut self, _: &[u8]) -> io::Result<Vec<u8>> {
            check().map(|()| Vec::new())
        }
    }

    if !is_root() {
        return skipped("acting as somebody needs root");
    }
    let account =
        Account::new("one", Arc::new(Probe)).identity(Identity::new(54_321, 54_321, [7, 8]));
    let tree = Arc::clone(account.filesystem());
    let path: VirtualPath = "/x".parse().unwrap();
    let told = |error: Option<io::Error>| {
        assert_eq!(error.expect("an error").to_string(), "as the user");
        assert_eq!(fsuid(), 0);
    };
    told(tree.metadata(&path).err());
    told(tree.symlink_metadata(&path).err());
    told(tree.enter_dir(&path).err());
    told(tree.create_dir(&path).err());
    told(tree.remove_dir(&path).err());
    told(tree.remove_file(&path).err());
    told(tree.remove_tree(&path).err());
    told(tree.rename(&path, &path).err());
    told(tree.set_mode(&path, 0).err());
    told(tree.set_modified(&path, 0).err());
    for mode in [OpenMode::Read, OpenMode::Write] {
        let mut file = tree.open(&path, mode).unwrap();
        told(file.read(&mut []).err());
        told(file.write_all(&[]).err());
        told(file.seek(0).err());
        told(file.size().err());
        assert!(file.is_slow_to_close() && fsuid() == 0);
        assert_eq!(file.size_at_open(), Some(7));
        told(file.close().err());
        drop(tree.open(&path, mode).unwrap());
    }
    let mut directory = tree.read_dir(&path).unwrap();
    told(directory.read_names(1, &mut Vec::new()).err());
    told(directory.metadata(b"x", true).err());
    told(directory.read_link(b"x").err());
    drop(directory);
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tree.start_directory()));
    assert!(panicked.is_err());
    assert_eq!(fsuid(), 0);
}
