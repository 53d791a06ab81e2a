//! The configuration of a server, checked when it binds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use ftpdlib_reactor::{ListenOptions, Listener};

use super::FtpServer;
use super::settings::Settings;
use super::workers::Workers;
use crate::auth::Authorizer;
use crate::error::Error;
use crate::proto::attempts::Policy;
use crate::proto::calendar::Zone;
use crate::proto::encoding::Encoding;
use crate::session::hooks::command::Command;
use crate::session::hooks::handler::Handler;
use crate::session::limits::guard::Guard;
use crate::stream::control_options;
use crate::sys::local_time;
use crate::tls::Tls;

impl FtpServer {
    /// A server with the defaults of pyftpdlib, to be told the rest.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// Sets up an [`FtpServer`]. The defaults are pyftpdlib's; a limit of 0, and a duration of zero,
/// mean none.
#[derive(Debug)]
#[must_use = "a builder does nothing until it binds"]
pub struct Builder {
    settings: Settings,
    backlog: i32,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            settings: Settings::default(),
            backlog: 1024,
        }
    }
}

impl Builder {
    /// Who may log in. Default: nobody.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.settings.config.authorizer = Arc::new(authorizer);
        self
    }

    /// Makes the callbacks of each client, given its address. Default: none.
    pub fn handler<H: Handler>(
        mut self,
        make: impl Fn(SocketAddr) -> H + Send + Sync + 'static,
    ) -> Self {
        self.settings.handlers = Arc::new(move |peer| Box::new(make(peer)));
        self
    }

    /// Adds a command, or replaces the built-in one of that name.
    pub fn command(mut self, command: Command) -> Self {
        self.settings.commands.push(command);
        self
    }

    /// Whether clients may ask for the digest of a file that they may read: HASH, XCRC, XMD5, XSHA1,
    /// XSHA256, XSHA512. It is made on the worker threads, in pieces between which other work has its
    /// turn, so that it costs processor time and disk reads, but holds nobody up. Default: true.
    ///
    /// A [command](Self::command) of one's own by such a name is there in any case.
    pub fn hashes(mut self, offer: bool) -> Self {
        match offer {
            true => self.settings.table.add_hashes(),
            false => self.settings.table.remove_hashes(),
        }
        self
    }

    /// The text of the greeting. Default: `ftpdlib VERSION ready.`
    pub fn banner(mut self, text: impl Into<String>) -> Self {
        self.settings.config.banner = text.into();
        self
    }

    /// Offers FTPS: FTP over TLS, for control and data connections. Default: clear text only.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.config.tls = Some(tls);
        self.settings.table.add_tls();
        self
    }

    /// The ports for passive data connections; one is chosen at random. When all are in use the
    /// system chooses one, with a warning in the log. Default: the system chooses.
    pub fn passive_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.settings.config.passive_ports = Some(ports);
        self
    }

    /// The address that PASV tells, for a server behind NAT. Default: the connection's own.
    pub fn masquerade_address(mut self, public: Ipv4Addr) -> Self {
        self.settings.config.masquerade_address = Some(public);
        self
    }

    /// As [`masquerade_address`](Self::masquerade_address), for clients that reach the server at
    /// `private`. May be given for several. (An IPv6 address does no harm and has no use: EPSV tells
    /// no address.)
    pub fn masquerade_map(mut self, private: IpAddr, public: Ipv4Addr) -> Self {
        self.settings.config.masquerade_map.insert(private, public);
        self
    }

    /// How clients are served: by one thread, or by threads or processes of their own. Default:
    /// [`Workers::Async`].
    pub fn workers(mut self, workers: Workers) -> Self {
        self.settings.workers = workers;
        self
    }

    /// Connections at most: the listening socket, control and data connections together.
    /// Default: 512.
    pub fn max_cons(mut self, limit: usize) -> Self {
        self.settings.bounds.max_cons = limit;
        self
    }

    /// Clients from one address at most, or with IPv6 from one network of 64 bits, of which every customer has all
    /// addresses. Default: no limit.
    pub fn max_cons_per_ip(mut self, limit: usize) -> Self {
        self.settings.bounds.max_cons_per_ip = limit;
        self
    }

    /// Sessions of one user at most; a login over it gets `530`. Everybody who is `anonymous` is one
    /// user. An account may have a limit of its own ([`Limits`](crate::Limits)). Default: no limit.
    pub fn max_cons_per_user(mut self, limit: usize) -> Self {
        self.settings.bounds.max_cons_per_user = limit;
        self
    }

    /// Failed logins after which a client is sent away. Default: 3.
    pub fn max_login_attempts(mut self, limit: u32) -> Self {
        self.settings.config.max_login_attempts = limit;
        self
    }

    /// Failed logins after which an address is banned, if no more than the
    /// [ban time](Self::ban_time) lies between the first and the last: its clients are sent away
    /// with `421` and no password of theirs is looked at. IPv6 addresses of the same /64 count as
    /// one. 0 bans nobody. Default: 20.
    ///
    /// Besides, from the sixth failed login as a user on, wherever they come from, the answers to
    /// logins as him wait, right or wrong: 1 second, then 2, 4, 8, and never more than 10. Nobody can
    /// lock him out, and where he last logged in from he need not wait. With 0 nothing waits either.
    pub fn ban_after(mut self, failures: u32) -> Self {
        let policy = Policy {
            ban_after: failures,
            ..self.settings.config.guard.policy()
        };
        self.settings.config.guard = Guard::new(policy);
        self
    }

    /// How long an address is banned, see [`ban_after`](Self::ban_after). Default: 600 seconds.
    pub fn ban_time(mut self, time: Duration) -> Self {
        let policy = Policy {
            ban_time: time,
            ..self.settings.config.guard.policy()
        };
        self.settings.config.guard = Guard::new(policy);
        self
    }

    /// Time between two commands, while no transfer runs, or waits for its data connection, which has
    /// [a time limit](Self::passive_timeout) of its own. Default: 300 seconds.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.settings.config.timeout = time;
        self
    }

    /// Time in which a transfer must move a byte. Default: 300 seconds.
    ///
    /// Of a download, bytes that the system has taken and goes on sending count (Linux, FreeBSD, macOS). It
    /// is looked for them four times in that time, so one that stalls may end a quarter of it later.
    ///
    /// It is also the time for which a data connection may be open without a transfer; then the session ends,
    /// with `421`, but not in the midst of a command.
    pub fn data_timeout(mut self, time: Duration) -> Self {
        self.settings.config.data_timeout = time;
        self
    }

    /// Time for a client to connect after PASV or EPSV. Default: 30 seconds.
    pub fn passive_timeout(mut self, time: Duration) -> Self {
        self.settings.config.passive_timeout = time;
        self
    }

    /// Time for a connection to the client after PORT or EPRT. Default: 30 seconds.
    pub fn active_timeout(mut self, time: Duration) -> Self {
        self.settings.config.active_timeout = time;
        self
    }

    /// Delay of a failed login's reply; it holds up nobody else. Default: 3 seconds.
    pub fn auth_failed_timeout(mut self, time: Duration) -> Self {
        self.settings.config.auth_failed_timeout = time;
        self
    }

    /// Allows data connections with other addresses than the client's: site-to-site transfers, and
    /// the attacks that RFC 2577 tells of. Default: false.
    pub fn permit_foreign_addresses(mut self, permit: bool) -> Self {
        self.settings.config.permit_foreign_addresses = permit;
        self
    }

    /// Allows PORT and EPRT to ports below 1024. Default: false.
    pub fn permit_privileged_ports(mut self, permit: bool) -> Self {
        self.settings.config.permit_privileged_ports = permit;
        self
    }

    /// Tells the times of files in GMT, else in local time. Default: true.
    pub fn use_gmt_times(mut self, gmt: bool) -> Self {
        let zone = if gmt {
            Zone::Utc
        } else {
            Zone::Local(local_time::utc_offset)
        };
        self.settings.config.zone = zone;
        self
    }

    /// Sends files by `sendfile(2)` where the system has it. Default: true.
    pub fn use_sendfile(mut self, sendfile: bool) -> Self {
        self.settings.config.use_sendfile = sendfile;
        self
    }

    /// Sets TCP_NODELAY on control connections, and on data connections where bytes would wait for
    /// others: with TLS, and for files that come at a pace of their own
    /// ([`File::wake_by`](crate::File::wake_by)). Default: true.
    pub fn tcp_no_delay(mut self, no_delay: bool) -> Self {
        self.settings.config.tcp_no_delay = no_delay;
        self
    }

    /// The encoding of names and texts towards clients: of the banner, messages, and all replies that are made of
    /// strings ([`Text`](crate::Text)). Default: UTF-8.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.settings.config.encoding = encoding;
        self
    }

    /// Whether an upload has its name only when it is a success. Its bytes go to a hidden file beside it
    /// (`.ftpdlib-` and a random word), which takes the name, in one step, when all of it has come, is
    /// written, and the handler has not refused it: nobody ever sees half a file under its name, and the
    /// old one stays until then. Otherwise the hidden file is removed. Default: false.
    ///
    /// This is for STOR without REST and for STOU. APPE, and STOR after REST, change the file that is
    /// there. The file is always a new one: with the permissions of a new file, in place of a symbolic
    /// link that had its name, and until it has its name there must be room for both. A process that is
    /// killed leaves its hidden file behind.
    pub fn atomic_uploads(mut self, atomic: bool) -> Self {
        self.settings.config.uploads.atomic = atomic;
        self
    }

    /// Whether, with [atomic uploads](Self::atomic_uploads), what came of an upload that was cut off is
    /// kept beside its name, as `.NAME.part`, so that its client can go on with it. (Without them what
    /// came is in the file itself.) Default: false.
    ///
    /// `REST n` and `STOR NAME` then go on with the part, and a success puts it in NAME's place; so does
    /// `APPE NAME` when there is no NAME. `SIZE NAME` tells the part's size when there is no NAME: this is
    /// what clients ask before they go on. A STOR without REST begins anew, and takes the part away when
    /// it is a success.
    pub fn keep_partial(mut self, keep: bool) -> Self {
        self.settings.config.uploads.keep_partial = keep;
        self
    }

    /// Whether what is there may be replaced, by STOR, or by RNTO. If not, these are refused with `550`;
    /// APPE, and STOR after REST at the file's very end, add to a file still. Default: true.
    pub fn overwrite(mut self, allow: bool) -> Self {
        self.settings.config.uploads.no_overwrite = !allow;
        self
    }

    /// The permissions that new files and folders do not get, such as `0o027`. It is the process's
    /// umask, set when the server begins to serve, and so holds for all that the process creates, and for
    /// all servers in it. Without effect where files have no such permissions. Default: the umask that
    /// the process has.
    pub fn umask(mut self, mask: u32) -> Self {
        self.settings.umask = Some(mask);
        self
    }

    /// Bytes a second that each client may send us, by all of his transfers: one that ends, or is aborted,
    /// before its bytes have had their time leaves what is missing to the next. Default: no limit.
    pub fn read_limit(mut self, bytes_per_second: u64) -> Self {
        self.settings.config.read_limit = bytes_per_second;
        self
    }

    /// Bytes a second that each client gets from us, by all of his transfers, as with
    /// [`read_limit`](Self::read_limit). Default: no limit.
    pub fn write_limit(mut self, bytes_per_second: u64) -> Self {
        self.settings.config.write_limit = bytes_per_second;
        self
    }

    /// Time that transfers have to finish when the server is told to stop. Default: 10 seconds.
    pub fn grace(mut self, time: Duration) -> Self {
        self.settings.grace = time;
        self
    }

    /// Whether [`serve_forever`](FtpServer::serve_forever) obeys signals: it ends by SIGTERM and
    /// SIGINT, and logs a line on each session at SIGUSR1. A spawned server never does. Default:
    /// true.
    pub fn handle_signals(mut self, handle: bool) -> Self {
        self.settings.handle_signals = handle;
        self
    }

    /// Whether systemd is told (`sd_notify`) when the server is ready, reloads, and stops, if the
    /// environment names its socket (`NOTIFY_SOCKET`). Default: false.
    pub fn notify_systemd(mut self, notify: bool) -> Self {
        self.settings.notify_systemd = notify;
        self
    }

    /// Connections that may wait to be accepted; the system has a limit of its own. Default: 1024.
    pub fn backlog(mut self, connections: i32) -> Self {
        self.backlog = connections;
        self
    }

    /// Listens on the first address that can be had. Port 0 lets the system choose. `[::]` takes
    /// IPv4 clients too, where the system can.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] when no address can be had, [`Error::Config`] for settings that cannot be.
    pub fn bind(self, addresses: impl ToSocketAddrs + fmt::Debug) -> Result<FtpServer, Error> {
        let asked = format!("{addresses:?}").replace('"', "");
        let unresolved = |source| Error::Bind {
            address: asked,
            source,
        };
        let addresses: Vec<SocketAddr> = addresses.to_socket_addrs().map_err(unresolved)?.collect();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address for this name");
        for &address in &addresses {
            let options = ListenOptions {
                backlog: self.backlog,
                streams: control_options(self.settings.config.tcp_no_delay),
                ..ListenOptions::default()
            };
            match Listener::bind(address, options) {
                Ok(listener) => return self.on(listener, true),
                Err(error) => last = error,
            }
        }
        let shown: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        Err(Error::Bind {
            address: shown.join(", "),
            source: last,
        })
    }

    /// Uses a socket that listens already.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] when it cannot be used, [`Error::Config`] for settings that cannot be.
    pub fn listener(self, listener: TcpListener) -> Result<FtpServer, Error> {
        let streams = control_options(self.settings.config.tcp_no_delay);
        let listener = Listener::from_std(listener, streams);
        let unusable = |source| Error::Bind {
            address: "the given socket".to_owned(),
            source,
        };
        self.on(listener.map_err(unusable)?, false)
    }

    fn on(mut self, listener: Listener, is_ours: bool) -> Result<FtpServer, Error> {
        for (index, command) in self.settings.commands.iter().enumerate() {
            command.check().map_err(Error::Config)?;
            self.settings.table.add(command.row(index));
        }
        let ports = self.settings.config.passive_ports.as_ref();
        if ports.is_some_and(|ports| ports.is_empty() || *ports.start() == 0) {
            let text = "passive ports must be a range within 1 to 65535";
            return Err(Error::Config(text.to_owned()));
        }
        self.settings.workers.check()?;
        if self.settings.bounds.max_cons == 1 {
            let text = "max_cons of 1 lets nobody in: the listening socket counts";
            return Err(Error::Config(text.to_owned()));
        }
        let address = listener
            .local_addr()
            .map_err(Error::system("ask for the address"))?;
        Ok(FtpServer::new(listener, address, is_ours, self.settings))
    }
}
