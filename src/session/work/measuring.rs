//! Counts what a user has stored, on a worker thread, for his quota.

use super::cancel::Cancel;
use crate::fs::FileSystem;
use crate::session::limits::census::usage::Amount;

/// Names of a directory that are read at once.
const NAMES: usize = 4096;

/// Counts what is there; none if it is cancelled. What cannot be read is left out.
pub(crate) fn measure(fs: &dyn FileSystem, cancel: &Cancel) -> Option<Amount> {
    let mut amount = Amount::default();
    let mut names = Vec::new();
    let mut folders = vec![fs.start_directory()];
    while let Some(folder) = folders.pop() {
        let Ok(mut directory) = fs.read_dir(&folder) else {
            continue;
        };
        let mut more = true;
        while more {
            names.clear();
            more = directory.read_names(NAMES, &mut names).unwrap_or(false);
            for name in &names {
                if cancel.is_cancelled() {
                    return None;
                }
                let Ok(found) = directory.metadata(name, false) else {
                    continue;
                };
                amount.files += 1;
                if found.is_dir() {
                    folders.push(folder.child(name));
                } else if found.is_file() {
                    amount.bytes = amount.bytes.saturating_add(found.size);
                }
            }
        }
    }
    Some(amount)
}
