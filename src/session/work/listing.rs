//! A directory on its way to a client: LIST, NLST and MLSD as a source of bytes.
//!
//! A listing is read in batches, so that a directory of any size costs the loop little at a time:
//! the first batch is read where the listing is opened; if there are more names than that, the
//! rest is read, sorted and formatted on a worker thread.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::SystemTime;

use super::cancel::Cancel;
use super::names::{Ids, Names, Sorted};
use crate::auth::Account;
use crate::fs::{Directory, FileKind, FileSystem, Metadata, together};
use crate::proto::calendar::Zone;
use crate::proto::encoding::Encoding;
use crate::proto::list;
use crate::proto::mlsx::{self, Facts};
use crate::proto::path::VirtualPath;

/// Names that are read, sorted and formatted at once on the loop; more go to a worker thread.
const BATCH: usize = 256;
/// What a line takes or more, mostly.
const LINE: usize = 128;
/// Names that a worker thread reads before it looks whether anybody still wants them.
const LARGE_BATCH: usize = 4096;

/// How the entries are to look.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub(crate) style: Style,
    pub(crate) zone: Zone,
    pub(crate) encoding: Encoding,
}

/// Which command asks.
#[derive(Clone, Debug)]
pub(crate) enum Style {
    List,
    Nlst,
    /// The account tells what its user may do with each entry.
    Mlsd {
        facts: Facts,
        account: Account,
    },
}

/// An open listing.
pub(crate) struct Listing {
    fs: Arc<dyn FileSystem>,
    path: VirtualPath,
    encoding: Encoding,
    lines: Lines,
    entries: Entries,
    /// Those that are read before all are.
    names: Names,
    /// All of them then, but for those that are done.
    sorted: Sorted,
    /// Whether the directory has more names than are in `names`.
    unread: bool,
    /// Whether there are many.
    large: bool,
    /// Who asked may have left, or given it up.
    cancel: Option<Cancel>,
}

/// What is kept to make lines by.
enum Lines {
    List {
        lines: list::Lines,
        owners: Ids,
        groups: Ids,
    },
    Nlst,
    Mlsd {
        lines: mlsx::Lines,
        account: Account,
    },
}

enum Entries {
    Directory(Box<dyn Directory>),
    /// LIST or NLST of something that is no directory.
    One(Metadata, Option<Vec<u8>>),
}

impl Listing {
    /// Puts another in the place of the directory, if there is one.
    pub(super) fn replace_directory(
        &mut self,
        by: impl FnOnce(Box<dyn Directory>) -> Box<dyn Directory>,
    ) {
        let nothing = Entries::One(Metadata::directory(0), None);
        self.entries = match mem::replace(&mut self.entries, nothing) {
            Entries::Directory(directory) => Entries::Directory(by(directory)),
            other => other,
        };
    }

    /// Opens `path`. LIST and NLST of a file list that file; MLSD asks for a directory.
    pub(crate) fn open(
        fs: Arc<dyn FileSystem>,
        path: &VirtualPath,
        format: Format,
    ) -> io::Result<Listing> {
        let mut names = Names::default();
        let mut unread = false;
        let mut entries = fs.read_dir(path);
        if let Ok(directory) = &mut entries {
            unread = names.read(&mut **directory, BATCH)?;
            // A file system of one's own may find no names in a file.
            if names.len() == 0 && !unread && !fs.metadata(path)?.is_dir() {
                entries = Err(no_directory());
            }
        }
        let entries = match entries {
            Ok(directory) => Entries::Directory(directory),
            Err(error) => {
                let (name, one) = Entries::one(&*fs, path, error, &format.style)?;
                names.push(&name);
                one
            }
        };
        let large = unread || names.len() > BATCH;
        let sorted = match unread {
            true => Sorted::default(),
            false => mem::take(&mut names).sort(),
        };
        Ok(Listing {
            fs,
            path: path.clone(),
            encoding: format.encoding,
            lines: Lines::new(format),
            entries,
            names,
            sorted,
            unread,
            large,
            cancel: None,
        })
    }

    /// Whether [`fill`](Listing::fill) may take long.
    pub(crate) fn is_slow(&self) -> bool {
        self.large || self.fs.is_slow()
    }

    /// Lets [`fill`](Listing::fill) end in an error when nobody wants it any more.
    pub(crate) fn cancel_by(&mut self, cancel: Cancel) {
        self.cancel = Some(cancel);
    }

    fn check(&self) -> io::Result<()> {
        match &self.cancel {
            Some(cancel) if cancel.is_cancelled() => Err(io::Error::other("Cancelled")),
            _ => Ok(()),
        }
    }

    /// Appends lines to `out` until it holds about `max` bytes; false when all are there.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, max: usize) -> io::Result<bool> {
        let fs = Arc::clone(&self.fs);
        together(&*fs, || self.fill_some(out, max)).unwrap_or_else(|| Err(not_done()))
    }

    fn fill_some(&mut self, out: &mut Vec<u8>, max: usize) -> io::Result<bool> {
        self.read_rest()?;
        let left = self.sorted.len();
        out.reserve(left.saturating_mul(LINE).min(max.saturating_add(LINE)));
        while self.sorted.len() > 0 && out.len() < max {
            self.check()?;
            self.line(out);
            self.sorted.drop_first();
        }
        self.sorted.shrink();
        Ok(self.sorted.len() > 0)
    }

    fn read_rest(&mut self) -> io::Result<()> {
        while self.unread {
            self.check()?;
            let Entries::Directory(directory) = &mut self.entries else {
                break;
            };
            self.unread = self.names.read(&mut **directory, LARGE_BATCH)?;
            if !self.unread {
                self.sorted = mem::take(&mut self.names).sort();
            }
        }
        Ok(())
    }

    /// The next entry. One that vanished meanwhile, or may not be looked at, is left out.
    fn line(&mut self, out: &mut Vec<u8>) {
        let name = self.sorted.first();
        let encoding = self.encoding;
        let shown = encoding.encode(name);
        match &mut self.lines {
            Lines::Nlst => {
                list::push_name(out, &shown);
                out.extend_from_slice(b"\r\n");
            }
            Lines::Mlsd { lines, account } => {
                if let Some(meta) = self.entries.facts(name, true) {
                    let perm = match account.perms_everywhere() {
                        Some(perm) => perm,
                        None => account.perms_on(&self.path.child(name), meta.is_dir()),
                    };
                    lines.push(out, &meta, &shown, perm);
                }
            }
            Lines::List {
                lines,
                owners,
                groups,
            } => {
                let Some(meta) = self.entries.facts(name, false) else {
                    return;
                };
                let target = self.entries.target(name, &meta);
                let target = target.as_deref().map(|target| encoding.encode(target));
                let entry = list::Entry {
                    meta: &meta,
                    name: &shown,
                    target: target.as_deref(),
                };
                let fs = &self.fs;
                lines.push(out, &entry, || {
                    let owner = owners.name(meta.uid, |id| fs.user_name(id));
                    (owner, groups.name(meta.gid, |id| fs.group_name(id)))
                });
            }
        }
    }
}

impl Lines {
    fn new(format: Format) -> Lines {
        match format.style {
            Style::List => {
                // For the six-month rule.
                let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let now = since_1970.map_or(0, |since| since.as_secs() as i64);
                Lines::List {
                    lines: list::Lines::new(now, format.zone),
                    owners: Ids::default(),
                    groups: Ids::default(),
                }
            }
            Style::Nlst => Lines::Nlst,
            Style::Mlsd { facts, account } => Lines::Mlsd {
                lines: mlsx::Lines::new(facts, format.zone),
                account,
            },
        }
    }
}

impl Entries {
    /// What is listed by itself, and its name: no directory, as `error` said of it.
    fn one(
        fs: &dyn FileSystem,
        path: &VirtualPath,
        error: io::Error,
        style: &Style,
    ) -> io::Result<(Vec<u8>, Entries)> {
        let found = fs.metadata(path);
        if found.as_ref().is_ok_and(Metadata::is_dir) {
            return Err(error);
        }
        let meta = fs.symlink_metadata(path)?;
        match found {
            // A link that leads nowhere, or to itself, is listed by itself; not one that leads outside.
            Err(error)
                if meta.kind != FileKind::Symlink
                    || error.kind() == io::ErrorKind::PermissionDenied =>
            {
                return Err(error);
            }
            Ok(_) | Err(_) => {}
        }
        if matches!(style, Style::Mlsd { .. }) {
            return Err(no_directory());
        }
        let parent = path.parent().unwrap_or_else(VirtualPath::root);
        let name = path.file_name().unwrap_or_default().to_vec();
        let target = match meta.kind {
            FileKind::Symlink => fs
                .read_dir(&parent)
                .and_then(|mut directory| directory.read_link(&name))
                .ok(),
            _ => None,
        };
        Ok((name, Entries::One(meta, target)))
    }

    fn facts(&mut self, name: &[u8], follow: bool) -> Option<Metadata> {
        match self {
            Entries::One(meta, _) => Some(meta.clone()),
            Entries::Directory(directory) if follow => directory
                .metadata(name, true)
                // A link that leads nowhere is still an entry.
                .or_else(|_| directory.metadata(name, false))
                .ok(),
            Entries::Directory(directory) => directory.metadata(name, false).ok(),
        }
    }

    fn target(&mut self, name: &[u8], meta: &Metadata) -> Option<Vec<u8>> {
        match self {
            Entries::One(_, target) => target.clone(),
            Entries::Directory(directory) if meta.kind == FileKind::Symlink => {
                directory.read_link(name).ok()
            }
            Entries::Directory(_) => None,
        }
    }
}

fn no_directory() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, "No such directory")
}

/// A file system of one's own that leaves work undone.
fn not_done() -> io::Error {
    io::Error::other("Internal error")
}
