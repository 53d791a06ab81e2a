//! One client on the event loop: the dispatcher that joins the interpreter to its channels.
//!
//! [`Client::advance`] is the whole flow: it carries out the interpreter's effects, feeds it what
//! came of them, takes the next line, and sends the replies of all of that at once.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{Channel, Context, Dispatcher, Message, Ready, TcpStream, TimerId};
use log::Level;

use super::Service;
use super::census::Counted;
use super::control::Control;
use super::dtp::Dtp;
use super::handler::{Handler, Session, Verdict};
use super::interpreter::{Effect, Event, Input, Interpreter, Timer};
use super::job::{Job, JobId, Outcome};
use super::logging;
use crate::proto::command::{self, CommandLine};
use crate::proto::escape::Escaped;
use crate::proto::line::Line;
use crate::proto::reply::Reply;
use crate::stream::Stream;

pub(crate) const CONTROL: Channel = Channel::new(0);
pub(crate) const DATA: Channel = Channel::new(1);

/// Timers of a session by their tag.
const TAG_IDLE: usize = 0;
const TAG_REFUSAL: usize = 1;
const TAG_DATA: usize = 2;
pub(super) const TAG_STALL: usize = 3;
pub(super) const TAG_PAUSE: usize = 4;
pub(super) const TAG_ACCEPT: usize = 5;
const OWN_TIMERS: usize = 6;
/// The handler's timers are told apart by their ids.
pub(crate) const TAG_HANDLER: usize = OWN_TIMERS;

/// Command lines that one client may have run before others have their turn.
const LINES_PER_TURN: usize = 64;
/// How long a client that is sent away has to take its last reply.
const FAREWELL: Duration = Duration::from_secs(10);

/// What other threads and the server send to a session.
pub(crate) enum Note {
    /// A job of the interpreter's is done.
    Job(JobId, Outcome),
    /// A job of the data plane's is done.
    Flow(u32, Outcome),
    /// The server stops: end when the transfer has ended.
    Drain,
}

/// The dispatcher of one client.
pub(crate) struct Client {
    core: Core,
    handler: Box<dyn Handler>,
}

/// All of a session but its handler, which callbacks may use.
pub(crate) struct Core {
    pub(super) service: Arc<Service>,
    pub(super) interpreter: Interpreter,
    pub(super) control: Control,
    pub(super) dtp: Dtp,
    /// What the interpreter is to be told next.
    pub(super) inputs: VecDeque<Input>,
    timers: [Option<TimerId>; OWN_TIMERS],
    /// Tells a flow's job from one of an earlier flow.
    pub(super) flow_number: u32,
    life: Life,
    /// The interpreter wants to know when the client has taken everything.
    awaits_drain: bool,
    _counted: Counted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// The last replies are on their way out.
    Leaving,
    Closed,
}

impl Client {
    /// # Errors
    ///
    /// When the connection is gone already.
    pub(crate) fn new(
        service: Arc<Service>,
        socket: TcpStream,
        peer: SocketAddr,
        counted: Counted,
    ) -> io::Result<Client> {
        let local = socket.local_addr()?;
        let stream = Stream::new(socket, service.config.tcp_no_delay);
        stream.keep_urgent_data_inline()?;
        let interpreter = Interpreter::new(Arc::clone(&service.config), peer, local);
        let handler = (service.handlers)(interpreter.peer());
        let core = Core {
            service,
            interpreter,
            control: Control::new(stream),
            dtp: Dtp::Idle,
            inputs: VecDeque::new(),
            timers: [None; OWN_TIMERS],
            flow_number: 0,
            life: Life::Open,
            awaits_drain: false,
            _counted: counted,
        };
        Ok(Client { core, handler })
    }

    /// Carries on as far as it goes now.
    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Err(error) = self.try_advance(cx) {
            self.core.log(Level::Debug, &format!("control connection lost: {error}"));
            cx.close();
        }
    }

    fn try_advance(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..LINES_PER_TURN {
            self.settle(cx);
            match self.core.life {
                Life::Open => {}
                Life::Leaving => return self.core.take_leave(cx),
                Life::Closed => return Ok(()),
            }
            if self.core.awaits_drain || self.core.control.is_clogged() {
                if !self.core.control.flush(cx)? {
                    return Ok(());
                }
                if mem::take(&mut self.core.awaits_drain) {
                    self.core.inputs.push_back(Input::Drained);
                    continue;
                }
            }
            if cx.is_asleep(CONTROL) || !self.core.interpreter.wants_line() {
                return self.core.control.flush(cx).map(drop);
            }
            match self.core.control.next_line(cx.scratch())? {
                Some(line) => self.take(cx, line),
                None => {
                    self.core.control.flush(cx)?;
                    if self.core.control.is_at_end() {
                        cx.close();
                    }
                    return Ok(());
                }
            }
        }
        cx.again(CONTROL);
        self.core.control.flush(cx).map(drop)
    }

    /// Carries out effects, and tells the interpreter what came of them, until all is done.
    fn settle(&mut self, cx: &mut Context<'_>) {
        loop {
            while let Some(effect) = self.core.interpreter.poll_effect() {
                match effect {
                    Effect::Event(event) => self.call_back(cx, &event),
                    Effect::Custom(command, arg, path) => {
                        let mut session = Session { core: &mut self.core, cx: cx.reborrow() };
                        let reply = command.call(&mut session, &arg, path.as_ref());
                        self.core.inputs.push_back(Input::Custom(reply));
                    }
                    effect => self.core.apply(cx, effect),
                }
            }
            match self.core.inputs.pop_front() {
                Some(input) => self.core.interpreter.handle(input),
                None => return,
            }
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, line: Line) {
        let line = match line {
            Line::TooLong => return self.core.interpreter.handle(Input::TooLong),
            Line::Command(line) => line,
        };
        let command = command::parse(&line);
        if logging::enabled(Level::Debug) {
            self.core.log(Level::Debug, &format!("<- {}", command.shown()));
        }
        if command::is_foreign(&command.name) && self.core.is_unknown(&command) {
            let name = Escaped(command.name.as_bytes()).to_string();
            self.core.log(Level::Warn, &format!("{name} is another protocol's; closing."));
            self.core.respond(&Reply::new(500, "This is an FTP server."), Level::Debug);
            return self.core.close_when_done(cx);
        }
        let mut session = Session { core: &mut self.core, cx: cx.reborrow() };
        match self.handler.on_command(&mut session, &command) {
            Verdict::Run => self.core.interpreter.handle(Input::Command(command)),
            Verdict::Refuse(reply) => {
                self.core.interpreter.handle(Input::Refused(command, reply));
            }
        }
    }

    fn call_back(&mut self, cx: &mut Context<'_>, event: &Event) {
        let mut session = Session { core: &mut self.core, cx: cx.reborrow() };
        let handler = &mut self.handler;
        match event {
            Event::Login(user) => handler.on_login(&mut session, user),
            Event::LoginFailed(user, password) => {
                handler.on_login_failed(&mut session, user, password);
            }
            Event::Logout(user) => handler.on_logout(&mut session, user),
            Event::Sent(file) => handler.on_file_sent(&mut session, file),
            Event::Received(file) => handler.on_file_received(&mut session, file),
            Event::IncompleteSent(file) => handler.on_incomplete_file_sent(&mut session, file),
            Event::IncompleteReceived(file) => {
                handler.on_incomplete_file_received(&mut session, file);
            }
        }
    }
}

impl Dispatcher for Client {
    fn start(&mut self, cx: &mut Context<'_>) {
        self.core.log(Level::Info, "FTP session opened (connect)");
        if let Err(error) = self.core.control.register(cx) {
            self.core.log(Level::Error, &format!("cannot watch the connection: {error}"));
            return cx.close();
        }
        let mut session = Session { core: &mut self.core, cx: cx.reborrow() };
        self.handler.on_connect(&mut session);
        if self.core.life == Life::Open {
            self.core.inputs.push_back(Input::Start);
        }
        self.advance(cx);
    }

    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, ready: Ready) {
        if channel == DATA {
            self.core.data_ready(cx);
        } else if ready.is_readable() {
            self.core.control.set_readable();
        }
        self.advance(cx);
    }

    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, tag: usize) {
        if let Some(own) = self.core.timers.get_mut(tag) {
            *own = None;
        }
        match tag {
            TAG_HANDLER => {
                let mut session = Session { core: &mut self.core, cx: cx.reborrow() };
                self.handler.on_timer(&mut session, timer);
            }
            TAG_IDLE if self.core.life != Life::Open => return cx.close(),
            TAG_IDLE => self.core.inputs.push_back(Input::Timer(Timer::Idle)),
            TAG_REFUSAL => self.core.inputs.push_back(Input::Timer(Timer::Refusal)),
            TAG_DATA => self.core.inputs.push_back(Input::Timer(Timer::Data)),
            _ => self.core.data_timer(cx, tag),
        }
        self.advance(cx);
    }

    fn message(&mut self, cx: &mut Context<'_>, message: Message) {
        let Ok(note) = message.downcast::<Note>() else { return };
        match *note {
            Note::Job(id, outcome) => self.core.inputs.push_back(Input::Job(id, outcome)),
            Note::Flow(number, outcome) => self.core.flow_job_done(cx, number, outcome),
            Note::Drain => self.core.inputs.push_back(Input::Shutdown),
        }
        self.advance(cx);
    }

    fn closed(&mut self, cx: &mut Context<'_>) {
        self.core.abandon(cx.now());
        // What is left is the report of a transfer that was cut off.
        self.settle(cx);
        self.core.log(Level::Info, "FTP session closed (disconnect).");
        let mut session = Session { core: &mut self.core, cx: cx.reborrow() };
        self.handler.on_disconnect(&mut session);
    }
}

impl Core {
    pub(super) fn log(&self, level: Level, message: &str) {
        logging::line(level, self.interpreter.peer(), self.interpreter.username(), message);
    }

    fn is_unknown(&self, command: &CommandLine) -> bool {
        self.service.config.commands.find(&command.name).is_none()
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

    /// No line is taken any more; the session closes when its replies are sent.
    pub(crate) fn close_when_done(&mut self, cx: &mut Context<'_>) {
        if self.life == Life::Open {
            self.life = Life::Leaving;
            self.arm(cx, TAG_IDLE, FAREWELL);
            cx.again(CONTROL);
        }
    }

    fn take_leave(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.control.flush(cx)? {
            self.control.finish(cx.scratch());
            cx.close();
        }
        Ok(())
    }

    fn apply(&mut self, cx: &mut Context<'_>, effect: Effect) {
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
            Effect::Log(level, message) => self.log(level, &message),
            // At debug level the lines of the conversation say it all.
            Effect::LogCommand(message) if !logging::enabled(Level::Debug) => {
                self.log(Level::Info, &message);
            }
            Effect::LogCommand(_) => {}
            Effect::Close => self.close_when_done(cx),
            Effect::Listen => self.listen(cx),
            Effect::Connect(addr) => self.connect(cx, addr),
            Effect::CloseData => self.dtp = Dtp::Idle,
            Effect::Send { source, ascii, slow, offset } => {
                self.send(cx, source, ascii, slow, offset);
            }
            Effect::Receive { file, ascii, slow } => self.receive(cx, file, ascii, slow),
            Effect::Abort => self.abort(cx.now()),
            Effect::AskProgress => {
                let progress = self.progress(cx.now());
                self.inputs.push_back(Input::Progress(progress));
            }
            // Those that need the handler are carried out by the client.
            Effect::Event(_) | Effect::Custom(..) => {}
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

    /// Where a job runs: at once here, or on a worker thread while the session is asleep.
    fn start_job(&mut self, cx: &mut Context<'_>, id: JobId, job: Job) {
        if !job.is_slow() {
            return self.inputs.push_back(Input::Job(id, job.run()));
        }
        if !self.run_on_pool(cx, CONTROL, job, move |outcome| Note::Job(id, outcome)) {
            self.inputs.push_back(Input::Job(id, Outcome::Lost));
        }
    }

    /// Runs a job on a worker thread, its channel asleep until the outcome is there.
    pub(super) fn run_on_pool(
        &mut self,
        cx: &mut Context<'_>,
        channel: Channel,
        job: Job,
        note: impl FnOnce(Outcome) -> Note + Send + 'static,
    ) -> bool {
        let (handle, key, sleeping) = (cx.handle(), cx.key(), cx.del_channel(channel));
        let started = self.service.pool.run(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| job.run())).unwrap_or(Outcome::Lost);
            handle.send(key, Box::new(note(outcome)));
            // After the outcome, so that the session wakes knowing it.
            sleeping.add_channel();
        });
        if let Err(error) = &started {
            self.log(Level::Error, &format!("cannot start a worker thread: {error}"));
        }
        started.is_ok()
    }
}
