//! What other threads and the server send to a session, as messages of the event loop.

use std::any::Any;

use super::work::job::{JobId, Outcome};
use crate::proto::reply::Reply;

/// What other threads and the server send to a session.
pub(crate) enum Note {
    /// A job of the interpreter's is done.
    Job(JobId, Outcome),
    /// A job of the data plane's is done.
    Flow(u32, Outcome),
    /// The file that the data plane sends has something to read.
    Ready(u32),
    /// A guard of a library user's has gone.
    Back(QuestionId, Decision),
    /// Offloaded work is done, or could not be.
    Worked(QuestionId, u32, Box<dyn Any + Send>),
    /// The server stops: end when the transfer has ended.
    Drain,
    /// Write a line on yourself to the log.
    Status,
}

/// Names what waits for a callback's word to whoever holds it.
pub(crate) type QuestionId = u32;

/// What a thread says as it puts a client back.
#[derive(Debug, Default)]
pub(crate) enum Decision {
    /// Nothing: what the callback said stands.
    #[default]
    Stands,
    Proceed,
    Answer(Reply),
}
