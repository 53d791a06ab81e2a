//! What waits for a callback's word, and the ways to give it later: a guard that a thread holds, or
//! work on the pool with a closure that follows it.
//!
//! A callback stands before something: the greeting, a command, a login's or a transfer's reply. That
//! is its [`Question`]. It is decided when the callback has returned and nothing holds it any more;
//! until then the client is off the loop.

use std::any::Any;
use std::fmt;
use std::io;
use std::mem;

use ftpdlib_reactor::{Context, Handle, Key, Sleeping as AsleepOnLoop};
use log::Level;

use super::core::{Core, Life, Note};
use super::handler::Session;
use super::interpreter::Input;
use super::slot::CONTROL;
use crate::proto::command::CommandLine;
use crate::proto::reply::Reply;

/// Names a question to whoever holds it.
pub(super) type QuestionId = u32;

/// What follows work on the pool: the handler, the session, and the work's result in a box.
pub(super) type Then = Box<dyn FnOnce(&mut dyn Any, &mut Session<'_>, Box<dyn Any + Send>)>;

/// What a callback stands before.
pub(super) enum Asked {
    Greeting,
    Command(CommandLine),
    Login,
    Transfer,
    /// A command of a library user's, and the reply that it gave.
    Custom(Reply),
    /// Nothing waits for it, but the next command if the client is off the loop.
    Nothing,
}

pub(super) struct Question {
    id: QuestionId,
    /// In place of what comes without one.
    answer: Option<Reply>,
    /// Guards, and work on the pool, that are still out.
    holds: u32,
    thens: Vec<(u32, Then)>,
}

/// What a thread says as it puts a client back.
#[derive(Debug, Default)]
pub(crate) enum Decision {
    /// Nothing: what the callback said stands.
    #[default]
    Stands,
    Proceed,
    Answer(Reply),
}

impl Question {
    pub(super) fn is_held(&self) -> bool {
        self.holds > 0
    }

    pub(super) fn answer(&mut self, answer: Option<Reply>) {
        self.answer = answer;
    }

    /// One hold less.
    fn release(&mut self, decision: Decision) {
        self.holds = self.holds.saturating_sub(1);
        match decision {
            Decision::Stands => {}
            Decision::Proceed => self.answer = None,
            Decision::Answer(reply) => self.answer = Some(reply),
        }
    }

    /// Takes the client off the loop.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>) -> Sleeping {
        self.holds += 1;
        Sleeping {
            channel: cx.del_channel(CONTROL),
            reactor: cx.handle(),
            key: cx.key(),
            question: self.id,
            decision: Decision::Stands,
        }
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
    pub(super) fn then(&mut self, number: u32) -> Option<Then> {
        let at = self.thens.iter().position(|(known, _)| *known == number)?;
        self.release(Decision::Stands);
        Some(self.thens.remove(at).1)
    }
}

impl Core {
    /// For a callback that is about to be called.
    pub(super) fn question(&mut self) -> Question {
        self.last_question = self.last_question.wrapping_add(1);
        Question {
            id: self.last_question,
            answer: None,
            holds: 0,
            thens: Vec::new(),
        }
    }

    /// The callback has returned: what it was asked is decided, or waits.
    pub(super) fn ask(&mut self, cx: &mut Context<'_>, question: Question, asked: Asked) {
        self.decide_or_wait(cx, (question, asked), true);
    }

    /// A guard has come back.
    pub(super) fn give_back(&mut self, cx: &mut Context<'_>, id: QuestionId, decision: Decision) {
        if let Some((mut question, asked)) = self.take_question(id) {
            question.release(decision);
            let open = self.life == Life::Open;
            self.decide_or_wait(cx, (question, asked), open);
        }
    }

    pub(super) fn take_question(&mut self, id: QuestionId) -> Option<(Question, Asked)> {
        let at = self
            .questions
            .iter()
            .position(|(known, _)| known.id == id)?;
        Some(self.questions.swap_remove(at))
    }

    /// `open` tells whether the session was open when whoever decided was called: if not, its last
    /// reply is out.
    pub(super) fn decide_or_wait(
        &mut self,
        cx: &mut Context<'_>,
        (question, asked): (Question, Asked),
        open: bool,
    ) {
        if question.is_held() {
            return self.questions.push((question, asked));
        }
        if self.life == Life::Closed {
            return;
        }
        let answer = question.answer;
        self.inputs.push_back(match asked {
            Asked::Nothing => return,
            Asked::Greeting if self.life != Life::Open => return,
            Asked::Greeting => match answer {
                Some(refusal) if refusal.is_error() => {
                    self.respond(&refusal, Level::Info);
                    return self.close_when_done(cx);
                }
                greeting => Input::Start(greeting),
            },
            Asked::Command(_) if !open => return,
            Asked::Command(command) => Input::answered(command, answer),
            Asked::Login => Input::LoginAnswered(answer),
            Asked::Transfer => Input::TransferAnswered(answer),
            Asked::Custom(reply) => Input::Custom(answer.unwrap_or(reply)),
        });
    }

    /// As [`ask`](Core::ask), of a command when everything before it is settled: nearly always it is
    /// decided, and runs without further ado.
    pub(super) fn ask_to_run(
        &mut self,
        cx: &mut Context<'_>,
        mut question: Question,
        command: CommandLine,
    ) {
        if question.is_held() {
            self.ask(cx, question, Asked::Command(command));
        } else if self.life != Life::Closed {
            let answer = question.answer.take();
            self.hear(Input::answered(command, answer));
        }
    }
}

/// A client that is off the loop, from [`Session::del_channel`]. When this guard goes, on whatever
/// thread, the client is back: by one of the methods here, by dropping it, or because the thread
/// that holds it panicked.
///
/// Guards of one client nest: his commands go on when the last one has gone. A guard may outlive
/// its client and its server. Leaking one ([`std::mem::forget`]) leaves the client waiting until
/// his connection is closed.
#[must_use = "dropping it puts the client back at once"]
pub struct Sleeping {
    // Dropped behind the word that is sent, so that the session wakes knowing it.
    channel: AsleepOnLoop,
    reactor: Handle,
    key: Key,
    question: QuestionId,
    decision: Decision,
}

impl Sleeping {
    /// Puts the client back; what waits goes on as the callback had it. The same as dropping the
    /// guard, said aloud.
    pub fn add_channel(self) {}

    /// Puts the client back, with this reply to what waits, as by [`Session::answer`].
    pub fn answer(mut self, reply: Reply) {
        self.decision = Decision::Answer(reply);
    }

    /// Puts the client back, and takes back any answer that was given before, as by
    /// [`Session::proceed`].
    pub fn proceed(mut self) {
        self.decision = Decision::Proceed;
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        let note = Note::Back(self.question, mem::take(&mut self.decision));
        // A session that is gone has nothing to be told.
        self.reactor.send(self.key, Box::new(note));
    }
}

impl fmt::Debug for Sleeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeping")
            .field("channel", &self.channel)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}

/// Why [offloaded](Session::offload) work has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum OffloadError {
    /// It panicked, with that message if it had one.
    Panicked(String),
    /// The system gave no thread to run it on.
    Thread(io::Error),
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OffloadError::Panicked(text) if text.is_empty() => f.write_str("the work panicked"),
            OffloadError::Panicked(text) => write!(f, "the work panicked: {text}"),
            OffloadError::Thread(error) => write!(f, "no thread to work on: {error}"),
        }
    }
}

impl std::error::Error for OffloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OffloadError::Panicked(_) => None,
            OffloadError::Thread(error) => Some(error),
        }
    }
}
