//! The lines of a user file, read without touching anything: bytes in, users or faults out.
//!
//! `docs/users.md` is the format's description; what it says is here and nowhere else.

use std::path::PathBuf;

use super::super::Limits;
use super::super::hash::PasswordHash;
use crate::proto::escape::Escaped;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;

/// The user whose password may be empty in the file, and is then any.
pub(super) const ANONYMOUS: &str = "anonymous";

/// One user, as a line has him.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) secret: Secret,
    pub(super) home: PathBuf,
    pub(super) perm: Perm,
    pub(super) settings: Settings,
}

/// What a password is held against.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Secret {
    Hash(PasswordHash),
    /// Any password will do.
    Any,
    /// No password will.
    Locked,
}

/// What may follow the four words that every line has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) overrides: Vec<(VirtualPath, Perm, bool)>,
    pub(super) msg_login: Option<String>,
    pub(super) msg_quit: Option<String>,
    pub(super) slow_files: Option<bool>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) number: usize,
    pub(super) what: String,
}

/// All users, or all that is wrong.
pub(super) fn parse(file: &[u8]) -> Result<Vec<Line>, Vec<Fault>> {
    let file = file.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(file);
    let mut lines: Vec<Line> = Vec::new();
    let mut faults = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for (index, text) in file.split(|&byte| byte == b'\n').enumerate() {
        let number = index + 1;
        match line(number, text.strip_suffix(b"\r").unwrap_or(text)) {
            Ok(None) => {}
            Ok(Some(line)) => match seen.insert(line.name.clone(), number) {
                None => lines.push(line),
                Some(first) => {
                    let name = Escaped(line.name.as_bytes());
                    let what = format!("user '{name}' is on line {first} already");
                    faults.push(Fault { number, what });
                }
            },
            Err(what) => faults.push(Fault { number, what }),
        }
    }
    match faults.is_empty() {
        true => Ok(lines),
        false => Err(faults),
    }
}

/// The user of a line, if it has one.
fn line(number: usize, text: &[u8]) -> Result<Option<Line>, String> {
    let words = words(text)?;
    let (name, secret, home, perm, more) = match &words[..] {
        [] => return Ok(None),
        [name, secret, home, perm, more @ ..] => (name, secret, home, perm, more),
        few => {
            let lacking = ["a password hash", "a home", "permissions"][few.len() - 1];
            return Err(format!(
                "{lacking} is missing: a line is NAME HASH HOME PERMISSIONS [SETTING ...]"
            ));
        }
    };
    let name = user_name(name)?;
    let mut settings = Settings::default();
    let mut given = Vec::new();
    for word in more {
        settings.read(word, &mut given)?;
    }
    Ok(Some(Line {
        number,
        secret: secret_of(&name, secret)?,
        name,
        home: home_of(home)?,
        perm: perm_of(perm)?,
        settings,
    }))
}

/// The words of a line: parted by blanks, quotes and escapes taken out, up to a comment.
fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|&&byte| is_blank(byte)).count();
        rest = &rest[blanks..];
        if matches!(rest, [] | [b'#', ..]) {
            return Ok(words);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// The word at the front, and what follows it.
fn word(text: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut word = Vec::new();
    let mut rest = text;
    let mut quoted = false;
    loop {
        rest = match (quoted, rest) {
            (true, []) => return Err("a quote is not closed".to_owned()),
            (false, []) => return Ok((word, rest)),
            (false, &[byte, ..]) if is_blank(byte) => return Ok((word, rest)),
            (_, [b'"', after @ ..]) => {
                quoted = !quoted;
                after
            }
            (true, [b'\\', after @ ..]) => {
                let (byte, after) = escape(after)?;
                word.push(byte);
                after
            }
            (_, [byte, after @ ..]) => {
                word.push(*byte);
                after
            }
        };
    }
}

/// The byte that follows a backslash in quotes stands for.
fn escape(text: &[u8]) -> Result<(u8, &[u8]), String> {
    match text {
        [byte @ (b'"' | b'\\'), after @ ..] => return Ok((*byte, after)),
        [b'x', high, low, after @ ..] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                return Ok(((high * 16 + low) as u8, after));
            }
        }
        _ => {}
    }
    Err(r#"in quotes a backslash begins \", \\ or \xHH; \\ is the backslash itself"#.to_owned())
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn user_name(word: &[u8]) -> Result<String, String> {
    let shown = Escaped(word);
    let name = str::from_utf8(word).map_err(|_| format!("user name '{shown}' is not UTF-8"))?;
    if name.is_empty() {
        return Err("the user name is empty".to_owned());
    }
    if name.contains(char::is_control) {
        return Err(format!("user name '{shown}' has a control character"));
    }
    Ok(name.to_owned())
}

/// The word may be a password by mistake: no message shows it.
fn secret_of(name: &str, word: &[u8]) -> Result<Secret, String> {
    match word {
        [] if name == ANONYMOUS => Ok(Secret::Any),
        [] => Err(format!(
            "the password hash is empty, which only {ANONYMOUS} may have; '!' locks a user"
        )),
        [b'!' | b'*', ..] => Ok(Secret::Locked),
        hash => str::from_utf8(hash)
            .map_err(|_| "the password hash is not UTF-8".to_owned())?
            .parse()
            .map(Secret::Hash)
            .map_err(|error: super::super::PasswordHashError| error.to_string()),
    }
}

fn home_of(word: &[u8]) -> Result<PathBuf, String> {
    let shown = Escaped(word);
    if word.contains(&0) {
        return Err(format!("home '{shown}' has a NUL in it"));
    }
    let home = path(word).ok_or_else(|| format!("home '{shown}' is not UTF-8"))?;
    match home.is_absolute() {
        true => Ok(home),
        false => Err(format!("home '{shown}' is not an absolute path")),
    }
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(std::ffi::OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> Option<PathBuf> {
    str::from_utf8(bytes).ok().map(PathBuf::from)
}

/// Letters, or `-` for none.
fn perm_of(word: &[u8]) -> Result<Perm, String> {
    match word {
        b"-" => Ok(Perm::NONE),
        letters => str::from_utf8(letters)
            .ok()
            .filter(|letters| !letters.is_empty())
            .and_then(|letters| letters.parse().ok())
            .ok_or_else(|| {
                let shown = Escaped(word);
                format!(
                    "permissions '{shown}' are not letters of {}, nor -",
                    Perm::ALL
                )
            }),
    }
}

impl Settings {
    /// Takes in one `KEY=VALUE`; `given` has the keys so far.
    fn read(&mut self, word: &[u8], given: &mut Vec<Vec<u8>>) -> Result<(), String> {
        let shown = Escaped(word);
        for (mark, recursive) in [(&b"dir:"[..], false), (b"tree:", true)] {
            if let Some(rest) = word.strip_prefix(mark) {
                return self.read_override(rest, recursive);
            }
        }
        let Some(at) = word.iter().position(|&byte| byte == b'=') else {
            return Err(format!("'{shown}' is no setting: KEY=VALUE is"));
        };
        let (key, value) = (&word[..at], &word[at + 1..]);
        let fault = |what: &str| {
            let (key, value) = (Escaped(key), Escaped(value));
            format!("{key}: '{value}' is not {what}")
        };
        const COUNT: &str = "a whole number (0 = no limit)";
        const SIZE: &str = "bytes: a whole number, maybe with k, M or G (0 = no limit)";
        const RATE: &str = "bytes a second: a whole number, maybe with k, M or G (0 = no limit)";
        match key {
            b"max_cons" => self.limits.max_cons = number(value).ok_or_else(|| fault(COUNT))?,
            b"read_limit" => self.limits.read_limit = size(value).ok_or_else(|| fault(RATE))?,
            b"write_limit" => self.limits.write_limit = size(value).ok_or_else(|| fault(RATE))?,
            b"quota_bytes" => self.limits.quota_bytes = size(value).ok_or_else(|| fault(SIZE))?,
            b"quota_files" => {
                self.limits.quota_files = number(value).ok_or_else(|| fault(COUNT))?
            }
            b"msg_login" => self.msg_login = Some(text(value).ok_or_else(|| fault("UTF-8"))?),
            b"msg_quit" => self.msg_quit = Some(text(value).ok_or_else(|| fault("UTF-8"))?),
            b"slow_files" => {
                self.slow_files = match value {
                    b"yes" => Some(true),
                    b"no" => Some(false),
                    _ => return Err(fault("yes or no")),
                }
            }
            _ => {
                return Err(format!(
                    "'{}' is no setting; there are max_cons, read_limit, write_limit, \
                     quota_bytes, quota_files, msg_login, msg_quit, slow_files, dir:PATH and tree:PATH",
                    Escaped(key)
                ));
            }
        }
        if given.iter().any(|known| known == key) {
            return Err(format!("{} is given twice", Escaped(key)));
        }
        given.push(key.to_vec());
        Ok(())
    }

    /// `PATH=PERMISSIONS`; letters hold no `=`, so the last one parts them.
    fn read_override(&mut self, word: &[u8], recursive: bool) -> Result<(), String> {
        let shown = Escaped(word);
        let Some(at) = word.iter().rposition(|&byte| byte == b'=') else {
            return Err(format!("'{shown}' has no '=PERMISSIONS'"));
        };
        let (path, perm) = (&word[..at], perm_of(&word[at + 1..])?);
        if !path.starts_with(b"/") {
            return Err(format!(
                "'{}' does not begin with '/', as the paths that the user sees do",
                Escaped(path)
            ));
        }
        let path = VirtualPath::root()
            .join(path)
            .map_err(|error| format!("'{}': {error}", Escaped(path)))?;
        if path.is_root() {
            return Err("'/' is the user's home, where his own permissions hold".to_owned());
        }
        if self.overrides.iter().any(|(known, _, _)| *known == path) {
            return Err(format!("'{path}' is given twice"));
        }
        self.overrides.push((path, perm, recursive));
        Ok(())
    }
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    // Not `+1`, which Rust takes.
    let digits = value.iter().all(u8::is_ascii_digit);
    digits.then(|| str::from_utf8(value).ok()?.parse().ok())?
}

/// A number of bytes, `k`, `M` and `G` being 1,024 and its powers.
fn size(value: &[u8]) -> Option<u64> {
    let (digits, unit) = match value {
        [digits @ .., b'k' | b'K'] => (digits, 1 << 10),
        [digits @ .., b'M'] => (digits, 1 << 20),
        [digits @ .., b'G'] => (digits, 1 << 30),
        digits => (digits, 1),
    };
    number::<u64>(digits)?.checked_mul(unit)
}

fn text(value: &[u8]) -> Option<String> {
    String::from_utf8(value.to_vec()).ok()
}
