//! An echo server: what a client sends comes back to it.
//!
//! `cargo run -p ftpdlib-reactor --example echo -- 127.0.0.1:7007`, and then `nc 127.0.0.1 7007`.
//!
//! It shows what every dispatcher has to do: work until `WouldBlock` or until its budget is spent,
//! hold back a client that does not read, and hang up on one that is silent.

use ftpdlib_reactor::{
    Acceptor, Channel, Context, Dispatcher, Interest, ListenOptions, Listener, Reactor, Ready,
    TcpStream, TimerId,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

const CLIENT: Channel = Channel::new(0);
/// Reads or writes in one turn; then others have theirs.
const BUDGET: usize = 16;
/// After so long without a byte a client is closed.
const IDLE: Duration = Duration::from_secs(60);

pub(crate) struct Echo {
    stream: TcpStream,
    /// What was read but could not be written yet. No more is read meanwhile.
    unsent: Vec<u8>,
    idle: Option<TimerId>,
}

/// Why the work stopped.
enum Stop {
    WouldBlock,
    Budget,
    End,
}

impl Echo {
    pub(crate) fn new(stream: TcpStream) -> Echo {
        Echo {
            stream,
            unsent: Vec::new(),
            idle: None,
        }
    }

    fn work(&mut self, cx: &mut Context<'_>) -> io::Result<Stop> {
        for _ in 0..BUDGET {
            let done = if self.unsent.is_empty() {
                self.read(cx.scratch())
            } else {
                self.write()
            };
            match done {
                Ok(0) => return Ok(Stop::End),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Stop::WouldBlock),
                Err(error) => return Err(error),
            }
        }
        Ok(Stop::Budget)
    }

    /// Reads into the buffer that all share; only what cannot be written at once is kept.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        let sent = match self.stream.write(&buffer[..n]) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.unsent.extend_from_slice(&buffer[sent..n]);
        Ok(n)
    }

    fn write(&mut self) -> io::Result<usize> {
        let n = self.stream.write(&self.unsent)?;
        self.unsent.drain(..n);
        if self.unsent.is_empty() {
            // An idle client holds no memory.
            self.unsent = Vec::new();
        }
        Ok(n)
    }
}

impl Dispatcher for Echo {
    fn start(&mut self, cx: &mut Context<'_>) {
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = cx.register(&mut self.stream, CLIENT, both) {
            eprintln!("a client cannot be served: {error}");
            return cx.close();
        }
        self.idle = Some(cx.call_later(IDLE, 0));
    }

    fn ready(&mut self, cx: &mut Context<'_>, _: Channel, ready: Ready) {
        // While something is to be sent, only a writable socket is of interest; else only a
        // readable one.
        let able = if self.unsent.is_empty() {
            ready.is_readable()
        } else {
            ready.is_writable()
        };
        if !able {
            return;
        }
        if let Some(timer) = self.idle {
            cx.reset(timer, IDLE);
        }
        match self.work(cx) {
            Ok(Stop::WouldBlock) => {}
            Ok(Stop::Budget) => cx.again(CLIENT),
            Ok(Stop::End) => cx.close(),
            Err(error) => {
                eprintln!("a client is lost: {error}");
                cx.close();
            }
        }
    }

    fn timeout(&mut self, cx: &mut Context<'_>, _: TimerId, _: usize) {
        cx.close();
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:7007");
    let address: SocketAddr = address
        .parse()
        .map_err(|error| io::Error::other(format!("{address}: {error}")))?;

    let listener = Listener::bind(address, ListenOptions::default())?;
    eprintln!("echoing on {}", listener.local_addr()?);
    let mut reactor = Reactor::new()?;
    reactor.spawn(Box::new(Acceptor::new(listener, |cx, stream, peer| {
        eprintln!("{peer} is here, among {} others", cx.len() - 1);
        cx.spawn(Box::new(Echo::new(stream)));
    })));
    reactor.run()
}
