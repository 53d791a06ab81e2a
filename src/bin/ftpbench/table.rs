//! From samples to the lines of the table: medians, spread, units.

use std::fmt;
use std::time::Duration;

/// What a row counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Bytes, shown as MB (10^6) per second and CPU seconds per GiB (2^30).
    Bytes,
    /// Anything else, shown per second and in CPU microseconds each.
    Each,
}

/// One run.
pub(crate) struct Sample {
    /// How many bytes or other things it was.
    pub(crate) amount: u64,
    pub(crate) wall: Duration,
    /// Of the server, when it is known.
    pub(crate) cpu: Option<Duration>,
}

/// A finished row.
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) samples: Vec<Sample>,
    pub(crate) note: String,
}

/// The line above the rows.
pub(crate) const HEAD: &str =
    "what                                     speed        server CPU  spread  notes";

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let speeds = self.figures(|sample| Some(per(sample.amount, sample.wall)));
        let costs = self.figures(|sample| Some(1.0 / per(sample.amount, sample.cpu?)));
        let (speed, cost) = match self.unit {
            Unit::Bytes => (
                speeds.show(1e-6, "MB/s"),
                costs.show(f64::from(1 << 30), "s/GiB"),
            ),
            Unit::Each => (speeds.show(1.0, "/s"), costs.show(1e6, "us each")),
        };
        // The CPU's is the one to compare; elapsed time depends on the client too.
        let spread = costs.spread().or(speeds.spread());
        let spread = spread.map_or("-".to_owned(), |spread| format!("{:.0} %", spread * 100.0));
        let line = format!(
            "{:<32} {speed:>13} {cost:>17} {spread:>7}  {}",
            self.title, self.note
        );
        out.write_str(line.trim_end())
    }
}

impl Row {
    /// How many of what it counts the server does in a second of CPU time.
    pub(crate) fn per_cpu_second(&self) -> Option<f64> {
        self.figures(|sample| Some(per(sample.amount, sample.cpu?)))
            .median()
    }

    fn figures(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Figures {
        let figures = self
            .samples
            .iter()
            .filter_map(figure)
            .filter(|number| number.is_finite());
        let mut sorted: Vec<_> = figures.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Figures(sorted)
    }
}

fn per(amount: u64, time: Duration) -> f64 {
    amount as f64 / time.as_secs_f64()
}

/// One figure of all runs, sorted.
struct Figures(Vec<f64>);

impl Figures {
    fn median(&self) -> Option<f64> {
        let Figures(sorted) = self;
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some((lower + upper) / 2.0)
    }

    /// How far the runs are apart, in parts of the median.
    fn spread(&self) -> Option<f64> {
        match self.0[..] {
            [least, .., most] => Some((most - least) / self.median()?),
            _ => None,
        }
    }

    fn show(&self, factor: f64, unit: &str) -> String {
        match self.median() {
            Some(median) => format!("{} {unit}", number(median * factor)),
            None => "-".to_owned(),
        }
    }
}

/// Three digits or all of the whole ones, those in groups.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A size as people write it: `256 MiB`, `1 KiB`, `1000 bytes`.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |&(shift, _): &(u32, &str)| bytes > 0 && bytes.trailing_zeros() >= shift;
    match units.into_iter().find(whole) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit, samples: &[(u64, u64, Option<u64>)]) -> Row {
        let samples = samples.iter().map(|&(amount, wall, cpu)| Sample {
            amount,
            wall: Duration::from_millis(wall),
            cpu: cpu.map(Duration::from_millis),
        });
        let (title, note) = ("NOOP".to_owned(), String::new());
        Row {
            title,
            unit,
            samples: samples.collect(),
            note,
        }
    }

    fn words(row: &Row) -> String {
        row.to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_row_shows_medians_and_the_spread_of_the_cpu() {
        let runs = [
            (1000, 500, Some(20)),
            (1000, 100, Some(10)),
            (1000, 400, Some(12)),
        ];
        assert_eq!(
            words(&row(Unit::Each, &runs)),
            "NOOP 2,500 /s 12.0 us each 83 %"
        );
        let gib = 1 << 30;
        let runs = [(gib, 1000, Some(250)), (gib, 1000, Some(350))];
        assert_eq!(
            words(&row(Unit::Bytes, &runs)),
            "NOOP 1,074 MB/s 0.30 s/GiB 33 %"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(
            words(&row(Unit::Each, &[(10, 1000, None)])),
            "NOOP 10.0 /s - -"
        );
        assert_eq!(words(&row(Unit::Each, &[])), "NOOP - - -");
        assert_eq!(
            words(&row(Unit::Each, &[(10, 1000, Some(0))])),
            "NOOP 10.0 /s 0.00 us each -"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0.334, 9.5, 12.345, 999.6, 1234.0, 1_234_567.8].map(number);
        assert_eq!(
            shown,
            ["0.33", "9.50", "12.3", "1,000", "1,234", "1,234,568"]
        );
    }

    #[test]
    fn sizes_have_the_largest_whole_unit() {
        let shown = [0, 1000, 1 << 10, 3 << 20, 256 << 20, 1 << 30].map(size);
        assert_eq!(
            shown,
            [
                "0 bytes",
                "1000 bytes",
                "1 KiB",
                "3 MiB",
                "256 MiB",
                "1 GiB"
            ]
        );
    }
}
