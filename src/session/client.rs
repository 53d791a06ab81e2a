//! One client on the event loop: the dispatcher that joins the interpreter to its channels.
//!
//! [`Client::advance`] is the whole flow: it carries out the interpreter's effects, feeds it what
//! came of them, takes the next line, and sends the replies of all of that at once.

use std::any::Any;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftpdlib_reactor::{Channel, Context, Dispatcher, Message, Ready, TcpStream, TimerId};
use log::Level;

use super::channels::control::Line;
use super::channels::core::{Core, Life};
use super::channels::dtp::Dtp;
use super::channels::secure::Securing;
use super::channels::slot::{
    CONTROL, DATA, OWN_TIMERS, TAG_DATA, TAG_HANDLER, TAG_HANDSHAKE, TAG_IDLE, TAG_REFUSAL,
};
use super::hooks::handler::{Handler, Verdict};
use super::hooks::session::{Question, Session};
use super::interpreter::{Call, Event, Input, Step, Timer};
use super::limits::census::Seat;
use super::logging;
use super::note::{Note, QuestionId};
use super::questions::{Asked, Questions};
use super::service::Service;
use super::work::caught::caught;
use crate::proto::escape::Escaped;
use crate::tls::Tls;

/// When to look again at a deadline that came while the loop kept its client waiting.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Command lines that one client may have run before others have their turn.
const LINES_PER_TURN: usize = 64;

/// The dispatcher of one client.
pub(crate) struct Client {
    core: Core,
    questions: Questions,
    handler: Box<dyn Handler>,
    service: Arc<Service>,
    /// Set while effects are carried out; if it still is when the session is closed, a callback
    /// panicked in their midst.
    settling: bool,
}

impl Client {
    /// # Errors
    ///
    /// When the connection is gone already.
    pub(crate) fn new(
        service: Arc<Service>,
        socket: TcpStream,
        peer: SocketAddr,
        seat: Seat,
    ) -> io::Result<Client> {
        let core = Core::new(Arc::clone(&service.common), socket, peer, seat)?;
        let handler = (service.handlers)(core.interpreter.peer());
        Ok(Client {
            core,
            questions: Questions::default(),
            handler,
            service,
            settling: false,
        })
    }

    /// Carries on as far as it goes now.
    fn advance(&mut self, cx: &mut Context<'_>) {
        if let Err(error) = self.try_advance(cx) {
            self.core
                .log(Level::Debug, &format!("control connection lost: {error}"));
            cx.close();
        }
        self.core.return_buffers(cx);
    }

    fn try_advance(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.core.control.begin_turn();
        self.core.interpreter.begin_turn();
        for _ in 0..LINES_PER_TURN {
            self.settle(cx);
            match self.core.life {
                Life::Open => {}
                Life::Leaving | Life::Lingering => return self.core.take_leave(cx),
                Life::Closed => return Ok(()),
            }
            match self.core.secure_control(cx)? {
                Securing::No => {}
                Securing::Done => continue,
                Securing::Waits => return Ok(()),
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
            if cx.is_asleep(CONTROL) {
                return self.core.control.flush(cx).map(drop);
            }
            if !self.core.interpreter.wants_line() && !self.is_interrupted(cx)? {
                return self.core.control.flush(cx).map(drop);
            }
            match self.core.control.next_line(cx.scratch())? {
                Some(line) => {
                    if self.core.meets(cx) {
                        self.settle(cx);
                    }
                    self.take(cx, line);
                }
                None if self.core.control.is_at_end() => {
                    self.core.close_when_done();
                }
                None => {
                    self.core.control.flush(cx)?;
                    if self.core.control.is_out_of_turn() {
                        cx.again(CONTROL);
                    }
                    self.shrink(cx);
                    return Ok(());
                }
            }
        }
        cx.again(CONTROL);
        self.core.control.flush(cx).map(drop)
    }

    /// Looks whether the client interrupts the command that is in progress: by ABOR, which is then
    /// the next line, or by leaving, which closes the session.
    fn is_interrupted(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let Core {
            control,
            interpreter,
            ..
        } = &mut self.core;
        if !interpreter.is_busy() {
            return Ok(false);
        }
        // One that is reset says so here.
        let (abortable, may_be_left) = (interpreter.is_abortable(), interpreter.may_be_left());
        match control.peek_line(cx.scratch())? {
            // With an argument it is an error, and no reason to stop.
            Some(Line::Command(command)) => {
                return Ok(abortable && command.name == "ABOR" && command.arg.is_empty());
            }
            Some(Line::TooLong) => return Ok(false),
            None => {}
        }
        // If not: it may have closed only its sending side, and wait for the reply.
        if control.is_at_end() && may_be_left {
            let text = "the client left while its command ran";
            self.core.log(Level::Debug, text);
            self.core.close(cx);
        } else if control.is_out_of_turn() {
            cx.again(CONTROL);
        }
        Ok(false)
    }

    /// Carries out effects, and tells the interpreter what came of them, until all is done.
    #[inline]
    fn settle(&mut self, cx: &mut Context<'_>) {
        if self.core.has_work() {
            self.do_settle(cx);
        }
    }

    fn do_settle(&mut self, cx: &mut Context<'_>) {
        self.settling = true;
        loop {
            while let Some(step) = self.core.interpreter.poll_step() {
                match step {
                    Step::Effect(effect) => self.core.apply(cx, effect),
                    Step::Call(Call::Event(event)) => self.call_back(cx, &event),
                    Step::Call(Call::Custom(index, arg, path)) => {
                        let service = Arc::clone(&self.service);
                        let command = &service.commands[index];
                        let mut question = self.questions.pose();
                        let reply = self.call(cx, &mut question, |_, session| {
                            command.call(session, &arg, path.as_ref())
                        });
                        self.ask(question, Asked::Custom(reply));
                    }
                }
            }
            match self.core.inputs.pop_front() {
                Some(input) => self.core.hear(input),
                None => break,
            }
        }
        self.settling = false;
    }

    fn take(&mut self, cx: &mut Context<'_>, line: Line) {
        let command = match line {
            Line::TooLong => return self.core.hear(Input::TooLong),
            Line::Command(command) => command,
        };
        if logging::enabled(Level::Debug) {
            let shown = self.core.common.table.shown(&command);
            self.core.log(Level::Debug, &format!("<- {shown}"));
        }
        let mut question = self.questions.pose();
        let verdict = self.call(cx, &mut question, |handler, session| {
            handler.on_command(session, &command)
        });
        if let Verdict::Refuse(reply) = verdict {
            question.answer(Some(reply));
        }
        self.questions.ask_to_run(&mut self.core, question, command);
    }

    fn call_back(&mut self, cx: &mut Context<'_>, event: &Event) {
        let mut question = self.questions.pose();
        let asked = self.call(cx, &mut question, |handler, session| {
            match event {
                Event::Login(user) => handler.on_login(session, user),
                Event::LoginFailed(user, password) => {
                    handler.on_login_failed(session, user, password);
                }
                Event::Logout(user) => handler.on_logout(session, user),
                Event::Sent(file) => handler.on_file_sent(session, file),
                Event::Received(file) => handler.on_file_received(session, file),
                Event::IncompleteSent(file) => handler.on_incomplete_file_sent(session, file),
                Event::IncompleteReceived(file) => {
                    handler.on_incomplete_file_received(session, file);
                }
            }
            match event {
                Event::Login(_) => Asked::Login,
                Event::LoginFailed(..) | Event::Logout(_) => Asked::Nothing,
                Event::Sent(_)
                | Event::Received(_)
                | Event::IncompleteSent(_)
                | Event::IncompleteReceived(_) => Asked::Transfer,
            }
        });
        self.ask(question, asked);
    }

    /// Calls what is a library user's, with the session and what his word decides.
    fn call<R>(
        &mut self,
        cx: &mut Context<'_>,
        question: &mut Question,
        call: impl FnOnce(&mut dyn Handler, &mut Session<'_>) -> R,
    ) -> R {
        let handler = &mut *self.handler;
        let mut session = Session {
            handler: (handler as &dyn Any).type_id(),
            core: &mut self.core,
            cx: cx.reborrow(),
            question,
        };
        call(handler, &mut session)
    }

    /// The callback has returned.
    fn ask(&mut self, question: Question, asked: Asked) {
        self.questions.ask(&mut self.core, question, asked);
    }

    /// Offloaded work is done: what follows it.
    fn worked(
        &mut self,
        cx: &mut Context<'_>,
        (question, work): (QuestionId, u32),
        result: Box<dyn Any + Send>,
    ) {
        let Some((mut question, asked)) = self.questions.take(question) else {
            return;
        };
        let open = self.core.life == Life::Open;
        if let Some(then) = question.then(work) {
            self.call(cx, &mut question, |handler, session| {
                then(handler, session, result);
            });
        }
        self.questions
            .decide_or_wait(&mut self.core, (question, asked), open);
    }
}

impl Client {
    /// What the session is about, for the log.
    fn log_status(&self, now: Instant) {
        let doing = match self.core.interpreter.transfer_in_progress() {
            Some((command, file)) => {
                let progress = self.core.progress(now);
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
        self.core.log(Level::Info, &format!("status: {doing}"));
    }

    /// Holds no memory that is not in use, as the session waits for its client.
    fn shrink(&mut self, cx: &mut Context<'_>) {
        self.questions.shrink();
        self.core.shrink(cx);
    }
}

impl Dispatcher for Client {
    fn start(&mut self, cx: &mut Context<'_>) {
        self.core.borrow_buffers(cx);
        self.core.log(Level::Info, "FTP session opened (connect)");
        if let Err(error) = self.core.control.register(cx) {
            self.core.log(
                Level::Error,
                &format!("cannot watch the connection: {error}"),
            );
            return cx.close();
        }
        let mut question = self.questions.pose();
        self.call(cx, &mut question, |handler, session| {
            handler.on_connect(session);
        });
        self.ask(question, Asked::Greeting);
        self.advance(cx);
    }

    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, ready: Ready) {
        self.core.borrow_buffers(cx);
        if channel == DATA {
            self.core.data_ready(cx, ready);
        } else if ready.is_readable() {
            self.core.control.set_readable(ready);
        }
        self.advance(cx);
    }

    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, tag: usize) {
        if tag < OWN_TIMERS && !self.core.rings(tag) {
            return;
        }
        match tag {
            TAG_HANDLER => {
                let mut question = self.questions.pose();
                self.call(cx, &mut question, |handler, session| {
                    handler.on_timer(session, timer);
                });
                self.ask(question, Asked::Nothing);
            }
            TAG_IDLE if self.core.life != Life::Open => return cx.close(),
            // It is the client who waits, then.
            TAG_IDLE if cx.is_asleep(CONTROL) => {
                let timeout = self.core.common.config.timeout;
                self.core.arm(cx, TAG_IDLE, timeout);
            }
            TAG_IDLE => self.core.inputs.push_back(Input::Timer(Timer::Idle)),
            // So he does with a data connection that no command of his has used yet.
            TAG_DATA if cx.is_asleep(CONTROL) && matches!(self.core.dtp, Dtp::Open { .. }) => {
                let timeout = self.core.common.config.data_timeout;
                self.core.arm(cx, TAG_DATA, timeout);
            }
            TAG_REFUSAL => self.core.inputs.push_back(Input::Timer(Timer::Refusal)),
            // So it is if the loop has not come to him.
            TAG_HANDSHAKE if cx.is_asleep(CONTROL) => {
                let deadline = self.core.common.config.tls.as_ref().map(Tls::deadline);
                self.core
                    .arm(cx, TAG_HANDSHAKE, deadline.unwrap_or(LOOK_AGAIN));
            }
            TAG_HANDSHAKE if cx.is_queued(CONTROL) || cx.is_queued(DATA) => {
                self.core.arm(cx, TAG_HANDSHAKE, LOOK_AGAIN);
            }
            TAG_HANDSHAKE => self.core.inputs.push_back(Input::Timer(Timer::Handshake)),
            TAG_DATA => self.core.inputs.push_back(Input::Timer(Timer::Data)),
            _ => self.core.data_timer(cx, tag),
        }
        self.advance(cx);
    }

    fn message(&mut self, cx: &mut Context<'_>, message: Message) {
        let Ok(note) = message.downcast::<Note>() else {
            return;
        };
        match *note {
            Note::Job(id, outcome) => self.core.inputs.push_back(Input::Job(id, outcome)),
            Note::Flow(number, outcome) => self.core.flow_job_done(cx, number, outcome),
            Note::Ready(number) => self.core.flow_fed(cx, number),
            Note::Back(question, decision) => {
                self.questions.give_back(&mut self.core, question, decision);
            }
            Note::Worked(question, work, result) => self.worked(cx, (question, work), result),
            Note::Drain => self.core.inputs.push_back(Input::Shutdown),
            Note::Status => return self.log_status(cx.now()),
        }
        self.advance(cx);
    }

    fn closed(&mut self, cx: &mut Context<'_>) {
        let mut panicked = self.settling;
        if panicked {
            // What was to follow the callback, such as a 226, does not.
            self.core.forget();
        }
        self.core.borrow_buffers(cx);
        self.core.abandon(cx.now());
        // What is left is the report of a transfer that was cut off. Its callback is not the last one.
        if let Err(text) = caught(|| self.settle(cx)) {
            let text = format!("a callback panicked: {}", Escaped(text.as_bytes()));
            self.core.log(Level::Error, &text);
            self.core.forget();
            panicked = true;
        }
        if !panicked {
            self.core.control.flush_abandoned();
        }
        self.core.interpreter.leave_seat();
        self.core
            .log(Level::Info, "FTP session closed (disconnect).");
        let mut question = self.questions.pose();
        self.call(cx, &mut question, |handler, session| {
            handler.on_disconnect(session);
        });
        self.core.return_buffers(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::channels::control::Control;
    use crate::session::interpreter::Interpreter;

    /// An idle session is this, its slot and timer in the event loop, its user's name and directory.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_session_stays_small() {
        for (what, size, most) in [
            ("Client", size_of::<Client>(), 1152),
            ("Interpreter", size_of::<Interpreter>(), 704),
            ("Control", size_of::<Control>(), 176),
            ("Dtp", size_of::<Dtp>(), 80),
        ] {
            assert!(size <= most, "{what} takes {size} bytes");
        }
    }
}
