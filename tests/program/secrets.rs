//! Passwords leave no trace in the memory of the program.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

use crate::common::program::Program;
use crate::common::skipped;

/// Whether a process has these bytes anywhere in its memory; `None` when nobody may look there.
fn holds(pid: u32, needle: &[u8]) -> Option<bool> {
    let mut memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut found = false;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        let (from, to) = range.split_once('-')?;
        let from = u64::from_str_radix(from, 16).ok()?;
        let to = u64::from_str_radix(to, 16).ok()?;
        if !rights.starts_with("rw") || memory.seek(SeekFrom::Start(from)).is_err() {
            continue;
        }
        let mut content = Vec::new();
        // Some mappings cannot be read, such as those of devices.
        let _ = (&mut memory).take(to - from).read_to_end(&mut content);
        found |= content.windows(needle.len()).any(|bytes| bytes == needle);
    }
    Some(found)
}

#[test]
fn a_password_is_wiped_when_it_was_checked() {
    let stage = crate::users::Stage::new("bob HASH HOME elr\n");
    // With -D, for the commands are logged as well.
    let flags = ["--auth-failed-timeout", "0", "-D"];
    let program = Program::with_users(&stage.file(), &flags);
    // Of another one, which is not in the user file either.
    let secret = "wr0ng-and-Unmistakable";
    let mut client = program.connect();
    // As it comes in pieces, as one of several lines, after a typing error, and when it is too late.
    client.expect("USER bob", 331);
    client.send(format!("PASS {}", &secret[..9]));
    client.send(format!("{}\r\n", &secret[9..]));
    client.expect_reply(530);
    client.send(format!("USER bob\r\nPASS {secret}\r\nNOOP\r\n"));
    client.expect_replies(&[331, 530, 200]);
    client.login_as("bob", "secret");
    client.expect(format!("PASS {secret}"), 503);
    client.expect_alive();
    // The home is something that it does have in mind.
    let home = stage.home();
    let Some(true) = holds(program.pid(), home.as_os_str().as_encoded_bytes()) else {
        return skipped("the memory of another process cannot be read here");
    };
    assert_eq!(holds(program.pid(), secret.as_bytes()), Some(false));
    assert_eq!(holds(program.pid(), &secret.as_bytes()[9..]), Some(false));
}
