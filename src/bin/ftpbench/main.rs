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
mod idle;
mod measure;
mod options;
mod plan;
mod process;
mod processors;
mod progress;
mod reply;
mod report;
mod rows;
mod server;
mod stream;
mod table;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use contest::one_line;
use plan::{Plan, Request};

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
    let report = measure::measure(plan, &show)?;
    let more = report.publish(plan)?;
    if !more.is_empty() {
        show(&more)?;
    }
    Ok(report.is_fine())
}

fn show(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| {
        let message = format!("cannot write to standard output: {error}");
        io::Error::new(error.kind(), message)
    })
}
