//! Transfers of one large file by one client, and of small ones by some.

use std::io;
use std::sync::Barrier;
use std::thread;

use crate::client::Client;
use crate::content::{Content, PIECE};
use crate::figures::{Unit, size};

use super::kind::{Bench, Done, Kind, Work, joined, repeat};

const FILE: &str = "ftpbench.data";
const SMALL_FILE: u64 = 1 << 10;
/// Clients that transfer small files at once.
const SMALL_CLIENTS: u64 = 16;

pub(super) const RETR: Kind = Kind {
    name: "retr",
    unit: Unit::Bytes,
    by_turns: false,
    title: |plan| format!("RETR, {} file", size(plan.size)),
    prepare: |bench| Ok(Box::new(Retr::new(bench)?)),
};

pub(super) const STOR: Kind = Kind {
    name: "stor",
    unit: Unit::Bytes,
    by_turns: false,
    title: |plan| format!("STOR, {} file", size(plan.size)),
    prepare: |bench| Ok(Box::new(Stor::new(bench)?)),
};

pub(super) const SMALL_RETR: Kind = Kind {
    name: "small-retr",
    unit: Unit::Each,
    by_turns: true,
    title: |_| format!("RETR, {} files, {SMALL_CLIENTS} clients", size(SMALL_FILE)),
    prepare: |bench| Ok(Box::new(Small::new(bench, "RETR")?)),
};

pub(super) const SMALL_STOR: Kind = Kind {
    name: "small-stor",
    unit: Unit::Each,
    by_turns: true,
    title: |_| format!("STOR, {} files, {SMALL_CLIENTS} clients", size(SMALL_FILE)),
    prepare: |bench| Ok(Box::new(Small::new(bench, "STOR")?)),
};

/// Downloads of the large file.
pub(super) struct Retr<'a> {
    client: Client,
    size: u64,
    content: &'a Content,
    buffer: Vec<u8>,
}

impl<'a> Retr<'a> {
    pub(super) fn new(bench: Bench<'a>) -> io::Result<Retr<'a>> {
        let mut client = bench.access.enter()?;
        let (size, content) = (bench.plan.size, bench.content);
        if !has_file_of_first(bench) {
            client.store(&format!("STOR {FILE}"), size, content)?;
        }
        Ok(Retr {
            client,
            size,
            content,
            buffer: vec![0; PIECE],
        })
    }
}

/// Gives a server the file that the first one has, if they are on this machine and it can be: reading costs
/// up to half more or less with the pages of memory that a file has got, in a virtual machine above all, and
/// of two files one would be the lucky one for the whole row.
fn has_file_of_first(bench: Bench<'_>) -> bool {
    match (bench.files, bench.files_of_first) {
        (Some(own), Some(first)) if own != first => {
            std::fs::hard_link(first.join(FILE), own.join(FILE)).is_ok()
        }
        _ => false,
    }
}

impl Work for Retr<'_> {
    fn run(&mut self) -> io::Result<Done> {
        let command = format!("RETR {FILE}");
        self.client
            .retrieve(&command, self.size, self.content, &mut self.buffer)?;
        Ok(Done::of(self.size))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.client.expect(&format!("DELE {FILE}"), 250)
    }
}

/// Uploads of the large file, each removed, so that no run pays for freeing what the one before
/// has written.
pub(super) struct Stor<'a> {
    client: Client,
    size: u64,
    content: &'a Content,
    checked: bool,
}

impl<'a> Stor<'a> {
    pub(super) fn new(bench: Bench<'a>) -> io::Result<Stor<'a>> {
        Ok(Stor {
            client: bench.access.enter()?,
            size: bench.plan.size,
            content: bench.content,
            checked: false,
        })
    }
}

impl Work for Stor<'_> {
    fn run(&mut self) -> io::Result<Done> {
        self.client
            .store(&format!("STOR {FILE}"), self.size, self.content)?;
        Ok(Done::of(self.size))
    }

    fn restore(&mut self) -> io::Result<()> {
        if !self.checked {
            // Once is enough: the length is checked by every upload's verdict.
            let command = format!("RETR {FILE}");
            self.client
                .retrieve(&command, self.size, self.content, &mut vec![0; PIECE])?;
            self.checked = true;
        }
        self.client.expect(&format!("DELE {FILE}"), 250)
    }
}

/// Small files by some clients at once, each with a file of its own.
struct Small<'a> {
    verb: &'static str,
    clients: Vec<Client>,
    each: u64,
    content: &'a Content,
}

impl<'a> Small<'a> {
    fn new(bench: Bench<'a>, verb: &'static str) -> io::Result<Small<'a>> {
        let mut clients = Vec::new();
        for number in 0..SMALL_CLIENTS {
            let mut client = bench.access.enter()?;
            client.store(
                &format!("STOR {}", small(number)),
                SMALL_FILE,
                bench.content,
            )?;
            clients.push(client);
        }
        Ok(Small {
            verb,
            clients,
            each: bench.plan.files / SMALL_CLIENTS,
            content: bench.content,
        })
    }
}

fn small(number: u64) -> String {
    format!("{FILE}.{number}")
}

impl Work for Small<'_> {
    fn run(&mut self) -> io::Result<Done> {
        let start = Barrier::new(self.clients.len());
        let (start, verb, each, content) = (&start, self.verb, self.each, self.content);
        let done = thread::scope(|scope| {
            let threads: Vec<_> = (0..)
                .zip(&mut self.clients)
                .map(|(number, client)| {
                    scope.spawn(move || {
                        let command = format!("{verb} {}", small(number));
                        let mut buffer = vec![0; 2 * SMALL_FILE as usize];
                        start.wait();
                        repeat(each, || match verb {
                            "RETR" => client.retrieve(&command, SMALL_FILE, content, &mut buffer),
                            _ => client.store(&command, SMALL_FILE, content),
                        })
                    })
                })
                .collect();
            threads.into_iter().map(joined).sum::<io::Result<u64>>()
        })?;
        Ok(Done::of(done))
    }

    fn finish(&mut self) -> io::Result<()> {
        for (number, client) in (0..).zip(&mut self.clients) {
            let command = format!("RETR {}", small(number));
            client.retrieve(&command, SMALL_FILE, self.content, &mut vec![0; 2048])?;
            client.expect(&format!("DELE {}", small(number)), 250)?;
        }
        Ok(())
    }
}
