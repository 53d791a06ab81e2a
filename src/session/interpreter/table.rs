//! What a row of the table says of its command, and the table: HELP, FEAT, the checks before a command
//! runs and the log all read it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::state::Interpreter;
use crate::proto::command::{Arg, CommandLine};
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::verb::Verb;
use crate::session::work::pooled::Pooled;

/// A command as the interpreter sees it.
#[derive(Clone)]
pub(crate) struct Row {
    /// In capitals; `SITE X` for a SITE command.
    pub(crate) name: Cow<'static, str>,
    /// Needed on the argument's path, or at all where there is no path.
    pub(crate) perm: Perm,
    pub(crate) login: bool,
    pub(crate) arg: Arg,
    pub(crate) help: Cow<'static, str>,
    /// The line in FEAT.
    pub(crate) feat: Option<Cow<'static, str>>,
    /// Whether the command and its final reply are logged at info level.
    pub(crate) logged: bool,
    /// Whether the argument is not for any log.
    pub(crate) secret: bool,
    pub(crate) marks: Marks,
    pub(crate) run: Run,
}

/// What a command does to the marks that REST and ALLO set for the next transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// A declared size is forgotten: ALLO is for the upload right behind it. (An offset waits for
    /// its transfer, for clients ask this and that in between.)
    Forgets,
    /// Prepares a transfer.
    Keeps,
    /// Is a transfer: both are for it, even if it is refused.
    Takes,
}

/// What a row does with its argument.
#[derive(Clone)]
pub(crate) enum Run {
    /// Takes the bytes as they are.
    Plain(fn(&mut Interpreter, &[u8])),
    /// As [`Plain`](Run::Plain), and asks the table itself.
    Asks(fn(&mut Interpreter, &Table, &[u8])),
    /// Takes a path: resolved, and checked for the row's permission.
    Path(Argument, fn(&mut Interpreter, VirtualPath)),
    /// Takes a word and a path behind it.
    WordPath(fn(&mut Interpreter, &[u8], VirtualPath)),
    /// A library user's, by its place among the server's.
    Custom { index: usize, takes_path: bool },
    /// A library user's, on a worker thread; takes a path as [`Run::Path`] does.
    Pooled(Pooled),
}

/// How a path argument is read.
#[derive(Clone, Copy)]
pub(crate) struct Argument {
    /// What an empty one stands for.
    pub(crate) default: &'static [u8],
    /// Another reading, tried where nothing has the name as it stands.
    pub(crate) otherwise: fn(&[u8]) -> Option<&[u8]>,
}

impl Argument {
    /// An argument, or what stands for an empty one.
    pub(super) fn or_default<'a>(&self, arg: &'a [u8]) -> &'a [u8] {
        if arg.is_empty() { self.default } else { arg }
    }
}

/// The rows of one server: the built-in ones and the user's.
#[derive(Clone)]
pub(crate) struct Table(Arc<Rows>);

#[derive(Clone)]
struct Rows {
    /// Sorted by name.
    rows: Vec<Row>,
    /// Where each row is: a hash table by the heads of names ([`Verb::head`]), a power of two of places,
    /// most of them empty. A name is found, or not, at the first look or the second.
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    head: u64,
    /// There is no such row in a place that is empty.
    row: usize,
}

impl Place {
    const EMPTY: Place = Place {
        head: 0,
        row: usize::MAX,
    };

    /// The places where a name is looked for, in turn, among so many.
    fn of(head: u64, places: usize) -> impl Iterator<Item = usize> {
        // The golden ratio, by which similar numbers go to different places.
        let first = head.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        (first as usize..).map(move |place| place & (places - 1))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.rows().iter().map(|row| &row.name))
            .finish()
    }
}

impl Table {
    pub(super) fn of(rows: Vec<Row>) -> Table {
        let mut places = vec![Place::EMPTY; (4 * rows.len()).next_power_of_two()];
        for (row, Row { name, .. }) in rows.iter().enumerate() {
            let head = Verb::upper(name.as_bytes()).head();
            let mut seats = Place::of(head, places.len());
            let free = seats.find(|&seat| places[seat].row == usize::MAX);
            if let Some(seat) = free {
                places[seat] = Place { head, row };
            }
        }
        Table(Arc::new(Rows { rows, places }))
    }

    /// The row of a command.
    pub(crate) fn find(&self, name: &Verb) -> Option<&Row> {
        let Rows { rows, places } = &*self.0;
        let (wanted, bytes) = (name.head(), name.as_bytes());
        for place in Place::of(wanted, places.len()) {
            let &Place { head, row } = places.get(place)?;
            let row = rows.get(row)?;
            // A name of eight bytes at most is in its head.
            let is_it = head == wanted
                && row.name.len() == bytes.len()
                && (bytes.len() <= 8 || row.name.as_bytes() == bytes);
            if is_it {
                return Some(row);
            }
        }
        None
    }

    /// The line for a log, without what is not for one.
    pub(crate) fn shown(&self, command: &CommandLine) -> String {
        let is_secret = |command: &CommandLine| {
            let row = self.find(&command.name);
            row.is_some_and(|row| row.secret)
        };
        match is_secret(command) || command.further_on().as_ref().is_some_and(is_secret) {
            true => command.masked().to_string(),
            false => command.shown().to_string(),
        }
    }

    /// All rows, sorted by name.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.0.rows
    }

    /// The same with other rows.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Vec<Row>)) {
        let mut rows = self.rows().to_vec();
        change(&mut rows);
        *self = Table::of(rows);
    }

    pub(crate) fn has_hash(&self) -> bool {
        self.find(&Verb::upper(b"HASH")).is_some()
    }

    /// Adds a row; one of the same name gives way.
    pub(crate) fn add(&mut self, row: Row) {
        self.change(
            |rows| match rows.binary_search_by(|known| known.name.cmp(&row.name)) {
                Ok(index) => rows[index] = row,
                Err(index) => rows.insert(index, row),
            },
        );
    }
}
