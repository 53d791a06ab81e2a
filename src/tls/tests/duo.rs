//! A tunnel and rustls's own client, with a wire in memory between them.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};

use super::*;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    No,
    Fin,
    Reset,
}

/// A transport with ends that a test can see and cut.
pub(super) struct Wire {
    pub(super) to_server: VecDeque<u8>,
    pub(super) to_client: VecDeque<u8>,
    /// Bytes that the client's side takes before somebody reads them.
    pub(super) room: usize,
    pub(super) end: End,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.to_server.is_empty() {
            self.to_server.make_contiguous();
            return self.to_server.read(buf);
        }
        match self.end {
            End::No => Err(io::ErrorKind::WouldBlock.into()),
            End::Fin => Ok(0),
            End::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = buf.len().min(self.room - self.to_client.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to_client.extend(&buf[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Duo {
    pub(super) wire: Wire,
    pub(super) server: Tunnel,
    pub(super) client: ClientConnection,
    pub(super) scratch: Vec<u8>,
}

impl Duo {
    pub(super) fn new(server: Tunnel, client: &Arc<ClientConfig>) -> Duo {
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
        client.set_buffer_limit(None);
        let wire = Wire {
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            room: 1 << 20,
            end: End::No,
        };
        let scratch = vec![0; 1088 * 1024];
        Duo {
            wire,
            server,
            client,
            scratch,
        }
    }

    /// Everything that the client has to say goes onto the wire.
    pub(super) fn client_sends(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire.to_server).unwrap();
        }
    }

    /// The client takes what is on the wire; gives its plaintext.
    pub(super) fn client_takes(&mut self) -> Vec<u8> {
        let mut plain = Vec::new();
        while !self.wire.to_client.is_empty() {
            self.client.read_tls(&mut self.wire.to_client).unwrap();
            let state = self.client.process_new_packets().unwrap();
            let at = plain.len();
            plain.resize(at + state.plaintext_bytes_to_read(), 0);
            self.client.reader().read_exact(&mut plain[at..]).unwrap();
        }
        plain
    }

    pub(super) fn try_shake_hands(&mut self) -> io::Result<()> {
        loop {
            self.client_sends();
            let done = self.server.handshake(&mut self.wire, &mut self.scratch)?;
            self.client_takes();
            if done && !self.client.is_handshaking() {
                return Ok(());
            }
        }
    }

    pub(super) fn shaken(mut self) -> Duo {
        self.try_shake_hands().unwrap();
        self.client_takes();
        self
    }

    pub(super) fn read(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let count = self.server.read(&mut self.wire, &mut self.scratch, max)?;
        Ok(self.scratch[..count].to_vec())
    }

    /// Reads until there is nothing more; the last result but `Ok` with bytes.
    pub(super) fn read_all(&mut self, max: usize) -> (Vec<u8>, io::Result<()>) {
        let mut all = Vec::new();
        loop {
            match self.read(max) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(bytes) if bytes.is_empty() => return (all, Ok(())),
                Ok(bytes) => {
                    // A record is taken whole.
                    assert!(bytes.len() < max + 16 * 1024);
                    all.extend(bytes);
                }
                Err(error) => return (all, Err(error)),
            }
        }
    }

    pub(super) fn client_writes(&mut self, plain: &[u8]) {
        self.client.writer().write_all(plain).unwrap();
        self.client_sends();
    }

    pub(super) fn client_closes(&mut self) {
        self.client.send_close_notify();
        self.client_sends();
    }
}

pub(super) fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

pub(super) fn kind(result: io::Result<()>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

pub(super) fn data_duo(pki: &Pki, version: &'static SupportedProtocolVersion) -> Duo {
    let tunnel = pki.tls().session().unwrap().data().unwrap();
    Duo::new(tunnel, &pki.client(version)).shaken()
}
