//! What is measured: each row prepares its files over FTP, runs its work several times, checks what
//! came of it and clears up.

mod commands;
pub(crate) mod kind;
pub(crate) mod many;
mod transfers;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use self::kind::{Kind, Work};
use crate::figures::Sample;
use crate::process::Process;

/// How long a server may still be busy with a run that is over for the client.
const AFTERWARDS: Duration = Duration::from_millis(500);

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
