//! How a client begins, on whichever loop is his, and how one is turned away.

use std::net::SocketAddr;
use std::sync::Arc;

use ftpdlib_reactor::{Context, TcpStream};
use log::Level;

use super::control::Arrival;
use crate::proto::reply::Reply;
use crate::session::{Client, Service, logging};
use crate::stream::Stream;

/// To a client whom there is no thread or process for.
pub(super) const UNAVAILABLE: &str = "Service temporarily unavailable.";

/// Begins a client's session on this loop.
pub(super) fn welcome(service: &Arc<Service>, cx: &mut Context<'_>, arrival: Arrival) {
    let Arrival { socket, peer, seat } = arrival;
    match Client::new(Arc::clone(service), socket, peer, seat) {
        Ok(client) => drop(cx.spawn(Box::new(client))),
        Err(error) => {
            let text = format!("gone before it was served: {error}");
            logging::line(Level::Debug, peer, "", &text);
        }
    }
}

/// Says why, as far as the socket takes it at once, and closes.
pub(super) fn turn_away(socket: TcpStream, peer: SocketAddr, text: &'static str) {
    logging::line(Level::Warn, peer, "", text);
    let mut reply = Vec::new();
    Reply::new(421, text).encode(&mut reply);
    let mut stream = Stream::new(socket);
    // Whoever does not take it is closed all the same.
    let _ = stream.write(&reply);
    stream.discard(&mut [0; 512]);
}
