//! The rules for the values of flags. Each takes the text and gives the value, or a message that
//! follows the flag's name.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ftpdlib::{Encoding, SessionReuse, Workers};

/// A rule.
pub(super) type Rule<T> = fn(&str) -> Result<T, String>;

pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(super) fn whole<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is not {what}"))
}

pub(super) fn count<T: FromStr>(text: &str) -> Result<T, String> {
    whole(text, "a whole number, 0 or more (0 = no limit)")
}

/// Permissions, as chmod(1) takes them.
pub(super) fn octal(text: &str) -> Result<u32, String> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        _ => Err(format!("'{text}' is not an octal number from 0 to 777")),
    }
}

/// A worker model; how many processes is another flag's matter.
pub(super) fn concurrency(text: &str) -> Result<Workers, String> {
    match text {
        "async" => Ok(Workers::Async),
        "multi-thread" => Ok(Workers::MultiThread),
        "multi-proc" => Ok(Workers::MultiProcess),
        "pre-fork" => Ok(Workers::pre_fork()),
        other => Err(format!(
            "'{other}' is none of async, multi-thread, multi-proc, pre-fork"
        )),
    }
}

pub(super) fn worker_count(text: &str) -> Result<usize, String> {
    let most = Workers::MOST;
    match text.parse() {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!(
            "'{text}' is not a number of workers from 1 to {most}"
        )),
    }
}

/// A time of a millisecond to a year, or 0.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    const YEAR: f64 = 366.0 * 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds == 0.0 || (0.001..=YEAR).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds.abs()))
        }
        _ => Err(format!(
            "'{text}' is no time in seconds (0, or 0.001 to {YEAR})"
        )),
    }
}

/// A host to listen on; an IPv6 address may stand in brackets.
pub(super) fn address(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    match bare {
        "" => Err("an address or host name is needed".to_owned()),
        bare => Ok(bare.to_owned()),
    }
}

/// IPv4 or a host name: PASV has room for IPv4 only, and EPSV tells no address.
pub(super) fn nat_address(text: &str) -> Result<String, String> {
    match address(text)? {
        bare if bare.contains(':') => Err(format!("'{text}' is not an IPv4 address or host name")),
        bare => Ok(bare),
    }
}

pub(super) fn masquerade(text: &str) -> Result<(IpAddr, Ipv4Addr), String> {
    text.split_once('=')
        .and_then(|(private, public)| Some((private.parse().ok()?, public.parse().ok()?)))
        .ok_or_else(|| format!("'{text}' is not PRIVATE=PUBLIC, as in 10.0.0.5=203.0.113.7"))
}

pub(super) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let ports = |text: &str| {
        let (from, to) = text.split_once('-')?;
        Some((from.parse::<u16>().ok()?, to.parse::<u16>().ok()?))
    };
    match ports(text) {
        Some((from, to)) if 1 <= from && from <= to => Ok(from..=to),
        Some((from, to)) if from > to => Err(format!("{from} is greater than {to}")),
        _ => Err(format!(
            "'{text}' is not FROM-TO with ports from 1 to 65535"
        )),
    }
}

pub(super) fn encoding(text: &str) -> Result<Encoding, String> {
    text.parse::<Encoding>().map_err(|error| error.to_string())
}

pub(super) fn session_reuse(text: &str) -> Result<SessionReuse, String> {
    match text {
        "off" => Ok(SessionReuse::Off),
        "require" => Ok(SessionReuse::Require),
        _ => Err(format!("'{text}' is not off or require")),
    }
}

/// A user name that a client can send, and that is not the one which needs no password.
pub(super) fn user_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.trim() != text || text.contains(char::is_control) {
        return Err(format!(
            "'{text}' is no user name (empty, blanks at its ends or control characters)"
        ));
    }
    if text == "anonymous" {
        return Err("anonymous has no password; leave --username out, or use --anonymous".into());
    }
    Ok(text.to_owned())
}

pub(super) fn password(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("an empty password lets everybody in; use anonymous for that".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_user_names_are_refused() {
        for name in ["", " ", "bob ", "b\nob"] {
            assert!(user_name(name).is_err(), "{name:?}");
        }
        assert_eq!(user_name("bob smith").unwrap(), "bob smith");
    }
}
