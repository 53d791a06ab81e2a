//! The command line: arguments become a checked plan here, or one line that says what is wrong.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use getopts::{Matches, Options};

use crate::plan::{Compare, IDLE, Plan, Request, Running, Target};
use crate::rows::ROWS;

/// Names for `-b` that stand for several rows; the words are pyftpdlib's.
const GROUPS: [(&str, &[&str]); 4] = [
    ("download", &["retr"]),
    ("upload", &["stor"]),
    ("transfer", &["stor", "retr"]),
    (
        "concurrence",
        &[
            "many-login",
            "idle-stor",
            "idle-retr",
            "many-retr",
            "many-stor",
            "many-quit",
        ],
    ),
];

fn options() -> Options {
    let mut options = Options::new();
    for (short, long, what, value) in [
        (
            "H",
            "host",
            "server to measure (default: starts an ftpdlib of its own)",
            "HOST",
        ),
        ("P", "port", "its port (default: 21)", "PORT"),
        ("u", "user", "user who may log in there and write", "USER"),
        (
            "p",
            "password",
            "that user's password (default: empty)",
            "PASSWORD",
        ),
        ("C", "directory", "the folder there to work in", "DIR"),
        (
            "k",
            "pid",
            "its process on this machine, for CPU and memory",
            "PID",
        ),
        (
            "t",
            "timeout",
            "how long it may say nothing (default: 60)",
            "SECS",
        ),
        (
            "s",
            "size",
            "of the large file (default: 1G, quick: 256M)",
            "BYTES[K|M|G]",
        ),
        (
            "n",
            "clients",
            "clients at once (default: 300, quick: 100)",
            "N",
        ),
        (
            "",
            "idle",
            "idle clients (default: 10000, quick: 2000)",
            "N",
        ),
        (
            "r",
            "runs",
            "runs of each row (default: 5, and 11 of the short ones; quick: 3)",
            "N",
        ),
        ("", "json", "write the results to this file", "FILE"),
        ("", "svg", "write plots to this folder", "DIR"),
        (
            "",
            "markdown",
            "write the results into this file, between its marks",
            "FILE",
        ),
        (
            "",
            "compare",
            "measure the servers that the scripts of this folder run, side by side",
            "DIR",
        ),
        (
            "",
            "server-cpu",
            "the processor that a started server runs on",
            "N",
        ),
        ("", "client-cpu", "the one that ftpbench runs on", "N"),
        (
            "",
            "certificate",
            "with --compare: their certificate, for FTPS",
            "FILE",
        ),
        ("", "key", "with --compare: its key", "FILE"),
    ] {
        options.optopt(short, long, what, value);
    }
    options
        .optflag("S", "tls", "FTPS, explicit; control and data connections")
        .optflag("", "ssl", "the same")
        .optflag("", "tls-implicit", "FTPS from the first byte on")
        .optflag("q", "quick", "fewer and shorter runs")
        .optmulti("b", "benchmark", "this row only; may be repeated", "ROW")
        .optmulti(
            "",
            "server",
            "with --compare: this server only; may be repeated",
            "NAME",
        )
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
    let mut rows = String::from("Rows:");
    let mut width = rows.len();
    for name in names() {
        if width + 1 + name.len() > 80 {
            rows.push_str("\n     ");
            width = 5;
        }
        rows = rows + " " + name;
        width += 1 + name.len();
    }
    let groups: String = GROUPS
        .iter()
        .map(|(group, rows)| format!("  {group}: {}\n", rows.join(" ")))
        .collect();
    format!(
        "{usage}\n{rows}\nor all, or\n{groups}\
         Exit status: 0 fine, 1 something failed, 2 wrong usage.\n"
    )
}

fn names() -> Vec<&'static str> {
    ROWS.iter().map(|kind| kind.name).chain([IDLE]).collect()
}

/// The rows that the arguments of `-b` name.
fn asked(given: &Matches) -> Result<Vec<String>, String> {
    let mut asked = Vec::new();
    for name in given.opt_strs("benchmark") {
        let group = GROUPS.iter().find(|(group, _)| *group == name);
        if let Some((_, rows)) = group {
            asked.extend(rows.iter().map(|row| (*row).to_owned()));
        } else if name == "all" {
            asked.extend(names().into_iter().map(str::to_owned));
        } else if names().contains(&name.as_str()) {
            asked.push(name);
        } else {
            let known = names().join(", ");
            return Err(format!("--benchmark: '{name}' is none of {known}"));
        }
    }
    Ok(asked)
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
    let full_or = |full, quick| {
        if given.opt_present("quick") {
            quick
        } else {
            full
        }
    };
    let runs = number(&given, "runs", 1..=1_000)?;
    let idle = number(&given, "idle", 0..=100_000)?.unwrap_or(full_or(10_000, 2_000));
    let path = |flag| given.opt_str(flag).map(PathBuf::from);
    Ok(Request::Measure(Box::new(Plan {
        target: target(&given)?,
        tls: ["tls", "ssl", "tls-implicit"]
            .iter()
            .any(|flag| given.opt_present(flag)),
        server_cpu: number(&given, "server-cpu", 0..=4095)?,
        client_cpu: number(&given, "client-cpu", 0..=4095)?,
        size: match given.opt_str("size") {
            Some(text) => size(&text).ok_or(format!("--size: '{text}' is no size such as 10M"))?,
            None => full_or(1 << 30, 256 << 20),
        },
        many: number(&given, "clients", 1..=10_000)?.unwrap_or(full_or(300, 100)),
        idle,
        most_idle: full_or(5, 1) * idle,
        runs: runs.unwrap_or(full_or(5, 3)),
        short_runs: runs.unwrap_or(full_or(11, 3)),
        logins: full_or(10_000, 200),
        noops: full_or(100_000, 5_000),
        segments: full_or(20_000, 500),
        files: full_or(3_200, 480),
        lists: full_or(10, 3),
        patience: Duration::from_secs(number(&given, "timeout", 1..=3600)?.unwrap_or(60)),
        json: path("json"),
        svg: path("svg"),
        markdown: path("markdown"),
        names: asked(&given)?,
    })))
}

/// A flag that is given although it needs another one that is not.
fn needing(given: &Matches, other: &str, flags: &[&str]) -> Result<(), String> {
    match flags.iter().find(|flag| given.opt_present(flag)) {
        Some(flag) if !given.opt_present(other) => Err(format!("--{flag} needs --{other}")),
        _ => Ok(()),
    }
}

fn target(given: &Matches) -> Result<Target, String> {
    let of_running = [
        "port",
        "user",
        "password",
        "directory",
        "pid",
        "tls-implicit",
    ];
    needing(given, "host", &of_running)?;
    let of_compare = ["server", "certificate", "key", "markdown"];
    needing(given, "compare", &of_compare)?;
    if given.opt_present("host") {
        let started = ["server-cpu", "compare"];
        if let Some(flag) = started.iter().find(|flag| given.opt_present(flag)) {
            return Err(format!(
                "--{flag} is for servers that are started, --host for one that runs"
            ));
        }
    }
    needing(given, "key", &["certificate"])?;
    needing(given, "certificate", &["key"])?;
    if let Some(scripts) = given.opt_str("compare") {
        needing(given, "certificate", &["tls", "ssl"])?;
        return Ok(Target::Compare(Compare {
            scripts: scripts.into(),
            names: given.opt_strs("server"),
            certificate: given.opt_str("certificate").map(PathBuf::from),
            key: given.opt_str("key").map(PathBuf::from),
        }));
    }
    let Some(host) = given.opt_str("host") else {
        return Ok(Target::Own);
    };
    Ok(Target::Running(Running {
        host,
        port: number(given, "port", 1..=u16::MAX)?.unwrap_or(21),
        user: given.opt_str("user").ok_or("--host needs --user")?,
        password: given.opt_str("password").unwrap_or_default(),
        folder: given.opt_str("directory"),
        implicit: given.opt_present("tls-implicit"),
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
        assert!(matches!(plan.target, Target::Own) && plan.has("retr") && plan.has(IDLE));
        assert_eq!((plan.size, plan.idle), (1 << 30, 10_000));
        assert_eq!((plan.runs, plan.short_runs), (5, 11));
        assert!(!plan.tls);
    }

    #[test]
    fn flags_reach_the_plan() {
        let plan = plan(
            "-q -s 10M -n 30 --idle 9 -b idle -b noop -H ::1 -P 2121 -u bob -p x -k 7 -S -t 9",
        );
        assert!(!plan.has("retr") && plan.has("noop") && plan.has(IDLE) && plan.tls);
        assert_eq!(
            (plan.size, plan.many, plan.idle, plan.runs),
            (10 << 20, 30, 9, 3)
        );
        assert_eq!(plan.short_runs, 3);
        assert_eq!(plan.patience.as_secs(), 9);
        let Target::Running(server) = plan.target else {
            panic!("no server");
        };
        assert_eq!(
            (server.host.as_str(), server.port, server.pid),
            ("::1", 2121, Some(7))
        );
        assert_eq!(
            (
                server.user.as_str(),
                server.password.as_str(),
                server.implicit
            ),
            ("bob", "x", false)
        );
    }

    #[test]
    fn groups_stand_for_their_rows() {
        let plan = self::plan("-b transfer");
        assert!(plan.has("stor") && plan.has("retr") && !plan.has("noop"));
        assert!(self::plan("-b all").has("noop"));
        let all = names();
        for (group, rows) in GROUPS {
            assert!(rows.iter().all(|row| all.contains(row)), "{group}");
        }
    }

    #[test]
    fn a_comparison_is_asked_for() {
        let plan = plan("--compare d --server a --server b --server-cpu 1 --certificate c --key k");
        assert_eq!((plan.server_cpu, plan.client_cpu), (Some(1), None));
        let Target::Compare(compare) = plan.target else {
            panic!("no comparison");
        };
        assert_eq!(compare.scripts, PathBuf::from("d"));
        assert_eq!(compare.names, ["a", "b"]);
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
            ("--server a", "--server needs --compare"),
            ("--compare d --key k", "--key needs --certificate"),
            ("--compare d --tls", "--tls needs --certificate"),
            (
                "-H h -u u --server-cpu 1",
                "--server-cpu is for servers that are started, --host for one that runs",
            ),
            ("--tls-implicit", "--tls-implicit needs --host"),
        ] {
            assert_eq!(parse_line(line).unwrap_err(), message);
        }
        let unknown = parse_line("-b nop").unwrap_err();
        assert!(
            unknown.starts_with("--benchmark: 'nop' is none of stor, retr,"),
            "{unknown}"
        );
    }

    #[test]
    fn help_fits_eighty_columns_and_names_the_rows() {
        let help = help();
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
        assert!(help.contains("pipeline list mlsd") && help.contains("many-quit idle"));
    }
}
