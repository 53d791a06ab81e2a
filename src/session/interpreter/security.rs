//! How far a session is protected, and what that allows (RFC 4217, RFC 2228).

use std::sync::Arc;

use crate::auth::ClientCertificate;
use crate::proto::reply::Reply;
use crate::proto::verb::Verb;
use crate::tls::Tls;

/// How far a session is protected.
#[derive(Default)]
pub(super) struct Security {
    /// The control connection is TLS.
    pub(super) control: bool,
    pub(super) pbsz: bool,
    /// PROT P: data connections to come are TLS.
    pub(super) protect: bool,
    /// Of the data connection that is open.
    pub(super) data: Protection,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

/// The protection of a data connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protection {
    #[default]
    Clear,
    /// The TLS handshake is under way.
    Pending,
    Private,
}

impl Security {
    /// REIN, and USER while logged in: PBSZ and PROT are forgotten (RFC 4217, 11).
    pub(super) fn reset(&mut self) {
        self.pbsz = false;
        self.protect = false;
    }

    /// What TLS asks before a command runs.
    pub(super) fn refusal(&self, tls: Option<&Tls>, command: &Verb) -> Option<Reply> {
        let tls = tls?;
        match command.as_str() {
            "USER" | "PASS" if tls.needs_control() && !self.control => {
                Some(Reply::new(550, "SSL/TLS required on the control channel."))
            }
            "PASV" | "EPSV" | "PORT" | "EPRT" if tls.needs_data() && !self.protect => {
                Some(Reply::new(550, DATA_REQUIRED))
            }
            _ => None,
        }
    }

    /// Whether data may go over the connection as it is (RFC 2228: 521).
    pub(super) fn must_not_flow(&self, tls: Option<&Tls>) -> Option<Reply> {
        let required = tls.is_some_and(Tls::needs_data);
        let clear = self.data == Protection::Clear;
        (required && clear).then(|| Reply::new(521, DATA_REQUIRED))
    }

    /// Whether data may flow at once, as far as TLS is concerned.
    pub(super) fn may_flow(&self, tls: Option<&Tls>) -> bool {
        self.data != Protection::Pending && self.must_not_flow(tls).is_none()
    }

    /// A data connection is open; true if PROT said that it becomes TLS.
    pub(super) fn data_opened(&mut self) -> bool {
        self.data = match self.protect {
            true => Protection::Pending,
            false => Protection::Clear,
        };
        self.protect
    }
}

const DATA_REQUIRED: &str = "SSL/TLS required on the data channel.";
