//! A program in one of the models, and its worker processes.

use std::path::Path;
use std::time::Instant;

use crate::common::program::Program;
use crate::common::{Client, PATIENCE};

/// All models, as on the command line.
pub(crate) const MODELS: [&str; 4] = ["async", "multi-thread", "multi-proc", "pre-fork"];

/// Those with worker processes.
pub(crate) const PROCESSES: [&str; 2] = ["multi-proc", "pre-fork"];

pub(crate) fn model_args(model: &str) -> Vec<&str> {
    match model {
        "pre-fork" => vec!["--concurrency", model, "--workers", "2"],
        model => vec!["--concurrency", model],
    }
}

pub(crate) fn start(model: &str, home: &Path, args: &[&str]) -> Program {
    let mut all = model_args(model);
    all.extend(args);
    let program = Program::start(home, &all);
    if model == "pre-fork" {
        program.log().wait_until(|lines| starts(lines) >= 2);
    }
    program
}

/// How many workers the log says were started.
pub(crate) fn starts(lines: &[String]) -> usize {
    let started = |line: &&String| line.contains(" worker ") && line.ends_with(" starts");
    lines.iter().filter(started).count()
}

/// The children of a process that are there, the undead among them.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    listed
        .flatten()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| {
            let children = children.split_whitespace().map(|child| child.parse());
            children.flatten().collect::<Vec<u32>>()
        })
        .collect()
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}

pub(crate) fn signal(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "kill {pid}");
}

/// Waits for what announces itself by no event.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Connects so many clients at the same time from as many threads; those who were let in.
pub(crate) fn crowd(program: &Program, clients: usize) -> Vec<Client> {
    let addr = program.addr();
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(addr);
                match client.reply().code {
                    220 => Some(client),
                    421 => None,
                    other => panic!("greeted by {other}"),
                }
            })
        })
        .collect();
    let clients = threads.into_iter().map(|thread| thread.join());
    clients
        .filter_map(|client| client.expect("a client"))
        .collect()
}
