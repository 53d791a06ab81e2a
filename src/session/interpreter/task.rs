//! The transfer in progress, as the protocol knows it.

use std::sync::Arc;

use log::Level;

use super::replies::{error_reply, open_error_reply};
use super::transferred::FileOf;
use super::vocabulary::End;
use crate::fs::{File, FileSystem};
use crate::proto::reply::Reply;
use crate::session::work::job::{Files, Source};
use crate::session::work::opening::OpenError;
use crate::session::work::upload::Hidden;

/// The transfer command, from its acceptance to its final reply.
pub(super) enum Transfer {
    Idle,
    /// 150 is out; there is no data connection yet.
    Waiting(Box<Task>, Plan),
    /// The data connection is open; its TLS handshake is under way.
    Protecting(Box<Task>, Plan),
    /// Data can flow; the target is being opened.
    Opening(Box<Task>),
    Running(Box<Task>),
    /// It has ended, and the handler was told of its file: what it says to that decides the reply.
    Reported {
        task: Box<Task>,
        level: Level,
        reply: Reply,
    },
    /// What the handler said decides what becomes of an upload's hidden file; its reply waits for that.
    Settling {
        task: Box<Task>,
        level: Level,
        reply: Reply,
    },
}

/// What a transfer is, whatever its state.
pub(super) struct Task {
    pub(super) command: &'static str,
    /// None for listings.
    pub(super) file: Option<Arc<FileOf>>,
    pub(super) receive: bool,
    pub(super) ascii: bool,
    pub(super) slow: bool,
    pub(super) rest: u64,
    /// ALLO's size.
    pub(super) declared: Option<u64>,
    /// Where the bytes are before the file has its name.
    pub(super) hidden: Option<Hidden>,
}

/// What a transfer does once data can flow.
pub(super) enum Plan {
    Send(Source),
    /// Opens the target, then receives.
    Store(Arc<dyn FileSystem>, Files),
    Receive(Box<dyn File>),
}

impl Task {
    pub(super) fn hiding(mut self: Box<Self>, hidden: Option<Hidden>) -> Box<Self> {
        self.hidden = hidden;
        self
    }

    /// The reply when the target could not be opened.
    pub(super) fn refusal(&self, error: &OpenError) -> Reply {
        match error {
            // The name was free when it was given.
            OpenError::Io(error) if self.command == "STOU" => error_reply(450, error, ""),
            error => open_error_reply(error),
        }
    }

    /// Whether ALLO named another size than came, on the wire or in the file.
    pub(super) fn differs_from_declared(&self, end: &End) -> bool {
        let (wire, stored) = (end.progress.received, end.progress.stored);
        self.declared.is_some_and(|size| {
            size != wire && size != stored && size != stored.saturating_add(self.rest)
        })
    }
}
