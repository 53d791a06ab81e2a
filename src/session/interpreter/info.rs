//! Commands that ask about the server or set a parameter of the session.

use std::borrow::Cow;

use log::Level;

use super::digest;
use super::replies::not_logged_in;
use super::state::{Data, Interpreter, Wait};
use super::table::{Row, Table};
use super::vocabulary::{Effect, Progress};
use crate::proto::mlsx::Facts;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::proto::verb::Verb;
use crate::session::work::job::{Files, Job, Outcome, Source};
use crate::session::work::listing::{Format, Style};

/// Bytes of a STAT listing that wait for the client at a time.
const STAT_CHUNK: usize = 32 * 1024;

pub(crate) fn noop(it: &mut Interpreter, _: &[u8]) {
    it.finish(Reply::new(200, "I successfully did nothing."));
}

pub(crate) fn clnt(it: &mut Interpreter, _: &[u8]) {
    it.finish(Reply::new(200, "Noted."));
}

/// LIST looks like a UNIX server's on every system, so this says what clients parse it by.
pub(crate) fn syst(it: &mut Interpreter, _: &[u8]) {
    it.finish(Reply::new(215, "UNIX Type: L8"));
}

pub(crate) fn site(it: &mut Interpreter, _: &[u8]) {
    it.finish(Reply::new(501, "Syntax error: command needs an argument."));
}

/// RFC 959, 3.1.1; the format behind A is the one there is (N).
pub(crate) fn type_(it: &mut Interpreter, arg: &[u8]) {
    let wanted: Vec<u8> = arg
        .iter()
        .filter(|&&byte| byte != b' ')
        .map(u8::to_ascii_uppercase)
        .collect();
    match &wanted[..] {
        b"A" | b"AN" | b"L7" => {
            // REST counts bytes, which ASCII has not.
            it.ascii = true;
            it.rest = 0;
            it.finish(Reply::new(200, "Type set to: ASCII."));
        }
        b"I" | b"L8" => {
            it.ascii = false;
            it.finish(Reply::new(200, "Type set to: Binary."));
        }
        _ => it.finish(Reply::new(
            504,
            format!("Unsupported type \"{}\".", lossy(arg)),
        )),
    }
}

pub(crate) fn stru(it: &mut Interpreter, arg: &[u8]) {
    it.finish(match arg.to_ascii_uppercase().as_slice() {
        b"F" => Reply::new(200, "File transfer structure set to: F."),
        b"P" | b"R" => Reply::new(504, "Unimplemented STRU type."),
        _ => Reply::new(501, "Unrecognized STRU type."),
    });
}

pub(crate) fn mode(it: &mut Interpreter, arg: &[u8]) {
    it.finish(match arg.to_ascii_uppercase().as_slice() {
        b"S" => Reply::new(200, "Transfer mode set to: S"),
        b"B" | b"C" => Reply::new(504, "Unimplemented MODE type."),
        _ => Reply::new(501, "Unrecognized MODE type."),
    });
}

/// RFC 2389, 3
pub(super) fn feat(it: &mut Interpreter, table: &Table, _: &[u8]) {
    let rows = table.rows();
    let mut features: Vec<Cow<'static, str>> =
        rows.iter().filter_map(|row| row.feat.clone()).collect();
    features.push(Cow::Owned(format!(
        "MLST {}",
        it.facts.feat(Facts::available())
    )));
    features.push(Cow::Borrowed("TVFS"));
    if table.has_hash() {
        features.push(Cow::Owned(it.hash.feat()));
    }
    if it.config.tls.is_some() {
        features.push(Cow::Borrowed("AUTH SSL"));
    }
    if it.config.encoding == crate::proto::encoding::Encoding::Utf8 {
        features.push(Cow::Borrowed("UTF8"));
    }
    features.sort_unstable();
    let lines: Vec<Vec<u8>> = features
        .iter()
        .map(|feature| it.config.encoding.encode(feature.as_bytes()).into_owned())
        .collect();
    it.finish(Reply::multi(211, "Features supported:", lines, "End FEAT."));
}

/// RFC 2389, 4; MLST and HASH have options, and UTF8 is what some clients ask for, also before login.
pub(super) fn opts(it: &mut Interpreter, table: &Table, arg: &[u8]) {
    let mut words = arg.split(|&byte| byte == b' ');
    let command = words.next().unwrap_or_default().to_ascii_uppercase();
    let option = words.next().unwrap_or_default();
    let reply = match &command[..] {
        b"UTF8" | b"UTF-8" => Reply::new(200, "Always in UTF8 mode."),
        _ if it.account.is_none() => not_logged_in(),
        _ if words.next().is_some() => Reply::new(501, "Invalid number of arguments."),
        b"MLST" => match Facts::select(Facts::available(), option) {
            Some(facts) => {
                it.facts = facts;
                Reply::new(200, format!("MLST OPTS {}", facts.names()))
            }
            None => Reply::new(501, "Invalid argument."),
        },
        b"HASH" if table.has_hash() => digest::options(it, option),
        _ => Reply::new(501, format!("Unsupported command \"{}\".", lossy(&command))),
    };
    it.finish(reply);
}

pub(super) fn help(it: &mut Interpreter, table: &Table, arg: &[u8]) {
    let rows = table.rows();
    if !arg.is_empty() {
        let reply = help_on(table, &lossy(arg).to_uppercase(), "Unrecognized command.");
        return it.finish(reply);
    }
    let names: Vec<&Row> = rows
        .iter()
        .filter(|row| !row.name.starts_with("SITE "))
        .collect();
    let lines = names.chunks(8).map(|eight| {
        let line: Vec<String> = eight.iter().map(|row| format!("{:<6}", row.name)).collect();
        line.join(" ").into_bytes()
    });
    let lines: Vec<Vec<u8>> = lines.collect();
    it.finish(Reply::multi(
        214,
        "The following commands are recognized:",
        lines,
        "Help command successful.",
    ));
}

pub(super) fn site_help(it: &mut Interpreter, table: &Table, arg: &[u8]) {
    if !arg.is_empty() {
        let asked = lossy(arg).to_uppercase();
        let name = if asked.starts_with("SITE ") {
            asked
        } else {
            format!("SITE {asked}")
        };
        let reply = help_on(table, &name, "Unrecognized SITE command.");
        return it.finish(reply);
    }
    let names = table
        .rows()
        .iter()
        .filter_map(|row| row.name.strip_prefix("SITE "));
    let lines: Vec<Vec<u8>> = names.map(|name| name.as_bytes().to_vec()).collect();
    it.finish(Reply::multi(
        214,
        "The following SITE commands are recognized:",
        lines,
        "Help SITE command successful.",
    ));
}

fn help_on(table: &Table, name: &str, unknown: &'static str) -> Reply {
    match table.find(&Verb::upper(name.as_bytes())) {
        Some(row) => Reply::new(214, row.help.clone().into_owned()),
        None => Reply::new(501, unknown),
    }
}

/// STAT tells about the session; `STAT path` lists over the control connection.
pub(crate) fn stat(it: &mut Interpreter, arg: &[u8]) {
    if arg.is_empty() {
        it.wait = Wait::Progress;
        return it.effect(Effect::AskProgress);
    }
    if it.account.is_none() {
        return it.finish(not_logged_in());
    }
    let magic = arg.iter().any(|byte| b"*?[".contains(byte));
    it.with_path(arg, Perm::LIST, move |it, path| {
        let format: Format = it.format(Style::List);
        let shown = it.shown(&path);
        it.files(
            Files::OpenListing { path, format },
            move |it, outcome| match outcome {
                Outcome::Listing(Ok(listing)) => {
                    let mut head = b"213-Status of \"".to_vec();
                    head.extend(shown.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
                    head.extend_from_slice(b"\":\r\n");
                    it.held = Some(Vec::new());
                    it.wait = Wait::Drained(Source::Listing(listing));
                    it.effect(Effect::Raw(head));
                }
                Outcome::Listing(Err(_)) if magic => {
                    it.finish(Reply::new(550, "Globbing not supported."));
                }
                Outcome::Listing(Err(error)) => it.fail(&error),
                _ => it.lost(),
            },
        );
    });
}

/// The client has taken what there was of a STAT listing: the next part of it.
pub(super) fn drained(it: &mut Interpreter) {
    let source = match std::mem::replace(&mut it.wait, Wait::Nothing) {
        Wait::Drained(source) => source,
        other => return it.wait = other,
    };
    it.reset_idle();
    it.job(
        Job::Fill(source, Vec::new(), STAT_CHUNK),
        |it, outcome| match outcome {
            Outcome::Filled(source, bytes, Ok(more)) => {
                if more {
                    it.wait = Wait::Drained(source);
                    it.effect(Effect::Raw(bytes));
                } else {
                    it.effect(Effect::Raw(bytes));
                    it.finish(Reply::new(213, "End of status."));
                }
            }
            Outcome::Filled(_, _, Err(error)) => {
                let text = crate::fs::describe(&error);
                it.finish(Reply::new(213, format!("End of status; {text}.")));
            }
            // Another code would not end it.
            _ => it.finish_at(
                Level::Error,
                Reply::new(213, "End of status; internal error."),
            ),
        },
    );
}

/// STAT's answer (RFC 959, 5.3.1), also while a transfer runs.
pub(super) fn status(it: &mut Interpreter, progress: Progress) {
    let Wait::Progress = it.wait else { return };
    let mut lines = vec![format!("Connected to: {}", it.local)];
    lines.push(match (&it.account, it.username.is_empty()) {
        (Some(_), _) => format!("Logged in as: {}", it.username),
        (None, true) => "Waiting for username.".to_owned(),
        (None, false) => "Waiting for password.".to_owned(),
    });
    lines.push(format!(
        "TYPE: {}; STRUcture: File; MODE: Stream",
        it.type_name()
    ));
    match it.data {
        Data::Listening => lines.push("Passive data channel waiting for connection.".to_owned()),
        Data::Open => {
            lines.push("Data connection open:".to_owned());
            lines.push(format!("Total bytes sent: {}", progress.sent));
            lines.push(format!("Total bytes received: {}", progress.received));
            let elapsed = progress.elapsed.as_secs_f64();
            lines.push(format!("Transfer elapsed time: {elapsed:.3} secs"));
        }
        _ => lines.push("Data connection closed.".to_owned()),
    }
    let encoding = it.config.encoding;
    let encoded = |line: &String| encoding.encode(line.as_bytes()).into_owned();
    let lines = lines.iter().map(encoded).collect();
    it.finish(Reply::multi(
        211,
        "FTP server status:",
        lines,
        "End of status.",
    ));
}

fn lossy(arg: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(arg)
}
