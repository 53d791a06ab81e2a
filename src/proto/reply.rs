//! Replies: a code, a text, and how they go on the wire (RFC 959 section 4.2).

use std::borrow::Cow;
use std::fmt;

use super::encoding::Encoding;
use super::escape::Escaped;

/// The longest banner or message, in characters, that fits the line of its code.
const MAX_SHORT: usize = 75;

/// The text of a reply's line, made from a `&'static str`, a `String` or bytes. Strings are sent in the server's
/// [encoding](crate::Builder::encoding), bytes as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    bytes: Cow<'static, [u8]>,
    /// Whether they are as the client is to have them; else they are UTF-8.
    is_encoded: bool,
}

impl Text {
    /// Whether it fits the line of its code: by its characters, if it is UTF-8.
    fn is_short(&self) -> bool {
        let bytes = &self.bytes;
        let characters = || bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        bytes.len() <= MAX_SHORT || characters() <= MAX_SHORT
    }
}

fn encoded(text: &[u8], is_encoded: bool, encoding: Encoding) -> Cow<'_, [u8]> {
    match is_encoded {
        true => Cow::Borrowed(text),
        false => encoding.encode(text),
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text {
            bytes: Cow::Borrowed(text.as_bytes()),
            is_encoded: false,
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text {
            bytes: Cow::Owned(text.into_bytes()),
            is_encoded: false,
        }
    }
}

impl From<Vec<u8>> for Text {
    fn from(text: Vec<u8>) -> Text {
        Text {
            bytes: Cow::Owned(text),
            is_encoded: true,
        }
    }
}

/// A reply to a command, of one line or of several.
///
/// Texts are bytes, since the names in them are. Whatever they hold, what goes to the client is one
/// well-formed reply: a CR, LF or NUL is sent as `?`, so that a file's name cannot forge a reply. A
/// code outside 100..=599 becomes 500: a mistake in a handler must neither leave the client waiting
/// for another reply nor tell it of a success.
///
/// ```
/// use ftpdlib::Reply;
///
/// let mut wire = Vec::new();
/// Reply::new(200, "Type set to: Binary.").encode(&mut wire);
/// assert_eq!(wire, b"200 Type set to: Binary.\r\n");
///
/// let lines = vec![b"12 files".to_vec(), b"3 MiB".to_vec()];
/// let quota = Reply::multi(213, "Quota:", lines, "End of quota.");
/// wire.clear();
/// quota.encode(&mut wire);
/// assert_eq!(wire, b"213-Quota:\r\n 12 files\r\n 3 MiB\r\n213 End of quota.\r\n");
/// assert_eq!(quota.to_string(), "213 End of quota.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    /// Of the last line; beside the code it takes no room, and a reply is moved often.
    is_encoded: bool,
    /// The lines before the last one, if any: the first with the code, the others without.
    before: Vec<Text>,
    last: Cow<'static, [u8]>,
}

impl Reply {
    /// A reply of one line.
    pub fn new(code: u16, text: impl Into<Text>) -> Reply {
        Reply::with_lines(code, Vec::new(), text.into())
    }

    /// A reply of several lines: `211-first`, each of `middle` after one space, `211 last`. What is in
    /// `middle` is sent as it is.
    pub fn multi(
        code: u16,
        first: impl Into<Text>,
        middle: Vec<Vec<u8>>,
        last: impl Into<Text>,
    ) -> Reply {
        let mut before = vec![first.into()];
        before.extend(middle.into_iter().map(Text::from));
        Reply::with_lines(code, before, last.into())
    }

    /// A reply with a text of any length, such as a banner or a login message.
    ///
    /// Up to 75 characters are one line, more go before an empty last line, and a text with line
    /// breaks is sent line by line.
    pub fn long(code: u16, text: impl Into<Text>) -> Reply {
        let text = text.into();
        let is_broken = text.bytes.contains(&b'\n') || text.bytes.contains(&b'\r');
        if !is_broken && text.is_short() {
            return Reply::new(code, text);
        }
        let Text { bytes, is_encoded } = text;
        let mut lines: Vec<Text> = bytes
            .strip_suffix(b"\n")
            .unwrap_or(&bytes)
            .split(|&byte| byte == b'\n')
            .map(|line| Text {
                bytes: Cow::Owned(line.strip_suffix(b"\r").unwrap_or(line).to_vec()),
                is_encoded,
            })
            .collect();
        let last = match lines.as_slice() {
            [only] if !only.is_short() => None,
            _ => lines.pop(),
        };
        Reply::with_lines(code, lines, last.unwrap_or(Text::from("")))
    }

    fn with_lines(code: u16, before: Vec<Text>, last: Text) -> Reply {
        let code = if matches!(code, 100..=599) { code } else { 500 };
        let Text { bytes, is_encoded } = last;
        Reply {
            code,
            is_encoded,
            before,
            last: bytes,
        }
    }

    /// As a reply of one line, with these words behind its text.
    pub(crate) fn with_words(&self, words: &str) -> Reply {
        let is_encoded = match (&*self.last, self.before.first()) {
            ([], Some(first)) => first.is_encoded,
            _ => self.is_encoded,
        };
        let text = [self.text(), words.as_bytes()].concat();
        let bytes = Cow::Owned(text);
        Reply::new(self.code, Text { bytes, is_encoded })
    }

    /// The three-digit code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text of the last line, or of the first where the last is empty: what a log should say.
    pub fn text(&self) -> &[u8] {
        match (&*self.last, self.before.first()) {
            ([], Some(first)) => &first.bytes,
            (last, _) => last,
        }
    }

    /// Whether it says that something failed: a code of 400 or more.
    pub fn is_error(&self) -> bool {
        self.code >= 400
    }

    /// Appends the reply to `out` as it goes on the wire of a server that speaks UTF-8.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_in(Encoding::Utf8, out);
    }

    /// As [`encode`](Self::encode), of a server that speaks `encoding`.
    pub(crate) fn encode_in(&self, encoding: Encoding, out: &mut Vec<u8>) {
        let [a, b, c] = digits(self.code);
        for (number, text) in self.before.iter().enumerate() {
            let text = encoded(&text.bytes, text.is_encoded, encoding);
            match number {
                0 => put_line(out, [a, b, c, b'-'], &text),
                _ => put_line(out, *b" ", &text),
            }
        }
        let head = [a, b, c, b' '];
        match encoding {
            Encoding::Utf8 => put_line(out, head, &self.last),
            other => put_line(out, head, &encoded(&self.last, self.is_encoded, other)),
        }
    }
}

/// A code has three digits.
fn digits(code: u16) -> [u8; 3] {
    [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8)
}

#[inline]
fn put_line<const LEN: usize>(out: &mut Vec<u8>, head: [u8; LEN], text: &[u8]) {
    // At once: to grow costs more than all the rest.
    out.reserve(LEN + text.len() + 2);
    out.extend_from_slice(&head);
    let start = out.len();
    out.extend_from_slice(text);
    if least(text) < b' ' {
        for byte in &mut out[start..] {
            if matches!(byte, b'\r' | b'\n' | 0) {
                *byte = b'?';
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The least of all bytes, found many at a time: it tells nearly always that none is to be replaced.
fn least(text: &[u8]) -> u8 {
    let (eights, rest) = text.as_chunks::<8>();
    let mut least = [u8::MAX; 8];
    for eight in eights {
        for (least, byte) in least.iter_mut().zip(eight) {
            *least = (*least).min(*byte);
        }
    }
    least.iter().chain(rest).copied().fold(u8::MAX, u8::min)
}

/// The code and [`Reply::text`], escaped, for logs.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, Escaped(self.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = b"before ".to_vec();
        reply.encode(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.strip_prefix("before ").unwrap().to_owned()
    }

    #[test]
    fn one_line() {
        let reply = Reply::new(550, String::from("No such file."));
        assert_eq!(wire(&reply), "550 No such file.\r\n");
        assert_eq!((reply.code(), reply.text()), (550, &b"No such file."[..]));
        assert_eq!(reply.to_string(), "550 No such file.");
        assert_eq!(wire(&Reply::new(220, "")), "220 \r\n");
    }

    #[test]
    fn several_lines() {
        let reply = Reply::multi(
            211,
            "Features:",
            vec![b"EPSV".to_vec(), b"211 x".to_vec()],
            "End.",
        );
        assert_eq!(
            wire(&reply),
            "211-Features:\r\n EPSV\r\n 211 x\r\n211 End.\r\n"
        );
        assert_eq!(reply.text(), b"End.");
        assert_eq!(
            wire(&Reply::multi(211, "a", vec![], "b")),
            "211-a\r\n211 b\r\n"
        );
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let evil = "x\r\n230 Logged in.\0\n";
        assert_eq!(wire(&Reply::new(550, evil)), "550 x??230 Logged in.??\r\n");
        let reply = Reply::multi(250, evil, vec![evil.into()], evil);
        assert_eq!(wire(&reply).lines().count(), 3);
        assert_eq!(wire(&reply).matches(['\r', '\n', '\0']).count(), 6);
        assert_eq!(
            Reply::new(550, evil).to_string(),
            r"550 x\r\n230 Logged in.\x00\n"
        );
    }

    #[test]
    fn bytes_pass_as_they_are() {
        let mut out = Vec::new();
        Reply::new(250, b"\xE4\xFF\t".to_vec()).encode(&mut out);
        assert_eq!(out, b"250 \xE4\xFF\t\r\n");
    }

    #[test]
    fn strings_are_encoded_and_bytes_are_not() {
        let latin_1 = |reply: &Reply| {
            let mut out = Vec::new();
            reply.encode_in(Encoding::Latin1, &mut out);
            out
        };
        assert_eq!(latin_1(&Reply::new(220, "gr\u{fc}n")), b"220 gr\xfcn\r\n");
        let long = Reply::long(230, String::from("\u{fc}\r\n\u{e4}\n\u{f6}"));
        assert_eq!(latin_1(&long), b"230-\xfc\r\n \xe4\r\n230 \xf6\r\n");
        let more = Reply::long(530, "\u{fc}".repeat(80)).with_words(" Bye.");
        assert!(latin_1(&more).ends_with(b"\xfc\xfc Bye.\r\n"));
        let bytes = Reply::new(250, b"\xfc\xc3\xbc".to_vec());
        assert_eq!(latin_1(&bytes), b"250 \xfc\xc3\xbc\r\n");
        let lines = Reply::multi(211, "\u{fc}", vec![b"\xfc".to_vec()], "\u{fc}");
        assert_eq!(latin_1(&lines), b"211-\xfc\r\n \xfc\r\n211 \xfc\r\n");
        // What it has not got is odd, but one line still.
        let odd = latin_1(&Reply::long(220, "\u{85}\u{2028}\u{4f60}"));
        assert!(odd.starts_with(b"220 ") && odd.ends_with(b"\r\n"));
        assert_eq!(odd.iter().filter(|&&byte| byte < b' ').count(), 2);
    }

    #[test]
    fn a_long_text_has_lines_of_its_own() {
        let short = "ä".repeat(75);
        assert_eq!(
            wire(&Reply::long(220, short.clone())),
            format!("220 {short}\r\n")
        );
        let long = "ä".repeat(76);
        let reply = Reply::long(220, long.clone());
        assert_eq!(wire(&reply), format!("220-{long}\r\n220 \r\n"));
        assert_eq!(reply.text(), long.as_bytes());
        assert_eq!(wire(&Reply::long(220, "")), "220 \r\n");
    }

    #[test]
    fn a_text_with_line_breaks_is_sent_line_by_line() {
        let two = Reply::long(230, "Welcome.\r\n230 Be nice.\n");
        assert_eq!(wire(&two), "230-Welcome.\r\n230 230 Be nice.\r\n");
        let four = Reply::long(230, "\na\n\n230 b\nc");
        assert_eq!(wire(&four), "230-\r\n a\r\n \r\n 230 b\r\n230 c\r\n");
        assert_eq!(wire(&Reply::long(230, "one\n")), "230 one\r\n");
        assert_eq!(wire(&Reply::long(230, "one\r\n")), "230 one\r\n");
        assert_eq!(wire(&Reply::long(230, "a\rb")), "230 a?b\r\n");
    }

    #[test]
    fn every_code_makes_a_well_formed_reply() {
        for code in [0, 7, 99, 600, 1000, u16::MAX] {
            let reply = Reply::new(code, "x");
            assert_eq!(wire(&reply), "500 x\r\n", "{code}");
            assert!(reply.is_error());
        }
        assert_eq!(Reply::new(100, "x").code(), 100);
        assert_eq!(Reply::new(599, "x").code(), 599);
        assert!(!Reply::new(399, "x").is_error() && Reply::new(400, "x").is_error());
    }
}
