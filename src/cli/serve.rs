//! From checked options to a server that runs.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use ftpdlib::{
    Authorizer, AuthorizerError, Builder, DummyAuthorizer, Error, FileAuthorizer, FtpServer, Perm,
    Tls, TlsError, Workers, inherited_listener, raise_descriptor_limit,
};

use super::options::{Options, TlsOptions};
use super::output::Failure;

/// Serves until a signal ends it.
pub(super) fn serve(options: &Options) -> Result<(), Failure> {
    let users = authorizer(options)?;
    let nat = options.nat_address.as_deref().map(ipv4).transpose()?;
    let tls = options.tls.as_ref().map(tls).transpose();
    let tls = tls.map_err(|error| Failure::System(error.to_string()))?;
    let build = || match &tls {
        Some(tls) => builder(options, Arc::clone(&users), nat).tls(tls.clone()),
        None => builder(options, Arc::clone(&users), nat),
    };
    let room = raise_descriptor_limit();
    if let Some(warning) = shortage(options.max_cons, options.workers, room) {
        log::warn!(target: "ftpdlib", "{warning}");
    }
    let server = match (inherited_listener()?, &options.interface) {
        (Some(listener), _) => build().listener(listener),
        (None, Some(host)) => build().bind(&resolve("--interface", host, options.port)?[..]),
        (None, None) => bind_all(options.port, build),
    };
    server
        .and_then(FtpServer::serve_forever)
        .map_err(Failure::from)
}

/// What to say when there are too few descriptors for the connections that are allowed. Without a number of
/// those it is said when they run out.
fn shortage(max_cons: usize, workers: Workers, room: Result<Option<u64>, Error>) -> Option<String> {
    let limit = match room {
        Ok(limit) => limit?,
        Err(error) => return Some(error.to_string()),
    };
    let share = match workers {
        Workers::PreFork(workers) => max_cons.div_ceil(workers.max(1)),
        // Each client's process has a limit of its own.
        Workers::MultiProcess => 0,
        _ => max_cons,
    };
    (share as u64 > limit).then(|| {
        format!(
            "--max-cons is {max_cons}, but a process may have {limit} descriptors only: \
             raise the hard limit (ulimit -Hn; LimitNOFILE= of systemd)"
        )
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Config(_) => Failure::Usage(error.to_string()),
            _ => Failure::System(error.to_string()),
        }
    }
}

fn system(flag: &str, error: &dyn Display) -> Failure {
    Failure::System(format!("{flag}: {error}"))
}

fn tls(options: &TlsOptions) -> Result<Tls, TlsError> {
    let tls = Tls::from_pem_files(&options.certfile, options.keyfile.as_ref())?
        .control_required(options.control_required)
        .data_required(options.data_required)
        .implicit(options.implicit)
        .session_reuse(options.session_reuse)
        .allow_truncated_uploads(options.allow_truncated_uploads);
    match &options.client_ca {
        Some(file) => tls.client_ca(file),
        None => Ok(tls),
    }
}

fn authorizer(options: &Options) -> Result<Arc<dyn Authorizer>, Failure> {
    Ok(match &options.users {
        Some(file) => {
            let users = FileAuthorizer::new(file).map_err(|error| system("--users", &error))?;
            let count = users.user_count();
            log::info!(target: "ftpdlib", "{count} user(s) in {}", file.display());
            Arc::new(users)
        }
        None => Arc::new(users(options).map_err(|error| system("--directory", &error))?),
    })
}

/// Without `-u` anonymous is the user; with it, an extra one that may only read.
fn users(options: &Options) -> Result<DummyAuthorizer, AuthorizerError> {
    let perm = if options.write {
        Perm::ALL
    } else {
        Perm::READ_ONLY
    };
    let mut users = DummyAuthorizer::new();
    match &options.user {
        Some((name, password)) => {
            users.add_user(name, password, &options.directory, perm)?;
            if options.anonymous {
                users.add_anonymous(&options.directory)?;
            }
        }
        None => {
            let anonymous = users.add_anonymous(&options.directory)?;
            if options.write && !options.anonymous {
                anonymous.perm(perm);
            }
        }
    }
    Ok(users)
}

fn builder(options: &Options, users: Arc<dyn Authorizer>, nat: Option<Ipv4Addr>) -> Builder {
    let mut builder = FtpServer::builder()
        .authorizer(users)
        .max_cons(options.max_cons)
        .max_cons_per_ip(options.max_cons_per_ip)
        .max_cons_per_user(options.max_cons_per_user)
        .max_login_attempts(options.max_login_attempts)
        .ban_after(options.ban_after)
        .ban_time(options.ban_time)
        .timeout(options.timeout)
        .data_timeout(options.data_timeout)
        .passive_timeout(options.passive_timeout)
        .active_timeout(options.active_timeout)
        .auth_failed_timeout(options.auth_failed_timeout)
        .permit_foreign_addresses(options.permit_foreign_addresses)
        .permit_privileged_ports(options.permit_privileged_ports)
        .use_gmt_times(!options.use_localtime)
        .use_sendfile(!options.disable_sendfile)
        .hashes(!options.disable_hashes)
        .atomic_uploads(options.atomic_uploads)
        .keep_partial(options.keep_partial)
        .overwrite(!options.no_overwrite)
        .encoding(options.encoding)
        .read_limit(options.read_limit)
        .write_limit(options.write_limit)
        .grace(options.grace)
        .workers(options.workers)
        .handle_signals(true)
        .notify_systemd(true);
    if let Some(mask) = options.umask {
        builder = builder.umask(mask);
    }
    if let Some(banner) = &options.banner {
        builder = builder.banner(banner);
    }
    if let Some(ports) = &options.range {
        builder = builder.passive_ports(ports.clone());
    }
    if let Some(public) = nat {
        builder = builder.masquerade_address(public);
    }
    for (private, public) in &options.masquerade_map {
        builder = builder.masquerade_map(*private, *public);
    }
    builder
}

/// All interfaces: one dual-stack socket, or IPv4 alone on a system without IPv6.
fn bind_all(port: u16, build: impl Fn() -> Builder) -> Result<FtpServer, Error> {
    match build().bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)) {
        Err(Error::Bind { source, .. }) if no_ipv6(&source) => {
            build().bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        }
        server => server,
    }
}

/// A taken port and a lack of privileges are the same for IPv4; anything else is worth a try.
fn no_ipv6(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    !matches!(
        error.kind(),
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied
    )
}

fn resolve(flag: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let cannot = |why: &dyn Display| {
        Failure::System(format!(
            "{flag}: cannot resolve '{host}' ({why}); give an address instead"
        ))
    };
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|e| cannot(&e))?
        .collect();
    if addresses.is_empty() {
        Err(cannot(&"it has no address"))
    } else {
        Ok(addresses)
    }
}

/// The IPv4 address of `--nat-address`.
fn ipv4(host: &str) -> Result<Ipv4Addr, Failure> {
    resolve("--nat-address", host, 0)?
        .iter()
        .find_map(|address| match address.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
        .ok_or_else(|| {
            Failure::System(format!(
                "--nat-address: '{host}' has no IPv4 address; give an address instead"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_resolve() {
        let addresses = resolve("--interface", "::1", 21).unwrap();
        assert_eq!(addresses, ["[::1]:21".parse().unwrap()]);
        assert_eq!(ipv4("203.0.113.7").unwrap(), Ipv4Addr::new(203, 0, 113, 7));
    }

    #[test]
    fn a_name_that_does_not_resolve_is_the_systems_failure() {
        for failure in [
            resolve("--interface", "no.such.host.invalid", 21).unwrap_err(),
            ipv4("no such host").unwrap_err(),
        ] {
            assert_eq!(failure.status(), 1);
            assert!(
                failure.line().contains("cannot resolve 'no"),
                "{}",
                failure.line()
            );
        }
    }

    #[test]
    fn too_few_descriptors_are_told() {
        let is_short = |max_cons, workers, limit| shortage(max_cons, workers, Ok(limit)).is_some();
        assert!(is_short(1025, Workers::Async, Some(1024)));
        assert!(is_short(1025, Workers::MultiThread, Some(1024)));
        assert!(is_short(4097, Workers::PreFork(4), Some(1024)));
        assert!(!is_short(4096, Workers::PreFork(4), Some(1024)));
        assert!(!is_short(1024, Workers::Async, Some(1024)));
        assert!(!is_short(0, Workers::Async, Some(24)) && !is_short(99, Workers::Async, None));
        assert!(!is_short(5000, Workers::MultiProcess, Some(1024)));
    }

    #[test]
    fn only_errors_that_ipv4_may_not_share_lead_to_ipv4() {
        use std::io::{Error, ErrorKind};
        assert!(no_ipv6(&Error::from(ErrorKind::AddrNotAvailable)));
        assert!(!no_ipv6(&Error::from(ErrorKind::AddrInUse)));
        assert!(!no_ipv6(&Error::from(ErrorKind::PermissionDenied)));
    }
}
