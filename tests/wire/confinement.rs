//! Nothing leads outside the home, also not a path that changes while a command walks along it.
//!
//! One thread swaps a directory of the home for a link to the outside and back, as fast as the system
//! lets it (`renameat2(2)` with `RENAME_EXCHANGE`: one of the two is always there). Clients do all
//! that a client can do through it meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::system::exchange;
use crate::common::{Client, Mode, TestServer};

/// There and back, so many times at least.
const ROUNDS: usize = 100_000;

/// When the clients have not met both the directory and the link by then, the machine is to blame.
const ENOUGH: Duration = Duration::from_secs(90);

const INSIDE: &str = "inside";
/// As long as no number of whole and cut pieces of the other one.
const OUTSIDE: &str = "OUTSIDE, and nobody's business.\n\n\n";

/// All that a client could change: names, modes, times, sizes and content.
type Snapshot = BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>;

fn snapshot(dir: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let facts = fs::symlink_metadata(&path).unwrap();
        let mut content = Vec::new();
        if facts.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            todo.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            content = fs::read(&path).unwrap();
        }
        let times = (facts.mtime(), facts.mtime_nsec());
        found.insert(path, (facts.mode(), times.0, times.1, content));
    }
    found
}

/// For a moment, each time another one: from far less to more than an operation takes.
fn stay(turn: usize) {
    (0..turn % 100 * 10).for_each(|_| std::hint::spin_loop());
}

/// How often each command got through, and how often it met the link.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<&'static str, (usize, usize)>>);

impl Tally {
    /// What a final reply says. (A name that another client has just removed is neither.)
    fn count(&self, command: &'static str, code: u16, text: &str) {
        let mut counts = self.0.lock().unwrap();
        let (through, refused) = counts.entry(command).or_default();
        match code {
            200..=399 => *through += 1,
            _ if text.contains("outside the user's root directory") => *refused += 1,
            400..=599 => {}
            _ => panic!("{command}: {text}"),
        }
    }

    fn all_met_both(&self) -> bool {
        let counts = self.0.lock().unwrap();
        let met = |command| counts.get(command).copied().unwrap_or_default();
        COMMANDS.iter().all(|command| {
            let (through, refused) = met(command);
            through > 0 && refused > 0
        })
    }
}

struct Raider<'race> {
    client: Client,
    tally: &'race Tally,
}

impl Raider<'_> {
    fn say(&mut self, command: &'static str, rest: &str) -> String {
        let reply = self.client.cmd(format!("{command} {rest}"));
        self.tally.count(command, reply.code, &reply.text);
        reply.text
    }

    /// A command that sends something, if it gets that far.
    fn fetch(&mut self, command: &'static str, rest: &str) -> String {
        let mut data = self.client.data(Mode::Epsv);
        let mut reply = self.client.cmd(format!("{command} {rest}"));
        let mut content = Vec::new();
        if reply.code < 200 {
            data.read_to_end(&mut content).unwrap();
            reply = self.client.reply();
        }
        self.tally.count(command, reply.code, &reply.text);
        String::from_utf8(content).unwrap()
    }

    fn put(&mut self, command: &'static str, rest: &str) {
        let mut data = self.client.data(Mode::Epsv);
        let mut reply = self.client.cmd(format!("{command} {rest}"));
        if reply.code < 200 {
            // It may be refused when it is opened: then nobody reads.
            let _ = data.write_all(INSIDE.as_bytes());
            drop(data);
            reply = self.client.reply();
        }
        self.tally.count(command, reply.code, &reply.text);
    }

    fn rename(&mut self, from: &str, to: &str) {
        if self.client.cmd(format!("RNFR {from}")).code == 350 {
            self.say("RNTO", to);
        }
    }

    /// Reads all that can be read; none of it may be the outside's.
    fn spy(&mut self) {
        for command in ["LIST", "NLST", "MLSD"] {
            let listing = self.fetch(command, "flip");
            assert!(!listing.contains("secret"), "{listing}");
        }
        for (command, rest) in [("MLST", "flip"), ("STAT", "flip")] {
            let text = self.say(command, rest);
            assert!(!text.contains("secret"), "{text}");
        }
        let size = self.say("SIZE", "flip/file");
        assert_ne!(size, format!("213 {}", OUTSIDE.len()));
        assert_eq!(self.fetch("RETR", "flip/secret"), "");
        let content = self.fetch("RETR", "flip/file");
        // (A hole is left where one raider resumes what another has just emptied.)
        let small = content
            .bytes()
            .all(|byte| byte == 0 || byte.is_ascii_lowercase());
        assert!(small, "{content}");
        for command in ["MLST", "MDTM", "SIZE"] {
            let reply = self.client.cmd(format!("{command} flip/secret"));
            assert!(reply.code >= 500, "{}", reply.text);
        }
        if self.client.cmd("CWD flip").code == 250 {
            let listing = self.fetch("NLST", "");
            assert!(!listing.contains("secret"), "{listing}");
            self.client.expect("CWD /", 250);
        }
    }

    fn write(&mut self) {
        self.put("STOR", "flip/file");
        self.put("APPE", "flip/file");
        self.client.expect("REST 1", 350);
        self.put("STOR", "flip/file");
        self.put("STOR", "flip/sub/new");
        self.put("STOR", "flip/planted");
    }

    fn change(&mut self) {
        self.say("MKD", "flip/made");
        self.say("MKD", "flip/empty");
        self.say("RMD", "flip/made");
        self.say("RMD", "flip/empty");
        self.say("MFMT", "20010909014640 flip/file");
        self.say("SITE CHMOD", "641 flip/file");
        self.say("SITE CHMOD", "751 flip");
        // Out of it, within it and into it.
        self.rename("flip/file", "stolen");
        self.rename("flip/sub", "flip/moved");
        self.rename("flip/moved", "flip/sub");
        self.rename("stolen", "flip/file");
        self.say("DELE", "flip/planted");
        self.say("DELE", "flip/secret");
        self.client.cmd("RNFR flip/secret");
        self.rename("own", "flip/own");
        self.rename("flip/own", "own");
        self.put("STOR", "flip/file");
    }
}

fn fill(dir: &Path, content: &str) {
    fs::create_dir_all(dir.join("empty")).unwrap();
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::write(dir.join("file"), content).unwrap();
}

/// Those that must have met both the directory and the link.
const COMMANDS: [&str; 15] = [
    "APPE",
    "DELE",
    "LIST",
    "MFMT",
    "MKD",
    "MLSD",
    "MLST",
    "NLST",
    "RETR",
    "RMD",
    "RNTO",
    "SITE CHMOD",
    "SIZE",
    "STAT",
    "STOR",
];

#[test]
fn a_link_swapped_in_leads_nowhere() {
    let server = TestServer::start();
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().canonicalize().unwrap().join("out");
    fill(&server.path("flip"), INSIDE);
    fill(&out, OUTSIDE);
    fs::write(out.join("secret"), OUTSIDE).unwrap();
    server.write("own", INSIDE);
    symlink(&out, server.path("absolute")).unwrap();
    let up = "../".repeat(server.home().components().count());
    symlink(format!("{up}{}", out.display()), server.path("relative")).unwrap();
    assert!(server.path("relative").join("secret").exists());
    let before = snapshot(&out);

    let (tally, done) = (Tally::default(), AtomicBool::new(false));
    let raids: [fn(&mut Raider<'_>); 3] = [|it| it.spy(), |it| it.write(), |it| it.change()];
    let start = Instant::now();
    let rounds = thread::scope(|scope| {
        let raiders = raids.map(|raid| {
            let (client, tally, done) = (server.login(), &tally, &done);
            scope.spawn(move || {
                let mut raider = Raider { client, tally };
                while !done.load(Ordering::Relaxed) {
                    raid(&mut raider);
                }
            })
        });
        let flip = server.path("flip");
        let links = [server.path("absolute"), server.path("relative")];
        let mut round = 0;
        while round < ROUNDS || (!tally.all_met_both() && start.elapsed() < ENOUGH) {
            if raiders.iter().any(|raider| raider.is_finished()) {
                break;
            }
            exchange(&flip, &links[round % 2]);
            stay(round / 7);
            exchange(&flip, &links[round % 2]);
            stay(round);
            round += 1;
        }
        done.store(true, Ordering::Relaxed);
        for raider in raiders {
            raider.join().unwrap();
        }
        round
    });
    assert_eq!(snapshot(&out), before);
    for entry in fs::read_dir(server.home()).unwrap() {
        let path = entry.unwrap().path();
        let is_file = fs::symlink_metadata(&path).unwrap().is_file();
        assert!(!is_file || !fs::read_to_string(&path).unwrap().contains("OUTSIDE"));
    }
    assert!(rounds >= ROUNDS, "{rounds}");
    let counts = tally.0.lock().unwrap();
    eprintln!("{rounds} rounds in {:?}: {counts:?}", start.elapsed());
    drop(counts);
    assert!(tally.all_met_both(), "nothing raced");
}
