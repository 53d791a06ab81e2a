//! `ftpbench`: measures the speed, CPU time and memory of FTP servers; of the `ftpdlib` beside
//! it, when no other is given. See `--help` and docs/benchmarks.md.
//!
//! [`options`] says what to measure, [`server`] is what is measured and [`process`] what it uses,
//! [`client`] drives it, [`rows`] are the measurements, [`contest`] lets servers take turns,
//! [`compare`] finds those to compare, [`figures`] and [`table`] show what came of it.

mod client;
mod compare;
mod content;
mod contest;
mod figures;
mod options;
mod process;
mod progress;
mod reply;
mod rows;
mod server;
mod stream;
mod table;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use compare::Peer;
use content::Content;
use contest::{Contender, Outcome, one_line};
use options::{Compare, Plan, Request, Target};
use progress::Progress;
use rows::ROWS;
use server::Server;
use stream::Tls;

fn main() -> ExitCode {
    let args: Vec<String> = env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let result = match options::parse(&args) {
        Err(message) => {
            eprintln!("ftpbench: {}; try 'ftpbench --help'", one_line(&message));
            return ExitCode::from(2);
        }
        Ok(Request::Help) => show(options::help().trim_end()).map(|()| true),
        Ok(Request::Measure(plan)) => measure(&plan),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        // What failed is said in its row.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ftpbench: {}", one_line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
fn measure(plan: &Plan) -> io::Result<bool> {
    match &plan.target {
        Target::Compare(compare) => side_by_side(plan, compare),
        _ => Ok(true),
    }
}

fn side_by_side(plan: &Plan, compare: &Compare) -> io::Result<bool> {
    let (peers, absent) = compare::peers(compare)?;
    for peer in &peers {
        show(&format!("{}: {}", peer.name, peer.version))?;
    }
    for line in &absent {
        show(line)?;
    }
    show(&format!("\n{}", table::HEAD))?;
    let tls = Tls::new().map_err(io::Error::other)?;
    let content = Content::new();
    let mut outcomes = Vec::new();
    let mut progress = Progress::new(1);
    for tls in [None, Some(&tls)] {
        if plan.tls && tls.is_none() {
            continue;
        }
        let mut contenders: Vec<(&Peer, Contender)> = Vec::new();
        for peer in &peers {
            if tls.is_some() && peer.is_bare() {
                continue;
            }
            match peer.start(compare, tls, None, plan.patience) {
                Ok(contender) => contenders.push((peer, contender)),
                Err(error) => show(&format!("{} is left out: {error}", peer.name))?,
            }
        }
        for kind in &ROWS {
            if tls.is_some() && !["stor", "retr", "login"].contains(&kind.name) {
                continue;
            }
            if !plan.has(kind.name) { continue; }
            let taking_part: Vec<&Contender> = contenders.iter().filter(|(peer, _)| peer.is_for(kind.name)).map(|(_, c)| c).collect();
            let outcome = contest::run(kind, &taking_part, plan, &content, &mut progress);
            progress.advance();
            show(&table::lines(&outcome))?;
            outcomes.push(outcome);
        }
    }
    Ok(true)
}

fn show(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| {
        let message = format!("cannot write to standard output: {error}");
        io::Error::new(error.kind(), message)
    })
}
