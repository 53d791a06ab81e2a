//! How many descriptors the process may have, by `getrlimit(2)` and `setrlimit(2)`.

use std::io;

/// Raises the limit to what this process may raise it to; gives the limit.
///
/// # Errors
///
/// Whatever the system says.
pub(crate) fn raise_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a local.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        // SAFETY: as above.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } != 0 {
            return Err(io::Error::last_os_error());
        }
        limit = raised;
    }
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "rlim_t differs"
    )]
    Ok(limit.rlim_cur as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_once() {
        let limit = raise_limit().unwrap();
        assert!(limit >= 256);
        assert_eq!(raise_limit().unwrap(), limit);
    }
}
