//! The lines of MLSD and MLST (RFC 3659 section 7): facts in a form made for programs.

use super::calendar::{Last, Zone, civil};
use super::facts::{FileKind, Metadata};
use super::list::{push_decimal, push_name};
use super::perm::Perm;

/// A set of facts: those that a client chose by `OPTS MLST`, or those that there are.
///
/// The default is what clients get that choose nothing: type, perm, size, modify and unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts(u16);

/// In the order in which FEAT lists them; a fact's place here is its bit.
const NAMES: [&str; 9] = [
    "type",
    "perm",
    "size",
    "modify",
    "unique",
    "unix.mode",
    "unix.uid",
    "unix.gid",
    "create",
];

const TYPE: Facts = Facts(1);
const PERM: Facts = Facts(1 << 1);
const SIZE: Facts = Facts(1 << 2);
const MODIFY: Facts = Facts(1 << 3);
const UNIQUE: Facts = Facts(1 << 4);
const MODE: Facts = Facts(1 << 5);
const UID: Facts = Facts(1 << 6);
const GID: Facts = Facts(1 << 7);
const CREATE: Facts = Facts(1 << 8);

impl Default for Facts {
    fn default() -> Facts {
        Facts(TYPE.0 | PERM.0 | SIZE.0 | MODIFY.0 | UNIQUE.0)
    }
}

impl Facts {
    /// All facts that a client may choose; what is not known of a file is left out of its line.
    pub fn available() -> Facts {
        Facts(Facts::default().0 | MODE.0 | UID.0 | GID.0 | CREATE.0)
    }

    fn contains(self, fact: Facts) -> bool {
        self.0 & fact.0 != 0
    }

    fn list(self) -> impl Iterator<Item = (Facts, &'static str)> {
        let all = NAMES
            .iter()
            .enumerate()
            .map(|(place, &name)| (Facts(1 << place), name));
        all.filter(move |&(fact, _)| self.contains(fact))
    }

    /// What follows `MLST ` in the reply to FEAT: all `available` facts, those of this set marked
    /// with a `*` (section 7.8).
    pub fn feat(&self, available: Facts) -> String {
        let mark = |fact| if self.contains(fact) { "*;" } else { ";" };
        available
            .list()
            .flat_map(|(fact, name)| [name, mark(fact)])
            .collect()
    }

    /// What `OPTS MLST` with the argument `arg` chooses of `available`: names in any case, each
    /// followed by `;`. Unknown ones are passed over, and nothing chooses nothing (section 7.9).
    /// An argument without any `;` is none.
    pub fn select(available: Facts, arg: &[u8]) -> Option<Facts> {
        if !arg.is_empty() && !arg.contains(&b';') {
            return None;
        }
        let chosen = |name: &str| {
            arg.split(|&byte| byte == b';')
                .any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        let facts = available.list().filter(|&(_, name)| chosen(name));
        Some(Facts(facts.fold(0, |set, (fact, _)| set | fact.0)))
    }

    /// The set as the reply to `OPTS MLST` names it: `type;size;`.
    pub fn names(&self) -> String {
        self.list().flat_map(|(_, name)| [name, ";"]).collect()
    }
}

/// The lines of one MLSD, and the entry of MLST. What a file has in common with the one before is not
/// made anew.
#[derive(Debug)]
pub struct Lines {
    facts: Facts,
    zone: Zone,
    created: Last<Option<[u8; 14]>>,
    modified: Last<Option<[u8; 14]>>,
    /// `perm=` and its letters, and whose they are.
    perm: Vec<u8>,
    perm_of: Option<(FileKind, Perm)>,
}

impl Lines {
    /// With the chosen facts; RFC 3659 wants times in [`Zone::Utc`].
    pub fn new(facts: Facts, zone: Zone) -> Lines {
        Lines {
            facts,
            zone,
            created: Last::default(),
            modified: Last::default(),
            perm: Vec::new(),
            perm_of: None,
        }
    }

    /// Appends a line of MLSD, CRLF included: as [`push_facts`](Lines::push_facts) and a line end.
    pub fn push(&mut self, out: &mut Vec<u8>, meta: &Metadata, name: &[u8], perm: Perm) {
        self.push_facts(out, meta, name, perm);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the facts in the order of their names, a blank, and `name` (MLST: the full virtual
    /// path) with CR and LF as `?`; no line end.
    ///
    /// `perm` is what the user may do here. A fact that is not known of this file is left out.
    pub fn push_facts(&mut self, out: &mut Vec<u8>, meta: &Metadata, name: &[u8], perm: Perm) {
        let (facts, zone) = (self.facts, self.zone);
        let digits = |seconds| civil(seconds, zone).map(|when| when.digits());
        if facts.contains(CREATE)
            && let Some(created) = meta.created
        {
            push_time(
                out,
                b"create=",
                self.created.of(created, || digits(created)),
            );
        }
        if facts.contains(MODIFY) {
            let modified = self.modified.of(meta.modified, || digits(meta.modified));
            push_time(out, b"modify=", modified);
        }
        if facts.contains(PERM) {
            if self.perm_of != Some((meta.kind, perm)) {
                self.perm_of = Some((meta.kind, perm));
                self.perm.clear();
                push_perm(&mut self.perm, meta.kind, perm);
            }
            out.extend_from_slice(&self.perm);
        }
        if facts.contains(SIZE) {
            push_number(out, b"size=", meta.size);
        }
        if facts.contains(TYPE) {
            out.extend_from_slice(b"type=");
            out.extend_from_slice(type_name(meta));
            out.push(b';');
        }
        if facts.contains(UNIQUE)
            && let Some((device, inode)) = meta.unique
        {
            out.extend_from_slice(b"unique=");
            push_hex(out, device);
            out.push(b'g');
            push_hex(out, inode);
            out.push(b';');
        }
        if facts.contains(GID) {
            push_number(out, b"unix.gid=", meta.gid.into());
        }
        if facts.contains(MODE) {
            out.extend_from_slice(b"unix.mode=");
            out.extend([9, 6, 3, 0].map(|place| b'0' + (meta.mode >> place & 7) as u8));
            out.push(b';');
        }
        if facts.contains(UID) {
            push_number(out, b"unix.uid=", meta.uid.into());
        }
        out.push(b' ');
        push_name(out, name);
    }
}

/// What is neither file nor directory goes by a name of the system's own (section 7.5.1.5).
/// `OS.unix=symlink` is widely known to clients; the others only say why there is no RETR.
fn type_name(meta: &Metadata) -> &'static [u8] {
    match (meta.kind, meta.mode & 0o170_000) {
        (FileKind::File, _) => b"file",
        (FileKind::Directory, _) => b"dir",
        (FileKind::Symlink, _) => b"OS.unix=symlink",
        (FileKind::Other, 0o010_000) => b"OS.unix=fifo",
        (FileKind::Other, 0o140_000) => b"OS.unix=socket",
        (FileKind::Other, 0o020_000 | 0o060_000) => b"OS.unix=device",
        (FileKind::Other, _) => b"OS.unix=other",
    }
}

/// Section 7.5.5 knows no letters for SITE CHMOD and MFMT, and its letters have no case: an `M`
/// would promise MKD.
fn push_perm(out: &mut Vec<u8>, kind: FileKind, perm: Perm) {
    let directory = [
        (Perm::CWD, b'e'),
        (Perm::LIST, b'l'),
        (Perm::DELETE, b'd'),
        (Perm::RENAME, b'f'),
        (Perm::MKDIR, b'm'),
        (Perm::WRITE | Perm::APPEND | Perm::RENAME, b'c'),
        (Perm::DELETE, b'p'),
    ];
    let file = [
        (Perm::READ, b'r'),
        (Perm::APPEND, b'a'),
        (Perm::DELETE, b'd'),
        (Perm::RENAME, b'f'),
        (Perm::WRITE, b'w'),
    ];
    let letters = match kind {
        FileKind::Directory => &directory[..],
        FileKind::File => &file[..],
        // These are never opened.
        FileKind::Symlink | FileKind::Other => &[(Perm::DELETE, b'd'), (Perm::RENAME, b'f')],
    };
    let granted = letters
        .iter()
        .filter(|(needed, _)| perm.intersects(*needed));
    out.extend_from_slice(b"perm=");
    out.extend(granted.map(|&(_, letter)| letter));
    out.push(b';');
}

fn push_time(out: &mut Vec<u8>, name: &[u8], digits: Option<[u8; 14]>) {
    if let Some(digits) = digits {
        out.extend_from_slice(name);
        out.extend_from_slice(&digits);
        out.push(b';');
    }
}

fn push_number(out: &mut Vec<u8>, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    push_decimal(out, number);
    out.push(b';');
}

fn push_hex(out: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    let digit = |place| DIGITS[(number >> (4 * place) & 15) as usize];
    out.extend((0..digits).rev().map(digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(kind: FileKind, mode: u32) -> Metadata {
        Metadata {
            kind,
            size: 1_234,
            modified: 1_700_000_000,
            created: Some(1_600_000_000),
            mode,
            links: 1,
            uid: 1_000,
            gid: 100,
            unique: Some((0xfd01, 0xabc)),
        }
    }

    fn file() -> Metadata {
        meta(FileKind::File, 0o100_644)
    }

    fn text_of(meta: &Metadata, facts: Facts, perm: Perm) -> String {
        let mut out = Vec::new();
        Lines::new(facts, Zone::Utc).push(&mut out, meta, b"a name", perm);
        let text = String::from_utf8(out).unwrap();
        text.strip_suffix(" a name\r\n")
            .expect("facts, blank, name, CRLF")
            .to_owned()
    }

    fn perm_of(kind: FileKind, perm: &str) -> String {
        text_of(&meta(kind, 0), PERM, perm.parse().unwrap())
    }

    fn select(arg: &str) -> Option<String> {
        Facts::select(Facts::available(), arg.as_bytes()).map(|facts| facts.names())
    }

    #[test]
    fn facts_are_sorted_by_name() {
        assert_eq!(
            text_of(&file(), Facts::available(), Perm::READ_ONLY),
            "create=20200913122640;modify=20231114221320;perm=r;size=1234;type=file;\
             unique=fd01gabc;unix.gid=100;unix.mode=0644;unix.uid=1000;"
        );
    }

    #[test]
    fn numbers_are_plain_hexadecimal() {
        for number in [0, 1, 9, 10, 15, 16, 0xabcdef, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            push_hex(&mut out, number);
            assert_eq!(out, format!("{number:x}").as_bytes());
        }
    }

    #[test]
    fn only_chosen_and_known_facts_are_told() {
        assert_eq!(
            text_of(
                &meta(FileKind::Directory, 0o040_755),
                Facts::default(),
                Perm::READ_ONLY
            ),
            "modify=20231114221320;perm=el;size=1234;type=dir;unique=fd01gabc;"
        );
        let unknown = Metadata {
            created: None,
            unique: None,
            modified: i64::MAX,
            ..file()
        };
        assert_eq!(
            text_of(
                &unknown,
                Facts(CREATE.0 | UNIQUE.0 | MODIFY.0 | SIZE.0),
                Perm::ALL
            ),
            "size=1234;"
        );
        assert_eq!(text_of(&file(), Facts(0), Perm::ALL), "");
    }

    #[test]
    fn perm_has_the_letters_of_the_rfc() {
        use FileKind::{Directory, File, Other, Symlink};
        for (kind, perm, told) in [
            (Directory, "elradfmwMT", "perm=eldfmcp;"),
            (Directory, "elr", "perm=el;"),
            (Directory, "a", "perm=c;"),
            (Directory, "w", "perm=c;"),
            (Directory, "f", "perm=fc;"),
            (Directory, "MT", "perm=;"),
            (File, "elradfmwMT", "perm=radfw;"),
            (File, "elmMT", "perm=;"),
            (Symlink, "elradfmwMT", "perm=df;"),
            (Other, "elradfmwMT", "perm=df;"),
        ] {
            assert_eq!(perm_of(kind, perm), told, "{kind:?} {perm}");
        }
    }

    #[test]
    fn modes_are_plain_octal_of_four_digits() {
        for (mode, told) in [
            (0o100_644, "unix.mode=0644;"),
            (0o041_777, "unix.mode=1777;"),
            (0o100_000, "unix.mode=0000;"),
            (u32::MAX, "unix.mode=7777;"),
        ] {
            assert_eq!(text_of(&meta(FileKind::File, mode), MODE, Perm::NONE), told);
        }
    }

    #[test]
    fn what_is_no_file_says_what_it_is() {
        for (kind, mode, told) in [
            (FileKind::Symlink, 0o120_777, "type=OS.unix=symlink;"),
            (FileKind::Other, 0o010_644, "type=OS.unix=fifo;"),
            (FileKind::Other, 0o140_644, "type=OS.unix=socket;"),
            (FileKind::Other, 0o020_644, "type=OS.unix=device;"),
            (FileKind::Other, 0o060_644, "type=OS.unix=device;"),
            (FileKind::Other, 0, "type=OS.unix=other;"),
        ] {
            assert_eq!(text_of(&meta(kind, mode), TYPE, Perm::ALL), told);
        }
    }

    #[test]
    fn the_name_follows_the_first_blank_as_it_is() {
        let mut out = b"before".to_vec();
        let name = b"/a; b=c;\r\n226 done\xff";
        Lines::new(SIZE, Zone::Utc).push_facts(&mut out, &file(), name, Perm::ALL);
        assert_eq!(out, b"beforesize=1234; /a; b=c;??226 done\xff");
    }

    #[test]
    fn the_zone_moves_the_times() {
        let mut out = Vec::new();
        let mut lines = Lines::new(MODIFY, Zone::Local(|_| 3_600));
        lines.push(&mut out, &file(), b"x", Perm::ALL);
        assert_eq!(out, b"modify=20231114231320; x\r\n");
    }

    #[test]
    fn lines_of_one_listing_are_as_those_of_many() {
        let changes: [fn(&mut Metadata); 9] = [
            |_| {},
            |meta| meta.kind = FileKind::Directory,
            |meta| meta.mode = 0o100_600,
            |meta| meta.uid = 1,
            |meta| meta.gid = 1,
            |meta| meta.size = 1,
            |meta| meta.modified = 0,
            |meta| meta.created = Some(0),
            |meta| meta.created = None,
        ];
        let all = Facts::available();
        let (mut lines, mut out, mut right) = (Lines::new(all, Zone::Utc), Vec::new(), Vec::new());
        for change in changes {
            let mut changed = file();
            change(&mut changed);
            for (meta, perm) in [
                (&file(), Perm::ALL),
                (&file(), Perm::READ_ONLY),
                (&changed, Perm::READ_ONLY),
                (&changed, Perm::ALL),
            ] {
                lines.push(&mut out, meta, b"x", perm);
                Lines::new(all, Zone::Utc).push(&mut right, meta, b"x", perm);
            }
        }
        assert_eq!(String::from_utf8(out), String::from_utf8(right));
    }

    #[test]
    fn feat_marks_what_is_chosen() {
        let all = Facts::available();
        assert_eq!(
            Facts::default().feat(all),
            "type*;perm*;size*;modify*;unique*;unix.mode;unix.uid;unix.gid;create;"
        );
        let some = Facts::select(all, b"unix.uid;size;").unwrap();
        let chosen = "type;perm;size*;modify;unique;unix.mode;unix.uid*;unix.gid;create;";
        assert_eq!(some.feat(all), chosen);
    }

    #[test]
    fn opts_chooses_known_facts_in_any_case() {
        assert_eq!(select("type;size;").as_deref(), Some("type;size;"));
        assert_eq!(select("SIZE;Type;size").as_deref(), Some("type;size;"));
        assert_eq!(
            select("UNIX.Mode;nonsense;create;").as_deref(),
            Some("unix.mode;create;")
        );
        assert_eq!(select("").as_deref(), Some(""));
        assert_eq!(select(";;;").as_deref(), Some(""));
        assert_eq!(select("ty pe; size;\u{e9};").as_deref(), Some(""));
        assert_eq!(select("type"), None);
        assert_eq!(select(" "), None);
        assert_eq!(
            Facts::select(Facts::default(), b"create;\xff\0;"),
            Some(Facts(0))
        );
    }
}
