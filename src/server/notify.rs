//! Tells the service manager how the server fares, by systemd's protocol: datagrams to the socket
//! that `NOTIFY_SOCKET` names.

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
#[cfg(unix)]
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use crate::target::TARGET;

/// The way to the service manager, if there is one to be told.
#[derive(Clone, Default)]
pub(super) struct Notifier {
    #[cfg(unix)]
    to: Option<SocketAddr>,
    /// How many reloads are under way.
    reloads: Arc<Mutex<usize>>,
}

/// A reload that is under way. The manager hears that the server is ready when the last one of them
/// is dropped, on whatever thread.
pub(super) struct Reloading(Notifier);

impl Notifier {
    /// The one that the environment names.
    pub(super) fn from_env() -> Notifier {
        Notifier {
            #[cfg(unix)]
            to: std::env::var_os("NOTIFY_SOCKET").and_then(address),
            reloads: Arc::default(),
        }
    }

    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    pub(super) fn reloading(&self) -> Reloading {
        // Locked until it is sent: what is said of one reload must not overtake another's.
        let mut reloads = self.reloads();
        *reloads += 1;
        #[cfg(unix)]
        if self.to.is_some() {
            let now = crate::sys::clock::monotonic_micros();
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
        }
        Reloading(self.clone())
    }

    fn reloads(&self) -> MutexGuard<'_, usize> {
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    #[cfg(unix)]
    fn send(&self, state: &str) {
        let Some(to) = &self.to else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            // A manager that is busy is waited for, but not for long.
            socket.set_write_timeout(Some(Duration::from_secs(1)))?;
            socket.send_to_addr(state.as_bytes(), to)
        });
        if let Err(error) = sent {
            log::warn!(target: TARGET, "cannot tell the service manager {state:?}: {error}");
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _: &str) {}
}

impl Drop for Reloading {
    fn drop(&mut self) {
        let mut reloads = self.0.reloads();
        *reloads -= 1;
        if *reloads == 0 {
            self.0.ready();
        }
    }
}

/// A path, or behind an `@` an abstract name.
#[cfg(unix)]
fn address(socket: std::ffi::OsString) -> Option<SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    let address = match socket.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&socket),
    };
    if let Err(error) = &address {
        log::warn!(target: TARGET, "NOTIFY_SOCKET {socket:?} is no address: {error}");
    }
    address.ok()
}
