//! Idle clients: what memory each takes, and what it costs to let in so many.

use std::io;
use std::time::Instant;

use crate::client::Client;
use crate::contest::{Contender, one_line};
use crate::figures::{Measured, Sample, Unit, count, number};
use crate::process::Process;
use crate::rows::many::{crowd, disperse};
use crate::server::Server;

/// Files that are open besides the clients' connections, on either side.
const OTHER_FILES: u64 = 64;
/// Clients that come and go first: memory that a server takes once is no idle client's.
const FIRST_CLIENTS: u64 = 40;

/// What idle clients took of one server's memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) server: String,
    pub(crate) tls: bool,
    pub(crate) clients: u64,
    /// Proportional set size of all its processes before and after, in bytes, where it is known.
    pub(crate) sizes: Option<(u64, u64)>,
    /// How they logged in: one sample, or the reason why they are not there.
    pub(crate) logins: Measured,
}

impl Memory {
    /// Bytes for each client.
    pub(crate) fn each(&self) -> Option<f64> {
        let (before, after) = self.sizes?;
        Some(after.saturating_sub(before) as f64 / self.clients as f64)
    }

    pub(crate) fn line(&self) -> String {
        let tls = if self.tls { ", TLS" } else { "" };
        let title = format!(
            "  {}, {} idle clients{tls}",
            self.server,
            count(self.clients)
        );
        if let Some(failure) = &self.logins.failure {
            return format!("{title:<48} failed: {failure}");
        }
        let memory = match (self.sizes, self.each()) {
            (Some((before, after)), Some(each)) => {
                let mib = |bytes: u64| number(bytes as f64 / f64::from(1 << 20));
                let (before, after) = (mib(before), mib(after));
                format!("{} bytes each ({before} to {after} MiB)", number(each))
            }
            _ => "memory unknown".to_owned(),
        };
        let speed = self.logins.speed().show(Unit::Each.speed());
        let cost = self.logins.cost().show(Unit::Each.cost());
        format!("{title:<48} {memory}; logins {speed}, {cost}")
    }
}

/// Lets so many clients log in and stay, and measures the server before and after. The server should
/// have no past: memory that it keeps from other work would hide what idle clients need.
pub(crate) fn hold(contender: &Contender, clients: u64) -> (Memory, Vec<Client>) {
    let server = &contender.server;
    let mut memory = Memory {
        server: contender.name.clone(),
        tls: server.access.tls.is_some(),
        clients,
        sizes: None,
        logins: Measured::default(),
    };
    let filled = match hindrance(server, clients) {
        Some(hindrance) => Err(io::Error::other(hindrance)),
        None => fill(server, &mut memory),
    };
    let crowd = filled.unwrap_or_else(|error| {
        memory.logins.failure = Some(one_line(&error.to_string()));
        Vec::new()
    });
    (memory, crowd)
}

fn fill(server: &Server, memory: &mut Memory) -> io::Result<Vec<Client>> {
    disperse(&mut crowd(&server.access, FIRST_CLIENTS)?)?;
    let process = server.process.as_ref();
    let size = || process.and_then(Process::memory);
    let (before, used) = (size(), process.and_then(Process::cpu_time));
    let start = Instant::now();
    let crowd = crowd(&server.access, memory.clients)?;
    let wall = start.elapsed();
    let cpu = used.and_then(|used| Some(process?.cpu_time()?.since(&used)));
    memory.sizes = before.zip(size());
    memory.logins.samples.push(Sample {
        amount: memory.clients,
        wall,
        cpu,
        client: None,
        unevenness: None,
    });
    Ok(crowd)
}

/// So many of these clients as this program, and so any server that it starts, may have open.
pub(crate) fn possible(clients: u64) -> u64 {
    let own = Process::find(std::process::id()).ok();
    let limit = own.and_then(|own| own.open_files_limit());
    limit.map_or(clients, |limit| {
        clients.min(limit.saturating_sub(OTHER_FILES))
    })
}

/// Why there can't be so many clients.
fn hindrance(server: &Server, clients: u64) -> Option<String> {
    let needed = clients.saturating_add(OTHER_FILES);
    let own = Process::find(std::process::id()).ok();
    let sides = [
        ("ftpbench", own.as_ref()),
        ("the server", server.process.as_ref()),
    ];
    sides.into_iter().find_map(|(side, process)| {
        let limit = process?
            .open_files_limit()
            .filter(|&limit| limit < needed)?;
        Some(format!(
            "{side} may open {limit} files only: see 'ulimit -n' (needed: {needed})"
        ))
    })
}
