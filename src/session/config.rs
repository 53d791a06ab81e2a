//! The settings that hold for every session of a server, with their defaults.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::limits::guard::Guard;
use crate::auth::{Authorizer, DummyAuthorizer};
use crate::proto::calendar::Zone;
use crate::proto::encoding::Encoding;
use crate::tls::Tls;

/// What [`Builder`](crate::Builder) sets and every session reads. A duration of zero means never.
pub(crate) struct Config {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    /// Stands before the authorizer.
    pub(crate) guard: Guard,
    pub(crate) banner: String,
    pub(crate) tls: Option<Tls>,
    pub(crate) encoding: Encoding,
    /// Of the times in listings and of MDTM.
    pub(crate) zone: Zone,
    pub(crate) use_sendfile: bool,
    pub(crate) tcp_no_delay: bool,
    pub(crate) max_login_attempts: u32,
    pub(crate) permit_foreign_addresses: bool,
    pub(crate) permit_privileged_ports: bool,
    pub(crate) masquerade_address: Option<Ipv4Addr>,
    pub(crate) masquerade_map: HashMap<IpAddr, Ipv4Addr>,
    pub(crate) passive_ports: Option<RangeInclusive<u16>>,
    /// Bytes a second from one client; 0 is no limit.
    pub(crate) read_limit: u64,
    /// Bytes a second to one client; 0 is no limit.
    pub(crate) write_limit: u64,
    pub(crate) uploads: Uploads,
    pub(crate) timeout: Duration,
    pub(crate) data_timeout: Duration,
    pub(crate) passive_timeout: Duration,
    pub(crate) active_timeout: Duration,
    pub(crate) auth_failed_timeout: Duration,
}

/// What becomes of uploads, for all of a server's users.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uploads {
    /// Bytes go to a hidden file first.
    pub(crate) atomic: bool,
    /// What came of one that was cut off stays, beside the name that it was for.
    pub(crate) keep_partial: bool,
    /// What is there is not replaced.
    pub(crate) no_overwrite: bool,
}

impl Config {
    /// Whether there is something that SIGHUP reads again.
    #[cfg(unix)]
    pub(crate) fn is_reloadable(&self) -> bool {
        self.tls.is_some() || self.authorizer.is_reloadable()
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            authorizer: Arc::new(DummyAuthorizer::new()),
            guard: Guard::default(),
            tls: None,
            banner: format!("ftpdlib {} ready.", env!("CARGO_PKG_VERSION")),
            encoding: Encoding::Utf8,
            zone: Zone::Utc,
            use_sendfile: true,
            tcp_no_delay: true,
            max_login_attempts: 3,
            permit_foreign_addresses: false,
            permit_privileged_ports: false,
            masquerade_address: None,
            masquerade_map: HashMap::new(),
            passive_ports: None,
            read_limit: 0,
            write_limit: 0,
            uploads: Uploads::default(),
            timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(300),
            passive_timeout: Duration::from_secs(30),
            active_timeout: Duration::from_secs(30),
            auth_failed_timeout: Duration::from_secs(3),
        }
    }
}
