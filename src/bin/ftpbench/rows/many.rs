//! Many clients at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Access, Client};
use crate::content::Content;
use crate::figures::{Unit, count, size};
use crate::plan::Plan;

use super::kind::{Bench, Done, Kind, Work, joined};
use super::transfers::{Retr, Stor};

/// Of the file that each client transfers.
const FILE_SIZE: u64 = 10 << 20;
const FILE: &str = "ftpbench.many";
/// What a client reads at once; there are hundreds of them.
const BUFFER: usize = 128 << 10;
/// Connections from one address of this machine: its ports would run out.
const PER_SOURCE: usize = 10_000;
/// Clients of a crowd that log in together.
const AT_ONCE: u64 = 20;

pub(super) const LOGINS: Kind = Kind {
    name: "many-login",
    unit: Unit::Each,
    by_turns: true,
    title: |plan| format!("{} clients connect, log in at once", many(plan)),
    prepare: |bench| {
        let clients = Vec::new();
        Ok(Box::new(Logins { bench, clients }))
    },
};

pub(super) const QUITS: Kind = Kind {
    name: "many-quit",
    unit: Unit::Each,
    by_turns: true,
    title: |plan| format!("{} clients QUIT at once", many(plan)),
    prepare: |bench| {
        let clients = crowd(bench.access, bench.plan.many)?;
        Ok(Box::new(Quits { bench, clients }))
    },
};

pub(super) const RETRS: Kind = Kind {
    name: "many-retr",
    unit: Unit::Bytes,
    by_turns: false,
    title: |plan| format!("{} x RETR of {} at once", many(plan), size(FILE_SIZE)),
    prepare: |bench| Ok(Box::new(Transfers::new(bench, "RETR")?)),
};

pub(super) const STORS: Kind = Kind {
    name: "many-stor",
    unit: Unit::Bytes,
    by_turns: false,
    title: |plan| format!("{} x STOR of {} at once", many(plan), size(FILE_SIZE)),
    prepare: |bench| Ok(Box::new(Transfers::new(bench, "STOR")?)),
};

pub(super) const IDLE_RETR: Kind = Kind {
    name: "idle-retr",
    unit: Unit::Bytes,
    by_turns: false,
    title: |plan| format!("RETR, {}, {} idle clients", size(plan.size), many(plan)),
    prepare: |bench| {
        let clients = crowd(bench.access, bench.plan.many)?;
        let work = Retr::new(bench)?;
        Ok(Box::new(Beside { clients, work }))
    },
};

pub(super) const IDLE_STOR: Kind = Kind {
    name: "idle-stor",
    unit: Unit::Bytes,
    by_turns: false,
    title: |plan| format!("STOR, {}, {} idle clients", size(plan.size), many(plan)),
    prepare: |bench| {
        let clients = crowd(bench.access, bench.plan.many)?;
        let work = Stor::new(bench)?;
        Ok(Box::new(Beside { clients, work }))
    },
};

fn many(plan: &Plan) -> String {
    count(plan.many)
}

/// So many clients, logged in some at a time: a few servers are slow for one alone, and some have
/// no room for more in their queue.
pub(crate) fn crowd(access: &Access, count: u64) -> io::Result<Vec<Client>> {
    let mut clients: Vec<Client> = Vec::new();
    while (clients.len() as u64) < count {
        let left = count - clients.len() as u64;
        let source = source(access, clients.len(), count);
        clients.extend(at_once(access, left.min(AT_ONCE), source)?);
    }
    Ok(clients)
}

/// The address that a client comes from: one has not enough ports for all.
fn source(access: &Access, number: usize, count: u64) -> Option<IpAddr> {
    let loopback = matches!(access.address.ip(), IpAddr::V4(ip) if ip.is_loopback());
    if !loopback || count <= PER_SOURCE as u64 {
        return None;
    }
    let group = u8::try_from(number / PER_SOURCE).ok()?.checked_add(2)?;
    Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, group)))
}

/// Clients that log in together, step by step.
fn at_once(access: &Access, count: u64, source: Option<IpAddr>) -> io::Result<Vec<Client>> {
    if access.tls.is_some() {
        // A handshake is more than one step; here they come one by one.
        return (0..count).map(|_| access.login_from(source)).collect();
    }
    let mut clients: Vec<Client> = (0..count)
        .map(|_| access.connect(source))
        .collect::<io::Result<_>>()?;
    for client in &mut clients {
        client.await_reply("connecting", 220)?;
        client.send(&format!("USER {}", access.user))?;
    }
    let mut asked = Vec::new();
    for client in &mut clients {
        if client.reply()?.code != 230 {
            client.send(&format!("PASS {}", access.password))?;
            asked.push(client);
        }
    }
    asked
        .into_iter()
        .try_for_each(|client| client.await_reply("PASS", 230))?;
    Ok(clients)
}

/// Sends them all away at once.
pub(crate) fn disperse(clients: &mut Vec<Client>) -> io::Result<()> {
    clients
        .iter_mut()
        .try_for_each(|client| client.send("QUIT"))?;
    clients
        .iter_mut()
        .try_for_each(|client| client.await_reply("QUIT", 221))?;
    clients.clear();
    Ok(())
}

/// All connect, then all say USER, then all say PASS.
struct Logins<'a> {
    bench: Bench<'a>,
    clients: Vec<Client>,
}

impl Work for Logins<'_> {
    fn run(&mut self) -> io::Result<Done> {
        let (access, count) = (self.bench.access, self.bench.plan.many);
        self.clients = at_once(access, count, None)?;
        Ok(Done::of(count))
    }

    fn restore(&mut self) -> io::Result<()> {
        disperse(&mut self.clients)
    }
}

struct Quits<'a> {
    bench: Bench<'a>,
    clients: Vec<Client>,
}

impl Work for Quits<'_> {
    fn run(&mut self) -> io::Result<Done> {
        let count = self.clients.len() as u64;
        disperse(&mut self.clients)?;
        Ok(Done::of(count))
    }

    fn restore(&mut self) -> io::Result<()> {
        self.clients = crowd(self.bench.access, self.bench.plan.many)?;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        disperse(&mut self.clients)
    }
}

/// Other work beside clients that do nothing.
struct Beside<W> {
    clients: Vec<Client>,
    work: W,
}

impl<W: Work> Work for Beside<W> {
    fn run(&mut self) -> io::Result<Done> {
        self.work.run()
    }

    fn restore(&mut self) -> io::Result<()> {
        self.work.restore()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.work.finish()?;
        // Clients that had been thrown out would have been no burden.
        disperse(&mut self.clients)
    }
}

/// A transfer by each client, all begun together.
struct Transfers<'a> {
    verb: &'static str,
    clients: Vec<Client>,
    content: &'a Content,
}

impl<'a> Transfers<'a> {
    fn new(bench: Bench<'a>, verb: &'static str) -> io::Result<Transfers<'a>> {
        let mut clients = Vec::new();
        for _ in 0..bench.plan.many {
            clients.push(bench.access.enter()?);
        }
        if let Some(client) = clients.first_mut().filter(|_| verb == "RETR") {
            client.store(&format!("STOR {FILE}"), FILE_SIZE, bench.content)?;
        }
        Ok(Transfers {
            verb,
            clients,
            content: bench.content,
        })
    }

    /// The command of a client; all download the same file.
    fn command(verb: &str, number: usize) -> String {
        match verb {
            "RETR" => format!("RETR {FILE}"),
            _ => format!("{verb} {FILE}.{number}"),
        }
    }
}

impl Work for Transfers<'_> {
    fn run(&mut self) -> io::Result<Done> {
        let (verb, content) = (self.verb, self.content);
        let begun = Instant::now();
        // All commands are sent before anybody takes or gives a byte: else those who ask first
        // have the server to themselves, and are served before the others have asked.
        let started = self.clients.iter_mut().enumerate().map(|(number, client)| {
            let transfer = client.start(Transfers::command(verb, number))?;
            Ok((client, transfer.by_turns()))
        });
        let started = started.collect::<io::Result<Vec<_>>>()?;
        let ends = thread::scope(|scope| {
            let threads: Vec<_> = started
                .into_iter()
                .map(|(client, transfer)| {
                    scope.spawn(move || {
                        if verb == "RETR" {
                            client.take(transfer, FILE_SIZE, content, &mut vec![0; BUFFER])?;
                        } else {
                            client.give(transfer, FILE_SIZE, content)?;
                        }
                        Ok(begun.elapsed())
                    })
                })
                .collect();
            let ends = threads.into_iter().map(joined);
            ends.collect::<io::Result<Vec<Duration>>>()
        })?;
        Ok(Done {
            unevenness: unevenness(&ends),
            ..Done::of(self.clients.len() as u64 * FILE_SIZE)
        })
    }

    fn restore(&mut self) -> io::Result<()> {
        if self.verb == "STOR" {
            if let Some(client) = self.clients.first_mut() {
                let command = Transfers::command("RETR", 0) + ".0";
                client.retrieve(&command, FILE_SIZE, self.content, &mut vec![0; BUFFER])?;
            }
            for (number, client) in self.clients.iter_mut().enumerate() {
                client.expect(&Transfers::command("DELE", number), 250)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(client) = self.clients.first_mut().filter(|_| self.verb == "RETR") {
            client.expect(&format!("DELE {FILE}"), 250)?;
        }
        disperse(&mut self.clients)
    }
}

/// How much earlier than the last the first was served, in parts of the last one's time.
fn unevenness(ends: &[Duration]) -> Option<f64> {
    let (first, last) = (ends.iter().min()?, ends.iter().max()?);
    Some(1.0 - first.as_secs_f64() / last.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_end_together_are_even() {
        let ms = Duration::from_millis;
        assert_eq!(unevenness(&[ms(100), ms(100)]), Some(0.0));
        assert_eq!(unevenness(&[ms(50), ms(100), ms(80)]), Some(0.5));
        assert_eq!(unevenness(&[]), None);
    }
}
