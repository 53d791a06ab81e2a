//! Floor 4, face: the command line of the `ftpdlib` program.
//!
//! [`flags`] is the one table that parser, `--help` and `docs/cli.md` agree on; [`options`] turns
//! arguments into checked values by the rules of [`values`], [`serve`] turns those into a running
//! server, [`logging`] writes the log lines, [`password`] hashes one. Only the crate's public API is used here.

mod flags;
mod logging;
mod options;
mod password;
mod raw_args;
mod serve;
mod values;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use options::Request;

/// Why the program ends without having served, or stops serving.
#[derive(Debug, PartialEq)]
enum Failure {
    /// The command line is wrong: status 2, and a pointer to `--help`.
    Usage(String),
    /// The system refuses (a port in use, a missing directory): status 1.
    System(String),
}

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

/// Writes to stdout; whoever reads there may have read enough (`ftpdlib --help | head -1`).
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::System(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::System(_) => 1,
        }
    }

    /// The one line for stderr, whatever an argument that it quotes may hold.
    fn line(&self) -> String {
        let (message, pointer) = match self {
            Failure::Usage(message) => (message, "; try 'ftpdlib --help'"),
            Failure::System(message) => (message, ""),
        };
        let shown: String = raw_args::display(message)
            .chars()
            .map(|c| {
                if c.is_control() {
                    c.escape_default().to_string()
                } else {
                    c.to_string()
                }
            })
            .collect();
        format!("ftpdlib: {shown}{pointer}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_status() {
        let usage = Failure::Usage("stray argument 'a\n\u{1b}[31mb'".to_owned());
        assert_eq!(
            usage.line(),
            "ftpdlib: stray argument 'a\\n\\u{1b}[31mb'; try 'ftpdlib --help'"
        );
        assert_eq!(usage.status(), 2);

        let system = Failure::System("cannot resolve 'nowhere'".to_owned());
        assert_eq!(system.line(), "ftpdlib: cannot resolve 'nowhere'");
        assert_eq!(system.status(), 1);
    }
}
