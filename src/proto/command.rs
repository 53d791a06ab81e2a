//! A command line taken apart: verb and argument (RFC 959 section 5.3), and what needs no state to
//! be known about them.

use std::fmt;

use zeroize::Zeroize;

use super::escape::Escaped;
use super::verb::Verb;

/// What a command takes after its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arg {
    /// Nothing; an argument is an error.
    None,
    /// An argument or nothing.
    Optional,
    /// An argument; to leave it out is an error.
    Required,
}

/// A command as the client sent it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLine {
    /// The verb in upper case, with a SITE command's own verb after it: `RETR`, `SITE CHMOD`.
    ///
    /// Of a verb that nobody knows it may hold anything, control characters included.
    pub name: Verb,
    /// What follows the one space after the name, as it came: names may begin and end with blanks.
    pub arg: Vec<u8>,
}

/// Takes a line apart. There is none that has no verb and argument, though both may be empty.
pub fn parse(line: &[u8]) -> CommandLine {
    // What is left of a Telnet Synch once the system has taken its urgent byte out of line.
    let telnet = line.iter().take_while(|&&byte| byte >= 0xF0).count();
    let (verb, arg) = split_word(&line[telnet..]);
    let name = Verb::upper(urgent(verb).map_or(verb, str::as_bytes));
    if name != "SITE" {
        return CommandLine {
            name,
            arg: arg.to_vec(),
        };
    }
    let (verb, arg) = split_word(trim_blanks(arg));
    let name = match verb {
        [] => name,
        verb => Verb::upper(&[b"SITE ", verb].concat()),
    };
    CommandLine {
        name,
        arg: arg.to_vec(),
    }
}

/// The commands that a client may send as urgent data, if that is what the verb is behind the
/// remains of the Telnet codes that came with it.
fn urgent(verb: &[u8]) -> Option<&'static str> {
    let start = verb.iter().position(u8::is_ascii_alphabetic)?;
    if start == 0 {
        // It is in its place already, whichever it is.
        return None;
    }
    ["ABOR", "STAT", "QUIT"]
        .into_iter()
        .find(|name| verb[start..].eq_ignore_ascii_case(name.as_bytes()))
}

/// What is before the first space, and what is after it.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, b""),
    }
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| byte == b' ').count();
    &text[blanks..]
}

/// Wipes a password.
impl Drop for CommandLine {
    fn drop(&mut self) {
        if self.is_secret() {
            self.name.zeroize();
            self.arg.zeroize();
        }
    }
}

/// As it may be logged: without a password.
impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandLine({})", self.shown())
    }
}

impl CommandLine {
    /// Whether it may hold a password: PASS, or what was to be one.
    pub(crate) fn is_secret(&self) -> bool {
        self.name.holds_password() || self.is_pass_further_on()
    }

    /// Whether PASS comes behind a blank, or behind a word by which clients are told to send what follows.
    fn is_pass_further_on(&self) -> bool {
        self.is_wrapped() && {
            let (word, _) = split_word(trim_blanks(&self.arg));
            word.get(..4)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"PASS"))
        }
    }

    /// The command that comes there.
    pub(crate) fn further_on(&self) -> Option<CommandLine> {
        self.is_wrapped().then(|| parse(trim_blanks(&self.arg)))
    }

    fn is_wrapped(&self) -> bool {
        !self.arg.is_empty() && matches!(self.name.as_bytes(), b"" | b"QUOTE" | b"LITERAL")
    }

    /// The line for a log: escaped, and without the password.
    pub fn shown(&self) -> impl fmt::Display {
        Shown(self)
    }

    /// The same without its argument, be that what it may.
    pub(crate) fn masked(&self) -> impl fmt::Display {
        let arg = self.masked_arg();
        let blank = if arg.is_empty() { "" } else { " " };
        format!("{}{blank}{arg}", Escaped(self.name.as_bytes()))
    }

    /// What stands for its argument, if it has one.
    pub(crate) fn masked_arg(&self) -> &'static str {
        if self.arg.is_empty() { "" } else { MASKED }
    }
}

/// What stands for a secret.
const MASKED: &str = "******";

struct Shown<'a>(&'a CommandLine);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommandLine { name, arg } = self.0;
        // Not only PASS itself: after a typing error ("PASS" and a tab) it is still a password.
        if let Some((before, _)) = name.split_once("PASS") {
            return write!(f, "{}PASS {MASKED}", Escaped(before.as_bytes()));
        }
        if self.0.is_pass_further_on() {
            return write!(f, "{name} PASS {MASKED}");
        }
        write!(f, "{}", Escaped(name.as_bytes()))?;
        if !arg.is_empty() {
            write!(f, " {}", Escaped(arg))?;
        }
        Ok(())
    }
}

/// Whether a verb is one of HTTP or SMTP: some web page or mail program was talked into sending its
/// requests here, and must not get to where it has an FTP command in them.
pub fn is_foreign(name: &str) -> bool {
    const HTTP: [&str; 10] = [
        "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI",
    ];
    const SMTP: [&str; 5] = ["EHLO", "HELO", "MAIL", "RCPT", "DATA"];
    HTTP.contains(&name) || SMTP.contains(&name)
}

/// Whether an argument of LIST or NLST consists of options of `ls(1)` (`-la`, `-a -1`) and nothing
/// else. It may be the name of a file just as well; only the file system can tell.
pub fn is_ls_option(arg: &[u8]) -> bool {
    !arg.is_empty() && strip_ls_options(arg).is_empty()
}

/// An argument of LIST or NLST without the options of `ls(1)` before the path: `dir` of `-la dir`.
/// One space parts the path from the options, the path may begin with others.
pub fn strip_ls_options(arg: &[u8]) -> &[u8] {
    let mut rest = arg;
    while let Some(after) = strip_option(rest) {
        rest = if trim_blanks(after).is_empty() {
            b""
        } else {
            after
        };
    }
    rest
}

/// What follows an option and the space after it, if there is an option first.
fn strip_option(text: &[u8]) -> Option<&[u8]> {
    let (word, rest) = split_word(trim_blanks(text));
    match word {
        [b'-', letters @ ..] if !letters.is_empty() => letters
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then_some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::line::{Line, LineSplitter};

    fn parsed(line: &[u8]) -> (String, Vec<u8>) {
        let line = parse(line);
        (line.name.to_string(), line.arg.clone())
    }

    fn is(name: &str, arg: &[u8]) -> (String, Vec<u8>) {
        (name.to_owned(), arg.to_vec())
    }

    #[test]
    fn the_verb_ends_at_the_first_space() {
        assert_eq!(parsed(b"noop"), is("NOOP", b""));
        assert_eq!(parsed(b"Retr a b"), is("RETR", b"a b"));
        assert_eq!(parsed(b"RETR  a "), is("RETR", b" a "));
        assert_eq!(parsed(b"CWD "), is("CWD", b""));
        assert_eq!(parsed(b"CWD  "), is("CWD", b" "));
        assert_eq!(parsed(b"CWD\t/a"), is("CWD\t/A", b""));
        assert_eq!(parsed(b"STOR \0\xFF\r\xC3"), is("STOR", b"\0\xFF\r\xC3"));
        assert_eq!(parsed(b""), is("", b""));
        assert_eq!(parsed(b" NOOP"), is("", b"NOOP"));
    }

    #[test]
    fn a_password_is_masked_where_pass_is_not_the_first_word() {
        for (line, shown) in [
            (&b" PASS secret"[..], " PASS ******"),
            (b"   pass secret", " PASS ******"),
            (b"  PASSsecret", " PASS ******"),
            (b"quote PASS secret", "QUOTE PASS ******"),
            (b"QUOTE  Pass secret more", "QUOTE PASS ******"),
            (b"literal pass secret", "LITERAL PASS ******"),
        ] {
            let line = parse(line);
            assert!(line.is_secret());
            assert_eq!(line.shown().to_string(), shown);
        }
        // A name is no password.
        for line in ["CWD PASS a", "QUOTE STAT PASS", "QUOTE", " NOOP"] {
            let parsed = parse(line.as_bytes());
            assert!(!parsed.is_secret(), "{line}");
            assert_eq!(parsed.shown().to_string(), line);
        }
    }

    #[test]
    fn any_bytes_make_a_verb() {
        assert_eq!(parsed("käse x".as_bytes()), is("KäSE", b"x"));
        assert_eq!(parsed(b"k\xE4se\0 x"), is("K\u{E4}SE\0", b"x"));
        let shown = parse(b"k\xE4\x9Bse x").shown().to_string();
        assert_eq!(shown, r"Kä\u{9B}SE x");
        assert_eq!(parsed(b"\xFF\xFF"), is("", b""));
        assert_eq!(parsed(&[b'a'; 2048]), is(&"A".repeat(2048), b""));
    }

    #[test]
    fn site_commands_have_two_words() {
        assert_eq!(
            parsed(b"site chmod 755 a  b"),
            is("SITE CHMOD", b"755 a  b")
        );
        assert_eq!(parsed(b"SITE help"), is("SITE HELP", b""));
        assert_eq!(parsed(b"SITE  chmod  755 x"), is("SITE CHMOD", b" 755 x"));
        for line in [&b"SITE"[..], b"site ", b"SITE   "] {
            assert_eq!(parsed(line), is("SITE", b""));
        }
        assert_eq!(parsed(b"SITE \xFF x"), is("SITE \u{FF}", b"x"));
        assert_eq!(parsed(b"SITE abor"), is("SITE ABOR", b""));
    }

    #[test]
    fn urgent_commands_shed_what_telnet_left_over() {
        for line in [
            &b"abor"[..],
            b"\xF2ABOR",
            b"\xF4\xFFabor",
            b"\xFF\xF4\xFF\xF2ABOR",
            b"\xC3\xBF\xC3\xB4Abor",
            b"\0\x03?242ABOR",
        ] {
            assert_eq!(parsed(line), is("ABOR", b""), "{line:?}");
        }
        assert_eq!(parsed(b"\xF2STAT /a"), is("STAT", b"/a"));
        assert_eq!(parsed(b"\r\x1Bquit"), is("QUIT", b""));
        assert_eq!(parsed(b"\xF2\xFFNOOP"), is("NOOP", b""));
        assert_eq!(parsed(b"\x01NOOP"), is("\u{1}NOOP", b""));
        assert_eq!(parsed(b"XABOR"), is("XABOR", b""));
        assert_eq!(parsed(b"ABORX"), is("ABORX", b""));
        assert_eq!(parsed(b"?aABOR"), is("?AABOR", b""));
        assert_eq!(parsed("éABOR?".as_bytes()), is("éABOR?", b""));
    }

    #[test]
    fn abor_arrives_through_the_splitter_as_clients_send_it() {
        for stream in [
            // IAC IP IAC DM inline, as ncftp, tnftp and curl's ancestors do
            &b"\xFF\xF4\xFF\xF2ABOR\r\n"[..],
            // the same where the urgent byte got lost
            b"\xFF\xF4\xF2ABOR\r\n",
            b"\xFF\xF4\xFFABOR\r\n",
            // IP and IAC as two urgent bytes, and what is left of them
            b"\xF4\xFFabor\r\n",
            b"\xF4abor\r\n",
            b"\xFFabor\r\n",
            b"\xF2ABOR\n",
        ] {
            let mut splitter = LineSplitter::new();
            let mut lines = Vec::new();
            for byte in stream {
                splitter.push(&[*byte]);
                lines.extend(splitter.next_line(parse));
            }
            let [Line::Command(line)] = lines.as_slice() else {
                panic!("{stream:?}: {lines:?}")
            };
            assert_eq!(line.name, "ABOR", "{stream:?}");
            assert_eq!(line.arg, b"", "{stream:?}");
        }
    }

    #[test]
    fn a_log_shows_no_password_and_no_control_character() {
        let shown = |line: &[u8]| parse(line).shown().to_string();
        assert_eq!(shown(b"user bob"), "USER bob");
        assert_eq!(shown(b"noop"), "NOOP");
        assert_eq!(shown(b"DELE a\r\x1B[2J\xFF"), r"DELE a\r\x1B[2J\xFF");
        assert_eq!(shown(b"\x07 x"), r"\x07 x");
        for line in [
            &b"pass secret"[..],
            b"PASS",
            b"PASS  secret",
            b"pass\tsecret",
            b"\xF2PASS secret",
        ] {
            assert_eq!(shown(line), "PASS ******");
        }
        assert_eq!(shown(b"\x01passwd secret"), r"\x01PASS ******");
        assert_eq!(shown(b"pasv"), "PASV");
    }

    #[test]
    fn foreign_verbs() {
        for line in [
            "get / HTTP/1.1",
            "POST /x",
            "PRI * HTTP/2.0",
            "EHLO host",
            "mail FROM:<a>",
        ] {
            assert!(is_foreign(&parse(line.as_bytes()).name), "{line}");
        }
        for name in [
            "RETR", "STAT", "OPTS", "MDTM", "HELP", "", "GETX", "SITE GET",
        ] {
            assert!(!is_foreign(name), "{name}");
        }
    }

    #[test]
    fn ls_options_are_told_from_paths() {
        for arg in [
            &b"-a"[..],
            b"-l",
            b"-al",
            b"-la",
            b"-1",
            b"-aL",
            b"-R",
            b"-a -l",
            b"-a  -l",
            b"-la ",
            b"-la  ",
            b" -l",
        ] {
            assert!(is_ls_option(arg), "{arg:?}");
            assert_eq!(strip_ls_options(arg), b"", "{arg:?}");
        }
        for arg in [
            &b""[..],
            b" ",
            b"-",
            b"--",
            b"-a-",
            b"--all",
            b"a",
            b"a -l",
            b"-\xFF",
            b"-a/b",
            b"-.x",
        ] {
            assert!(!is_ls_option(arg), "{arg:?}");
            assert_eq!(strip_ls_options(arg), arg);
        }
        for (arg, path) in [
            (&b"-la dir"[..], &b"dir"[..]),
            (b"-l -a dir -x ", b"dir -x "),
            (b"-la  dir", b" dir"),
            (b"-la - x", b"- x"),
            (b"-la -/x", b"-/x"),
            (b"-l /a b", b"/a b"),
        ] {
            assert!(!is_ls_option(arg), "{arg:?}");
            assert_eq!(strip_ls_options(arg), path, "{arg:?}");
        }
    }
}
