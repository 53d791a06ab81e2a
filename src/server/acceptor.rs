//! The listening socket on the event loop: takes clients in, and sends away those over a limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{
    AcceptLoop, Channel, Context, Dispatcher, Listener, Ready, TcpStream, TimerId,
};
use log::{Level, info};

use super::builder::Limits;
use crate::proto::addr::canonical_addr;
use crate::proto::reply::Reply;
use crate::session::census::Counted;
use crate::session::logging::{self, TARGET};
use crate::session::{Client, Note, Service};
use crate::stream::Stream;
use crate::tls::Tls;

const LISTEN: Channel = Channel::new(0);
const TAG_GRACE: usize = 0;
const TAG_EMPTY: usize = 1;
/// How often a server that stops looks whether its last client is gone.
const LOOK: Duration = Duration::from_millis(20);

/// The dispatcher of one listening socket.
pub(super) struct Acceptor {
    /// None when the server stops: nobody is to wait in its queue.
    accept: Option<AcceptLoop>,
    service: Arc<Service>,
    limits: Limits,
    _counted: Counted,
}

impl Acceptor {
    pub(super) fn new(listener: Listener, (service, limits): (Arc<Service>, Limits)) -> Acceptor {
        let _counted = service.census.count_in();
        Acceptor {
            accept: Some(AcceptLoop::new(listener)),
            service,
            limits,
            _counted,
        }
    }

    /// Stops accepting; clients may finish their transfers.
    fn drain(&mut self, cx: &mut Context<'_>) {
        if let Some(mut accept) = self.accept.take() {
            accept.stop(cx);
        }
        cx.broadcast(|| Box::new(Note::Drain));
        cx.call_later(self.limits.grace, TAG_GRACE);
        cx.call_every(LOOK, TAG_EMPTY);
    }

    /// Reads the certificates again; sessions that run keep theirs.
    fn reload(&self) {
        match self.service.config.tls.as_ref().map(Tls::reload) {
            Some(Ok(())) => info!(target: TARGET, "TLS certificates reloaded"),
            Some(Err(error)) => {
                log::error!(target: TARGET, "TLS certificates kept as they were: {error}");
            }
            None => {}
        }
    }

    fn stop(&self, cx: &mut Context<'_>) {
        let (pid, open) = (std::process::id(), self.service.census.count());
        info!(target: TARGET, ">>> shutting down FTP server, pid={pid}, {open} open socket(s) <<<");
        cx.stop();
    }
}

#[cfg(unix)]
fn is_hangup(signal: i32) -> bool {
    signal == libc::SIGHUP
}

#[cfg(not(unix))]
fn is_hangup(_: i32) -> bool {
    false
}

/// A client has connected: a session of its own, or a refusal.
fn take_in(
    service: &Arc<Service>,
    max_per_ip: usize,
    cx: &mut Context<'_>,
    socket: TcpStream,
    peer: SocketAddr,
) {
    let peer = canonical_addr(peer);
    let counted = service.census.count_client(peer.ip());
    if !service.census.is_within_limit() {
        return refuse(
            socket,
            peer,
            "Too many connections. Service temporarily unavailable.",
        );
    }
    if max_per_ip > 0 && service.census.clients_of(peer.ip()) > max_per_ip {
        return refuse(
            socket,
            peer,
            "Too many connections from the same IP address.",
        );
    }
    match Client::new(Arc::clone(service), socket, peer, counted) {
        Ok(client) => {
            cx.spawn(Box::new(client));
        }
        Err(error) => {
            logging::line(
                Level::Debug,
                peer,
                "",
                &format!("gone before it was served: {error}"),
            );
        }
    }
}

/// Says why, as far as the socket takes it at once, and closes.
fn refuse(socket: TcpStream, peer: SocketAddr, text: &'static str) {
    logging::line(Level::Warn, peer, "", text);
    let mut reply = Vec::new();
    Reply::new(421, text).encode(&mut reply);
    let mut stream = Stream::new(socket, true);
    // Whoever does not take it is closed all the same.
    let _ = stream.write(&reply);
    let _ = stream.finish();
}

impl Dispatcher for Acceptor {
    fn start(&mut self, cx: &mut Context<'_>) {
        let Some(accept) = &mut self.accept else {
            return;
        };
        if let Err(error) = accept.start(cx, LISTEN) {
            log::error!(target: TARGET, "cannot watch the listening socket: {error}");
            cx.close();
        }
    }

    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, _: Ready) {
        let (service, max_per_ip) = (&self.service, self.limits.max_cons_per_ip);
        if let Some(accept) = &mut self.accept {
            accept.ready(cx, channel, |cx, socket, peer| {
                take_in(service, max_per_ip, cx, socket, peer);
            });
        }
    }

    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, tag: usize) {
        match &mut self.accept {
            Some(accept) => drop(accept.timeout(cx, timer)),
            None if tag == TAG_GRACE || cx.len() == 1 => self.stop(cx),
            None => {}
        }
    }

    fn signal(&mut self, cx: &mut Context<'_>, signal: i32) {
        if is_hangup(signal) {
            return self.reload();
        }
        if self.accept.is_none() {
            return self.stop(cx);
        }
        info!(target: TARGET, "received interrupt signal");
        let grace = self.limits.grace;
        info!(
            target: TARGET,
            "transfers have {grace:?} to finish; another signal stops them at once"
        );
        self.drain(cx);
    }
}
