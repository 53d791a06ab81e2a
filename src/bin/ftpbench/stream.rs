//! A connection of the client's, in clear or by TLS; it cannot wait for ever.
//!
//! TLS is 1.3 or, for servers that know no better, 1.2, always with AES-256-GCM and P-256 (which
//! some servers insist on), and every handshake is a full one: figures of two servers are of the
//! same work. Certificates are not checked, as most servers that are measured have one of their
//! own making.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self as provider, cipher_suite as suites};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use socket2::{Domain, Socket, Type};

/// Ciphertext that a data connection reads at once; rustls alone would read 4 KiB.
const AHEAD: usize = 256 << 10;

/// What a TLS connection is used for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Use {
    /// Few bytes, and memory counts when there are many of them.
    Control,
    Data,
}

/// Makes the client's side of TLS connections.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    pub(crate) fn new() -> Result<Tls, Error> {
        let mut provider = provider::default_provider();
        provider.cipher_suites = vec![
            suites::TLS13_AES_256_GCM_SHA384,
            suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ];
        provider.kx_groups = vec![provider::kx_group::SECP256R1];
        let provider = Arc::new(provider);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(Tls(Arc::new(config)))
    }
}

/// Takes any certificate whose owner holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection.
pub(crate) enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Stream {
    /// Connects, from `source` if there is one.
    pub(crate) fn connect(
        address: SocketAddr,
        source: Option<IpAddr>,
        patience: Duration,
    ) -> io::Result<Stream> {
        let stream = match source {
            None => TcpStream::connect_timeout(&address, patience)?,
            Some(source) => {
                let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
                socket.bind(&SocketAddr::from((source, 0)).into())?;
                socket.connect_timeout(&address.into(), patience)?;
                socket.into()
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Stream::Clear(stream))
    }

    /// The same connection with TLS, after its handshake.
    pub(crate) fn secured(self, tls: &Tls, purpose: Use) -> io::Result<Stream> {
        let Stream::Clear(socket) = self else {
            return Err(io::Error::other("TLS in TLS"));
        };
        let name = ServerName::from(socket.peer_addr()?.ip());
        let mut connection =
            ClientConnection::new(Arc::clone(&tls.0), name).map_err(io::Error::other)?;
        let ahead = match purpose {
            Use::Control => 0,
            Use::Data => AHEAD,
        };
        connection.set_buffer_limit(Some(ahead.max(4096)));
        let mut wire = Wire::new(socket, ahead);
        while connection.is_handshaking() {
            connection.complete_io(&mut wire).map_err(timed)?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, wire))))
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// The version and the cipher suite that both sides agreed on.
    pub(crate) fn protection(&self) -> Option<String> {
        let Stream::Tls(tls) = self else { return None };
        let suite = tls.conn.negotiated_cipher_suite()?.suite();
        Some(format!("{:?} {suite:?}", tls.conn.protocol_version()?))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Clear(socket) => socket,
            Stream::Tls(tls) => &tls.sock.socket,
        }
    }

    /// Some of what came; 0 is the end. That a server ends TLS without saying so is not for a
    /// benchmark to blame: what came is checked.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Stream::Clear(socket) => socket.read(buffer),
                Stream::Tls(tls) => tls.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read.map_err(timed),
            }
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match self {
            Stream::Clear(socket) => socket.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        written.map_err(timed)
    }

    /// Says that no more will be written. Over TLS waits until the server has ended its side too:
    /// leaving while its session tickets are on their way would reset the connection, and some
    /// servers lose the end of an upload by it.
    pub(crate) fn end(mut self) -> io::Result<()> {
        if let Stream::Tls(tls) = &mut self {
            tls.conn.send_close_notify();
            tls.flush().map_err(timed)?;
            tls.sock.socket.shutdown(Shutdown::Write)?;
            // How it ends does not matter, the reply tells what became of the upload.
            while matches!(self.read(&mut [0; 4096]), Ok(1..)) {}
        }
        Ok(())
    }

    /// Answers the server's end.
    pub(crate) fn close(mut self) {
        if let Stream::Tls(tls) = &mut self {
            tls.conn.send_close_notify();
            // A server that has gone already needs no answer.
            let _ = tls.flush();
        }
    }
}

/// A socket that is read in large pieces.
pub(crate) struct Wire {
    socket: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is not taken yet.
    start: usize,
    end: usize,
}

impl Wire {
    fn new(socket: TcpStream, ahead: usize) -> Wire {
        Wire {
            socket,
            buffer: vec![0; ahead],
            start: 0,
            end: 0,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            if self.buffer.len() <= into.len() {
                return self.socket.read(into);
            }
            self.end = self.socket.read(&mut self.buffer)?;
            self.start = 0;
        }
        let length = into.len().min(self.end - self.start);
        into[..length].copy_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        Ok(length)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says what a time limit of a socket looks like on Unix in words.
fn timed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "the server says nothing any more")
        }
        _ => error,
    }
}
