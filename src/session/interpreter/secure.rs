//! FTP over TLS: AUTH, PBSZ, PROT, CCC (RFC 4217, RFC 2228), and what TLS asks of other commands.

use std::sync::Arc;
use std::time::Duration;

use log::Level;

use super::security::Protection;
use super::service::refuse_second;
use super::state::{Data, Interpreter, Wait};
use super::task::Transfer;
use super::vocabulary::{Effect, Timer, Unprotected};
use super::{login, transfer};
use crate::auth::ClientCertificate;
use crate::proto::reply::Reply;
use crate::tls::Tls;

/// Begins a session: with implicit FTPS the handshake comes before the greeting.
pub(super) fn start(it: &mut Interpreter, greeting: Option<Reply>) {
    if it.config.tls.as_ref().is_some_and(Tls::is_implicit) {
        start_tls(it, greeting);
    } else {
        login::greet(it, greeting);
    }
}

fn start_tls(it: &mut Interpreter, greeting: Option<Reply>) {
    let greeting = greeting.map(Box::new);
    it.wait = Wait::Tls { greeting };
    it.effect(Effect::StartTls);
    it.limit_handshake();
}

/// The control connection is TLS now.
pub(super) fn secured(it: &mut Interpreter, certificate: Option<ClientCertificate>) {
    let greeting = match std::mem::replace(&mut it.wait, Wait::Nothing) {
        Wait::Tls { greeting } => greeting,
        other => return it.wait = other,
    };
    it.security.control = true;
    it.security.certificate = certificate.map(Arc::new);
    it.effect(Effect::SetTimer(Timer::Handshake, Duration::ZERO));
    if it.config.tls.as_ref().is_some_and(Tls::is_implicit) {
        login::greet(it, greeting.map(|greeting| *greeting));
    } else {
        it.reset_idle();
    }
}

pub(crate) fn auth(it: &mut Interpreter, arg: &[u8]) {
    let kind = arg.to_ascii_uppercase();
    match &kind[..] {
        _ if it.security.control => it.finish(Reply::new(503, "Already using TLS.")),
        // It would go on, and be whoever's came before.
        _ if refuse_second(it) => {}
        // TLS finds its version by itself, so all of them are the same.
        b"TLS" | b"SSL" | b"TLS-C" | b"TLS-P" => {
            let kind = String::from_utf8_lossy(&kind);
            login::forget(it);
            it.finish(Reply::new(234, format!("AUTH {kind} successful.")));
            start_tls(it, None);
        }
        _ => it.finish(Reply::new(
            502,
            "Unrecognized encryption type (use TLS or SSL).",
        )),
    }
}

/// There is nothing to choose: TLS has its own sizes.
pub(crate) fn pbsz(it: &mut Interpreter, _: &[u8]) {
    if !it.security.control {
        let text = "PBSZ not allowed on insecure control connection.";
        return it.finish(Reply::new(503, text));
    }
    it.security.pbsz = true;
    it.finish(Reply::new(200, "PBSZ=0 successful."));
}

pub(crate) fn prot(it: &mut Interpreter, arg: &[u8]) {
    if !it.security.control {
        let text = "PROT not allowed on insecure control connection.";
        return it.finish(Reply::new(503, text));
    }
    if !it.security.pbsz {
        let text = "You must issue the PBSZ command prior to PROT.";
        return it.finish(Reply::new(503, text));
    }
    let reply = match arg.to_ascii_uppercase().as_slice() {
        b"C" => {
            protect(it, false);
            Reply::new(200, "Protection set to Clear")
        }
        b"P" => {
            protect(it, true);
            Reply::new(200, "Protection set to Private")
        }
        kind @ (b"S" | b"E") => {
            let kind = String::from_utf8_lossy(kind);
            Reply::new(521, format!("PROT {kind} unsupported (use C or P)."))
        }
        _ => Reply::new(502, "Unrecognized PROT type (use C or P)."),
    };
    it.finish(reply);
}

/// A data connection is protected or not from its first byte, so one that is open already is of no
/// use when that changes.
fn protect(it: &mut Interpreter, protect: bool) {
    let changed = std::mem::replace(&mut it.security.protect, protect) != protect;
    if changed && matches!(it.data, Data::Open) && !it.is_transferring() {
        it.close_data();
        let text = "Data connection was opened before PROT; open another.";
        it.data = Data::Failed(Reply::new(425, text));
    }
}

/// RFC 4217, 12.3: a server may refuse to go back to clear text, and this one does.
pub(crate) fn ccc(it: &mut Interpreter, _: &[u8]) {
    it.finish(if it.security.control {
        Reply::new(534, "The control connection stays protected.")
    } else {
        Reply::new(533, "The control connection is not protected.")
    });
}

/// The handshake of the data connection has ended.
pub(super) fn data_protected(it: &mut Interpreter, result: Result<(), Unprotected>) {
    if it.security.data != Protection::Pending {
        return;
    }
    match result {
        Ok(()) => {
            it.security.data = Protection::Private;
            transfer::data_protected(it);
        }
        Err(Unprotected::Failed(why)) => {
            let text = format!("TLS handshake of the data connection failed: {why}");
            it.effect(Effect::Log(Level::Info, text));
            refuse_data(it, "SSL handshake failed.");
        }
        Err(Unprotected::Stranger) => {
            refuse_data(it, "SSL connection failed; session reuse required.");
        }
    }
}

/// RFC 4217, 10.2: the transfer that waits is told, or the next one.
fn refuse_data(it: &mut Interpreter, text: &'static str) {
    let reply = Reply::new(522, text);
    it.close_data();
    if matches!(it.transfer, Transfer::Protecting(..)) {
        transfer::fail(it, reply);
    } else {
        it.data = Data::Failed(reply);
    }
}

/// A handshake took too long.
pub(super) fn timed_out(it: &mut Interpreter) {
    if matches!(it.wait, Wait::Tls { .. }) {
        // In the middle of a handshake there is no way to say anything.
        let text = "TLS handshake timed out.";
        it.effect(Effect::Log(Level::Info, text.to_owned()));
        it.effect(Effect::Disconnect);
    } else if matches!(it.transfer, Transfer::Protecting(..)) {
        refuse_data(it, "SSL handshake timed out.");
    }
}
