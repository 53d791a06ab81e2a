//! Commands on files and directories that need no data connection.

use super::path::split_word;
use super::replies::error_reply;
use super::state::Interpreter;
use crate::auth::Account;
use crate::proto::calendar;
use crate::proto::escape::quote_path;
use crate::proto::mlsx;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::session::work::job::{Files, Outcome};
use crate::session::work::upload::part_of;

pub(crate) fn pwd(it: &mut Interpreter, _: &[u8]) {
    let reply = quoted(257, &it.shown(&it.directory), " is the current directory.");
    it.finish(reply);
}

pub(crate) fn cwd(it: &mut Interpreter, path: VirtualPath) {
    it.files(Files::EnterDir(path.clone()), |it, outcome| match outcome {
        Outcome::Done(Ok(())) => {
            let reply = quoted(250, &it.shown(&path), " is the current directory.");
            it.directory = path;
            it.finish(reply);
        }
        Outcome::Done(Err(error)) => it.fail(&error),
        _ => it.lost(),
    });
}

pub(crate) fn mkd(it: &mut Interpreter, path: VirtualPath) {
    let shown = it.shown(&path);
    it.files(Files::CreateDir(path), move |it, outcome| {
        done(it, outcome, || quoted(257, &shown, " directory created."));
    });
}

pub(crate) fn rmd(it: &mut Interpreter, path: VirtualPath) {
    if path.is_root() {
        return it.finish(Reply::new(550, "Can't remove root directory."));
    }
    it.files(Files::RemoveDir(path), |it, outcome| {
        done(it, outcome, || Reply::new(250, "Directory removed."));
    });
}

pub(crate) fn dele(it: &mut Interpreter, path: VirtualPath) {
    it.files(Files::RemoveFile(path), |it, outcome| {
        done(it, outcome, || Reply::new(250, "File removed."));
    });
}

pub(crate) fn rnfr(it: &mut Interpreter, path: VirtualPath) {
    if path.is_root() {
        return it.finish(Reply::new(550, "Can't rename home directory."));
    }
    let account = it.account.as_ref();
    if account.is_some_and(|account| account.has_override_below(&path)) {
        return it.not_enough_privileges();
    }
    let work = Files::Metadata {
        path: path.clone(),
        follow: false,
    };
    it.files(work, |it, outcome| match outcome {
        Outcome::Metadata(Ok(_)) => {
            it.rename_from = Some(path);
            it.finish(Reply::new(350, "Ready for destination name."));
        }
        Outcome::Metadata(Err(error)) => it.fail(&error),
        _ => it.lost(),
    });
}

pub(crate) fn rnto(it: &mut Interpreter, to: VirtualPath) {
    let Some(from) = it.rename_from.take() else {
        return it.finish(Reply::new(503, "Bad sequence of commands: use RNFR first."));
    };
    let replace = !it.config.uploads.no_overwrite;
    it.files(Files::Rename { from, to, replace }, |it, outcome| {
        done(it, outcome, || Reply::new(250, "Renaming ok."));
    });
}

/// Refused in ASCII: its honest answer would need a pass over the whole file.
pub(crate) fn size(it: &mut Interpreter, path: VirtualPath) {
    if it.ascii {
        return it.finish(Reply::new(550, "SIZE not allowed in ASCII mode."));
    }
    let shown = it.shown(&path);
    let uploads = it.config.uploads;
    let part = (uploads.atomic && uploads.keep_partial).then(|| part_of(&path));
    it.files(
        Files::Metadata { path, follow: true },
        move |it, outcome| match (outcome, part) {
            (Outcome::Metadata(Err(error)), Some(part))
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                size_of_part(it, part, shown);
            }
            (outcome, _) => tell_size(it, outcome, &shown),
        },
    );
}

/// Of a file whose upload was cut off: where its client may go on.
fn size_of_part(it: &mut Interpreter, path: VirtualPath, shown: Vec<u8>) {
    it.files(
        Files::Metadata { path, follow: true },
        move |it, outcome| tell_size(it, outcome, &shown),
    );
}

fn tell_size(it: &mut Interpreter, outcome: Outcome, shown: &[u8]) {
    match outcome {
        Outcome::Metadata(Ok(meta)) if meta.is_file() => {
            it.finish(Reply::new(213, meta.size.to_string()));
        }
        outcome => not_retrievable(it, outcome, shown),
    }
}

/// `MDTM path` asks (RFC 3659, 3); `MDTM YYYYMMDDhhmmss path` sets, as many clients expect, unless
/// a file has that whole name.
pub(crate) fn mdtm(it: &mut Interpreter, arg: &[u8]) {
    let set = split_word(arg)
        .and_then(|(time, path)| Some((calendar::parse_timeval(time)?, path.to_vec())));
    let Some((seconds, path_arg)) = set else {
        return it.with_path(arg, Perm::LIST, mdtm_ask);
    };
    let Ok(whole) = it.resolve(arg) else {
        return it.with_path(arg, Perm::LIST, mdtm_ask);
    };
    let arg = arg.to_vec();
    it.files(
        Files::Metadata {
            path: whole,
            follow: false,
        },
        move |it, outcome| match outcome {
            Outcome::Metadata(Ok(_)) => it.with_path(&arg, Perm::LIST, mdtm_ask),
            _ => it.with_path(&path_arg, Perm::MTIME, move |it, path| {
                set_modified(it, path, seconds, |_, time, _| {
                    Reply::new(253, format!("Date/time changed to {time}."))
                });
            }),
        },
    );
}

fn mdtm_ask(it: &mut Interpreter, path: VirtualPath) {
    let shown = it.shown(&path);
    it.files(
        Files::Metadata { path, follow: true },
        move |it, outcome| match outcome {
            Outcome::Metadata(Ok(meta)) if meta.is_file() => {
                it.finish(match calendar::timeval(meta.modified, it.config.zone) {
                    Some(time) => Reply::new(213, time),
                    None => Reply::new(550, "Can't determine file's last modification time."),
                });
            }
            outcome => not_retrievable(it, outcome, &shown),
        },
    );
}

/// draft-somers-ftp-mfxx, 3.1
pub(crate) fn mfmt(it: &mut Interpreter, time: &[u8], path: VirtualPath) {
    let Some(seconds) = calendar::parse_timeval(time) else {
        let text = "Invalid time format; expected: YYYYMMDDHHMMSS.";
        return it.finish(Reply::new(550, text));
    };
    set_modified(it, path, seconds, |it, time, path| {
        let mut text = format!("Modify={time}; ").into_bytes();
        text.extend(it.shown(path));
        text.push(b'.');
        Reply::new(213, text)
    });
}

/// Two forms: `YYYYMMDDhhmm[ss] path`, and `path atime mtime ctime UTC`.
pub(crate) fn site_utime(it: &mut Interpreter, arg: &[u8]) {
    let Some((seconds, path)) = utime_argument(arg) else {
        return it.finish(Reply::new(501, "Invalid SITE UTIME format."));
    };
    it.with_path(path, Perm::MTIME, move |it, path| {
        set_modified(it, path, seconds, |_, _, _| {
            Reply::new(200, "SITE UTIME successful.")
        });
    });
}

fn utime_argument(arg: &[u8]) -> Option<(i64, &[u8])> {
    let mut words = arg.rsplitn(5, |&byte| byte == b' ');
    if let (Some(zone), Some(ctime), Some(mtime), Some(atime), Some(path)) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) {
        let times = [atime, mtime, ctime].map(calendar::parse_timeval);
        if let ([Some(_), Some(mtime), Some(_)], true) = (times, zone.eq_ignore_ascii_case(b"UTC"))
        {
            return Some((mtime, path));
        }
    }
    let (time, path) = split_word(arg)?;
    let mut time = time.to_vec();
    if time.len() == 12 {
        time.extend(b"00");
    }
    Some((calendar::parse_timeval(&time)?, path))
}

fn set_modified(
    it: &mut Interpreter,
    path: VirtualPath,
    seconds: i64,
    reply: fn(&Interpreter, String, &VirtualPath) -> Reply,
) {
    let shown = it.shown(&path);
    let work = Files::Metadata {
        path: path.clone(),
        follow: true,
    };
    it.files(work, move |it, outcome| match outcome {
        Outcome::Metadata(Ok(meta)) if meta.is_file() => {
            it.files(
                Files::SetModified(path.clone(), seconds),
                move |it, outcome| match outcome {
                    Outcome::Metadata(Ok(meta)) => {
                        let time =
                            calendar::timeval(meta.modified, it.config.zone).unwrap_or_default();
                        let reply = reply(it, time, &path);
                        it.finish(reply);
                    }
                    Outcome::Metadata(Err(error)) => it.fail(&error),
                    _ => it.lost(),
                },
            );
        }
        outcome => not_retrievable(it, outcome, &shown),
    });
}

pub(crate) fn mlst(it: &mut Interpreter, path: VirtualPath) {
    let account = it.account.clone();
    let shown = it.shown(&path);
    let work = Files::Metadata {
        path: path.clone(),
        follow: true,
    };
    it.files(work, move |it, outcome| match outcome {
        Outcome::Metadata(Ok(meta)) => {
            let perms_on = |account: Account| account.perms_on(&path, meta.is_dir());
            let perm = account.map_or(Perm::NONE, perms_on);
            let mut entry = Vec::new();
            mlsx::Lines::new(it.facts, it.config.zone).push_facts(&mut entry, &meta, &shown, perm);
            let mut first = b"Listing \"".to_vec();
            first.extend_from_slice(&shown);
            first.extend_from_slice(b"\":");
            it.finish(Reply::multi(250, first, vec![entry], "End MLST."));
        }
        Outcome::Metadata(Err(error)) => it.fail(&error),
        _ => it.lost(),
    });
}

pub(crate) fn site_chmod(it: &mut Interpreter, mode: &[u8], path: VirtualPath) {
    let octal =
        (3..=4).contains(&mode.len()) && mode.iter().all(|digit| (b'0'..=b'7').contains(digit));
    if !octal {
        return it.finish(Reply::new(501, "Invalid SITE CHMOD format."));
    }
    let mode = mode
        .iter()
        .fold(0, |mode, digit| mode * 8 + u32::from(digit - b'0'));
    it.files(Files::SetMode(path, mode), |it, outcome| {
        done(it, outcome, || Reply::new(200, "SITE CHMOD successful."));
    });
}

fn done(it: &mut Interpreter, outcome: Outcome, reply: impl FnOnce() -> Reply) {
    match outcome {
        Outcome::Done(Ok(())) => it.finish(reply()),
        Outcome::Done(Err(error)) => it.fail(&error),
        _ => it.lost(),
    }
}

/// For commands that ask about a regular file and found none.
fn not_retrievable(it: &mut Interpreter, outcome: Outcome, shown: &[u8]) {
    match outcome {
        Outcome::Metadata(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            it.finish(error_reply(550, &error, ""));
        }
        Outcome::Metadata(_) => {
            let mut text = shown.to_vec();
            text.extend_from_slice(b" is not retrievable.");
            it.finish(Reply::new(550, text));
        }
        _ => it.lost(),
    }
}

fn quoted(code: u16, path: &[u8], text: &str) -> Reply {
    let mut line = vec![b'"'];
    line.extend(quote_path(path));
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    Reply::new(code, line)
}
