//! Names of users and groups, by `getpwuid_r(3)` and `getgrgid_r(3)`. They may ask a directory
//! service over the network, so the answers are worth keeping.

#[cfg(unix)]
pub(crate) use unix::{group_name, user_name};

/// The owner of every file, where they have no numbers: what pyftpdlib writes there.
#[cfg(not(unix))]
pub(crate) fn user_name(_uid: u32) -> Option<String> {
    Some("owner".to_owned())
}

/// The group of every file.
#[cfg(not(unix))]
pub(crate) fn group_name(_gid: u32) -> Option<String> {
    Some("group".to_owned())
}

#[cfg(unix)]
mod unix {
    use crate::sys::database::{look_up, text};

    /// The name of a user id; `None` if there is no such user, or no telling.
    pub(crate) fn user_name(uid: u32) -> Option<String> {
        let name = look_up(
            // SAFETY: `look_up` passes pointers that are valid for the call, and the buffer's size.
            |entry, buffer, size, found| unsafe {
                libc::getpwuid_r(uid, entry, buffer, size, found)
            },
            // SAFETY: of an entry that was found its texts are there, or null.
            |entry: &libc::passwd| unsafe { text(entry.pw_name) },
        );
        let name = name.ok().flatten()?;
        Some(String::from_utf8_lossy(&name).into_owned())
    }

    /// The name of a group id; `None` if there is no such group, or no telling.
    pub(crate) fn group_name(gid: u32) -> Option<String> {
        let name = look_up(
            // SAFETY: as above.
            |entry, buffer, size, found| unsafe {
                libc::getgrgid_r(gid, entry, buffer, size, found)
            },
            // SAFETY: as above.
            |entry: &libc::group| unsafe { text(entry.gr_name) },
        );
        let name = name.ok().flatten()?;
        Some(String::from_utf8_lossy(&name).into_owned())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn id_0_has_names_and_others_have_none() {
            assert_eq!(user_name(0).as_deref(), Some("root"));
            assert!(group_name(0).is_some_and(|name| !name.is_empty()));
            assert_eq!(user_name(4_123_456_789), None);
            assert_eq!(group_name(4_123_456_789), None);
        }
    }
}
