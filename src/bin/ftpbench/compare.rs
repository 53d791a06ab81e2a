//! Servers side by side: each is a script of one folder, which says what it is and becomes it.
//! See tests/peers/README.md.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::contest::{BARE, Contender, OURS, one_line};
use crate::plan::{Compare, Plan};
use crate::report::Version;
use crate::server::{Launch, Server};
use crate::stream::Tls;

/// Open files of a server in rows with some hundred clients, on most systems the usual limit.
pub(crate) const OPEN_FILES: u64 = 16_384;

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) script: PathBuf,
    /// The rows that it is for; none means all.
    rows: Vec<String>,
    /// The last number of its address.
    number: u8,
}

/// The servers that are to be had, and a line for each that is not.
pub(crate) fn peers(compare: &Compare) -> io::Result<(Vec<Peer>, Vec<String>)> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&compare.scripts).map_err(|error| {
        let folder = compare.scripts.display();
        io::Error::new(error.kind(), format!("cannot read {folder}: {error}"))
    })? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.contains('.') && name != "install" {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name != OURS, name.starts_with(BARE), name.clone()));
    if let Some(unknown) = compare.names.iter().find(|name| !names.contains(name)) {
        let known = names.join(", ");
        return Err(io::Error::other(format!(
            "--server: '{unknown}' is none of {known}"
        )));
    }
    if !compare.names.is_empty() {
        names.retain(|name| compare.names.contains(name));
    }
    let (mut peers, mut absent) = (Vec::new(), Vec::new());
    for (number, name) in (1..=250).zip(names) {
        match Peer::find(&compare.scripts, &name, number) {
            Ok(peer) => peers.push(peer),
            Err(error) => absent.push(format!("{name} is left out: {error}")),
        }
    }
    Ok((peers, absent))
}

impl Peer {
    fn find(folder: &Path, name: &str, number: u8) -> io::Result<Peer> {
        let script = fs::canonicalize(folder.join(name))?;
        let version = said(&script, "version")?;
        let rows = said(&script, "rows")?;
        Ok(Peer {
            name: name.to_owned(),
            version,
            script,
            rows: rows.split_whitespace().map(str::to_owned).collect(),
            number,
        })
    }

    /// Whether it takes part in this row.
    pub(crate) fn is_for(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| name == row)
    }

    /// The same under another name and address, for a second one of it.
    pub(crate) fn rename(&mut self, name: &str, number: u8) {
        self.name = name.to_owned();
        self.number = number;
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.name.starts_with(BARE)
    }

    /// For the report.
    pub(crate) fn described(&self) -> io::Result<Version> {
        Ok(Version {
            name: self.name.clone(),
            version: self.version.clone(),
            script: fs::read_to_string(&self.script)?,
        })
    }

    /// Starts it. Each server has an address of its own: connections of one that are closed and
    /// not yet forgotten take no port from another.
    pub(crate) fn start(
        &self,
        plan: &Plan,
        compare: &Compare,
        tls: Option<&Tls>,
        open_files: u64,
    ) -> io::Result<Contender> {
        let net = if tls.is_some() { 2 } else { 1 };
        // Some servers take whole paths only.
        let whole = |path: &Option<PathBuf>| path.as_ref().map(fs::canonicalize).transpose();
        let identity = whole(&compare.certificate)?.zip(whole(&compare.key)?);
        let launch = Launch {
            command: vec![self.script.clone().into(), "serve".into()],
            address: SocketAddr::from((Ipv4Addr::new(127, 0, net, self.number), 0)),
            identity: identity.filter(|_| tls.is_some()),
            cpu: plan.server_cpu,
            open_files,
        };
        Ok(Contender {
            name: self.name.clone(),
            server: Server::start(&launch, tls.cloned(), plan.patience)?,
        })
    }
}

/// The one line that a script says to a word, or why it says none.
fn said(script: &Path, word: &str) -> io::Result<String> {
    let output = Command::new(script)
        .arg(word)
        .stdin(Stdio::null())
        .output()?;
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().next().map_or(String::new(), one_line)
    };
    if output.status.success() {
        Ok(line(&output.stdout))
    } else {
        Err(io::Error::other(line(&output.stderr)))
    }
}
