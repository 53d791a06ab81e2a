//! What ftpdlib is meant to reach, beside what was measured.

use crate::contest::{BARE, OURS};
use crate::figures::{Measured, count, number, percent};
use crate::idle::Memory;

use super::Report;

/// A goal, what came of it, and whether that is enough, if it was measured.
#[derive(Debug, PartialEq)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) goal: String,
    pub(super) measured: String,
    pub(super) holds: Option<bool>,
}

impl Goal {
    pub(super) fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        }
    }
}

/// Server CPU at most so many parts of the best other server's.
const COSTS: [(&str, f64); 14] = [
    ("retr", 1.0),
    ("stor", 0.85),
    ("tls-retr", 0.7),
    ("tls-stor", 0.7),
    ("many-retr", 0.9),
    ("many-stor", 0.9),
    ("login", 0.7),
    ("tls-login", 0.6),
    ("small-retr", 0.65),
    ("small-stor", 0.65),
    ("list", 0.4),
    ("mlsd", 0.4),
    ("noop", 0.8),
    ("pipeline", 0.1),
];

/// Server CPU at most so many parts of the best bare loop's.
const BARE_COSTS: [(&str, f64); 4] = [
    ("stor", 1.15),
    ("login", 1.15),
    ("list", 1.15),
    ("mlsd", 1.15),
];

/// Rows in which all clients are to be served evenly: how much more earlier the first may be done, in
/// parts of the whole time, than with the server that is best at it. What the kernel's buffers hold,
/// and the client's own threads, make none even.
const EVEN: [(&str, f64); 2] = [("many-retr", 0.1), ("many-stor", 0.1)];

/// Bytes for each idle client, clear and by TLS.
const MEMORY: [(bool, f64); 2] = [(false, 1.5 * 1024.0), (true, 12.0 * 1024.0)];

/// Clients held by one loop.
const HELD: u64 = 50_000;

/// How much a transfer may cost more beside idle clients.
const BESIDE: f64 = 1.03;

pub(super) fn goals(report: &Report) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (row, limit) in COSTS {
        goals.push(against_peers(report, row, limit));
        if row == "retr" {
            goals.push(speed(report, row));
        }
        for (row, limit) in BARE_COSTS.iter().filter(|(bare, _)| *bare == row) {
            let best = bare(report, row);
            let best = best.as_ref().map(|(cost, name)| (*cost, name.as_str()));
            goals.push(ratio(report, row, *limit, best, "of the best bare loop's"));
        }
        for (row, limit) in EVEN.iter().filter(|(even, _)| *even == row) {
            goals.push(evenness(report, row, *limit));
        }
    }
    goals.extend(MEMORY.map(|(tls, limit)| memory(report, tls, limit)));
    goals.push(held(report));
    goals.push(beside(report));
    goals
}

fn title(report: &Report, row: &str) -> String {
    let outcome = report.outcome(row);
    outcome.map_or_else(|| row.to_owned(), |outcome| outcome.title.clone())
}

fn ratio(report: &Report, row: &str, limit: f64, best: Option<(f64, &str)>, of: &str) -> Goal {
    let ours = report.median(row, OURS, Measured::cost);
    let ratio = ours
        .zip(best)
        .map(|(ours, (best, name))| (ours / best, name));
    Goal {
        what: format!("{}: CPU", title(report, row)),
        goal: format!("at most {limit} {of}"),
        measured: ratio.map_or("-".to_owned(), |(ratio, name)| {
            format!("{ratio:.2} ({name})")
        }),
        holds: ratio.map(|(ratio, _)| ratio <= limit),
    }
}

/// Against the best of those that do the same work; who does another is named if he is better.
fn against_peers(report: &Report, row: &str, limit: f64) -> Goal {
    let mut peers = report.peers(row, Measured::cost);
    let mut others = Vec::new();
    if row.starts_with("tls-") {
        let is_other = |name: &str| report.other_tls.iter().any(|other| other == name);
        others = peers.clone();
        others.retain(|(_, name)| is_other(name));
        peers.retain(|(_, name)| !is_other(name));
    }
    let best = peers.first().copied();
    let mut goal = ratio(report, row, limit, best, "of the best server's");
    let ours = report.median(row, OURS, Measured::cost);
    for ((cost, name), ours) in others.into_iter().zip(ours) {
        if best.is_some_and(|(best, _)| cost < best) {
            goal.measured += &format!("; {:.2} of {name}'s other TLS", ours / cost);
        }
    }
    goal
}

fn bare(report: &Report, row: &str) -> Option<(f64, String)> {
    let results = &report.outcome(row)?.results;
    let loops = results.iter().filter(|(name, _)| name.starts_with(BARE));
    let costs =
        loops.filter_map(|(name, measured)| Some((measured.cost().median()?, name.clone())));
    costs.min_by(|one, other| one.0.total_cmp(&other.0))
}

fn speed(report: &Report, row: &str) -> Goal {
    let ours = report.median(row, OURS, Measured::speed);
    let best = report.peers(row, Measured::speed).last().copied();
    let ratio = ours
        .zip(best)
        .map(|(ours, (best, name))| (ours / best, name));
    Goal {
        what: format!("{}: speed", title(report, row)),
        goal: "at least 1 of the fastest server's".to_owned(),
        measured: ratio.map_or("-".to_owned(), |(ratio, name)| {
            format!("{ratio:.2} ({name})")
        }),
        holds: ratio.map(|(ratio, _)| ratio >= 1.0),
    }
}

fn evenness(report: &Report, row: &str, limit: f64) -> Goal {
    let ours = report.median(row, OURS, Measured::unevenness);
    let best = report.peers(row, Measured::unevenness).first().copied();
    let both = ours.zip(best);
    let shown = |(ours, (best, name))| format!("{} ({name}: {})", percent(ours), percent(best));
    Goal {
        what: format!("{}: first before last", title(report, row)),
        goal: format!("at most {} more than the most even", percent(limit)),
        measured: both.map_or("-".to_owned(), shown),
        holds: both.map(|(ours, (best, _))| ours <= best + limit),
    }
}

/// Ours with the most clients.
fn most(report: &Report, tls: bool) -> Option<&Memory> {
    let ours = report
        .memories
        .iter()
        .filter(|memory| memory.server == OURS && memory.tls == tls);
    ours.filter(|memory| memory.sizes.is_some())
        .max_by_key(|memory| memory.clients)
}

fn memory(report: &Report, tls: bool, limit: f64) -> Goal {
    let most = most(report, tls);
    let each = most.and_then(Memory::each);
    let clients = most.map_or(String::new(), |most| {
        format!(" ({} clients)", count(most.clients))
    });
    let kib = |bytes: f64| format!("{} KiB", number(bytes / 1024.0));
    Goal {
        what: format!("idle client{}: memory", if tls { ", TLS" } else { "" }),
        goal: format!("at most {}", kib(limit)),
        measured: each.map_or("-".to_owned(), |each| kib(each) + &clients),
        holds: each.map(|each| each <= limit),
    }
}

fn held(report: &Report) -> Goal {
    let most = most(report, false).map(|most| most.clients);
    Goal {
        what: "idle clients of one loop".to_owned(),
        goal: count(HELD),
        measured: most.map_or("-".to_owned(), count),
        // Fewer means that fewer were tried: one that fails is no measured one.
        holds: most.filter(|&most| most >= HELD).map(|_| true),
    }
}

fn beside(report: &Report) -> Goal {
    let row = "beside-retr";
    let ours = report.median(row, OURS, Measured::cost);
    let none = report.peers(row, Measured::cost).first().copied();
    let ratio = ours.zip(none).map(|(ours, (none, _))| ours / none);
    Goal {
        what: format!("{}: CPU", title(report, row)),
        goal: format!("at most {BESIDE} of that with none"),
        measured: ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        holds: ratio.map(|ratio| ratio <= BESIDE),
    }
}

/// For standard output: of what was not asked for, nothing; what failed has said so in its row.
pub(super) fn lines(report: &Report) -> String {
    let mut lines = String::new();
    for goal in goals(report).iter().filter(|goal| goal.measured != "-") {
        let verdict = goal.verdict().replace('*', "");
        lines += &format!(
            "\n  {:<44} {:<38} {:<24} {verdict}",
            goal.what, goal.goal, goal.measured
        );
    }
    if lines.is_empty() {
        return lines;
    }
    "\ngoals".to_owned() + &lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(goals: &'a [Goal], what: &str, goal: &str) -> &'a Goal {
        let mut all = goals.iter();
        all.find(|one| one.what == what && one.goal == goal)
            .unwrap_or_else(|| panic!("no {what}: {goal} in {goals:#?}"))
    }

    #[test]
    fn goals_are_held_against_the_best_of_the_others() {
        let goals = goals(&super::super::sample());
        let stor = "STOR, 1 GiB file: CPU";
        let peer = found(&goals, stor, "at most 0.85 of the best server's");
        assert_eq!(
            (peer.measured.as_str(), peer.holds),
            ("0.80 (theirs)", Some(true))
        );
        let bare = found(&goals, stor, "at most 1.15 of the best bare loop's");
        assert_eq!(
            (bare.measured.as_str(), bare.holds),
            ("1.03 (bare-splice)", Some(true))
        );
        let noop = found(&goals, "NOOP: CPU", "at most 0.8 of the best server's");
        assert_eq!(
            (noop.measured.as_str(), noop.verdict()),
            ("0.91 (theirs)", "**no**")
        );
        let memory = found(&goals, "idle client: memory", "at most 1.50 KiB");
        assert_eq!(memory.measured, "1.17 KiB (10,000 clients)");
    }

    #[test]
    fn other_work_is_no_best_but_is_named() {
        let mut report = super::super::sample();
        let row = report.outcomes.first_mut().unwrap();
        row.row = "tls-stor".to_owned();
        let mut faster = row.results[1].1.clone();
        faster.samples[0].cpu = Some(std::time::Duration::from_millis(200));
        row.results.push(("unftp".to_owned(), faster));
        let measured = |report: &Report| {
            let goals = goals(report);
            let goal = "at most 0.7 of the best server's";
            found(&goals, "STOR, 1 GiB file: CPU", goal)
                .measured
                .clone()
        };
        assert_eq!(measured(&report), "2.00 (unftp)");
        report.other_tls.push("unftp".to_owned());
        assert_eq!(
            measured(&report),
            "0.80 (theirs); 2.00 of unftp's other TLS"
        );
    }

    #[test]
    fn what_was_not_asked_for_is_not_shown() {
        assert_eq!(lines(&Report::default()), "");
        let lines = lines(&super::super::sample());
        assert!(lines.contains("idle client: memory") && !lines.contains("tls-stor"));
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let goals = goals(&super::super::sample());
        for (what, goal) in [
            ("list: CPU", "at most 0.4 of the best server's"),
            ("idle clients of one loop", "50,000"),
            ("beside-retr: CPU", "at most 1.03 of that with none"),
        ] {
            assert_eq!(found(&goals, what, goal).verdict(), "not measured");
        }
        assert!(
            super::goals(&Report::default())
                .iter()
                .all(|goal| goal.holds.is_none())
        );
    }
}
