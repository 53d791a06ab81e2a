//! Signals on Windows: what the console tells a program is told the loops as signals.
//!
//! Ctrl-C is SIGINT; Ctrl-Break, the console's end, a logoff and a shutdown are SIGTERM. The system
//! calls the handler on a thread of its own, which may wait and lock. The way to a loop is a
//! connection of this machine to itself, since a poller here knows no pipes.
#![allow(unsafe_code)]

use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

/// By their numbers in C.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// How many loops of a process can watch signals at a time.
const LOOPS: usize = 64;
/// Strangers that may come to the socket that is meant for one of ours.
const STRANGERS: usize = 16;

/// What the handler knows of a loop.
struct Target {
    id: u64,
    watched: Vec<i32>,
    writer: TcpStream,
}

struct Book {
    targets: Vec<Target>,
    next_id: u64,
    installed: bool,
}

static BOOK: Mutex<Book> = Mutex::new(Book {
    targets: Vec::new(),
    next_id: 0,
    installed: false,
});

fn book() -> MutexGuard<'static, Book> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One loop's place among those who are told.
pub(crate) struct Watch {
    id: u64,
    reader: mio::net::TcpStream,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Watch> {
        let (reader, writer) = pair()?;
        let mut book = book();
        if book.targets.len() >= LOOPS {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many loops watch signals in this process",
            ));
        }
        let id = book.next_id;
        book.next_id += 1;
        book.targets.push(Target {
            id,
            watched: Vec::new(),
            writer,
        });
        Ok(Watch {
            id,
            reader: mio::net::TcpStream::from_std(reader),
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.reader, token, Interest::READABLE)
    }

    pub(crate) fn add(&mut self, signal: i32) -> io::Result<()> {
        check(signal)?;
        let mut book = book();
        book.set(self.id, |watched| watched.push(signal));
        let installed = book.install();
        if installed.is_err() {
            book.set(self.id, |watched| watched.retain(|&other| other != signal));
        }
        installed
    }

    pub(crate) fn remove(&mut self, signal: i32) {
        let mut book = book();
        book.set(self.id, |watched| watched.retain(|&other| other != signal));
        book.uninstall_if_idle();
    }

    pub(crate) fn read(&mut self) -> Vec<i32> {
        let mut signals = Vec::new();
        let mut buffer = [0; 64];
        loop {
            match self.reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => signals.extend(buffer[..count].iter().map(|&byte| i32::from(byte))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let book = book();
        let target = book.targets.iter().find(|target| target.id == self.id);
        signals.retain(|signal| target.is_some_and(|target| target.watched.contains(signal)));
        signals
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut book = book();
        book.targets.retain(|target| target.id != self.id);
        book.uninstall_if_idle();
    }
}

impl Book {
    fn set(&mut self, id: u64, change: impl FnOnce(&mut Vec<i32>)) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.id == id) {
            change(&mut target.watched);
        }
    }

    fn install(&mut self) -> io::Result<()> {
        if !self.installed {
            set_handler(true)?;
            self.installed = true;
        }
        Ok(())
    }

    /// Nobody watches: the console's events end the program again.
    fn uninstall_if_idle(&mut self) {
        let idle = self.targets.iter().all(|target| target.watched.is_empty());
        if idle && self.installed && set_handler(false).is_ok() {
            self.installed = false;
        }
    }

    /// Tells whether any loop watches it.
    fn tell(&mut self, signal: i32) -> bool {
        let mut told = false;
        for target in &mut self.targets {
            if target.watched.contains(&signal) {
                told = true;
                // One that does not take it has enough to read.
                let _ = target.writer.write(&[signal as u8]);
            }
        }
        told
    }
}

fn set_handler(add: bool) -> io::Result<()> {
    // SAFETY: the handler is a function of this program that takes any event.
    match unsafe { SetConsoleCtrlHandler(Some(on_event), BOOL::from(add)) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

unsafe extern "system" fn on_event(event: u32) -> BOOL {
    let signal = match event {
        CTRL_C_EVENT => SIGINT,
        CTRL_BREAK_EVENT | CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT => SIGTERM,
        _ => return 0,
    };
    if !book().tell(signal) {
        return 0;
    }
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        // The process is ended when this returns, at the latest some seconds from now: that is the time
        // to end by itself.
        loop {
            std::thread::park();
        }
    }
    1
}

fn check(signal: i32) -> io::Result<()> {
    match signal {
        SIGINT | SIGTERM => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{signal} is no signal that can be watched on this system"),
        )),
    }
}

/// Two ends of a connection that nobody else has: the reader's, the writer's.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let writer = TcpStream::connect(listener.local_addr()?)?;
    for _ in 0..STRANGERS {
        let (reader, peer) = listener.accept()?;
        if peer == writer.local_addr()? {
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            writer.set_nodelay(true)?;
            return Ok((reader, writer));
        }
    }
    Err(io::Error::other(
        "others keep coming to a socket of this process's own",
    ))
}

/// There is no such signal that could end the process here.
pub(crate) fn ignore(_: i32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;

    /// What the handler does, without a console that could call it.
    #[test]
    fn a_console_s_event_reaches_the_loop_that_watches_it() {
        let mut poll = Poll::new().unwrap();
        let mut watch = Watch::new().unwrap();
        watch.register(poll.registry(), Token(7)).unwrap();
        // SAFETY: an event that it knows, and does not wait after.
        assert_eq!(unsafe { on_event(CTRL_BREAK_EVENT) }, 0);
        watch.add(SIGTERM).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { on_event(CTRL_C_EVENT) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { on_event(CTRL_BREAK_EVENT) }, 1);
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(
            events.iter().map(|event| event.token()).next(),
            Some(Token(7))
        );
        assert_eq!(watch.read(), [SIGTERM]);
        watch.remove(SIGTERM);
        // SAFETY: as above.
        assert_eq!(unsafe { on_event(CTRL_BREAK_EVENT) }, 0);
        assert!(watch.add(1).is_err());
    }
}
