//! A connection's byte stream, as the control and the data channel use it.
//!
//! Both read and write through this type, so that another kind of stream changes nothing above it.
//! All calls are non-blocking and go through mio, which keeps track of readiness on every backend.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use ftpdlib_reactor::{Channel, Context, Interest, TcpStream};
use socket2::SockRef;

/// Reads at most of bytes that nobody wants.
const MAX_DISCARDS: u32 = 16;

/// A connection. It is registered with the event loop when it first has to wait.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    /// What the event loop watches for, once it does.
    watched: Option<Wants>,
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, tcp_no_delay: bool) -> Stream {
        // A connection that died already says so at its first read or write.
        let _ = socket.set_nodelay(tcp_no_delay);
        Stream {
            socket,
            watched: None,
        }
    }

    /// Urgent data stays in the stream (RFC 959, 3.2.3: ABOR comes with a Telnet Synch).
    pub(crate) fn keep_urgent_data_inline(&self) -> io::Result<()> {
        SockRef::from(&self.socket).set_out_of_band_inline(true)
    }

    /// Asks the event loop for what the stream wants. Registering reports what is ready already,
    /// so nothing that came before is missed.
    pub(crate) fn wait_for(
        &mut self,
        cx: &mut Context<'_>,
        channel: Channel,
        wants: Wants,
    ) -> io::Result<()> {
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
        match self.watched.replace(wants) {
            Some(_) => cx.reregister(&mut self.socket, channel, interest),
            None => cx.register(&mut self.socket, channel, interest),
        }
    }

    /// For a socket that the event loop watches already, for it to become connected.
    pub(crate) fn connected(socket: TcpStream, tcp_no_delay: bool) -> Stream {
        let watched = Some(Wants {
            read: false,
            write: true,
        });
        Stream {
            watched,
            ..Stream::new(socket, tcp_no_delay)
        }
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        retry(|| self.socket.read(buf))
    }

    pub(crate) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        retry(|| self.socket.write(buf))
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
        self.socket
            .try_io(|| crate::sys::sendfile::sendfile(self.socket.as_fd(), file, offset, count))
    }

    /// Takes what has come out of the socket: a close with unread bytes would reset the connection,
    /// and lose what the peer has not taken yet.
    pub(crate) fn discard(&mut self, scratch: &mut [u8]) {
        for _ in 0..MAX_DISCARDS {
            match self.read(scratch) {
                Ok(count) if count > 0 => {}
                _ => break,
            }
        }
    }

    /// Tells the peer that no more comes.
    pub(crate) fn finish(&mut self) {
        // An error means that the peer is gone, which closing finds out as well.
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

fn retry(mut io: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match io() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
