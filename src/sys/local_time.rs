//! The machine's time zone: `TZ` or `/etc/localtime` by `localtime_r(3)`, on Windows that of its
//! settings.

/// How many seconds local time was ahead of UTC at that moment (seconds since 1970 UTC). 0 where
/// the system cannot tell.
#[cfg(all(
    unix,
    not(any(target_os = "solaris", target_os = "illumos", target_os = "aix"))
))]
pub(crate) fn utc_offset(seconds: i64) -> i32 {
    use std::mem::MaybeUninit;
    use std::sync::Once;

    static ZONE: Once = Once::new();
    // SAFETY: it only reads the environment, and nothing of ours writes that.
    ZONE.call_once(|| unsafe { tzset() });

    #[allow(
        clippy::useless_conversion,
        irrefutable_let_patterns,
        reason = "time_t has 32 bits on some systems"
    )]
    let Ok(time) = seconds.try_into() else {
        return 0;
    };
    let mut parts = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are of locals.
    if unsafe { libc::localtime_r(&time, parts.as_mut_ptr()) }.is_null() {
        return 0;
    }
    // SAFETY: on success it has filled them in.
    let parts = unsafe { parts.assume_init() };
    parts.tm_gmtoff.try_into().unwrap_or(0)
}

#[cfg(all(
    unix,
    not(any(target_os = "solaris", target_os = "illumos", target_os = "aix"))
))]
unsafe extern "C" {
    // POSIX: `localtime_r` need not look at the zone without it.
    fn tzset();
}

/// How many seconds local time was ahead of UTC at that moment, by today's rules for summer time. 0
/// where the system cannot tell.
#[cfg(windows)]
pub(crate) fn utc_offset(seconds: i64) -> i32 {
    use std::ptr;

    use windows_sys::Win32::Foundation::{FILETIME, SYSTEMTIME};
    use windows_sys::Win32::System::Time::{
        FileTimeToSystemTime, SystemTimeToFileTime, SystemTimeToTzSpecificLocalTime,
    };

    /// Ticks, of 100 nanoseconds, of a second.
    const TICKS: u64 = 10_000_000;
    /// Seconds from 1601, where this system's time begins, to 1970.
    const TO_1970: i64 = 11_644_473_600;

    let since_1601 = seconds
        .checked_add(TO_1970)
        .and_then(|s| u64::try_from(s).ok());
    let Some(ticks) = since_1601.and_then(|seconds| seconds.checked_mul(TICKS)) else {
        return 0;
    };
    let utc = FILETIME {
        dwLowDateTime: ticks as u32,
        dwHighDateTime: (ticks >> 32) as u32,
    };
    let (mut parts, mut local_parts) = (SYSTEMTIME::default(), SYSTEMTIME::default());
    let mut local = FILETIME::default();
    // SAFETY: all pointers are of locals; none for the zone means the present one.
    let done = unsafe {
        FileTimeToSystemTime(&utc, &mut parts) != 0
            && SystemTimeToTzSpecificLocalTime(ptr::null(), &parts, &mut local_parts) != 0
            && SystemTimeToFileTime(&local_parts, &mut local) != 0
    };
    if !done {
        return 0;
    }
    let local = u64::from(local.dwHighDateTime) << 32 | u64::from(local.dwLowDateTime);
    let ahead = (local / TICKS).cast_signed() - (ticks / TICKS).cast_signed();
    ahead.try_into().unwrap_or(0)
}

/// How many seconds local time was ahead of UTC at that moment: no telling on this system.
#[cfg(not(any(
    windows,
    all(
        unix,
        not(any(target_os = "solaris", target_os = "illumos", target_os = "aix"))
    )
)))]
pub(crate) fn utc_offset(_seconds: i64) -> i32 {
    0
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_a_zone_s() {
        for moment in [0, 1_700_000_000] {
            let ahead = utc_offset(moment);
            assert!(ahead % 900 == 0 && ahead.abs() <= 14 * 3600, "{ahead}");
        }
        for moment in [i64::MIN, -11_644_473_601, i64::MAX] {
            assert_eq!(utc_offset(moment), 0);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "FTPDLIB_TEST_UTC_OFFSET";

    /// The offsets at each of `seconds`, as a process of its own finds them under that `TZ`.
    fn offsets(zone: &str, seconds: &str) -> String {
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = format!("{module}::the_offset_is_that_of_the_zone_at_the_moment");
        let output = Command::new(std::env::current_exe().unwrap())
            .args([name.as_str(), "--exact", "--nocapture"])
            .envs([("TZ", zone), (CHILD, seconds)])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let start = text.find('<').unwrap_or_else(|| panic!("{zone}: {text}"));
        text[start + 1..]
            .split('>')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn the_offset_is_that_of_the_zone_at_the_moment() {
        if let Ok(seconds) = std::env::var(CHILD) {
            let seconds = seconds.split(' ').map(|text| text.parse().unwrap());
            let told: Vec<String> = seconds.map(|s| utc_offset(s).to_string()).collect();
            eprint!("<{}>", told.join(" "));
            return;
        }
        assert_eq!(offsets("UTC0", "0 1700000000 -1"), "0 0 0");
        assert_eq!(offsets("HERE-05:45", "0 1700000000"), "20700 20700");
        assert_eq!(offsets("THERE9:30", "0"), "-34200");
        // Winter and summer of 2023, the last second of winter time and the first of summer time.
        let moments = "1675000000 1690000000 1679792399 1679792400";
        let zone = "CET-1CEST,M3.5.0/2,M10.5.0/3";
        assert_eq!(offsets(zone, moments), "3600 7200 3600 7200");
        assert_eq!(offsets(zone, &format!("{} {}", i64::MAX, i64::MIN)), "0 0");
    }
}
