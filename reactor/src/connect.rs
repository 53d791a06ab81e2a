//! Connecting without blocking, from an address of one's own choice.

use crate::listener::tcp_socket;
use mio::net::TcpStream;
use socket2::Domain;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Begins to connect to `addr`, from the address `from` if one is given (and a port of the
/// system's choice).
///
/// Register the stream for writing; when it is writable, ask [`finish_connect`]. IPv4-mapped IPv6
/// addresses are taken for the IPv4 addresses they are.
///
/// # Errors
///
/// `InvalidInput` when the addresses are of different families; otherwise what the system says
/// at once, for instance `AddrNotAvailable` for a foreign `from`. A refusal usually comes later,
/// from [`finish_connect`], but on some systems at once.
pub fn connect(addr: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let addr = canonical(addr);
    let domain = match addr {
        SocketAddr::V4(_) => Domain::IPV4,
        SocketAddr::V6(_) => Domain::IPV6,
    };
    let socket = tcp_socket(domain)?;
    if let Some(from) = from {
        crate::sys::port::choose_late(&socket);
        socket.bind(&source(from.to_canonical(), addr)?.into())?;
    }
    match socket.connect(&addr.into()) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether a stream from [`connect`] is connected by now; false while it is still trying, and an
/// event will follow.
///
/// # Errors
///
/// Why the connection failed. The stream is of no use then.
pub fn finish_connect(stream: &TcpStream) -> io::Result<bool> {
    // A connection that failed has no peer; only then there is a reason to ask for.
    let Err(error) = stream.peer_addr() else {
        return Ok(true);
    };
    match stream.take_error()? {
        Some(error) => Err(error),
        None if error.kind() == io::ErrorKind::NotConnected || is_under_way(&error) => {
            // An event in vain. The poll(2) and IOCP backends announce more only after they have
            // seen an operation that would block, whose answer teaches nothing.
            let _ = stream.try_io(|| -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) });
            Ok(false)
        }
        None => Err(error),
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        // Keeps the scope.
        IpAddr::V6(_) => addr,
    }
}

fn source(from: IpAddr, to: SocketAddr) -> io::Result<SocketAddr> {
    match (from, to) {
        (IpAddr::V4(_), SocketAddr::V4(_)) => Ok(SocketAddr::new(from, 0)),
        (IpAddr::V6(ip), SocketAddr::V6(to)) => {
            // A link-local address is one only together with its link, which is the peer's.
            let scope = if ip.is_unicast_link_local() {
                to.scope_id()
            } else {
                0
            };
            Ok(SocketAddrV6::new(ip, 0, 0, scope).into())
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot connect from one address family to the other",
        )),
    }
}

/// An interrupted nonblocking connect goes on, too.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let addr = canonical("[::ffff:192.0.2.1]:21".parse().unwrap());
        assert_eq!(addr, "192.0.2.1:21".parse().unwrap());
        let scoped: SocketAddr = "[fe80::1%3]:21".parse().unwrap();
        assert_eq!(canonical(scoped), scoped);
    }

    #[test]
    fn families_do_not_mix_and_scopes_are_kept() {
        let v4: SocketAddr = "192.0.2.1:21".parse().unwrap();
        let link: SocketAddr = "[fe80::1%3]:21".parse().unwrap();
        let error = source("2001:db8::1".parse().unwrap(), v4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let from = source("fe80::2".parse().unwrap(), link).unwrap();
        assert_eq!(from, "[fe80::2%3]:0".parse().unwrap());
        let from = source("2001:db8::1".parse().unwrap(), link).unwrap();
        assert_eq!(from, "[2001:db8::1]:0".parse().unwrap());
    }
}
