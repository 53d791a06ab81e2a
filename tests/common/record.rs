//! A handler that writes down every callback, and lets a test wait for one.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use ftpdlib::{Handler, Password, Session, Transferred};

use super::PATIENCE;

/// What the callbacks were, in words: `login user`, `received /f 10`.
///
/// In the models with worker processes callbacks run in children of the test's process, which send
/// their words home.
#[derive(Default)]
pub(crate) struct Record {
    events: Arc<Events>,
    post: Option<Post>,
}

#[derive(Default)]
struct Events {
    all: Mutex<Vec<String>>,
    added: Condvar,
}

/// The sending ends of all records that worker processes can write to.
static SENDERS: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// The way home from a worker process: lines, each in one write.
struct Post {
    home: u32,
    send: UnixStream,
    letters: Arc<Mutex<Letters>>,
}

/// What has come and is not read yet.
struct Letters {
    read: UnixStream,
    rest: Vec<u8>,
}

impl Record {
    /// One that worker processes can write to, too.
    pub(crate) fn over_processes() -> Record {
        let (read, send) = UnixStream::pair().expect("a pair of sockets");
        read.set_nonblocking(true).expect("a socket");
        SENDERS
            .lock()
            .expect("no test panics here")
            .push(send.as_raw_fd());
        let descriptor = read.as_raw_fd();
        let rest = Vec::new();
        let letters = Arc::new(Mutex::new(Letters { read, rest }));
        let (events, for_thread) = (Arc::new(Events::default()), letters.clone());
        let for_events = events.clone();
        // Lest those who write wait for a test that does not care.
        thread::spawn(move || {
            loop {
                wait_to_read(descriptor);
                if !fetch(&for_thread, &for_events) {
                    break;
                }
            }
        });
        let home = std::process::id();
        let post = Post {
            home,
            send,
            letters,
        };
        Record {
            events,
            post: Some(post),
        }
    }

    pub(crate) fn add(&self, event: impl Into<String>) {
        let event = event.into();
        if let Some(post) = self.post.as_ref().filter(|post| post.is_away()) {
            let line = format!("{}\n", event.escape_default());
            return (&post.send)
                .write_all(line.as_bytes())
                .expect("the test is there");
        }
        self.lock().push(event);
        self.events.added.notify_all();
    }

    /// All events so far.
    pub(crate) fn all(&self) -> Vec<String> {
        if let Some(post) = &self.post {
            // What was sent before the test got here is in the socket at least.
            fetch(&post.letters, &self.events);
        }
        self.lock().clone()
    }

    /// Forgets all that was written down so far.
    pub(crate) fn clear(&self) {
        self.all();
        self.lock().clear();
    }

    /// What a process needs to write to all that there are.
    pub(crate) fn descriptors() -> Vec<RawFd> {
        SENDERS.lock().expect("no test panics here").clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.events.all.lock().expect("no test panics here")
    }

    /// How often an event has come so far.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.all().iter().filter(|seen| *seen == event).count()
    }

    /// Waits until the events satisfy `enough`.
    #[track_caller]
    pub(crate) fn wait_until(&self, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.all();
            if enough(&events) {
                return events;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain; so far: {events:?}");
            let known = events.len();
            let waited = self
                .events
                .added
                .wait_timeout_while(self.lock(), left, |events| events.len() == known);
            drop(waited.expect("no test panics here"));
        }
    }

    /// Waits for one event.
    #[track_caller]
    pub(crate) fn wait_for(&self, event: &str) {
        self.wait_until(|events| events.iter().any(|seen| seen == event));
    }

    /// Waits until there are as many events as in `expected`, which must be all there are.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) {
        let events = self.wait_until(|events| events.len() >= expected.len());
        assert_eq!(events, expected);
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // Before the number is another's.
        let own = self.send.as_raw_fd();
        let mut senders = SENDERS.lock().expect("no test panics here");
        senders.retain(|&descriptor| descriptor != own);
    }
}

impl Post {
    fn is_away(&self) -> bool {
        std::process::id() != self.home
    }
}

fn wait_to_read(descriptor: RawFd) {
    let mut poll = libc::pollfd {
        fd: descriptor,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, which lives longer than the call. The number stays the socket's, for the
    // thread that calls owns it, too.
    unsafe { libc::poll(&raw mut poll, 1, -1) };
}

/// Takes what came from worker processes; false when no more can come.
fn fetch(letters: &Mutex<Letters>, events: &Events) -> bool {
    let mut letters = letters.lock().expect("no test panics here");
    let Letters { read, rest } = &mut *letters;
    let mut bytes = [0; 4096];
    let more = loop {
        match read.read(&mut bytes) {
            Ok(0) => break false,
            Ok(count) => rest.extend_from_slice(&bytes[..count]),
            Err(error) => break error.kind() == std::io::ErrorKind::WouldBlock,
        }
    };
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line: Vec<u8> = rest.drain(..=end).take(end).collect();
        let line = String::from_utf8(line).expect("escaped text");
        let mut all = events.all.lock().expect("no test panics here");
        all.push(unescape(&line));
    }
    events.added.notify_all();
    more
}

/// Undoes `escape_default`, as far as these words need it.
fn unescape(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('u') => {
                    let code: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
                    let code = u32::from_str_radix(&code, 16).expect("hexadecimal digits");
                    text.push(char::from_u32(code).expect("a character"));
                }
                Some(c) => text.push(c),
                None => {}
            },
            c => text.push(c),
        }
    }
    text
}

/// The handler of every session that writes into a [`Record`].
pub(crate) struct Recorder(pub(crate) std::sync::Arc<Record>);

impl Recorder {
    fn file(&self, what: &str, file: &Transferred) {
        self.0
            .add(format!("{what} {} {}", file.path(), file.bytes()));
    }
}

impl Handler for Recorder {
    fn on_connect(&mut self, _session: &mut Session<'_>) {
        self.0.add("connect");
    }

    fn on_disconnect(&mut self, _session: &mut Session<'_>) {
        self.0.add("disconnect");
    }

    fn on_login(&mut self, _session: &mut Session<'_>, username: &str) {
        self.0.add(format!("login {username}"));
    }

    fn on_login_failed(&mut self, _session: &mut Session<'_>, username: &str, password: &Password) {
        let password = String::from_utf8_lossy(password.as_bytes());
        self.0.add(format!("login_failed {username} {password}"));
    }

    fn on_logout(&mut self, _session: &mut Session<'_>, username: &str) {
        self.0.add(format!("logout {username}"));
    }

    fn on_file_sent(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("sent", file);
    }

    fn on_file_received(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("received", file);
    }

    fn on_incomplete_file_sent(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("incomplete_sent", file);
    }

    fn on_incomplete_file_received(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("incomplete_received", file);
    }
}
