//! An FTP client that costs little: what is measured is the server. Blocking sockets, whole
//! commands in one write, data discarded through one large buffer of the caller's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may say nothing before a run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than any reply has; a server that sends more without ending one is none of FTP.
const LONGEST_REPLY: usize = 1 << 20;

/// A client's control connection.
pub(crate) struct Client {
    control: TcpStream,
    /// What came and is not taken yet.
    input: Vec<u8>,
    reads: usize,
    epsv: bool,
}

/// A complete reply.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    code: u16,
    text: String,
}

impl Client {
    /// Connects, and logs in unless the server needs no login.
    pub(crate) fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Client> {
        let mut client = Client {
            control: connect(address)?,
            input: Vec::new(),
            reads: 0,
            epsv: true,
        };
        client.await_reply("connecting", 220)?;
        if client.command(&format!("USER {user}"))?.code != 230 {
            client.send(&format!("PASS {password}"))?;
            client.await_reply("PASS", 230)?;
        }
        Ok(client)
    }

    /// Sends a command that has to be answered by `code`.
    pub(crate) fn expect(&mut self, command: &str, code: u16) -> io::Result<()> {
        self.send(command)?;
        self.await_reply(command, code)
    }

    /// Sends a command and gives its reply, whatever that is.
    fn command(&mut self, command: &str) -> io::Result<Reply> {
        self.send(command)?;
        self.reply()
    }

    /// Sends ready-made lines in one write, waits for `count` replies of `code`, and says in how
    /// many reads they came.
    pub(crate) fn pipeline(&mut self, lines: &str, count: usize, code: u16) -> io::Result<usize> {
        let before = self.reads;
        self.control.write_all(lines.as_bytes())?;
        for _ in 0..count {
            self.await_reply("a pipelined command", code)?;
        }
        Ok(self.reads - before)
    }

    /// Runs a command that sends a file, and throws the file away.
    pub(crate) fn receive(&mut self, command: &str, buffer: &mut [u8]) -> io::Result<u64> {
        let mut bytes = 0;
        self.receive_with(command, buffer, |chunk| bytes += chunk.len() as u64)?;
        Ok(bytes)
    }

    /// Runs a command that sends a listing, and counts its lines.
    pub(crate) fn receive_lines(&mut self, command: &str, buffer: &mut [u8]) -> io::Result<u64> {
        let mut lines = 0;
        self.receive_with(command, buffer, |chunk| {
            lines += chunk.iter().filter(|&&byte| byte == b'\n').count() as u64;
        })?;
        Ok(lines)
    }

    fn receive_with(
        &mut self,
        command: &str,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut data = self.open_data()?;
        self.begin(command)?;
        loop {
            match read(&mut data, buffer)? {
                0 => break,
                length => take(&buffer[..length]),
            }
        }
        self.end(command, data)
    }

    /// Runs a command that receives `size` bytes, which are repetitions of `buffer`.
    pub(crate) fn store(&mut self, command: &str, size: u64, buffer: &[u8]) -> io::Result<()> {
        let mut data = self.open_data()?;
        self.begin(command)?;
        let mut left = size;
        while left > 0 {
            let chunk = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            data.write_all(&buffer[..chunk])?;
            left -= chunk as u64;
        }
        self.end(command, data)
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        self.control.write_all(format!("{command}\r\n").as_bytes())
    }

    /// A passive data connection. The address of a PASV reply is not used: behind a NAT it is wrong
    /// often enough.
    fn open_data(&mut self) -> io::Result<TcpStream> {
        let mut address = self.control.peer_addr()?;
        let mut reply = None;
        if self.epsv {
            reply = Some(self.command("EPSV")?).filter(|reply| reply.code == 229);
            self.epsv = reply.is_some();
        }
        let reply = match reply {
            Some(reply) => reply,
            None => self.command("PASV")?,
        };
        let port = match reply.code {
            229 => epsv_port(&reply.text),
            227 => pasv_port(&reply.text),
            _ => None,
        };
        address.set_port(port.ok_or_else(|| unexpected("EPSV or PASV", &reply))?);
        connect(address)
    }

    /// Sends a transfer command and reads its first reply.
    fn begin(&mut self, command: &str) -> io::Result<()> {
        match self.command(command)? {
            Reply {
                code: 125 | 150, ..
            } => Ok(()),
            reply => Err(unexpected(command, &reply)),
        }
    }

    /// Ends a transfer and reads its last reply.
    fn end(&mut self, command: &str, data: TcpStream) -> io::Result<()> {
        drop(data);
        match self.reply()? {
            Reply {
                code: 226 | 250, ..
            } => Ok(()),
            reply => Err(unexpected(command, &reply)),
        }
    }

    fn await_reply(&mut self, command: &str, code: u16) -> io::Result<()> {
        match self.reply()? {
            reply if reply.code == code => Ok(()),
            reply => Err(unexpected(command, &reply)),
        }
    }

    fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.input)? {
                self.input.drain(..length);
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        let read = read(&mut self.control, &mut chunk)?;
        if read == 0 {
            return Err(io::Error::other("the server closed the connection"));
        }
        if self.input.len() + read > LONGEST_REPLY {
            return Err(io::Error::other("the server sends a reply without end"));
        }
        self.input.extend_from_slice(&chunk[..read]);
        self.reads += 1;
        Ok(())
    }
}

/// A connection on which nothing can wait for ever.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What a time limit of a socket looks like on Unix.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let message = format!("nothing came within {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            read => return read,
        }
    }
}

fn unexpected(command: &str, reply: &Reply) -> io::Error {
    io::Error::other(format!("{command} was answered '{}'", reply.text))
}

/// The first complete reply (RFC 959 section 4.2) and its length, or nothing when more must come.
fn parse(input: &[u8]) -> io::Result<Option<(Reply, usize)>> {
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
fn epsv_port(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("(|||")?;
    rest.split_once('|')?.0.parse().ok()
}

/// `227 Entering passive mode (127,0,0,1,25,46).`
fn pasv_port(text: &str) -> Option<u16> {
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
