//! The state of one client's server-PI, and what every command does with it: ask for effects, give
//! the final reply, wait.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use super::replies::{error_reply, internal_error, open_error_reply};
use super::security::{Protection, Security};
use super::task::Transfer;
use super::vocabulary::{Call, Effect, Event, Step, Timer};
use crate::auth::{Account, ClientCertificate, Password};
use crate::proto::addr::{canonical, canonical_addr};
use crate::proto::digest::Algorithm;
use crate::proto::escape::Escaped;
use crate::proto::mlsx::Facts;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;
use crate::session::config::Config;
use crate::session::limits::census::Seat;
use crate::session::work::cancel::Canceller;
use crate::session::work::job::{JobId, Outcome, Source};
use crate::session::work::opening::OpenError;
use crate::tls::Tls;

/// Room for the steps of a command, most often.
const STEPS: usize = 4;

/// The data connection, as far as the protocol cares.
pub(super) enum Data {
    Closed,
    Listening,
    Connecting,
    Open,
    /// It could not be had; the next transfer command is told why.
    Failed(Reply),
}

/// The command in progress, for the log, if it is logged.
pub(super) struct Current {
    pub(super) name: String,
    pub(super) shown: String,
}

impl Current {
    /// With the outcome.
    fn line(self, reply: &Reply) -> String {
        let mut line = self.name;
        if !self.shown.is_empty() {
            line.push_str(&format!(" {}", self.shown));
        }
        line.push_str(&format!(" {}", reply.code()));
        if reply.is_error() {
            line.push_str(&format!(" '{}'", Escaped(reply.text())));
        }
        line
    }
}

/// What comes when a job is done.
pub(super) type Then = Box<dyn FnOnce(&mut Interpreter, Outcome)>;

/// What the command in progress waits for.
pub(super) enum Wait {
    Nothing,
    Job {
        id: JobId,
        then: Then,
        on_abort: OnAbort,
    },
    /// PASV or EPSV.
    Listen {
        extended: bool,
    },
    /// PORT or EPRT.
    Connect,
    /// A library user's command.
    Custom,
    /// PASS, for what the handler says to the login.
    Login(Password),
    /// STAT without argument.
    Progress,
    /// STAT of a path: the part of the listing that is still to come.
    Drained(Source),
    /// ABOR, for the transfer's end.
    Abort,
    /// AUTH, or the beginning of implicit FTPS, for the handshake.
    Tls {
        /// Of the handler's own.
        greeting: Option<Box<Reply>>,
    },
    /// PASS, for the delay before its refusal.
    Refusal {
        username: Arc<str>,
        password: Password,
        reply: Box<Reply>,
    },
    /// PASS, for the time that its answer is held back; how much later it comes if it is a refusal after all.
    Held(Box<Outcome>, Duration, Password),
}

/// What ABOR does to a command that waits for a job.
pub(super) enum OnAbort {
    /// It waits, too: the job changes something, and its outcome is to be told.
    Waits,
    /// Nobody needs the outcome.
    Leaves,
    /// The job is asked to stop; its outcome is told.
    Cancels(Canceller),
}

/// An ABOR that waits for the command that it came to abort.
pub(super) enum Abor {
    Run,
    /// The handler's reply to it. (A box, since it is rare, and sessions are many.)
    Refused(Box<Reply>),
}

pub(crate) struct Interpreter {
    pub(super) config: Arc<Config>,
    /// The client's place among all clients.
    pub(super) seat: Seat,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) steps: VecDeque<Step>,
    pub(super) wait: Wait,
    pub(super) current: Option<Box<Current>>,
    pub(super) last_job: JobId,

    pub(super) username: Arc<str>,
    pub(super) account: Option<Account>,
    pub(super) attempted_logins: u32,
    /// The delay of a refusal is over; it began when the password came.
    pub(super) refusal_due: bool,
    pub(super) directory: VirtualPath,

    pub(super) ascii: bool,
    pub(super) rest: u64,
    pub(super) rename_from: Option<VirtualPath>,
    pub(super) epsv_all: bool,
    pub(super) facts: Facts,
    /// What HASH uses.
    pub(super) hash: Algorithm,
    /// ALLO's size, until the upload that it is for.
    pub(super) declared: Option<u64>,
    /// Both, as the transfer command in progress has them.
    pub(super) taken: (u64, Option<u64>),

    pub(super) security: Security,
    pub(super) data: Data,
    /// Who came to the passive socket in the client's stead.
    pub(super) stranger: Option<Reply>,
    pub(super) transfer: Transfer,
    /// The job that opens an upload's target.
    pub(super) transfer_job: Option<(JobId, Then)>,
    /// What ends a transfer, and the session with it, while a STAT listing is on its way: it follows that.
    pub(super) held: Option<Vec<Effect>>,
    /// ABOR came in the midst of a command; it is done when that is.
    pub(super) abor: Option<Abor>,
    /// Jobs that an ABOR has left, and that are not done yet.
    pub(super) left: u8,
    /// No line is taken any more; the session ends with the transfer.
    pub(super) quitting: bool,
    /// The idle timer was started in this turn.
    pub(super) idle_is_fresh: bool,
}

impl Interpreter {
    /// For a client at `peer`, in canonical form, that is connected to `local`.
    pub(crate) fn new(
        config: Arc<Config>,
        seat: Seat,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        Interpreter {
            config,
            seat,
            peer,
            local: canonical_addr(local),
            steps: VecDeque::new(),
            wait: Wait::Nothing,
            current: None,
            last_job: 0,
            username: Arc::default(),
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
            left: 0,
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

    /// Whether [`poll_step`](Interpreter::poll_step) has something.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The memory for its steps, to be lent when it has something to do.
    pub(crate) fn buffer(&mut self) -> &mut VecDeque<Step> {
        &mut self.steps
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

    pub(super) fn effect(&mut self, effect: Effect) {
        self.step(Step::Effect(effect));
    }

    // A call would move what is large once more.
    #[inline(always)]
    pub(super) fn step(&mut self, step: Step) {
        if self.steps.capacity() == 0 {
            self.steps = VecDeque::with_capacity(STEPS);
        }
        self.steps.push_back(step);
    }

    /// Calls the handler.
    pub(super) fn event(&mut self, event: Event) {
        self.step(Step::Call(Call::Event(event)));
    }

    /// A reply that is not the command's last (1xx), or not a command's at all.
    pub(super) fn reply(&mut self, level: Level, reply: Reply) {
        self.step(Step::Effect(Effect::Reply(reply, level)));
    }

    /// The final reply of the command in progress.
    pub(super) fn finish(&mut self, reply: Reply) {
        self.finish_at(Level::Debug, reply);
    }

    pub(super) fn finish_at(&mut self, level: Level, reply: Reply) {
        if !matches!(self.wait, Wait::Nothing) {
            self.wait = Wait::Nothing;
        }
        if let Some(current) = self.current.take() {
            self.effect(Effect::LogCommand(current.line(&reply)));
        }
        self.reply(level, reply);
        if let Some(held) = self.held.take() {
            self.steps.extend(held.into_iter().map(Step::Effect));
        }
    }

    /// `550` with the system's words, or the code that fits the error better.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.finish(error_reply(550, error, ""));
    }

    pub(super) fn fail_open(&mut self, error: &OpenError) {
        self.finish(open_error_reply(error));
    }

    /// An outcome that does not fit its job: the job was lost.
    pub(super) fn lost(&mut self) {
        self.finish_at(Level::Error, internal_error());
    }

    /// Once a turn will do, however many commands come in it.
    pub(super) fn reset_idle(&mut self) {
        if !std::mem::replace(&mut self.idle_is_fresh, true) {
            self.effect(Effect::SetTimer(Timer::Idle, self.config.timeout));
        }
    }

    pub(super) fn stop_idle(&mut self) {
        self.idle_is_fresh = false;
        self.effect(Effect::SetTimer(Timer::Idle, Duration::ZERO));
    }

    /// Closes whatever data connection or passive socket there is; no reply.
    pub(super) fn close_data(&mut self) {
        self.data = Data::Closed;
        if std::mem::take(&mut self.security.data) == Protection::Pending {
            self.effect(Effect::SetTimer(Timer::Handshake, Duration::ZERO));
        }
        self.stranger = None;
        self.effect(Effect::SetTimer(Timer::Data, Duration::ZERO));
        self.effect(Effect::CloseData);
    }

    /// Closes the session when all replies are sent.
    pub(super) fn close(&mut self) {
        self.quitting = true;
        self.effect(Effect::Close);
    }

    /// A TLS handshake does not take for ever.
    pub(super) fn limit_handshake(&mut self) {
        let deadline = self.handshake_deadline();
        self.effect(Effect::SetTimer(Timer::Handshake, deadline));
    }

    /// Zero is none.
    pub(super) fn handshake_deadline(&self) -> Duration {
        let tls = self.config.tls.as_ref();
        tls.map_or(Duration::ZERO, Tls::deadline)
    }

    /// For status texts.
    pub(super) fn type_name(&self) -> &'static str {
        if self.ascii { "ASCII" } else { "Binary" }
    }
}
