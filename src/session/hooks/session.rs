//! What a callback gets: the [`Session`], and with it what waits for its word, the [`Question`].
//!
//! A callback stands before something: the greeting, a command, a login's or a transfer's reply. That
//! is its question. It is decided when the callback has returned and nothing holds it any more: no guard
//! that a thread has, no work on the pool with a closure that follows it. Until then the client is off
//! the loop.

use std::any::{Any, TypeId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{Context, TimerId};
use log::Level;

use super::sleeping::Sleeping;
use crate::auth::{Account, ClientCertificate};
use crate::fs::FileSystem;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;
use crate::session::channels::core::Core;
use crate::session::channels::slot::TAG_HANDLER;
use crate::session::interpreter::not_logged_in;
use crate::session::interpreter::transferred::Transferred;
use crate::session::logging;
use crate::session::note::{Decision, QuestionId};

/// One client's session, as a callback may use it.
pub struct Session<'a> {
    /// The type of the session's handler.
    pub(crate) handler: TypeId,
    pub(crate) core: &'a mut Core,
    pub(crate) cx: Context<'a>,
    /// What the callback stands before.
    pub(crate) question: &'a mut Question,
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

    /// The file that is being sent or received, with [the bytes](Transferred::bytes) and
    /// [the time](Transferred::elapsed) until now; no listings. Both are zero before data flow.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ftpdlib::{Handler, Session, TimerId};
    ///
    /// struct Watched;
    ///
    /// impl Handler for Watched {
    ///     fn on_connect(&mut self, session: &mut Session<'_>) {
    ///         session.call_every(Duration::from_secs(10));
    ///     }
    ///
    ///     fn on_timer(&mut self, session: &mut Session<'_>, _: TimerId) {
    ///         if let Some(file) = session.transfer() {
    ///             let text = format!("{} {}: {} bytes", file.command(), file.target(), file.bytes());
    ///             session.log(log::Level::Info, &text);
    ///         }
    ///     }
    /// }
    /// ```
    pub fn transfer(&self) -> Option<Transferred> {
        let progress = self.core.progress(self.cx.now());
        self.core.interpreter.file_in_progress(progress)
    }

    /// Answers what this callback stands before with a reply of one's own: see
    /// [the table](crate::Handler#deciding-now-or-later). The last answer counts.
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
    /// [the table](crate::Handler#deciding-now-or-later)), and so do his commands, until the guard is
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
        self.core.close_when_done();
    }

    /// Calls [`Handler::on_timer`](crate::Handler::on_timer) once, after `delay`.
    pub fn call_later(&mut self, delay: Duration) -> TimerId {
        self.cx.call_later(delay, TAG_HANDLER)
    }

    /// Calls [`Handler::on_timer`](crate::Handler::on_timer) again and again.
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

/// What a callback stands before, as far as its word goes.
pub(crate) struct Question {
    id: QuestionId,
    /// In place of what comes without one.
    answer: Option<Reply>,
    /// Guards, and work on the pool, that are still out.
    holds: u32,
    thens: Vec<(u32, Then)>,
}

impl Question {
    /// For a callback that is about to be called.
    pub(crate) fn new(id: QuestionId) -> Question {
        Question {
            id,
            answer: None,
            holds: 0,
            thens: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> QuestionId {
        self.id
    }

    /// What was answered, if anything was.
    pub(crate) fn take_answer(&mut self) -> Option<Reply> {
        self.answer.take()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.holds > 0
    }

    pub(crate) fn answer(&mut self, answer: Option<Reply>) {
        self.answer = answer;
    }

    /// One hold less.
    pub(crate) fn release(&mut self, decision: Decision) {
        self.holds = self.holds.saturating_sub(1);
        match decision {
            Decision::Stands => {}
            Decision::Proceed => self.answer = None,
            Decision::Answer(reply) => self.answer = Some(reply),
        }
    }

    /// Takes the client off the loop.
    fn hold(&mut self, cx: &mut Context<'_>) -> Sleeping {
        self.holds += 1;
        Sleeping::new(cx, self.id)
    }

    /// What follows some work on the pool; gives its number.
    pub(super) fn hold_for(&mut self, then: Then) -> (QuestionId, u32) {
        self.holds += 1;
        // Those that are out have numbers below, and one that is back is not asked for again.
        let number = self
            .thens
            .last()
            .map_or(0, |(last, _)| last.wrapping_add(1));
        self.thens.push((number, then));
        (self.id, number)
    }

    /// What follows that work.
    pub(crate) fn then(&mut self, number: u32) -> Option<Then> {
        let at = self.thens.iter().position(|(known, _)| *known == number)?;
        self.release(Decision::Stands);
        Some(self.thens.remove(at).1)
    }
}

/// What follows work on the pool: the handler, the session, and the work's result in a box.
pub(super) type Then = Box<dyn FnOnce(&mut dyn Any, &mut Session<'_>, Box<dyn Any + Send>)>;
