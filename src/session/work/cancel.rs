//! Telling work on another thread that nobody wants it any more.
//!
//! The session keeps a [`Canceller`], the work a [`Cancel`], which it looks at between two pieces.
//! What is asked to stop need not: its outcome tells what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Jobs of a client's commands that ABOR may leave behind before it waits for one of them to be done, and the
/// same of his transfers: they queue for the worker threads, and hold files, for as long as a disk hangs.
pub(crate) const MOST_LEFT: u8 = 4;

/// What the work looks at.
#[derive(Clone, Debug)]
pub(crate) struct Cancel(Arc<AtomicBool>);

/// The session's end of it. Dropping it cancels, so that a session that ends leaves no work behind.
#[derive(Debug)]
pub(crate) struct Canceller(Cancel);

/// Both ends of a new one.
pub(crate) fn cancel() -> (Canceller, Cancel) {
    let cancel = Cancel(Arc::default());
    (Canceller(cancel.clone()), cancel)
}

impl Cancel {
    /// Whether the work may as well stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        // Nothing is handed over by it, so no order is needed.
        self.0.load(Ordering::Relaxed)
    }
}

impl Canceller {
    pub(crate) fn cancel(&self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Canceller {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_cancelled_by_a_word_or_by_the_end_of_its_session() {
        let (canceller, work) = cancel();
        assert!(!work.is_cancelled());
        canceller.cancel();
        assert!(work.is_cancelled());
        let (canceller, work) = cancel();
        drop(canceller);
        assert!(work.is_cancelled());
    }
}
