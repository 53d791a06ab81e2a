//! What is measured: each row is a function that prepares its files over FTP, runs its work
//! several times, checks what came of it and clears up.

use std::io;
use std::time::Instant;

use crate::client::Client;
use crate::options::Plan;
use crate::process::Process;
use crate::server::Server;
use crate::table::{Row, Sample, Unit, number, size};

/// Commands that leave in one segment.
const PIPELINED: usize = 50;
const SMALL_FILE: u64 = 1 << 10;
/// What a listing lists.
const ENTRIES: u64 = 10_000;
/// Of the client's reads and writes of data.
const BUFFER: usize = 1 << 20;

const FILE: &str = "ftpbench.data";
const FOLDER: &str = "ftpbench.list";

/// All that a row needs.
pub(crate) struct Bench<'a> {
    pub(crate) server: &'a Server,
    pub(crate) plan: &'a Plan,
    /// Stands behind each title.
    pub(crate) among: &'a str,
}

/// A row's name for `-b`, and its work.
type Named = (&'static str, fn(&Bench<'_>) -> io::Result<Row>);

/// The rows in their order.
pub(crate) const ROWS: [Named; 7] = [
    ("retr", retr),
    ("stor", stor),
    ("login", login),
    ("noop", noop),
    ("pipeline", pipeline),
    ("small", small),
    ("list", list),
];

/// The rows that are measured again beside idle clients.
pub(crate) const ROWS_AMONG_IDLE: [Named; 2] = [("noop", noop), ("retr", retr)];

impl<'a> Bench<'a> {
    pub(crate) fn new(server: &'a Server, plan: &'a Plan) -> Bench<'a> {
        let among = "";
        Bench {
            server,
            plan,
            among,
        }
    }

    /// Does `work`, which is worth `amount`, as often as planned, and once before to warm up.
    fn runs(
        &self,
        amount: u64,
        mut work: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Vec<Sample>> {
        let process = self.server.process;
        work()?;
        (0..self.plan.runs)
            .map(|_| sample(process, amount, &mut work))
            .collect()
    }

    fn row(&self, title: String, unit: Unit, samples: Vec<Sample>) -> Row {
        let title = title + self.among;
        Row {
            title,
            unit,
            samples,
            note: String::new(),
        }
    }
}

/// Measures one run of `work`.
pub(crate) fn sample(
    process: Option<Process>,
    amount: u64,
    work: impl FnOnce() -> io::Result<()>,
) -> io::Result<Sample> {
    let cpu_time = || process.and_then(Process::cpu_time);
    let before = cpu_time();
    let start = Instant::now();
    work()?;
    let wall = start.elapsed();
    let cpu = cpu_time()
        .zip(before)
        .map(|(after, before)| after.since(&before));
    Ok(Sample { amount, wall, cpu })
}

fn retr(bench: &Bench<'_>) -> io::Result<Row> {
    let length = bench.plan.size;
    let mut client = with_file(bench, length)?;
    let mut buffer = content();
    let samples = bench.runs(length, || retrieve(&mut client, length, &mut buffer))?;
    remove_file(&mut client)?;
    Ok(bench.row(format!("RETR, {} file", size(length)), Unit::Bytes, samples))
}

fn stor(bench: &Bench<'_>) -> io::Result<Row> {
    let length = bench.plan.size;
    let mut client = bench.server.login()?;
    client.expect("TYPE I", 200)?;
    let buffer = content();
    let mut samples = Vec::new();
    for _ in 0..bench.plan.runs {
        let process = bench.server.process;
        samples.push(sample(process, length, || {
            store(&mut client, length, &buffer)
        })?);
        // Not measured, so that no run pays for freeing what the one before has written.
        remove_file(&mut client)?;
    }
    Ok(bench.row(format!("STOR, {} file", size(length)), Unit::Bytes, samples))
}

fn login(bench: &Bench<'_>) -> io::Result<Row> {
    let count = bench.plan.logins;
    let samples = bench.runs(count, || {
        (0..count).try_for_each(|_| bench.server.login()?.expect("QUIT", 221))
    })?;
    let mut row = bench.row("connect, login, QUIT".to_owned(), Unit::Each, samples);
    if let Some(logins) = row.per_cpu_second() {
        row.note = format!("{} per second of server CPU", number(logins));
    }
    Ok(row)
}

fn noop(bench: &Bench<'_>) -> io::Result<Row> {
    let count = bench.plan.noops;
    let mut client = bench.server.login()?;
    let samples = bench.runs(count, || {
        (0..count).try_for_each(|_| client.expect("NOOP", 200))
    })?;
    Ok(bench.row("NOOP, one by one".to_owned(), Unit::Each, samples))
}

fn pipeline(bench: &Bench<'_>) -> io::Result<Row> {
    let segments = bench.plan.segments;
    let lines = "NOOP\r\n".repeat(PIPELINED);
    let mut client = bench.server.login()?;
    let (mut runs, mut reads, mut most) = (0, 0, 0);
    let samples = bench.runs(segments * PIPELINED as u64, || {
        runs += 1;
        for _ in 0..segments {
            let taken = client.pipeline(&lines, PIPELINED, 200)?;
            reads += taken;
            most = most.max(taken);
        }
        Ok(())
    })?;
    let mean = reads as f64 / (segments * runs) as f64;
    let mut row = bench.row(
        format!("NOOP, {PIPELINED} in a segment"),
        Unit::Each,
        samples,
    );
    row.note = format!("{PIPELINED} replies in {mean:.2} reads (at most {most})");
    Ok(row)
}

fn small(bench: &Bench<'_>) -> io::Result<Row> {
    let count = bench.plan.files;
    let mut client = with_file(bench, SMALL_FILE)?;
    let mut buffer = content();
    let samples = bench.runs(count, || {
        (0..count).try_for_each(|_| retrieve(&mut client, SMALL_FILE, &mut buffer))
    })?;
    remove_file(&mut client)?;
    Ok(bench.row(
        format!("RETR, {} file", size(SMALL_FILE)),
        Unit::Each,
        samples,
    ))
}

fn list(bench: &Bench<'_>) -> io::Result<Row> {
    let count = bench.plan.lists;
    let mut client = bench.server.login()?;
    client.expect(&format!("MKD {FOLDER}"), 257)?;
    client.expect(&format!("CWD {FOLDER}"), 250)?;
    // Folders, because as many uploads would use up the machine's ports for a minute.
    for_entries(&mut client, "MKD", 257)?;
    let mut buffer = content();
    let samples = bench.runs(count, || {
        for _ in 0..count {
            let lines = client.receive_lines("LIST", &mut buffer)?;
            same("listed entries", lines, ENTRIES)?;
        }
        Ok(())
    })?;
    for_entries(&mut client, "RMD", 250)?;
    client.expect("CWD ..", 250)?;
    client.expect(&format!("RMD {FOLDER}"), 250)?;
    let title = format!("LIST, {} entries", number(ENTRIES as f64));
    Ok(bench.row(title, Unit::Each, samples))
}

/// Gives a command for each entry of the listed folder.
fn for_entries(client: &mut Client, command: &str, code: u16) -> io::Result<()> {
    for first in (0..ENTRIES).step_by(PIPELINED) {
        let entries = first..ENTRIES.min(first + PIPELINED as u64);
        let lines: String = entries
            .clone()
            .map(|entry| format!("{command} entry{entry}\r\n"))
            .collect();
        client.pipeline(&lines, entries.count(), code)?;
    }
    Ok(())
}

fn content() -> Vec<u8> {
    (0..BUFFER).map(|at| (at % 251) as u8).collect()
}

/// A client whose folder has the file.
fn with_file(bench: &Bench<'_>, length: u64) -> io::Result<Client> {
    let mut client = bench.server.login()?;
    client.expect("TYPE I", 200)?;
    store(&mut client, length, &content())?;
    Ok(client)
}

fn store(client: &mut Client, length: u64, content: &[u8]) -> io::Result<()> {
    client.store(&format!("STOR {FILE}"), length, content)
}

fn retrieve(client: &mut Client, length: u64, buffer: &mut [u8]) -> io::Result<()> {
    let bytes = client.receive(&format!("RETR {FILE}"), buffer)?;
    same("bytes of the file", bytes, length)
}

fn remove_file(client: &mut Client) -> io::Result<()> {
    client.expect(&format!("DELE {FILE}"), 250)
}

/// A server that is fast because it does less than was asked is no faster.
fn same(what: &str, came: u64, asked: u64) -> io::Result<()> {
    if came == asked {
        return Ok(());
    }
    Err(io::Error::other(format!("{came} {what} came, not {asked}")))
}
