//! Downloads from a cold disk: what of a file is not in memory is read by a worker thread first, so that
//! the loop never waits for the disk.

use crate::fs::File;

/// Bytes that a file is asked about at once, and that a worker thread brings into memory at once. More
/// than a turn moves, so that few turns ask; as many as make a disk stream, and as may still be read on
/// the loop if the answer was wrong, or the system gives the memory away again.
pub(super) const WINDOW: u64 = 2 * 1024 * 1024;

/// How much of a file is known to be at hand.
pub(super) struct AtHand {
    /// Up to here it is, or nobody is asked.
    until: u64,
    /// What comes then is not.
    cold: bool,
}

impl AtHand {
    /// Of what is never asked about.
    pub(super) fn all() -> AtHand {
        AtHand {
            until: u64::MAX,
            cold: false,
        }
    }

    /// Nothing is known yet of what comes from `offset` on.
    pub(super) fn none(offset: u64) -> AtHand {
        AtHand {
            until: offset,
            cold: false,
        }
    }

    /// How many of the `max` bytes from `offset` on may be read on the loop; 0 if a worker thread has to
    /// read first.
    pub(super) fn of(&mut self, file: &dyn File, offset: u64, max: usize) -> usize {
        if offset > self.until {
            // A worker thread has read, and not into the system's memory alone.
            *self = AtHand::none(offset);
        }
        let left = self.until - offset;
        if left >= max as u64 {
            return max;
        }
        if !self.cold {
            match file.is_at_hand(self.until, WINDOW) {
                Some(true) => self.until = self.until.saturating_add(WINDOW),
                Some(false) => self.cold = true,
                None => *self = AtHand::all(),
            }
        }
        match self.cold {
            // Less than `max`, and not asked about again, or what goes from memory at once would be
            // read for ever.
            true => left as usize,
            false => max,
        }
    }

    /// A worker thread has read so many bytes from `offset` on. At the end they are none, which a step
    /// on the loop finds out then.
    pub(super) fn warmed(&mut self, offset: u64, count: u64) {
        *self = AtHand::none(offset.saturating_add(count.max(1)));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;

    use super::*;

    /// Answers what it is told, and remembers what it was asked.
    struct Asked(RefCell<Vec<u64>>, fn(u64) -> Option<bool>);

    impl File for Asked {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn seek(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(0)
        }

        fn is_at_hand(&self, offset: u64, len: u64) -> Option<bool> {
            assert_eq!(len, WINDOW);
            self.0.borrow_mut().push(offset);
            self.1(offset)
        }

        fn close(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
    }

    fn file(answer: fn(u64) -> Option<bool>) -> Asked {
        Asked(RefCell::default(), answer)
    }

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_warm_file_is_asked_about_once_for_many_steps() {
        let (file, mut hand) = (file(|_| Some(true)), AtHand::none(0));
        let steps = 64;
        for step in 0..steps {
            assert_eq!(hand.of(&file, step * MIB as u64, MIB), MIB);
        }
        assert_eq!(file.0.borrow().len() as u64, steps / 2);
        let steps = steps * 16;
        file.0.borrow_mut().clear();
        let mut hand = AtHand::none(0);
        for step in 0..steps {
            assert_eq!(hand.of(&file, step * MIB as u64 / 16, MIB / 16), MIB / 16);
        }
        assert_eq!(file.0.borrow().len() as u64, steps / 32);
    }

    #[test]
    fn who_does_not_know_is_not_asked_again() {
        let (file, mut hand) = (file(|_| None), AtHand::none(7));
        for step in 0..10 {
            assert_eq!(hand.of(&file, 7 + step * MIB as u64, MIB), MIB);
        }
        assert_eq!(*file.0.borrow(), [7]);
        assert_eq!(AtHand::all().of(&file, 1 << 40, MIB), MIB);
        assert_eq!(*file.0.borrow(), [7]);
    }

    #[test]
    fn what_a_worker_thread_has_read_is_not_asked_about() {
        let (file, mut hand) = (file(|at| Some(at >= 100)), AtHand::none(0));
        assert_eq!(hand.of(&file, 0, MIB), 0);
        assert_eq!(hand.of(&file, 64, MIB), 0);
        assert_eq!(hand.of(&file, 128, MIB), MIB);
        assert_eq!(*file.0.borrow(), [0, 64, 128]);
    }

    #[test]
    fn what_was_warmed_is_sent_though_it_is_cold_again() {
        let (file, mut hand) = (file(|_| Some(false)), AtHand::none(0));
        assert_eq!(hand.of(&file, 0, MIB), 0);
        hand.warmed(0, WINDOW);
        let mut offset = 0;
        while offset < WINDOW {
            let count = hand.of(&file, offset, 700_000);
            assert!(count > 0, "at {offset}");
            offset += count as u64;
        }
        assert_eq!(offset, WINDOW);
        assert_eq!(*file.0.borrow(), [0, WINDOW]);
        assert_eq!(hand.of(&file, offset, MIB), 0);
        // Up to a bad sector, or the end.
        hand.warmed(offset, 10);
        assert_eq!(hand.of(&file, offset, MIB), 10);
        assert_eq!(hand.of(&file, offset + 10, MIB), 0);
        hand.warmed(offset + 10, 0);
        assert_eq!(hand.of(&file, offset + 10, MIB), 1);
    }
}
