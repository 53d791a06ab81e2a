//! One client on the event loop: the dispatcher that joins the interpreter to its channels.
//!
//! [`Client::advance`] is the whole flow: it carries out the interpreter's effects, feeds it what
//! came of them, takes the next line, and sends the replies of all of that at once.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use ftpdlib_reactor::{Channel, Context, Dispatcher, Message, Ready, TcpStream, TimerId};
use log::Level;

use super::Service;
use super::census::Seat;
use super::core::{Core, Life, Note};
use super::handler::{Handler, Session, Verdict};
use super::interpreter::{Effect, Event, Input, Timer};
use super::logging;
use super::secure::Securing;
use super::slot::{CONTROL, DATA, TAG_DATA, TAG_HANDLER, TAG_HANDSHAKE, TAG_IDLE, TAG_REFUSAL};
use crate::proto::command;
use crate::proto::line::Line;

/// Command lines that one client may have run before others have their turn.
const LINES_PER_TURN: usize = 64;
/// The dispatcher of one client.
pub(crate) struct Client {
    core: Core,
    handler: Box<dyn Handler>,
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
        let core = Core::new(service, socket, peer, seat)?;
        let handler = (core.service.handlers)(core.interpreter.peer());
        Ok(Client {
            core,
            handler,
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
    }

    fn try_advance(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.core.control.begin_turn();
        for _ in 0..LINES_PER_TURN {
            self.settle(cx);
            match self.core.life {
                Life::Open => {}
                Life::Leaving => return self.core.take_leave(cx),
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
            if cx.is_asleep(CONTROL) || !self.core.interpreter.wants_line() {
                return self.core.control.flush(cx).map(drop);
            }
            match self.core.control.next_line(cx.scratch())? {
                Some(line) => self.take(cx, line),
                None if self.core.control.is_at_end() => {
                    self.core.close_when_done(cx);
                }
                None => {
                    self.core.control.flush(cx)?;
                    if self.core.control.is_out_of_turn() {
                        cx.again(CONTROL);
                    }
                    self.core.shrink(cx);
                    return Ok(());
                }
            }
        }
        cx.again(CONTROL);
        self.core.control.flush(cx).map(drop)
    }

    /// Carries out effects, and tells the interpreter what came of them, until all is done.
    fn settle(&mut self, cx: &mut Context<'_>) {
        self.settling = true;
        loop {
            while let Some(effect) = self.core.interpreter.poll_effect() {
                match effect {
                    Effect::Event(event) => self.call_back(cx, &event),
                    Effect::Custom(index, arg, path) => {
                        let service = Arc::clone(&self.core.service);
                        let mut session = Session {
                            core: &mut self.core,
                            cx: cx.reborrow(),
                        };
                        let command = &service.commands[index];
                        let reply = command.call(&mut session, &arg, path.as_ref());
                        self.core.inputs.push_back(Input::Custom(reply));
                    }
                    effect => self.core.apply(cx, effect),
                }
            }
            match self.core.inputs.pop_front() {
                Some(input) => self.core.interpreter.handle(input),
                None => break,
            }
        }
        self.settling = false;
    }

    fn take(&mut self, cx: &mut Context<'_>, line: Line) {
        let line = match line {
            Line::TooLong => return self.core.interpreter.handle(Input::TooLong),
            Line::Command(line) => line,
        };
        let command = command::parse(&line);
        if logging::enabled(Level::Debug) {
            self.core
                .log(Level::Debug, &format!("<- {}", command.shown()));
        }
        let mut session = Session {
            core: &mut self.core,
            cx: cx.reborrow(),
        };
        let verdict = self.handler.on_command(&mut session, &command);
        if self.core.life == Life::Closed {
            return;
        }
        match verdict {
            Verdict::Run => self.core.interpreter.handle(Input::Command(command)),
            Verdict::Refuse(reply) => {
                self.core.interpreter.handle(Input::Refused(command, reply));
            }
        }
    }

    fn call_back(&mut self, cx: &mut Context<'_>, event: &Event) {
        let mut session = Session {
            core: &mut self.core,
            cx: cx.reborrow(),
        };
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
            self.core.log(
                Level::Error,
                &format!("cannot watch the connection: {error}"),
            );
            return cx.close();
        }
        let mut session = Session {
            core: &mut self.core,
            cx: cx.reborrow(),
        };
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
                let mut session = Session {
                    core: &mut self.core,
                    cx: cx.reborrow(),
                };
                self.handler.on_timer(&mut session, timer);
            }
            TAG_IDLE if self.core.life != Life::Open => return cx.close(),
            TAG_IDLE => self.core.inputs.push_back(Input::Timer(Timer::Idle)),
            TAG_REFUSAL => self.core.inputs.push_back(Input::Timer(Timer::Refusal)),
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
            Note::Drain => self.core.inputs.push_back(Input::Shutdown),
            Note::Status => return self.core.log_status(cx.now()),
        }
        self.advance(cx);
    }

    fn closed(&mut self, cx: &mut Context<'_>) {
        let panicked = self.settling;
        if panicked {
            // What was to follow the callback, such as a 226, does not.
            self.core.shrink(cx);
        }
        self.core.abandon(cx.now());
        // What is left is the report of a transfer that was cut off.
        self.settle(cx);
        if !panicked {
            self.core.control.flush_last();
        }
        self.core.interpreter.leave_seat();
        self.core
            .log(Level::Info, "FTP session closed (disconnect).");
        let mut session = Session {
            core: &mut self.core,
            cx: cx.reborrow(),
        };
        self.handler.on_disconnect(&mut session);
    }
}
