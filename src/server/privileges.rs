//! What the process may do once it has its ports: as little as serving takes.

use crate::error::Error;

/// A piece of what root may do, as `capabilities(7)` of Linux has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// `CAP_DAC_READ_SEARCH`: to read any file. Root without it reads what is root's own.
    DacReadSearch,
    /// `CAP_SETGID`: to assume a user's groups.
    SetGid,
    /// `CAP_SETUID`: to assume a user's identity.
    SetUid,
    /// `CAP_NET_BIND_SERVICE`: to listen on ports below 1024.
    NetBindService,
    /// `CAP_CHOWN`: to give files away.
    Chown,
    /// `CAP_DAC_OVERRIDE`: to read and write any file.
    DacOverride,
    /// `CAP_FOWNER`: to do to any file what only its owner may.
    Fowner,
    /// `CAP_KILL`: to signal the processes of others.
    Kill,
    /// `CAP_AUDIT_WRITE`: to write to the kernel's audit log.
    AuditWrite,
}

impl Capability {
    /// What a server for the users of the system needs: to act as they, and to read what root may
    /// read: `/etc/shadow` at a login, and certificates' keys when they are read again on SIGHUP.
    pub const FOR_USERS: &'static [Capability] = &[
        Capability::SetUid,
        Capability::SetGid,
        Capability::DacReadSearch,
    ];

    /// Its number, the same on every Linux.
    #[cfg(target_os = "linux")]
    fn number(self) -> u32 {
        match self {
            Capability::Chown => 0,
            Capability::DacOverride => 1,
            Capability::DacReadSearch => 2,
            Capability::Fowner => 3,
            Capability::Kill => 5,
            Capability::SetGid => 6,
            Capability::SetUid => 7,
            Capability::NetBindService => 10,
            Capability::AuditWrite => 29,
        }
    }
}

/// Gives up, for good, all that root may do but `kept`, and root's supplementary groups. For a
/// server that runs as root, when it listens and before it serves:
///
/// ```no_run
/// use ftpdlib::{Capability, FtpServer, UnixAuthorizer, drop_privileges};
///
/// let server = FtpServer::builder().authorizer(UnixAuthorizer::new()?).bind("0.0.0.0:21")?;
/// drop_privileges(Capability::FOR_USERS)?;
/// server.serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It holds for the process and whatever it starts, set-user-id programs too (`no_new_privs`): a
/// callback that runs `sudo` or a mailer gets no more rights by it. The process stays root by
/// name: what is root's own it may read and write as an owner may.
///
/// Systems other than Linux have no capabilities, and nothing happens. A process that never had any
/// has nothing to lose but `no_new_privs`.
///
/// # Errors
///
/// [`Error::Config`] if the process has started threads, since those would keep what they have;
/// [`Error::System`] if the kernel refuses. The process should end then.
pub fn drop_privileges(kept: &[Capability]) -> Result<(), Error> {
    drop_all_but(kept)
}

#[cfg(target_os = "linux")]
fn drop_all_but(kept: &[Capability]) -> Result<(), Error> {
    use crate::sys::capabilities::{Set, limit};
    use crate::sys::identity::leave_groups;

    let threads = std::fs::read_dir("/proc/self/task").map_err(Error::system("count threads"))?;
    if threads.count() > 1 {
        let text = "privileges are to be dropped before the process starts threads";
        return Err(Error::Config(text.to_owned()));
    }
    leave_groups().map_err(Error::system("leave root's groups"))?;
    let numbers = kept.iter().map(|capability| capability.number());
    limit(Set::of(numbers)).map_err(Error::system("drop privileges"))
}

#[cfg(not(target_os = "linux"))]
fn drop_all_but(_: &[Capability]) -> Result<(), Error> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io;
    use std::net::TcpListener;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;
    use crate::sys::capabilities::{Set, limit};

    /// What a reload on SIGHUP reads may be root's alone, or another user's.
    #[test]
    fn a_server_for_users_reads_keys_again_and_does_nothing_else_of_roots() {
        let temp = tempfile::tempdir().unwrap();
        let keys = [("root.key", 0), ("other.key", 54_321)].map(|(name, owner)| {
            let key = temp.path().join(name);
            fs::write(&key, "key").unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
            chown(&key, Some(owner), None).map(|()| key)
        });
        let [Ok(own), Ok(other)] = keys else {
            return eprintln!("SKIPPED: keys of several owners need root");
        };
        // Of one thread, as the whole process cannot in the midst of others' tests.
        std::thread::spawn(move || {
            limit(Set::of(
                Capability::FOR_USERS.iter().map(|one| one.number()),
            ))
            .unwrap();
            assert_eq!(fs::read(&own).unwrap(), b"key");
            assert_eq!(fs::read(&other).unwrap(), b"key");
            let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            assert!(fs::write(&other, "").is_err_and(denied));
            assert!(chown(&own, Some(1), None).is_err_and(denied));
            assert!(TcpListener::bind("127.0.0.1:1").is_err_and(denied));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn not_with_threads_that_would_keep_them() {
        // The test harness's own are there.
        let before = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        std::thread::scope(|scope| {
            let dropped = scope.spawn(|| drop_privileges(&[])).join().unwrap();
            assert!(matches!(dropped, Err(Error::Config(_))), "{dropped:?}");
        });
        let after = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let sets = |status: &str| {
            let lines = status.lines().filter(|line| line.starts_with("Cap"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(sets(&before), sets(&after));
    }
}
