//! The transfer commands: RETR, STOR, APPE, STOU, LIST, NLST, MLSD, and what prepares them: REST and
//! ALLO (RFC 959, 4.1.3; RFC 3659, 5 and 7).
//!
//! A download's source is opened when the command comes. An upload's target is looked at when the
//! command comes, and opened only when data can flow: an upload that never gets its connection
//! leaves the old file as it was.

use std::sync::Arc;

use super::path::split_word;
use super::replies::{error_reply, not_logged_in};
use super::state::{Data, Interpreter};
use super::task::{Plan, Task};
use crate::fs::OpenMode;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::session::work::job::{Files, Job, Outcome, Source};
use crate::session::work::listing::{Format, Style};
use crate::session::work::upload::{Target, Upload};

pub(crate) fn rest(it: &mut Interpreter, arg: &[u8]) {
    if it.ascii {
        return it.finish(Reply::new(
            501,
            "Resuming transfers not allowed in ASCII mode.",
        ));
    }
    match number(arg.trim_ascii()) {
        Some(offset) => {
            it.rest = offset;
            it.finish(Reply::new(350, format!("Restarting at position {offset}.")));
        }
        None => it.finish(Reply::new(501, "Invalid parameter.")),
    }
}

pub(crate) fn allo(it: &mut Interpreter, arg: &[u8]) {
    // `ALLO n R m` declares a record size too, which means nothing here.
    let size = split_word(arg).map_or(arg, |(size, _)| size);
    it.declared = number(size);
    it.finish(Reply::new(202, "No storage allocation necessary."));
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

pub(crate) fn retr(it: &mut Interpreter, path: VirtualPath) {
    if refuse_second(it) {
        return;
    }
    let task = it.task("RETR", Some(&path), false);
    let rest = task.rest;
    it.files(
        Files::OpenRead { path, rest },
        move |it, outcome| match outcome {
            Outcome::File(Ok(file)) => it.launch(task, Plan::Send(Source::File(file)), None),
            Outcome::File(Err(error)) => it.fail_open(&error),
            _ => it.lost(),
        },
    );
}

pub(crate) fn stor(it: &mut Interpreter, path: VirtualPath) {
    if refuse_second(it) {
        return;
    }
    let mode = if it.taken.0 > 0 {
        OpenMode::Resume
    } else {
        OpenMode::Write
    };
    let task = it.task("STOR", Some(&path), true);
    store(it, task, path, mode);
}

pub(crate) fn appe(it: &mut Interpreter, path: VirtualPath) {
    if refuse_second(it) {
        return;
    }
    if it.taken.0 > 0 {
        return it.finish(Reply::new(450, "Can't APPE while REST request is pending."));
    }
    let task = it.task("APPE", Some(&path), true);
    store(it, task, path, OpenMode::Append);
}

/// Looks whether the upload could work, then accepts it. When data can flow already, opening the
/// target tells.
fn store(it: &mut Interpreter, task: Box<Task>, path: VirtualPath, mode: OpenMode) {
    if it.may_flow() {
        return it.accept_upload(task, path, mode, None);
    }
    let check = Files::CheckStore(it.target(&task, path.clone(), mode));
    it.files(check, move |it, outcome| match outcome {
        Outcome::Checked(Ok(())) => it.accept_upload(task, path, mode, None),
        Outcome::Checked(Err(error)) => it.fail_open(&error),
        _ => it.lost(),
    });
}

pub(crate) fn stou(it: &mut Interpreter, arg: &[u8]) {
    if refuse_second(it) {
        return;
    }
    if it.taken.0 > 0 {
        return it.finish(Reply::new(450, "Can't STOU while REST request is pending."));
    }
    let wish = if arg.is_empty() { b"ftpd" } else { arg };
    it.with_path(wish, Perm::NONE, |it, path| {
        let dir = path.parent().unwrap_or_else(VirtualPath::root);
        let mut prefix = path.file_name().unwrap_or(b"ftpd").to_vec();
        prefix.push(b'.');
        // Of a name like the one that it will be, in the same directory: the name that was wished may be
        // that of a directory with permissions of its own.
        let like_it = dir.child(&[&*prefix, b"........"].concat());
        it.with_permission(like_it, Perm::WRITE, |it, _| {
            store_unique(it, dir, prefix);
        });
    });
}

/// Stores a file with a name of its own that begins so.
fn store_unique(it: &mut Interpreter, dir: VirtualPath, prefix: Vec<u8>) {
    it.files(
        Files::UniqueName { dir, prefix },
        |it, outcome| match outcome {
            Outcome::Path(Ok(path)) => {
                let task = it.task("STOU", Some(&path), true);
                // RFC 1123, 4.1.2.9: the client learns the name from this reply.
                let mut text = b"FILE: ".to_vec();
                text.extend(
                    it.config
                        .encoding
                        .encode(path.file_name().unwrap_or_default())
                        .iter(),
                );
                it.accept_upload(task, path, OpenMode::CreateNew, Some(text));
            }
            Outcome::Path(Err(error)) => it.finish(error_reply(450, &error, "")),
            _ => it.lost(),
        },
    );
}

pub(crate) fn list(it: &mut Interpreter, path: VirtualPath) {
    listing(it, "LIST", Style::List, path);
}

pub(crate) fn nlst(it: &mut Interpreter, path: VirtualPath) {
    listing(it, "NLST", Style::Nlst, path);
}

pub(crate) fn mlsd(it: &mut Interpreter, path: VirtualPath) {
    let Some(account) = it.account.clone() else {
        return it.finish(not_logged_in());
    };
    let facts = it.facts;
    listing(it, "MLSD", Style::Mlsd { facts, account }, path);
}

fn listing(it: &mut Interpreter, command: &'static str, style: Style, path: VirtualPath) {
    if refuse_second(it) {
        return;
    }
    let task = it.task(command, None, false);
    let format = it.format(style);
    it.files(
        Files::OpenListing { path, format },
        move |it, outcome| match outcome {
            Outcome::Listing(Ok(listing)) => {
                it.launch(task, Plan::Send(Source::Listing(listing)), None);
            }
            // RFC 3659, 7.2.1
            Outcome::Listing(Err(error))
                if command == "MLSD" && error.kind() == std::io::ErrorKind::NotADirectory =>
            {
                it.finish(Reply::new(501, "No such directory."));
            }
            Outcome::Listing(Err(error)) => it.fail(&error),
            _ => it.lost(),
        },
    );
}

pub(super) fn refuse_second(it: &mut Interpreter) -> bool {
    let busy = it.is_transferring();
    if busy {
        it.finish(Reply::new(450, "Transfer in progress."));
    }
    busy
}

impl Interpreter {
    pub(super) fn format(&self, style: Style) -> Format {
        Format {
            style,
            zone: self.config.zone,
            encoding: self.config.encoding,
        }
    }

    fn target(&self, task: &Task, path: VirtualPath, mode: OpenMode) -> Target {
        Target {
            path,
            mode,
            rest: task.rest,
            declared: task.declared,
            uploads: self.config.uploads,
        }
    }

    /// Whether bytes may come at once: then opening the target tells what is wrong with it.
    fn may_flow(&self) -> bool {
        matches!(self.data, Data::Open) && self.security.may_flow(self.config.tls.as_ref())
    }

    fn accept_upload(
        &mut self,
        task: Box<Task>,
        path: VirtualPath,
        mode: OpenMode,
        text: Option<Vec<u8>>,
    ) {
        let Some(account) = &self.account else {
            return self.lost();
        };
        let fs = Arc::clone(account.filesystem());
        let work = Files::OpenWrite(self.target(&task, path, mode));
        if !self.may_flow() {
            return self.launch(task, Plan::Store(fs, work), text);
        }
        self.job(Job::Files(fs, work), move |it, outcome| match outcome {
            Outcome::Upload(Ok(Upload { file, hidden })) => {
                let task = task.hiding(hidden);
                it.launch(task, Plan::Receive(file), text);
            }
            Outcome::Upload(Err(error)) => it.finish(task.refusal(&error)),
            _ => it.lost(),
        });
    }
}
