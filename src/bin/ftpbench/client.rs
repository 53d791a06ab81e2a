//! An FTP client that costs little: what is measured is the server. Blocking sockets, whole
//! commands in one write, data checked and discarded in the caller's one large buffer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::content::Content;
use crate::reply::{self, Reply};
use crate::stream::{Stream, Tls, Use};

/// More than any reply has; a server that sends more without ending one is none of FTP.
const LONGEST_REPLY: usize = 1 << 20;

/// How to get into a server.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
    /// With it, control and data connections are protected.
    pub(crate) tls: Option<Tls>,
    /// TLS from the first byte on.
    pub(crate) implicit: bool,
    /// The folder to work in, as the server calls it.
    pub(crate) folder: Option<String>,
    /// How long the server may say nothing before a run is given up.
    pub(crate) patience: Duration,
}

/// A client's control connection.
pub(crate) struct Client {
    control: Stream,
    source: Option<IpAddr>,
    tls: Option<Tls>,
    patience: Duration,
    /// What came and is not taken yet.
    input: Vec<u8>,
    reads: usize,
    epsv: bool,
}

/// A transfer whose command is sent.
pub(crate) struct Transfer {
    command: String,
    data: Stream,
    by_turns: bool,
}

impl Transfer {
    /// After each piece all other threads of this processor have their turn. One that is served faster than
    /// it reads has otherwise no reason to stop, and is done before others have begun, which says nothing of
    /// the server: its clients have processors of their own.
    pub(crate) fn by_turns(self) -> Transfer {
        Transfer {
            by_turns: true,
            ..self
        }
    }

    fn end_piece(by_turns: bool) {
        if by_turns {
            thread::yield_now();
        }
    }
}

impl Access {
    /// A client that is logged in.
    pub(crate) fn login(&self) -> io::Result<Client> {
        self.login_from(None)
    }

    /// A client that is logged in and can transfer files.
    pub(crate) fn enter(&self) -> io::Result<Client> {
        let mut client = self.login()?;
        client.prepare(self)?;
        Ok(client)
    }

    /// A client of another address of this machine, logged in.
    pub(crate) fn login_from(&self, source: Option<IpAddr>) -> io::Result<Client> {
        let mut client = self.connect(source)?;
        client.await_reply("connecting", 220)?;
        let mut client = client.secured(self)?;
        if client.command(&format!("USER {}", self.user))?.code != 230 {
            client.expect(&format!("PASS {}", self.password), 230)?;
        }
        Ok(client)
    }

    /// A client that is connected, before the server's greeting is read.
    pub(crate) fn connect(&self, source: Option<IpAddr>) -> io::Result<Client> {
        let mut control = Stream::connect(self.address, source, self.patience)?;
        if let Some(tls) = self.tls.as_ref().filter(|_| self.implicit) {
            control = control.secured(tls, Use::Control)?;
        }
        Ok(Client {
            control,
            source,
            tls: self.tls.clone(),
            patience: self.patience,
            input: Vec::new(),
            reads: 0,
            epsv: true,
        })
    }
}

impl Client {
    /// AUTH TLS, unless TLS is not wanted or there already.
    fn secured(mut self, access: &Access) -> io::Result<Client> {
        match access.tls.as_ref().filter(|_| !access.implicit) {
            None => Ok(self),
            Some(tls) => {
                self.expect("AUTH TLS", 234)?;
                let control = self.control.secured(tls, Use::Control)?;
                Ok(Client { control, ..self })
            }
        }
    }

    /// Makes the client fit for binary transfers in its folder.
    fn prepare(&mut self, access: &Access) -> io::Result<()> {
        if self.tls.is_some() {
            self.expect("PBSZ 0", 200)?;
            self.expect("PROT P", 200)?;
        }
        self.expect("TYPE I", 200)?;
        match &access.folder {
            Some(folder) => self.expect(&format!("CWD {folder}"), 250),
            None => Ok(()),
        }
    }

    /// What protects the control connection.
    pub(crate) fn protection(&self) -> Option<String> {
        self.control.protection()
    }

    /// Sends a command that has to be answered by `code`.
    pub(crate) fn expect(&mut self, command: &str, code: u16) -> io::Result<()> {
        self.send(command)?;
        self.await_reply(command, code)
    }

    /// Sends a command and gives its reply, whatever that is.
    pub(crate) fn command(&mut self, command: &str) -> io::Result<Reply> {
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

    /// Connects for a transfer and sends its command, whose replies are still to come: [`Self::take`]
    /// or [`Self::give`] has to follow.
    pub(crate) fn start(&mut self, command: String) -> io::Result<Transfer> {
        let data = self.open_data()?;
        self.send(&command)?;
        Ok(Transfer {
            command,
            data,
            by_turns: false,
        })
    }

    /// Receives a file of `size` bytes, and checks each of them.
    pub(crate) fn take(
        &mut self,
        transfer: Transfer,
        size: u64,
        content: &Content,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let mut bytes = 0;
        self.receive(transfer, buffer, |chunk| {
            content.check(bytes, chunk)?;
            bytes += chunk.len() as u64;
            Ok(())
        })?;
        same("bytes of the file", bytes, size)
    }

    /// Sends the first `size` bytes of `content`.
    pub(crate) fn give(
        &mut self,
        transfer: Transfer,
        size: u64,
        content: &Content,
    ) -> io::Result<()> {
        let Transfer {
            command,
            data,
            by_turns,
        } = transfer;
        self.begun(&command)?;
        let mut data = self.protected(data)?;
        let mut sent = 0;
        while sent < size {
            let piece = content.piece(sent, size - sent);
            data.write_all(piece)?;
            sent += piece.len() as u64;
            Transfer::end_piece(by_turns);
        }
        data.end()?;
        self.finished(&command)
    }

    /// Runs a command that sends a file of `size` bytes, and checks each of them.
    pub(crate) fn retrieve(
        &mut self,
        command: &str,
        size: u64,
        content: &Content,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let transfer = self.start(command.to_owned())?;
        self.take(transfer, size, content, buffer)
    }

    /// Runs a command that receives the first `size` bytes of `content`.
    pub(crate) fn store(&mut self, command: &str, size: u64, content: &Content) -> io::Result<()> {
        let transfer = self.start(command.to_owned())?;
        self.give(transfer, size, content)
    }

    /// Runs a command that sends a listing, and counts its lines.
    pub(crate) fn count_lines(&mut self, command: &str, buffer: &mut [u8]) -> io::Result<u64> {
        let transfer = self.start(command.to_owned())?;
        let mut lines = 0;
        self.receive(transfer, buffer, |chunk| {
            lines += chunk.iter().filter(|&&byte| byte == b'\n').count() as u64;
            Ok(())
        })?;
        Ok(lines)
    }

    fn receive(
        &mut self,
        transfer: Transfer,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Transfer {
            command,
            data,
            by_turns,
        } = transfer;
        self.begun(&command)?;
        let mut data = self.protected(data)?;
        loop {
            match data.read(buffer)? {
                0 => break,
                length => take(&buffer[..length])?,
            }
            Transfer::end_piece(by_turns);
        }
        data.close();
        self.finished(&command)
    }

    pub(crate) fn send(&mut self, command: &str) -> io::Result<()> {
        self.control.write_all(format!("{command}\r\n").as_bytes())
    }

    /// A passive data connection. The address of a PASV reply is not used: behind a NAT it is wrong
    /// often enough.
    fn open_data(&mut self) -> io::Result<Stream> {
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
            229 => reply::epsv_port(&reply.text),
            227 => reply::pasv_port(&reply.text),
            _ => None,
        };
        address.set_port(port.ok_or_else(|| unexpected("EPSV or PASV", &reply))?);
        Stream::connect(address, self.source, self.patience)
    }

    fn protected(&self, data: Stream) -> io::Result<Stream> {
        match &self.tls {
            Some(tls) => data.secured(tls, Use::Data),
            None => Ok(data),
        }
    }

    /// Reads the first reply of a transfer.
    fn begun(&mut self, command: &str) -> io::Result<()> {
        match self.reply()? {
            Reply {
                code: 125 | 150, ..
            } => Ok(()),
            reply => Err(unexpected(command, &reply)),
        }
    }

    /// Reads the last reply of a transfer.
    fn finished(&mut self, command: &str) -> io::Result<()> {
        match self.reply()? {
            Reply {
                code: 226 | 250, ..
            } => Ok(()),
            reply => Err(unexpected(command, &reply)),
        }
    }

    /// Reads the reply to what was sent, which has to be `code`.
    pub(crate) fn await_reply(&mut self, command: &str, code: u16) -> io::Result<()> {
        match self.reply()? {
            reply if reply.code == code => Ok(()),
            reply => Err(unexpected(command, &reply)),
        }
    }

    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, length)) = reply::parse(&self.input)? {
                self.input.drain(..length);
                if self.input.is_empty() {
                    // Idle clients are many, and hold nothing.
                    self.input = Vec::new();
                }
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        let read = self.control.read(&mut chunk)?;
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

    /// Says QUIT, and goes when it is answered.
    pub(crate) fn quit(mut self) -> io::Result<()> {
        self.expect("QUIT", 221)?;
        self.control.close();
        Ok(())
    }
}

fn unexpected(command: &str, reply: &Reply) -> io::Error {
    let verb = command.split(' ').next().unwrap_or_default();
    io::Error::other(format!("{verb} was answered '{}'", reply.text))
}

/// A server that is fast because it does less than was asked is no faster.
pub(crate) fn same(what: &str, came: u64, asked: u64) -> io::Result<()> {
    if came == asked {
        return Ok(());
    }
    Err(io::Error::other(format!("{came} {what} came, not {asked}")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ftpdlib::{DummyAuthorizer, FtpServer, Perm, ServerHandle, Tls as ServerTls};
    use tempfile::TempDir;

    use super::*;

    const SIZE: u64 = 3_000_001;

    /// A server over a folder, with a certificate that nobody knows.
    fn served() -> (TempDir, ServerHandle, Access) {
        let folder = tempfile::tempdir().unwrap();
        let mut users = DummyAuthorizer::new();
        users
            .add_user("bob", "secret", folder.path(), Perm::ALL)
            .unwrap();
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|file| folder.path().join(file));
        fs::write(&cert, certificate.cert.pem()).unwrap();
        fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
        let server = FtpServer::builder()
            .authorizer(users)
            .tls(ServerTls::from_pem_files(&cert, Some(&key)).unwrap())
            .bind("127.0.0.1:0")
            .unwrap()
            .spawn()
            .unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let access = Access {
            address: server.local_addr(),
            user: "bob".to_owned(),
            password: "secret".to_owned(),
            tls: None,
            implicit: false,
            folder: Some("work".to_owned()),
            patience: Duration::from_secs(60),
        };
        (folder, server, access)
    }

    fn works(access: &Access, folder: &Path) {
        let content = Content::new();
        let mut buffer = vec![0; 100_000];
        let mut client = access.enter().unwrap();
        client.store("STOR f", SIZE, &content).unwrap();
        content
            .check(0, &fs::read(folder.join("work/f")).unwrap())
            .unwrap();
        client
            .retrieve("RETR f", SIZE, &content, &mut buffer)
            .unwrap();
        assert_eq!(client.count_lines("NLST", &mut buffer).unwrap(), 1);
        assert!(client.pipeline("NOOP\r\nNOOP\r\n", 2, 200).unwrap() >= 1);
        client.quit().unwrap();
    }

    #[test]
    fn files_go_to_and_fro() {
        let (folder, _server, access) = served();
        works(&access, folder.path());
        assert!(access.enter().unwrap().protection().is_none());
    }

    #[test]
    fn files_go_to_and_fro_by_tls() {
        let (folder, _server, mut access) = served();
        access.tls = Some(Tls::new().unwrap());
        works(&access, folder.path());
        let protection = access.enter().unwrap().protection();
        assert_eq!(protection.unwrap(), "TLSv1_3 TLS13_AES_256_GCM_SHA384");
    }

    #[test]
    fn what_a_server_does_wrong_is_told() {
        let (folder, _server, access) = served();
        let (content, mut buffer) = (Content::new(), vec![0; 1000]);
        let mut client = access.enter().unwrap();
        let file = folder.path().join("work/f");
        client.store("STOR f", 5000, &content).unwrap();
        let mut told = |size: u64| {
            let error = client.retrieve("RETR f", size, &content, &mut buffer);
            error.unwrap_err().to_string()
        };
        assert_eq!(told(6000), "5000 bytes of the file came, not 6000");
        let mut bytes = fs::read(&file).unwrap();
        bytes[4321] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(told(5000), "byte 4321 of the file is wrong");
        let error = access
            .enter()
            .unwrap()
            .expect("RNTO x", 250)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("RNTO was answered '503"), "{error}");
        let wrong = Access {
            password: "wrong".to_owned(),
            ..access
        };
        let error = wrong.login().err().unwrap().to_string();
        assert!(
            error.starts_with("PASS was answered '530") && !error.contains("wrong"),
            "{error}"
        );
    }
}
