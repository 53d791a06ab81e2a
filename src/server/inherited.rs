//! What a process has from whoever started it: a listening socket (systemd's socket activation, or a
//! server that hands over to its successor), and a limit on descriptors.

use std::net::TcpListener;

use crate::error::Error;

/// The first descriptor that is passed.
#[cfg(unix)]
const FIRST: i32 = 3;

/// The listening socket that this process was started with, by the protocol of `sd_listen_fds(3)`:
/// the environment has `LISTEN_PID` with this process's number and `LISTEN_FDS` with `1`, and the
/// socket is descriptor 3. `None` without these variables, or when they are for another process; and
/// where there are no descriptors.
///
/// The socket's queue outlives the servers that accept from it: one server may follow another with
/// no client refused.
///
/// ```no_run
/// use ftpdlib::{DummyAuthorizer, FtpServer};
///
/// let mut users = DummyAuthorizer::new();
/// users.add_anonymous(".")?;
/// let builder = FtpServer::builder().authorizer(users).notify_systemd(true);
/// let server = match ftpdlib::inherited_listener()? {
///     Some(listener) => builder.listener(listener)?,
///     None => builder.bind("[::]:2121")?,
/// };
/// server.serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Config`] when more than one socket is passed, or something else than a listening TCP
/// socket; or when this is called again.
pub fn inherited_listener() -> Result<Option<TcpListener>, Error> {
    #[cfg(unix)]
    {
        let variable = |name: &str| std::env::var(name).ok();
        let pid = std::process::id();
        match passed(variable("LISTEN_PID"), variable("LISTEN_FDS"), pid)? {
            false => Ok(None),
            true => crate::sys::inherited::take_listener(FIRST)
                .map(Some)
                .map_err(|error| Error::Config(format!("descriptor 3, by LISTEN_FDS: {error}"))),
        }
    }
    #[cfg(not(unix))]
    Ok(None)
}

/// Lets the process have as many descriptors as it may: the soft limit (`ulimit -n`) is often 1,024, for
/// the sake of old programs, and the hard limit far higher. A client takes one descriptor and one more
/// while it transfers; with a thread for each client four. Gives the limit; `None` where there is none.
///
/// # Errors
///
/// [`Error::System`] when the system refuses.
pub fn raise_descriptor_limit() -> Result<Option<u64>, Error> {
    #[cfg(unix)]
    {
        crate::sys::descriptors::raise_limit()
            .map(Some)
            .map_err(Error::system("raise the limit on descriptors"))
    }
    #[cfg(not(unix))]
    Ok(None)
}

/// Whether the variables say that a socket is passed to this process.
#[cfg(any(unix, test))]
fn passed(pid: Option<String>, sockets: Option<String>, this: u32) -> Result<bool, Error> {
    let (Some(pid), Some(sockets)) = (pid, sockets) else {
        return Ok(false);
    };
    if pid.parse() != Ok(this) {
        return Ok(false);
    }
    match sockets.parse() {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        Ok(more) => Err(Error::Config(format!(
            "LISTEN_FDS: {more} sockets were passed; this server listens on one"
        ))),
        Err(_) => Err(Error::Config(format!(
            "LISTEN_FDS: {sockets:?} is no number"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables() {
        let passed = |pid: &str, sockets: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            passed(given(pid), given(sockets), 77).map_err(|error| error.to_string())
        };
        assert_eq!(passed("77", "1"), Ok(true));
        for (pid, sockets) in [("77", "0"), ("78", "1"), ("", "1"), ("77", ""), ("x", "9")] {
            assert_eq!(passed(pid, sockets), Ok(false));
        }
        assert!(passed("77", "2").is_err_and(|text| text.contains("2 sockets")));
        assert!(passed("77", "-1").is_err());
    }
}
