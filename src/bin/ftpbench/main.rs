//! `ftpbench`: measures the speed, CPU time and memory of an FTP server; of the `ftpdlib` beside
//! it, when no other is given. See `--help` and docs/benchmarks.md.
//!
//! [`options`] says what to measure, [`server`] is what is measured and [`process`] what it uses,
//! [`client`] drives it, [`rows`] and [`idle`] are the measurements, [`table`] shows them.

mod client;
mod idle;
mod options;
mod process;
mod rows;
mod server;
mod table;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use options::{Plan, Request};
use rows::{Bench, ROWS};
use server::Server;

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
        Ok(Request::Help) => show(options::help().trim_end()),
        Ok(Request::Measure(plan)) => measure(&plan),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ftpbench: {}", one_line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan) -> io::Result<()> {
    let mut server = Server::of(plan.server.as_ref())?;
    show(&head(&server, plan))?;
    for (name, row) in ROWS {
        if plan.has(name) {
            let row = row(&Bench::new(&server, plan)).map_err(|error| within(name, &error))?;
            show(&row.to_string())?;
        }
    }
    if plan.has_idle() {
        // Memory that other rows made the server keep would hide what idle clients need.
        server = server.renewed()?;
        idle::measure(&Bench::new(&server, plan), show).map_err(|error| within("idle", &error))?;
    }
    Ok(())
}

fn head(server: &Server, plan: &Plan) -> String {
    let address = server.address;
    let process = match server.process {
        Some(process) if process.cpu_time().is_some() => format!("pid {}", process.pid()),
        _ => "its CPU time and memory unknown (Linux only, with --pid)".to_owned(),
    };
    let runs = plan.runs;
    format!(
        "Server at {address}, {process}. Medians of {runs} runs.\n\n{}",
        table::HEAD
    )
}

/// The error with the row's name.
fn within(row: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{row}: {error}"))
}

/// The text without what would break a terminal's line, whatever a server has sent.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn show(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| {
        let message = format!("cannot write to standard output: {error}");
        io::Error::new(error.kind(), message)
    })
}
