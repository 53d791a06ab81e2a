//! What waits for a callback's word, and what the word decides.

use log::Level;

use super::channels::core::{Core, Life};
use super::hooks::session::Question;
use super::interpreter::Input;
use super::note::{Decision, QuestionId};
use crate::proto::command::CommandLine;
use crate::proto::reply::Reply;

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

/// The questions of one client.
#[derive(Default)]
pub(super) struct Questions {
    /// Those that wait for a library user's word.
    waiting: Vec<(Question, Asked)>,
    last: QuestionId,
}

impl Questions {
    /// For a callback that is about to be called.
    pub(super) fn pose(&mut self) -> Question {
        self.last = self.last.wrapping_add(1);
        Question::new(self.last)
    }

    /// The callback has returned: what it was asked is decided, or waits.
    pub(super) fn ask(&mut self, core: &mut Core, question: Question, asked: Asked) {
        self.decide_or_wait(core, (question, asked), true);
    }

    /// A guard has come back.
    pub(super) fn give_back(&mut self, core: &mut Core, id: QuestionId, decision: Decision) {
        if let Some((mut question, asked)) = self.take(id) {
            question.release(decision);
            let open = core.life == Life::Open;
            self.decide_or_wait(core, (question, asked), open);
        }
    }

    pub(super) fn take(&mut self, id: QuestionId) -> Option<(Question, Asked)> {
        let waits = |(known, _): &(Question, Asked)| known.id() == id;
        let at = self.waiting.iter().position(waits)?;
        Some(self.waiting.swap_remove(at))
    }

    /// `open` tells whether the session was open when whoever decided was called: if not, its last
    /// reply is out.
    pub(super) fn decide_or_wait(
        &mut self,
        core: &mut Core,
        (mut question, asked): (Question, Asked),
        open: bool,
    ) {
        if question.is_held() {
            return self.waiting.push((question, asked));
        }
        if core.life == Life::Closed {
            return;
        }
        let answer = question.take_answer();
        core.inputs.push_back(match asked {
            Asked::Nothing => return,
            Asked::Greeting if core.life != Life::Open => return,
            Asked::Greeting => match answer {
                Some(refusal) if refusal.is_error() => {
                    core.respond(&refusal, Level::Info);
                    return core.close_when_done();
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

    /// As [`ask`](Self::ask), of a command when everything before it is settled: nearly always it is
    /// decided, and runs without further ado.
    pub(super) fn ask_to_run(
        &mut self,
        core: &mut Core,
        mut question: Question,
        command: CommandLine,
    ) {
        if question.is_held() {
            self.ask(core, question, Asked::Command(command));
        } else if core.life != Life::Closed {
            core.hear(Input::answered(command, question.take_answer()));
        }
    }

    /// Holds no memory that is not in use.
    pub(super) fn shrink(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
    }
}
