//! Cuts the control channel's bytes into command lines, however the network chopped them up.
//!
//! The control channel is a Telnet stream (RFC 959 section 4.1.3, RFC 854), so Telnet commands are
//! taken out on the way. What is left unread stays in one buffer, which is freed when it is empty:
//! an idle session holds none.
//!
//! A line may be a password: what the buffers held is wiped before their memory is given back.

use std::mem;

use zeroize::Zeroize;

/// The longest command line, in bytes, not counting its end: a path or a password of 4 KiB, and the
/// command and the words before it.
pub const MAX_LINE: usize = 4096 + 256;

const SE: u8 = 0xF0;
const WILL: u8 = 0xFB;
const DONT: u8 = 0xFE;
const IAC: u8 = 0xFF;

/// What [`LineSplitter::next_line`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<T> {
    /// What the caller made of a whole line without its end, which may be empty.
    Command(T),
    /// A line that went over [`MAX_LINE`]. Said once, as soon as it is known; the line is dropped.
    TooLong,
}

/// Splits a stream of bytes into lines, for any chunking of the stream.
///
/// CRLF or a bare LF ends a line; a CR elsewhere and NUL are data. Of Telnet, `IAC IAC` is one byte
/// 0xFF, option negotiation and other commands are dropped, and an `IAC` before anything else is a
/// byte like any other, for the sake of clients that send 0xFF in names without doubling it.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// Bytes as they came; those before `read` are done with.
    input: Vec<u8>,
    read: usize,
    /// The beginning of the current line, Telnet taken out; at most `MAX_LINE` and a CR.
    line: Vec<u8>,
    /// The current line was too long: nothing of it is stored until it ends.
    dropping: bool,
}

/// What stands at the front of the input.
enum Token {
    LineEnd,
    /// So many bytes of Telnet.
    Telnet(usize),
    /// Data between these offsets of the input, `skip` of them Telnet's.
    Data {
        end: usize,
        skip: usize,
    },
    /// A Telnet command of which the rest is still to come.
    Unfinished,
}

impl LineSplitter {
    /// A splitter with nothing in it.
    pub fn new() -> LineSplitter {
        LineSplitter::default()
    }

    /// Takes in bytes that were read. They are kept until [`next_line`](Self::next_line) has gone
    /// over them, so call that until it says `None` before reading more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > self.input.len() / 2 {
            self.input.copy_within(self.read.., 0);
            let left = self.input.len() - self.read;
            self.input[left..].zeroize();
            self.input.truncate(left);
            self.read = 0;
        }
        append(&mut self.input, bytes);
    }

    /// Takes in bytes that were read, as [`push`](Self::push) does, and gives the next line. Nearly
    /// always they are one line: that is neither copied nor kept.
    pub fn push_and_next<T>(
        &mut self,
        bytes: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Option<Line<T>> {
        if !self.is_within_line()
            && !self.dropping
            && let Some((line, end)) = plain_line(bytes)
        {
            let line = Line::Command(take(line));
            self.push(&bytes[end..]);
            return Some(line);
        }
        self.push(bytes);
        self.next_line(take)
    }

    /// The next line, or `None` if it takes more bytes to tell. `take` keeps of the line what it
    /// needs, before it is wiped.
    pub fn next_line<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Option<Line<T>> {
        if self.line.is_empty()
            && !self.dropping
            && let Some((line, end)) = plain_line(&self.input[self.read..])
        {
            let line = Line::Command(take(line));
            self.advance(end);
            return Some(line);
        }
        loop {
            match self.token() {
                Token::LineEnd => {
                    self.advance(1);
                    if !mem::take(&mut self.dropping) {
                        let line = Line::Command(take(without_cr(&self.line)));
                        wipe(&mut self.line);
                        return Some(line);
                    }
                }
                Token::Telnet(len) => self.advance(len),
                Token::Data { end, skip } => {
                    let fits = self.store(self.read + skip, end);
                    self.advance(end - self.read);
                    if !fits {
                        return Some(Line::TooLong);
                    }
                }
                Token::Unfinished => return None,
            }
        }
    }

    /// Whether the line that comes next has begun.
    pub fn is_within_line(&self) -> bool {
        !self.line.is_empty() || self.read < self.input.len()
    }

    /// What was pushed and not looked at yet: behind a line that [`next_line`](Self::next_line)
    /// gave, everything that follows it, as it came.
    pub fn into_rest(mut self) -> Vec<u8> {
        let rest = self.input[self.read..].to_vec();
        wipe(&mut self.input);
        rest
    }

    /// How many bytes are held: of the current line, and of those not looked at yet.
    #[cfg(test)]
    fn buffered(&self) -> usize {
        self.line.len() + self.input.len() - self.read
    }

    fn token(&self) -> Token {
        let rest = &self.input[self.read..];
        match *rest {
            [] => Token::Unfinished,
            [b'\n', ..] => Token::LineEnd,
            [IAC] | [IAC, WILL..=DONT] => Token::Unfinished,
            // A client that doubles nothing may well have such bytes at the end of a name; were the
            // line end swallowed as an option, it would wait for its reply for ever.
            [IAC, WILL..=DONT, b'\r' | b'\n', ..] => self.data(2, 0),
            [IAC, WILL..=DONT, _, ..] => Token::Telnet(3),
            [IAC, IAC, ..] => self.data(2, 1),
            [IAC, SE..WILL, ..] => Token::Telnet(2),
            _ => self.data(1, 0),
        }
    }

    /// A run of data whose first `known` bytes have been looked at.
    fn data(&self, known: usize, skip: usize) -> Token {
        let from = self.read + known;
        let end = self.input[from..]
            .iter()
            .position(|&byte| byte == b'\n' || byte == IAC)
            .map_or(self.input.len(), |run| from + run);
        Token::Data { end, skip }
    }

    /// Appends input to the line; false if the line has just become too long.
    fn store(&mut self, from: usize, end: usize) -> bool {
        if self.dropping {
            return true;
        }
        let data = &self.input[from..end];
        // One byte more is fine while it may be the CR of the line's end.
        let fits = match (self.line.len() + data.len()).checked_sub(MAX_LINE) {
            None | Some(0) => true,
            Some(1) => data.last() == Some(&b'\r'),
            Some(_) => false,
        };
        if fits {
            append(&mut self.line, data);
        } else {
            wipe(&mut self.line);
            self.dropping = true;
        }
        fits
    }

    fn advance(&mut self, len: usize) {
        self.read += len;
        if self.read == self.input.len() {
            wipe(&mut self.input);
            self.read = 0;
        }
    }
}

impl Drop for LineSplitter {
    fn drop(&mut self) {
        self.input.zeroize();
        self.line.zeroize();
    }
}

/// The line that begins these bytes, and where it ends, if it is there whole, without Telnet and not
/// too long: as nearly all are.
fn plain_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes
        .iter()
        .position(|&byte| byte == b'\n' || byte == IAC)?;
    let line = without_cr(&bytes[..end]);
    (bytes[end] == b'\n' && line.len() <= MAX_LINE).then_some((line, end + 1))
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Appends as `extend_from_slice` does, but leaves no copy behind where it must move.
fn append(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let len = buffer.len() + bytes.len();
    if len > buffer.capacity() {
        let mut larger = Vec::with_capacity(len.max(2 * buffer.capacity()));
        larger.extend_from_slice(buffer);
        wipe(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Empties a buffer, and gives its memory back without what was in it.
fn wipe(buffer: &mut Vec<u8>) {
    // Most often there is none: it is the line's first piece.
    if buffer.capacity() > 0 {
        mem::take(buffer).zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Copied = Line<Vec<u8>>;

    fn next(splitter: &mut LineSplitter) -> Option<Copied> {
        splitter.next_line(<[u8]>::to_vec)
    }

    /// All lines of a stream that comes in these pieces.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Copied> {
        let mut splitter = LineSplitter::new();
        let mut lines = Vec::new();
        for piece in pieces {
            lines.extend(splitter.push_and_next(piece, <[u8]>::to_vec));
            lines.extend(std::iter::from_fn(|| next(&mut splitter)));
            assert!(
                splitter.buffered() <= MAX_LINE + 3,
                "{}",
                splitter.buffered()
            );
        }
        lines
    }

    /// The lines of a stream, after a check that its chunking makes no difference.
    fn lines(stream: &[u8]) -> Vec<Copied> {
        let whole = split([stream]);
        for size in 1..stream.len().min(8) {
            assert_eq!(split(stream.chunks(size)), whole, "chunks of {size}");
        }
        if stream.len() < 100 {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(split(pieces), whole, "cut at {first} and {second}");
                }
            }
        }
        whole
    }

    fn commands(lines: &[&[u8]]) -> Vec<Copied> {
        lines
            .iter()
            .map(|line| Line::Command(line.to_vec()))
            .collect()
    }

    #[test]
    fn crlf_and_lf_end_a_line() {
        assert_eq!(
            lines(b"USER a\r\nPASS b\nQUIT\r\n"),
            commands(&[b"USER a", b"PASS b", b"QUIT"])
        );
        assert_eq!(lines(b"\r\n\n\r\n"), commands(&[b"", b"", b""]));
        assert_eq!(lines(b"NOOP\r\nSTAT"), commands(&[b"NOOP"]));
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn other_control_characters_are_data() {
        assert_eq!(
            lines(b"a\rb\0c\r\r\n\r\0\r\n\0\n"),
            commands(&[b"a\rb\0c\r", b"\r\0", b"\0"])
        );
    }

    #[test]
    fn telnet_is_taken_out() {
        assert_eq!(lines(b"\xFF\xF4\xFF\xF2ABOR\r\n"), commands(&[b"ABOR"]));
        assert_eq!(lines(b"a\xFF\xFFb\xFF\xFF\r\n"), commands(&[b"a\xFFb\xFF"]));
        assert_eq!(
            lines(b"\xFF\xFF\xFF\xFF\xFF\xF1\n"),
            commands(&[b"\xFF\xFF"])
        );
        assert_eq!(lines(b"a\xFF\xFB\x01b\xFF\xFE\xFFc\n"), commands(&[b"abc"]));
        assert_eq!(lines(b"\xFF\xFAxy\xFF\xF0NOOP\r\n"), commands(&[b"xyNOOP"]));
        assert_eq!(lines(b"NO\xFF\xF1OP\r\xFF\xF1\n"), commands(&[b"NOOP"]));
    }

    #[test]
    fn an_iac_that_starts_nothing_is_data() {
        assert_eq!(lines(b"\xFFx\xFF\xEFy\r\n"), commands(&[b"\xFFx\xFF\xEFy"]));
        assert_eq!(
            lines(b"a\xFF\r\nb\xFF\nc\n"),
            commands(&[b"a\xFF", b"b\xFF", b"c"])
        );
        assert_eq!(lines(b"\xF4\xFFabor\r\n"), commands(&[b"\xF4\xFFabor"]));
    }

    #[test]
    fn an_option_never_swallows_a_line_end() {
        assert_eq!(
            lines(b"a\xFF\xFD\r\nb\xFF\xFD\nc\n"),
            commands(&[b"a\xFF\xFD", b"b\xFF\xFD", b"c"])
        );
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        for end in ["\n", "\r\n"] {
            let longest = vec![b'x'; MAX_LINE];
            let stream = [&longest, end.as_bytes(), b"NOOP\r\n"].concat();
            assert_eq!(lines(&stream), commands(&[&longest, b"NOOP"]));
            let stream = [b"x", &longest[..], end.as_bytes(), b"NOOP\r\n"].concat();
            assert_eq!(
                lines(&stream),
                [vec![Line::TooLong], commands(&[b"NOOP"])].concat()
            );
        }
        let ends_in_cr = [&[b'x'; MAX_LINE - 1][..], b"\r\r\n"].concat();
        assert_eq!(lines(&ends_in_cr), commands(&[&ends_in_cr[..MAX_LINE]]));
        let cr_too_many = [&[b'x'; MAX_LINE][..], b"\r\r\nNOOP\n"].concat();
        assert_eq!(
            lines(&cr_too_many),
            [vec![Line::TooLong], commands(&[b"NOOP"])].concat()
        );
    }

    #[test]
    fn telnet_counts_as_what_it_stands_for() {
        let doubled = [&[IAC; 2 * MAX_LINE][..], b"\r\n"].concat();
        assert_eq!(lines(&doubled), commands(&[&[IAC; MAX_LINE]]));
        let nops = [&[IAC, 0xF1].repeat(3 * MAX_LINE)[..], b"NOOP\r\n"].concat();
        assert_eq!(lines(&nops), commands(&[b"NOOP"]));
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_at_once() {
        let mut splitter = LineSplitter::new();
        splitter.push(b"FEAT\r\n");
        splitter.push(&[b'x'; MAX_LINE + 1]);
        assert_eq!(next(&mut splitter), Some(Line::Command(b"FEAT".to_vec())));
        assert_eq!(next(&mut splitter), Some(Line::TooLong));
        for _ in 0..100 {
            splitter.push(&[b'x'; 1000]);
            assert_eq!(next(&mut splitter), None);
            assert_eq!(splitter.buffered(), 0);
        }
        splitter.push(b"\xFF\xF4QUIT\r\nNOOP\r\n");
        assert_eq!(next(&mut splitter), Some(Line::Command(b"NOOP".to_vec())));
        assert_eq!(next(&mut splitter), None);
        let twice = [&[b'x'; 5000][..], b"\n", &[b'y'; 5000], b"\nNOOP\n"].concat();
        let expected = [vec![Line::TooLong, Line::TooLong], commands(&[b"NOOP"])].concat();
        assert_eq!(lines(&twice), expected);
    }

    #[test]
    fn nothing_is_held_when_nothing_is_buffered() {
        let mut splitter = LineSplitter::new();
        splitter.push(b"NOOP\r\nNO");
        assert_eq!(splitter.buffered(), 8);
        assert!(next(&mut splitter).is_some());
        assert_eq!((next(&mut splitter), splitter.buffered()), (None, 2));
        splitter.push(b"OP\r\n");
        assert!(next(&mut splitter).is_some());
        assert_eq!((next(&mut splitter), splitter.buffered()), (None, 0));
        assert_eq!(
            (splitter.input.capacity(), splitter.line.capacity()),
            (0, 0)
        );
    }

    #[test]
    fn unread_lines_may_pile_up_and_come_out_in_order() {
        let mut splitter = LineSplitter::new();
        for number in 0..5000 {
            splitter.push(format!("A{number}\r\nB{number}\r\n").as_bytes());
            let expected = format!("{}{}", ["A", "B"][number % 2], number / 2);
            assert_eq!(
                next(&mut splitter),
                Some(Line::Command(expected.into_bytes()))
            );
            assert!(splitter.read <= splitter.input.len() / 2 + 16);
        }
    }

    #[test]
    fn every_short_stream_is_split_alike_whole_and_byte_by_byte() {
        let bytes = *b"a\r\n\xF1\xFB\xFF";
        for number in 0..bytes.len().pow(6) {
            let mut stream: [u8; 8] = *b"??????\nb";
            for (place, byte) in stream[..6].iter_mut().enumerate() {
                *byte = bytes[number / bytes.len().pow(place as u32) % bytes.len()];
            }
            let whole = split([&stream[..]]);
            assert_eq!(split(stream.chunks(1)), whole, "{stream:02X?}");
            let ends = stream.iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(
                whole.len(),
                ends,
                "every line feed ends a line: {stream:02X?}"
            );
        }
    }
}
