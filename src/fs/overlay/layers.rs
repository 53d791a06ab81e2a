//! The two layers of an overlay, and the names that it keeps for itself.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fs::FileSystem;

/// What the names begin with that the overlay keeps for itself in the upper layer.
pub(super) const HIDDEN: &[u8] = b".wh.";

/// An upper file system over a lower one: users see both as one tree, and all that they change goes
/// to the upper one. The lower one is never changed.
///
/// - A name that both have is the upper one's; directories are merged.
/// - A file of the lower layer is **copied up** before it is changed in place (APPE, REST, SITE CHMOD,
///   MFMT, renaming): content, mode and modification time. STOR copies only the mode. A directory of
///   the lower layer is renamed by copying up all that is in it. Copies are made on the worker
///   threads, and appear whole or not at all.
/// - What is removed and is in the lower layer gets a **whiteout**: an empty file `.wh.NAME` in the
///   upper layer, as container images have them. So it stays removed when the server starts anew. A
///   whiteout also keeps apart what comes to that name later: a new directory does not show what the
///   lower one held. Names that begin with `.wh.` are invisible to users, and refused.
/// - A directory can be removed when it is seen to be empty.
///
/// What it cannot do: symbolic links and special files of the lower layer cannot be renamed (they can
/// be removed and followed), an absolute link is taken to be one of its own layer, a name of more than
/// 251 bytes in the lower layer cannot be removed where the upper one takes no longer names than most
/// disks, and paths may be 256 directories deep. The lower layer must not be changed by others, and the
/// upper one only through one overlay (or clones of it): in the models with several processes two
/// clients that change the same name at once may both be told that it worked.
///
/// ```
/// use ftpdlib::{FileSystem, LocalFilesystem, MemoryFilesystem, Overlay};
///
/// // Everybody may change everything, and nothing on the disk changes.
/// let files = Overlay::new(MemoryFilesystem::new(), LocalFilesystem::new(".")?);
/// files.remove_file(&"/Cargo.toml".parse()?)?;
/// assert!(files.metadata(&"/Cargo.toml".parse()?).is_err());
/// assert!(std::path::Path::new("Cargo.toml").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Overlay<U, L>(pub(super) Arc<Layers<U, L>>);

pub(super) struct Layers<U, L> {
    upper: U,
    lower: L,
    /// Held for what takes several steps of the upper layer, but not while content is copied.
    changing: Mutex<()>,
    pub(super) copies: AtomicU64,
}

impl<U: FileSystem, L: FileSystem> Overlay<U, L> {
    /// `upper` over `lower`.
    pub fn new(upper: U, lower: L) -> Self {
        Overlay(Arc::new(Layers {
            upper,
            lower,
            changing: Mutex::default(),
            copies: AtomicU64::new(0),
        }))
    }

    /// The file system that changes go to.
    pub fn upper(&self) -> &U {
        &self.0.upper
    }

    /// The file system that is never changed.
    pub fn lower(&self) -> &L {
        &self.0.lower
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        let changing = &self.0.changing;
        changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<U, L> Clone for Overlay<U, L> {
    fn clone(&self) -> Self {
        Overlay(Arc::clone(&self.0))
    }
}

impl<U: fmt::Debug, L: fmt::Debug> fmt::Debug for Overlay<U, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("upper", &self.0.upper)
            .field("lower", &self.0.lower)
            .finish()
    }
}

pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(HIDDEN)
}

/// The mark that hides `name` of the lower layer.
pub(super) fn whiteout(name: &[u8]) -> Vec<u8> {
    [HIDDEN, name].concat()
}
