//! What costs no transfer, or that of a listing: logins, NOOP, LIST and MLSD.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::client::{Access, Client, same};
use crate::content::PIECE;
use crate::figures::{Unit, count};

use super::kind::{Bench, Done, Kind, Work, repeat};

/// Commands that leave in one segment.
const PIPELINED: usize = 50;
/// What a listing lists.
const ENTRIES: u64 = 10_000;
const FOLDER: &str = "ftpbench.list";

pub(super) const LOGIN: Kind = Kind {
    name: "login",
    unit: Unit::Each,
    by_turns: true,
    title: |_| "connect, login, QUIT".to_owned(),
    prepare: |bench| {
        Ok(Box::new(Logins {
            access: bench.access,
            count: match bench.access.tls {
                None => bench.plan.logins,
                // A handshake costs as much as several logins.
                Some(_) => bench.plan.logins.div_ceil(4),
            },
        }))
    },
};

pub(super) const NOOP: Kind = Kind {
    name: "noop",
    unit: Unit::Each,
    by_turns: true,
    title: |_| "NOOP, one by one".to_owned(),
    prepare: |bench| {
        let (client, count) = (bench.access.login()?, bench.plan.noops);
        Ok(Box::new(Noops { client, count }))
    },
};

pub(super) const PIPELINE: Kind = Kind {
    name: "pipeline",
    unit: Unit::Each,
    by_turns: true,
    title: |_| format!("NOOP, {PIPELINED} in a segment"),
    prepare: |bench| {
        Ok(Box::new(Pipeline {
            client: bench.access.login()?,
            segments: bench.plan.segments,
            lines: "NOOP\r\n".repeat(PIPELINED),
        }))
    },
};

pub(super) const LIST: Kind = Kind {
    name: "list",
    unit: Unit::Each,
    by_turns: false,
    title: |_| format!("LIST, {} entries", count(ENTRIES)),
    prepare: |bench| Ok(Box::new(Listing::new(bench, "LIST")?)),
};

pub(super) const MLSD: Kind = Kind {
    name: "mlsd",
    unit: Unit::Each,
    by_turns: false,
    title: |_| format!("MLSD, {} entries", count(ENTRIES)),
    prepare: |bench| Ok(Box::new(Listing::new(bench, "MLSD")?)),
};

/// Clients that come and go, one after the other.
struct Logins<'a> {
    access: &'a Access,
    count: u64,
}

impl Work for Logins<'_> {
    fn run(&mut self) -> io::Result<Done> {
        let done = repeat(self.count, || self.access.login()?.quit())?;
        Ok(Done::of(done))
    }
}

struct Noops {
    client: Client,
    count: u64,
}

impl Work for Noops {
    fn run(&mut self) -> io::Result<Done> {
        let done = repeat(self.count, || self.client.expect("NOOP", 200))?;
        Ok(Done::of(done))
    }
}

struct Pipeline {
    client: Client,
    segments: u64,
    lines: String,
}

impl Work for Pipeline {
    fn run(&mut self) -> io::Result<Done> {
        let mut reads = 0;
        let done = repeat(self.segments, || {
            reads += self.client.pipeline(&self.lines, PIPELINED, 200)?;
            Ok(())
        })?;
        let mean = reads as f64 / done as f64;
        Ok(Done {
            note: Some(format!("{PIPELINED} replies in {mean:.2} reads")),
            ..Done::of(done * PIPELINED as u64)
        })
    }
}

/// Listings of a large folder.
struct Listing {
    client: Client,
    verb: &'static str,
    count: u64,
    /// What besides the entries a listing holds.
    extra: u64,
    folder: Option<PathBuf>,
    buffer: Vec<u8>,
}

impl Listing {
    fn new(bench: Bench<'_>, verb: &'static str) -> io::Result<Listing> {
        let mut client = bench.access.enter()?;
        // Of a folder that is the server's own there is no other way to make the files; here
        // it is quicker, and no server has to have listed them as its user's.
        let folder = bench.files.map(|files| files.join(FOLDER));
        if verb == "MLSD" && !client.command("FEAT")?.text.to_uppercase().contains("MLS") {
            return Err(io::Error::other("the server has no MLSD"));
        }
        match &folder {
            Some(folder) => {
                std::fs::create_dir(folder)?;
                for entry in 0..ENTRIES {
                    File::create(folder.join(format!("entry{entry}")))?;
                }
                client.expect(&format!("CWD {FOLDER}"), 250)?;
            }
            None => {
                client.expect(&format!("MKD {FOLDER}"), 257)?;
                client.expect(&format!("CWD {FOLDER}"), 250)?;
                // Folders: as many uploads would use up the machine's ports for a minute.
                for_entries(&mut client, "MKD", 257)?;
            }
        }
        let mut listing = Listing {
            client,
            verb,
            count: bench.plan.lists,
            extra: 0,
            folder,
            buffer: vec![0; PIECE],
        };
        // Some list `.` and `..` too, or say a total.
        let lines = listing.lines()?;
        listing.extra = lines.saturating_sub(ENTRIES).min(3);
        same("listed entries", lines, ENTRIES + listing.extra)?;
        Ok(listing)
    }

    fn lines(&mut self) -> io::Result<u64> {
        self.client.count_lines(self.verb, &mut self.buffer)
    }
}

impl Work for Listing {
    fn run(&mut self) -> io::Result<Done> {
        let done = repeat(self.count, || {
            let lines = self.lines()?;
            same("listed entries", lines, ENTRIES + self.extra)
        })?;
        Ok(Done::of(done))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.client.expect("CWD ..", 250)?;
        match &self.folder {
            Some(folder) => std::fs::remove_dir_all(folder),
            None => {
                self.client.expect(&format!("CWD {FOLDER}"), 250)?;
                for_entries(&mut self.client, "RMD", 250)?;
                self.client.expect("CWD ..", 250)?;
                self.client.expect(&format!("RMD {FOLDER}"), 250)
            }
        }
    }
}

/// Gives a command for each entry of the listed folder.
fn for_entries(client: &mut Client, command: &str, code: u16) -> io::Result<()> {
    (0..ENTRIES).try_for_each(|entry| client.expect(&format!("{command} entry{entry}"), code))
}
