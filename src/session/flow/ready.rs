//! How a file whose bytes come at somebody else's pace says that there are some.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use ftpdlib_reactor::{Handle, Key};

use crate::session::note::Note;

/// The session's end of a file's waker.
#[derive(Clone)]
pub(crate) struct Ready(Arc<Way>);

/// From any thread to the flow.
struct Way {
    handle: Handle,
    key: Key,
    /// Tells its flow from a later one.
    number: u32,
    /// One message is enough, however often it is woken.
    sent: AtomicBool,
}

impl Ready {
    pub(crate) fn new(handle: Handle, key: Key, number: u32) -> Ready {
        Ready(Arc::new(Way {
            handle,
            key,
            number,
            sent: AtomicBool::new(false),
        }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// The message has come; what is woken from now on is said again.
    pub(crate) fn heard(&self) {
        self.0.sent.store(false, Ordering::Release);
    }
}

impl Wake for Way {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.sent.swap(true, Ordering::AcqRel) {
            let note = Note::Ready(self.number);
            self.handle.send(self.key, Box::new(note));
        }
    }
}
