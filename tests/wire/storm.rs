//! A thousand lines of sense and nonsense: each gets exactly one final reply, and the server lives.

use std::collections::VecDeque;
use std::time::Duration;

use crate::common::{Client, TestServer};
use crate::session::VERBS;

/// A small generator with a fixed seed (SplitMix64): a failure can be seen again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Any bytes but those that end a line.
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most + 1);
        (0..len)
            .map(|_| self.next() as u8)
            .map(|byte| {
                if matches!(byte, b'\r' | b'\n') {
                    b'x'
                } else {
                    byte
                }
            })
            .collect()
    }
}

/// Arguments that mean something to some command.
const ARGUMENTS: &[&str] = &[
    "",
    "/",
    "..",
    "file",
    "dir",
    "dir/file",
    "-la",
    "ALL",
    "1",
    "2",
    "A",
    "I",
    "F",
    "S",
    "10",
    "99999999999999999999",
    "-1",
    "20170921013410 file",
    "644 file",
    "CHMOD 600 file",
    "HELP",
    "UTIME 20170921013410 file",
    "MLST type;size;",
    "UTF8 ON",
    "user",
    "anonymous",
    "12345",
    "1,2,3,4,5,6",
    "127,0,0,1,0,1",
    "|1|127.0.0.1|1|",
    "|2|::1|1|",
    "new",
    "*",
    "~",
    "\"quoted\"",
];

fn line(random: &mut Random) -> Vec<u8> {
    let mut line = match random.below(20) {
        // A letter before, so that it is not one of the verbs that close the session.
        0 => [b"X", &random.bytes(30)[..]].concat(),
        _ => loop {
            let verb = random.pick(VERBS);
            if verb != "QUIT" {
                break verb.as_bytes().to_vec();
            }
        },
    };
    match random.below(4) {
        0 => {}
        1 => {
            line.push(b' ');
            let most = if random.below(10) == 0 { 3000 } else { 60 };
            line.extend(random.bytes(most));
        }
        _ => {
            line.push(b' ');
            line.extend_from_slice(random.pick(ARGUMENTS).as_bytes());
        }
    }
    line
}

/// The lines of a storm; now and then a login, for REIN and USER throw one out.
fn storm(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(seed);
    let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
    while lines.len() < count {
        if random.below(12) == 0 {
            lines.extend(["USER user", "PASS 12345", "TYPE I"].map(|line| line.into()));
        }
        lines.push_back(line(&mut random));
    }
    lines.truncate(count);
    lines.into()
}

fn server() -> TestServer {
    let server = TestServer::with(|builder| {
        builder
            .auth_failed_timeout(Duration::ZERO)
            .max_login_attempts(0)
            .active_timeout(Duration::from_secs(2))
    });
    server.write("file", "content");
    server.mkdir("dir");
    server
}

/// Counts final replies until NOOP's own, which is known by what was sent before it.
fn count_finals(client: &mut Client, expected: usize) -> usize {
    let mut finals = 0;
    while finals < expected {
        let reply = client.reply();
        if reply.code >= 200 {
            finals += 1;
        }
    }
    finals
}

#[test]
fn each_line_of_a_storm_has_one_final_reply() {
    for seed in [1, 2, 3] {
        let server = server();
        let mut client = server.login();
        let lines = storm(seed, 1000);
        let bytes: Vec<u8> = lines
            .iter()
            .flat_map(|line| [line, &b"\r\n"[..]].concat())
            .collect();
        let mut writer = client.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            // Written beside the reading: nobody has to hold all of the replies.
            scope.spawn(move || {
                std::io::Write::write_all(&mut writer, &bytes).expect("the server reads");
                // Ends a transfer that still waits for its connection.
                std::io::Write::write_all(&mut writer, b"USER user\r\nPASS 12345\r\nABOR\r\n")
                    .expect("the server reads");
            });
            count_finals(&mut client, lines.len() + 3);
        });
        // There is no reply too many: what comes now is the answer to this.
        assert_eq!(
            client.expect("SYST", 215).text,
            "215 UNIX Type: L8",
            "seed {seed}"
        );
        server.login().list("LIST");
    }
}

#[test]
fn a_storm_cut_anywhere_leaves_the_server_alive() {
    let server = server();
    let bytes: Vec<u8> = storm(4, 300)
        .iter()
        .flat_map(|line| [line, &b"\r\n"[..]].concat())
        .collect();
    let mut random = Random(5);
    for _ in 0..30 {
        let end = random.below(bytes.len());
        let mut client = server.connect();
        client.send(&bytes[..end]);
        drop(client);
    }
    server.login().list("LIST");
}
