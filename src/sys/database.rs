//! One entry of the system's databases of users and groups, by the `get..._r(3)` calls. They may
//! ask a directory service over the network.

use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::{io, ptr};

/// Where an entry's texts do not fit into this (a group of very many members), there is none.
pub(super) const LARGEST_BUFFER: usize = 1024 * 1024;

/// Makes the call, again with a larger buffer while the last was too small, and reads what was
/// found; `None` if there is no such entry.
///
/// # Errors
///
/// When there is no telling, such as from a directory service that does not answer.
pub(super) fn look_up<T, R>(
    call: impl Fn(*mut T, *mut c_char, usize, *mut *mut T) -> c_int,
    read: impl FnOnce(&T) -> Option<R>,
) -> io::Result<Option<R>> {
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
            0 if found.is_null() => return Ok(None),
            // SAFETY: success with `found` set means that `entry` has been filled in.
            0 => return Ok(read(unsafe { entry.assume_init_ref() })),
            libc::EINTR => {}
            libc::ERANGE if buffer.len() < LARGEST_BUFFER => {
                let size = buffer.len() * 4;
                buffer.resize(size, 0);
            }
            // How some systems say that there is none; `getpwnam_r(3)` has the list.
            libc::ERANGE | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => {
                return Ok(None);
            }
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// A text of an entry.
///
/// # Safety
///
/// `text` is null or points to a terminated text that lives while this call runs.
pub(super) unsafe fn text(text: *const c_char) -> Option<Vec<u8>> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller says so.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers only into a buffer of at least `needed` bytes, and after some interruptions.
    fn answer(needed: usize) -> (Option<Vec<u8>>, usize) {
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
            // SAFETY: it points to the buffer above, which ends in zeroes.
            |&name| unsafe { text(name) },
        );
        (name.unwrap(), calls.get())
    }

    #[test]
    fn the_buffer_grows_up_to_a_bound() {
        assert_eq!(answer(1), (Some(b"x".to_vec()), 3));
        assert_eq!(answer(5_000), (Some(b"x".to_vec()), 5));
        assert_eq!(answer(LARGEST_BUFFER), (Some(b"x".to_vec()), 8));
        assert_eq!(answer(LARGEST_BUFFER + 1), (None, 8));
    }

    #[test]
    fn no_entry_is_no_error_and_no_telling_is_one() {
        let read = |_: &libc::passwd| Some(());
        for none in [0, libc::ENOENT, libc::ESRCH] {
            let found = look_up(
                |_, _, _, found| {
                    // SAFETY: `look_up`'s pointers are valid.
                    unsafe { found.write(ptr::null_mut()) };
                    none
                },
                read,
            );
            assert_eq!(found.unwrap(), None);
        }
        for fault in [libc::EIO, libc::EAGAIN, libc::EMFILE, libc::ETIMEDOUT] {
            let error = look_up(|_, _, _, _| fault, read).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(fault));
        }
    }
}
