//! A file system that is made up: as many files as a test likes, and as slow as it likes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use ftpdlib::{
    Account, AuthFailed, Authorizer, Credentials, Directory, File, FileKind, FileSystem, Metadata,
    OpenMode, Perm, VirtualPath,
};

use super::PATIENCE;

/// A gate that a test opens; whoever comes before waits.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    open: bool,
    /// How many have come.
    came: usize,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.state().open = true;
        self.0.1.notify_all();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state().open
    }

    /// Waits until it is open, or for as long as a test waits at all.
    pub(crate) fn pass(&self) {
        let mut state = self.state();
        state.came += 1;
        self.0.1.notify_all();
        self.wait_while(state, |state| !state.open);
    }

    /// Waits until so many have come to it.
    pub(crate) fn until_reached_by(&self, count: usize) {
        self.wait_while(self.state(), |state| state.came < count);
        assert!(self.state().came >= count, "nobody comes");
    }

    fn wait_while(&self, state: MutexGuard<'_, State>, waits: impl Fn(&State) -> bool) {
        let waited = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| waits(state));
        drop(waited);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("no test panics here")
    }
}

/// One directory of `count` empty files named by their numbers.
#[derive(Clone)]
pub(crate) struct MadeUp {
    pub(crate) count: usize,
    /// Names that can be read before the gate must be open.
    pub(crate) before_gate: usize,
    pub(crate) gate: Gate,
    pub(crate) slow: bool,
}

fn facts(kind: FileKind) -> Metadata {
    match kind {
        FileKind::Directory => Metadata::directory(1_000_000_000),
        _ => Metadata::file(0, 1_000_000_000),
    }
}

pub(crate) fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::PermissionDenied.into())
}

/// The part of a file system in which nothing can be changed.
macro_rules! nothing_changes {
    () => {
        fn create_dir(&self, _: &VirtualPath) -> io::Result<()> {
            refused()
        }

        fn remove_dir(&self, _: &VirtualPath) -> io::Result<()> {
            refused()
        }

        fn remove_file(&self, _: &VirtualPath) -> io::Result<()> {
            refused()
        }

        fn rename(&self, _: &VirtualPath, _: &VirtualPath) -> io::Result<()> {
            refused()
        }

        fn set_mode(&self, _: &VirtualPath, _: u32) -> io::Result<()> {
            refused()
        }

        fn set_modified(&self, _: &VirtualPath, _: i64) -> io::Result<()> {
            refused()
        }
    };
}
// Not every test program has another.
#[allow(unused_imports)]
pub(crate) use nothing_changes;

impl FileSystem for MadeUp {
    fn metadata(&self, path: &VirtualPath) -> io::Result<Metadata> {
        if self.slow {
            self.gate.pass();
        }
        let kind = if path.is_root() {
            FileKind::Directory
        } else {
            FileKind::File
        };
        Ok(facts(kind))
    }

    fn open(&self, _: &VirtualPath, mode: OpenMode) -> io::Result<Box<dyn File>> {
        if mode != OpenMode::Read {
            return refused();
        }
        Ok(Box::new(Fifty {
            left: 50,
            gate: self.slow.then(|| self.gate.clone()),
        }))
    }

    fn read_dir(&self, _: &VirtualPath) -> io::Result<Box<dyn Directory>> {
        if self.slow {
            self.gate.pass();
        }
        Ok(Box::new(Numbers {
            next: 0,
            of: self.clone(),
        }))
    }

    nothing_changes!();

    fn is_slow(&self) -> bool {
        self.slow
    }
}

struct Numbers {
    next: usize,
    of: MadeUp,
}

impl Directory for Numbers {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let end = self.of.count.min(self.next.saturating_add(max));
        if end > self.of.before_gate {
            self.of.gate.pass();
        }
        into.extend((self.next..end).map(|at| format!("{at:06}").into_bytes()));
        self.next = end;
        Ok(end < self.of.count)
    }

    fn metadata(&mut self, _: &[u8], _: bool) -> io::Result<Metadata> {
        Ok(facts(FileKind::File))
    }

    fn read_link(&mut self, _: &[u8]) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// A file of fifty bytes, one by one.
struct Fifty {
    left: u64,
    gate: Option<Gate>,
}

impl File for Fifty {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        if self.left == 0 || buf.is_empty() {
            return Ok(0);
        }
        self.left -= 1;
        buf[0] = b'x';
        Ok(1)
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        refused()
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.left = 50_u64.saturating_sub(position);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(50)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// Lets everybody in, with the made-up files.
pub(crate) struct AllMadeUp {
    pub(crate) files: MadeUp,
    /// Holds up every login until it is open.
    pub(crate) slow_login: Option<Gate>,
}

impl Authorizer for AllMadeUp {
    fn authenticate(&self, credentials: &Credentials) -> Result<Account, AuthFailed> {
        if let (Some(gate), "slow") = (&self.slow_login, &*credentials.username) {
            gate.pass();
        }
        if credentials.password.as_bytes() == b"wrong" {
            return Err(AuthFailed::new("Not that one."));
        }
        let files = Arc::new(self.files.clone());
        Ok(Account::new(&*credentials.username, files).perm(Perm::ALL))
    }

    fn is_slow(&self) -> bool {
        self.slow_login.is_some()
    }
}
