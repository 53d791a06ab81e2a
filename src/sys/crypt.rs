//! `crypt(3)`: the hashes of the system's own passwords, by the system's own library.
//!
//! Which kinds of hash there are is the library's to know (yescrypt, SHA-512, bcrypt, ...). It is
//! opened when first asked for, so that nothing has to be installed to build or run what does not
//! use it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;
use std::{io, ptr};

/// What it is called on the systems that have it apart from the C library.
const LIBRARIES: [&CStr; 3] = [c"libcrypt.so.2", c"libcrypt.so.1", c"libcrypt.so.5"];

/// Larger than any library's `struct crypt_data` (128 KiB in old ones), in words for alignment.
const DATA_WORDS: usize = 256 * 1024 / size_of::<u64>();

/// `char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)`
type CryptR = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

fn library() -> Option<CryptR> {
    static FOUND: OnceLock<Option<CryptR>> = OnceLock::new();
    *FOUND.get_or_init(find)
}

#[cfg(all(target_os = "linux", target_env = "musl"))]
fn find() -> Option<CryptR> {
    unsafe extern "C" {
        // In musl's one library, which may be linked statically.
        fn crypt_r(phrase: *const c_char, setting: *const c_char, data: *mut c_void)
        -> *mut c_char;
    }
    Some(crypt_r)
}

#[cfg(not(all(target_os = "linux", target_env = "musl")))]
fn find() -> Option<CryptR> {
    let symbol = |library: *mut c_void| {
        // SAFETY: the handle is the program's or that of a library which is never closed; the
        // name is terminated.
        let found = unsafe { libc::dlsym(library, c"crypt_r".as_ptr()) };
        // SAFETY: where a function of this name is, it is this one; a null pointer is `None`.
        unsafe { std::mem::transmute::<*mut c_void, Option<CryptR>>(found) }
    };
    symbol(libc::RTLD_DEFAULT).or_else(|| {
        LIBRARIES.iter().find_map(|name| {
            const HOW: c_int = libc::RTLD_NOW | libc::RTLD_LOCAL;
            // SAFETY: the name is terminated; the system's own library does no harm when it starts.
            let library = unsafe { libc::dlopen(name.as_ptr(), HOW) };
            (!library.is_null()).then(|| symbol(library)).flatten()
        })
    })
}

/// Whether the library is there.
pub(crate) fn is_available() -> bool {
    library().is_some()
}

/// The hash of `password` by the method, parameters and salt of `setting`, which may be a whole
/// hash. It takes as long as the method is made to take.
///
/// # Errors
///
/// If the library is not there or does not know the method, and for a password with a NUL byte,
/// which no password of a system has.
pub(crate) fn crypt(password: &[u8], setting: &[u8]) -> io::Result<Vec<u8>> {
    let crypt_r = library().ok_or(io::ErrorKind::Unsupported)?;
    let setting = CString::new(setting)?;
    let phrase = Phrase::new(password)?;
    let mut data: Vec<u64> = vec![0; DATA_WORDS];
    // SAFETY: both texts are terminated, and `data` is zeroed, aligned and large enough.
    let hash = unsafe { crypt_r(phrase.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast()) };
    let found = if hash.is_null() {
        Err(io::Error::last_os_error())
    } else {
        // SAFETY: it points to a terminated text, in `data` or of the library's own.
        Ok(unsafe { CStr::from_ptr(hash) }.to_bytes().to_vec())
    };
    wipe(&mut data);
    match found {
        // How some libraries say that they failed: by what is no hash.
        Ok(hash) if hash.starts_with(b"*") => Err(io::ErrorKind::InvalidInput.into()),
        other => other,
    }
}

/// A password, terminated; wiped when dropped.
struct Phrase(Vec<u8>);

impl Phrase {
    fn new(password: &[u8]) -> io::Result<Phrase> {
        if password.contains(&0) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut phrase = Vec::with_capacity(password.len() + 1);
        phrase.extend_from_slice(password);
        phrase.push(0);
        Ok(Phrase(phrase))
    }

    fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

impl Drop for Phrase {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Zeroes that are written though nobody reads them.
fn wipe<T: Default>(secret: &mut [T]) {
    for word in secret {
        // SAFETY: a reference is valid for a write.
        unsafe { ptr::write_volatile(word, T::default()) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Of `Hello world!`, as OpenSSL makes it.
    const SHA_512: &[u8] = b"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

    #[test]
    fn hashes_are_the_librarys() {
        assert!(is_available());
        assert_eq!(crypt(b"Hello world!", SHA_512).unwrap(), SHA_512);
        assert_ne!(crypt(b"hello world!", SHA_512).unwrap(), SHA_512);
        assert_eq!(crypt(b"Hello world!", &SHA_512[..13]).unwrap(), SHA_512);
    }

    #[test]
    fn what_is_no_hash_is_an_error() {
        for setting in [
            "",
            "x",
            "!",
            "*",
            "*0",
            "*1",
            "$6",
            "$nope$salt$",
            "!$6$salt$",
            "a:",
        ] {
            let made = crypt(b"password", setting.as_bytes());
            assert!(made.is_err(), "{setting:?}: {made:?}");
        }
        assert!(crypt(b"pass\0word", SHA_512).is_err());
        assert!(crypt(b"password", b"$6$sa\0lt$").is_err());
    }

    #[test]
    fn passwords_are_hashed_whole_or_not_at_all() {
        let hash = |length: usize| crypt(&vec![0xFF; length], SHA_512);
        for length in [0, 1, 255] {
            let made = hash(length).unwrap();
            assert!(made.starts_with(&SHA_512[..14]), "{length}: {made:?}");
            assert_ne!(made, hash(length + 1).unwrap(), "{length}");
        }
        // Where the library takes so many at all: libxcrypt takes 511 bytes, musl 256.
        if cfg!(not(target_env = "musl")) {
            assert_ne!(hash(511).unwrap(), hash(510).unwrap());
        }
        if let Ok(long) = hash(4096) {
            assert_ne!(long, hash(4095).unwrap());
            assert_ne!(long, hash(511).unwrap());
        }
    }
}
