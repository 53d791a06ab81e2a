//! Names that are not UTF-8, from end to end: in both encodings, on a disk and through an overlay,
//! in replies, in listings and in callbacks.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, Encoding, FileSystem, Handler, LocalFilesystem,
    Overlay, Perm, Session, Transferred,
};

use crate::common::{Client, TestServer, cannot_reach_callbacks};

/// No UTF-8 in whole, in part, and by a character that is cut off; a blank, and no byte 255, which
/// Telnet has for itself.
const NAMES: [&[u8]; 4] = [b"\xfc\xfe", b"a \xe4 b", b"cut \xe4\xbd", b"\x80\x8f\xc3"];

/// What a callback was told: the virtual path and the real one.
type Told = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>;

struct Listener(Told);

impl Listener {
    fn tell(&self, file: &Transferred) {
        let real = file.real_path().as_os_str().as_bytes().to_vec();
        let told = (file.path().as_bytes().to_vec(), real);
        self.0.lock().unwrap().push(told);
    }
}

impl Handler for Listener {
    fn on_file_sent(&mut self, _: &mut Session<'_>, file: &Transferred) {
        self.tell(file);
    }

    fn on_file_received(&mut self, _: &mut Session<'_>, file: &Transferred) {
        self.tell(file);
    }
}

struct Anybody(Arc<dyn FileSystem>);

impl Authorizer for Anybody {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        let files = Arc::clone(&self.0);
        Ok(Account::new(&*credentials.username, files).perm(Perm::ALL))
    }
}

struct Place {
    server: TestServer,
    told: Told,
    /// Where files are put for the clients to find, and where those of clients come to be.
    below: PathBuf,
    above: PathBuf,
    _folders: [tempfile::TempDir; 2],
}

fn place(encoding: Encoding, overlay: bool) -> Place {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [below, above] = [0, 1].map(|at: usize| folders[at].path().canonicalize().unwrap());
    let disk = |path: &Path| LocalFilesystem::new(path).unwrap();
    let (files, above): (Arc<dyn FileSystem>, PathBuf) = match overlay {
        true => (Arc::new(Overlay::new(disk(&above), disk(&below))), above),
        false => (Arc::new(disk(&below)), below.clone()),
    };
    let told = Told::default();
    let for_handlers = Arc::clone(&told);
    let server = TestServer::with(|builder| {
        builder
            .encoding(encoding)
            .authorizer(Anybody(files))
            .handler(move |_| Listener(Arc::clone(&for_handlers)))
    });
    Place {
        server,
        told,
        below,
        above,
        _folders: folders,
    }
}

fn at(dir: &Path, name: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(name))
}

fn line(verb: &str, name: &[u8]) -> Vec<u8> {
    [verb.as_bytes(), b" ", name].concat()
}

fn holds(text: &[u8], name: &[u8]) -> bool {
    text.windows(name.len()).any(|part| part == name)
}

/// The one name that is listed, as this client spells it.
fn spelled(client: &mut Client) -> Vec<u8> {
    let names = client.fetch("NLST");
    let name = names.strip_suffix(b"\r\n").unwrap().to_vec();
    assert!(!holds(&name, b"\r\n"), "more than one");
    name
}

fn each(test: impl Fn(&Place, &mut Client, &[u8])) {
    if cannot_reach_callbacks() {
        return;
    }
    for encoding in [Encoding::Utf8, Encoding::Latin1] {
        for overlay in [false, true] {
            for name in NAMES {
                eprintln!("{encoding}, overlay: {overlay}, {}", name.escape_ascii());
                let place = place(encoding, overlay);
                let mut client = place.server.login();
                test(&place, &mut client, name);
            }
        }
    }
}

#[test]
fn a_file_is_listed_fetched_changed_renamed_and_deleted() {
    each(|place, client, name| {
        fs::write(at(&place.below, name), "content").unwrap();
        let shown = spelled(client);
        for command in ["LIST", "MLSD"] {
            let listing = client.fetch(command);
            assert!(listing.ends_with(&[b" ", &shown[..], b"\r\n"].concat()));
            // (MLSD is of directories only.)
            if command == "LIST" {
                assert_eq!(client.fetch(line(command, &shown)), listing);
            }
        }
        assert!(holds(&client.expect("STAT .", 213).raw, &shown));
        assert!(holds(&client.expect(line("STAT", &shown), 213).raw, &shown));
        assert!(holds(&client.expect(line("MLST", &shown), 250).raw, &shown));
        client.expect(line("SIZE", &shown), 213);
        client.expect(line("MDTM", &shown), 213);
        assert_eq!(client.fetch(line("RETR", &shown)), b"content");
        client.put(line("APPE", &shown), "+more");
        client.expect(line("SITE CHMOD 600", &shown), 200);
        client.expect(line("MFMT 20010909014640", &shown), 213);
        assert_eq!(fs::read(at(&place.above, name)).unwrap(), b"content+more");
        client.put(line("STOR", &shown), "new");
        assert_eq!(fs::read(at(&place.above, name)).unwrap(), b"new");
        client.expect(line("RNFR", &shown), 350);
        client.expect(line("RNTO", &[&shown[..], b".x"].concat()), 250);
        let renamed = [name, b".x"].concat();
        assert_eq!(fs::read(at(&place.above, &renamed)).unwrap(), b"new");
        assert_eq!(spelled(client), [&shown[..], b".x"].concat());
        client.expect(line("DELE", &[&shown[..], b".x"].concat()), 250);
        assert_eq!(client.fetch("NLST"), b"");
        assert!(!at(&place.above, &renamed).exists());

        // What callbacks are told is the name on the disk.
        let told = place.told.lock().unwrap();
        let path = [b"/", name].concat();
        let real = |dir: &Path| at(dir, name).into_os_string().into_vec();
        let (below, above) = (real(&place.below), real(&place.above));
        let expected = [below, above.clone(), above].map(|real| (path.clone(), real));
        assert_eq!(*told, expected);
    });
}

#[test]
fn a_directory_is_made_entered_used_and_removed() {
    each(|place, client, name| {
        fs::create_dir(at(&place.below, name)).unwrap();
        fs::write(at(&place.below, name).join("below"), "x").unwrap();
        let shown = spelled(client);
        client.expect(line("CWD", &shown), 250);
        let here = client.expect("PWD", 257).raw;
        assert!(holds(&here, &[b"\"/", &shown[..], b"\""].concat()));
        assert_eq!(client.fetch("RETR below"), b"x");
        client.put("STOR above", "y");
        assert_eq!(client.fetch("NLST"), b"above\r\nbelow\r\n");
        client.expect("CDUP", 250);
        // The same name again, below itself.
        let twice = [&shown[..], b"/", &shown[..]].concat();
        let made = client.expect(line("MKD", &twice), 257).raw;
        assert!(holds(&made, &twice));
        assert!(at(&at(&place.above, name), name).is_dir());
        assert!(!client.fetch(line("MLSD", &twice)).contains(&b';'));
        client.expect(line("RNFR", &shown), 350);
        client.expect("RNTO plain", 250);
        client.expect(line("RNFR", b"plain"), 350);
        client.expect(line("RNTO", &shown), 250);
        client.expect(line("RMD", &shown), 550);
        client.expect(line("RMD", &twice), 250);
        for file in [&b"/above"[..], b"/below"] {
            client.expect(line("DELE", &[&shown[..], file].concat()), 250);
        }
        client.expect(line("RMD", &shown), 250);
        assert_eq!(client.fetch("NLST"), b"");
    });
}
