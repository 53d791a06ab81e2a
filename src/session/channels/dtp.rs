//! The data channel (DTP): a passive socket, an active connection attempt, or an open connection
//! with its flow. One at a time, by construction.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::{io, iter};

use ftpdlib_reactor::{Accepted, ListenOptions, Listener, TcpStream};
use log::Level;

use crate::session::flow::Flow;
use crate::session::limits::census::Counted;
use crate::stream::Stream;
use crate::sys::ports;

/// Connections that may wait at a passive socket; one is taken. Strangers may come before the client, and
/// nobody looks before his command.
const BACKLOG: i32 = 128;
/// Random ports that are tried before the system chooses.
const RANDOM_TRIES: usize = 16;

#[derive(Default)]
pub(crate) enum Dtp {
    #[default]
    Idle,
    /// After PASV or EPSV.
    Listening {
        listener: Listener,
        counted: Counted,
        /// The event loop tells who comes.
        watched: bool,
        /// It has been said that descriptors are short.
        exhausted: bool,
    },
    /// After PORT or EPRT.
    Connecting { socket: TcpStream, counted: Counted },
    /// The connection, and what flows over it once there is a transfer.
    Open {
        stream: Stream,
        flow: Option<Box<Flow>>,
        counted: Counted,
    },
}

/// What a passive socket had.
pub(crate) enum Arrival {
    /// The client's connection.
    Client(TcpStream),
    /// A connection from elsewhere; it is closed already.
    Stranger(SocketAddr),
    Nobody,
    /// Out of descriptors: ask again later.
    Exhausted,
}

/// Opens the passive socket on the address of `local`, within `range` if there is one; which port, a
/// random number says.
pub(crate) fn listen(
    mut local: SocketAddr,
    range: Option<&RangeInclusive<u16>>,
    random: u64,
    log: impl Fn(Level, &str),
) -> io::Result<Listener> {
    let options = ListenOptions {
        backlog: BACKLOG,
        reuse_addr: true,
        ..ListenOptions::default()
    };
    local.set_port(0);
    let any = || Listener::bind(local, options);
    let one_of =
        |ports: &mut dyn Iterator<Item = u16>| match Listener::bind_range(local, ports, options) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            found => found.map(Some),
        };
    Ok(match range {
        // The system would look for a port that no closed connection remembers, ever longer the
        // more transfers there were in the last minute, and in the end in vain. Any that nobody
        // listens on will do.
        None => match one_of(&mut shuffled(&ports::ephemeral(), random).take(RANDOM_TRIES))? {
            Some(listener) => listener,
            None => any()?,
        },
        Some(range) => match one_of(&mut shuffled(range, random))? {
            Some(listener) => listener,
            None => {
                log(
                    Level::Warn,
                    "Can't find a valid passive port in the configured range. \
                     A random kernel-assigned port will be used.",
                );
                any()?
            }
        },
    })
}

/// Every port of the range once, from a random one on, in steps that a client cannot foresee.
fn shuffled(range: &RangeInclusive<u16>, random: u64) -> impl Iterator<Item = u16> + use<> {
    let (first, count) = (
        u32::from(*range.start()),
        u32::from(range.end() - range.start()) + 1,
    );
    let start = (random >> 32) as u32 % count;
    // Nearly always the first one will do.
    let rest = iter::once_with(move || step(random as u32, count)).flat_map(move |step| {
        (1..count).map(move |turn| {
            let offset = (u64::from(start) + u64::from(turn) * u64::from(step)) % u64::from(count);
            offset as u32
        })
    });
    iter::once(start)
        .chain(rest)
        .map(move |offset| (first + offset) as u16)
}

/// A step that shares no factor with the count, and so visits every port.
fn step(random: u32, count: u32) -> u32 {
    (random % count..count)
        .chain(1..)
        .find(|&step| gcd(step, count) == 1)
        .unwrap_or(1)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Takes one connection from the passive socket.
pub(crate) fn accept(
    listener: &mut Listener,
    admits: impl Fn(IpAddr) -> bool,
) -> io::Result<Arrival> {
    Ok(match listener.accept()? {
        Accepted::Stream(socket, peer) if admits(peer.ip()) => Arrival::Client(socket),
        Accepted::Stream(_, peer) => Arrival::Stranger(peer),
        Accepted::WouldBlock => Arrival::Nobody,
        Accepted::Exhausted => Arrival::Exhausted,
    })
}

/// Ends connections that wait at the passive socket; when that is closed, they would be reset.
pub(super) fn send_away(listener: &mut Listener, most: u32) {
    for _ in 0..most {
        // Whatever else it has goes with it.
        let Ok(Arrival::Stranger(_)) = accept(listener, |_| false) else {
            return;
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::random;

    #[test]
    fn every_port_of_a_range_comes_once() {
        for range in [60000..=60000, 60000..=60001, 60000..=60099, 1..=65535] {
            let mut ports: Vec<u16> = shuffled(&range, random::number()).collect();
            ports.sort_unstable();
            assert!(ports.into_iter().eq(range));
        }
    }

    #[test]
    fn the_first_port_is_not_always_the_same() {
        let firsts: std::collections::HashSet<u16> = (0..64)
            .filter_map(|_| shuffled(&(50000..=59999), random::number()).next())
            .collect();
        assert!(firsts.len() > 8, "{firsts:?}");
    }
}
