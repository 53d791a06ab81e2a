//! What is shown on standard output: a line for each row at each server.

use crate::contest::Outcome;
use crate::figures::{Measured, Unit, percent};

/// The line above the rows.
pub(crate) const HEAD: &str =
    "what                                        speed        server CPU  spread  notes";

/// The lines of a row: one, or with several servers one for each below the title.
pub(crate) fn lines(outcome: &Outcome) -> String {
    match &outcome.results[..] {
        [(_, measured)] => line(&outcome.title, measured, outcome.unit),
        results => {
            let mut lines = outcome.title.clone();
            for (name, measured) in results {
                lines += "\n";
                lines += &line(&format!("  {name}"), measured, outcome.unit);
            }
            lines
        }
    }
}

fn line(title: &str, measured: &Measured, unit: Unit) -> String {
    if let Some(failure) = &measured.failure {
        return format!("{title:<35} failed: {failure}");
    }
    let (speeds, costs) = (measured.speed(), measured.cost());
    // The CPU's is the one to compare; elapsed time depends on the client too.
    let spread = costs.spread().or(speeds.spread());
    let spread = spread.map_or("-".to_owned(), percent);
    let (speed, cost) = (speeds.show(unit.speed()), costs.show(unit.cost()));
    let uneven = measured.unevenness().median();
    let uneven = uneven.map(|uneven| format!("first {} before last", percent(uneven)));
    let notes = [measured.note.clone(), uneven];
    let notes: Vec<_> = notes.into_iter().flatten().collect();
    let line = format!(
        "{title:<35} {speed:>13} {cost:>17} {spread:>7}  {}",
        notes.join(", ")
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::figures::Sample;

    fn measured(cpu: u64) -> Measured {
        let sample = |cpu, uneven| Sample {
            amount: 1000,
            wall: Duration::from_millis(500),
            cpu: Some(Duration::from_millis(cpu)),
            client: None,
            unevenness: Some(uneven),
        };
        Measured {
            samples: vec![sample(cpu, 0.25), sample(2 * cpu, 0.35)],
            note: Some("a note".to_owned()),
            failure: None,
        }
    }

    fn words(text: &str) -> Vec<String> {
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(line).collect()
    }

    #[test]
    fn one_server_has_a_line_and_several_have_one_each() {
        let mut outcome = Outcome {
            row: "noop".to_owned(),
            title: "NOOP".to_owned(),
            unit: Unit::Each,
            results: vec![("ours".to_owned(), measured(10))],
        };
        let figures = "2,000 /s 15.0 us each 67 % a note, first 30 % before last";
        assert_eq!(words(&lines(&outcome)), [format!("NOOP {figures}")]);
        let failed = Measured {
            failure: Some("gone".to_owned()),
            ..measured(5)
        };
        outcome.results.push(("theirs".to_owned(), failed));
        let expected = ["NOOP", &format!("ours {figures}"), "theirs failed: gone"];
        assert_eq!(words(&lines(&outcome)), expected);
    }
}
