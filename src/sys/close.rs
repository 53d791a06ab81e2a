//! `close(2)` with its verdict, which dropping a descriptor hides: a full disk or a lost network
//! share may speak only then.

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

/// Closes `fd`. It is closed also if this is an error.
pub(crate) fn close(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was ours alone and, taken out of its owner, is closed by nobody else.
    if unsafe { libc::close(fd.into_raw_fd()) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        // Closed all the same; a second call would hit whoever has the number next.
        io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn it_is_closed_at_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        close(writer.into()).unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}
