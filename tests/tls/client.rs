//! A raw FTPS client. It sends exactly what a test says, and closes as a test says.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use crate::common::client::{Reply, connect, parse_229, reset};
use crate::common::{Client, PASSWORD, USER};

/// The server's name, where a test says no other.
const NAME: &str = "localhost";

/// A TLS connection over TCP.
pub(crate) struct Secure {
    pub(crate) tls: ClientConnection,
    pub(crate) socket: TcpStream,
}

impl Secure {
    /// Shakes hands.
    pub(crate) fn over(socket: TcpStream, config: &Arc<ClientConfig>) -> io::Result<Secure> {
        Secure::asking(NAME, socket, config)
    }

    /// Shakes hands with a server of this name.
    pub(crate) fn asking(
        name: &'static str,
        socket: TcpStream,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Secure> {
        let name = name.try_into().expect("a name");
        let tls = ClientConnection::new(Arc::clone(config), name).expect("a client");
        let mut secure = Secure { tls, socket };
        while secure.tls.is_handshaking() {
            secure.tls.complete_io(&mut secure.socket)?;
        }
        secure.flush()?;
        Ok(secure)
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Sends what is written and no close_notify.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(32 * 1024) {
            self.tls.writer().write_all(chunk)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Says close_notify and nothing more.
    pub(crate) fn notify(&mut self) {
        self.tls.send_close_notify();
        let _ = self.flush();
    }

    /// Closes as RFC 8446 wants it.
    pub(crate) fn close(mut self) {
        self.notify();
    }

    /// Closes so that the server sees ECONNRESET.
    pub(crate) fn reset(self) {
        reset(self.socket);
    }

    pub(crate) fn stream(&mut self) -> rustls::Stream<'_, ClientConnection, TcpStream> {
        rustls::Stream::new(&mut self.tls, &mut self.socket)
    }

    /// Everything up to the server's close_notify, without which it is an error.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.stream().read_to_end(&mut all)?;
        Ok(all)
    }
}

/// A control connection.
pub(crate) struct Ftps {
    pub(crate) control: Secure,
    config: Arc<ClientConfig>,
    name: &'static str,
    addr: SocketAddr,
    buffer: Vec<u8>,
}

impl Ftps {
    /// Explicit: AUTH TLS in clear, then the handshake.
    #[track_caller]
    pub(crate) fn explicit(addr: SocketAddr, config: &Arc<ClientConfig>) -> Ftps {
        let mut client = Client::connect(addr);
        client.expect_reply(220);
        Ftps::upgrade(client, addr, config)
    }

    #[track_caller]
    pub(crate) fn upgrade(
        mut client: Client,
        addr: SocketAddr,
        config: &Arc<ClientConfig>,
    ) -> Ftps {
        client.expect("AUTH TLS", 234);
        Ftps::secured(client.stream().try_clone().expect("a socket"), addr, config)
    }

    /// Implicit: TLS from the first byte.
    #[track_caller]
    pub(crate) fn implicit(addr: SocketAddr, config: &Arc<ClientConfig>) -> Ftps {
        let mut ftps = Ftps::secured(connect(addr), addr, config);
        ftps.expect_reply(220);
        ftps
    }

    #[track_caller]
    pub(crate) fn secured(socket: TcpStream, addr: SocketAddr, config: &Arc<ClientConfig>) -> Ftps {
        Ftps::asking(NAME, socket, addr, config)
    }

    /// With a server of this name, on data connections too.
    #[track_caller]
    pub(crate) fn asking(
        name: &'static str,
        socket: TcpStream,
        addr: SocketAddr,
        config: &Arc<ClientConfig>,
    ) -> Ftps {
        let control = Secure::asking(name, socket, config).expect("a handshake");
        let config = Arc::clone(config);
        Ftps {
            control,
            config,
            name,
            addr,
            buffer: Vec::new(),
        }
    }

    /// Logged in, with TYPE I, PBSZ 0 and PROT P.
    #[track_caller]
    pub(crate) fn login(addr: SocketAddr, config: &Arc<ClientConfig>) -> Ftps {
        let mut ftps = Ftps::explicit(addr, config);
        ftps.log_in();
        ftps.protect();
        ftps
    }

    #[track_caller]
    pub(crate) fn log_in(&mut self) {
        self.expect(&format!("USER {USER}"), 331);
        self.expect(&format!("PASS {PASSWORD}"), 230);
        self.expect("TYPE I", 200);
    }

    #[track_caller]
    pub(crate) fn protect(&mut self) {
        self.expect("PBSZ 0", 200);
        self.expect("PROT P", 200);
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.control
            .send(format!("{line}\r\n").as_bytes())
            .expect("the server reads");
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str, code: u16) -> Reply {
        self.line(line);
        let reply = self.reply();
        assert_eq!(reply.code, code, "{line:?} was answered {:?}", reply.text);
        reply
    }

    #[track_caller]
    pub(crate) fn expect_reply(&mut self, code: u16) -> Reply {
        let reply = self.reply();
        assert_eq!(reply.code, code, "{:?}", reply.text);
        reply
    }

    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().expect("a reply")
    }

    fn try_reply(&mut self) -> io::Result<Reply> {
        let mut raw = self.read_line()?;
        let code = std::str::from_utf8(&raw[..3])
            .ok()
            .and_then(|code| code.parse().ok());
        let code: u16 = code.ok_or(io::ErrorKind::InvalidData)?;
        if raw[3] == b'-' {
            let last = format!("{code} ").into_bytes();
            loop {
                let line = self.read_line()?;
                raw.extend_from_slice(&line);
                if line.starts_with(&last) {
                    break;
                }
            }
        }
        let text = String::from_utf8_lossy(&raw[..raw.len() - 2]).into_owned();
        Ok(Reply { code, text, raw })
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.iter().position(|&byte| byte == b'\n') {
                return Ok(self.buffer.drain(..=at).collect());
            }
            let mut chunk = [0; 4096];
            match self.control.stream().read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Nothing must come for so long.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        let socket = self.control.socket.try_clone().expect("a socket");
        Client::over(socket).expect_silence(time);
        assert!(self.buffer.is_empty());
    }

    /// The server must have closed with close_notify, and have said nothing before.
    #[track_caller]
    pub(crate) fn expect_end(mut self) {
        assert!(self.buffer.is_empty());
        let rest = self.control.read_to_end().expect("close_notify");
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    #[track_caller]
    pub(crate) fn passive_address(&mut self) -> SocketAddr {
        let port = parse_229(&self.expect("EPSV", 229).text);
        SocketAddr::new(self.addr.ip(), port)
    }

    /// A connected data connection, still in clear.
    #[track_caller]
    pub(crate) fn data(&mut self) -> TcpStream {
        connect(self.passive_address())
    }

    /// Begins a transfer: the data connection once the 1xx is there, its handshake done.
    #[track_caller]
    pub(crate) fn begin(&mut self, line: &str) -> Secure {
        let data = self.data();
        self.started(line);
        Secure::asking(self.name, data, &self.config).expect("a handshake")
    }

    #[track_caller]
    pub(crate) fn started(&mut self, line: &str) {
        self.line(line);
        let reply = self.reply();
        assert!(
            matches!(reply.code, 125 | 150),
            "{line:?} was answered {:?}",
            reply.text
        );
    }

    #[track_caller]
    pub(crate) fn fetch(&mut self, line: &str) -> Vec<u8> {
        let mut data = self.begin(line);
        let content = data.read_to_end().expect("close_notify");
        self.expect_reply(226);
        content
    }

    #[track_caller]
    pub(crate) fn put(&mut self, line: &str, content: &[u8]) {
        let mut data = self.begin(line);
        data.send(content).expect("the server reads");
        data.close();
        self.expect_reply(226);
    }
}
