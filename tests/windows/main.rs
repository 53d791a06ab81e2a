//! What is Windows' own, over real sockets: which names name a file, by which spelling permissions
//! hold, files in use, listings; and that other systems know nothing of it. It knows no port and never
//! sleeps.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ftpdlib::{DummyAuthorizer, FtpServer, Perm, ServerHandle};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

struct Stage {
    home: TempDir,
    server: ServerHandle,
}

fn stage() -> Stage {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("Archive")).unwrap();
    fs::write(home.path().join("Archive").join("old.txt"), "old").unwrap();
    fs::write(home.path().join("file.txt"), "content").unwrap();
    let mut users = DummyAuthorizer::new();
    users.add_user("ann", "x", home.path(), Perm::ALL).unwrap();
    let archive = home.path().join("Archive");
    users
        .override_perm("ann", archive, Perm::READ_ONLY, true)
        .unwrap();
    let server = FtpServer::builder()
        .authorizer(users)
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap();
    Stage { home, server }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn log_in(stage: &Stage) -> Client {
        let socket = TcpStream::connect(stage.server.local_addr()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client(BufReader::new(socket));
        assert_eq!(client.reply().0, 220);
        assert_eq!(client.say("USER ann"), 331);
        assert_eq!(client.say("PASS x"), 230);
        assert_eq!(client.say("TYPE I"), 200);
        client
    }

    /// A reply's code, and all of its lines.
    fn reply(&mut self) -> (u16, String) {
        let mut text = String::new();
        loop {
            let start = text.len();
            assert_ne!(self.0.read_line(&mut text).unwrap(), 0, "the end: {text}");
            let line = &text[start..];
            if line.as_bytes().get(3) == Some(&b' ') && line.as_bytes()[0].is_ascii_digit() {
                return (line[..3].parse().unwrap(), text);
            }
        }
    }

    fn ask(&mut self, command: &str) -> (u16, String) {
        let line = format!("{command}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
        self.reply()
    }

    fn say(&mut self, command: &str) -> u16 {
        self.ask(command).0
    }

    fn data(&mut self) -> TcpStream {
        let (code, text) = self.ask("EPSV");
        assert_eq!(code, 229);
        let port = text.split('|').nth(3).unwrap().parse().unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn store(&mut self, name: &str, bytes: &[u8]) -> u16 {
        let mut data = self.data();
        let code = self.say(&format!("STOR {name}"));
        if !matches!(code, 125 | 150) {
            return code;
        }
        data.write_all(bytes).unwrap();
        drop(data);
        self.reply().0
    }

    fn fetch(&mut self, command: &str) -> (u16, Vec<u8>) {
        let mut data = self.data();
        let code = self.say(command);
        if !matches!(code, 125 | 150) {
            return (code, Vec::new());
        }
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        (self.reply().0, bytes)
    }
}

#[cfg(windows)]
mod only {
    use super::*;
    use ftpdlib::Workers;

    #[test]
    fn a_name_is_a_files_or_nobodys() {
        let stage = stage();
        let mut client = Client::log_in(&stage);
        for name in [
            "nul",
            "CON.txt",
            "com1",
            "file.txt::$DATA",
            "file.txt:x",
            "file.txt.",
            "file.txt ",
            "C:",
            r"..\out",
            r"Archive\old.txt",
            "a?",
            "x/nul",
        ] {
            for command in [
                "RETR", "STOR", "APPE", "MKD", "DELE", "RMD", "SIZE", "RNFR", "MLST",
            ] {
                let (code, text) = client.ask(&format!("{command} {name}"));
                assert_eq!(code, 550, "{command} {name}: {text}");
            }
        }
        assert_eq!(client.say("RNFR file.txt"), 350);
        assert_eq!(client.say("RNTO nul"), 550);
        let names = fs::read_dir(stage.home.path()).unwrap().count();
        assert_eq!(names, 2);
        assert_eq!(
            fs::read(stage.home.path().join("file.txt")).unwrap(),
            b"content"
        );
    }

    #[test]
    fn an_override_holds_by_every_spelling() {
        let stage = stage();
        let mut client = Client::log_in(&stage);
        for directory in ["Archive", "ARCHIVE", "aRcHiVe"] {
            assert_eq!(
                client.store(&format!("{directory}/new.txt"), b"x"),
                550,
                "{directory}"
            );
            assert_eq!(
                client.say(&format!("DELE {directory}/old.txt")),
                550,
                "{directory}"
            );
            assert_eq!(
                client.fetch(&format!("RETR {directory}/OLD.txt")),
                (226, b"old".to_vec())
            );
        }
    }

    #[test]
    fn names_come_back_as_they_went() {
        let stage = stage();
        let mut client = Client::log_in(&stage);
        for name in ["gr\u{fc}n \u{1f600}.txt", "x~1.txt", ".a"] {
            assert_eq!(client.store(name, b"x"), 226, "{name}");
            let (code, names) = client.fetch("NLST");
            let names = String::from_utf8(names).unwrap();
            assert!(
                code == 226 && names.lines().any(|line| line == name),
                "{names}"
            );
            assert_eq!(client.say(&format!("DELE {name}")), 250, "{name}");
        }
        let (_, list) = client.fetch("LIST");
        let list = String::from_utf8(list).unwrap();
        assert!(
            list.lines().all(|line| line.contains("owner    group")),
            "{list}"
        );
    }

    #[test]
    fn a_file_is_renamed_and_removed_while_it_is_fetched() {
        let stage = stage();
        // More than the sockets hold.
        let bytes = vec![b'x'; 64 << 20];
        fs::write(stage.home.path().join("big"), &bytes).unwrap();
        let (mut one, mut other) = (Client::log_in(&stage), Client::log_in(&stage));
        let mut data = one.data();
        assert!(matches!(one.say("RETR big"), 125 | 150));
        assert_eq!(other.say("RNFR big"), 350);
        assert_eq!(other.say("RNTO moved"), 250);
        assert_eq!(other.say("DELE moved"), 250);
        let mut got = Vec::new();
        data.read_to_end(&mut got).unwrap();
        assert!(got == bytes);
        assert_eq!(one.reply().0, 226);
    }

    #[test]
    fn times_and_read_only() {
        let stage = stage();
        let mut client = Client::log_in(&stage);
        assert_eq!(client.say("MFMT 20200102030405 file.txt"), 213);
        assert!(client.ask("MDTM file.txt").1.contains("20200102030405"));
        for (mode, shown) in [("444", "-r--r--r--"), ("644", "-rw-r--r--")] {
            assert_eq!(client.say(&format!("SITE CHMOD {mode} file.txt")), 200);
            let (_, text) = client.ask("STAT file.txt");
            assert!(text.contains(shown), "{text}");
        }
        assert_eq!(client.store("file.txt", b"new"), 226);
    }

    #[test]
    fn models_without_fork_are_refused_in_words() {
        for workers in [Workers::MultiProcess, Workers::pre_fork()] {
            let server = FtpServer::builder()
                .authorizer(DummyAuthorizer::new())
                .workers(workers)
                .bind("127.0.0.1:0");
            let text = server.err().unwrap().to_string();
            assert!(text.contains("async or multi-thread"), "{text}");
        }
    }
}

/// What is a device, a stream or another file's name there, is a file's own name here.
#[cfg(all(unix, not(target_vendor = "apple")))]
#[test]
fn elsewhere_these_are_names_like_others() {
    let stage = stage();
    let mut client = Client::log_in(&stage);
    for name in [
        "nul",
        "file.txt:x",
        "file.txt.",
        "C:",
        r"..\out",
        "FILE.TXT",
        "a?",
        "A~1",
    ] {
        assert_eq!(client.store(name, name.as_bytes()), 226, "{name}");
        let got = client.fetch(&format!("RETR {name}"));
        assert_eq!(got, (226, name.as_bytes().to_vec()));
        let real = stage.home.path().join(name);
        assert_eq!(fs::read(real).unwrap(), name.as_bytes());
    }
    assert_eq!(client.store("archive/new.txt", b"x"), 550);
    fs::create_dir(stage.home.path().join("archive")).unwrap();
    assert_eq!(client.store("archive/new.txt", b"x"), 226);
    assert_eq!(client.store("Archive/new.txt", b"x"), 550);
    assert_eq!(
        fs::read(stage.home.path().join("file.txt")).unwrap(),
        b"content"
    );
}
