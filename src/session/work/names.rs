//! What a listing keeps while it is under way, packed: the names of a directory, which may be
//! hundreds of thousands, and what the owners and groups among its entries are called.

use std::collections::HashMap;
use std::io;

use crate::fs::Directory;

/// Names, one behind the other. Each takes its bytes and 12 more.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each begins, and how long it is.
    places: Vec<Place>,
}

/// The beginning in two halves, so that it is aligned to 4 bytes.
#[derive(Clone, Copy)]
struct Place {
    start: [u32; 2],
    length: u32,
}

impl Place {
    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = u64::from(self.start[0]) << 32 | u64::from(self.start[1]);
        let start = start as usize;
        bytes
            .get(start..start + self.length as usize)
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
/// More names than this are parted into halves first: it bounds what sorting takes, 24 bytes each.
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

    pub(super) fn push(&mut self, name: &[u8]) {
        let start = self.bytes.len() as u64;
        self.places.push(Place {
            start: [(start >> 32) as u32, start as u32],
            length: name.len() as u32,
        });
        self.bytes.extend_from_slice(name);
    }

    /// Byte by byte, as `ls` does in the C locale.
    pub(super) fn sort(&mut self) {
        sort(&self.bytes, &mut self.places, 0);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The name at that place; an empty one where there is none.
    pub(super) fn get(&self, at: usize) -> &[u8] {
        self.places
            .get(at)
            .map_or(&[][..], |place| place.of(&self.bytes))
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
        names.sort();
        let sorted: Vec<&[u8]> = (0..names.len()).map(|at| names.get(at)).collect();
        assert_eq!(sorted, [&b""[..], b"a", b"ab", b"a\xff", b"b"]);
        assert_eq!(names.get(5), b"");
        assert_eq!(size_of::<Place>(), 12);
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
            names.sort();
            let mut right: Vec<&[u8]> = (0..all.len())
                .map(|at| &all[at * step % all.len()][..])
                .collect();
            right.sort_unstable();
            let sorted: Vec<&[u8]> = (0..names.len()).map(|at| names.get(at)).collect();
            assert!(sorted == right, "by {step}");
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
        names.sort();
        assert!((0..count).all(|at| names.get(at) == name(at).as_bytes()));
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
