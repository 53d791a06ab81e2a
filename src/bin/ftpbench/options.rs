//! The command line: arguments become a checked plan here, or one line that says what is wrong.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use getopts::{Matches, Options};

use crate::rows::ROWS;

/// The name for `-b` of what is measured beside idle clients.
const IDLE: &str = "idle";

/// What to do.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Measure(Box<Plan>),
}

/// Which server to measure, and how much of it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One that runs; `None` starts an `ftpdlib`.
    pub(crate) server: Option<Running>,
    /// Bytes of the large file.
    pub(crate) size: u64,
    /// Idle clients.
    pub(crate) clients: u64,
    /// Runs of each row; the rest are repetitions within a run.
    pub(crate) runs: u64,
    pub(crate) logins: u64,
    pub(crate) noops: u64,
    pub(crate) segments: u64,
    pub(crate) files: u64,
    pub(crate) lists: u64,
    /// The rows asked for; none means all.
    names: Vec<String>,
}

/// A server that runs already.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) pid: Option<u32>,
}

impl Plan {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|asked| asked == name)
    }

    pub(crate) fn has_idle(&self) -> bool {
        self.clients > 0 && self.has(IDLE)
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .optopt(
            "H",
            "host",
            "server to measure (default: starts an ftpdlib of its own)",
            "HOST",
        )
        .optopt("P", "port", "its port (default: 21)", "PORT")
        .optopt("u", "user", "user who may log in there and write", "USER")
        .optopt(
            "p",
            "password",
            "that user's password (default: empty)",
            "PASSWORD",
        )
        .optopt(
            "k",
            "pid",
            "its process on this machine, for CPU and memory",
            "PID",
        )
        .optflag("q", "quick", "fewer and shorter runs")
        .optopt(
            "s",
            "size",
            "of the large file (default: 1G, quick: 256M)",
            "BYTES[K|M|G]",
        )
        .optopt(
            "n",
            "clients",
            "number of idle clients (default: 10000)",
            "N",
        )
        .optopt("r", "runs", "runs of each row (default: 5, quick: 3)", "N")
        .optmulti("b", "benchmark", "this row only; may be repeated", "ROW")
        .optflag("h", "help", "print this help");
    options
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let usage = options().usage(
        "Usage: ftpbench [options]\n\nMeasure the speed, CPU time and memory of an FTP server.",
    );
    let usage: String = usage
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    let rows = names().join(" ");
    format!("{usage}\nRows: {rows}\nExit status: 0 fine, 1 something failed, 2 wrong usage.\n")
}

fn names() -> Vec<&'static str> {
    ROWS.iter().map(|(name, _)| *name).chain([IDLE]).collect()
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(args: &[String]) -> Result<Request, String> {
    let given = options().parse(args).map_err(|fail| fail.to_string())?;
    if given.opt_present("help") {
        return Ok(Request::Help);
    }
    if let Some(stray) = given.free.first() {
        return Err(format!("stray argument '{stray}'"));
    }
    let names = given.opt_strs("benchmark");
    if let Some(unknown) = names
        .iter()
        .find(|name| !self::names().contains(&name.as_str()))
    {
        let known = self::names().join(", ");
        return Err(format!("--benchmark: '{unknown}' is none of {known}"));
    }
    let full_or = |full, quick| {
        if given.opt_present("quick") {
            quick
        } else {
            full
        }
    };
    Ok(Request::Measure(Box::new(Plan {
        server: running(&given)?,
        size: match given.opt_str("size") {
            Some(text) => size(&text).ok_or(format!("--size: '{text}' is no size such as 10M"))?,
            None => full_or(1 << 30, 256 << 20),
        },
        clients: number(&given, "clients", 0..=1_000_000)?.unwrap_or(10_000),
        runs: number(&given, "runs", 1..=1_000)?.unwrap_or(full_or(5, 3)),
        logins: full_or(2_000, 500),
        noops: full_or(20_000, 5_000),
        segments: full_or(2_000, 500),
        files: full_or(1_000, 500),
        lists: full_or(10, 3),
        names,
    })))
}

fn running(given: &Matches) -> Result<Option<Running>, String> {
    let Some(host) = given.opt_str("host") else {
        let needing = ["port", "user", "password", "pid"];
        return match needing.iter().find(|flag| given.opt_present(flag)) {
            Some(flag) => Err(format!("--{flag} needs --host")),
            None => Ok(None),
        };
    };
    Ok(Some(Running {
        host,
        port: number(given, "port", 1..=u16::MAX)?.unwrap_or(21),
        user: given.opt_str("user").ok_or("--host needs --user")?,
        password: given.opt_str("password").unwrap_or_default(),
        pid: number(given, "pid", 1..=u32::MAX)?,
    }))
}

/// The value of a flag that takes a whole number.
fn number<T>(given: &Matches, flag: &str, range: RangeInclusive<T>) -> Result<Option<T>, String>
where
    T: FromStr + PartialOrd + Display,
{
    let check = |text: String| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.ok_or(format!(
            "--{flag}: '{text}' is no number from {least} to {most}"
        ))
    };
    given.opt_str(flag).map(check).transpose()
}

/// `1000`, `10K`, `256M`, `1G`.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M' | 'm') => (&text[..at], 20),
        (at, 'G' | 'g') => (&text[..at], 30),
        _ => (text, 0),
    };
    let size = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    (size > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Request, String> {
        parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    fn plan(line: &str) -> Plan {
        match parse_line(line) {
            Ok(Request::Measure(plan)) => *plan,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_flags_all_is_measured() {
        let plan = plan("");
        assert!(plan.server.is_none() && plan.has("retr") && plan.has_idle());
        assert_eq!((plan.size, plan.clients, plan.runs), (1 << 30, 10_000, 5));
    }

    #[test]
    fn flags_reach_the_plan() {
        let plan = plan("-q -s 10M -n 300 -b idle -b noop -H ::1 -P 2121 -u bob -p x -k 7");
        assert!(!plan.has("retr") && plan.has("noop") && plan.has_idle());
        assert_eq!((plan.size, plan.clients, plan.runs), (10 << 20, 300, 3));
        let server = plan.server.expect("a server");
        assert_eq!(
            (server.host.as_str(), server.port, server.pid),
            ("::1", 2121, Some(7))
        );
        assert_eq!(
            (server.user.as_str(), server.password.as_str()),
            ("bob", "x")
        );
        assert!(!self::plan("-n 0 -b idle").has_idle());
    }

    #[test]
    fn wrong_flags_are_told() {
        for (line, message) in [
            ("-H ::1", "--host needs --user"),
            ("-k 7", "--pid needs --host"),
            ("-r 0", "--runs: '0' is no number from 1 to 1000"),
            (
                "-H h -u u -P 65536",
                "--port: '65536' is no number from 1 to 65535",
            ),
            ("-s 0", "--size: '0' is no size such as 10M"),
            (
                "-s 99999999999G",
                "--size: '99999999999G' is no size such as 10M",
            ),
            ("-s \u{fc}", "--size: '\u{fc}' is no size such as 10M"),
            ("x", "stray argument 'x'"),
        ] {
            assert_eq!(parse_line(line).unwrap_err(), message);
        }
        let unknown = parse_line("-b nop").unwrap_err();
        assert!(
            unknown.starts_with("--benchmark: 'nop' is none of retr, stor,"),
            "{unknown}"
        );
    }

    #[test]
    fn help_fits_eighty_columns_and_names_the_rows() {
        let help = help();
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
        assert!(help.contains("pipeline small list idle"));
    }
}
