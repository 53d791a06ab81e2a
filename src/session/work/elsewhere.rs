//! What closes on a worker thread, whoever drops it: files and directories of slow file systems, and
//! large files that lost their last name while they were open. (An upload's hidden file has its own
//! [`Drop`] for that.)
//!
//! A session drops them at many places, on the loop: an ABOR, a lost connection, an outcome that
//! nobody waits for any more. Closing a file on a network share may take as long as writing to it, and
//! with the last descriptor of a file that has no name the system frees all of its bytes.

use std::io;
use std::task::Waker;

use super::job::Outcome;
use super::pool::Hands;
use super::upload::Upload;
use crate::fs::{Directory, File, LARGE, Metadata};

/// One of them.
struct Elsewhere<T: ?Sized + Send + 'static> {
    /// None only as it goes.
    it: Option<Box<T>>,
    /// Whether that takes long.
    is_slow: fn(&T) -> bool,
    hands: Hands,
}

impl<T: ?Sized + Send + 'static> Elsewhere<T> {
    fn new(it: Box<T>, is_slow: fn(&T) -> bool, hands: Hands) -> Self {
        Elsewhere {
            it: Some(it),
            is_slow,
            hands,
        }
    }

    fn it(&mut self) -> io::Result<&mut T> {
        self.it.as_deref_mut().ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::Error::other("it is closed")
}

impl<T: ?Sized + Send + 'static> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        if let Some(it) = self.it.take()
            && (self.is_slow)(&it)
        {
            // Without a thread it closes here, as one does that is quick: better late than never.
            let _ = self.hands.run(move || drop(it));
        }
    }
}

impl File for Elsewhere<dyn File> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.it()?.read(buf)
    }

    fn wake_by(&mut self, waker: &Waker) {
        if let Some(file) = &mut self.it {
            file.wake_by(waker);
        }
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.it()?.write_all(buf)
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.it()?.seek(position)
    }

    fn size(&self) -> io::Result<u64> {
        self.it.as_ref().ok_or_else(gone)?.size()
    }

    fn size_at_open(&self) -> Option<u64> {
        self.it.as_ref()?.size_at_open()
    }

    fn is_at_hand(&self, offset: u64, len: u64) -> Option<bool> {
        self.it.as_ref()?.is_at_hand(offset, len)
    }

    /// On the thread that calls, which knows.
    fn close(mut self: Box<Self>) -> io::Result<()> {
        self.it.take().ok_or_else(gone)?.close()
    }

    fn is_slow_to_close(&self) -> bool {
        self.it.as_deref().is_some_and(File::is_slow_to_close)
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.it.as_ref()?.as_fd()
    }
}

impl Directory for Elsewhere<dyn Directory> {
    fn read_names(&mut self, max: usize, into: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        self.it()?.read_names(max, into)
    }

    fn each_name(&mut self, max: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        self.it()?.each_name(max, take)
    }

    fn metadata(&mut self, name: &[u8], follow: bool) -> io::Result<Metadata> {
        self.it()?.metadata(name, follow)
    }

    fn read_link(&mut self, name: &[u8]) -> io::Result<Vec<u8>> {
        self.it()?.read_link(name)
    }
}

/// Sees to it that what a job has opened closes on a worker thread where that takes long: all that is
/// `slow`, as the job was, and large files that have no name by then.
pub(crate) fn closes_elsewhere(outcome: Outcome, slow: bool, hands: impl Fn() -> Hands) -> Outcome {
    match outcome {
        Outcome::File(Ok(file)) if slow || was_large(&*file) => {
            Outcome::File(Ok(file_elsewhere(file, slow, hands())))
        }
        Outcome::Upload(Ok(Upload { file, mut hidden })) => {
            if let Some(hidden) = &mut hidden {
                hidden.ends_on(hands());
            }
            let file = match slow || was_large(&*file) {
                true => file_elsewhere(file, slow, hands()),
                false => file,
            };
            Outcome::Upload(Ok(Upload { file, hidden }))
        }
        Outcome::Listing(Ok(mut listing)) if slow => {
            listing.replace_directory(|it| Box::new(Elsewhere::new(it, |_| true, hands())));
            Outcome::Listing(Ok(listing))
        }
        other => other,
    }
}

/// Whether it was large when it was opened.
pub(crate) fn was_large(file: &dyn File) -> bool {
    file.size_at_open().is_some_and(|size| size >= LARGE)
}

/// The file, dropped on a worker thread: if it is of `slow` ones in any case, else if that takes long by then.
pub(crate) fn file_elsewhere(file: Box<dyn File>, slow: bool, hands: Hands) -> Box<dyn File> {
    let is_slow: fn(&dyn File) -> bool = match slow {
        true => |_| true,
        false => |file| file.is_slow_to_close(),
    };
    Box::new(Elsewhere::new(file, is_slow, hands))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;
    use crate::session::Pool;

    /// Tells where it was closed, and how.
    struct Told {
        tell: Sender<(ThreadId, &'static str)>,
        how: &'static str,
        size: u64,
        slow: bool,
    }

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.tell.send((thread::current().id(), self.how));
        }
    }

    impl File for Told {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(7)
        }

        fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn seek(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(self.size)
        }

        fn size_at_open(&self) -> Option<u64> {
            Some(self.size)
        }

        fn close(mut self: Box<Self>) -> io::Result<()> {
            self.how = "closed";
            Ok(())
        }

        fn is_slow_to_close(&self) -> bool {
            assert!(self.size >= LARGE, "a small one is asked");
            self.slow
        }
    }

    type Tell = Sender<(ThreadId, &'static str)>;

    fn file(tell: &Tell, size: u64, slow: bool) -> Box<dyn File> {
        let (tell, how) = (tell.clone(), "dropped");
        Box::new(Told {
            tell,
            how,
            size,
            slow,
        })
    }

    /// As a slow file system's.
    fn opened(pool: &Pool, tell: &Tell) -> Box<dyn File> {
        let outcome = Outcome::File(Ok(file(tell, 70, false)));
        match closes_elsewhere(outcome, true, || pool.hands()) {
            Outcome::File(Ok(file)) => file,
            _ => panic!("no file"),
        }
    }

    #[test]
    fn a_file_that_is_dropped_closes_on_a_worker_thread() {
        let (told, hear) = channel();
        let pool = Pool::default();
        let mut it = opened(&pool, &told);
        assert_eq!((it.read(&mut []).unwrap(), it.size().unwrap()), (7, 70));
        drop(it);
        // An outcome that nobody waits for.
        drop(Outcome::File(Ok(opened(&pool, &told))));
        let upload = Upload {
            file: file(&told, 70, false),
            hidden: None,
        };
        let upload = Outcome::Upload(Ok(upload));
        drop(closes_elsewhere(upload, true, || pool.hands()));
        for _ in 0..3 {
            let (thread, how) = hear.recv().unwrap();
            assert_ne!(thread, thread::current().id());
            assert_eq!(how, "dropped");
        }
        // To close it is the job of a worker thread already.
        opened(&pool, &told).close().unwrap();
        assert_eq!(hear.recv().unwrap(), (thread::current().id(), "closed"));
        // Nothing stays open when the threads have gone.
        let late = opened(&pool, &told);
        pool.finish(Duration::from_secs(60));
        drop(late);
        assert_eq!(hear.recv().unwrap().1, "dropped");
    }

    #[test]
    fn a_large_file_does_so_where_it_takes_long_and_a_small_one_never() {
        let (told, hear) = channel();
        let pool = Pool::default();
        for (size, slow) in [(LARGE - 1, true), (LARGE, false), (LARGE, true)] {
            let file = || file(&told, size, slow);
            let upload = Upload {
                file: file(),
                hidden: None,
            };
            for outcome in [Outcome::File(Ok(file())), Outcome::Upload(Ok(upload))] {
                drop(closes_elsewhere(outcome, false, || pool.hands()));
                let (thread, how) = hear.recv().unwrap();
                let here = thread == thread::current().id();
                assert_eq!((here, how), (size < LARGE || !slow, "dropped"));
            }
        }
    }
}
