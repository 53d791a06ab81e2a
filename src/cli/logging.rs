//! Log lines on stderr in pyftpdlib's shape, `[I 2026-11-22 12:00:00] message`: in local time, and
//! with the prefix coloured on a terminal. A line that cannot be written (closed pipe, full disk)
//! is lost and nothing else: `env_logger` drops the error. Nor does a pipe that nobody reads stop
//! anything ([`LogPipe`]).

// The library's own file: the `time` crate refuses to tell local time once there are threads, and a
// zone asked for once would miss the change to summer time.
#[path = "../sys/local_time.rs"]
mod local_time;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(unix)]
use env_logger::Target;
use env_logger::WriteStyle;
use env_logger::fmt::style::Style;
use log::{Level, LevelFilter};
use time::{OffsetDateTime, UtcOffset};

#[cfg(unix)]
use super::log_pipe::LogPipe;

/// Starts logging. `RUST_LOG`, when set, decides what is logged; else `debug` does.
pub(super) fn init(debug: bool) {
    let mut builder = env_logger::Builder::new();
    match std::env::var("RUST_LOG") {
        Ok(filters) if !filters.is_empty() => builder.parse_filters(&filters),
        _ => builder.filter_level(if debug {
            LevelFilter::Debug
        } else {
            LevelFilter::Info
        }),
    };
    let may_colour = io::stderr().is_terminal();
    let style = match may_colour {
        // It also looks at NO_COLOR and TERM.
        true => WriteStyle::Auto,
        // No colour is put in below, so none has to be looked for and taken out.
        false => WriteStyle::Always,
    };
    // Without a descriptor to be had it is written to as everything else.
    #[cfg(unix)]
    if let Ok(Some(pipe)) = LogPipe::over(io::stderr(), lost) {
        builder.target(Target::Pipe(Box::new(pipe)));
    }
    builder
        .write_style(style)
        .format(move |out, record| {
            let colour = match may_colour {
                true => out.default_level_style(record.level()),
                false => Style::new(),
            };
            let stamp = stamp(SystemTime::now());
            write_line(
                out,
                colour,
                record.level(),
                &stamp,
                &record.args().to_string(),
            )
        })
        .init();
}

/// The line that says how many were lost.
#[cfg(unix)]
fn lost(count: u64) -> Vec<u8> {
    let mut line = Vec::new();
    let text = format!("{count} log line(s) lost here: whoever reads the log did not keep up");
    // Memory takes all.
    let _ = write_line(&mut line, "", Level::Warn, &stamp(SystemTime::now()), &text);
    line
}

/// The moment in local time, as `2026-11-22 12:00:00`.
fn stamp(moment: SystemTime) -> String {
    let seconds = match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    let local = || {
        let offset = UtcOffset::from_whole_seconds(local_time::utc_offset(seconds)).ok()?;
        OffsetDateTime::from_unix_timestamp(seconds)
            .ok()?
            .checked_to_offset(offset)
    };
    match local() {
        Some(local) => {
            let (year, month, day) = local.to_calendar_date();
            let (hour, minute, second) = local.to_hms();
            let month = u8::from(month);
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
        // A clock gone so wrong that the year has no four digits.
        None => format!("@{seconds}"),
    }
}

/// One record; further lines of its message are indented, so that each record begins with `[`.
///
/// `colour` is written plain before and with `{:#}` after the prefix, as anstyle's styles are.
fn write_line(
    out: &mut impl Write,
    colour: impl Display,
    level: Level,
    stamp: &str,
    message: &str,
) -> io::Result<()> {
    let letter = &level.as_str()[..1];
    writeln!(
        out,
        "{colour}[{letter} {stamp}]{colour:#} {}",
        message.replace('\n', "\n    ")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stamp_is_the_local_date_and_time() {
        let moment = 1_795_348_800; // noon of 2026-11-22, UTC
        let ahead = local_time::utc_offset(moment);
        let shown = stamp(UNIX_EPOCH + Duration::from_secs(moment.cast_unsigned()));
        if ahead == 0 {
            assert_eq!(shown, "2026-11-22 12:00:00");
        }
        assert!(
            shown.len() == 19 && shown.starts_with("2026-11-2"),
            "{shown}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn now_is_what_date_says() {
        let before = stamp(SystemTime::now());
        let date = std::process::Command::new("date")
            .arg("+%Y-%m-%d %H:%M:%S")
            .output()
            .unwrap();
        let after = stamp(SystemTime::now());
        let date = String::from_utf8(date.stdout).unwrap();
        assert!(
            before.as_str() <= date.trim() && date.trim() <= after.as_str(),
            "{date}"
        );
    }

    #[test]
    fn an_absurd_clock_is_no_panic() {
        assert!(stamp(UNIX_EPOCH + Duration::from_secs(1 << 50)).starts_with('@'));
        assert_eq!(
            stamp(UNIX_EPOCH - Duration::from_secs(1 << 50)),
            format!("@-{}", 1u64 << 50)
        );
    }

    #[test]
    fn a_line_is_shaped_as_log_readers_expect() {
        let mut out = Vec::new();
        write_line(
            &mut out,
            "",
            Level::Info,
            "2026-11-22 12:00:00",
            ">>> starting <<<",
        )
        .unwrap();
        write_line(
            &mut out,
            "",
            Level::Warn,
            "2026-11-22 12:00:01",
            "two\nlines",
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "[I 2026-11-22 12:00:00] >>> starting <<<\n\
             [W 2026-11-22 12:00:01] two\n    lines\n"
        );
    }
}
