//! Moments as calendar dates: the time-val of MDTM, MFMT and MLSx (RFC 3659 section 2.3) and the
//! fields that LIST prints.

use std::fmt;

use time::{Date, Month, OffsetDateTime, Time};

/// Which clock on the wall a moment is shown by.
#[derive(Clone, Copy)]
pub enum Zone {
    /// Universal time: what RFC 3659 asks for.
    Utc,
    /// The zone of the machine: given a moment (seconds since 1970 UTC), how many seconds its wall
    /// clock was ahead of universal time then.
    Local(fn(i64) -> i32),
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Zone::Utc => "Utc",
            Zone::Local(_) => "Local",
        })
    }
}

/// A moment as a calendar and a clock on the wall show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Civil {
    /// As `YYYYMMDDHHMMSS`.
    pub fn digits(&self) -> [u8; 14] {
        let [century, year] = [self.year / 100, self.year % 100].map(|n| n as u8);
        let pairs = [
            century,
            year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
        ];
        let mut text = [0; 14];
        for (place, number) in text.chunks_exact_mut(2).zip(pairs) {
            place.copy_from_slice(&pair(number));
        }
        text
    }
}

/// What was made of the last moment: one entry's time is often the next one's too, and what local
/// time was then has to be asked of the system.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last<T>(Option<(i64, T)>);

impl<T: Copy> Last<T> {
    pub(super) fn of(&mut self, seconds: i64, make: impl FnOnce() -> T) -> T {
        match self.0 {
            Some((last, made)) if last == seconds => made,
            _ => self.0.insert((seconds, make())).1,
        }
    }
}

/// Two digits for a number below 100.
pub(super) fn pair(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// The date of a moment in seconds since 1970 UTC; `None` outside the years 0 to 9999.
pub fn civil(seconds: i64, zone: Zone) -> Option<Civil> {
    let ahead = match zone {
        Zone::Utc => 0,
        Zone::Local(offset) => i64::from(offset(seconds)),
    };
    let moment = OffsetDateTime::from_unix_timestamp(seconds.checked_add(ahead)?).ok()?;
    Some(Civil {
        year: u16::try_from(moment.year())
            .ok()
            .filter(|&year| year <= 9999)?,
        month: u8::from(moment.month()),
        day: moment.day(),
        hour: moment.hour(),
        minute: moment.minute(),
        second: moment.second(),
    })
}

/// A moment in seconds since 1970 UTC as `YYYYMMDDHHMMSS`; `None` outside the years 0 to 9999.
pub fn timeval(seconds: i64, zone: Zone) -> Option<String> {
    Some(
        civil(seconds, zone)?
            .digits()
            .map(char::from)
            .iter()
            .collect(),
    )
}

/// Reads `YYYYMMDDHHMMSS` with an optional `.fraction` (cut off) as universal time, in seconds
/// since 1970. The leap second 60 that RFC 3659 allows is the first second of the next minute.
pub fn parse_timeval(text: &[u8]) -> Option<i64> {
    let (stamp, rest) = text.split_at_checked(14)?;
    match rest {
        [] => {}
        [b'.', fraction @ ..] if !fraction.is_empty() && all_digits(fraction) => {}
        _ => return None,
    }
    if !all_digits(stamp) {
        return None;
    }
    let mut pairs = stamp
        .chunks_exact(2)
        .map(|two| (two[0] - b'0') * 10 + (two[1] - b'0'));
    let year = i32::from(pairs.next()?) * 100 + i32::from(pairs.next()?);
    let month = Month::try_from(pairs.next()?).ok()?;
    let date = Date::from_calendar_date(year, month, pairs.next()?).ok()?;
    let (hour, minute, second) = (pairs.next()?, pairs.next()?, pairs.next()?);
    let leap = second == 60;
    let time = Time::from_hms(hour, minute, if leap { 59 } else { second }).ok()?;
    Some(date.with_time(time).assume_utc().unix_timestamp() + i64::from(leap))
}

fn all_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: i64 = -62_167_219_200; // 0000-01-01 00:00:00
    const LAST: i64 = 253_402_300_799; // 9999-12-31 23:59:59

    #[test]
    fn the_last_moment_is_remembered() {
        let (mut last, mut made) = (Last::default(), Vec::new());
        for seconds in [0, 0, 7, -1, -1, 0] {
            let told = last.of(seconds, || {
                made.push(seconds);
                seconds * 2
            });
            assert_eq!(told, seconds * 2);
        }
        assert_eq!(made, [0, 7, -1, 0]);
    }

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "19700101000000"),
            (-1, "19691231235959"),
            (951_827_696, "20000229123456"),
            (1_000_000_000, "20010909014640"),
            (i64::from(u32::MAX), "21060207062815"),
            (FIRST, "00000101000000"),
            (LAST, "99991231235959"),
        ] {
            assert_eq!(timeval(seconds, Zone::Utc).as_deref(), Some(text));
            assert_eq!(parse_timeval(text.as_bytes()), Some(seconds));
        }
    }

    #[test]
    fn moments_without_a_four_digit_year_have_no_text() {
        for seconds in [FIRST - 1, LAST + 1, i64::MIN, i64::MAX] {
            assert_eq!(timeval(seconds, Zone::Utc), None, "{seconds}");
        }
        assert_eq!(timeval(i64::MAX, Zone::Local(|_| 1)), None);
        assert_eq!(timeval(i64::MIN, Zone::Local(|_| i32::MIN)), None);
        assert_eq!(timeval(LAST, Zone::Local(|_| 1)), None);
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        let start = parse_timeval(b"18990101000000").unwrap();
        for day in 0..146_097 {
            let seconds = start + day * 86_400 + day % 86_400;
            let text = timeval(seconds, Zone::Utc).unwrap();
            assert_eq!(parse_timeval(text.as_bytes()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn local_time_asks_for_the_offset_of_that_moment() {
        let summer = Zone::Local(|seconds| if seconds < 1_000 { 3_600 } else { -5_400 });
        assert_eq!(timeval(0, summer).as_deref(), Some("19700101010000"));
        assert_eq!(timeval(7_200, summer).as_deref(), Some("19700101003000"));
        let parts = civil(0, summer).unwrap();
        assert_eq!((parts.year, parts.month, parts.day), (1970, 1, 1));
        assert_eq!((parts.hour, parts.minute, parts.second), (1, 0, 0));
    }

    #[test]
    fn a_fraction_is_read_and_cut_off() {
        assert_eq!(parse_timeval(b"19700101000001.999"), Some(1));
        assert_eq!(parse_timeval(b"19691231235959.5"), Some(-1));
        assert_eq!(
            parse_timeval(b"19700101000001.00000000000000000000000000"),
            Some(1)
        );
    }

    #[test]
    fn a_leap_second_is_the_next_second() {
        assert_eq!(
            parse_timeval(b"20161231235960"),
            parse_timeval(b"20170101000000")
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2001",
            "2001090901464",
            "200109090146400",
            "20010909014640.",
            "20010909014640.1x",
            "20010909014640,1",
            "20010909014640 ",
            " 20010909014640",
            "+2001090901464",
            "-2001090901464",
            "2001090901464x",
            "20010009014640",
            "20011309014640",
            "20010900014640",
            "20010931014640",
            "20010229014640",
            "19000229000000",
            "20010909244640",
            "20010909016040",
            "20010909014661",
            "２００１０９０９０１４６４０",
        ] {
            assert_eq!(parse_timeval(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_timeval(b"2001090901464\0"), None);
        assert_eq!(parse_timeval(&[0xff; 14]), None);
    }
}
