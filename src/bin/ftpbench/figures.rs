//! From samples to figures: medians, spread, units, and how people write them.

use std::time::Duration;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    /// Bytes, shown as MB (10^6) per second and CPU seconds per GiB (2^30).
    Bytes,
    /// Anything else, shown per second and in CPU microseconds each.
    Each,
}

impl Unit {
    /// The speed's unit, and what things per second are multiplied by for it.
    pub(crate) fn speed(self) -> (&'static str, f64) {
        match self {
            Unit::Bytes => ("MB/s", 1e-6),
            Unit::Each => ("/s", 1.0),
        }
    }

    /// The cost's unit, and what seconds for each are multiplied by for it.
    pub(crate) fn cost(self) -> (&'static str, f64) {
        match self {
            Unit::Bytes => ("s/GiB", 1_073_741_824.0),
            Unit::Each => ("us each", 1e6),
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// How many bytes or other things it was.
    pub(crate) amount: u64,
    pub(crate) wall: Duration,
    /// Of the server, when it is known.
    pub(crate) cpu: Option<Duration>,
    /// Of this program: where it is nearly all of `wall`, the server was not all that was measured.
    pub(crate) client: Option<Duration>,
    /// See `rows::kind::Done`.
    pub(crate) unevenness: Option<f64>,
}

/// What was measured of one row at one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) samples: Vec<Sample>,
    pub(crate) note: Option<String>,
    /// Why there are no samples, or no more.
    pub(crate) failure: Option<String>,
}

impl Measured {
    /// Things per second.
    pub(crate) fn speed(&self) -> Figures {
        self.figures(|sample| Some(per(sample.amount, sample.wall)))
    }

    /// CPU seconds of the server for each thing.
    pub(crate) fn cost(&self) -> Figures {
        self.figures(|sample| Some(1.0 / per(sample.amount, sample.cpu?)))
    }

    /// How busy the client was, in parts of the time.
    pub(crate) fn client(&self) -> Figures {
        self.figures(|sample| Some(sample.client?.as_secs_f64() / sample.wall.as_secs_f64()))
    }

    pub(crate) fn unevenness(&self) -> Figures {
        self.figures(|sample| sample.unevenness)
    }

    fn figures(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Figures {
        // Half a row is no row: what went wrong may have made the rest cheap.
        let samples = if self.failure.is_none() {
            &self.samples[..]
        } else {
            &[]
        };
        let figures = samples
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
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn median(&self) -> Option<f64> {
        let Figures(sorted) = self;
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some((lower + upper) / 2.0)
    }

    /// How far the runs are apart, in parts of the median.
    pub(crate) fn spread(&self) -> Option<f64> {
        match self.0[..] {
            [least, .., most] => Some((most - least) / self.median()?),
            _ => None,
        }
    }

    /// The median with its unit, or a dash.
    pub(crate) fn show(&self, (unit, factor): (&str, f64)) -> String {
        match self.median() {
            Some(median) => format!("{} {unit}", number(median * factor)),
            None => "-".to_owned(),
        }
    }
}

/// A part of one in percent.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
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
    grouped(whole) + rest
}

/// A whole number in groups.
pub(crate) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(whole: &str) -> String {
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
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

    fn measured(samples: &[(u64, u64, Option<u64>)]) -> Measured {
        let samples = samples.iter().map(|&(amount, wall, cpu)| Sample {
            amount,
            wall: Duration::from_millis(wall),
            cpu: cpu.map(Duration::from_millis),
            client: None,
            unevenness: None,
        });
        Measured {
            samples: samples.collect(),
            ..Measured::default()
        }
    }

    fn shown(measured: &Measured, unit: Unit) -> [String; 2] {
        [
            measured.speed().show(unit.speed()),
            measured.cost().show(unit.cost()),
        ]
    }

    #[test]
    fn figures_are_medians() {
        let runs = measured(&[
            (1000, 500, Some(20)),
            (1000, 100, Some(10)),
            (1000, 400, Some(12)),
        ]);
        assert_eq!(shown(&runs, Unit::Each), ["2,500 /s", "12.0 us each"]);
        assert_eq!(runs.cost().spread().map(percent).unwrap(), "83 %");
        let gib = 1 << 30;
        let runs = measured(&[(gib, 1000, Some(250)), (gib, 1000, Some(350))]);
        assert_eq!(shown(&runs, Unit::Bytes), ["1,074 MB/s", "0.30 s/GiB"]);
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!(
            shown(&measured(&[(10, 1000, None)]), Unit::Each),
            ["10.0 /s", "-"]
        );
        assert_eq!(shown(&measured(&[]), Unit::Each), ["-", "-"]);
        let one = measured(&[(10, 1000, Some(0))]);
        assert_eq!(shown(&one, Unit::Each), ["10.0 /s", "0.00 us each"]);
        assert_eq!(one.cost().spread(), None);
    }

    #[test]
    fn a_failure_takes_the_other_runs_along() {
        let mut runs = measured(&[(10, 1000, Some(10))]);
        runs.failure = Some("gone".to_owned());
        assert_eq!(shown(&runs, Unit::Each), ["-", "-"]);
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
    fn counts_have_no_decimals() {
        assert_eq!(
            [7, 300, 10_000, 1_000_000].map(count),
            ["7", "300", "10,000", "1,000,000"]
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
