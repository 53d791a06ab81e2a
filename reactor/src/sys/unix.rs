//! Signals on Unix: a handler that writes the signal's number into a socket pair of each loop that
//! watches it, whose other end that loop polls.
//!
//! The pairs are kept for the next loop when one goes, because a handler that is running in
//! another thread may be about to write into them: were they closed, their numbers could by then
//! be some client's socket.
#![allow(unsafe_code)]

use libc::c_int;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many loops of a process can watch signals at a time.
const LOOPS: usize = 64;
/// Signals are numbered from 1 to this.
const SIGNALS: usize = 64;

/// What the handler knows of a loop. It reads `watched` and `pid` before `fd`.
struct Target {
    /// Bit `n - 1` for signal `n`.
    watched: AtomicU64,
    /// The process whose loop it is: a forked child inherits the table, but not the loops.
    pid: AtomicI32,
    fd: AtomicI32,
    /// Signals that there was no room for in the pair: each is told once.
    missed: AtomicU64,
}

static TARGETS: [Target; LOOPS] = [const {
    Target {
        watched: AtomicU64::new(0),
        pid: AtomicI32::new(0),
        fd: AtomicI32::new(-1),
        missed: AtomicU64::new(0),
    }
}; LOOPS];

/// The pair of the target with the same index.
struct Pair {
    pid: i32,
    /// Here while no loop uses the pair.
    reader: Option<UnixStream>,
    /// Open for as long as the process lives.
    _writer: UnixStream,
}

/// A signal that is caught: by how many loops, and what was done about it before.
struct Caught {
    pid: i32,
    loops: usize,
    before: libc::sigaction,
}

struct Book {
    pairs: Vec<Pair>,
    caught: [Option<Caught>; SIGNALS],
}

static BOOK: Mutex<Book> = Mutex::new(Book {
    pairs: Vec::new(),
    caught: [const { None }; SIGNALS],
});

fn book() -> MutexGuard<'static, Book> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pid() -> i32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::getpid() }
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// One loop's place in the table.
pub(crate) struct Watch {
    index: usize,
    watched: u64,
    reader: Option<mio::net::UnixStream>,
    registry: Option<Registry>,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Watch> {
        let (index, mut reader) = claim(&mut book())?;
        // What came for the loop that had it before.
        drain(&mut reader, |_| {});
        TARGETS[index].missed.store(0, Ordering::SeqCst);
        Ok(Watch {
            index,
            watched: 0,
            reader: Some(mio::net::UnixStream::from_std(reader)),
            registry: None,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if let Some(reader) = &mut self.reader {
            registry.register(reader, token, Interest::READABLE)?;
            self.registry = Some(registry.try_clone()?);
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, signal: i32) -> io::Result<()> {
        check(signal)?;
        let target = &TARGETS[self.index];
        let mut book = book();
        target.watched.fetch_or(bit(signal), Ordering::SeqCst);
        if let Err(error) = catch(&mut book, signal) {
            target.watched.fetch_and(!bit(signal), Ordering::SeqCst);
            return Err(error);
        }
        self.watched |= bit(signal);
        Ok(())
    }

    pub(crate) fn remove(&mut self, signal: i32) {
        if self.watched & bit(signal) != 0 {
            self.watched &= !bit(signal);
            let mut book = book();
            TARGETS[self.index]
                .watched
                .fetch_and(!bit(signal), Ordering::SeqCst);
            let_go(&mut book, signal);
        }
    }

    pub(crate) fn read(&mut self) -> Vec<i32> {
        let mut signals = Vec::new();
        if let Some(reader) = &mut self.reader {
            drain(reader, |byte| signals.push(i32::from(byte)));
        }
        let missed = TARGETS[self.index].missed.swap(0, Ordering::SeqCst);
        let missed = (1..=SIGNALS as i32).filter(|&signal| missed & bit(signal) != 0);
        signals.extend(missed);
        signals.retain(|&signal| (1..=SIGNALS as i32).contains(&signal));
        signals.retain(|&signal| self.watched & bit(signal) != 0);
        signals
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for signal in 1..=SIGNALS as i32 {
            self.remove(signal);
        }
        let Some(mut reader) = self.reader.take() else {
            return;
        };
        if let Some(registry) = &self.registry {
            // The pair lives on, so the poller has to be told; if that fails, it dies soon anyway.
            let _ = reader.deregister(registry);
        }
        let mut book = book();
        let pair = book.pairs.get_mut(self.index);
        if let Some(pair) = pair.filter(|pair| pair.pid == pid()) {
            pair.reader = Some(UnixStream::from(OwnedFd::from(reader)));
        }
    }
}

/// Reads to the end of what is there.
fn drain(reader: &mut impl Read, mut byte: impl FnMut(u8)) {
    let mut buffer = [0; 64];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => buffer[..n].iter().for_each(|&b| byte(b)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// A pair that no loop of this process uses, or a new one.
fn claim(book: &mut Book) -> io::Result<(usize, UnixStream)> {
    let pid = pid();
    let unused = book
        .pairs
        .iter_mut()
        .enumerate()
        .filter(|(_, pair)| pair.pid == pid)
        .find_map(|(index, pair)| Some((index, pair.reader.take()?)));
    if let Some(unused) = unused {
        return Ok(unused);
    }
    // A place whose loop stayed behind in the parent process, or the next one.
    let inherited = book.pairs.iter().position(|pair| pair.pid != pid);
    let index = inherited.unwrap_or(book.pairs.len());
    let target = TARGETS.get(index).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::QuotaExceeded,
            "too many loops watch signals in this process",
        )
    })?;
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    // No handler of this process writes to this target yet: its pid is another's.
    target.watched.store(0, Ordering::SeqCst);
    target.fd.store(writer.as_raw_fd(), Ordering::SeqCst);
    target.pid.store(pid, Ordering::SeqCst);
    let pair = Pair {
        pid,
        reader: None,
        _writer: writer,
    };
    match book.pairs.get_mut(index) {
        Some(inherited) => *inherited = pair,
        None => book.pairs.push(pair),
    }
    Ok((index, reader))
}

fn check(signal: i32) -> io::Result<()> {
    // A handler that returns from a fault meets the fault again, for ever.
    const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    if !(1..=SIGNALS as i32).contains(&signal) || FAULTS.contains(&signal) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{signal} is no signal that can be watched"),
        ));
    }
    Ok(())
}

/// Sees to it that our handler gets the signal.
fn catch(book: &mut Book, signal: i32) -> io::Result<()> {
    let pid = pid();
    let current = action_of(signal)?;
    let caught = &mut book.caught[signal as usize - 1];
    let (loops, before) = match caught.take() {
        // Ours, here or inherited over a fork.
        Some(old) if is_ours(&current) => (if old.pid == pid { old.loops } else { 0 }, old.before),
        Some(old) if old.pid == pid => (old.loops, current),
        _ => (0, current),
    };
    let result = if is_ours(&current) {
        Ok(())
    } else {
        set_action(signal, &our_action())
    };
    let loops = loops + usize::from(result.is_ok());
    if loops > 0 {
        *caught = Some(Caught { pid, loops, before });
    }
    result
}

/// One loop less; after the last one the signal is as it was before, unless somebody has replaced
/// our handler since: then theirs stays.
fn let_go(book: &mut Book, signal: i32) {
    let place = &mut book.caught[signal as usize - 1];
    let Some(caught) = place.as_mut().filter(|caught| caught.pid == pid()) else {
        return;
    };
    caught.loops = caught.loops.saturating_sub(1);
    if caught.loops == 0 {
        if action_of(signal).is_ok_and(|current| is_ours(&current)) {
            // It was valid when it was read; there is nothing to be done if it is no more.
            let _ = set_action(signal, &caught.before);
        }
        *place = None;
    }
}

fn action_of(signal: i32) -> io::Result<libc::sigaction> {
    // SAFETY: a C struct of integers and (nullable) pointers may be all zeroes.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: no new action, and `action` may be written.
    if unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(action)
}

fn set_action(signal: i32, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: `action` is initialised: read from the system, or made by `action_with`.
    if unsafe { libc::sigaction(signal, action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn action_with(handler: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: as in `action_of`; all zeroes are also no flags.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the mask may be written.
    unsafe { libc::sigemptyset(&raw mut action.sa_mask) };
    action
}

fn our_action() -> libc::sigaction {
    action_with(on_signal as *const () as libc::sighandler_t)
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == on_signal as *const () as libc::sighandler_t
}

pub(crate) fn ignore(signal: i32) -> io::Result<()> {
    set_action(signal, &action_with(libc::SIG_IGN))
}

/// The handler. Only atomics, `getpid` and `write` in here, and `errno` stays as it was.
extern "C" fn on_signal(signal: c_int) {
    let errno = errno::get();
    let (Ok(byte), pid) = (u8::try_from(signal), pid()) else {
        return;
    };
    for target in &TARGETS {
        let watched = target.watched.load(Ordering::SeqCst);
        if (1..=SIGNALS as i32).contains(&signal)
            && watched & bit(signal) != 0
            && target.pid.load(Ordering::SeqCst) == pid
        {
            let fd = target.fd.load(Ordering::SeqCst);
            // SAFETY: one readable byte; the descriptor is never closed in this process.
            if unsafe { libc::write(fd, (&raw const byte).cast(), 1) } != 1 {
                target.missed.fetch_or(bit(signal), Ordering::SeqCst);
                let wake = 0_u8;
                // SAFETY: as above. If the pair is full still, the loop is about to wake anyway.
                unsafe { libc::write(fd, (&raw const wake).cast(), 1) };
            }
        }
    }
    errno::set(errno);
}

/// The calling thread's `errno`, whose place every C library names differently.
mod errno {
    #[cfg(any(target_os = "illumos", target_os = "solaris"))]
    use libc::___errno as location;
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as location;
    #[cfg(any(
        target_os = "linux",
        target_os = "emscripten",
        target_os = "dragonfly",
        target_os = "hurd",
        target_os = "redox"
    ))]
    use libc::__errno_location as location;
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    use libc::__error as location;
    #[cfg(target_os = "haiku")]
    use libc::_errnop as location;

    pub(super) fn get() -> libc::c_int {
        // SAFETY: it points to this thread's `errno`.
        unsafe { *location() }
    }

    pub(super) fn set(errno: libc::c_int) {
        // SAFETY: as in `get`.
        unsafe { *location() = errno };
    }
}
