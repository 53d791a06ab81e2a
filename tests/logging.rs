//! What a library user's own commands leave in the log.
//!
//! A process of its own, since a logger is the whole process's.

mod common;

use std::sync::Mutex;

use common::TestServer;
use ftpdlib::{Command, Reply};
use log::{LevelFilter, Log, Metadata, Record};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {}", record.level(), record.args());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

/// The lines of the commands with that word in them, without who and where from.
fn lines_with(word: &str) -> Vec<String> {
    let lines = LINES.0.lock().unwrap();
    let with = lines.iter().filter(|line| line.contains(word));
    with.map(|line| {
        let (level, text) = line.split_once(' ').unwrap();
        let (_, told) = text.split_once("] ").unwrap();
        format!("{level} {told}")
    })
    .collect()
}

#[test]
fn secrets_of_ones_own_commands_are_in_no_log() {
    log::set_logger(&LINES).unwrap();
    let command = |name| Command::site(name).run(|_, _| Ok(Reply::new(200, "Done.")));
    let server = TestServer::with(|builder| {
        builder
            .command(command("PSWD").secret())
            .command(command("QUIET").logged(false))
            .command(command("PLAIN"))
    });
    let mut client = server.login();
    for (level, shown) in [
        (
            LevelFilter::Info,
            [
                vec!["INFO SITE PSWD ****** 200"],
                vec![],
                vec!["INFO SITE PLAIN word 200"],
            ],
        ),
        (
            LevelFilter::Debug,
            [
                vec!["DEBUG <- SITE PSWD ******"],
                vec!["DEBUG <- SITE QUIET word"],
                vec!["DEBUG <- SITE PLAIN word"],
            ],
        ),
    ] {
        log::set_max_level(level);
        LINES.0.lock().unwrap().clear();
        client.expect("SITE PSWD old-secret new-secret", 200);
        client.expect("SITE QUIET word", 200);
        client.expect("SITE PLAIN word", 200);
        let found = ["SITE PSWD", "SITE QUIET", "SITE PLAIN"].map(lines_with);
        assert_eq!(found, shown);
        // What is sent by mistake is still a secret.
        client.expect(" SITE PSWD old-secret new-secret", 500);
        client.expect("QUOTE SITE PSWD old-secret new-secret", 500);
        assert!(lines_with("secret").is_empty());
    }
}
