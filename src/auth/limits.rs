//! What one user may use of the server, counted over all of his sessions.

/// Limits of one user over all of his sessions, whichever worker serves them. 0 is none.
///
/// ```
/// use ftpdlib::Limits;
///
/// let mut limits = Limits::default();
/// limits.max_cons = 2; // sessions
/// limits.write_limit = 1_000_000; // bytes a second to the user
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions at a time; a login over it is refused with `530`. It holds in place of the server's
    /// `max_cons_per_user`.
    pub max_cons: usize,
    /// Bytes a second from the user, by all of his uploads together.
    pub read_limit: u64,
    /// Bytes a second to the user, by all of his downloads and listings together.
    pub write_limit: u64,
    /// Bytes that all of the user's files together may have: what passes it is refused with `552`.
    ///
    /// What is in his home is counted when he logs in and has no other session, on a worker thread, while
    /// he waits for the reply; from then on the server keeps count of what he does. Nobody can be kept
    /// by it from writing to his home by other ways than this server.
    pub quota_bytes: u64,
    /// Files, folders and links that the user may have, counted in the same way.
    pub quota_files: u64,
}

impl Limits {
    /// Whether what the user stores is to be counted.
    pub(crate) fn has_quota(&self) -> bool {
        self.quota_bytes > 0 || self.quota_files > 0
    }
}
