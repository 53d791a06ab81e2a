//! Lines right and wrong, and bytes that are none.

use super::*;
use crate::auth::file::lines::Secret;

#[test]
fn a_line_has_four_words_and_settings() {
    let line = one(&format!(
        "\tbob  {HASH}\t/srv/bob elr max_cons=2 read_limit=10k write_limit=3M \
         quota_bytes=2G quota_files=500 msg_login=\"Hello, bob.\" msg_quit=\"\" slow_files=yes tree:/in=elw dir:/a=b=- "
    ));
    assert_eq!((line.number, line.name.as_str()), (1, "bob"));
    assert!(matches!(line.secret, Secret::Hash(_)));
    assert_eq!((line.home, line.perm), ("/srv/bob".into(), Perm::READ_ONLY));
    let settings = line.settings;
    assert_eq!(settings.limits.max_cons, 2);
    assert_eq!(settings.limits.read_limit, 10 * 1024);
    assert_eq!(settings.limits.write_limit, 3 << 20);
    assert_eq!(settings.limits.quota_bytes, 2 << 30);
    assert_eq!(settings.limits.quota_files, 500);
    assert_eq!(settings.msg_login.as_deref(), Some("Hello, bob."));
    assert_eq!(settings.msg_quit.as_deref(), Some(""));
    assert_eq!(settings.slow_files, Some(true));
    let write = Perm::CWD | Perm::LIST | Perm::WRITE;
    let overrides = [
        (path("/in"), write, true),
        (path("/a=b"), Perm::NONE, false),
    ];
    assert_eq!(settings.overrides, overrides);
}

#[test]
fn blanks_colons_and_quotes_go_into_quotes() {
    for (word, name) in [
        ("bob", "bob"),
        ("a:b", "a:b"),
        (r"DOM\bob", r"DOM\bob"),
        (r#""bob b.""#, "bob b."),
        (r#"bob" "b."#, "bob b."),
        (r#"" bob ""#, " bob "),
        (r##""#1""##, "#1"),
        ("b#1", "b#1"),
        (r#""say \"\x68\x69\" \\o/""#, r#"say "hi" \o/"#),
        (r#""\xC3\xBCbel""#, "\u{fc}bel"),
    ] {
        let line = one(&format!("{word} ! /srv -"));
        assert_eq!(line.name, name, "{word}");
        assert_eq!((line.secret, line.perm), (Secret::Locked, Perm::NONE));
    }
    assert_eq!(
        one(r#"a ! "/a b/\\c:d" -"#).home,
        PathBuf::from(r"/a b/\c:d")
    );
}

#[cfg(unix)]
#[test]
fn a_home_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    for line in [&b"a ! /\xFF\xFE -"[..], br#"a ! "/\xff\xFE" -"#] {
        let lines = parse(line).unwrap();
        assert_eq!(lines[0].home.as_os_str().as_bytes(), b"/\xFF\xFE");
    }
}

#[test]
fn comments_blank_lines_and_the_line_ends_of_every_editor() {
    let file = format!(
        "\u{FEFF}# users\r\n\r\n \t \r\nbob {HASH} /srv elr # the boss\r\n  # none\r\namy * /a e"
    );
    let lines = parse(file.as_bytes()).unwrap();
    let named: Vec<_> = lines
        .iter()
        .map(|line| (line.number, line.name.as_str()))
        .collect();
    assert_eq!(named, [(4, "bob"), (6, "amy")]);
    assert_eq!(parse(b""), Ok(Vec::new()));
    assert_eq!(parse(b"# nobody\n"), Ok(Vec::new()));
}

#[test]
fn only_anonymous_may_have_no_hash() {
    assert_eq!(one(r#"anonymous "" /srv elr"#).secret, Secret::Any);
    assert!(matches!(
        one(&format!("anonymous {HASH} /srv elr")).secret,
        Secret::Hash(_)
    ));
    for locked in ["!", "*", "!!", &format!("!{HASH}")] {
        assert_eq!(
            one(&format!("bob {locked} /srv elr")).secret,
            Secret::Locked
        );
    }
    assert!(faults(br#"bob "" /srv elr"#)[0].contains("empty, which only anonymous may have"));
}

#[test]
fn a_bad_line_is_named_with_what_is_wrong() {
    for (line, what) in [
        (
            "bob",
            "a password hash is missing: a line is NAME HASH HOME PERMISSIONS",
        ),
        ("bob !", "a home is missing"),
        ("bob ! /srv", "permissions is missing"),
        ("bob hunter2 /srv elr", "no password hash of a known kind"),
        ("bob $6$salt$short /srv elr", "a damaged password hash"),
        ("bob ! srv elr", "home 'srv' is not an absolute path"),
        ("bob ! \"/a\\x00b\" elr", "has a NUL in it"),
        (
            "bob ! /srv elx",
            "permissions 'elx' are not letters of elradfmwMT, nor -",
        ),
        ("bob ! /srv \"\"", "permissions '' are not letters"),
        ("\"\" ! /srv elr", "the user name is empty"),
        ("\"\\xff\" ! /srv elr", "user name '\\xFF' is not UTF-8"),
        (
            "\"a\\x1B\" ! /srv elr",
            "user name 'a\\x1B' has a control character",
        ),
        ("\"bob ! /srv elr", "a quote is not closed"),
        ("bob ! \"/srv\\n\" elr", "in quotes a backslash begins"),
        ("bob ! \"/srv\\", "in quotes a backslash begins"),
        ("bob ! \"/srv\\x4\" elr", "in quotes a backslash begins"),
        ("bob ! /srv elr more", "'more' is no setting: KEY=VALUE is"),
        (
            "bob ! /srv elr quota=1",
            "'quota' is no setting; there are max_cons",
        ),
        (
            "bob ! /srv elr max_cons=-1",
            "max_cons: '-1' is not a whole number (0 = no limit)",
        ),
        ("bob ! /srv elr max_cons=+1", "max_cons: '+1' is not"),
        ("bob ! /srv elr max_cons=", "max_cons: '' is not"),
        ("bob ! /srv elr max_cons=1k", "max_cons: '1k' is not"),
        (
            "bob ! /srv elr read_limit=k",
            "read_limit: 'k' is not bytes a second",
        ),
        (
            "bob ! /srv elr write_limit=99999999999999G",
            "write_limit: '99999999999999G'",
        ),
        (
            "bob ! /srv elr max_cons=1 max_cons=1",
            "max_cons is given twice",
        ),
        (
            "bob ! /srv elr slow_files=1",
            "slow_files: '1' is not yes or no",
        ),
        (
            "bob ! /srv elr \"msg_quit=\\xff\"",
            "msg_quit: '\\xFF' is not UTF-8",
        ),
        ("bob ! /srv elr tree:/in", "'/in' has no '=PERMISSIONS'"),
        ("bob ! /srv elr tree:in=elr", "'in' does not begin with '/'"),
        ("bob ! /srv elr tree:/=elr", "'/' is the user's home"),
        ("bob ! /srv elr tree:/a/..=elr", "'/' is the user's home"),
        (
            "bob ! /srv elr tree:/in=x",
            "permissions 'x' are not letters",
        ),
        (
            "bob ! /srv elr dir:/in=e tree:/in/=r",
            "'/in' is given twice",
        ),
    ] {
        let file = format!("# a comment\namy ! /srv elr\n{line}\n");
        let faults = faults(file.as_bytes());
        assert_eq!(faults.len(), 1, "{line}: {faults:?}");
        assert!(
            faults[0].starts_with(&format!("3: {what}")) || faults[0].contains(what),
            "{line}: {faults:?}"
        );
        assert!(
            faults[0].starts_with("3: ") && !faults[0].contains("hunter2"),
            "{faults:?}"
        );
        assert!(!faults[0].chars().any(char::is_control), "{faults:?}");
    }
    assert_eq!(
        faults(b"bob ! /a e\namy\n\nbob ! /b e\n"),
        [
            "2: a password hash is missing: a line is NAME HASH HOME PERMISSIONS [SETTING ...]",
            "4: user 'bob' is on line 1 already"
        ]
    );
}

#[test]
fn the_example_of_the_guide_is_a_user_file() {
    let guide = include_str!("../../../../docs/users.md");
    let example = guide.split("```").nth(1).unwrap();
    let shortened = |word: &str| word.starts_with('$') && word.ends_with("...");
    let file: String = example
        .trim_start_matches("text")
        .split_inclusive(' ')
        .map(|word| match shortened(word.trim_end()) {
            true => format!("{HASH} "),
            false => word.to_owned(),
        })
        .collect();
    let lines = parse(file.as_bytes()).unwrap_or_else(|faults| panic!("{file}: {faults:?}"));
    let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, ["alice", "bob b.", "carol", "dave", "anonymous"]);
}

/// A small generator with a fixed seed (SplitMix64): a failure can be seen again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, choice: &[&'a T]) -> &'a T {
        choice[self.below(choice.len())]
    }
}

/// A word in quotes, every other byte of it as an escape.
fn quoted(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut word = b"\"".to_vec();
    for &byte in bytes {
        match byte {
            b'\n' | b'"' | b'\\' => word.extend(format!("\\x{byte:02x}").bytes()),
            _ if random.below(2) == 0 => word.extend(format!("\\x{byte:02X}").bytes()),
            _ => word.push(byte),
        }
    }
    word.push(b'"');
    word
}

#[test]
fn what_was_written_is_read() {
    let mut random = Random(1);
    for _ in 0..5_000 {
        let mut home = b"/".to_vec();
        home.extend((0..random.below(20)).map(|_| random.below(255) as u8 + 1));
        let name: String = (0..random.below(10) + 1)
            .map(|_| random.of(&["a", " ", "#", "\"", "\\", "=", ":", "\u{fc}", "\u{1F980}"]))
            .collect();
        if cfg!(not(unix)) && str::from_utf8(&home).is_err() {
            continue;
        }
        let max_cons = random.below(1000);
        let blank = random.of(&[" ", "\t", "  \t "]).as_bytes();
        let words = [
            quoted(&mut random, name.as_bytes()),
            random.of(&["!", "*", HASH]).as_bytes().to_vec(),
            quoted(&mut random, &home),
            b"elr".to_vec(),
            format!("max_cons={max_cons}").into_bytes(),
        ];
        let line = words.join(blank);
        let lines = parse(&line).unwrap_or_else(|faults| panic!("{line:?}: {faults:?}"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].name, name, "{line:?}");
        assert_eq!(
            lines[0].home.as_os_str().as_encoded_bytes(),
            home,
            "{line:?}"
        );
        assert_eq!(lines[0].settings.limits.max_cons, max_cons);
    }
}

#[test]
fn no_file_breaks_the_reader() {
    let mut random = Random(2);
    let parts = [
        "bob",
        " ",
        " ",
        " ",
        "\t",
        "\"",
        "\\",
        "\\x41",
        "#",
        "\n",
        "\r\n",
        "=",
        "!",
        "*",
        "/srv",
        "elr",
        "-",
        "max_cons=",
        "1",
        "G",
        "tree:/",
        "dir:",
        "anonymous",
        "\"\"",
        "$6$",
        "$y$",
        "$2b$",
        "$argon2id$",
        HASH,
        "\0",
        "\u{FEFF}",
        "\u{fc}",
        "18446744073709551616",
        "../..",
    ];
    let mut good = 0;
    for _ in 0..50_000 {
        let mut file: Vec<u8> = Vec::new();
        if random.below(2) == 0 {
            file.extend(b"bob ! \"/srv/a b\" elr max_cons=1 tree:/in=elw\n");
        }
        for _ in 0..random.below(8) {
            let at = random.below(file.len() + 1);
            let cut = (at + random.below(4)).min(file.len());
            file.splice(at..cut, random.of(&parts).bytes());
            if random.below(20) == 0 {
                file.push(random.below(256) as u8);
            }
        }
        match parse(&file) {
            Ok(lines) => good += usize::from(!lines.is_empty()),
            Err(faults) => {
                assert!(!faults.is_empty());
                let last = file.iter().filter(|&&byte| byte == b'\n').count() + 1;
                for fault in faults {
                    assert!((1..=last).contains(&fault.number), "{file:?}");
                    assert!(
                        !fault.what.chars().any(char::is_control),
                        "{file:?}: {}",
                        fault.what
                    );
                }
            }
        }
    }
    assert!(good > 500, "{good} of them were user files");
}
