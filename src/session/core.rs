//! All of a session but its handler: carries out the interpreter's effects.
//!
//! The data channel's part of it is in [`channel`](super::channel).

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftpdlib_reactor::{Context, TcpStream, TimerId};
use log::Level;

use super::Service;
use super::cancel::Canceller;
use super::caught::caught;
use super::census::Seat;
use super::control::Control;
use super::dtp::Dtp;
use super::elsewhere::closes_elsewhere;
use super::interpreter::{Effect, Input, Interpreter, Timer};
use super::job::{Job, JobId, Outcome};
use super::logging;
use super::pool::{Pool, Refused};
use super::question::{Asked, Decision, Question, QuestionId};
use super::slot::{OWN_TIMERS, TAG_DATA, TAG_HANDSHAKE, TAG_IDLE, TAG_REFUSAL};
use crate::proto::escape::Escaped;
use crate::proto::reply::Reply;
use crate::stream::Stream;
use crate::tls::TlsSession;

/// How long a client that is sent away has to take its last reply.
const FAREWELL: Duration = Duration::from_secs(10);

/// What other threads and the server send to a session.
pub(crate) enum Note {
    /// A job of the interpreter's is done.
    Job(JobId, Outcome),
    /// A job of the data plane's is done.
    Flow(u32, Outcome),
    /// The file that the data plane sends has something to read.
    Ready(u32),
    /// A guard of a library user's has gone.
    Back(QuestionId, Decision),
    /// Offloaded work is done, or could not be.
    Worked(QuestionId, u32, Box<dyn Any + Send>),
    /// The server stops: end when the transfer has ended.
    Drain,
    /// Write a line on yourself to the log.
    Status,
}

/// All of a session but its handler, which callbacks may use.
pub(crate) struct Core {
    pub(super) service: Arc<Service>,
    pub(super) interpreter: Interpreter,
    pub(super) control: Control,
    pub(super) dtp: Dtp,
    /// What the interpreter is to be told next.
    pub(super) inputs: VecDeque<Input>,
    pub(super) timers: [Option<TimerId>; OWN_TIMERS],
    /// Tells a flow's job from one of an earlier flow.
    pub(super) flow_number: u32,
    /// Cancels the flow's job when the flow ends.
    pub(super) flow_job: Option<Canceller>,
    /// What waits for a library user's word.
    pub(super) questions: Vec<(Question, Asked)>,
    pub(super) last_question: QuestionId,
    pub(super) life: Life,
    /// The interpreter wants to know when the client has taken everything.
    pub(super) awaits_drain: bool,
    /// TLS begins on the control connection when its replies are sent.
    pub(super) starts_tls: bool,
    /// What the session's connections use since TLS began.
    pub(super) tls: Option<Box<TlsSession>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// The last replies are on their way out.
    Leaving,
    Closed,
}

impl Core {
    pub(super) fn new(
        service: Arc<Service>,
        socket: TcpStream,
        peer: SocketAddr,
        seat: Seat,
    ) -> io::Result<Core> {
        let local = match service.address {
            Some(address) => address,
            None => socket.local_addr()?,
        };
        let stream = Stream::control(socket);
        let interpreter = Interpreter::new(Arc::clone(&service.config), seat, peer, local);
        Ok(Core {
            service,
            interpreter,
            control: Control::new(stream),
            dtp: Dtp::Idle,
            inputs: VecDeque::new(),
            timers: [None; OWN_TIMERS],
            flow_number: 0,
            flow_job: None,
            questions: Vec::new(),
            last_question: 0,
            life: Life::Open,
            awaits_drain: false,
            starts_tls: false,
            tls: None,
        })
    }

    /// Tells the interpreter what happened.
    pub(super) fn hear(&mut self, input: Input) {
        self.interpreter.handle(&self.service.table, input);
    }

    pub(super) fn log(&self, level: Level, message: &str) {
        logging::line(
            level,
            self.interpreter.peer(),
            self.interpreter.username(),
            message,
        );
    }

    /// Holds no memory that is not in use, as the session waits for its client.
    pub(super) fn shrink(&mut self, cx: &mut Context<'_>) {
        if self.inputs.capacity() > 0 {
            self.inputs = VecDeque::new();
        }
        if self.questions.is_empty() {
            self.questions = Vec::new();
        }
        self.interpreter.shrink();
        if self.service.alone && matches!(self.dtp, Dtp::Idle) {
            cx.release_scratch();
        }
    }

    /// What the session is about, for the log.
    pub(super) fn log_status(&self, now: Instant) {
        let doing = match self.interpreter.transfer_in_progress() {
            Some((command, file)) => {
                let progress = self.progress(now);
                let bytes = progress.sent + progress.received;
                let seconds = progress.elapsed.as_secs_f64();
                let rate = if seconds > 0.0 {
                    bytes as f64 / seconds
                } else {
                    0.0
                };
                format!("{command} {file} bytes={bytes} rate={rate:.0} B/s")
            }
            None => "idle".to_owned(),
        };
        self.log(Level::Info, &format!("status: {doing}"));
    }

    /// Queues a reply; it leaves with the others of this turn.
    pub(crate) fn respond(&mut self, reply: &Reply, level: Level) {
        if logging::enabled(Level::Debug) {
            self.log(level, &format!("-> {reply}"));
        } else if level < Level::Debug {
            self.log(level, &Escaped(reply.text()).to_string());
        }
        self.control.push(reply);
    }

    /// Nothing is done any more; what is not sent yet is lost.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>) {
        self.life = Life::Closed;
        cx.close();
    }

    /// No line is taken any more; the session closes when its replies are sent, to which the client's
    /// turn comes by itself: whatever is called here is called in the midst of it.
    pub(crate) fn close_when_done(&mut self, cx: &mut Context<'_>) {
        if self.life == Life::Open {
            self.life = Life::Leaving;
            self.arm(cx, TAG_IDLE, FAREWELL);
        }
    }

    pub(super) fn take_leave(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // Nothing can be said in the middle of a handshake.
        if !self.control.is_handshaking() {
            if !self.control.flush(cx)? || !self.control.send_end(cx)? {
                return Ok(());
            }
            // Before he can see the end of the connection, and come again.
            self.interpreter.leave_seat();
            self.control.finish(cx)?;
        }
        cx.close();
        Ok(())
    }

    pub(super) fn apply(&mut self, cx: &mut Context<'_>, effect: Effect) {
        match effect {
            Effect::Reply(reply, level) => self.respond(&reply, level),
            Effect::Raw(bytes) => {
                self.control.push_raw(&bytes);
                self.awaits_drain = true;
            }
            Effect::Job(id, job) => self.start_job(cx, id, job),
            // The farewell's own deadline stands.
            Effect::SetTimer(Timer::Idle, _) if self.life != Life::Open => {}
            Effect::SetTimer(Timer::Idle, delay) => self.arm(cx, TAG_IDLE, delay),
            Effect::SetTimer(Timer::Refusal, delay) => self.arm(cx, TAG_REFUSAL, delay),
            Effect::SetTimer(Timer::Data, delay) => self.arm(cx, TAG_DATA, delay),
            Effect::SetTimer(Timer::Handshake, delay) => self.arm(cx, TAG_HANDSHAKE, delay),
            Effect::Log(level, message) => self.log(level, &message),
            Effect::LogOf { username, line } => {
                logging::line(Level::Info, self.interpreter.peer(), &username, &line);
            }
            // At debug level the lines of the conversation say it all.
            Effect::LogCommand(message) if !logging::enabled(Level::Debug) => {
                self.log(Level::Info, &message);
            }
            Effect::LogCommand(_) => {}
            Effect::Close => self.close_when_done(cx),
            Effect::Disconnect => self.close(cx),
            Effect::KeepAlive => {
                if let Err(error) = self.control.stream().keep_alive() {
                    let text = format!("cannot keep the control connection alive: {error}");
                    self.log(Level::Debug, &text);
                }
            }
            Effect::StartTls => self.starts_tls = true,
            Effect::ProtectData => self.protect_data(cx),
            Effect::Listen => self.listen(cx),
            Effect::Connect(addr) => self.connect(cx, addr),
            Effect::CloseData => self.dtp = Dtp::Idle,
            Effect::Send {
                source,
                ascii,
                slow,
                offset,
            } => {
                self.send(cx, source, ascii, slow, offset);
            }
            Effect::Receive { file, ascii, slow } => self.receive(cx, file, ascii, slow),
            Effect::Abort => self.abort(cx.now()),
            Effect::AskProgress => {
                let progress = self.progress(cx.now());
                self.inputs.push_back(Input::Progress(progress));
            }
        }
    }

    /// (Re)starts one of the session's own timers; zero stops it.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>, tag: usize, delay: Duration) {
        match (self.timers[tag], delay.is_zero()) {
            (None, true) => {}
            (None, false) => self.timers[tag] = Some(cx.call_later(delay, tag)),
            (Some(id), false) => cx.reset(id, delay),
            (Some(id), true) => {
                cx.cancel(id);
                self.timers[tag] = None;
            }
        }
    }

    /// Where a job runs: at once here, or on a worker thread. The interpreter takes no line until
    /// it has the outcome.
    fn start_job(&mut self, cx: &mut Context<'_>, id: JobId, job: Job) {
        if !job.is_slow() {
            return self.inputs.push_back(Input::Job(id, job.run()));
        }
        if !self.run_on_pool(cx, job, move |outcome| Note::Job(id, outcome)) {
            self.inputs.push_back(Input::Job(id, Outcome::Lost));
        }
    }

    /// Runs a job on a worker thread, which sends its outcome. The session's channels go on
    /// meanwhile: whoever waits for the outcome knows that.
    pub(super) fn run_on_pool(
        &mut self,
        cx: &mut Context<'_>,
        job: Job,
        note: impl FnOnce(Outcome) -> Note + Send + 'static,
    ) -> bool {
        let (handle, key, hands) = (cx.handle(), cx.key(), self.service.pool.hands());
        let pool = match job {
            Job::Authenticate(..) => &self.service.logins,
            _ => &self.service.pool,
        };
        let warms = matches!(job, Job::Warm(_));
        let started = self.start(cx, pool, move || {
            let outcome = caught(|| job.run()).unwrap_or(Outcome::Lost);
            let outcome = closes_elsewhere(outcome, hands);
            handle.send(key, Box::new(note(outcome)));
        });
        match started {
            Ok(()) => true,
            // Better that the loop waits for the disk than that nothing comes.
            Err(Refused { task, .. }) if warms => {
                task();
                true
            }
            Err(_) => false,
        }
    }

    /// Starts a task on a worker thread.
    pub(super) fn on_pool(
        &self,
        cx: &Context<'_>,
        task: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refused> {
        self.start(cx, &self.service.pool, task)
    }

    fn start(
        &self,
        cx: &Context<'_>,
        pool: &Pool,
        task: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refused> {
        let (place, handle) = (self.interpreter.seat().keep(), cx.handle());
        let task = move || {
            task();
            // What the task sent may have been taken already, and the client found to be still counted.
            // Whoever waits for the last one to go has to look again.
            if place.and_then(Arc::into_inner).map(drop).is_some() {
                handle.call(|_| {});
            }
        };
        pool.run(task).inspect_err(|refused| {
            let text = format!("cannot start a worker thread: {}", refused.error);
            self.log(Level::Error, &text);
        })
    }
}
