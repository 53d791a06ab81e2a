//! What a library user hooks into: the callbacks of a [`Handler`], and the [`Session`] they get.

use std::any::{Any, TypeId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{Context, TimerId};
use log::Level;

use super::caught::caught;
use super::core::{Core, Note};
use super::interpreter::not_logged_in;
use super::logging;
use super::question::{OffloadError, Question, Sleeping, Then};
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
/// commands; a transfer that is under way, the deadlines of the data connection and the handler's
/// timers go on, and nobody else waits.
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
    /// account's [login message](Account::login_message).
    fn on_login(&mut self, session: &mut Session<'_>, username: &str) {}

    /// A login was refused, and the client is told.
    fn on_login_failed(&mut self, session: &mut Session<'_>, username: &str, password: &Password) {}

    /// A user has logged out by QUIT, REIN or another USER; not called when the client just goes.
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

/// One client's session, as a callback may use it.
pub struct Session<'a> {
    /// The type of the session's handler.
    pub(super) handler: TypeId,
    pub(super) core: &'a mut Core,
    pub(super) cx: Context<'a>,
    /// What the callback stands before.
    pub(super) question: &'a mut Question,
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

    /// Answers what this callback stands before with a reply of one's own: see
    /// [the table](Handler#deciding-now-or-later). The last answer counts.
    ///
    /// ```
    /// use ftpdlib::{Handler, Reply, Session, Transferred};
    ///
    /// struct NoEmptyFiles;
    ///
    /// impl Handler for NoEmptyFiles {
    ///     fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
    ///         if file.bytes() == 0 {
    ///             session.answer(Reply::new(550, "Empty files are not taken."));
    ///         }
    ///     }
    /// }
    /// ```
    pub fn answer(&mut self, reply: Reply) {
        self.question.answer(Some(reply));
    }

    /// Takes an [`answer`](Self::answer) back: what this callback stands before goes on as if there
    /// had been none.
    pub fn proceed(&mut self) {
        self.question.answer(None);
    }

    /// Takes the client off the loop: what this callback stands before waits (see
    /// [the table](Handler#deciding-now-or-later)), and so do his commands, until the guard is
    /// dropped, or one of its methods is called, on any thread. Nobody else waits. A transfer that
    /// is under way goes on.
    ///
    /// The thread's word is [`Sleeping::answer`]. For a decision that must not be missed, answer
    /// before: a thread that panics leaves that standing.
    ///
    /// ```
    /// use ftpdlib::{CommandLine, Handler, Reply, Session, Verdict};
    ///
    /// struct AskFirst;
    ///
    /// impl Handler for AskFirst {
    ///     fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
    ///         if command.name != "DELE" {
    ///             return Verdict::Run;
    ///         }
    ///         let channel = session.del_channel();
    ///         let name = command.arg.clone();
    ///         std::thread::spawn(move || {
    ///             if somebody_agrees(&name) {
    ///                 channel.proceed();
    ///             }
    ///         });
    ///         Verdict::Refuse(Reply::new(450, "Nobody agreed."))
    ///     }
    /// }
    /// # fn somebody_agrees(_: &[u8]) -> bool { true }
    /// ```
    pub fn del_channel(&mut self) -> Sleeping {
        self.question.hold(&mut self.cx)
    }

    /// Does `work` on a worker thread, and then calls `then` here on the loop, with the handler (of
    /// type `H`, the one that [`Builder::handler`](crate::Builder::handler) makes), the session and
    /// what came of the work. Meanwhile the client is off the loop, as with
    /// [`del_channel`](Self::del_channel): what this callback stands before waits. `then` may
    /// [`answer`](Self::answer) it, and may offload again.
    ///
    /// ```
    /// use ftpdlib::{Handler, Reply, Session, Transferred};
    ///
    /// #[derive(Default)]
    /// struct Scanner {
    ///     refused: u32,
    /// }
    ///
    /// impl Handler for Scanner {
    ///     fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
    ///         let file = file.clone();
    ///         session.offload(
    ///             move || {
    ///                 let clean = is_clean(file.real_path());
    ///                 if !clean {
    ///                     file.filesystem().remove_file(file.path())?;
    ///                 }
    ///                 Ok(clean)
    ///             },
    ///             |this: &mut Self, session, clean: Result<std::io::Result<bool>, _>| match clean {
    ///                 Ok(Ok(true)) => {}
    ///                 Ok(Ok(false)) => {
    ///                     this.refused += 1;
    ///                     session.answer(Reply::new(550, "Infected; removed."));
    ///                 }
    ///                 Ok(Err(error)) => session.answer(error.into()),
    ///                 Err(error) => {
    ///                     session.log(log::Level::Error, &format!("scanner: {error}"));
    ///                     session.answer(Reply::new(451, "Could not be scanned."));
    ///                 }
    ///             },
    ///         );
    ///     }
    /// }
    /// # fn is_clean(_: &std::path::Path) -> bool { true }
    /// ```
    ///
    /// Work that panics is told as [`OffloadError::Panicked`], and so is a system without threads.
    /// When the session ends before the work does (the server stops, or a callback closes it), the
    /// work runs to its end all the same, its result is dropped, and `then` is dropped without being
    /// called: what has to be done in any case belongs into the work. A server that ends, and a
    /// worker process whose client has gone, wait up to 5 seconds for work that is not done; what
    /// takes longer goes on while the process lives.
    ///
    /// The pool has eight threads for all clients, and jobs wait for a free one. It is for work of
    /// seconds; what takes minutes should have a thread of its own (`del_channel`).
    ///
    /// # Panics
    ///
    /// When `H` is not the type of the session's handler.
    pub fn offload<H, T>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut H, &mut Session<'_>, Result<T, OffloadError>) + 'static,
    ) where
        H: Handler,
        T: Send + 'static,
    {
        assert!(
            self.handler == TypeId::of::<H>(),
            "offload: the handler of this session is no {}",
            std::any::type_name::<H>()
        );
        let then: Then = Box::new(move |handler, session, result| {
            if let (Some(handler), Ok(result)) = (handler.downcast_mut(), result.downcast()) {
                then(handler, session, *result);
            }
        });
        let (question, number) = self.question.hold_for(then);
        let (reactor, key, asleep) = (
            self.cx.handle(),
            self.cx.key(),
            self.cx.del_channel(CONTROL),
        );
        let note = move |result: Result<T, OffloadError>| {
            Box::new(Note::Worked(question, number, Box::new(result)))
        };
        let started = self.core.on_pool(&self.cx, move || {
            let result = caught(work).map_err(OffloadError::Panicked);
            reactor.send(key, note(result));
            // After the result, so that the session wakes knowing it.
            drop(asleep);
        });
        if let Err(refused) = started {
            self.cx
                .send(key, note(Err(OffloadError::Thread(refused.error))));
            // After the verdict as well: the guard is in it, and maybe others of the user's.
            drop(refused.task);
        }
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
