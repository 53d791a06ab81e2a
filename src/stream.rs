//! A connection's byte stream, as the control and the data channel use it: plain TCP, or TLS.
//!
//! All calls are non-blocking and go through mio, which keeps track of readiness on every backend.
//! Events are edges: read and write until `WouldBlock`, then wait.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use ftpdlib_reactor::{Channel, Context, Interest, Ready, StreamOptions, TcpStream};
use socket2::{SockRef, TcpKeepalive};

use crate::auth::ClientCertificate;
use crate::sys::retry::retry;
#[cfg(unix)]
use crate::sys::splice::Pipe;
use crate::tls::{MAX_WRITE, Tunnel, TunnelWants};

/// Reads at most of bytes that nobody wants.
const MAX_DISCARDS: u32 = 4;
/// What a listening socket for control connections is to give them. Urgent data stays in the stream
/// (RFC 959, 3.2.3: ABOR comes with a Telnet Synch).
pub(crate) fn control_options(tcp_no_delay: bool) -> StreamOptions {
    StreamOptions {
        no_delay: tcp_no_delay,
        urgent_inline: true,
    }
}

/// A connection. It is registered with the event loop when it first has to wait.
pub(crate) struct Stream {
    socket: TcpStream,
    /// What the event loop watches for, once it does.
    watched: Option<Wants>,
    /// The last read got less than there was room for.
    short: bool,
    /// The peer's end has come, behind all that he sent, and no urgent data is in between.
    complete: bool,
    tunnel: Option<Box<Tunnel>>,
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// What the event loop is to watch for: what the session waits for, and what TLS waits for below
/// it.
fn interest(session: Wants, tunnel: Option<TunnelWants>) -> Wants {
    match tunnel {
        None => session,
        // Whoever waits, waits for the handshake.
        Some(TunnelWants {
            handshake: true,
            unsent,
        }) => Wants {
            read: true,
            write: unsent,
        },
        Some(TunnelWants {
            handshake: false,
            unsent,
        }) => Wants {
            read: session.read,
            write: session.write || unsent,
        },
    }
}

impl Stream {
    pub(crate) fn new(socket: TcpStream) -> Stream {
        Stream {
            socket,
            watched: None,
            short: false,
            complete: false,
            tunnel: None,
        }
    }

    /// For a socket that the event loop watches already, for it to become connected.
    pub(crate) fn connected(socket: TcpStream) -> Stream {
        let watched = Some(Wants {
            read: false,
            write: true,
        });
        Stream {
            watched,
            ..Stream::new(socket)
        }
    }

    /// Lets no bytes wait for others to share a packet with, for a connection on which those may be
    /// long in coming.
    pub(crate) fn set_no_delay(&self) {
        // A connection that died already says so at its first read or write.
        let _ = self.socket.set_nodelay(true);
    }

    /// Has the system send a probe after a minute of silence, and then every minute.
    pub(crate) fn keep_alive(&self) -> io::Result<()> {
        const MINUTE: Duration = Duration::from_secs(60);
        let often = TcpKeepalive::new().with_time(MINUTE).with_interval(MINUTE);
        SockRef::from(&self.socket).set_tcp_keepalive(&often)
    }

    /// From here on everything is TLS; the client begins the handshake.
    pub(crate) fn secure(&mut self, tunnel: Tunnel) {
        self.tunnel = Some(Box::new(tunnel));
    }

    pub(crate) fn is_secured(&self) -> bool {
        self.tunnel.is_some()
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        let wants = self.tunnel.as_ref().map(|tunnel| tunnel.wants());
        wants.is_some_and(|wants| wants.handshake)
    }

    /// Carries a TLS handshake on; true when there is none to wait for.
    ///
    /// # Errors
    ///
    /// When it failed, or the connection.
    pub(crate) fn handshake(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.handshake(&mut self.socket, scratch),
            None => Ok(true),
        }
    }

    /// Whether TLS resumed an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tunnel
            .as_ref()
            .is_some_and(|tunnel| tunnel.is_resumed())
    }

    pub(crate) fn client_certificate(&self) -> Option<ClientCertificate> {
        self.tunnel.as_ref()?.client_certificate()
    }

    /// TLS version and cipher suite, for the log.
    pub(crate) fn describe(&self) -> String {
        self.tunnel
            .as_ref()
            .map_or_else(|| "clear".to_owned(), |tunnel| tunnel.describe())
    }

    /// Asks the event loop for what the stream wants. Registering reports what is ready already,
    /// so nothing that came before is missed.
    pub(crate) fn wait_for(
        &mut self,
        cx: &mut Context<'_>,
        channel: Channel,
        wants: Wants,
    ) -> io::Result<()> {
        let wants = interest(wants, self.tunnel.as_ref().map(|tunnel| tunnel.wants()));
        if self.watched == Some(wants) {
            return Ok(());
        }
        let interest = match wants {
            Wants {
                read: true,
                write: true,
            } => Interest::READABLE | Interest::WRITABLE,
            Wants {
                read: false,
                write: true,
            } => Interest::WRITABLE,
            Wants { .. } => Interest::READABLE,
        };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = match Ready::SHORT_READ_EMPTIES {
            // A read stops there.
            true => interest | Interest::PRIORITY,
            false => interest,
        };
        match self.watched.replace(wants) {
            Some(_) => cx.reregister(&mut self.socket, channel, interest),
            None => cx.register(&mut self.socket, channel, interest),
        }
    }

    /// Reads to the front of `scratch`, `max` bytes at most, or as many whole TLS records as hold
    /// them; TLS uses the rest of it to work in.
    ///
    /// `Ok(0)` is the client's end: with TLS its close_notify, without which the end is an error
    /// (`UnexpectedEof`). `Interrupted` asks to come again in another turn.
    pub(crate) fn read(&mut self, scratch: &mut [u8], max: usize) -> io::Result<usize> {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.read(&mut self.socket, scratch, max),
            None => {
                let count = retry(|| self.socket.read(&mut scratch[..max]))?;
                self.short = count < max;
                Ok(count)
            }
        }
    }

    /// Whether the last [`read`](Stream::read), which gave something, has emptied the stream; then an
    /// event tells of what comes next, but for what is said at [`Ready::SHORT_READ_EMPTIES`].
    pub(crate) fn is_emptied(&self) -> bool {
        Ready::SHORT_READ_EMPTIES
            && match &self.tunnel {
                Some(tunnel) => tunnel.is_emptied(),
                None => self.short,
            }
    }

    /// The event loop says so much of it.
    pub(crate) fn heard(&mut self, ready: Ready) {
        // What comes by itself is no news.
        if !ready.is_again() && !ready.is_woken() {
            // A reset closes, too.
            self.complete = ready.is_read_closed() && !ready.is_urgent() && !ready.is_error();
        }
    }

    /// Whether the last [`read`](Stream::read), which gave something, gave the last of it: the end was
    /// [`heard`](Stream::heard) of before. False where only reading tells.
    pub(crate) fn is_at_end(&self) -> bool {
        Ready::SHORT_READ_EMPTIES && self.tunnel.is_none() && self.complete && self.short
    }

    /// Work that reading was since this was last asked, in bytes, where it is more than the bytes
    /// that came of it tell.
    pub(crate) fn take_work(&mut self) -> usize {
        self.tunnel.as_mut().map_or(0, |tunnel| tunnel.take_work())
    }

    /// Takes what can be taken now. With TLS the last of it may wait for [`flush`](Stream::flush).
    pub(crate) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.write(&mut self.socket, buf),
            None => retry(|| self.socket.write(buf)),
        }
    }

    /// Like [`write`](Stream::write), of the last bytes before the connection is closed: where the
    /// system can, they leave in one packet with its end.
    pub(crate) fn write_last(&mut self, buf: &[u8]) -> io::Result<usize> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if !self.is_secured() {
            let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
            let socket = SockRef::from(&self.socket);
            let send = || retry(|| socket.send_with_flags(buf, flags));
            return self.socket.try_io(send);
        }
        self.write(buf)
    }

    /// Sends what was taken and is not sent yet; `WouldBlock` when some is left.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.flush(&mut self.socket),
            None => Ok(()),
        }
    }

    /// Bytes that were taken and are not sent yet.
    pub(crate) fn unsent(&self) -> usize {
        self.tunnel.as_ref().map_or(0, |tunnel| tunnel.unsent())
    }

    /// Bytes that the system has taken and the peer has not, where the system tells.
    pub(crate) fn in_flight(&self) -> Option<usize> {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            crate::sys::unsent::unsent(self.socket.as_fd())
        }
        #[cfg(not(unix))]
        None
    }

    /// How much [`write`](Stream::write) takes at a time.
    pub(crate) fn most_to_write(&self) -> usize {
        if self.is_secured() {
            MAX_WRITE
        } else {
            usize::MAX
        }
    }

    /// Sends from a file without a copy through this process.
    #[cfg(unix)]
    pub(crate) fn send_file(
        &mut self,
        file: std::os::fd::BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        use std::os::fd::AsFd;
        if self.is_secured() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.socket
            .try_io(|| crate::sys::sendfile::sendfile(self.socket.as_fd(), file, offset, count))
    }

    /// Receives into a pipe without a copy through this process; see [`Pipe::fill`].
    #[cfg(unix)]
    pub(crate) fn receive_into(&mut self, pipe: &mut Pipe, max: usize) -> io::Result<usize> {
        use std::os::fd::AsFd;
        if self.is_secured() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.socket.try_io(|| pipe.fill(self.socket.as_fd(), max))
    }

    /// Answers the client's close_notify with ours, as far as the socket takes it at once.
    pub(crate) fn answer_end(&mut self) {
        if let Some(tunnel) = &mut self.tunnel {
            // A client that is gone needs none.
            let _ = tunnel.finish(&mut self.socket);
        }
    }

    /// Sends TLS's own end, if there is TLS: what has to come before closing.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when TLS has something left to send; call again.
    pub(crate) fn send_end(&mut self) -> io::Result<()> {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.finish(&mut self.socket),
            None => Ok(()),
        }
    }

    /// Tells the peer that no more comes, when all is sent, on a connection that stays open.
    ///
    /// # Errors
    ///
    /// As [`send_end`](Stream::send_end).
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.send_end()?;
        // An error means that the peer is gone, which closing finds out as well.
        let _ = self.socket.shutdown(Shutdown::Write);
        Ok(())
    }

    /// Takes what has come out of the socket: a close with unread bytes would reset the connection,
    /// and lose what the peer has not taken yet.
    pub(crate) fn discard(&mut self, scratch: &mut [u8]) {
        for _ in 0..MAX_DISCARDS {
            match retry(|| self.socket.read(scratch)) {
                Ok(count) if count > 0 => {}
                _ => break,
            }
        }
    }

    /// Lets go of buffers, for a connection that will be idle.
    pub(crate) fn release(&mut self) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_waits_for_is_watched_too() {
        let wants = |read, write| Wants { read, write };
        let tunnel = |handshake, unsent| Some(TunnelWants { handshake, unsent });
        for session in [wants(true, false), wants(false, true), wants(true, true)] {
            assert_eq!(interest(session, None), session);
            assert_eq!(interest(session, tunnel(false, false)), session);
            // A client that has to speak first is not asked whether it would listen.
            assert_eq!(interest(session, tunnel(true, false)), wants(true, false));
            assert_eq!(interest(session, tunnel(true, true)), wants(true, true));
        }
        // An answer to a key update waits while a file is received.
        assert_eq!(
            interest(wants(true, false), tunnel(false, true)),
            wants(true, true)
        );
    }
}
