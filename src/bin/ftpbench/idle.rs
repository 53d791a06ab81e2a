//! Idle clients: what memory each takes.

use std::io;

use crate::client::Client;
use crate::contest::{Contender, one_line};
use crate::figures::{count, number};
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
    /// Proportional set size of all its processes before and after, in bytes.
    pub(crate) sizes: Result<(u64, u64), String>,
}

impl Memory {
    /// Bytes for each client.
    pub(crate) fn each(&self) -> Option<f64> {
        let (before, after) = self.sizes.as_ref().ok()?;
        Some(after.saturating_sub(*before) as f64 / self.clients as f64)
    }

    pub(crate) fn line(&self) -> String {
        let tls = if self.tls { ", TLS" } else { "" };
        let title = format!(
            "  {}, {} idle clients{tls}",
            self.server,
            count(self.clients)
        );
        match (&self.sizes, self.each()) {
            (Ok((before, after)), Some(each)) => {
                let mib = |bytes: u64| number(bytes as f64 / f64::from(1 << 20));
                let (before, after) = (mib(*before), mib(*after));
                format!(
                    "{title:<48} {} bytes each ({before} to {after} MiB)",
                    number(each)
                )
            }
            (Err(error), _) => format!("{title:<48} memory unknown: {error}"),
            _ => format!("{title:<48} unknown"),
        }
    }
}

/// Lets so many clients log in and stay, and measures the server before and after. The server should
/// have no past: memory that it keeps from other work would hide what idle clients need.
pub(crate) fn hold(contender: &Contender, clients: u64) -> (Memory, Vec<Client>) {
    let server = &contender.server;
    let held = match hindrance(server, clients) {
        Some(hindrance) => Err(io::Error::other(hindrance)),
        None => fill(server, clients),
    };
    let (sizes, crowd) = match held {
        Ok((Some(sizes), crowd)) => (Ok(sizes), crowd),
        Ok((None, crowd)) => (Err("its process is not known".to_owned()), crowd),
        Err(error) => (Err(one_line(&error.to_string())), Vec::new()),
    };
    let memory = Memory {
        server: contender.name.clone(),
        tls: server.access.tls.is_some(),
        clients,
        sizes,
    };
    (memory, crowd)
}

/// The server's memory before and after, if it is known, and the clients.
type Held = (Option<(u64, u64)>, Vec<Client>);

fn fill(server: &Server, clients: u64) -> io::Result<Held> {
    disperse(&mut crowd(&server.access, FIRST_CLIENTS)?)?;
    let memory = || server.process.as_ref().and_then(Process::memory);
    let before = memory();
    let crowd = crowd(&server.access, clients)?;
    Ok((before.zip(memory()), crowd))
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
