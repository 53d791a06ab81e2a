//! What a library user hooks into: the callbacks of a [`Handler`], and the [`Session`] they get.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{Context, Sleeping, TimerId};
use log::Level;

use super::core::Core;
use super::interpreter::not_logged_in;
use super::logging;
use super::slot::{CONTROL, TAG_HANDLER};
use super::transferred::Transferred;
use crate::auth::{Account, ClientCertificate, Password};
use crate::fs::FileSystem;
use crate::proto::command::CommandLine;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;

/// Callbacks of one client's session.
///
/// A handler is made for every client by the factory given to
/// [`Builder::handler`](crate::Builder::handler), so its fields are the session's own state. All
/// callbacks have an empty default. They run on the event loop: a callback that takes long holds
/// up everybody, unless it takes its client off the loop with
/// [`Session::del_channel`] and lets a thread do the work. A callback that panics ends its own
/// session and no other.
///
/// ```
/// use ftpdlib::{Handler, Session, Transferred};
///
/// #[derive(Default)]
/// struct Counter {
///     uploads: u32,
/// }
///
/// impl Handler for Counter {
///     fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
///         self.uploads += 1;
///         let text = format!("{} is upload {}", file.path(), self.uploads);
///         session.log(log::Level::Info, &text);
///     }
/// }
/// ```
#[allow(unused_variables)]
pub trait Handler: 'static {
    /// A client has connected; the greeting has not gone out.
    /// [`Session::close_when_done`] here keeps it from going out.
    fn on_connect(&mut self, session: &mut Session<'_>) {}

    /// The connection is closed, by whomever. The last callback.
    fn on_disconnect(&mut self, session: &mut Session<'_>) {}

    /// A command is about to run. [`Verdict::Refuse`] answers it without running it.
    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        Verdict::Run
    }

    /// A user has logged in.
    fn on_login(&mut self, session: &mut Session<'_>, username: &str) {}

    /// A login was refused.
    fn on_login_failed(&mut self, session: &mut Session<'_>, username: &str, password: &Password) {}

    /// A user has logged out by QUIT, REIN or another USER; not called when the client just goes.
    fn on_logout(&mut self, session: &mut Session<'_>, username: &str) {}

    /// A file was sent whole.
    fn on_file_sent(&mut self, session: &mut Session<'_>, file: &Transferred) {}

    /// A file was received whole: every byte the client sent is written, and the file closed.
    /// The client's 226 follows this callback.
    fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {}

    /// A download ended before its end: ABOR, a timeout, a client that went away.
    fn on_incomplete_file_sent(&mut self, session: &mut Session<'_>, file: &Transferred) {}

    /// An upload ended before its end, or could not be written.
    fn on_incomplete_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {}

    /// A timer of [`Session::call_later`] or [`Session::call_every`] is due.
    fn on_timer(&mut self, session: &mut Session<'_>, timer: TimerId) {}
}

/// For servers without callbacks.
impl Handler for () {}

/// Makes the handler of each client.
pub(crate) type Factory = Arc<dyn Fn(SocketAddr) -> Box<dyn Handler> + Send + Sync>;

/// What [`Handler::on_command`] decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The command runs.
    Run,
    /// It does not, and this is its reply.
    Refuse(Reply),
}

/// One client's session, as a callback may use it.
pub struct Session<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) cx: Context<'a>,
}

impl Session<'_> {
    /// The client's address; an IPv4 client of an IPv6 socket has its IPv4 address.
    pub fn peer(&self) -> SocketAddr {
        self.core.interpreter.peer()
    }

    /// The server's address on this connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.core.interpreter.local()
    }

    /// The argument of the last USER, logged in or not.
    pub fn username(&self) -> &str {
        self.core.interpreter.username()
    }

    /// Whether a user is logged in.
    pub fn is_authenticated(&self) -> bool {
        self.account().is_some()
    }

    /// The account of the user who is logged in.
    pub fn account(&self) -> Option<&Account> {
        self.core.interpreter.account()
    }

    /// Whether the control connection is TLS.
    pub fn is_secured(&self) -> bool {
        self.core.interpreter.is_secured()
    }

    /// The client's TLS certificate, checked against [`Tls::client_ca`](crate::Tls::client_ca), if
    /// it has shown one.
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.core.interpreter.client_certificate()
    }

    /// The current directory.
    pub fn current_directory(&self) -> &VirtualPath {
        self.core.interpreter.directory()
    }

    /// The files of the user who is logged in.
    ///
    /// # Errors
    ///
    /// The reply `530` when nobody is.
    pub fn filesystem(&self) -> Result<&Arc<dyn FileSystem>, Reply> {
        self.account()
            .map(Account::filesystem)
            .ok_or_else(not_logged_in)
    }

    /// Takes the client off the loop: its commands wait until the guard is dropped, or its
    /// `add_channel` is called, on any thread. Nobody else waits. A reply or a transfer that is
    /// under way goes on.
    pub fn del_channel(&mut self) -> Sleeping {
        self.cx.del_channel(CONTROL)
    }

    /// Sends a reply that belongs to no command, as before [`close_when_done`](Self::close_when_done).
    pub fn respond(&mut self, reply: Reply) {
        self.core.respond(&reply, Level::Debug);
    }

    /// Closes the session now; replies that are not sent yet are lost.
    pub fn close(&mut self) {
        self.core.close(&mut self.cx);
    }

    /// Closes the session when its replies are sent; no further command is taken.
    pub fn close_when_done(&mut self) {
        self.core.close_when_done(&mut self.cx);
    }

    /// Calls [`Handler::on_timer`] once, after `delay`.
    pub fn call_later(&mut self, delay: Duration) -> TimerId {
        self.cx.call_later(delay, TAG_HANDLER)
    }

    /// Calls [`Handler::on_timer`] again and again.
    pub fn call_every(&mut self, period: Duration) -> TimerId {
        self.cx.call_every(period, TAG_HANDLER)
    }

    /// Stops a timer.
    pub fn cancel(&mut self, timer: TimerId) {
        self.cx.cancel(timer);
    }

    /// Writes a line to the log, with the session's address and user in front.
    pub fn log(&self, level: Level, message: &str) {
        logging::line(level, self.peer(), self.username(), message);
    }
}
