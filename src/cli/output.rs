//! What the program says besides its log: what it was asked for, or why it fails.

use std::io::{self, Write};

use super::raw_args;

/// Why the program ends without having served, or stops serving.
#[derive(Debug, PartialEq)]
pub(super) enum Failure {
    /// The command line is wrong: status 2, and a pointer to `--help`.
    Usage(String),
    /// The system refuses (a port in use, a missing directory): status 1.
    System(String),
}

/// Writes to stdout; whoever reads there may have read enough (`ftpdlib --help | head -1`).
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::System(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

impl Failure {
    pub(super) fn status(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::System(_) => 1,
        }
    }

    /// The one line for stderr, whatever an argument that it quotes may hold.
    pub(super) fn line(&self) -> String {
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
