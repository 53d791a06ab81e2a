//! TLS on a session's connections: carries out what the interpreter asks of it.

use std::io;

use ftpdlib_reactor::Context;
use log::Level;

use super::core::Core;
use super::dtp::Dtp;
use super::slot::{CONTROL, DATA};
use crate::proto::escape::Escaped;
use crate::session::interpreter::{Input, Unprotected};
use crate::stream::Wants;

/// How far the control connection is on its way to TLS.
pub(crate) enum Securing {
    /// Nothing of the kind is under way.
    No,
    Waits,
    Done,
}

impl Core {
    /// Sends the replies in clear, then carries the handshake on, with nothing read or written in
    /// between. With implicit FTPS nothing is in clear: what has been said waits.
    pub(crate) fn secure_control(&mut self, cx: &mut Context<'_>) -> io::Result<Securing> {
        if self.starts_tls {
            if self.control.may_speak() && !self.control.flush(cx)? {
                return Ok(Securing::Waits);
            }
            self.starts_tls = false;
            if let Err(error) = self.start_tls() {
                self.log(Level::Error, &format!("cannot begin TLS: {error}"));
                self.close(cx);
                return Ok(Securing::Waits);
            }
        }
        if !self.control.is_handshaking() {
            return Ok(Securing::No);
        }
        if cx.must_queue(CONTROL) {
            return Ok(Securing::Waits);
        }
        match self.control.handshake(cx) {
            Ok(false) => Ok(Securing::Waits),
            Ok(true) => {
                let stream = self.control.stream();
                self.log(
                    Level::Debug,
                    &format!("TLS established: {}", stream.describe()),
                );
                let certificate = self.control.stream().client_certificate();
                self.inputs.push_back(Input::Secured(certificate));
                Ok(Securing::Done)
            }
            Err(error) => {
                let why = reason(&error);
                self.log(Level::Info, &format!("TLS handshake failed: {why}"));
                self.close(cx);
                Ok(Securing::Waits)
            }
        }
    }

    fn start_tls(&mut self) -> io::Result<()> {
        let Some(tls) = &self.common.config.tls else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let session = tls.session().map_err(io::Error::other)?;
        self.control
            .secure(session.control().map_err(io::Error::other)?);
        self.tls = Some(Box::new(session));
        Ok(())
    }

    /// The data connection is TLS from its first byte.
    pub(super) fn protect_data(&mut self, cx: &mut Context<'_>) {
        let tunnel = self.tls.as_ref().map(|tls| tls.data());
        match (&mut self.dtp, tunnel) {
            (Dtp::Open { stream, .. }, Some(Ok(tunnel))) => {
                // Both sides wait for what the other says in the handshake, and at the end.
                if self.common.config.tcp_no_delay {
                    stream.set_no_delay();
                }
                stream.secure(tunnel);
                self.shake_hands(cx);
            }
            _ => self.unprotected("it is gone".to_owned()),
        }
    }

    fn unprotected(&mut self, why: String) {
        let failed = Unprotected::Failed(why);
        self.inputs.push_back(Input::DataProtected(Err(failed)));
    }

    /// Carries the data connection's handshake on.
    pub(super) fn shake_hands(&mut self, cx: &mut Context<'_>) {
        let Dtp::Open { stream, .. } = &mut self.dtp else {
            return;
        };
        if cx.must_queue(DATA) {
            return;
        }
        let done = stream.handshake(cx.scratch()).and_then(|done| {
            // Registered in any case, for a client that is done before its command comes.
            let wants = Wants {
                read: true,
                write: false,
            };
            stream.wait_for(cx, DATA, wants).map(|()| done)
        });
        match done {
            Ok(false) => {}
            Ok(true) => {
                let required = self.tls.as_ref().is_some_and(|tls| tls.requires_reuse());
                let result = match required && !stream.is_resumed() {
                    true => Err(Unprotected::Stranger),
                    false => Ok(()),
                };
                self.inputs.push_back(Input::DataProtected(result));
            }
            Err(error) => self.unprotected(reason(&error)),
        }
    }
}

/// What went wrong, in words for the log.
fn reason(error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the client has left".to_owned(),
        _ => error.to_string(),
    };
    Escaped(text.as_bytes()).to_string()
}
