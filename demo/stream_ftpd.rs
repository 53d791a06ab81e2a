//! A file system of one's own whose files come at somebody else's pace: each download of a file runs a
//! program, and sends what that prints while it prints it.
//!
//! A thread reads what the program prints and puts it into a small buffer. The server takes it from
//! there; when there is nothing yet it is told so (`WouldBlock`) and woken later, so that a download
//! that waits takes neither its loop nor one of its worker threads. A client that leaves, or sends ABOR,
//! ends the program.
//!
//! ```sh
//! cargo run --example stream_ftpd
//! curl -u user:12345 ftp://127.0.0.1:2121/
//! curl -N -u user:12345 ftp://127.0.0.1:2121/ticks    # one line a second; stop it with Ctrl-C
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, Directory, File, FileSystem, FtpServer, Metadata,
    OpenMode, VirtualPath,
};

/// What the files are called, and what they run.
const PROGRAMS: [(&str, &str); 2] = [("date", "date"), ("ticks", "while sleep 1; do date; done")];

/// Bytes that are read ahead of the client. The program waits when there are more.
const AHEAD: usize = 64 * 1024;

struct Programs;

/// The shell command behind a path.
fn program(path: &VirtualPath) -> io::Result<&'static str> {
    let name = path.file_name().unwrap_or_default();
    let found = PROGRAMS.iter().find(|(known, _)| known.as_bytes() == name);
    match found {
        Some((_, command)) if path.parent().is_some_and(|parent| parent.is_root()) => Ok(command),
        _ => Err(ErrorKind::NotFound.into()),
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(ErrorKind::ReadOnlyFilesystem.into())
}

impl FileSystem for Programs {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        if path.is_root() {
            return Ok(Metadata::directory(0));
        }
        program(path).map(|_| Metadata::file(0, 0)) // how long it will be, nobody knows
    }

    fn open(&self, path: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        match mode {
            OpenMode::Read => Ok(Box::new(Stream::start(program(path)?)?)),
            _ => read_only(),
        }
    }

    fn read_dir(&self, path: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        if path.is_root() {
            return Ok(Box::new(Names));
        }
        program(path)?;
        Err(ErrorKind::NotADirectory.into())
    }

    fn create_dir(&self, _: &VirtualPath) -> io::Result<()> {
        read_only()
    }

    fn remove_dir(&self, _: &VirtualPath) -> io::Result<()> {
        read_only()
    }

    fn remove_file(&self, _: &VirtualPath) -> io::Result<()> {
        read_only()
    }

    fn rename(&self, _: &VirtualPath, _: &VirtualPath) -> io::Result<()> {
        read_only()
    }

    fn set_mode(&self, _: &VirtualPath, _: u32) -> io::Result<()> {
        read_only()
    }

    fn set_modified(&self, _: &VirtualPath, _: i64) -> io::Result<()> {
        read_only()
    }
}

struct Names;

impl Directory for Names {
    // There are few, so all come at once.
    fn read_names(&mut self, _max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        into.extend(PROGRAMS.iter().map(|(name, _)| name.as_bytes().to_vec()));
        Ok(false)
    }

    fn metadata(&mut self, _name: &[u8], _follow: bool) -> io::Result<Metadata> {
        Ok(Metadata::file(0, 0))
    }

    fn read_link(&mut self, _name: &[u8]) -> io::Result<Vec<u8>> {
        Err(ErrorKind::InvalidInput.into()) // there are no links
    }
}

/// A program that runs, and what it has printed.
struct Stream {
    child: Child,
    buffer: Arc<Buffer>,
}

#[derive(Default)]
struct Buffer {
    state: Mutex<State>,
    /// There is room again, or nobody wants more.
    taken: Condvar,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// The program has closed its output, or it could not be read.
    end: Option<io::Result<()>>,
    abandoned: bool,
    waker: Option<Waker>,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread of one download.
    fn fill(&self, mut output: ChildStdout) {
        let mut piece = [0; 4096];
        loop {
            let read = output.read(&mut piece);
            let mut state = self.lock();
            match read {
                Ok(0) => state.end = Some(Ok(())),
                Ok(count) => state.bytes.extend(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => state.end = Some(Err(error)),
            }
            if let Some(waker) = &state.waker {
                waker.wake_by_ref();
            }
            let full = |state: &mut State| state.bytes.len() >= AHEAD && !state.abandoned;
            let state = self.taken.wait_while(state, full);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            if state.abandoned || state.end.is_some() {
                return;
            }
        }
    }
}

impl Stream {
    fn start(command: &str) -> io::Result<Stream> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        // From here on, what is dropped ends the program.
        let buffer = Arc::new(Buffer::default());
        let stream = Stream {
            child,
            buffer: Arc::clone(&buffer),
        };
        let output = output.ok_or_else(|| io::Error::other("No output"))?;
        thread::Builder::new().spawn(move || buffer.fill(output))?;
        Ok(stream)
    }
}

impl File for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.buffer.lock();
        if state.bytes.is_empty() {
            return match state.end.take() {
                None => Err(ErrorKind::WouldBlock.into()),
                Some(end) => {
                    state.end = Some(Ok(()));
                    end.map(|()| 0)
                }
            };
        }
        let count = state.bytes.read(buf)?;
        self.buffer.taken.notify_one();
        Ok(count)
    }

    fn wake_by(&mut self, waker: &Waker) {
        self.buffer.lock().waker = Some(waker.clone());
    }

    fn write_all(&mut self, _buf: &[u8]) -> io::Result<()> {
        read_only()
    }

    fn seek(&mut self, _position: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into()) // so RETR after REST is refused
    }

    fn size(&self) -> io::Result<u64> {
        Ok(u64::MAX) // not the reason to refuse it
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// The download is over, or the client has left.
impl Drop for Stream {
    fn drop(&mut self) {
        self.buffer.lock().abandoned = true;
        self.buffer.taken.notify_one();
        // It may have ended by itself; a killed one is at once to be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct OneUser;

impl Authorizer for OneUser {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        match (&*credentials.username, credentials.password.as_bytes()) {
            ("user", b"12345") => Ok(Account::new("user", Arc::new(Programs))),
            _ => Err(AuthFailed::default()),
        }
    }
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    FtpServer::builder()
        .authorizer(OneUser)
        .bind("127.0.0.1:2121")?
        .serve_forever()
}
