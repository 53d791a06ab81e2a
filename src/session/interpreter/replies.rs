//! Replies that many commands give: errors of the file system above all.

use std::io;

use crate::fs::{describe, is_passing};
use crate::proto::reply::Reply;
use crate::session::work::opening::OpenError;

/// The reply to an error of the file system: `code`, unless the error has a code of its own.
pub(crate) fn error_reply(code: u16, error: &io::Error, suffix: &str) -> Reply {
    let code = match error.kind() {
        io::ErrorKind::StorageFull => 452,
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => 552,
        _ if is_passing(error) => 450,
        _ => code,
    };
    let mut text = describe(error);
    if text.ends_with('.') {
        text.pop();
    }
    Reply::new(code, format!("{text}{suffix}."))
}

/// The reply where a job was lost.
pub(super) fn internal_error() -> Reply {
    Reply::new(451, "Internal error.")
}

/// The reply to what needs a login.
pub(crate) fn not_logged_in() -> Reply {
    Reply::new(530, "Log in with USER and PASS first.")
}

/// The reply where a file was not opened.
pub(super) fn open_error_reply(error: &OpenError) -> Reply {
    match error {
        OpenError::Io(error) => error_reply(550, error, ""),
        OpenError::Offset { rest, size } => {
            Reply::new(554, format!("REST position ({rest}) > file size ({size})"))
        }
    }
}
