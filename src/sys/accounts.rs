//! The system's users as its login programs see them: `getpwnam_r(3)`, `getgrouplist(3)` and
//! `getspnam_r(3)`.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::database::{look_up, text};

/// A user as `passwd(5)` has him.
pub(crate) struct Passwd {
    /// As the system has it: who asked for him may have written it otherwise.
    pub(crate) name: Vec<u8>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
    /// Empty means `/bin/sh`.
    pub(crate) shell: Vec<u8>,
    /// The hash of his password, or `x` where that is kept elsewhere.
    pub(crate) hash: Vec<u8>,
}

/// His password and its age as `shadow(5)` has them; -1 is an empty field.
pub(crate) struct Shadow {
    pub(crate) hash: Vec<u8>,
    /// The day of the last change, since 1970; 0 asks for one at the next login.
    pub(crate) changed: i64,
    /// Days after the change for which the password holds.
    pub(crate) max: i64,
    /// The day on which the account expires, since 1970.
    pub(crate) expires: i64,
}

/// The user of that name; `None` if there is none.
///
/// # Errors
///
/// When there is no telling.
pub(crate) fn passwd(name: &str) -> io::Result<Option<Passwd>> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    look_up(
        // SAFETY: `look_up` passes pointers that are valid for the call, and the buffer's size.
        |entry, buffer, size, found| unsafe {
            libc::getpwnam_r(name.as_ptr(), entry, buffer, size, found)
        },
        |entry: &libc::passwd| {
            // SAFETY: of an entry that was found its texts are there, or null.
            let [name, home, shell, hash] = unsafe {
                [
                    text(entry.pw_name),
                    text(entry.pw_dir),
                    text(entry.pw_shell),
                    text(entry.pw_passwd),
                ]
            };
            Some(Passwd {
                name: name?,
                uid: entry.pw_uid,
                gid: entry.pw_gid,
                home: OsString::from_vec(home?).into(),
                shell: shell.unwrap_or_default(),
                hash: hash.unwrap_or_default(),
            })
        },
    )
}

/// What the user's hash and its age are where they are kept apart; `None` if they are not.
///
/// # Errors
///
/// When there is no telling.
#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
pub(crate) fn shadow(name: &str) -> io::Result<Option<Shadow>> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    look_up(
        // SAFETY: `look_up` passes pointers that are valid for the call, and the buffer's size.
        |entry, buffer, size, found| unsafe {
            libc::getspnam_r(name.as_ptr(), entry, buffer, size, found)
        },
        |entry: &libc::spwd| {
            // `c_long` has 32 bits on some systems.
            #[allow(clippy::useless_conversion, reason = "not everywhere")]
            let days = |days: libc::c_long| i64::from(days);
            Some(Shadow {
                // SAFETY: of an entry that was found its texts are there, or null.
                hash: unsafe { text(entry.sp_pwdp) }?,
                changed: days(entry.sp_lstchg),
                max: days(entry.sp_max),
                expires: days(entry.sp_expire),
            })
        },
    )
}

/// This system gives root the hashes with the users, and keeps no age that could be asked for.
#[cfg(not(all(target_os = "linux", not(target_env = "ohos"))))]
pub(crate) fn shadow(_name: &str) -> io::Result<Option<Shadow>> {
    Ok(None)
}

/// More groups than this are cut off; no system lets a process have more.
const MOST_GROUPS: usize = 65_536;

/// All groups of a user, of whom `gid` is the first.
pub(crate) fn groups(name: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else {
        return vec![gid];
    };
    let mut room = 64;
    loop {
        // macOS has them signed.
        #[cfg(target_vendor = "apple")]
        let mut groups: Vec<libc::c_int> = vec![0; room];
        #[cfg(not(target_vendor = "apple"))]
        let mut groups: Vec<libc::gid_t> = vec![0; room];
        let mut count = libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX);
        // SAFETY: `name` is terminated, and it writes at most `count` ids, for which there is room.
        let done =
            unsafe { libc::getgrouplist(name.as_ptr(), gid as _, groups.as_mut_ptr(), &mut count) };
        if done >= 0 || room >= MOST_GROUPS {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            #[allow(clippy::unnecessary_cast, reason = "not on macOS")]
            return groups.into_iter().map(|group| group as u32).collect();
        }
        room *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_there_and_nobody_of_other_names() {
        let root = passwd("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(root.name, b"root");
        assert!(root.home.is_absolute());
        assert!(groups("root", 0).contains(&0));
        for name in ["", "no such user", "ro\0ot", "root\n", "root:x"] {
            assert!(passwd(name).unwrap().is_none(), "{name:?}");
            // Who is not root may be told nothing at all.
            assert!(shadow(name).ok().flatten().is_none(), "{name:?}");
        }
        assert_eq!(groups("no such user", 77), [77]);
        assert_eq!(groups("ro\0ot", 77), [77]);
    }
}
