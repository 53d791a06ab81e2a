//! Names of users and groups, by `getpwuid_r(3)` and `getgrgid_r(3)`. They may ask a directory
//! service over the network, so the answers are worth keeping.

#[cfg(unix)]
pub(crate) use unix::{group_name, user_name};

/// The name of a user id: this system has none.
#[cfg(not(unix))]
pub(crate) fn user_name(_uid: u32) -> Option<String> {
    None
}

/// The name of a group id: this system has none.
#[cfg(not(unix))]
pub(crate) fn group_name(_gid: u32) -> Option<String> {
    None
}

#[cfg(unix)]
mod unix {
    use std::ffi::{CStr, c_char, c_int};
    use std::mem::MaybeUninit;
    use std::ptr;

    /// Where an entry's texts do not fit into this (a group of very many members), it has no name.
    const LARGEST_BUFFER: usize = 1024 * 1024;

    /// The name of a user id; `None` if there is no such user, or no telling.
    pub(crate) fn user_name(uid: u32) -> Option<String> {
        look_up(
            // SAFETY: `look_up` passes pointers that are valid for the call, and the buffer's size.
            |entry, buffer, size, found| unsafe {
                libc::getpwuid_r(uid, entry, buffer, size, found)
            },
            |entry: &libc::passwd| entry.pw_name,
        )
    }

    /// The name of a group id; `None` if there is no such group, or no telling.
    pub(crate) fn group_name(gid: u32) -> Option<String> {
        look_up(
            // SAFETY: as above.
            |entry, buffer, size, found| unsafe {
                libc::getgrgid_r(gid, entry, buffer, size, found)
            },
            |entry: &libc::group| entry.gr_name,
        )
    }

    /// Calls again with a larger buffer while the last was too small.
    fn look_up<T>(
        call: impl Fn(*mut T, *mut c_char, usize, *mut *mut T) -> c_int,
        name: impl Fn(&T) -> *mut c_char,
    ) -> Option<String> {
        let mut buffer: Vec<c_char> = vec![0; 1024];
        loop {
            let mut entry = MaybeUninit::<T>::uninit();
            let mut found = ptr::null_mut();
            match call(
                entry.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &mut found,
            ) {
                0 if found.is_null() => return None,
                0 => {
                    // SAFETY: success with `found` set means that `entry` has been filled in.
                    let name = name(unsafe { entry.assume_init_ref() });
                    if name.is_null() {
                        return None;
                    }
                    // SAFETY: it points to a terminated text in `buffer`, which is still there.
                    let name = unsafe { CStr::from_ptr(name) };
                    return Some(name.to_string_lossy().into_owned());
                }
                libc::EINTR => {}
                libc::ERANGE if buffer.len() < LARGEST_BUFFER => {
                    let size = buffer.len() * 4;
                    buffer.resize(size, 0);
                }
                _ => return None,
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Answers only into a buffer of at least `needed` bytes, and after some interruptions.
        fn answer(needed: usize) -> (Option<String>, usize) {
            let calls = std::cell::Cell::new(0);
            let name = look_up(
                |entry: *mut *mut c_char, buffer, size, found| {
                    calls.set(calls.get() + 1);
                    if calls.get() < 3 {
                        return libc::EINTR;
                    }
                    if size < needed {
                        return libc::ERANGE;
                    }
                    // SAFETY: `look_up`'s pointers are valid, its buffer is zeroed and not empty.
                    unsafe {
                        buffer.write(b'x' as c_char);
                        entry.write(buffer);
                        found.write(entry);
                    }
                    0
                },
                |&name| name,
            );
            (name, calls.get())
        }

        #[test]
        fn the_buffer_grows_up_to_a_bound() {
            assert_eq!(answer(1), (Some("x".to_owned()), 3));
            assert_eq!(answer(5_000), (Some("x".to_owned()), 5));
            assert_eq!(answer(LARGEST_BUFFER), (Some("x".to_owned()), 8));
            assert_eq!(answer(LARGEST_BUFFER + 1), (None, 8));
        }

        #[test]
        fn other_errors_are_no_name() {
            let name = |_: &libc::passwd| ptr::null_mut();
            assert_eq!(look_up(|_, _, _, _| libc::EIO, name), None);
        }

        #[test]
        fn id_0_has_names_and_others_have_none() {
            assert_eq!(user_name(0).as_deref(), Some("root"));
            assert!(group_name(0).is_some_and(|name| !name.is_empty()));
            assert_eq!(user_name(4_123_456_789), None);
            assert_eq!(group_name(4_123_456_789), None);
        }
    }
}
