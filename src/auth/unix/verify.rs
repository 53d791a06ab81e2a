//! Whether a user of the system may log in: his password, its age, his account's, his shell.

use std::time::SystemTime;

use crate::auth::dummy::same_secret;
use crate::sys::accounts::{Passwd, Shadow};
use crate::sys::crypt::crypt;
use crate::target::TARGET;

/// What a password is hashed by if it is nobody's and no hash of the system says how.
const DECOY: &[u8] = b"$6$nobody.at.all$";

/// The hash whose method, parameters and salt are taken for users who have none: the first of the
/// kind that is the most common in `shadow`, so that it takes as long as the hash of a user.
pub(super) fn decoy(shadow: &[u8]) -> Vec<u8> {
    let hashes = shadow
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b':').nth(1))
        .filter(|hash| is_hash(hash));
    let mut kinds: Vec<(&[u8], &[u8], usize)> = Vec::new();
    for hash in hashes {
        match kinds.iter_mut().find(|(kind, ..)| *kind == kind_of(hash)) {
            Some((.., count)) => *count += 1,
            None => kinds.push((kind_of(hash), hash, 1)),
        }
    }
    // Of equals the last would be the greatest.
    kinds
        .iter()
        .rev()
        .max_by_key(|(.., count)| count)
        .map_or(DECOY, |(_, hash, _)| hash)
        .to_vec()
}

/// The method: `$6$`. Hashes of the old DES kind have none.
fn kind_of(hash: &[u8]) -> &[u8] {
    let end = hash.iter().skip(1).position(|&byte| byte == b'$');
    match (hash.first(), end) {
        (Some(b'$'), Some(end)) => &hash[..end + 2],
        _ => b"",
    }
}

/// Whether a password can lead to it: it is not empty, not locked (`!`), not impossible (`*`), and not
/// elsewhere (`x`).
fn is_hash(hash: &[u8]) -> bool {
    hash.len() >= 13 && !matches!(hash[0], b'!' | b'*')
}

/// The hash to be reached, if the user has one.
pub(super) fn hash_of<'a>(user: &'a Passwd, shadow: Option<&'a Shadow>) -> Option<&'a [u8]> {
    let hash = shadow.map_or(&user.hash, |shadow| &shadow.hash);
    is_hash(hash).then_some(hash)
}

/// Whether `password` leads to `hash`. It takes as long if there is none.
pub(super) fn is_password(password: &[u8], hash: Option<&[u8]>, decoy: &[u8]) -> bool {
    let made = crypt(password, hash.unwrap_or(decoy));
    match (made, hash) {
        (Ok(made), Some(hash)) => same_secret(hash, &made),
        (Err(error), Some(_)) if error.kind() == std::io::ErrorKind::Unsupported => {
            log::error!(target: TARGET, "crypt(3) is not available any more");
            false
        }
        _ => false,
    }
}

/// What, besides a wrong password, keeps a user out.
pub(super) fn expired(shadow: &Shadow, own_password: bool, today: i64) -> Option<&'static str> {
    if shadow.expires >= 0 && today >= shadow.expires {
        return Some("the account has expired");
    }
    // Its age is the system's password's; that of another is not kept.
    if !own_password || shadow.changed < 0 {
        return None;
    }
    if shadow.changed == 0 {
        return Some("the password must be changed");
    }
    let age = today.saturating_sub(shadow.changed);
    (shadow.max >= 0 && age > shadow.max).then_some("the password has expired")
}

/// Days since 1970.
pub(super) fn today() -> i64 {
    const DAY: u64 = 24 * 60 * 60;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| (since.as_secs() / DAY) as i64)
}

/// Whether `/etc/shells` has the shell. Where there is no such file, any but those that end at once.
pub(super) fn has_valid_shell(shell: &[u8]) -> bool {
    is_valid_shell(shell, std::fs::read("/etc/shells").ok().as_deref())
}

fn is_valid_shell(shell: &[u8], shells: Option<&[u8]>) -> bool {
    let shell = if shell.is_empty() { b"/bin/sh" } else { shell };
    match shells {
        Some(shells) => shells
            .split(|&byte| byte == b'\n')
            .map(|line| line.trim_ascii())
            .any(|line| line == shell && line.starts_with(b"/")),
        None => !shell.ends_with(b"/nologin") && !shell.ends_with(b"/false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoy_is_of_the_most_common_kind() {
        let shadow = b"root:$y$j9T$aaaaaaaa$bbbbbbbbbbbbbbbb:1::::::\n\
            bin:*:1::::::\nlocked:!$2b$05$xxxxxxxxxxxxxxxxxxxxxx:1::::::\nnew:!:1::::::\n\
            ann:$6$first$bbbbbbbbbbbbbbbb:1::::::\nbob:$6$second$bbbbbbbbbbbbbb:1::::::\n";
        assert_eq!(decoy(shadow), b"$6$first$bbbbbbbbbbbbbbbb");
        assert_eq!(decoy(&shadow[..44]), b"$y$j9T$aaaaaaaa$bbbbbbbbbbbbbbbb");
        for none in ["", "\n", "root", "root:x:", "root:*:1", "\0:\u{ff}:"] {
            assert_eq!(decoy(none.as_bytes()), DECOY, "{none:?}");
        }
        #[cfg(target_os = "linux")]
        assert!(crypt(b"password", DECOY).is_ok());
    }

    #[test]
    fn what_is_no_hash_has_no_password() {
        for hash in [
            "",
            "x",
            "!",
            "*",
            "!!",
            "*LK*",
            "!$6$salt$0123456789",
            "*01234567890123",
        ] {
            assert!(!is_hash(hash.as_bytes()), "{hash:?}");
        }
        assert!(!is_password(b"", None, DECOY));
        assert!(!is_password(b"x", None, DECOY));
        assert!(is_hash(b"aa0123456789."));
    }

    #[test]
    fn accounts_and_passwords_expire() {
        const TODAY: i64 = 20_000;
        let with = |changed, max, expires| {
            let hash = Vec::new();
            let shadow = Shadow {
                hash,
                changed,
                max,
                expires,
            };
            expired(&shadow, true, TODAY)
        };
        let account = Some("the account has expired");
        let password = Some("the password has expired");
        let change = Some("the password must be changed");
        for (changed, max, expires, verdict) in [
            (-1, -1, -1, None),
            (19_000, 99_999, -1, None),
            (19_000, 1_000, 20_001, None),
            (19_000, 999, -1, password),
            (19_000, 0, -1, password),
            (19_000, -1, 20_000, account),
            (19_000, -1, 0, account),
            (0, 99_999, -1, change),
            (0, -1, 1, account),
            // A clock that is wrong keeps nobody out.
            (21_000, 1, -1, None),
            (i64::MIN, i64::MIN, i64::MIN, None),
            (i64::MAX, i64::MAX, i64::MAX, None),
        ] {
            assert_eq!(
                with(changed, max, expires),
                verdict,
                "{changed} {max} {expires}"
            );
        }
        let old = Shadow {
            hash: Vec::new(),
            changed: 0,
            max: 0,
            expires: -1,
        };
        assert_eq!(expired(&old, false, TODAY), None);
        assert!(today() > 20_000);
    }

    #[test]
    fn shells() {
        let shells = b"# /bin/comment\n/bin/sh\n  /bin/bash \n/usr/sbin/nologin\nfalse\n";
        for (shell, listed, unlisted) in [
            ("/bin/sh", true, true),
            ("", true, true),
            ("/bin/bash", true, true),
            ("/bin/zsh", false, true),
            ("# /bin/comment", false, true),
            ("/bin/false", false, false),
            // An administrator who lists it lets its users in.
            ("/usr/sbin/nologin", true, false),
            ("false", false, true),
        ] {
            let shell = shell.as_bytes();
            assert_eq!(is_valid_shell(shell, Some(shells)), listed);
            assert_eq!(is_valid_shell(shell, None), unlisted);
            assert!(!is_valid_shell(shell, Some(b"")));
        }
    }
}
