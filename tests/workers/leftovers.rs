//! What thousands of sessions leave behind: nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;
use crate::model::{MODELS, children_of, start};

/// Enough for a leak of a few hundred bytes to show.
const SESSIONS: usize = 20_000;
const THREADS: usize = 4;
/// What the allocator may keep for later, in KiB.
const SLACK: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holdings {
    processes: usize,
    threads: usize,
    descriptors: usize,
}

fn processes(pid: u32) -> Vec<u32> {
    let mut all = children_of(pid);
    all.push(pid);
    all
}

fn entries(pid: u32, of: &str) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/{of}")).map_or(0, Iterator::count)
}

fn holdings(pid: u32) -> Holdings {
    let all = processes(pid);
    Holdings {
        processes: all.len(),
        threads: all.iter().map(|&pid| entries(pid, "task")).sum(),
        descriptors: all.iter().map(|&pid| entries(pid, "fd")).sum(),
    }
}

/// Proportional memory of all processes, in KiB, but for that of the program's file, which other
/// tests' programs share as well.
fn memory(pid: u32) -> u64 {
    let of = |pid| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let ours = |line: &&str| line.starts_with("Pss_Anon:") || line.starts_with("Pss_Shmem:");
        let lines = rollup.lines().filter(ours);
        let sizes = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        Some(sizes.sum::<u64>())
    };
    processes(pid).into_iter().filter_map(of).sum()
}

fn session(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    stream
        .write_all(b"USER anonymous\r\nPASS me\r\nQUIT\r\n")
        .expect("it is there");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an end in good order");
    assert!(said.ends_with(b"221 Goodbye.\r\n"), "{said:?}");
}

fn sessions(addr: SocketAddr, count: usize) {
    let threads: Vec<_> = (0..THREADS)
        .map(|_| std::thread::spawn(move || (0..count / THREADS).for_each(|_| session(addr))))
        .collect();
    for thread in threads {
        thread.join().expect("sessions");
    }
}

/// What a program holds when nothing has changed for a while.
fn at_rest(pid: u32) -> Holdings {
    let (mut held, mut same) = (holdings(pid), 0);
    while same < 100 {
        std::thread::sleep(Duration::from_millis(2));
        let now = holdings(pid);
        same = if now == held { same + 1 } else { 0 };
        held = now;
    }
    held
}

/// Waits until a program holds no more than it did.
#[track_caller]
fn settle(model: &str, pid: u32, before: Holdings) {
    let deadline = Instant::now() + PATIENCE;
    let no_more = |now: Holdings| {
        // It may hold less: where the processor was others', what it let go of then came late.
        now.processes <= before.processes
            && now.threads <= before.threads
            && now.descriptors <= before.descriptors
    };
    while !no_more(holdings(pid)) {
        let now = holdings(pid);
        assert!(Instant::now() < deadline, "{model}: {now:?} of {before:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn thousands_of_sessions_leave_nothing_behind() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let program = start(model, home.path(), &["--max-cons", "0"]);
        let pid = program.pid();
        sessions(program.addr(), SESSIONS / 4);
        let before = at_rest(pid);
        let warm = memory(pid);
        sessions(program.addr(), SESSIONS);
        settle(model, pid, before);
        let grown = memory(pid).saturating_sub(warm);
        assert!(grown <= SLACK, "{model}: {grown} KiB");
    }
}
