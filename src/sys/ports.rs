//! The ports that the system gives out by itself.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// What IANA sets aside (RFC 6335, 6).
const DYNAMIC: RangeInclusive<u16> = 49152..=65535;

/// The range of ephemeral ports: on Linux as it is set there, when it is first asked for; elsewhere
/// 49152 to 65535.
pub(crate) fn ephemeral() -> RangeInclusive<u16> {
    static RANGE: OnceLock<RangeInclusive<u16>> = OnceLock::new();
    let range = RANGE.get_or_init(|| {
        let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        setting.ok().as_deref().and_then(parse).unwrap_or(DYNAMIC)
    });
    range.clone()
}

fn parse(setting: &str) -> Option<RangeInclusive<u16>> {
    let mut ports = setting.split_ascii_whitespace().map(str::parse);
    let range = ports.next()?.ok()?..=ports.next()?.ok()?;
    (!range.is_empty() && *range.start() > 0).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        assert_eq!(parse("32768\t60999\n"), Some(32768..=60999));
        for bad in ["", "1", "x y", "5 4", "0 9", "1 65536"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert!(!ephemeral().is_empty());
    }
}
