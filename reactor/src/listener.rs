//! Listening sockets: bound with the options a server wants, and accepting with the system's
//! many temporary failures sorted out.

use crate::sys::waiting;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// How a listening socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many connections the system may hold until they are accepted. Default 128; the system
    /// has an upper limit of its own.
    pub backlog: i32,
    /// `SO_REUSEADDR`: bind although connections of an earlier listener linger. Default true,
    /// except on Windows, where it means that others may take the port over.
    pub reuse_addr: bool,
    /// `IPV6_V6ONLY`: `Some(true)` for IPv6 alone, `Some(false)` for IPv4 as well. The default
    /// `None` is IPv4 as well where the system can (OpenBSD cannot). Only of use on IPv6.
    pub only_v6: Option<bool>,
    /// What the connections that it accepts are like. Default: as the system has it.
    pub streams: StreamOptions,
}

/// Options of connections. Those of a listening socket hold for each that it accepts, and cost
/// nothing then where the system hands them down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// `TCP_NODELAY`: small writes do not wait for each other. Default false.
    pub no_delay: bool,
    /// `SO_OOBINLINE`: urgent data is read in its place among the rest. Default false.
    pub urgent_inline: bool,
}

impl StreamOptions {
    /// Whether an accepted socket begins with the options of its listening socket, those of TCP
    /// included, as they were when the connection came about: so it is on every Unix that we know.
    const HANDED_DOWN: bool = cfg!(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "macos",
    ));

    fn apply(self, socket: SockRef<'_>) -> io::Result<()> {
        // Both are off in a new socket.
        if self.no_delay {
            socket.set_tcp_nodelay(true)?;
        }
        if self.urgent_inline {
            socket.set_out_of_band_inline(true)?;
        }
        Ok(())
    }
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions {
            backlog: 128,
            reuse_addr: cfg!(not(windows)),
            only_v6: None,
            streams: StreamOptions::default(),
        }
    }
}

/// What [`Listener::accept`] got.
#[derive(Debug)]
pub enum Accepted {
    /// A connection, nonblocking, and who it is from.
    Stream(TcpStream, SocketAddr),
    /// Nobody is waiting; an event will tell.
    WouldBlock,
    /// Somebody is waiting, but file descriptors or memory ran out. No event will tell when there
    /// are some again: try later.
    Exhausted,
}

/// A nonblocking listening TCP socket.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    /// 0 where only the system knows.
    port: u16,
    /// To be set on each connection.
    streams: StreamOptions,
}

/// How often one `accept` tries again before it reports the failure.
const TRIES: usize = 32;

impl Listener {
    /// Listens on an address. Port 0 is a free one of the system's choice. `[::]` takes IPv4 as
    /// well where the system can.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `AddrNotAvailable`, `PermissionDenied`, or whatever else the system says.
    pub fn bind(addr: SocketAddr, options: ListenOptions) -> io::Result<Listener> {
        let socket = open(addr.ip(), options)?;
        socket.bind(&addr.into())?;
        listen(socket, addr.port(), options)
    }

    /// Listens on `addr` with the first of `ports`, in place of its own, that is free. Ports that
    /// are in use, or that this process may not use, are passed over.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when no port is left; otherwise as [`bind`](Listener::bind).
    pub fn bind_range(
        mut addr: SocketAddr,
        ports: &mut dyn Iterator<Item = u16>,
        options: ListenOptions,
    ) -> io::Result<Listener> {
        // A socket that could not be bound can be tried on the next port.
        let mut unbound = None;
        for port in ports {
            addr.set_port(port);
            let socket = match unbound.take() {
                Some(socket) => socket,
                None => open(addr.ip(), options)?,
            };
            match socket.bind(&addr.into()) {
                Ok(()) => match listen(socket, port, options) {
                    Err(error) if is_taken(&error) => {}
                    result => return result,
                },
                Err(error) if is_taken(&error) => unbound = Some(socket),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "no port of the range is free",
        ))
    }

    /// Takes over a socket that listens already, for instance one that was inherited. Connections may
    /// wait in it already, so their options are set when they are accepted.
    ///
    /// # Errors
    ///
    /// When it cannot be made nonblocking.
    pub fn from_std(
        listener: std::net::TcpListener,
        streams: StreamOptions,
    ) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        Ok(Listener {
            inner: TcpListener::from_std(listener),
            port: 0,
            streams,
        })
    }

    /// The port it listens on; the system is asked only where it chose.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn port(&self) -> io::Result<u16> {
        match self.port {
            0 => Ok(self.local_addr()?.port()),
            port => Ok(port),
        }
    }

    /// The address it listens on, with the port the system chose.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Accepts one connection, if one is waiting. Connections that broke while they waited are
    /// passed over.
    ///
    /// # Errors
    ///
    /// What is neither a matter of that one connection nor of resources: the socket is of no use.
    pub fn accept(&self) -> io::Result<Accepted> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.inner.accept() {
                Ok((stream, peer)) => {
                    // A connection that died already says so at its first read or write.
                    let _ = self.streams.apply(SockRef::from(&stream));
                    return Ok(Accepted::Stream(stream, peer));
                }
                Err(error) => match failure(&error) {
                    Failure::WouldBlock => return Ok(Accepted::WouldBlock),
                    Failure::Exhausted => return Ok(Accepted::Exhausted),
                    Failure::Passing if tries > 0 => {}
                    Failure::Passing | Failure::Fatal => return Err(error),
                },
            }
        }
    }
}

impl Listener {
    /// Whether a further `accept` may find somebody. When not, an event will tell who comes.
    pub(crate) fn may_have_more(&self) -> bool {
        waiting::may_wait(&self.inner)
    }
}

/// A socket that does not block; where the system can, without two more calls for that.
pub(crate) fn tcp_socket(domain: Domain) -> io::Result<Socket> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    return Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP));
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn open(ip: IpAddr, options: ListenOptions) -> io::Result<Socket> {
    let domain = match ip {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = tcp_socket(domain)?;
    if options.reuse_addr {
        socket.set_reuse_address(true)?;
    }
    if ip.is_ipv6() {
        match options.only_v6 {
            Some(only) => socket.set_only_v6(only)?,
            // As far as the system can.
            None => drop(socket.set_only_v6(false)),
        }
    }
    Ok(socket)
}

fn listen(socket: Socket, port: u16, options: ListenOptions) -> io::Result<Listener> {
    let mut streams = options.streams;
    if StreamOptions::HANDED_DOWN {
        // From the first connection on.
        streams.apply(SockRef::from(&socket))?;
        streams = StreamOptions::default();
    }
    socket.listen(options.backlog)?;
    let inner = TcpListener::from_std(socket.into());
    Ok(Listener {
        inner,
        port,
        streams,
    })
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

#[derive(Debug, PartialEq)]
enum Failure {
    WouldBlock,
    Exhausted,
    /// Of this one connection or moment: the next try may do.
    Passing,
    Fatal,
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock => return Failure::WouldBlock,
        io::ErrorKind::OutOfMemory => return Failure::Exhausted,
        io::ErrorKind::Interrupted
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        // Linux hands a firewall's refusal over to accept.
        | io::ErrorKind::PermissionDenied => return Failure::Passing,
        _ => {}
    }
    match error.raw_os_error() {
        Some(code) if codes::EXHAUSTED.contains(&code) => Failure::Exhausted,
        Some(code) if codes::PASSING.contains(&code) => Failure::Passing,
        Some(_) => Failure::Fatal,
        // Not from the system: macOS accepts a connection that is gone with an empty address,
        // which mio cannot read.
        None => Failure::Passing,
    }
}

/// Codes that have no `io::ErrorKind`.
mod codes {
    #[cfg(unix)]
    pub(super) const EXHAUSTED: &[i32] = &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const PASSING: &[i32] = &[
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EOPNOTSUPP,
    ];
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    pub(super) const PASSING: &[i32] = &[libc::EPROTO, libc::EHOSTDOWN];

    /// `WSAEMFILE` and `WSAENOBUFS`.
    #[cfg(windows)]
    pub(super) const EXHAUSTED: &[i32] = &[10024, 10055];
    /// None known.
    #[cfg(windows)]
    pub(super) const PASSING: &[i32] = &[];
}

impl Source for Listener {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.inner.register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.inner.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.inner.deregister(registry)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn failures_of_accept_are_told_apart() {
        let of = |code| failure(&io::Error::from_raw_os_error(code));
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert_eq!(of(code), Failure::Exhausted, "{code}");
        }
        for code in [
            libc::EINTR,
            libc::ECONNABORTED,
            libc::EPROTO,
            libc::EPERM,
            libc::ENETDOWN,
            libc::EHOSTUNREACH,
        ] {
            assert_eq!(of(code), Failure::Passing, "{code}");
        }
        assert_eq!(of(libc::EAGAIN), Failure::WouldBlock);
        assert_eq!(of(libc::EBADF), Failure::Fatal);
        assert_eq!(of(libc::EINVAL), Failure::Fatal);
    }
}
