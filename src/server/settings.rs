//! What a server is made of but its socket, and what it says of that when it starts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{debug, info};

use super::workers::Workers;
use crate::error::Error;
use crate::session::hooks::command::Command;
use crate::session::hooks::handler::Factory;
use crate::session::limits::census::{Bounds, Census};
use crate::session::{Common, Config, Pipes, Pool, Service, Table};
use crate::target::TARGET;

pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) table: Table,
    pub(super) commands: Vec<Command>,
    pub(super) handlers: Factory,
    pub(super) bounds: Bounds,
    pub(super) workers: Workers,
    pub(super) umask: Option<u32>,
    pub(super) grace: Duration,
    pub(super) handle_signals: bool,
    pub(super) notify_systemd: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            config: Config::default(),
            table: Table::default(),
            commands: Vec::new(),
            handlers: Arc::new(|_| Box::new(())),
            bounds: Bounds {
                max_cons: 512,
                ..Bounds::default()
            },
            workers: Workers::default(),
            umask: None,
            grace: Duration::from_secs(10),
            handle_signals: true,
            notify_systemd: false,
        }
    }
}

impl Settings {
    /// What all its sessions share. `address` is their own end, where they all have the same.
    ///
    /// # Errors
    ///
    /// When the system has no memory for it.
    pub(super) fn into_service(
        mut self,
        address: Option<SocketAddr>,
    ) -> Result<Arc<Service>, Error> {
        #[cfg(unix)]
        if let Some(mask) = self.umask {
            crate::sys::umask::set(mask);
        }
        let share = || Error::system("share memory among workers");
        self.config.guard = self.config.guard.on_duty().map_err(share())?;
        let census = Census::new(self.bounds, std::process::id()).map_err(share())?;
        let common = Common {
            config: Arc::new(self.config),
            table: self.table,
            pool: Pool::default(),
            logins: Pool::for_logins(),
            pipes: Pipes::default(),
            census,
            address,
            alone: matches!(self.workers, Workers::MultiThread | Workers::MultiProcess),
        };
        Ok(Arc::new(Service {
            common: Arc::new(common),
            commands: self.commands,
            handlers: self.handlers,
        }))
    }

    /// What the server is called where it tells of its start.
    pub(super) fn kind(&self) -> &'static str {
        match self.config.tls {
            Some(_) => "FTPS (FTP over SSL)",
            None => "FTP",
        }
    }

    /// The lines with which pyftpdlib starts, too.
    pub(super) fn log(&self) {
        let config = &self.config;
        let none_or = |text: Option<String>| text.unwrap_or_else(|| "None".to_owned());
        info!(target: TARGET, "concurrency model: {}", self.workers);
        let masquerade = none_or(config.masquerade_address.map(|ip| ip.to_string()));
        info!(target: TARGET, "masquerade (NAT) address: {masquerade}");
        let ports = config.passive_ports.as_ref();
        let ports = none_or(ports.map(|range| format!("{}->{}", range.start(), range.end())));
        info!(target: TARGET, "passive ports: {ports}");
        let unlimited = |limit: usize| match limit {
            0 => "unlimited".to_owned(),
            limit => limit.to_string(),
        };
        let bounds = &self.bounds;
        let sendfile = config.use_sendfile && crate::sys::sendfile::SUPPORTED;
        debug!(target: TARGET, "use sendfile(2): {sendfile}");
        debug!(target: TARGET, "max connections: {}", unlimited(bounds.max_cons));
        debug!(target: TARGET, "max connections per ip: {}", unlimited(bounds.max_cons_per_ip));
        debug!(target: TARGET, "max connections per user: {}", unlimited(bounds.max_cons_per_user));
        debug!(target: TARGET, "timeout: {:?}", config.timeout);
        debug!(target: TARGET, "banner: {:?}", config.banner);
        debug!(target: TARGET, "max login attempts: {}", config.max_login_attempts);
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("banner", &self.config.banner)
            .field("workers", &self.workers)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
