//! Opening a file for a transfer that begins at an offset (REST).

use std::io;

use crate::fs::File;

/// Why a file was not opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(io::Error),
    /// REST names an offset behind the file's end.
    Offset {
        rest: u64,
        size: u64,
    },
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        OpenError::Io(error)
    }
}

/// Whether an offset is in a file of that size, or at its end.
pub(crate) fn within(rest: u64, size: u64) -> Result<(), OpenError> {
    match rest > size {
        true => Err(OpenError::Offset { rest, size }),
        false => Ok(()),
    }
}

/// The file, at that offset.
pub(crate) fn at_offset(mut file: Box<dyn File>, rest: u64) -> Result<Box<dyn File>, OpenError> {
    if rest > 0 {
        within(rest, file.size()?)?;
        file.seek(rest)?;
    }
    Ok(file)
}
