//! What a listing keeps while it is under way, packed: the names of a directory, which may be
//! hundreds of thousands, and what the owners and groups among its entries are called.

use std::collections::HashMap;
use std::io;

use crate::fs::Directory;

/// Names as they come, one behind the other. Each takes its bytes and 8 more.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Names in their order, each to be taken once. Each takes its bytes and 4 more, and nothing when it is
/// taken.
#[derive(Default)]
pub(super) struct Sorted {
    /// The last name first, each before its length.
    bytes: Vec<u8>,
    count: usize,
}

/// Where a name begins, and in the lower bits how long it is.
#[derive(Clone, Copy)]
struct Place(u64);

/// Bits of a name's length.
const LENGTH: u32 = 24;

impl Place {
    fn new(start: usize, length: u32) -> Place {
        Place((start as u64) << LENGTH | u64::from(length))
    }

    fn length(self) -> u32 {
        self.0 as u32 & ((1 << LENGTH) - 1)
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = (self.0 >> LENGTH) as usize;
        bytes
            .get(start..start + self.length() as usize)
            .unwrap_or_default()
    }

    /// What follows the first `depth` bytes.
    fn behind(self, depth: usize, bytes: &[u8]) -> &[u8] {
        self.of(bytes).get(depth..).unwrap_or_default()
    }
}

/// Fewer names than this are compared whole.
const FEW: usize = 16;
/// So are names that share as many bytes.
const DEEP: usize = 256;
/// More names than this are parted into halves first: it bounds what sorting takes, 16 bytes each.
const MANY: usize = 32 * 1024;

/// Sorts names that are the same up to `depth`, by numbers made of their next bytes: comparing two
/// strings costs several times as much. Those with the same number are sorted by what follows.
fn sort(bytes: &[u8], places: &mut [Place], depth: usize) {
    let whole = |one: &Place, other: &Place| one.of(bytes).cmp(other.of(bytes));
    let [first, others @ ..] = &*places else {
        return;
    };
    if places.len() < FEW || depth >= DEEP {
        return places.sort_unstable_by(whole);
    }
    if places.len() > MANY {
        let (before, _, behind) = places.select_nth_unstable_by(places.len() / 2, whole);
        sort(bytes, before, depth);
        return sort(bytes, behind, depth);
    }
    // Names of a folder often begin alike.
    let alike = others
        .iter()
        .fold(first.behind(depth, bytes), |alike, other| {
            let both = alike.iter().zip(other.behind(depth, bytes));
            &alike[..both.take_while(|(one, other)| one == other).count()]
        });
    let depth = depth + alike.len();
    let keyed = places
        .iter()
        .map(|&place| (key(place.behind(depth, bytes)), place));
    let mut keyed: Vec<(u64, Place)> = keyed.collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    for (place, (_, sorted)) in places.iter_mut().zip(&keyed) {
        *place = *sorted;
    }
    let mut end = 0;
    let runs = keyed.chunk_by(|(one, _), (other, _)| one == other);
    let runs = runs.map(|run| {
        end += run.len();
        end - run.len()..end
    });
    let runs: Vec<_> = runs.filter(|run| run.len() > 1).collect();
    // Not one of these for each step down.
    drop(keyed);
    for run in runs {
        sort(bytes, &mut places[run], depth + 8);
    }
}

/// The first eight bytes as a number that is ordered as they are; zeroes stand for those missing.
fn key(name: &[u8]) -> u64 {
    let bytes = name.iter().zip([56, 48, 40, 32, 24, 16, 8]);
    match name.first_chunk() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => bytes.fold(0, |key, (&byte, place)| key | u64::from(byte) << place),
    }
}

impl Names {
    /// Reads at most `max` further names; false when the directory has no more.
    pub(super) fn read(&mut self, directory: &mut dyn Directory, max: usize) -> io::Result<bool> {
        directory.each_name(max, &mut |name| self.push(name))
    }

    /// A name that is longer than any path, and so nobody's to ask for, is left out.
    pub(super) fn push(&mut self, name: &[u8]) {
        if name.len() < 1 << LENGTH {
            let place = Place::new(self.bytes.len(), name.len() as u32);
            self.places.push(place);
            self.bytes.extend_from_slice(name);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Byte by byte, as `ls` does in the C locale.
    pub(super) fn sort(mut self) -> Sorted {
        sort(&self.bytes, &mut self.places, 0);
        let count = self.len();
        let mut bytes = Vec::with_capacity(self.bytes.len() + count * size_of::<u32>());
        for place in self.places.iter().rev() {
            bytes.extend_from_slice(place.of(&self.bytes));
            bytes.extend_from_slice(&place.length().to_ne_bytes());
        }
        Sorted { bytes, count }
    }
}

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The next name; an empty one where there is none.
    pub(super) fn first(&self) -> &[u8] {
        self.split().1
    }

    pub(super) fn drop_first(&mut self) {
        let rest = self.split().0.len();
        self.bytes.truncate(rest);
        self.count = self.count.saturating_sub(1);
    }

    /// Those behind the next name, and that.
    fn split(&self) -> (&[u8], &[u8]) {
        let split = self.bytes.split_last_chunk().and_then(|(names, length)| {
            let length = u32::from_ne_bytes(*length) as usize;
            names.split_at_checked(names.len().checked_sub(length)?)
        });
        split.unwrap_or_default()
    }

    /// Holds no memory that those who were taken had, if that is the greater part.
    pub(super) fn shrink(&mut self) {
        if self.bytes.len() <= self.bytes.capacity() / 2 {
            self.bytes.shrink_to_fit();
        }
    }
}

/// The names of ids; the file system is asked for each once a listing.
#[derive(Default)]
pub(super) struct Ids {
    known: HashMap<u32, Box<str>>,
}

impl Ids {
    /// What `id` is called: its number if it has no name.
    pub(super) fn name(&mut self, id: u32, ask: impl FnOnce(u32) -> Option<String>) -> &str {
        self.known
            .entry(id)
            .or_insert_with(|| ask(id).unwrap_or_else(|| id.to_string()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_packed_and_sorted() {
        let mut names = Names::default();
        for name in [&b"b"[..], b"a\xff", b"", b"a", b"ab"] {
            names.push(name);
        }
        assert_eq!(taken(names), [&b""[..], b"a", b"ab", b"a\xff", b"b"]);
        let mut none = Sorted::default();
        none.drop_first();
        assert_eq!((none.first(), none.len()), (&b""[..], 0));
        assert_eq!(size_of::<Place>(), 8);
    }

    fn taken(names: Names) -> Vec<Vec<u8>> {
        let (mut sorted, mut taken) = (names.sort(), Vec::new());
        while sorted.len() > 0 {
            taken.push(sorted.first().to_vec());
            sorted.drop_first();
            if taken.len() % 100 == 0 {
                sorted.shrink();
                assert!(sorted.bytes.capacity() <= 2 * sorted.bytes.len());
            }
        }
        taken
    }

    #[test]
    fn a_name_that_is_no_name_is_left_out() {
        let mut names = Names::default();
        for length in [1 << LENGTH, 1, (1 << LENGTH) - 1] {
            names.push(&vec![b'n'; length]);
        }
        let lengths = taken(names).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths, [1, (1 << LENGTH) - 1]);
    }

    #[test]
    fn names_of_all_sorts_are_sorted_byte_by_byte() {
        // Every word of up to four of these letters, behind nothing, what is as long as a number,
        // and more than that is looked at.
        let letters = b"\0a\x80\xff";
        let mut words = vec![Vec::new()];
        for from in 0..85 {
            words.extend(letters.map(|letter| [&words[from][..], &[letter]].concat()));
        }
        let fronts = [
            vec![],
            b"alike".to_vec(),
            b"eight as".to_vec(),
            b"e".to_vec(),
        ];
        let mut all: Vec<Vec<u8>> = fronts
            .iter()
            .chain(&[vec![b'l'; 300]])
            .flat_map(|front| words.iter().map(|word| [&front[..], word].concat()))
            .collect();
        all.extend((0..40).map(|_| b"twice".to_vec()));
        for step in [1, 7, 101] {
            let mut names = Names::default();
            for at in 0..all.len() {
                names.push(&all[at * step % all.len()]);
            }
            let mut right: Vec<&[u8]> = (0..all.len())
                .map(|at| &all[at * step % all.len()][..])
                .collect();
            right.sort_unstable();
            assert!(taken(names) == right, "by {step}");
        }
    }

    #[test]
    fn more_names_than_are_sorted_at_once_are_sorted() {
        let count = 2 * MANY + 1;
        let name = |at: usize| format!("{at:08}");
        let mut names = Names::default();
        for at in 0..count {
            // 7,919 is prime.
            names.push(name(at * 7_919 % count).as_bytes());
        }
        let taken = taken(names);
        assert!((0..count).all(|at| taken[at] == name(at).as_bytes()));
    }

    #[test]
    fn an_id_is_asked_for_once() {
        let (mut ids, mut asked) = (Ids::default(), Vec::new());
        for id in [0, 0, 1, 2, 1, 0, 2] {
            let name = ids.name(id, |id| {
                asked.push(id);
                (id != 2).then(|| format!("user{id}"))
            });
            assert_eq!(name, ["user0", "user1", "2"][id as usize]);
        }
        assert_eq!(asked, [0, 1, 2]);
    }
}
