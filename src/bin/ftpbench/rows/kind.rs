//! What a row is: how it is called and prepared, and its work at one server.

use std::io;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crate::client::Access;
use crate::content::Content;
use crate::figures::Unit;
use crate::plan::Plan;

/// How long a run may be that can be cut short.
const LONGEST: Duration = Duration::from_millis(600);

/// All that a row needs.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) access: &'a Access,
    /// Where the served files are, on this machine.
    pub(crate) files: Option<&'a std::path::Path>,
    /// Where those of the server are that prepares this row first, in a comparison.
    pub(crate) files_of_first: Option<&'a std::path::Path>,
    pub(crate) plan: &'a Plan,
    pub(crate) content: &'a Content,
}

/// A row.
pub(crate) struct Kind {
    /// For `-b`.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    /// Whether each step waits for the other side: then client and server share a processor where
    /// one was chosen. Two would measure how long a sleeping processor takes to wake up, which
    /// in a virtual machine costs several times what a server does.
    pub(crate) by_turns: bool,
    /// How the row is called in a table.
    pub(crate) title: fn(&Plan) -> String,
    pub(crate) prepare: for<'a> fn(Bench<'a>) -> io::Result<Box<dyn Work + 'a>>,
}

/// A row's work at one server.
pub(crate) trait Work {
    /// The measured part.
    fn run(&mut self) -> io::Result<Done>;

    /// Between two runs: makes things as they were.
    fn restore(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// After the last run. What is left undone here is left at a server that may be somebody's.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run was worth.
#[derive(Default)]
pub(crate) struct Done {
    /// Bytes or other things.
    pub(crate) amount: u64,
    /// Of the clients at once, how much earlier the first was served than the last, in parts of
    /// the whole time.
    pub(crate) unevenness: Option<f64>,
    pub(crate) note: Option<String>,
}

impl Done {
    pub(crate) fn of(amount: u64) -> Done {
        Done {
            amount,
            ..Done::default()
        }
    }
}

/// Does something as often as asked, but begins nothing more when a run has lasted long enough: some
/// servers wait a tenth of a second at each login. Tells how often it was done.
pub(super) fn repeat(times: u64, mut step: impl FnMut() -> io::Result<()>) -> io::Result<u64> {
    let start = Instant::now();
    let mut done = 0;
    while done < times && (done == 0 || start.elapsed() < LONGEST) {
        step()?;
        done += 1;
    }
    Ok(done)
}

/// What a client's thread found, with the panic of one that had such.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
