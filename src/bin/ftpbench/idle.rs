//! Idle clients: what memory each takes, and what others notice of them.

use std::io;

use crate::client::Client;
use crate::process::Process;
use crate::rows::{Bench, ROWS_AMONG_IDLE, sample};
use crate::server::Server;
use crate::table::{Row, Unit, number};

/// Files that are open besides the clients' connections, on either side.
const OTHER_FILES: u64 = 64;
/// Clients that come and go first: memory that a server takes once is no idle client's.
const FIRST_CLIENTS: usize = 16;

/// Opens the clients, measures beside them, and gives each row to `show`.
pub(crate) fn measure(
    bench: &Bench<'_>,
    mut show: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let count = bench.plan.clients;
    let clients_shown = number(count as f64);
    if let Some(hindrance) = hindrance(bench.server, count) {
        return show(&format!(
            "{clients_shown} idle clients: skipped, {hindrance}"
        ));
    }
    for _ in 0..FIRST_CLIENTS {
        bench.server.login()?.expect("QUIT", 221)?;
    }
    let memory = || bench.server.process.and_then(Process::memory);
    let before = memory();
    let mut clients: Vec<Client> = Vec::new();
    let opened = sample(bench.server.process, count, || {
        for _ in 0..count {
            clients.push(bench.server.login()?);
        }
        Ok(())
    })?;
    let note = match before.zip(memory()) {
        Some((before, after)) => memory_note(before, after, count),
        None => "memory unknown".to_owned(),
    };
    let title = format!("{clients_shown} clients log in, stay");
    show(
        &Row {
            title,
            unit: Unit::Each,
            samples: vec![opened],
            note,
        }
        .to_string(),
    )?;

    let among = format!(", {clients_shown} idle");
    let beside = Bench {
        among: &among,
        ..*bench
    };
    for (_, row) in ROWS_AMONG_IDLE {
        show(&row(&beside)?.to_string())?;
    }
    // Clients that had been thrown out would have been no burden.
    clients
        .iter_mut()
        .try_for_each(|client| client.expect("QUIT", 221))
}

fn memory_note(before: u64, after: u64, count: u64) -> String {
    let each = after.saturating_sub(before) as f64 / count as f64;
    let mib = |bytes: u64| number(bytes as f64 / f64::from(1 << 20));
    let (each, before, after) = (number(each), mib(before), mib(after));
    format!("{each} bytes of memory each ({before} to {after} MiB)")
}

/// Why there can't be so many clients.
fn hindrance(server: &Server, count: u64) -> Option<String> {
    let needed = count.saturating_add(OTHER_FILES);
    let own = Process::find(std::process::id()).ok();
    let sides = [("ftpbench", own), ("the server", server.process)];
    sides.into_iter().find_map(|(side, process)| {
        let limit = process?
            .open_files_limit()
            .filter(|&limit| limit < needed)?;
        Some(format!(
            "{side} may open {limit} files only: see 'ulimit -n' (needed: {needed})"
        ))
    })
}
