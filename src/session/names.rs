//! What a listing keeps while it is under way, packed: the names of a directory, which may be
//! hundreds of thousands, and what the owners and groups among its entries are called.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::fs::Directory;

/// Names, one behind the other. Each takes its bytes and 12 more.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each begins, and how long it is.
    places: Vec<Place>,
    /// What a directory gives its names in.
    batch: Vec<Vec<u8>>,
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
}

impl Names {
    /// Reads at most `max` further names; false when the directory has no more.
    pub(super) fn read(&mut self, directory: &mut dyn Directory, max: usize) -> io::Result<bool> {
        let mut batch = std::mem::take(&mut self.batch);
        let more = directory.read_names(max, &mut batch)?;
        for name in batch.drain(..) {
            self.push(&name);
        }
        if more {
            self.batch = batch;
        }
        Ok(more)
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
        let bytes = &self.bytes[..];
        self.places
            .sort_unstable_by(|one, other| one.of(bytes).cmp(other.of(bytes)));
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
    known: HashMap<u32, Arc<str>>,
    /// One entry's owner is mostly the next one's too.
    last: Option<(u32, Arc<str>)>,
}

impl Ids {
    /// What `id` is called: its number if it has no name.
    pub(super) fn name(&mut self, id: u32, ask: impl FnOnce(u32) -> Option<String>) -> &str {
        let last = match self.last.take() {
            Some((last, name)) if last == id => (last, name),
            _ => {
                let name = self
                    .known
                    .entry(id)
                    .or_insert_with(|| ask(id).unwrap_or_else(|| id.to_string()).into());
                (id, Arc::clone(name))
            }
        };
        &self.last.insert(last).1
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
