//! The control channel: bytes in to lines, replies out to bytes.
//!
//! It reads only when the interpreter can take a line and the client takes its replies, and it
//! holds no buffer while neither a line nor a reply is under way.

use std::io;
use std::mem;

use ftpdlib_reactor::{Context, Ready};
use zeroize::Zeroize;

use super::slot::CONTROL;
use crate::proto::command::{self, CommandLine};
use crate::proto::encoding::Encoding;
use crate::proto::line::{self, LineSplitter};
use crate::proto::reply::Reply;
use crate::stream::{Stream, Wants};
use crate::tls::Tunnel;

/// Unsent reply bytes over which no further line is taken.
const MAX_UNSENT: usize = 16 * 1024;
/// Bytes read at a time; they are split into lines before more are read.
const READ: usize = 8 * 1024;
/// Room for the replies of a turn, most often.
const REPLIES: usize = 512;
/// Where TLS opens the records of commands, the scratch buffer holds them a second time.
const TLS_SCRATCH: usize = 48 * 1024;
/// How a TLS handshake begins: the type of its record, and the version's first byte.
const CLIENT_HELLO: [u8; 2] = [22, 3];
/// Reads in a turn, then others have theirs: what comes need not hold a line end.
const READS_PER_TURN: u32 = 4;

/// What the client sent.
pub(crate) type Line = line::Line<CommandLine>;

pub(crate) struct Control {
    stream: Stream,
    lines: LineSplitter,
    /// A line that was looked at before its time, as few are.
    ahead: Option<Box<Line>>,
    out: Vec<u8>,
    /// Bytes of `out` that are sent.
    sent: usize,
    /// The socket may have more to read than was read.
    readable: bool,
    /// Something may be behind what a read gives, though that is less than there was room for.
    unsure: bool,
    /// Reads that are left in this turn.
    reads: u32,
    at_end: bool,
    wants_write: bool,
    /// Nothing is said before TLS: what there is to say waits for it.
    mute: bool,
}

impl Control {
    /// `mute` until it is [secured](Control::secure), if nothing may go in clear.
    pub(crate) fn new(stream: Stream, mute: bool) -> Control {
        Control {
            stream,
            lines: LineSplitter::new(),
            ahead: None,
            out: Vec::new(),
            sent: 0,
            readable: false,
            unsure: false,
            reads: 0,
            at_end: false,
            wants_write: false,
            mute,
        }
    }

    pub(crate) fn register(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.stream.wait_for(cx, CONTROL, self.wants())
    }

    fn wants(&self) -> Wants {
        Wants {
            read: true,
            write: self.wants_write,
        }
    }

    /// The event loop says that there may be something to read.
    pub(crate) fn set_readable(&mut self, ready: Ready) {
        self.readable = true;
        // An end that was announced once is not announced again, and reads stop at urgent data.
        self.unsure =
            ready.is_read_closed() || ready.is_urgent() || ready.is_again() || ready.is_woken();
    }

    /// A turn of the loop begins for this client.
    pub(crate) fn begin_turn(&mut self) {
        self.reads = READS_PER_TURN;
    }

    /// Whether reading stopped for the sake of others.
    pub(crate) fn is_out_of_turn(&self) -> bool {
        self.readable && self.reads == 0
    }

    /// The next line, reading on as long as there is something and the turn lasts; `None` when
    /// there is nothing now.
    pub(crate) fn next_line(&mut self, scratch: &mut [u8]) -> io::Result<Option<Line>> {
        if let Some(line) = self.ahead.take() {
            return Ok(Some(*line));
        }
        loop {
            if let Some(line) = self.lines.next_line(command::parse) {
                return Ok(Some(line));
            }
            if !self.readable || self.at_end || self.reads == 0 {
                return Ok(None);
            }
            self.reads -= 1;
            match self.stream.read(scratch, READ) {
                Ok(0) => self.at_end = true,
                Ok(count) => {
                    // Nearly always it is one command, and the next one comes after its reply.
                    self.readable = self.unsure || !self.stream.is_emptied();
                    if let Some(line) = self.take_in(scratch, count) {
                        return Ok(Some(line));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.reads = 0,
                // Many a client just goes; what it sent before counts all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.at_end = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// The next line, which stays the next.
    pub(crate) fn peek_line(&mut self, scratch: &mut [u8]) -> io::Result<Option<&Line>> {
        self.ahead = self.next_line(scratch)?.map(Box::new);
        Ok(self.ahead.as_deref())
    }

    /// Takes the bytes that were read, gives the next line, and wipes the buffer: it is everybody's,
    /// and a password is nobody's but its owner's.
    fn take_in(&mut self, scratch: &mut [u8], count: usize) -> Option<Line> {
        let read = &scratch[..count];
        // TLS worked in the rest of it.
        let spread = self.stream.is_secured()
            && (self.lines.is_within_line()
                || read
                    .windows(4)
                    .any(|word| word.eq_ignore_ascii_case(b"PASS")));
        let line = self.lines.push_and_next(read, command::parse);
        let used = match spread {
            true => scratch.len().min(TLS_SCRATCH),
            false => count,
        };
        scratch[..used].zeroize();
        line
    }

    /// Whether the client has closed its side, and every line that it sent was taken.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at_end
    }

    pub(crate) fn push(&mut self, reply: &Reply, encoding: Encoding) {
        if self.out.capacity() == 0 {
            self.out = Vec::with_capacity(REPLIES);
        }
        reply.encode_in(encoding, &mut self.out);
    }

    pub(crate) fn push_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Whether there are replies that have not left.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Whether the client takes too long to take its replies.
    pub(crate) fn is_clogged(&self) -> bool {
        self.out.len() - self.sent > MAX_UNSENT
    }

    /// Sends what there is to send; true when nothing is left.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let sent = self.try_flush(Stream::write);
        self.flushed(cx, sent)
    }

    /// As [`flush`](Control::flush), of the last that is said: [`finish`](Control::finish) comes next,
    /// and both leave in one packet where the system can do that.
    pub(crate) fn flush_last(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let sent = self.try_flush(Stream::write_last);
        self.flushed(cx, sent)
    }

    fn flushed(&mut self, cx: &mut Context<'_>, sent: io::Result<()>) -> io::Result<bool> {
        match sent {
            Ok(()) => Ok(!self.has_unsent()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_to_write(cx),
            Err(error) => Err(error),
        }
    }

    fn try_flush(
        &mut self,
        write: impl Fn(&mut Stream, &[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        if self.mute {
            return Ok(());
        }
        while self.sent < self.out.len() {
            match write(&mut self.stream, &self.out[self.sent..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.sent += count,
            }
        }
        self.out.clear();
        self.sent = 0;
        self.stream.flush()?;
        self.stream.release();
        Ok(())
    }

    fn wait_to_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        self.wants_write = true;
        self.register(cx)?;
        Ok(false)
    }

    /// Sends what the socket takes at once, of a session that is closed.
    pub(crate) fn flush_abandoned(&mut self) {
        if self.has_unsent() && self.may_speak() {
            // Whoever does not take it, or is gone, does not get it.
            let _ = self.stream.write(&self.out[self.sent..]);
        }
    }

    /// Says that no more comes, as far as TLS has words for it, when everything is sent; true when
    /// that is done.
    pub(crate) fn send_end(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        match self.stream.send_end() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_to_write(cx),
            result => result.map(|()| true),
        }
    }

    /// Takes leave behind [`send_end`](Control::send_end). What the client sent and nobody will read
    /// is taken out of the socket, for a close with unread bytes would reset the connection and lose
    /// the last reply.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.stream.finish()?;
        self.stream.discard(cx.scratch());
        Ok(())
    }

    /// From here on the connection is TLS. What the client had sent in clear behind its AUTH is
    /// dropped, for whoever is on the way could have added it; unless it is the beginning of the
    /// handshake, which a client may send without waiting for the reply.
    pub(crate) fn secure(&mut self, mut tunnel: Tunnel) {
        let rest = mem::take(&mut self.lines).into_rest();
        if rest.starts_with(&CLIENT_HELLO) || rest == CLIENT_HELLO[..1] {
            tunnel.begin_with(rest);
        }
        self.stream.secure(tunnel);
        self.mute = false;
        self.readable = true;
        self.unsure = true;
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.stream.is_handshaking()
    }

    /// Nothing can be said in the midst of a handshake, nor before it where nothing goes in clear.
    pub(super) fn may_speak(&self) -> bool {
        !self.mute && !self.is_handshaking()
    }

    /// Carries the TLS handshake on; true when it is done.
    pub(crate) fn handshake(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let done = self.stream.handshake(cx.scratch())?;
        self.register(cx)?;
        Ok(done)
    }

    /// The memory for replies, to be lent when there are some.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The connection itself, for questions about it.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }
}
