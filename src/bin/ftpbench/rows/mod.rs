//! What is measured: each row prepares its files over FTP, runs its work several times, checks what
//! came of it and clears up.

mod commands;
pub(crate) mod many;
mod transfers;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Access;
use crate::content::Content;
use crate::figures::{Sample, Unit};
use crate::options::Plan;
use crate::process::Process;

/// How long a server may still be busy with a run that is over for the client.
const AFTERWARDS: Duration = Duration::from_millis(500);
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

/// The rows in their order.
pub(crate) const ROWS: [Kind; 15] = [
    transfers::STOR,
    transfers::RETR,
    transfers::SMALL_STOR,
    transfers::SMALL_RETR,
    commands::LOGIN,
    commands::NOOP,
    commands::PIPELINE,
    commands::LIST,
    commands::MLSD,
    many::LOGINS,
    many::IDLE_STOR,
    many::IDLE_RETR,
    many::RETRS,
    many::STORS,
    many::QUITS,
];

/// The rows that are measured over TLS too, in a comparison.
pub(crate) const TLS_ROWS: [Kind; 3] = [transfers::STOR, transfers::RETR, commands::LOGIN];

/// The rows that are measured beside idle clients, of which nothing should be noticed.
pub(crate) const IDLE_ROWS: [Kind; 2] = [transfers::RETR, commands::NOOP];

/// Does something as often as asked, but begins nothing more when a run has lasted long enough: some
/// servers wait a tenth of a second at each login. Tells how often it was done.
fn repeat(times: u64, mut step: impl FnMut() -> io::Result<()>) -> io::Result<u64> {
    let start = Instant::now();
    let mut done = 0;
    while done < times && (done == 0 || start.elapsed() < LONGEST) {
        step()?;
        done += 1;
    }
    Ok(done)
}

/// Measures one run, and restores.
pub(crate) fn sample(
    process: Option<&Process>,
    work: &mut dyn Work,
) -> io::Result<(Sample, Option<String>)> {
    let own = Process::find(std::process::id())?;
    let before = process.and_then(Process::cpu_time);
    let own_before = own.cpu_time_alone();
    let start = Instant::now();
    let done = work.run()?;
    let wall = start.elapsed();
    let client = own_before.and_then(|before| Some(own.cpu_time_alone()?.since(&before)));
    let cpu = before.and_then(|before| quiet(process?, &before));
    work.restore()?;
    let sample = Sample {
        amount: done.amount,
        wall,
        cpu,
        client,
        unevenness: done.unevenness,
    };
    Ok((sample, done.note))
}

/// The CPU time since `before` when the server has come to rest: it has to end processes, say, when
/// its clients have gone.
fn quiet(process: &Process, before: &crate::process::CpuTime) -> Option<Duration> {
    let deadline = Instant::now() + AFTERWARDS;
    let mut used = process.cpu_time()?.since(before);
    loop {
        thread::sleep(Duration::from_millis(4));
        let now = process.cpu_time()?.since(before);
        if now.saturating_sub(used) < Duration::from_micros(20) || Instant::now() > deadline {
            return Some(now);
        }
        used = now;
    }
}
