//! The monotonic clock as a number, for those who are told it in that form.

/// Microseconds of `CLOCK_MONOTONIC`, the same in every process.
pub(crate) fn monotonic_micros() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    // Of 32 or 64 bits, and not negative.
    let [seconds, nanos] = [now.tv_sec.try_into(), now.tv_nsec.try_into()]
        .map(|number: Result<u64, _>| number.unwrap_or(0));
    seconds * 1_000_000 + nanos / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let before = monotonic_micros();
        assert!(before > 0 && monotonic_micros() >= before);
    }
}
