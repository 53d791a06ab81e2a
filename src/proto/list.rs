//! The lines of LIST and STAT: `ls -lA` as proftpd prints it, which every client can read.

use super::calendar::{Civil, Last, Zone, civil, pair};
use super::facts::{FileKind, Metadata};

/// What one line tells.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The facts of the entry itself, though it may be a symbolic link.
    pub meta: &'a Metadata,
    /// The name of the entry; CR and LF in it are printed as `?`.
    pub name: &'a [u8],
    /// Where a symbolic link points, if that is known.
    pub target: Option<&'a [u8]>,
}

const DAY: i64 = 24 * 60 * 60;
/// Files older than six months show their year, younger ones the time of day.
const SIX_MONTHS: i64 = 180 * DAY;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The lines of one listing. What an entry has in common with the one before is not made anew.
#[derive(Debug)]
pub struct Lines {
    now: i64,
    zone: Zone,
    /// The columns from the mode to the group, and of whom they are.
    head: Vec<u8>,
    head_of: Option<(FileKind, u32, u64, u32, u32)>,
    date: Last<[u8; 12]>,
}

impl Lines {
    /// `now` is in seconds since 1970 UTC.
    pub fn new(now: i64, zone: Zone) -> Lines {
        Lines {
            now,
            zone,
            head: Vec::new(),
            head_of: None,
            date: Last::default(),
        }
    }

    /// Appends the line of `entry`, CRLF included. `names` tells what its owner and its group are
    /// called, or their numbers, the same each time; white space in them is printed as `_`.
    pub fn push<'a>(
        &mut self,
        out: &mut Vec<u8>,
        entry: &Entry<'_>,
        names: impl FnOnce() -> (&'a str, &'a str),
    ) {
        let meta = entry.meta;
        let head_of = (meta.kind, meta.mode, meta.links, meta.uid, meta.gid);
        if self.head_of != Some(head_of) {
            self.head_of = Some(head_of);
            self.head.clear();
            push_head(&mut self.head, meta, names());
        }
        let (now, zone) = (self.now, self.zone);
        let date = self
            .date
            .of(meta.modified, || date(meta.modified, now, zone));
        out.extend_from_slice(&self.head);
        push_right(out, meta.size, 8);
        out.push(b' ');
        out.extend_from_slice(&date);
        out.push(b' ');
        push_name(out, entry.name);
        if let Some(target) = entry.target {
            out.extend_from_slice(b" -> ");
            push_name(out, target);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn push_head(out: &mut Vec<u8>, meta: &Metadata, (owner, group): (&str, &str)) {
    out.extend_from_slice(&mode_string(meta));
    out.push(b' ');
    push_right(out, meta.links.max(1), 3);
    out.push(b' ');
    push_left(out, owner);
    out.push(b' ');
    push_left(out, group);
    out.push(b' ');
}

/// As `ls` shows it: `drwxr-sr-t`.
fn mode_string(meta: &Metadata) -> [u8; 10] {
    let bit = |mask: u32, letter: u8| if meta.mode & mask != 0 { letter } else { b'-' };
    let special = |mask: u32, execute: u32, letter: u8| match meta.mode & (mask | execute) {
        0 => b'-',
        bits if bits == execute => b'x',
        bits if bits == mask => letter.to_ascii_uppercase(),
        _ => letter,
    };
    [
        type_letter(meta),
        bit(0o400, b'r'),
        bit(0o200, b'w'),
        special(0o4000, 0o100, b's'),
        bit(0o040, b'r'),
        bit(0o020, b'w'),
        special(0o2000, 0o010, b's'),
        bit(0o004, b'r'),
        bit(0o002, b'w'),
        special(0o1000, 0o001, b't'),
    ]
}

fn type_letter(meta: &Metadata) -> u8 {
    match (meta.kind, meta.mode & 0o170_000) {
        (FileKind::File, _) => b'-',
        (FileKind::Directory, _) => b'd',
        (FileKind::Symlink, _) => b'l',
        (FileKind::Other, 0o060_000) => b'b',
        (FileKind::Other, 0o020_000) => b'c',
        (FileKind::Other, 0o010_000) => b'p',
        (FileKind::Other, 0o140_000) => b's',
        (FileKind::Other, _) => b'?',
    }
}

/// As `Nov 14 22:12` or `Nov 14  2023`.
fn date(modified: i64, now: i64, zone: Zone) -> [u8; 12] {
    let when = civil(modified, zone).unwrap_or(if modified < 0 { EARLIEST } else { LATEST });
    let [m, o, n] = *MONTHS[usize::from(when.month - 1)];
    let [[d1, d2], [h1, h2], [m1, m2]] = [when.day, when.hour, when.minute].map(pair);
    // A clock that is a little behind must not make new files look like last year's.
    if (-DAY..=SIX_MONTHS).contains(&now.saturating_sub(modified)) {
        [m, o, n, b' ', d1, d2, b' ', h1, h2, b':', m1, m2]
    } else {
        let [y1, y2, y3, y4, ..] = when.digits();
        [m, o, n, b' ', d1, d2, b' ', b' ', y1, y2, y3, y4]
    }
}

/// What the calendar cannot tell is shown as its nearest day: a line needs a date.
const EARLIEST: Civil = Civil {
    year: 0,
    month: 1,
    day: 1,
    hour: 0,
    minute: 0,
    second: 0,
};
const LATEST: Civil = Civil {
    year: 9999,
    month: 12,
    day: 31,
    hour: 23,
    minute: 59,
    second: 59,
};

/// A name column, filled up to eight characters. Clients split a line at its blanks.
fn push_left(out: &mut Vec<u8>, name: &str) {
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.extend_from_slice(name.as_bytes());
        return fill(out, 8usize.saturating_sub(name.len()));
    }
    let mut width = 0;
    for letter in name.chars() {
        let separates = letter.is_whitespace() || letter.is_control();
        let letter = if separates { '_' } else { letter };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        width += 1;
    }
    fill(out, 8usize.saturating_sub(width));
}

fn push_right(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut buffer = [0; DIGITS];
    let digits = decimal(number, &mut buffer);
    fill(out, width.saturating_sub(digits.len()));
    out.extend_from_slice(digits);
}

fn fill(out: &mut Vec<u8>, mut blanks: usize) {
    const BLANKS: [u8; 8] = [b' '; 8];
    while blanks > 0 {
        let some = blanks.min(BLANKS.len());
        out.extend_from_slice(&BLANKS[..some]);
        blanks -= some;
    }
}

/// As many digits as a `u64` can have.
const DIGITS: usize = 20;

fn decimal(mut number: u64, buffer: &mut [u8; DIGITS]) -> &[u8] {
    let mut start = DIGITS;
    loop {
        start -= 1;
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[start..];
        }
    }
}

/// Appends `number` in decimal.
pub(super) fn push_decimal(out: &mut Vec<u8>, number: u64) {
    push_right(out, number, 0);
}

/// Appends a name with CR and LF as `?`: whatever a file is called, its line stays one line.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &[u8]) {
    let start = out.len();
    out.extend_from_slice(name);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b'?';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000; // 2023-11-14 22:13:20

    fn meta(kind: FileKind, mode: u32) -> Metadata {
        Metadata {
            kind,
            size: 1_234,
            modified: NOW - 60,
            created: None,
            mode,
            links: 1,
            uid: 0,
            gid: 0,
            unique: None,
        }
    }

    fn file() -> Metadata {
        meta(FileKind::File, 0o100_644)
    }

    fn entry<'a>(meta: &'a Metadata, name: &'a [u8]) -> Entry<'a> {
        Entry {
            meta,
            name,
            target: None,
        }
    }

    fn line(out: &mut Vec<u8>, entry: &Entry<'_>, now: i64, zone: Zone) {
        Lines::new(now, zone).push(out, entry, || ("owner", "group"));
    }

    fn text_of(entry: &Entry<'_>) -> String {
        text_with(entry, "owner", "group")
    }

    fn text_with(entry: &Entry<'_>, owner: &str, group: &str) -> String {
        let mut out = b"before ".to_vec();
        Lines::new(NOW, Zone::Utc).push(&mut out, entry, || (owner, group));
        String::from_utf8(out)
            .unwrap()
            .strip_prefix("before ")
            .unwrap()
            .to_owned()
    }

    fn date_of(modified: i64) -> String {
        let meta = Metadata { modified, ..file() };
        text_of(&entry(&meta, b"x"))[42..54].to_owned()
    }

    #[test]
    fn a_file_and_a_directory() {
        assert_eq!(
            text_of(&entry(&file(), b"a file")),
            "-rw-r--r--   1 owner    group        1234 Nov 14 22:12 a file\r\n"
        );
        let dir = Metadata {
            links: 12,
            size: 4_096,
            ..meta(FileKind::Directory, 0o040_755)
        };
        assert_eq!(
            text_of(&entry(&dir, b".d")),
            "drwxr-xr-x  12 owner    group        4096 Nov 14 22:12 .d\r\n"
        );
    }

    #[test]
    fn lines_of_one_listing_are_as_those_of_many() {
        let one = file();
        let mut all = Vec::new();
        let changes: [fn(&mut Metadata); 9] = [
            |_| {},
            |meta| meta.kind = FileKind::Directory,
            |meta| meta.mode = 0o100_600,
            |meta| meta.links = 2,
            |meta| meta.uid = 1,
            |meta| meta.gid = 1,
            |meta| meta.size = 1,
            |meta| meta.modified = 0,
            |meta| meta.created = Some(0),
        ];
        for change in changes {
            let mut changed = one.clone();
            change(&mut changed);
            all.extend([one.clone(), changed.clone(), changed]);
        }
        let name = |id| ["nobody", "somebody"][id as usize];
        let (mut lines, mut out, mut right) = (Lines::new(NOW, Zone::Utc), Vec::new(), Vec::new());
        for meta in &all {
            let names = || (name(meta.uid), name(meta.gid));
            lines.push(&mut out, &entry(meta, b"x"), names);
            Lines::new(NOW, Zone::Utc).push(&mut right, &entry(meta, b"x"), names);
        }
        assert_eq!(String::from_utf8(out), String::from_utf8(right));
    }

    #[test]
    fn columns_grow_with_what_is_in_them() {
        let big = Metadata {
            links: u64::MAX,
            size: u64::MAX,
            ..file()
        };
        assert_eq!(
            text_with(&entry(&big, b"\xc3\xa9"), "a-long-owner", "a-longer-group"),
            "-rw-r--r-- 18446744073709551615 a-long-owner a-longer-group 18446744073709551615 \
             Nov 14 22:12 é\r\n"
        );
        let none = Metadata {
            links: 0,
            size: 0,
            ..file()
        };
        assert_eq!(
            text_with(&entry(&none, b"x"), "é", "domain users\r\n\u{a0}x"),
            "-rw-r--r--   1 é        domain_users___x        0 Nov 14 22:12 x\r\n"
        );
    }

    #[test]
    fn links_show_where_they_point() {
        let meta = meta(FileKind::Symlink, 0o120_777);
        let entry = Entry {
            target: Some(b"../to"),
            ..entry(&meta, b"from")
        };
        assert!(text_of(&entry).starts_with("lrwxrwxrwx   1 "));
        assert!(text_of(&entry).ends_with(" 22:12 from -> ../to\r\n"));
    }

    #[test]
    fn a_line_stays_a_line() {
        let meta = file();
        let entry = Entry {
            target: Some(b"c\r\nd"),
            ..entry(&meta, b"a\nb\r226 done")
        };
        assert!(text_of(&entry).ends_with(" 22:12 a?b?226 done -> c??d\r\n"));
        let mut out = Vec::new();
        push_name(&mut out, b"\xff\0 \x1b~");
        assert_eq!(out, b"\xff\0 \x1b~");
    }

    #[test]
    fn every_mode_reads_as_in_ls() {
        let shown = |kind, mode| String::from_utf8(mode_string(&meta(kind, mode)).into()).unwrap();
        for (mode, text) in [
            (0o100_000, "----------"),
            (0o107_777, "-rwsrwsrwt"),
            (0o107_000, "---S--S--T"),
            (0o104_711, "-rws--x--x"),
            (0o102_610, "-rw---s---"),
            (0o102_600, "-rw---S---"),
            (0o101_770, "-rwxrwx--T"),
            (0o100_421, "-r---w---x"),
            (0o644, "-rw-r--r--"),
        ] {
            assert_eq!(shown(FileKind::File, mode), text, "{mode:o}");
        }
        assert_eq!(shown(FileKind::Directory, 0o041_777), "drwxrwxrwt");
        for (mode, letter) in [
            (0o060_660, 'b'),
            (0o020_660, 'c'),
            (0o010_660, 'p'),
            (0o140_660, 's'),
            (0, '?'),
        ] {
            assert!(shown(FileKind::Other, mode).starts_with(letter), "{mode:o}");
        }
    }

    #[test]
    fn old_and_future_files_show_their_year() {
        assert_eq!(date_of(NOW), "Nov 14 22:13");
        assert_eq!(date_of(NOW - SIX_MONTHS), "May 18 22:13");
        assert_eq!(date_of(NOW - SIX_MONTHS - 1), "May 18  2023");
        assert_eq!(date_of(NOW + DAY), "Nov 15 22:13");
        assert_eq!(date_of(NOW + DAY + 1), "Nov 15  2023");
        assert_eq!(date_of(1), "Jan 01  1970");
        assert_eq!(date_of(-1), "Dec 31  1969");
    }

    #[test]
    fn absurd_times_still_have_a_date() {
        assert_eq!(date_of(i64::MAX), "Dec 31  9999");
        assert_eq!(date_of(i64::MIN), "Jan 01  0000");
        let meta = Metadata {
            modified: i64::MAX,
            ..file()
        };
        line(
            &mut Vec::new(),
            &entry(&meta, b"x"),
            i64::MIN,
            Zone::Local(|_| i32::MAX),
        );
    }

    #[test]
    fn the_zone_moves_the_time_shown() {
        let (meta, mut out) = (file(), Vec::new());
        line(&mut out, &entry(&meta, b"x"), NOW, Zone::Local(|_| 7_200));
        assert!(
            out.ends_with(b" Nov 15 00:12 x\r\n"),
            "{}",
            String::from_utf8_lossy(&out)
        );
    }
}
