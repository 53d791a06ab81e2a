//! What a server answers: replies, and the ports that they name.

use std::io;

/// A complete reply.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// The first complete reply (RFC 959 section 4.2) and its length, or nothing when more must come.
pub(crate) fn parse(input: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let (mut end, mut first) = (0, None);
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        if line.last() != Some(&b'\n') {
            break;
        }
        end += line.len();
        let code = code(line);
        let Some(first) = *first.get_or_insert(code) else {
            let line = line.escape_ascii();
            return Err(io::Error::other(format!("'{line}' is no FTP reply")));
        };
        if code == Some(first) && line.get(3) != Some(&b'-') {
            let text = String::from_utf8_lossy(&input[..end]).trim_end().to_owned();
            return Ok(Some((Reply { code: first, text }, end)));
        }
    }
    Ok(None)
}

fn code(line: &[u8]) -> Option<u16> {
    let digits = line
        .get(..3)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `229 Entering extended passive mode (|||6446|).` (RFC 2428)
pub(crate) fn epsv_port(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("(|||")?;
    rest.split_once('|')?.0.parse().ok()
}

/// `227 Entering passive mode (127,0,0,1,25,46).`
pub(crate) fn pasv_port(text: &str) -> Option<u16> {
    let numbers = text.get(4..)?.trim_matches(|c: char| !c.is_ascii_digit());
    let mut bytes = numbers.split(',').map(|number| number.parse::<u8>().ok());
    let high = bytes.nth(4)??;
    let low = bytes.next()??;
    bytes
        .next()
        .is_none()
        .then(|| u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(input: &str) -> Option<(u16, usize)> {
        parse(input.as_bytes())
            .unwrap()
            .map(|(reply, length)| (reply.code, length))
    }

    #[test]
    fn a_reply_ends_with_its_last_line() {
        assert_eq!(parsed(""), None);
        assert_eq!(parsed("200 fine."), None);
        assert_eq!(parsed("200 fine.\r\n226 ok\r\n"), Some((200, 11)));
        assert_eq!(parsed("211-Features:\r\n UTF8\r\n200 no\r\n"), None);
        let whole = "211-Features:\r\n UTF8\r\n200 no\r\n211-still\r\n211 End.\r\n";
        assert_eq!(parsed(whole), Some((211, whole.len())));
        assert_eq!(parsed("230\r\n"), Some((230, 5)));
    }

    #[test]
    fn another_protocol_is_told() {
        let error = parse(b"SSH-2.0-x\r\n").unwrap_err();
        assert_eq!(error.to_string(), "'SSH-2.0-x\\r\\n' is no FTP reply");
        assert!(parse(b"\r\n").is_err());
        assert!(parse(b"2\xff0 x\r\n").is_err());
    }

    #[test]
    fn passive_replies_name_a_port() {
        assert_eq!(epsv_port("229 Extended (|||6446|)"), Some(6446));
        assert_eq!(epsv_port("229 Extended (|||66446|)"), None);
        assert_eq!(pasv_port("227 Passive (127,0,0,1,25,46)."), Some(6446));
        assert_eq!(pasv_port("227 Passive 127,0,0,1,25,46"), Some(6446));
        for bad in [
            "227",
            "227 (127,0,0,1,25)",
            "227 (1,2,3,4,5,6,7)",
            "227 (1,2,3,4,256,1)",
        ] {
            assert_eq!(pasv_port(bad), None, "{bad}");
        }
    }
}
