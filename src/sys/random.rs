//! Random bytes of the system's own generator: `getrandom(2)`, or `getentropy(2)` where that is not there.
//!
//! The TLS library's generator is as good, but has to be made anew in each forked process, which takes it some 25 ms of
//! CPU time: too much for a client's process that wants the number of a port.

use std::io;

/// Fills `bytes` with what nobody can foresee, and no other process has.
///
/// # Errors
///
/// When there are no random numbers to be had at all.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    // It knows other ways, where a sandbox forbids the call.
    system(bytes).or_else(|_| aws_lc_rs::rand::fill(bytes).map_err(io::Error::other))
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn system(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        done += super::retry::retry(|| {
            // SAFETY: the pointer and the length are those of a slice that is ours alone.
            match unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) } {
                -1 => Err(io::Error::last_os_error()),
                count => Ok(count.unsigned_abs()),
            }
        })?;
    }
    Ok(())
}

#[cfg(any(target_vendor = "apple", target_os = "openbsd", target_os = "netbsd"))]
fn system(bytes: &mut [u8]) -> io::Result<()> {
    /// What the call gives at a time.
    const MOST: usize = 256;
    for part in bytes.chunks_mut(MOST) {
        // SAFETY: the pointer and the length are those of a slice that is ours alone.
        if unsafe { libc::getentropy(part.as_mut_ptr().cast(), part.len()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple",
    target_os = "openbsd",
    target_os = "netbsd"
)))]
fn system(_: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_filled() {
        // As many tries as make it sure that a byte is not 0 by chance.
        let mut seen = [0; 1000];
        for _ in 0..20 {
            let mut bytes = [0; 1000];
            fill(&mut bytes).unwrap();
            seen.iter_mut()
                .zip(bytes)
                .for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|&byte| byte != 0));
        fill(&mut []).unwrap();
    }
}
