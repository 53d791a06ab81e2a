//! What a library user hooks into: the callbacks of a [`Handler`].

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use ftpdlib_reactor::TimerId;

use super::session::Session;
use crate::auth::Password;
use crate::proto::command::CommandLine;
use crate::proto::reply::Reply;
use crate::session::interpreter::transferred::Transferred;

/// Callbacks of one client's session.
///
/// A handler is made for every client by the factory given to
/// [`Builder::handler`](crate::Builder::handler), so its fields are the session's own state. All
/// callbacks have an empty default. A callback that panics ends its own session and no other.
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
///
/// # Deciding, now or later
///
/// Some callbacks stand before a reply, and decide about it: [`Session::answer`] in them gives
/// another. They run on the event loop: a callback that takes long holds up everybody, unless it
/// takes its client off the loop and lets a thread do the work, by [`Session::offload`] or
/// [`Session::del_channel`]. Then the reply waits until the client is back, and so do his further
/// commands; a transfer that is under way, the deadlines for a data connection to come about and the
/// handler's timers go on, and nobody else waits.
///
/// | callback | what waits | what an answer does |
/// |---|---|---|
/// | [`on_connect`](Handler::on_connect) | the greeting | replaces it; an error (4xx, 5xx) closes the session |
/// | [`on_command`](Handler::on_command) | the command | is its reply, and the command does not run |
/// | [`on_login`](Handler::on_login) | the 230 | replaces it; an error refuses the login |
/// | the four of files | the transfer's last reply | replaces it: a success by another or by an error, a failure by another failure |
/// | a [`Command`](crate::Command) of one's own | its reply | replaces the one that the closure returned |
/// | `on_login_failed`, `on_logout`, `on_timer` | only further commands | nothing |
/// | `on_disconnect` | nothing | nothing |
///
/// A client who hangs up while he is off the loop is noticed when he is back.
#[allow(unused_variables)]
pub trait Handler: Any {
    /// A client has connected; the greeting has not gone out. An [answer](Session::answer) of 4xx or
    /// 5xx goes out in its place and the session is closed; so does
    /// [`Session::close_when_done`], with whatever [`Session::respond`] has sent before.
    fn on_connect(&mut self, session: &mut Session<'_>) {}

    /// The connection is closed, by whomever. The last callback. Work that is
    /// [offloaded](Session::offload) here is done, but what should follow it is not. The end of the
    /// process waits for it, up to 5 seconds.
    fn on_disconnect(&mut self, session: &mut Session<'_>) {}

    /// A command is about to run. [`Verdict::Refuse`] answers it without running it.
    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        Verdict::Run
    }

    /// A user's name and password are right, and the 230 is about to go out. An
    /// [answer](Session::answer) of 4xx or 5xx refuses the login all the same: like any other that
    /// was refused it counts ([`max_login_attempts`](crate::Builder::max_login_attempts)), is told
    /// late ([`auth_failed_timeout`](crate::Builder::auth_failed_timeout)), and
    /// [`on_login_failed`](Handler::on_login_failed) follows. Another answer takes the place of the
    /// account's [login message](crate::Account::login_message). So it is refused, too, when the address was
    /// [banned](crate::Builder::ban_after) meanwhile, whatever is said here.
    fn on_login(&mut self, session: &mut Session<'_>, username: &str) {}

    /// A login was refused, and the client is told.
    fn on_login_failed(&mut self, session: &mut Session<'_>, username: &str, password: &Password) {}

    /// A user has logged out by QUIT, REIN, AUTH or another USER; not called when the client just goes.
    /// A QUIT closes the session right behind it.
    fn on_logout(&mut self, session: &mut Session<'_>, username: &str) {}

    /// A file was sent whole.
    fn on_file_sent(&mut self, session: &mut Session<'_>, file: &Transferred) {}

    /// A file was received whole: every byte the client sent is written, and the file closed.
    /// The client's 226 follows this callback, unless an [answer](Session::answer) takes its place:
    /// a virus scanner's `550`, say. The file stays where it is; who refuses it may remove it
    /// ([`Transferred::filesystem`]).
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
