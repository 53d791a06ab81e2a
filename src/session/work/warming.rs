//! Brings the next part of a file from the disk into memory, on a worker thread, for a download that
//! the loop goes on with then.

use std::io;

use super::cancel::Cancel;
use crate::fs::File;

/// Bytes that are read at once.
const PIECE: usize = 128 * 1024;

/// The file, and which part.
pub(crate) struct Warming {
    file: Box<dyn File>,
    offset: u64,
    len: u64,
    cancel: Option<Cancel>,
}

impl Warming {
    pub(crate) fn new(file: Box<dyn File>, offset: u64, len: u64) -> Warming {
        Warming {
            file,
            offset,
            len,
            cancel: None,
        }
    }

    /// Lets it stop between two pieces when nobody wants it any more.
    pub(crate) fn cancel_by(&mut self, cancel: Cancel) {
        self.cancel = Some(cancel);
    }

    /// Gives the file back, at the part's start, and how much of it is in memory: less at the end of
    /// the file, and up to an error, which comes to whoever reads on from there.
    pub(crate) fn run(mut self) -> (Box<dyn File>, io::Result<u64>) {
        let read = self.read_all();
        (self.file, read)
    }

    fn read_all(&mut self) -> io::Result<u64> {
        self.file.seek(self.offset)?;
        let mut piece = vec![0; PIECE];
        let mut done = 0;
        while done < self.len && !self.is_cancelled() {
            let most = (self.len - done).min(PIECE as u64) as usize;
            match self.file.read(&mut piece[..most]) {
                Ok(0) => break,
                Ok(count) => done += count as u64,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.file.seek(self.offset)?;
        Ok(done)
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::work::cancel::cancel;

    /// A megabyte with a bad sector.
    struct Disk {
        at: u64,
        bad: u64,
    }

    impl File for Disk {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.at == self.bad {
                return Err(io::Error::other("bad sector"));
            }
            let end = self.bad.min(1_000_000);
            let count = end.saturating_sub(self.at).min(buf.len() as u64);
            self.at += count;
            Ok(count as usize)
        }

        fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn seek(&mut self, position: u64) -> io::Result<()> {
            self.at = position;
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(1_000_000)
        }

        fn close(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a job reads of a disk with a bad sector there, in a part of half a megabyte.
    fn read(bad: u64, offset: u64, cancelled: bool) -> io::Result<u64> {
        let mut work = Warming::new(Box::new(Disk { at: 7, bad }), offset, 500_000);
        let (canceller, word) = cancel();
        work.cancel_by(word);
        if cancelled {
            drop(canceller);
        }
        work.run().1
    }

    #[test]
    fn a_part_is_read_to_its_end_or_the_file_s_or_an_error() {
        let good = u64::MAX;
        assert_eq!(read(good, 0, false).unwrap(), 500_000);
        assert_eq!(read(good, 900_000, false).unwrap(), 100_000);
        assert_eq!(read(good, 1_000_000, false).unwrap(), 0);
        // What comes before it can still be sent.
        assert_eq!(read(200_000, 100_000, false).unwrap(), 100_000);
        let error = read(200_000, 200_000, false).unwrap_err();
        assert_eq!(error.to_string(), "bad sector");
    }

    #[test]
    fn nobody_wants_it_any_more() {
        assert_eq!(read(u64::MAX, 0, true).unwrap(), 0);
    }

    #[test]
    fn the_file_is_where_it_was() {
        let file = Disk {
            at: 300_000,
            bad: u64::MAX,
        };
        let (mut file, read) = Warming::new(Box::new(file), 300_000, 500_000).run();
        assert_eq!(read.unwrap(), 500_000);
        let mut rest = vec![0; 1_000_000];
        assert_eq!(file.read(&mut rest).unwrap(), 700_000);
    }
}
