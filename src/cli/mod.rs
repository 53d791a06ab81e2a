//! Floor 4, face: the command line of the `ftpdlib` program.
//!
//! [`flags`] is the one table that parser, `--help` and `docs/cli.md` agree on; [`options`] turns
//! arguments into checked values, each by a rule of [`values`] ([`given`]), [`serve`] turns those into a running
//! server, [`logging`] writes the log lines (into a pipe by `log_pipe`), [`password`] hashes one, [`output`] is
//! what the program says besides. Only the crate's public API is used here.

mod flags;
mod given;
#[cfg(unix)]
mod log_pipe;
mod logging;
mod options;
mod output;
mod password;
mod raw_args;
mod serve;
mod values;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use options::Request;
use output::{Failure, print};

/// Runs the program with the arguments after its name.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stderr gone too, the status is all that is left to say it with.
            let _ = writeln!(io::stderr().lock(), "{}", failure.line());
            ExitCode::from(failure.status())
        }
    }
}

fn run(args: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    match options::parse(args)? {
        Request::Help => print(&flags::help()),
        Request::Version => print(concat!("ftpdlib ", env!("CARGO_PKG_VERSION"), "\n")),
        Request::HashPassword => password::hash(),
        Request::Serve(options) => {
            logging::init(options.debug);
            serve::serve(&options)
        }
    }
}
