//! Hashes that the C library's crypt(3) and the argon2 tool have made, and all that is no hash.

use super::*;

const SECRET: &str = "secret";
const ODD: &str = "gr\u{fc}n p\u{e4}ss: #\"\\";

fn long() -> String {
    "x".repeat(300)
}

/// Made by libxcrypt and argon2(1).
const KNOWN: &[(Password, &str)] = &[
    (
        Password::Secret,
        "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
    ),
    (
        Password::Secret,
        "$6$rounds=1000$abcdefgh12345678$utlBBH3s0Dikb8D12xWmYHezKos9Iam50op3fQHf14jBLhHEykPPQ/OxY5gus7Re6gKjeRviWaLOnJ.WpPAzj1",
    ),
    (
        Password::Secret,
        "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.",
    ),
    (
        Password::Secret,
        "$5$rounds=1234$s$bnN494Uu84nDQiBmq2pjqFljbnr28aiL/Y3x0X9rEuC",
    ),
    (
        Password::Secret,
        "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    ),
    (
        Password::Secret,
        "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    ),
    (
        Password::Secret,
        "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
    ),
    (
        Password::Secret,
        "$y$j75$F5Jx5fExrKuPp53xLKQ..1$l5YiXCKNY/N9ezall4xjJAFS/wg.kWVcFXfOzyxVn1.",
    ),
    (
        Password::Secret,
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
    ),
    (
        Password::Odd,
        "$6$saltstring$CK8yfVPQyZggStafTNRiUt8Eg2.F1ANK9aEgd1uH0qHIUsVlf11txaN82/ERZnKLLkpFsrHDTm0p969hCP0pa0",
    ),
    (
        Password::Odd,
        "$6$rounds=1000$abcdefgh12345678$vl43RtPtMtb5uWhqZCdWnRQVJwPZhgZ0WdQw2i7d/TZ4bC5kUj6Y2bZSsXAOQJKhBvskmVlw76U7P9FXfNeAf0",
    ),
    (
        Password::Odd,
        "$5$saltstring$hHM7U3YK8U04Hk3KDXLit1P4zGJw5vkO3VQU0mwJb/9",
    ),
    (
        Password::Odd,
        "$5$rounds=1234$s$2fN3G12pDSThvDJVApTNZovovNUjKjQjo2uSX7lQm0A",
    ),
    (
        Password::Odd,
        "$2b$04$abcdefghijklmnopqrstuuFIe6Shfyw3VD3NzxBFd8C/JQygZChzG",
    ),
    (
        Password::Odd,
        "$2y$04$abcdefghijklmnopqrstuuFIe6Shfyw3VD3NzxBFd8C/JQygZChzG",
    ),
    (
        Password::Odd,
        "$2a$05$abcdefghijklmnopqrstuuFEbA9vXDP/ze5/WM9fvVI52B8dnz2YS",
    ),
    (
        Password::Odd,
        "$y$j75$F5Jx5fExrKuPp53xLKQ..1$JPWByO8iYEeLC/QwTW6/ipDep1itxprZTdFCc4z4ef5",
    ),
    (
        Password::Odd,
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$p6t1nhOT5h/jJm/kmSCcIOx1Nbtu08NNqM8GPceF5f8",
    ),
    (
        Password::Long,
        "$6$saltstring$Ft0I09S7k3W0/lLoU7IVWx7lH2mmRFb/L3K401hnJSTdvAW2pupqvJfGzT7yzGr7gVL3oLKy.TcXRPx64Z.ZV1",
    ),
    (
        Password::Long,
        "$6$rounds=1000$abcdefgh12345678$NIPo7jkhgpVAWYRiNak.1ardQ4rPX0ezvBWuFQCQ6pGFNcKlCQPrUCQj/WW/h8cGBS4zLSBTl30yccGbrjAtT0",
    ),
    (
        Password::Long,
        "$5$saltstring$efBsD6lG36eGNlaol3.u9Y5ESDWuCWOkHOuiPnuaa/1",
    ),
    (
        Password::Long,
        "$5$rounds=1234$s$wt9o0s5kmwOg0CIHUqmSIJLZ19fCAxttd2sb3Kn59IC",
    ),
    (
        Password::Long,
        "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i",
    ),
    (
        Password::Long,
        "$y$j75$F5Jx5fExrKuPp53xLKQ..1$6x2YaiwdSBay1jADNgGf8aTNkcu4Ucs.Xn3g2rDd1RB",
    ),
    (
        Password::Secret,
        "$argon2id$v=19$m=32,t=2,p=2$c2FsdHNhbHRzYWx0$+0XobRXqLS1X1ReACBvULy2lJ13wTVvxwzR9tKf+mq0",
    ),
    (
        Password::Secret,
        "$argon2i$v=19$m=32,t=2,p=1$c2FsdHNhbHRzYWx0$2uGIZhIC3/MsLijCuQGQGS3f21gdAA2xtPbAuwtJD6I",
    ),
];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Password {
    Secret,
    Odd,
    Long,
}

impl Password {
    fn text(self) -> String {
        match self {
            Password::Secret => SECRET.to_owned(),
            Password::Odd => ODD.to_owned(),
            Password::Long => long(),
        }
    }
}

#[test]
fn hashes_of_other_programs_open_to_their_password_only() {
    for &(password, text) in KNOWN {
        let hash: PasswordHash = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(hash.to_string(), text);
        for other in [Password::Secret, Password::Odd, Password::Long] {
            let opens = hash.verify(other.text().as_bytes());
            assert_eq!(opens, other == password, "{text} and {other:?}");
        }
        assert!(!hash.verify(b""));
        assert!(!format!("{hash:?}").contains(&text[20..]), "{hash:?}");
    }
}

#[test]
fn a_new_hash_is_argon2id_with_the_recommended_costs_and_a_salt_of_its_own() {
    let first = PasswordHash::new(b"\0\xFF any bytes").unwrap();
    let second = PasswordHash::new(b"\0\xFF any bytes").unwrap();
    assert_ne!(first, second);
    let text = first.to_string();
    assert!(
        text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{text}"
    );
    let known: PasswordHash = text.parse().unwrap();
    assert!(known.verify(b"\0\xFF any bytes"));
    for wrong in [&b""[..], b"\0", b"\0\xFF any byte", b"\0\xFF any bytes\0"] {
        assert!(!known.verify(wrong), "{wrong:?}");
    }
    // A password of the longest kind that a client can send.
    let longest = vec![0xFF; 4096];
    let hash = PasswordHash::new(&longest).unwrap();
    assert!(hash.verify(&longest) && !hash.verify(&longest[1..]));
}

#[test]
fn nobodys_hash_costs_what_a_new_one_does() {
    let nobody = PasswordHash::nobody();
    let text = nobody.to_string();
    assert_eq!(text.parse::<PasswordHash>().as_ref(), Ok(&nobody));
    let costs = |hash: &PasswordHash| hash.to_string().split('$').nth(3).map(str::to_owned);
    assert_eq!(costs(&nobody), costs(&PasswordHash::new(b"x").unwrap()));
    assert!(!nobody.verify(b"") && !nobody.verify(b"nobody"));
}

#[test]
fn a_hash_that_lost_a_part_is_found_out_at_once() {
    for (_, text) in KNOWN {
        for len in 0..text.len() {
            let cut = text[..len].parse::<PasswordHash>();
            // A PHC string may have a shorter hash, of 16 bytes or more; no password has this one.
            let is_argon2 = text.starts_with("$argon2");
            let hash = len.saturating_sub(text.rfind('$').unwrap_or(0) + 1);
            assert!(cut.is_err() || is_argon2 && hash >= 22, "{}", &text[..len]);
        }
        assert!(format!("{text} ").parse::<PasswordHash>().is_err());
        assert!(format!("{text}$").parse::<PasswordHash>().is_err());
    }
}

#[test]
fn what_is_no_hash_is_named() {
    use PasswordHashError::{Malformed, TooCostly, UnknownKind};
    let sha = "C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.";
    let bcrypt = "abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    let yescrypt = "GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0";
    for (text, error) in [
        ("", UnknownKind),
        ("secret", UnknownKind),
        ("abJnggxhB/yWI", UnknownKind),
        ("$1$saltstri$YMyguxXMBpd2TEZ.vS/3q1", UnknownKind),
        ("$7$C6..../....SodiumChloride$x", UnknownKind),
        (&format!("$2x$04${bcrypt}"), UnknownKind),
        (&format!("$2b$03${bcrypt}"), Malformed),
        (&format!("$2b$ 4${bcrypt}"), Malformed),
        (&format!("$2b$19${bcrypt}"), TooCostly),
        (&format!("$5$rounds=500$salt${sha}"), Malformed),
        (&format!("$5$rounds=$salt${sha}"), Malformed),
        (&format!("$5$rounds=5000${sha}"), Malformed),
        (&format!("$5$rounds=999999999$salt${sha}"), TooCostly),
        (&format!("$5$0123456789abcdefg${sha}"), Malformed),
        ("$5$salt$", Malformed),
        ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$", Malformed),
        (
            &format!("$y$jzzzzz$F5Jx5fExrKuPp53xLKQ..1${yescrypt}"),
            Malformed,
        ),
        // With t = 3: two bits of what follows, then t.
        (
            &format!("$y$j75/0$F5Jx5fExrKuPp53xLKQ..1${yescrypt}"),
            TooCostly,
        ),
        (
            &format!("$y$jKT$F5Jx5fExrKuPp53xLKQ..1${yescrypt}"),
            TooCostly,
        ),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0", Malformed),
        (
            "$argon2id$v=19$m=1,t=2,p=1$c2FsdHNhbHRzYWx0$2uGIZhIC3/MsLijCuQGQGS3f21gdAA2x",
            Malformed,
        ),
        (
            "$argon2id$v=18$m=64,t=2,p=1$c2FsdHNhbHRzYWx0$2uGIZhIC3/MsLijCuQGQGS3f21gdAA2x",
            Malformed,
        ),
        (
            "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$2uGIZhIC3/MsLijCuQGQGS3f21gdAA2x",
            TooCostly,
        ),
        (
            "$argon2id$v=19$m=64,t=4000000000,p=1$c2FsdHNhbHRzYWx0$2uGIZhIC3/MsLijCuQGQGS3f21gdAA2x",
            TooCostly,
        ),
    ] {
        assert_eq!(text.parse::<PasswordHash>(), Err(error), "{text}");
    }
}

#[test]
fn whatever_is_taken_for_a_hash_can_be_checked() {
    const CRYPT64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut checked = 0;
    for mode in CRYPT64 {
        for n in &CRYPT64[..8] {
            for r in &CRYPT64[..6] {
                for salt in ["", ".", "F5Jx5fExrKuPp53xLKQ..1"] {
                    let params: String = [mode, n, r]
                        .into_iter()
                        .map(|&byte| char::from(byte))
                        .collect();
                    let text =
                        format!("$y${params}${salt}$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0");
                    if let Ok(hash) = text.parse::<PasswordHash>() {
                        assert!(!hash.verify(b"secret"), "{text}");
                        checked += 1;
                    }
                }
            }
        }
    }
    for salt in ["", ".", "0123456789abcdef"] {
        for text in [
            format!("$5${salt}$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
            format!("$5$rounds=1000${salt}$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        ] {
            let hash: PasswordHash = text.parse().unwrap();
            assert!(
                !hash.verify(b"secret") && !hash.verify(&[0xFF; 4096]),
                "{text}"
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn memory_that_was_used_before_changes_nothing() {
    let (one, two) = (
        PasswordHash::new(b"one").unwrap(),
        PasswordHash::new(b"two").unwrap(),
    );
    let smaller =
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$Zm9yIG5vYm9keSBhdCBhbGwuLi4uLi4uLi4uLi4uLi4";
    let smaller: PasswordHash = smaller.parse().unwrap();
    for _ in 0..3 {
        assert!(one.verify(b"one") && !one.verify(b"two"));
        assert!(!smaller.verify(b"one"));
        assert!(two.verify(b"two") && !two.verify(b"one"));
    }
}
