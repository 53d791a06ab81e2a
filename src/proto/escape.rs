//! Foreign bytes made fit for places where they could do harm: log lines and quoted paths.

use std::fmt::{self, Write};

/// Shows bytes on one line of a log, so that nobody can forge or hide a part of it.
///
/// Printable Unicode stays as it is. Control characters, line and paragraph separators and the
/// characters that change the direction of text are written as `\r`, `\n`, `\t`, `\x1B` or
/// `\u{202E}`, bytes that are not UTF-8 as `\xFF`, and a backslash as `\\`: what looks like an escape
/// in a log always is one.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nearly every name is nothing but this.
        if let Ok(text) = str::from_utf8(self.0)
            && text
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\')
        {
            return f.write_str(text);
        }
        for chunk in self.0.utf8_chunks() {
            write_escaped(f, chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '\r' => f.write_str("\\r")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\0'..' ' | '\x7F' => write!(f, "\\x{:02X}", u32::from(c))?,
            _ if is_deceptive(c) => write!(f, "\\u{{{:X}}}", u32::from(c))?,
            _ => f.write_char(c)?,
        }
    }
    Ok(())
}

/// C1 controls, line and paragraph separators, and Unicode's `Bidi_Control` characters.
fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9F}'
            | '\u{61C}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// A path as it stands between the quotes of a 257 reply: its own are doubled (RFC 959, appendix II).
/// The quotes around it are the caller's.
pub fn quote_path(path: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(path.len());
    for &byte in path {
        if byte == b'"' {
            quoted.push(b'"');
        }
        quoted.push(byte);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        Escaped(bytes).to_string()
    }

    #[test]
    fn printable_text_is_left_alone() {
        assert_eq!(escaped(b"RETR a file \"x\".txt"), "RETR a file \"x\".txt");
        assert_eq!(
            escaped("grün 日本 🦀 e\u{301} \u{A0}".as_bytes()),
            "grün 日本 🦀 e\u{301} \u{A0}"
        );
        assert_eq!(escaped(b""), "");
    }

    #[test]
    fn a_line_cannot_be_broken_hidden_or_turned_around() {
        assert_eq!(escaped(b"a\r\nb\tc"), r"a\r\nb\tc");
        assert_eq!(escaped(b"\0\x01\x1B[2J\x7F"), r"\x00\x01\x1B[2J\x7F");
        assert_eq!(
            escaped("\u{80}\u{85}\u{9F}".as_bytes()),
            r"\u{80}\u{85}\u{9F}"
        );
        assert_eq!(escaped("\u{2028}\u{2029}".as_bytes()), r"\u{2028}\u{2029}");
        assert_eq!(
            escaped("\u{202E}gpj.exe\u{2069}".as_bytes()),
            r"\u{202E}gpj.exe\u{2069}"
        );
        assert_eq!(
            escaped("\u{61C}\u{200E}\u{200F}".as_bytes()),
            r"\u{61C}\u{200E}\u{200F}"
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_shown_one_by_one() {
        assert_eq!(escaped(b"a\xFFb\xE9"), r"a\xFFb\xE9");
        assert_eq!(escaped(b"\xF0\x9F\xA6"), r"\xF0\x9F\xA6");
        assert_eq!(escaped(b"\xED\xA0\x80"), r"\xED\xA0\x80");
    }

    #[test]
    fn an_escape_cannot_be_forged() {
        assert_eq!(escaped(br"a\nb"), r"a\\nb");
        assert_ne!(escaped(br"a\xFF"), escaped(b"a\xFF"));
    }

    #[test]
    fn no_byte_pair_yields_a_control_character() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let shown = escaped(&[first, second]);
                assert!(
                    !shown.chars().any(char::is_control),
                    "{first:02X} {second:02X}"
                );
            }
        }
    }

    #[test]
    fn quotes_in_a_path_are_doubled() {
        assert_eq!(quote_path(b"/a \"b\" \xFF\""), b"/a \"\"b\"\" \xFF\"\"");
        assert_eq!(quote_path(b"/"), b"/");
    }
}
