//! Bringing the data connection about: PORT, EPRT, PASV, EPSV (RFC 959, RFC 2428).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use log::Level;

use super::state::{Data, Interpreter, Wait};
use super::task::Transfer;
use super::transfer;
use super::vocabulary::{Effect, Timer};
use crate::proto::addr::{self, Eprt, Epsv};
use crate::proto::reply::Reply;

pub(crate) fn pasv(it: &mut Interpreter, _: &[u8]) {
    if it.epsv_all {
        return it.finish(Reply::new(501, "PASV not allowed after EPSV ALL."));
    }
    // 227 has room for four octets only.
    if it.local.is_ipv6() {
        return it.finish(Reply::new(425, "PASV is for IPv4 only; use EPSV."));
    }
    listen(it, false);
}

pub(crate) fn epsv(it: &mut Interpreter, arg: &[u8]) {
    match (addr::parse_epsv(arg), it.local.is_ipv4()) {
        (Epsv::All, _) => {
            it.epsv_all = true;
            it.finish(Reply::new(
                220,
                "Other commands other than EPSV are now disabled.",
            ));
        }
        (Epsv::Default, _) | (Epsv::V4, true) | (Epsv::V6, false) => listen(it, true),
        (Epsv::V4 | Epsv::V6, _) => {
            it.finish(other_protocol(it, 522, "Network protocol not supported"))
        }
        (Epsv::Unknown, _) => it.finish(other_protocol(it, 501, "Unknown network protocol")),
    }
}

pub(crate) fn port(it: &mut Interpreter, arg: &[u8]) {
    if it.epsv_all {
        return it.finish(Reply::new(501, "PORT not allowed after EPSV ALL."));
    }
    match addr::parse_port(arg) {
        Some(addr) => connect(it, SocketAddr::V4(addr)),
        None => it.finish(Reply::new(501, "Invalid PORT format.")),
    }
}

pub(crate) fn eprt(it: &mut Interpreter, arg: &[u8]) {
    if it.epsv_all {
        return it.finish(Reply::new(501, "EPRT not allowed after EPSV ALL."));
    }
    match addr::parse_eprt(arg) {
        Eprt::Address(addr) if addr.is_ipv4() != it.local.is_ipv4() => {
            it.finish(other_protocol(it, 522, "Network protocol not supported"));
        }
        Eprt::Address(addr) => connect(it, addr),
        Eprt::BadFormat => it.finish(Reply::new(501, "Invalid EPRT format.")),
        Eprt::UnknownProtocol => it.finish(other_protocol(it, 501, "Unknown network protocol")),
    }
}

fn other_protocol(it: &Interpreter, code: u16, text: &str) -> Reply {
    Reply::new(
        code,
        format!("{text} (use {}).", if it.local.is_ipv4() { 1 } else { 2 }),
    )
}

fn listen(it: &mut Interpreter, extended: bool) {
    if refuse_while_running(it) {
        return;
    }
    it.close_data();
    it.wait = Wait::Listen { extended };
    it.effect(Effect::Listen);
}

pub(super) fn listening(it: &mut Interpreter, result: io::Result<u16>) {
    let Wait::Listen { extended } = it.wait else {
        return;
    };
    let port = match result {
        Ok(port) => port,
        Err(error) => {
            let text = crate::fs::describe(&error);
            it.finish_at(Level::Warn, Reply::new(425, format!("{text}.")));
            return give_up(it);
        }
    };
    it.data = Data::Listening;
    it.effect(Effect::SetTimer(Timer::Data, it.config.passive_timeout));
    it.finish(match (extended, it.local.ip()) {
        (false, IpAddr::V4(ip)) => {
            let public = it.config.masquerade_map.get(&IpAddr::V4(ip)).copied();
            let public = public.or(it.config.masquerade_address).unwrap_or(ip);
            Reply::new(227, addr::pasv_text(public, port))
        }
        _ => Reply::new(229, addr::epsv_text(port)),
    });
}

/// PORT and EPRT connect at once; the reply tells whether it worked.
fn connect(it: &mut Interpreter, mut addr: SocketAddr) {
    if refuse_while_running(it) {
        return;
    }
    // Clients that listen on every address of theirs may name none (lftp on loopback does).
    if addr.ip().is_unspecified() {
        addr.set_ip(it.peer.ip());
    }
    if !it.admits(addr.ip()) {
        let text = format!("Rejected data connection to foreign address {addr}.");
        return it.finish_at(Level::Warn, Reply::new(501, text));
    }
    if !it.config.permit_privileged_ports && addr.port() < 1024 {
        let text = format!(
            "PORT against the privileged port \"{}\" refused.",
            addr.port()
        );
        return it.finish_at(Level::Warn, Reply::new(501, text));
    }
    it.close_data();
    it.data = Data::Connecting;
    it.wait = Wait::Connect;
    it.effect(Effect::SetTimer(Timer::Data, it.config.active_timeout));
    it.effect(Effect::Connect(addr));
}

pub(super) fn connected(it: &mut Interpreter, result: io::Result<()>) {
    let Wait::Connect = it.wait else { return };
    match result {
        Ok(()) => {
            it.finish(Reply::new(200, "Active data connection established."));
            opened(it);
        }
        Err(error) => {
            it.data = Data::Closed;
            it.effect(Effect::SetTimer(Timer::Data, Duration::ZERO));
            // The limit on connections says so itself; the client knows about its own refusal, and
            // anything else is the administrator's matter.
            let text = match error.kind() {
                io::ErrorKind::QuotaExceeded => crate::fs::describe(&error),
                kind => {
                    if !matches!(kind, io::ErrorKind::ConnectionRefused) {
                        let line = format!("active data connection: {error}");
                        it.effect(Effect::Log(Level::Warn, line));
                    }
                    "Can't connect to specified address".to_owned()
                }
            };
            it.finish(Reply::new(425, format!("{text}.")));
            give_up(it);
        }
    }
}

/// Data can flow now; a transfer that waited for it begins.
pub(super) fn opened(it: &mut Interpreter) {
    it.data = Data::Open;
    it.effect(Effect::SetTimer(Timer::Data, it.config.data_timeout));
    if it.security.data_opened() {
        it.effect(Effect::ProtectData);
    }
    transfer::data_opened(it);
}

/// A stranger connected to the passive socket (RFC 2577, 3). The client may still come, so nothing
/// ends by this; if nobody comes, the client is told of the stranger, who may be the client itself
/// behind another address.
pub(super) fn rejected(it: &mut Interpreter, peer: SocketAddr) {
    let text = format!("Rejected data connection from foreign address {peer}.");
    it.effect(Effect::Log(Level::Warn, text.clone()));
    it.stranger = Some(Reply::new(425, text));
}

/// The passive socket is of no use.
pub(super) fn failed(it: &mut Interpreter, error: &io::Error) {
    let text = crate::fs::describe(error);
    it.effect(Effect::Log(
        Level::Error,
        format!("data connection: {text}"),
    ));
    it.close_data();
    unavailable(it, Reply::new(425, format!("{text}.")));
}

pub(super) fn timed_out(it: &mut Interpreter) {
    match it.data {
        Data::Connecting => {
            it.close_data();
            it.finish_at(
                Level::Info,
                Reply::new(425, "Active data channel timed out."),
            );
            give_up(it);
        }
        Data::Listening => {
            let text = "Passive data channel timed out.";
            it.effect(Effect::Log(Level::Info, text.to_owned()));
            let stranger = it.stranger.take();
            it.close_data();
            unavailable(it, stranger.unwrap_or_else(|| Reply::new(425, text)));
        }
        // Nothing is said in the midst of a command, and the next one may use it.
        Data::Open if !matches!(it.wait, Wait::Nothing) => {
            it.effect(Effect::SetTimer(Timer::Data, it.config.data_timeout));
        }
        // Open, and no command uses it.
        Data::Open => {
            it.close_data();
            it.reply(Level::Info, Reply::new(421, "Data connection timed out."));
            it.close();
        }
        Data::Closed | Data::Failed(_) => give_up(it),
    }
}

impl Interpreter {
    /// Whether there is something to do with a data connection before the next command: a transfer
    /// waits for it, or the client may begin a TLS handshake on it.
    pub(crate) fn awaits_data(&self) -> bool {
        self.security.protect || matches!(self.transfer, Transfer::Waiting(..))
    }
}

/// The transfer command that waits for a data connection need not wait any longer.
pub(super) fn give_up(it: &mut Interpreter) {
    if matches!(it.transfer, Transfer::Waiting(..)) {
        unavailable(it, Reply::new(425, "Can't open data connection."));
    }
}

/// There will be no data connection: tells the transfer that waits for it, or the next one.
fn unavailable(it: &mut Interpreter, reply: Reply) {
    if matches!(it.transfer, Transfer::Waiting(..)) {
        it.close_data();
        transfer::fail(it, reply);
    } else if !matches!(it.data, Data::Open) {
        it.data = Data::Failed(reply);
    }
}

fn refuse_while_running(it: &mut Interpreter) -> bool {
    let running = matches!(
        it.transfer,
        Transfer::Protecting(..) | Transfer::Opening(..) | Transfer::Running(_)
    );
    if running {
        it.finish(Reply::new(450, "Transfer in progress."));
    }
    running
}
