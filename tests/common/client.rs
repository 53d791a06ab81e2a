//! A small raw FTP client. It sends exactly what a test says and hides nothing of the answer.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::{PASSWORD, PATIENCE, USER};

/// How a data connection is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pasv,
    Epsv,
    Port,
    Eprt,
}

impl Mode {
    pub(crate) const ALL: [Mode; 4] = [Mode::Pasv, Mode::Epsv, Mode::Port, Mode::Eprt];
}

/// One reply, maybe of several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// All of it but the last CR LF; bytes that are no UTF-8 are replaced.
    pub(crate) text: String,
    /// All of it, as it came.
    pub(crate) raw: Vec<u8>,
}

impl Reply {
    /// The lines of a multi-line reply between its first and its last.
    pub(crate) fn body(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.text.split("\r\n").collect();
        lines[1..lines.len() - 1].to_vec()
    }

    #[track_caller]
    pub(crate) fn contains(&self, what: &str) -> &Reply {
        assert!(self.text.contains(what), "no {what:?} in {:?}", self.text);
        self
    }
}

/// A control connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, and reads nothing yet.
    #[track_caller]
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        Client::over(connect(addr))
    }

    pub(crate) fn over(stream: TcpStream) -> Client {
        patient(&stream);
        stream.set_nodelay(true).expect("a connected socket");
        Client {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are, in one write if the kernel takes them.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server reads");
    }

    /// Sends a command and waits for nothing.
    #[track_caller]
    pub(crate) fn line(&mut self, line: impl AsRef<[u8]>) {
        self.send([line.as_ref(), b"\r\n"].concat());
    }

    /// Sends one byte as urgent data (`MSG_OOB`).
    #[track_caller]
    pub(crate) fn urgent(&mut self, byte: u8) {
        let sent = SockRef::from(&self.stream)
            .send_out_of_band(&[byte])
            .expect("urgent data");
        assert_eq!(sent, 1);
    }

    /// Sends a command and gives its first reply.
    #[track_caller]
    pub(crate) fn cmd(&mut self, line: impl AsRef<[u8]>) -> Reply {
        self.line(line);
        self.reply()
    }

    /// Sends a command whose reply must have this code.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: impl AsRef<[u8]>, code: u16) -> Reply {
        let reply = self.cmd(line.as_ref());
        let line = String::from_utf8_lossy(line.as_ref());
        assert_eq!(reply.code, code, "{line:?} was answered {:?}", reply.text);
        reply
    }

    /// The next reply.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Ok(Some(reply)) => reply,
            Ok(None) => panic!("the server closed the connection"),
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// The next reply, which must have this code.
    #[track_caller]
    pub(crate) fn expect_reply(&mut self, code: u16) -> Reply {
        let reply = self.reply();
        assert_eq!(reply.code, code, "{:?}", reply.text);
        reply
    }

    /// The replies must be these, in this order.
    #[track_caller]
    pub(crate) fn expect_replies(&mut self, codes: &[u16]) {
        for (at, &code) in codes.iter().enumerate() {
            let reply = self.reply();
            assert_eq!(
                reply.code, code,
                "reply {at} of {codes:?} is {:?}",
                reply.text
            );
        }
    }

    /// The next reply; `None` at the end of the connection.
    pub(crate) fn try_reply(&mut self) -> io::Result<Option<Reply>> {
        let Some(mut raw) = self.read_line()? else {
            return Ok(None);
        };
        let code = code(&raw).ok_or_else(|| broken("no reply code", &raw))?;
        if raw.get(3) == Some(&b'-') {
            let last = format!("{code} ").into_bytes();
            loop {
                let line = self.read_line()?.ok_or_else(|| broken("cut reply", &raw))?;
                raw.extend_from_slice(&line);
                if line.starts_with(&last) {
                    break;
                }
            }
        } else if raw.get(3) != Some(&b' ') {
            return Err(broken("no blank after the code", &raw));
        }
        let text = String::from_utf8_lossy(&raw[..raw.len() - 2]).into_owned();
        Ok(Some(Reply { code, text, raw }))
    }

    /// A line with its CR LF, without which it is an error.
    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                return if line.ends_with(b"\r\n") {
                    Ok(Some(line))
                } else {
                    Err(broken("LF", &line))
                };
            }
            searched = self.buffer.len();
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(broken("cut line", &self.buffer)),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The server must have closed, and have said nothing before.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        match self.try_reply() {
            Ok(None) => {}
            Err(error) if is_reset(&error) => {}
            Ok(Some(reply)) => panic!("not closed, but {:?}", reply.text),
            Err(error) => panic!("not closed, but {error}"),
        }
    }

    /// Whether there is nothing to read at this moment.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let peeked = self.stream.peek(&mut [0; 1]);
        self.stream.set_nonblocking(false).expect("a socket");
        self.buffer.is_empty()
            && matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Nothing must come for so long.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).expect("a socket");
        let peeked = self.stream.peek(&mut [0; 1]);
        patient(&self.stream);
        match peeked {
            Err(error) if is_timeout(&error) && self.buffer.is_empty() => {}
            other => panic!("not silent: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn login(&mut self) {
        self.login_as(USER, PASSWORD);
    }

    /// Logs in, and leaves TYPE I behind.
    #[track_caller]
    pub(crate) fn login_as(&mut self, name: &str, password: &str) {
        self.expect(format!("USER {name}"), 331);
        self.expect(format!("PASS {password}"), 230);
        self.expect("TYPE I", 200);
    }

    /// The session must answer as if nothing had happened.
    #[track_caller]
    pub(crate) fn expect_alive(&mut self) {
        self.expect("NOOP", 200);
    }

    /// The address that PASV or EPSV names.
    #[track_caller]
    pub(crate) fn passive_address(&mut self, mode: Mode) -> SocketAddr {
        if mode == Mode::Pasv {
            parse_227(&self.expect("PASV", 227).text)
        } else {
            let port = parse_229(&self.expect("EPSV", 229).text);
            SocketAddr::new(self.stream.peer_addr().expect("connected").ip(), port)
        }
    }

    /// A listener at the client's own address, for PORT and EPRT.
    pub(crate) fn listen(&self) -> TcpListener {
        let ip = self.stream.local_addr().expect("connected").ip();
        TcpListener::bind((ip, 0)).expect("a free port")
    }

    /// A data connection.
    #[track_caller]
    pub(crate) fn data(&mut self, mode: Mode) -> TcpStream {
        if matches!(mode, Mode::Pasv | Mode::Epsv) {
            let addr = self.passive_address(mode);
            return connect(addr);
        }
        let listener = self.listen();
        let addr = listener.local_addr().expect("bound");
        let command = if mode == Mode::Port {
            port_command(addr)
        } else {
            eprt_command(addr)
        };
        self.expect(command, 200);
        let (stream, _) = listener.accept().expect("the server connects");
        patient(&stream);
        stream
    }

    /// A data connection that can take few bytes before someone reads it.
    #[track_caller]
    pub(crate) fn narrow_data(&mut self) -> TcpStream {
        connect_narrow(self.passive_address(Mode::Epsv))
    }

    /// Begins a transfer: gives the data connection once the 1xx is there.
    #[track_caller]
    pub(crate) fn begin(&mut self, line: impl AsRef<[u8]>) -> TcpStream {
        let data = self.data(Mode::Epsv);
        self.started(line);
        data
    }

    /// Begins a transfer, and connects when the 1xx is there. The server never has a connection or a
    /// socket that waits for a command, so that time limits on these do not matter.
    #[track_caller]
    pub(crate) fn begin_first(&mut self, line: impl AsRef<[u8]>) -> TcpStream {
        connect(self.begin_unconnected(line))
    }

    /// Begins a transfer, and says where to connect to.
    #[track_caller]
    pub(crate) fn begin_unconnected(&mut self, line: impl AsRef<[u8]>) -> SocketAddr {
        self.send([b"EPSV\r\n", line.as_ref(), b"\r\n"].concat());
        let port = parse_229(&self.expect_reply(229).text);
        self.expect_started(line);
        SocketAddr::new(self.stream.peer_addr().expect("connected").ip(), port)
    }

    /// Sends a transfer command, whose first reply must be a 1xx.
    #[track_caller]
    pub(crate) fn started(&mut self, line: impl AsRef<[u8]>) -> Reply {
        self.line(line.as_ref());
        self.expect_started(line)
    }

    /// The next reply, which must be a 1xx.
    #[track_caller]
    pub(crate) fn expect_started(&mut self, line: impl AsRef<[u8]>) -> Reply {
        let reply = self.reply();
        let line = String::from_utf8_lossy(line.as_ref());
        assert!(
            matches!(reply.code, 125 | 150),
            "{line:?} was answered {:?}",
            reply.text
        );
        reply
    }

    /// Everything that a command sends over a data connection; ends in 226.
    #[track_caller]
    pub(crate) fn fetch(&mut self, line: impl AsRef<[u8]>) -> Vec<u8> {
        self.fetch_by(Mode::Epsv, line)
    }

    #[track_caller]
    pub(crate) fn fetch_by(&mut self, mode: Mode, line: impl AsRef<[u8]>) -> Vec<u8> {
        let mut data = self.data(mode);
        self.started(line);
        let mut content = Vec::new();
        data.read_to_end(&mut content).expect("the data ends");
        self.expect_reply(226);
        content
    }

    /// The lines of a listing, without their CR LF.
    #[track_caller]
    pub(crate) fn list(&mut self, line: impl AsRef<[u8]>) -> Vec<String> {
        let content = self.fetch(line);
        let text = String::from_utf8_lossy(&content);
        if text.is_empty() {
            return Vec::new();
        }
        let text = text.strip_suffix("\r\n").expect("a listing ends in CR LF");
        text.split("\r\n").map(str::to_owned).collect()
    }

    /// Sends everything over a data connection; ends in 226.
    #[track_caller]
    pub(crate) fn put(&mut self, line: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        self.put_by(Mode::Epsv, line, content);
    }

    #[track_caller]
    pub(crate) fn put_by(&mut self, mode: Mode, line: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        self.upload_by(mode, line, content);
        self.expect_reply(226);
    }

    /// Sends everything over a data connection, and does not wait for what comes of it.
    #[track_caller]
    pub(crate) fn upload(&mut self, line: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        self.upload_by(Mode::Epsv, line, content);
    }

    #[track_caller]
    fn upload_by(&mut self, mode: Mode, line: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let mut data = self.data(mode);
        self.started(line);
        data.write_all(content.as_ref()).expect("the server reads");
    }

    /// A transfer command that is refused before a byte flows.
    #[track_caller]
    pub(crate) fn refused(&mut self, line: impl AsRef<[u8]>, code: u16) -> Reply {
        let mut data = self.data(Mode::Epsv);
        let reply = self.expect(line, code);
        // The connection that was offered may stay or go, but nothing comes over it.
        data.shutdown(Shutdown::Write).ok();
        data.set_nonblocking(true).expect("a socket");
        assert!(
            !matches!(data.read(&mut [0; 1]), Ok(1..)),
            "data after {:?}",
            reply.text
        );
        reply
    }
}

/// Connects with the time limits of the tests.
#[track_caller]
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("the server listens");
    patient(&stream);
    stream
}

/// Connects with a small receive buffer, so that a sender soon has to wait.
#[track_caller]
pub(crate) fn connect_narrow(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    connected(socket, addr)
}

/// Connects from an address of one's choice.
#[track_caller]
pub(crate) fn connect_from(source: Ipv4Addr, addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from((source, 0)).into())
        .expect("a source address");
    connected(socket, addr)
}

#[track_caller]
fn connected(socket: Socket, addr: SocketAddr) -> TcpStream {
    socket
        .connect_timeout(&addr.into(), PATIENCE)
        .expect("the server listens");
    let stream = TcpStream::from(socket);
    patient(&stream);
    stream
}

/// Whether nobody listens there.
pub(crate) fn is_refused(addr: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&addr, PATIENCE) {
        Err(_) => true,
        // A connection attempt may meet itself, where it was given the very port that it asks for.
        Ok(stream) => stream.local_addr().ok() == stream.peer_addr().ok(),
    }
}

/// Closes so that the other side sees ECONNRESET.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket");
}

/// The server must have ended this data connection; what came before does not matter.
#[track_caller]
pub(crate) fn expect_data_end(mut data: TcpStream) {
    let mut chunk = [0; 65536];
    loop {
        match data.read(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if is_reset(&error) => return,
            Err(error) => panic!("the data connection is still open: {error}"),
        }
    }
}

pub(crate) fn port_command(addr: SocketAddr) -> String {
    let SocketAddr::V4(addr) = addr else {
        panic!("PORT knows IPv4 only")
    };
    let [a, b, c, d] = addr.ip().octets();
    let [high, low] = addr.port().to_be_bytes();
    format!("PORT {a},{b},{c},{d},{high},{low}")
}

pub(crate) fn eprt_command(addr: SocketAddr) -> String {
    let family = if addr.is_ipv4() { 1 } else { 2 };
    format!("EPRT |{family}|{}|{}|", addr.ip(), addr.port())
}

#[track_caller]
pub(crate) fn parse_227(text: &str) -> SocketAddr {
    let inner = text
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    let numbers: Vec<u8> = inner
        .map(|(inner, _)| {
            inner
                .split(',')
                .filter_map(|number| number.parse().ok())
                .collect()
        })
        .unwrap_or_default();
    let [a, b, c, d, high, low] = numbers[..] else {
        panic!("no address in {text:?}")
    };
    SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))
}

#[track_caller]
pub(crate) fn parse_229(text: &str) -> u16 {
    let inner = text
        .split_once("(|||")
        .and_then(|(_, rest)| rest.split_once("|)"));
    inner
        .and_then(|(port, _)| port.parse().ok())
        .unwrap_or_else(|| panic!("no port in {text:?}"))
}

fn patient(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
}

fn code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    let known = digits.iter().all(u8::is_ascii_digit) && (b'1'..=b'6').contains(&digits[0]);
    known.then(|| {
        digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    })
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn broken(what: &str, line: &[u8]) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what}: {:?}", String::from_utf8_lossy(line)),
    )
}
