//! Digests of files: HASH (draft-bryan-ftpext-hash-02), and XCRC, XMD5, XSHA1, XSHA256 and XSHA512 as
//! clients came to use them, with a range of bytes behind the name.
//!
//! A file is read on worker threads, piece by piece ([`Digesting`]). ABOR, and a client who leaves,
//! end that in the midst of a piece.

use super::path::split_word;
use super::state::{Interpreter, OnAbort};
use super::vocabulary::Effect;
use crate::proto::digest::Algorithm;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::session::work::cancel::cancel;
use crate::session::work::digesting::{Digested, Digesting, Range};
use crate::session::work::job::{Files, Job, Outcome};

/// What the client is told of a digest: it, and the offset behind the last byte.
type Answer = Box<dyn FnOnce(String, u64) -> Reply>;

/// The octets of the file as they are, as in TYPE I, whatever the type.
pub(crate) fn hash(it: &mut Interpreter, arg: &[u8]) {
    let name = arg.to_vec();
    it.with_path(arg, Perm::READ, move |it, path| {
        let algorithm = it.hash;
        let answer = move |digest: String, end: u64| {
            // The last byte's offset; the draft has no range for a file without any.
            let last = end.saturating_sub(1);
            let text = format!("{} 0-{last} {digest} ", algorithm.name());
            Reply::new(213, [text.as_bytes(), &name].concat())
        };
        digest(it, path, algorithm, Range::default(), Box::new(answer));
    });
}

/// OPTS HASH names the algorithm, or chooses another one.
pub(super) fn options(it: &mut Interpreter, name: &[u8]) -> Reply {
    match Algorithm::from_name(name) {
        Some(algorithm) => it.hash = algorithm,
        None if name.is_empty() => {}
        None => return Reply::new(501, "Unknown algorithm, current selection not changed."),
    }
    Reply::new(200, it.hash.name())
}

pub(crate) fn xcrc(it: &mut Interpreter, arg: &[u8]) {
    checksum(it, arg, Algorithm::Crc32);
}

pub(crate) fn xmd5(it: &mut Interpreter, arg: &[u8]) {
    checksum(it, arg, Algorithm::Md5);
}

pub(crate) fn xsha1(it: &mut Interpreter, arg: &[u8]) {
    checksum(it, arg, Algorithm::Sha1);
}

pub(crate) fn xsha256(it: &mut Interpreter, arg: &[u8]) {
    checksum(it, arg, Algorithm::Sha256);
}

pub(crate) fn xsha512(it: &mut Interpreter, arg: &[u8]) {
    checksum(it, arg, Algorithm::Sha512);
}

/// `name`, or `name start`, or `name start end`, the name in quotes or not; unless a file has that
/// whole name.
fn checksum(it: &mut Interpreter, arg: &[u8], algorithm: Algorithm) {
    let run = move |it: &mut Interpreter, path: &[u8], range: Range| {
        if range.end.is_some_and(|end| end < range.start) {
            return it.finish(Reply::new(501, "The range ends before it starts."));
        }
        it.with_path(path, Perm::READ, move |it, path| {
            let answer = |digest, _| Reply::new(250, digest);
            digest(it, path, algorithm, range, Box::new(answer));
        });
    };
    let whole = it.resolve(arg).ok();
    let (Some((path, range)), exact) = (with_range(arg), arg.to_vec()) else {
        return run(it, arg, Range::default());
    };
    let Some(whole) = whole else {
        return run(it, &path, range);
    };
    let look = Files::Metadata {
        path: whole,
        follow: false,
    };
    it.files(look, move |it, outcome| match outcome {
        Outcome::Metadata(Ok(_)) => run(it, &exact, Range::default()),
        _ => run(it, &path, range),
    });
}

/// The other reading of an argument that is not only a name, if it has one.
fn with_range(arg: &[u8]) -> Option<(Vec<u8>, Range)> {
    if let Some((name, behind)) = quoted(arg) {
        return Some((name, range(behind)?));
    }
    let last = |text: &[u8]| {
        let blank = text.iter().rposition(|&byte| byte == b' ')?;
        (blank > 0).then(|| Some((text[..blank].to_vec(), number(&text[blank + 1..])?)))?
    };
    let (before, number) = last(arg)?;
    Some(match last(&before) {
        Some((name, start)) => {
            let end = Some(number);
            (name, Range { start, end })
        }
        None => {
            let (start, end) = (number, None);
            (before, Range { start, end })
        }
    })
}

/// A name in quotes, those in it doubled, and what is behind it.
fn quoted(arg: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = arg.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        match rest {
            [b'"', b'"', after @ ..] => {
                name.push(b'"');
                rest = after;
            }
            [b'"', after @ ..] => return Some((name, after)),
            [byte, after @ ..] => {
                name.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// Nothing, or ` start`, or ` start end`.
fn range(text: &[u8]) -> Option<Range> {
    let Some(numbers) = text.strip_prefix(b" ") else {
        return text.is_empty().then(Range::default);
    };
    let (start, end) = match split_word(numbers) {
        Some((start, end)) => (start, Some(number(end)?)),
        None => (numbers, None),
    };
    let start = number(start)?;
    Some(Range { start, end })
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| str::from_utf8(digits).ok()?.parse().ok())?
}

/// Opens the file, and reads it to the range's end.
fn digest(
    it: &mut Interpreter,
    path: VirtualPath,
    algorithm: Algorithm,
    range: Range,
    answer: Answer,
) {
    let open = Files::OpenRead { path, rest: 0 };
    it.files(open, move |it, outcome| match outcome {
        Outcome::File(Ok(file)) => {
            // Nothing is said until it is done, and what is between here and the client may forget him.
            it.effect(Effect::KeepAlive);
            let digesting = Box::new(Digesting::new(file, algorithm, range));
            go_on(it, digesting, answer);
        }
        Outcome::File(Err(error)) => it.fail_open(&error),
        _ => it.lost(),
    });
}

fn go_on(it: &mut Interpreter, mut digesting: Box<Digesting>, answer: Answer) {
    let (canceller, cancel) = cancel();
    digesting.cancel_by(cancel);
    let job = Job::Digest(digesting);
    it.abortable_job(
        job,
        OnAbort::Cancels(canceller),
        move |it, outcome| match outcome {
            Outcome::Digested(Digested::Part(digesting)) if !it.is_aborted() => {
                go_on(it, digesting, answer);
            }
            Outcome::Digested(Digested::Part(_) | Digested::Cancelled) => it.aborted(),
            Outcome::Digested(Digested::Whole { digest, end }) => it.finish(answer(digest, end)),
            Outcome::Digested(Digested::Outside { size }) => {
                let text = format!("The range is not within the file, which has {size} bytes.");
                it.finish(Reply::new(501, text));
            }
            Outcome::Digested(Digested::Failed(error)) => it.fail(&error),
            _ => it.lost(),
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ranges() {
        let is = |arg: &str, name: &str, start, end| {
            let found = with_range(arg.as_bytes());
            assert_eq!(found, Some((name.into(), Range { start, end })), "{arg}");
        };
        is("\"a b\"", "a b", 0, None);
        is("\"a b\" 7", "a b", 7, None);
        is("\"say \"\"x\"\"\" 0 12", "say \"x\"", 0, Some(12));
        is("a b 3", "a b", 3, None);
        is("a 3 4", "a", 3, Some(4));
        is("a 2 3 4", "a 2", 3, Some(4));
        is("1 2", "1", 2, None);
        for plain in [
            "a",
            "a b",
            "7",
            " 7",
            "a -1",
            "a 18446744073709551616",
            "\"a",
            "\"a\"b",
            "\"a\" x",
            "\"a\" 1 2 3",
            "",
        ] {
            assert_eq!(with_range(plain.as_bytes()), None, "{plain}");
        }
    }
}
