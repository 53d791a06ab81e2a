//! The guard of a client that is off the loop, which any thread may hold.

use std::fmt;
use std::mem;

use ftpdlib_reactor::{Context, Handle, Key, Sleeping as AsleepOnLoop};

use crate::proto::reply::Reply;
use crate::session::channels::slot::CONTROL;
use crate::session::note::{Decision, Note, QuestionId};

/// A client that is off the loop, from [`Session::del_channel`](crate::Session::del_channel). When this guard goes, on whatever
/// thread, the client is back: by one of the methods here, by dropping it, or because the thread
/// that holds it panicked.
///
/// Guards of one client nest: his commands go on when the last one has gone. A guard may outlive
/// its client and its server. Leaking one ([`std::mem::forget`]) leaves the client waiting, and his
/// session in its place when he hangs up, until a callback or the server ends it.
#[must_use = "dropping it puts the client back at once"]
pub struct Sleeping {
    // Dropped behind the word that is sent, so that the session wakes knowing it.
    channel: AsleepOnLoop,
    reactor: Handle,
    key: Key,
    question: QuestionId,
    decision: Decision,
}

impl Sleeping {
    /// Takes the client off the loop, for a question.
    pub(super) fn new(cx: &mut Context<'_>, question: QuestionId) -> Sleeping {
        Sleeping {
            channel: cx.del_channel(CONTROL),
            reactor: cx.handle(),
            key: cx.key(),
            question,
            decision: Decision::Stands,
        }
    }

    /// Puts the client back; what waits goes on as the callback had it. The same as dropping the
    /// guard, said aloud.
    pub fn add_channel(self) {}

    /// Puts the client back, with this reply to what waits, as by [`Session::answer`](crate::Session::answer).
    pub fn answer(mut self, reply: Reply) {
        self.decision = Decision::Answer(reply);
    }

    /// Puts the client back, and takes back any answer that was given before, as by
    /// [`Session::proceed`](crate::Session::proceed).
    pub fn proceed(mut self) {
        self.decision = Decision::Proceed;
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        let note = Note::Back(self.question, mem::take(&mut self.decision));
        // A session that is gone has nothing to be told.
        self.reactor.send(self.key, Box::new(note));
    }
}

impl fmt::Debug for Sleeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeping")
            .field("channel", &self.channel)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}
