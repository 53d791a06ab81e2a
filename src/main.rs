//! The `ftpdlib` program: shares a directory over FTP. All of it is in [`cli`]; see `--help`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().skip(1))
}
