//! The protocol interpreter of one client, sans-IO.
//!
//! [`Interpreter::handle`] takes one [`Input`]; [`Interpreter::poll_step`] gives the [`Effect`]s and
//! [`Call`]s it has, to be drained before the next input. It owns what RFC 959 calls the state of the
//! server-PI: who is logged in, TYPE, REST, RNFR, what the data connection is for. It has no
//! socket, opens no file and reads no clock, so every rule of it is tested as plain values.
//!
//! A command runs from its row in [`table`] to its final reply in one function; where
//! it must wait, it leaves what comes then as a closure ([`wait`]). While it waits no further line
//! is taken ([`Interpreter::wants_line`]), so every line gets exactly one final reply, in order.

pub(crate) mod data;
pub(crate) mod digest;
pub(crate) mod files;
pub(crate) mod info;
pub(crate) mod login;
mod path;
pub(crate) mod secure;
pub(crate) mod service;
pub(crate) mod table;
pub(crate) mod transfer;
mod vocabulary;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use self::secure::Security;
pub(crate) use self::secure::Unprotected;
use self::table::{Marks, Run, Table};
use self::transfer::Transfer;
pub(crate) use self::vocabulary::{
    Call, Effect, End, Event, Input, Progress, Step, Timer, Verdict,
};
use self::wait::{Abor, Then, Wait};
use super::census::Seat;
use super::config::Config;
use super::job::{Job, JobId, OpenError, Outcome};
use super::logging;
use crate::auth::{Account, ClientCertificate};
use crate::fs::{describe, is_passing};
use crate::proto::addr::{canonical, canonical_addr};
use crate::proto::command::{Arg, CommandLine, is_foreign};
use crate::proto::digest::Algorithm;
use crate::proto::escape::Escaped;
use crate::proto::mlsx::Facts;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;

/// The data connection, as far as the protocol cares.
enum Data {
    Closed,
    Listening,
    Connecting,
    Open,
    /// It could not be had; the next transfer command is told why.
    Failed(Reply),
}

/// The command in progress, for the log, if it is logged.
struct Current {
    name: String,
    shown: String,
}

pub(crate) struct Interpreter {
    config: Arc<Config>,
    table: Table,
    /// The client's place among all clients.
    seat: Seat,
    peer: SocketAddr,
    local: SocketAddr,
    steps: VecDeque<Step>,
    wait: Wait,
    current: Option<Current>,
    last_job: JobId,

    username: String,
    account: Option<Account>,
    attempted_logins: u32,
    /// The delay of a refusal is over; it began when the password came.
    refusal_due: bool,
    directory: VirtualPath,

    ascii: bool,
    rest: u64,
    rename_from: Option<VirtualPath>,
    epsv_all: bool,
    facts: Facts,
    /// What HASH uses.
    hash: Algorithm,
    /// ALLO's size, until the upload that it is for.
    declared: Option<u64>,
    /// Both, as the transfer command in progress has them.
    taken: (u64, Option<u64>),

    security: Security,
    data: Data,
    /// Who came to the passive socket in the client's stead.
    stranger: Option<Reply>,
    transfer: Transfer,
    /// The job that opens an upload's target.
    transfer_job: Option<(JobId, Then)>,
    /// Replies of a transfer that ended while a STAT listing is on its way: they follow it.
    held: Option<Vec<Effect>>,
    /// ABOR came in the midst of a command; it is done when that is.
    abor: Option<Abor>,
    /// No line is taken any more; the session ends with the transfer.
    quitting: bool,
    /// The idle timer was started in this turn.
    idle_is_fresh: bool,
}

impl Interpreter {
    /// For a client at `peer`, in canonical form, that is connected to `local`.
    pub(crate) fn new(
        config: Arc<Config>,
        table: Table,
        seat: Seat,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        Interpreter {
            config,
            table,
            seat,
            peer,
            local: canonical_addr(local),
            steps: VecDeque::new(),
            wait: Wait::Nothing,
            current: None,
            last_job: 0,
            username: String::new(),
            account: None,
            attempted_logins: 0,
            refusal_due: false,
            directory: VirtualPath::root(),
            ascii: true,
            rest: 0,
            rename_from: None,
            epsv_all: false,
            facts: Facts::default(),
            hash: Algorithm::default(),
            declared: None,
            security: Security::default(),
            taken: (0, None),
            data: Data::Closed,
            stranger: None,
            transfer: Transfer::Idle,
            transfer_job: None,
            held: None,
            abor: None,
            quitting: false,
            idle_is_fresh: false,
        }
    }

    /// A turn of the loop begins for this client.
    pub(crate) fn begin_turn(&mut self) {
        self.idle_is_fresh = false;
    }

    /// The next thing to do. Drained before the next [`handle`](Interpreter::handle).
    pub(crate) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Holds no memory that is not in use, as the session waits for its client.
    pub(crate) fn shrink(&mut self) {
        self.steps = VecDeque::new();
    }

    /// Whether the next command line may come.
    pub(crate) fn wants_line(&self) -> bool {
        matches!(self.wait, Wait::Nothing) && !self.quitting
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The client is as good as gone: another may come in his place.
    pub(crate) fn leave_seat(&mut self) {
        self.seat.release();
    }

    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(crate) fn is_secured(&self) -> bool {
        self.security.control
    }

    pub(crate) fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.security.certificate.as_deref()
    }

    pub(crate) fn directory(&self) -> &VirtualPath {
        &self.directory
    }

    /// Whether a data connection from `ip` is the client's own (RFC 2577), or any may come.
    pub(crate) fn admits(&self, ip: IpAddr) -> bool {
        self.config.permit_foreign_addresses || canonical(ip) == self.peer.ip()
    }

    /// Whether a transfer command awaits its end.
    pub(crate) fn is_transferring(&self) -> bool {
        !matches!(self.transfer, Transfer::Idle)
    }

    /// Takes what happened.
    pub(crate) fn handle(&mut self, input: Input) {
        self.take(input);
        if self.abor.is_some() && self.wants_line() {
            match self.abor.take() {
                Some(Abor::Run) => transfer::abor(self, b""),
                Some(Abor::Refused(reply)) => self.finish(*reply),
                None => {}
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Command(_) if !matches!(self.wait, Wait::Nothing) => self.abort_command(),
            Input::Refused(_, reply) if !matches!(self.wait, Wait::Nothing) => {
                self.abor = Some(Abor::Refused(Box::new(reply)));
            }
            Input::Start(greeting) => secure::start(self, greeting),
            Input::Secured(certificate) => secure::secured(self, certificate),
            Input::Command(command) => self.command(command),
            Input::Refused(command, reply) => {
                self.reset_idle();
                if let Some(marks) = self.table.find(&command.name).map(|row| row.marks) {
                    self.mark(marks);
                }
                self.begin(&command, false);
                self.finish(reply);
            }
            Input::TooLong => {
                self.reset_idle();
                self.finish_at(Level::Warn, Reply::new(500, "Command too long."));
            }
            Input::Listening(result) => data::listening(self, result),
            Input::Connected(result) => data::connected(self, result),
            Input::DataOpened => data::opened(self),
            Input::DataProtected(result) => secure::data_protected(self, result),
            Input::DataRejected(peer) => data::rejected(self, peer),
            Input::DataFailed(error) => data::failed(self, &error),
            Input::Ended(end) => transfer::ended(self, end),
            Input::Job(id, outcome) => self.job_done(id, outcome),
            Input::Progress(progress) => info::status(self, progress),
            Input::Drained => info::drained(self),
            Input::Custom(reply) => {
                if let Wait::Custom = self.wait {
                    self.finish(reply);
                }
            }
            Input::LoginAnswered(answer) => login::answered(self, answer),
            Input::TransferAnswered(answer) => transfer::answered(self, answer),
            Input::Timer(timer) => self.timer(timer),
            Input::Shutdown => login::shutdown(self),
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Idle => login::idle(self),
            Timer::Refusal => login::refusal_due(self),
            Timer::Data => data::timed_out(self),
            Timer::Handshake => secure::timed_out(self),
        }
    }

    /// Finds the command's row and checks what every command is checked for.
    fn command(&mut self, command: CommandLine) {
        self.reset_idle();
        let Some(row) = self.table.find(&command.name) else {
            self.begin(&command, false);
            return self.unknown(&command.name);
        };
        let (run, perm, arg, login) = (row.run.clone(), row.perm, row.arg, row.login);
        let (logged, marks) = (row.logged, row.marks);
        self.begin(&command, logged);
        self.mark(marks);
        let refusal = match (arg, command.arg.is_empty()) {
            (Arg::Required, true) => Some((501, "Syntax error: command needs an argument.")),
            (Arg::None, false) => Some((501, "Syntax error: command does not accept arguments.")),
            _ if login && self.account.is_none() => return self.finish(not_logged_in()),
            _ => None,
        };
        if let Some((code, text)) = refusal {
            return self.finish(Reply::new(code, text));
        }
        if let Some(reply) = secure::refusal(self, &command.name) {
            return self.finish(reply);
        }
        self.run(run, perm, &command.arg);
    }

    fn unknown(&mut self, name: &str) {
        if is_foreign(name) {
            let text = "This is an FTP server.";
            self.effect(Effect::Log(
                Level::Warn,
                format!("{name} is another protocol's; closing."),
            ));
            self.finish(Reply::new(500, text));
            return login::close(self);
        }
        // A name of other characters may hold anything, such as a password behind a tab.
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        self.finish(match plain {
            true => Reply::new(500, format!("Command \"{name}\" not understood.")),
            false => Reply::new(500, "Command not understood."),
        });
    }

    fn run(&mut self, run: Run, perm: Perm, arg: &[u8]) {
        match run {
            Run::Plain(run) => run(self, arg),
            Run::Path(argument, run) => self.with_argument(argument, arg, perm, run),
            Run::WordPath(run) => self.with_word_and_path(arg, perm, run),
            Run::Pooled(run) => self.with_path(arg, perm, move |it, path| it.pooled(run, path)),
            Run::Custom { index, takes_path } => {
                let bytes = arg.to_vec();
                match (takes_path, perm) {
                    (true, perm) => self.with_path(arg, perm, move |it, path| {
                        it.custom(index, bytes, Some(path));
                    }),
                    (false, Perm::NONE) => self.custom(index, bytes, None),
                    (false, perm) => self.with_path(b"/", perm, move |it, _| {
                        it.custom(index, bytes, None);
                    }),
                }
            }
        }
    }

    fn custom(&mut self, index: usize, arg: Vec<u8>, path: Option<VirtualPath>) {
        self.wait = Wait::Custom;
        self.steps
            .push_back(Step::Call(Call::Custom(index, arg, path)));
    }

    /// What REST and ALLO said is for one transfer command, whatever becomes of that.
    fn mark(&mut self, marks: Marks) {
        match marks {
            Marks::Keeps => {}
            Marks::Forgets => self.declared = None,
            Marks::Takes => {
                self.taken = (std::mem::take(&mut self.rest), self.declared.take());
            }
        }
    }

    fn begin(&mut self, command: &CommandLine, logged: bool) {
        // Of what is not logged nothing is asked.
        self.current = (logged && logging::enabled(Level::Info)).then(|| Current {
            name: command.name.to_string(),
            shown: Escaped(&command.arg).to_string(),
        });
    }

    fn effect(&mut self, effect: Effect) {
        self.steps.push_back(Step::Effect(effect));
    }

    /// Calls the handler.
    fn event(&mut self, event: Event) {
        self.steps.push_back(Step::Call(Call::Event(event)));
    }

    /// A reply that is not the command's last (1xx), or not a command's at all.
    fn reply(&mut self, level: Level, reply: Reply) {
        self.effect(Effect::Reply(reply, level));
    }

    /// The final reply of the command in progress.
    fn finish(&mut self, reply: Reply) {
        self.finish_at(Level::Debug, reply);
    }

    fn finish_at(&mut self, level: Level, reply: Reply) {
        self.wait = Wait::Nothing;
        if let Some(current) = self.current.take() {
            let mut line = current.name;
            if !current.shown.is_empty() {
                line.push_str(&format!(" {}", current.shown));
            }
            line.push_str(&format!(" {}", reply.code()));
            if reply.is_error() {
                line.push_str(&format!(" '{}'", Escaped(reply.text())));
            }
            self.effect(Effect::LogCommand(line));
        }
        self.reply(level, reply);
        if let Some(held) = self.held.take() {
            self.steps.extend(held.into_iter().map(Step::Effect));
        }
    }

    /// `550` with the system's words, or the code that fits the error better.
    fn fail(&mut self, error: &io::Error) {
        self.finish(error_reply(550, error, ""));
    }

    fn fail_open(&mut self, error: &OpenError) {
        self.finish(open_error_reply(error));
    }

    /// An outcome that does not fit its job: the job was lost.
    fn lost(&mut self) {
        self.finish_at(Level::Error, internal_error());
    }

    /// Once a turn will do, however many commands come in it.
    fn reset_idle(&mut self) {
        if !std::mem::replace(&mut self.idle_is_fresh, true) {
            self.effect(Effect::SetTimer(Timer::Idle, self.config.timeout));
        }
    }

    fn stop_idle(&mut self) {
        self.idle_is_fresh = false;
        self.effect(Effect::SetTimer(Timer::Idle, Duration::ZERO));
    }
}

/// The reply to an error of the file system: `code`, unless the error has a code of its own.
pub(super) fn error_reply(code: u16, error: &io::Error, suffix: &str) -> Reply {
    let code = match error.kind() {
        io::ErrorKind::StorageFull => 452,
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => 552,
        _ if is_passing(error) => 450,
        _ => code,
    };
    let mut text = describe(error);
    if text.ends_with('.') {
        text.pop();
    }
    Reply::new(code, format!("{text}{suffix}."))
}

/// The reply where a job was lost.
fn internal_error() -> Reply {
    Reply::new(451, "Internal error.")
}

/// The reply to what needs a login.
pub(crate) fn not_logged_in() -> Reply {
    Reply::new(530, "Log in with USER and PASS first.")
}

fn open_error_reply(error: &OpenError) -> Reply {
    match error {
        OpenError::Io(error) => error_reply(550, error, ""),
        OpenError::Offset { rest, size } => {
            Reply::new(554, format!("REST position ({rest}) > file size ({size})"))
        }
    }
}
