//! The TLS side of one connection: ciphertext in and out of a transport, plaintext to and from the
//! session.
//!
//! Ciphertext is read into the loop's scratch buffer in large pieces, opened there record by
//! record, and the plaintext is moved to the buffer's front. What a connection keeps of its own is
//! an unfinished record, plaintext that nobody asked for yet, and records that the transport did
//! not take: each about 64 KiB at most, and nothing at all while nothing is under way.

use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use super::buffers::{Opened, Outgoing, Stride};
use super::resumption::Renewal;
use crate::auth::ClientCertificate;
use crate::sys::retry::retry;

/// Plaintext of the largest record (RFC 8446, 5.1): how far plaintext may run ahead of the records
/// that it comes from.
const RECORD: usize = 16 * 1024;
/// The largest record with what TLS 1.2 may add (RFC 5246, 6.2.3).
const WIRE_RECORD: usize = RECORD + 2048 + 5;
/// The largest unprocessed rest: a handshake message in pieces, as a chain of certificates may be.
const MAX_INCOMING: usize = 5 * RECORD;
/// Plaintext that becomes records at a time, and leaves in one write. Twice as much was slower: the
/// pieces and their records are to stay in the processor's cache.
pub(crate) const MAX_WRITE: usize = 2 * RECORD;
/// Reads of the transport that may bring no plaintext before others have their turn. (A client can
/// send records that hold none without end.)
const MAX_BARREN: u32 = 2;
/// The least that reading takes as scratch space.
const MIN_SCRATCH: usize = 8 * RECORD;

/// One end of a TLS connection.
pub(crate) struct Tunnel {
    tls: UnbufferedServerConnection,
    /// Ciphertext that is not processed, or not whole.
    incoming: Vec<u8>,
    /// `incoming` may hold a whole record.
    backlog: bool,
    /// Plaintext that nobody took yet; those before `taken` are gone.
    plain: Vec<u8>,
    taken: usize,
    outgoing: Outgoing,
    handshaking: bool,
    /// The client's close_notify has come.
    ended: bool,
    /// Ours is on its way.
    finished: bool,
    failed: Option<rustls::Error>,
    allow_truncated: bool,
    renewal: Option<Renewal>,
    /// A ticket waits until the client may be expected to read: with the first byte of a download,
    /// or behind the end of an upload.
    held: bool,
    /// Bytes of ciphertext that were read and nobody has asked for yet.
    worked: usize,
    stride: Stride,
    /// The last `read` came to the transport, which had less than there was room for.
    short: bool,
}

/// What a tunnel wants of its transport, whatever the session wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TunnelWants {
    /// It is the client's turn in the handshake.
    pub(crate) handshake: bool,
    /// Records wait to be sent.
    pub(crate) unsent: bool,
}

impl Tunnel {
    /// # Errors
    ///
    /// When rustls refuses its configuration.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Tunnel, rustls::Error> {
        Ok(Tunnel {
            tls: UnbufferedServerConnection::new(config)?,
            incoming: Vec::new(),
            backlog: false,
            plain: Vec::new(),
            taken: 0,
            outgoing: Outgoing::default(),
            handshaking: true,
            ended: false,
            finished: false,
            failed: None,
            allow_truncated: false,
            renewal: None,
            held: false,
            worked: 0,
            stride: Stride::default(),
            short: false,
        })
    }

    /// The same for a data connection: `allow_truncated` takes a bare end of the transport for the
    /// client's end, `renewal` lets it give a ticket when it has resumed.
    pub(super) fn for_data(mut self, allow_truncated: bool, renewal: Option<Renewal>) -> Tunnel {
        self.allow_truncated = allow_truncated;
        self.renewal = renewal;
        self
    }

    /// Bytes of the client that were read before the handshake was due.
    pub(crate) fn begin_with(&mut self, bytes: Vec<u8>) {
        self.backlog = !bytes.is_empty();
        self.incoming = bytes;
    }

    pub(crate) fn wants(&self) -> TunnelWants {
        TunnelWants {
            handshake: self.handshaking,
            unsent: self.outgoing.is_pending() && !self.held,
        }
    }

    /// Bytes of records that wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        match self.held {
            true => 0,
            false => self.outgoing.pending().len(),
        }
    }

    /// Whether the handshake resumed an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The client's certificate, checked.
    pub(crate) fn client_certificate(&self) -> Option<ClientCertificate> {
        if self.handshaking {
            return None;
        }
        ClientCertificate::new(self.tls.peer_certificates()?.first()?)
    }

    /// Version and cipher suite, for the log.
    pub(crate) fn describe(&self) -> String {
        let version = self
            .tls
            .protocol_version()
            .and_then(|version| version.as_str().map(str::to_owned));
        let suite = self.tls.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str().map(str::to_owned));
        format!(
            "{} {}",
            version.unwrap_or_default(),
            suite.unwrap_or_default()
        )
    }

    /// Carries the handshake on as far as it goes now; false while it waits for the transport.
    ///
    /// # Errors
    ///
    /// When the handshake fails; an alert has been sent then, as far as the transport took it.
    pub(crate) fn handshake(
        &mut self,
        io: &mut (impl Read + Write),
        scratch: &mut [u8],
    ) -> io::Result<bool> {
        while self.handshaking {
            match self.flush(io) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            match self.receive(io, scratch, Opened::aside()) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        match self.flush(io) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(true),
        }
    }

    /// Reads plaintext to the front of `scratch`; the rest of it is used. It stops at `max` bytes,
    /// but takes records whole: there may be nearly a record (16 KiB) more.
    ///
    /// `Ok(0)` is the client's close_notify and nothing else. Reads until `WouldBlock`: records
    /// that were read already announce themselves by no event.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; `Interrupted` when there was nothing so far, and there may be more at once;
    /// `UnexpectedEof` when the connection ends without close_notify.
    pub(crate) fn read(
        &mut self,
        io: &mut (impl Read + Write),
        scratch: &mut [u8],
        max: usize,
    ) -> io::Result<usize> {
        let max = max.clamp(1, scratch.len());
        self.short = false;
        // Answers to a key update and the like; whoever waits to read waits to write those too.
        if self.outgoing.is_pending() {
            match self.flush(io) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        for _ in 0..MAX_BARREN {
            let count = self.take_plain(&mut scratch[..max]);
            if count > 0 {
                return Ok(count);
            }
            if self.ended {
                return Ok(0);
            }
            let count = self.receive(io, scratch, Opened::front(max))?;
            if count > 0 {
                return Ok(count);
            }
        }
        match self.ended {
            true => Ok(0),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Whether the last [`read`](Tunnel::read) got less of the transport than there was room for, and
    /// gave all that came of it: the next one has nothing to give before the transport has.
    pub(crate) fn is_emptied(&self) -> bool {
        let kept = self.backlog || self.taken < self.plain.len();
        self.short && !kept && !self.ended && self.failed.is_none()
    }

    /// Bytes of ciphertext that were read since this was last asked.
    pub(crate) fn take_work(&mut self) -> usize {
        mem::take(&mut self.worked)
    }

    fn take_plain(&mut self, buf: &mut [u8]) -> usize {
        let rest = &self.plain[self.taken..];
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        if self.taken == self.plain.len() {
            self.plain = Vec::new();
            self.taken = 0;
        }
        count
    }

    /// One read of the transport, unless there is something left of the last one, and what came
    /// of it.
    fn receive(
        &mut self,
        io: &mut (impl Read + Write),
        scratch: &mut [u8],
        mut out: Opened,
    ) -> io::Result<usize> {
        if let Some(error) = &self.failed {
            return Err(invalid(error.clone()));
        }
        if scratch.len() < MIN_SCRATCH {
            return Err(io::Error::other("too little scratch space for TLS"));
        }
        let kept = self.incoming.len();
        // Plaintext goes to the front while its record is still in use.
        let start = RECORD;
        let mut end = start + kept;
        scratch[start..end].copy_from_slice(&self.incoming);
        if !self.backlog {
            if kept >= MAX_INCOMING {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "endless TLS handshake message",
                ));
            }
            let most = (scratch.len() - end).min(out.max.saturating_add(WIRE_RECORD));
            let room = self.stride.room(most, kept, out.max);
            match retry(|| io.read(&mut scratch[end..end + room]))? {
                // With half a record the file is cut for certain.
                0 if self.allow_truncated && !self.handshaking && kept == 0 => {
                    self.ended = true;
                    return Ok(0);
                }
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    end += count;
                    self.worked += count;
                    self.short = count < room;
                }
            }
        }
        let result = self.process(scratch, start, end, &mut out, None);
        let at = *result.as_ref().unwrap_or(&end);
        self.backlog = out.full;
        self.incoming.clear();
        self.incoming.extend_from_slice(&scratch[at..end]);
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        if let Err(error) = result {
            self.failed = Some(error.clone());
            self.held = false;
            self.encode_alert();
            // The alert is a courtesy.
            let _ = self.flush(io);
            if out.count == 0 {
                return Err(invalid(error));
            }
        }
        Ok(out.count)
    }

    /// Lets rustls work on the ciphertext in `area[at..end]`, moves plaintext to the front of
    /// `area`, and encrypts `app` once the client's records are through. Gives where the
    /// unprocessed rest begins.
    fn process(
        &mut self,
        area: &mut [u8],
        mut at: usize,
        end: usize,
        out: &mut Opened,
        mut app: Option<App<'_>>,
    ) -> Result<usize, rustls::Error> {
        loop {
            let (front, rest) = area.split_at_mut(at);
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(&mut rest[..end - at]);
            let mut go_on = true;
            match state? {
                ConnectionState::EncodeTlsData(data) => self.outgoing.append_record(data),
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let payload = record?.payload;
                        out.put(front, payload, &mut self.plain);
                        self.stride = Stride {
                            wire: discard,
                            plain: payload.len(),
                        };
                    }
                    go_on = !out.full;
                }
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    go_on = false;
                    let encrypt = |result: Result<usize, EncryptError>| match result {
                        Ok(count) => Ok(count),
                        Err(EncryptError::InsufficientSize(size)) => Err(Some(size)),
                        Err(EncryptError::EncryptExhausted) => Err(None),
                    };
                    match app.take() {
                        None => {}
                        Some(App::Data(data, taken)) => {
                            *taken = self
                                .outgoing
                                .append(|buf| encrypt(traffic.encrypt(data, buf)));
                        }
                        Some(App::CloseNotify) => {
                            self.outgoing
                                .append(|buf| encrypt(traffic.queue_close_notify(buf)));
                        }
                    }
                }
                ConnectionState::BlockedHandshake | ConnectionState::Closed => go_on = false,
                // Early data is off.
                _ => return Err(rustls::Error::General("unexpected state".to_owned())),
            }
            at += discard;
            self.look_at_handshake();
            if !go_on {
                return Ok(at);
            }
        }
    }

    fn look_at_handshake(&mut self) {
        if !self.handshaking {
            return;
        }
        self.handshaking = self.tls.is_handshaking();
        let tickets_follow = self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if let Some(renewal) = self.renewal.as_ref().filter(|_| tickets_follow) {
            if self.is_resumed() {
                renewal.allow();
            }
            // All of the handshake is sent when the client has ended it.
            self.held = !self.handshaking;
        }
    }

    /// After an error: what rustls has to tell the client about it. There is no more to be had of
    /// it then, and it must not be asked.
    fn encode_alert(&mut self) {
        while self.tls.wants_write() {
            let status = self.tls.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(data)) = status.state else {
                return;
            };
            self.outgoing.append_record(data);
        }
    }

    /// What the session sends, put through behind whatever of the client's was read before;
    /// plaintext among that is kept for the next read.
    fn process_app(&mut self, app: App<'_>) -> io::Result<()> {
        let mut incoming = mem::take(&mut self.incoming);
        let end = incoming.len();
        let result = self.process(&mut incoming, 0, end, &mut Opened::aside(), Some(app));
        incoming.drain(..*result.as_ref().unwrap_or(&end));
        self.incoming = incoming;
        self.backlog = false;
        result.map(drop).map_err(|error| {
            self.failed = Some(error.clone());
            self.encode_alert();
            invalid(error)
        })
    }

    /// Encrypts what it takes of `buf`, and sends as much as the transport takes; the rest of the
    /// records is kept, and nothing more is taken before they are gone.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while earlier records wait, or the handshake lasts.
    pub(crate) fn write(&mut self, io: &mut impl Write, buf: &[u8]) -> io::Result<usize> {
        if !mem::take(&mut self.held) {
            self.flush(io)?;
        }
        if self.handshaking {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.finished || self.failed.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let data = &buf[..buf.len().min(MAX_WRITE)];
        let mut records = 0;
        self.process_app(App::Data(data, &mut records))?;
        if records == 0 && !data.is_empty() {
            return Err(io::Error::other("the TLS keys are used up"));
        }
        match self.flush(io) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(data.len()),
        }
    }

    /// Sends the records that wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when some are left.
    pub(crate) fn flush(&mut self, io: &mut impl Write) -> io::Result<()> {
        while self.outgoing.is_pending() && !self.held {
            match retry(|| io.write(self.outgoing.pending()))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.outgoing.advance(count),
            }
        }
        Ok(())
    }

    /// Says that no more comes (RFC 8446, 6.1): queues close_notify, once, and sends what waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when something is left; call again.
    pub(crate) fn finish(&mut self, io: &mut impl Write) -> io::Result<()> {
        if !self.finished && !self.handshaking && self.failed.is_none() {
            self.finished = true;
            self.held = false;
            self.process_app(App::CloseNotify)?;
        }
        self.flush(io)
    }

    /// Lets go of buffers that are not in use; for a connection that will be idle.
    pub(crate) fn release(&mut self) {
        if !self.outgoing.is_pending() {
            self.outgoing = Outgoing::default();
        }
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.incoming.capacity() + self.plain.capacity() + self.outgoing.held()
    }
}

/// What the session has for the client.
enum App<'a> {
    /// Plaintext, and where to note the size of its records.
    Data(&'a [u8], &'a mut usize),
    CloseNotify,
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
