//! TYPE A: line ends between this system's LF and the network's CRLF (RFC 959 section 3.1.1.1),
//! right also where a file's chunks cut a line end in two.

/// Turns a file's line ends into the network's: an LF without a CR before it becomes CRLF.
#[derive(Debug, Default)]
pub struct ToNetwork {
    after_cr: bool,
}

impl ToNetwork {
    /// Appends to `out` what the chunk `input` is on the network: at most twice as many bytes.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        let mut rest = input;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (text, tail) = rest.split_at(end);
            out.extend_from_slice(text);
            let has_cr = text.last().map_or(self.after_cr, |&byte| byte == b'\r');
            out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            self.after_cr = false;
            rest = &tail[1..];
        }
        out.extend_from_slice(rest);
        if let Some(&last) = rest.last() {
            self.after_cr = last == b'\r';
        }
    }
}

/// Turns the network's line ends into a file's: CRLF becomes LF; a CR or LF alone stays.
#[derive(Debug, Default)]
pub struct FromNetwork {
    /// A CR ended the last chunk: what it is, the next byte tells.
    held_cr: bool,
}

impl FromNetwork {
    /// Appends to `out` what the chunk `input` is in a file: at most one byte more.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let Some(&first) = input.first() else { return };
        out.reserve(input.len() + 1);
        if self.held_cr && first != b'\n' {
            out.push(b'\r');
        }
        let mut rest = input;
        while let Some(cr) = rest.iter().position(|&byte| byte == b'\r') {
            let (text, tail) = rest.split_at(cr);
            out.extend_from_slice(text);
            match tail.get(1) {
                None => {
                    self.held_cr = true;
                    return;
                }
                Some(b'\n') => {}
                Some(_) => out.push(b'\r'),
            }
            rest = &tail[1..];
        }
        self.held_cr = false;
        out.extend_from_slice(rest);
    }

    /// Appends the CR that ended the last chunk, if one did: nothing follows it.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held_cr) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_network(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut convert, mut out) = (ToNetwork::default(), Vec::new());
        chunks
            .iter()
            .for_each(|chunk| convert.convert(chunk, &mut out));
        out
    }

    fn from_network(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut convert, mut out) = (FromNetwork::default(), Vec::new());
        chunks
            .iter()
            .for_each(|chunk| convert.convert(chunk, &mut out));
        convert.finish(&mut out);
        out
    }

    /// The rules once more, byte by byte over the whole text.
    fn plain_to_network(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, &byte) in text.iter().enumerate() {
            if byte == b'\n' && (i == 0 || text[i - 1] != b'\r') {
                out.push(b'\r');
            }
            out.push(byte);
        }
        out
    }

    fn plain_from_network(text: &[u8]) -> Vec<u8> {
        let cr_before_lf = |i: usize| text[i] == b'\r' && text.get(i + 1) == Some(&b'\n');
        (0..text.len())
            .filter(|&i| !cr_before_lf(i))
            .map(|i| text[i])
            .collect()
    }

    #[test]
    fn line_ends_become_the_networks() {
        assert_eq!(to_network(&[b"a\nb\n\n"]), b"a\r\nb\r\n\r\n");
        assert_eq!(to_network(&[b"a\r\nb\rc\r\r\n"]), b"a\r\nb\rc\r\r\n");
        assert_eq!(to_network(&[b"a\r", b"", b"\n", b"\n"]), b"a\r\n\r\n");
        assert_eq!(to_network(&[]), b"");
    }

    #[test]
    fn line_ends_become_the_files() {
        assert_eq!(from_network(&[b"a\r\nb\r\n\r\n"]), b"a\nb\n\n");
        assert_eq!(from_network(&[b"a\nb\rc\r\r\n\r"]), b"a\nb\rc\r\n\r");
        assert_eq!(from_network(&[b"a\r", b"", b"\n", b"\n"]), b"a\n\n");
        assert_eq!(from_network(&[b"\r", b"\r", b"\r"]), b"\r\r\r");
    }

    #[test]
    fn a_held_cr_comes_out_once() {
        let (mut convert, mut out) = (FromNetwork::default(), Vec::new());
        convert.convert(b"a\r", &mut out);
        assert_eq!(out, b"a");
        convert.finish(&mut out);
        convert.finish(&mut out);
        assert_eq!(out, b"a\r");
    }

    /// Every text of up to seven bytes of CR, LF and another, cut at every two places.
    #[test]
    fn chunks_make_no_difference() {
        for len in 0..=7u32 {
            for number in 0..3usize.pow(len) {
                let text: Vec<u8> = (0..len)
                    .map(|place| b"\r\nx"[number / 3usize.pow(place) % 3])
                    .collect();
                let (to, from) = (plain_to_network(&text), plain_from_network(&text));
                for first in 0..=text.len() {
                    for second in first..=text.len() {
                        let cut = [&text[..first], &text[first..second], &text[second..]];
                        assert_eq!(to_network(&cut), to, "{cut:?}");
                        assert_eq!(from_network(&cut), from, "{cut:?}");
                    }
                }
                let bytes: Vec<&[u8]> = text.chunks(1).collect();
                assert_eq!(to_network(&bytes), to, "{text:?} by single bytes");
                assert_eq!(from_network(&bytes), from, "{text:?} by single bytes");
            }
        }
    }

    #[test]
    fn all_bytes_but_line_ends_pass_unchanged() {
        let bytes: Vec<u8> = (0..=255).filter(|byte| !b"\r\n".contains(byte)).collect();
        assert_eq!(to_network(&[&bytes]), bytes);
        assert_eq!(from_network(&[&bytes]), bytes);
    }

    #[test]
    fn a_text_comes_back_as_it_was() {
        let text = b"one\n\ntwo \xff\nno end".repeat(500);
        let sent = to_network(&text.chunks(7).collect::<Vec<_>>());
        assert_eq!(from_network(&sent.chunks(5).collect::<Vec<_>>()), text);
    }
}
