//! What closes on a worker thread, whoever drops it: files and directories of slow file systems.
//! (An upload's hidden file has its own [`Drop`] for that.)
//!
//! A session drops them at many places, on the loop: an ABOR, a lost connection, an outcome that
//! nobody waits for any more. Closing a file on a network share may take as long as writing to it.

use std::io;

use super::job::Outcome;
use super::pool::Hands;
use super::upload::Upload;
use crate::fs::{Directory, File, Metadata};

/// One of them.
pub(super) struct Elsewhere<T: ?Sized + Send + 'static> {
    /// None only as it goes.
    it: Option<Box<T>>,
    hands: Hands,
}

impl<T: ?Sized + Send + 'static> Elsewhere<T> {
    pub(super) fn new(it: Box<T>, hands: Hands) -> Self {
        Elsewhere {
            it: Some(it),
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
        if let Some(it) = self.it.take() {
            // Without a thread it closes here: better late than never.
            let _ = self.hands.run(move || drop(it));
        }
    }
}

impl File for Elsewhere<dyn File> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.it()?.read(buf)
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

    fn close(mut self: Box<Self>) -> io::Result<()> {
        self.it.take().ok_or_else(gone)?.close()
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

/// Sees to it that what was opened on a worker thread closes on one.
pub(crate) fn closes_elsewhere(outcome: Outcome, hands: Hands) -> Outcome {
    match outcome {
        Outcome::File(Ok(file)) => Outcome::File(Ok(Box::new(Elsewhere::new(file, hands)))),
        Outcome::Upload(Ok(Upload { file, mut hidden })) => {
            if let Some(hidden) = &mut hidden {
                hidden.ends_on(hands.clone());
            }
            let file = Box::new(Elsewhere::new(file, hands));
            Outcome::Upload(Ok(Upload { file, hidden }))
        }
        Outcome::Listing(Ok(mut listing)) => {
            listing.replace_directory(|it| Box::new(Elsewhere::new(it, hands)));
            Outcome::Listing(Ok(listing))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;
    use crate::session::Pool;

    /// Tells where it was closed, and how.
    struct Told(Sender<(ThreadId, &'static str)>, &'static str);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send((thread::current().id(), self.1));
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
            Ok(70)
        }

        fn close(mut self: Box<Self>) -> io::Result<()> {
            self.1 = "closed";
            Ok(())
        }
    }

    fn opened(pool: &Pool, told: Sender<(ThreadId, &'static str)>) -> Box<dyn File> {
        let outcome = Outcome::File(Ok(Box::new(Told(told, "dropped"))));
        match closes_elsewhere(outcome, pool.hands()) {
            Outcome::File(Ok(file)) => file,
            _ => panic!("no file"),
        }
    }

    #[test]
    fn a_file_that_is_dropped_closes_on_a_worker_thread() {
        let (told, hear) = channel();
        let pool = Pool::default();
        let mut file = opened(&pool, told.clone());
        assert_eq!((file.read(&mut []).unwrap(), file.size().unwrap()), (7, 70));
        drop(file);
        // An outcome that nobody waits for.
        drop(Outcome::File(Ok(opened(&pool, told.clone()))));
        let upload = Upload {
            file: Box::new(Told(told.clone(), "dropped")),
            hidden: None,
        };
        drop(closes_elsewhere(Outcome::Upload(Ok(upload)), pool.hands()));
        for _ in 0..3 {
            let (thread, how) = hear.recv().unwrap();
            assert_ne!(thread, thread::current().id());
            assert_eq!(how, "dropped");
        }
        // To close it is the job of a worker thread already.
        opened(&pool, told.clone()).close().unwrap();
        assert_eq!(hear.recv().unwrap(), (thread::current().id(), "closed"));
        // Nothing stays open when the threads have gone.
        let late = opened(&pool, told);
        pool.finish(Duration::from_secs(60));
        drop(late);
        assert_eq!(hear.recv().unwrap().1, "dropped");
    }
}
