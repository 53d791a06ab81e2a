//! All that was measured. Its forms, besides the lines on standard output, are in the files of this
//! folder.

mod goals;
mod json;
mod machine;
mod markdown;
mod publish;
mod svg;

use crate::contest::{BARE, OURS, Outcome};
use crate::figures::{Figures, Measured};
use crate::idle::Memory;
pub(crate) use machine::Machine;

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) servers: Vec<Version>,
    /// A line for each thing that could not be had.
    pub(crate) absent: Vec<String>,
    /// Servers whose FTPS is of another version than the rest's.
    pub(crate) other_tls: Vec<String>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) memories: Vec<Memory>,
}

/// A server that was measured.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) version: String,
    /// How it is started, word for word.
    pub(crate) script: String,
}

impl Report {
    /// Whether nothing failed; what other servers do not have is no failure.
    pub(crate) fn is_fine(&self) -> bool {
        let results = self.outcomes.iter().flat_map(|outcome| &outcome.results);
        let results = results.map(|(name, measured)| (name, measured));
        let idle = self.memories.iter();
        let idle = idle.map(|memory| (&memory.server, &memory.logins));
        results
            .chain(idle)
            .filter(|(name, _)| self.servers.is_empty() || *name == OURS)
            .all(|(_, measured)| measured.failure.is_none())
    }

    pub(crate) fn outcome(&self, row: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.row == row)
    }

    /// A server's median of a figure in a row.
    fn median(&self, row: &str, server: &str, figure: fn(&Measured) -> Figures) -> Option<f64> {
        figure(self.outcome(row)?.of(server)?).median()
    }

    /// The other servers' medians of a figure in a row, from the least on.
    fn peers(&self, row: &str, figure: fn(&Measured) -> Figures) -> Vec<(f64, &str)> {
        let results = self
            .outcome(row)
            .map_or(&[][..], |outcome| &outcome.results);
        let others = results
            .iter()
            .filter(|(name, _)| name != OURS && !name.starts_with(BARE));
        let mut medians: Vec<_> = others
            .filter_map(|(name, measured)| Some((figure(measured).median()?, name.as_str())))
            .collect();
        medians.sort_by(|one, other| one.0.total_cmp(&other.0));
        medians
    }
}

/// A report to try the forms with.
#[cfg(test)]
pub(crate) fn sample() -> Report {
    use std::time::Duration;

    use crate::figures::{Sample, Unit};

    let measured = |cpu: u64, wall: u64| Measured {
        samples: vec![Sample {
            amount: 1 << 30,
            wall: Duration::from_millis(wall),
            cpu: Some(Duration::from_millis(cpu)),
            client: Some(Duration::from_millis(wall / 2)),
            unevenness: None,
        }],
        ..Measured::default()
    };
    let failed = Measured {
        failure: Some("it has <none>".to_owned()),
        ..Measured::default()
    };
    let named = |name: &str, measured| (name.to_owned(), measured);
    let server = |name: &str| Version {
        name: name.to_owned(),
        version: format!("{name} \"1\""),
        script: "#!/bin/sh\n".to_owned(),
    };
    Report {
        machine: Machine::default(),
        servers: ["ftpdlib", "theirs", "other", "bare-splice"]
            .map(server)
            .into(),
        other_tls: Vec::new(),
        absent: vec!["unftp is left out: not built".to_owned()],
        outcomes: vec![
            Outcome {
                row: "stor".to_owned(),
                title: "STOR, 1 GiB file".to_owned(),
                unit: Unit::Bytes,
                results: vec![
                    named("ftpdlib", measured(400, 500)),
                    named("theirs", measured(500, 400)),
                    named("other", failed),
                    named("bare-splice", measured(390, 400)),
                ],
            },
            Outcome {
                row: "noop".to_owned(),
                title: "NOOP".to_owned(),
                unit: Unit::Each,
                results: vec![
                    named("ftpdlib", measured(100, 100)),
                    named("theirs", measured(110, 100)),
                ],
            },
        ],
        memories: vec![
            Memory {
                server: "ftpdlib".to_owned(),
                tls: false,
                clients: 10_000,
                sizes: Some((1 << 20, (1 << 20) + 12_000_000)),
                logins: measured(300, 1000),
            },
            Memory {
                server: "theirs".to_owned(),
                tls: false,
                clients: 300,
                sizes: Some((1 << 20, 101 << 20)),
                logins: Measured::default(),
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_fail_at_is_no_failure_of_ours() {
        let fails = |of: &str| {
            let mut report = sample();
            let mut memories = report.memories.iter_mut();
            let memory = memories.find(|memory| memory.server == of).unwrap();
            memory.logins.failure = Some("gone".to_owned());
            !report.is_fine()
        };
        assert!(sample().is_fine());
        assert_eq!((fails("theirs"), fails(OURS)), (false, true));
    }
}
