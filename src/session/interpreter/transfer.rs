//! The life of a transfer: from the 1xx of the command that began it, over the data connection that
//! it waits for, to its final reply (ABOR, and the data connection's own end).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use log::Level;

use super::replies::{error_reply, internal_error, not_logged_in};
use super::security::Protection;
use super::state::{Data, Interpreter, Wait};
use super::task::{Plan, Task, Transfer};
use super::vocabulary::{Effect, End, Event, Progress, Timer, Verdict};
use crate::proto::escape::Escaped;
use crate::proto::path::VirtualPath;
use crate::proto::reply::{Reply, Text};
use crate::session::interpreter::transferred::{FileOf, Transferred};
use crate::session::logging;
use crate::session::work::job::{Job, Outcome};
use crate::session::work::upload::{Fate, Hidden, Upload};

impl Interpreter {
    /// With what REST and ALLO left for it.
    pub(super) fn task(
        &mut self,
        command: &'static str,
        path: Option<&VirtualPath>,
        receive: bool,
    ) -> Box<Task> {
        let (rest, declared) = std::mem::take(&mut self.taken);
        let declared = declared.filter(|_| receive);
        let fs = self
            .account
            .as_ref()
            .map(|account| Arc::clone(account.filesystem()));
        let file = path
            .zip(fs.as_ref())
            .map(|(path, fs)| FileOf {
                username: Arc::clone(&self.username),
                filesystem: Arc::clone(fs),
                path: path.clone(),
            })
            .map(Arc::new);
        let ascii = self.ascii && file.is_some();
        Box::new(Task {
            command,
            ascii,
            receive,
            rest,
            declared,
            hidden: None,
            slow: fs.is_some_and(|fs| fs.is_slow()),
            file,
        })
    }

    /// The 1xx reply; then the transfer itself, as soon as data can flow.
    pub(super) fn launch(&mut self, task: Box<Task>, plan: Plan, text: Option<Vec<u8>>) {
        if let Data::Failed(reply) = &self.data {
            let reply = reply.clone();
            self.close_data();
            return self.finish(reply);
        }
        let open = matches!(self.data, Data::Open);
        let (code, usual) = match open {
            true => (125, "Data connection already open. Transfer starting."),
            false => (150, "File status okay. About to open data connection."),
        };
        let text = text.map_or_else(|| Text::from(usual), Text::from);
        self.current = None;
        self.reply(Level::Debug, Reply::new(code, text));
        if open {
            return self.go(task, plan);
        }
        if matches!(self.data, Data::Closed) {
            self.effect(Effect::SetTimer(Timer::Data, self.config.passive_timeout));
        }
        self.transfer = Transfer::Waiting(task, plan);
    }

    /// There is a data connection: begins, once it is as safe as it has to be.
    fn go(&mut self, task: Box<Task>, plan: Plan) {
        if let Some(reply) = self.security.must_not_flow(self.config.tls.as_ref()) {
            self.close_data();
            return fail(self, reply);
        }
        if self.security.data == Protection::Pending {
            self.effect(Effect::SetTimer(Timer::Data, Duration::ZERO));
            self.limit_handshake();
            self.transfer = Transfer::Protecting(task, plan);
        } else {
            self.start(task, plan);
        }
    }

    fn start(&mut self, task: Box<Task>, plan: Plan) {
        let Task {
            ascii,
            slow,
            rest: offset,
            ..
        } = *task;
        self.stop_idle();
        self.effect(Effect::SetTimer(Timer::Data, Duration::ZERO));
        match plan {
            Plan::Send(source) => {
                self.effect(Effect::Send {
                    source,
                    offset,
                    ascii,
                    slow,
                });
                self.transfer = Transfer::Running(task);
            }
            Plan::Receive(file) => {
                self.effect(Effect::Receive { file, ascii, slow });
                self.transfer = Transfer::Running(task);
            }
            Plan::Store(fs, work) => {
                self.transfer = Transfer::Opening(task);
                let id = self.new_job();
                self.transfer_job = Some((id, Box::new(target_opened)));
                self.effect(Effect::Job(id, Job::Files(fs, work)));
            }
        }
    }

    /// The transfer has ended: the log's line and the callback of its file, if it has one, then the
    /// reply.
    fn conclude(
        &mut self,
        task: Box<Task>,
        (complete, progress): (bool, Progress),
        level: Level,
        reply: Reply,
    ) {
        if self.report(&task, complete, progress) {
            self.transfer = Transfer::Reported { task, level, reply };
        } else {
            self.end_transfer(level, reply);
        }
    }

    /// The transfer's final reply, and what waited for it.
    fn end_transfer(&mut self, level: Level, reply: Reply) {
        self.transfer = Transfer::Idle;
        self.transfer_job = None;
        self.behind_listing(Effect::Reply(reply, level));
        if matches!(self.wait, Wait::Abort) {
            self.finish(Reply::new(226, "ABOR command successful."));
        }
        if self.quitting {
            self.behind_listing(Effect::Close);
        } else {
            self.reset_idle();
        }
    }

    /// At once, unless a STAT listing is on its way.
    fn behind_listing(&mut self, effect: Effect) {
        match &mut self.held {
            Some(held) => held.push(effect),
            None => self.effect(effect),
        }
    }
}

/// Data can flow: begins what waited for it.
pub(super) fn data_opened(it: &mut Interpreter) {
    match std::mem::replace(&mut it.transfer, Transfer::Idle) {
        Transfer::Waiting(task, plan) => it.go(task, plan),
        other => it.transfer = other,
    }
}

/// The data connection is TLS: begins what waited for it.
pub(super) fn data_protected(it: &mut Interpreter) {
    match std::mem::replace(&mut it.transfer, Transfer::Idle) {
        Transfer::Protecting(task, plan) => {
            it.effect(Effect::SetTimer(Timer::Handshake, Duration::ZERO));
            it.start(task, plan);
        }
        other => it.transfer = other,
    }
}

fn target_opened(it: &mut Interpreter, outcome: Outcome) {
    let Transfer::Opening(task) = std::mem::replace(&mut it.transfer, Transfer::Idle) else {
        return;
    };
    let reply = match outcome {
        Outcome::Upload(Ok(upload)) if matches!(it.wait, Wait::Abort) => {
            drop(upload);
            return it.conclude(task, (false, Progress::default()), Level::Info, aborted());
        }
        Outcome::Upload(Ok(Upload { file, hidden })) => {
            return it.go(task.hiding(hidden), Plan::Receive(file));
        }
        Outcome::Upload(Err(error)) => task.refusal(&error),
        _ => internal_error(),
    };
    it.close_data();
    fail(it, reply);
}

/// Ends a transfer that moved nothing.
pub(super) fn fail(it: &mut Interpreter, reply: Reply) {
    it.end_transfer(Level::Info, reply);
}

fn aborted() -> Reply {
    Reply::new(426, "Transfer aborted via ABOR.")
}

/// RFC 959, 4.1.3; every ABOR ends in 226, after a 426 where a 1xx had gone out.
pub(crate) fn abor(it: &mut Interpreter, _: &[u8]) {
    match &it.transfer {
        Transfer::Running(_) => {
            it.wait = Wait::Abort;
            it.effect(Effect::Abort);
        }
        // Its target may be emptied at this moment: what comes then must not find that still to happen.
        Transfer::Opening(_) => {
            it.close_data();
            it.wait = Wait::Abort;
        }
        Transfer::Waiting(..) | Transfer::Protecting(..) => {
            it.close_data();
            it.wait = Wait::Abort;
            it.end_transfer(Level::Info, aborted());
        }
        // Over already, but for its reply.
        Transfer::Reported { .. } | Transfer::Settling { .. } => it.wait = Wait::Abort,
        // Without a login there is nothing to abort, but for a transfer that outlived its login.
        Transfer::Idle if it.account.is_none() => {
            it.finish(not_logged_in());
        }
        Transfer::Idle if matches!(it.data, Data::Closed) => {
            it.finish(Reply::new(226, "No transfer to abort."));
        }
        Transfer::Idle => {
            it.close_data();
            it.finish(Reply::new(
                226,
                "ABOR command successful; data channel closed.",
            ));
        }
    }
}

/// The data connection is closed: the verdict.
pub(super) fn ended(it: &mut Interpreter, end: End) {
    let task = match std::mem::replace(&mut it.transfer, Transfer::Idle) {
        // Its target may have been emptied already.
        Transfer::Running(task) | Transfer::Opening(task) => task,
        other => return it.transfer = other,
    };
    it.data = Data::Closed;
    let bytes = end.progress.sent + end.progress.received;
    let (complete, level, reply) = match &end.verdict {
        Verdict::Complete if task.differs_from_declared(&end) => {
            let text =
                format!("Transfer aborted; {bytes} bytes received, not as declared by ALLO.");
            (false, Level::Info, Reply::new(426, text))
        }
        Verdict::Complete => (true, Level::Debug, Reply::new(226, "Transfer complete.")),
        Verdict::Aborted => (false, Level::Info, aborted()),
        Verdict::Disconnected => {
            let text = format!("Transfer aborted; {bytes} bytes transmitted.");
            (false, Level::Debug, Reply::new(426, text))
        }
        Verdict::Stalled => (
            false,
            Level::Info,
            Reply::new(421, "Data connection timed out."),
        ),
        Verdict::File(error) => (
            false,
            Level::Warn,
            error_reply(451, error, "; transfer aborted"),
        ),
    };
    if matches!(end.verdict, Verdict::Stalled) {
        it.quitting = true;
    }
    it.conclude(task, (complete, end.progress), level, reply);
}

/// What the handler says to the end of a file's transfer. It may turn a success into a failure, but
/// not the other way round.
pub(super) fn answered(it: &mut Interpreter, answer: Option<Reply>) {
    let (mut task, level, reply) = match std::mem::replace(&mut it.transfer, Transfer::Idle) {
        Transfer::Reported { task, level, reply } => (task, level, reply),
        other => return it.transfer = other,
    };
    let answer = answer.filter(|answer| answer.is_error() || !reply.is_error());
    if let Some(refusal) = answer.as_ref().filter(|answer| answer.is_error()) {
        it.log_refusal(&task, refusal);
    }
    let fate = match (reply.is_error(), &answer) {
        (true, _) => Fate::CutOff,
        (false, Some(refusal)) if refusal.is_error() => Fate::Refused,
        _ => Fate::Published,
    };
    let reply = answer.unwrap_or(reply);
    let Some(hidden) = task.hidden.take() else {
        return it.end_transfer(level, reply);
    };
    it.transfer = Transfer::Settling { task, level, reply };
    let id = it.new_job();
    let then = move |it: &mut Interpreter, outcome| settled(it, fate, outcome);
    it.transfer_job = Some((id, Box::new(then)));
    it.effect(Effect::Job(id, Job::Settle(hidden, fate)));
}

/// The hidden file has its name, or is out of the way; if it could not get its name, the upload has
/// failed after all.
fn settled(it: &mut Interpreter, fate: Fate, outcome: Outcome) {
    let (task, level, reply) = match std::mem::replace(&mut it.transfer, Transfer::Idle) {
        Transfer::Settling { task, level, reply } => (task, level, reply),
        other => return it.transfer = other,
    };
    let failure = match outcome {
        Outcome::Done(Ok(())) => return it.end_transfer(level, reply),
        Outcome::Done(Err(error)) => error_reply(550, &error, "; upload not stored"),
        _ => internal_error(),
    };
    it.log_refusal(&task, &failure);
    let reply = match fate {
        Fate::Published => failure,
        Fate::CutOff | Fate::Refused => reply,
    };
    it.end_transfer(Level::Warn, reply);
}

impl Interpreter {
    /// A line in the log behind the one that told of the transfer's end.
    fn log_refusal(&mut self, task: &Task, refusal: &Reply) {
        let Some(file) = &task.file else { return };
        let (command, shown, code) = (task.command, file.shown(), refusal.code());
        self.effect(Effect::LogOf {
            username: Arc::clone(&file.username),
            line: format!("{command} {shown} {code} '{}'", Escaped(refusal.text())),
        });
    }

    /// One line in the log and one callback for every file; false for what is none.
    fn report(&mut self, task: &Task, complete: bool, progress: Progress) -> bool {
        let Some(file) = &task.file else {
            return false;
        };
        if logging::enabled(Level::Info) {
            let seconds = progress.elapsed.as_secs_f64();
            let line = format!(
                "{} {} completed={} bytes={} seconds={}",
                task.command,
                file.shown(),
                u8::from(complete),
                progress.sent + progress.received,
                (seconds * 1000.0).round() / 1000.0,
            );
            let username = Arc::clone(&file.username);
            self.effect(Effect::LogOf { username, line });
        }
        let transferred = Box::new(transferred(task, file, progress));
        let event = match (task.receive, complete) {
            (true, true) => Event::Received(transferred),
            (true, false) => Event::IncompleteReceived(transferred),
            (false, true) => Event::Sent(transferred),
            (false, false) => Event::IncompleteSent(transferred),
        };
        self.event(event);
        true
    }
}

/// What a callback is told of a transfer that is so far.
fn transferred(task: &Task, file: &Arc<FileOf>, progress: Progress) -> Transferred {
    Transferred {
        command: task.command,
        file: Arc::clone(file),
        hidden: task.hidden.as_ref().map(Hidden::path).cloned(),
        real_path: OnceLock::new(),
        bytes: progress.sent + progress.received,
        elapsed: progress.elapsed,
    }
}

impl Interpreter {
    /// The transfer command whose end is awaited, and its file as the log shows it.
    pub(crate) fn transfer_in_progress(&self) -> Option<(&'static str, String)> {
        match &self.transfer {
            Transfer::Idle => None,
            Transfer::Waiting(task, _)
            | Transfer::Protecting(task, _)
            | Transfer::Opening(task)
            | Transfer::Running(task)
            | Transfer::Reported { task, .. }
            | Transfer::Settling { task, .. } => {
                let file = task.file.as_ref().map(|file| file.shown());
                Some((task.command, file.unwrap_or_default()))
            }
        }
    }

    /// The file that is being sent or received, as far as it has come. Of one that has come to its end the
    /// handler has been told, or is about to be.
    pub(crate) fn file_in_progress(&self, progress: Progress) -> Option<Transferred> {
        match &self.transfer {
            Transfer::Waiting(task, _)
            | Transfer::Protecting(task, _)
            | Transfer::Opening(task)
            | Transfer::Running(task) => {
                let file = task.file.as_ref()?;
                Some(transferred(task, file, progress))
            }
            Transfer::Idle | Transfer::Reported { .. } | Transfer::Settling { .. } => None,
        }
    }
}
