//! The protocol interpreter of one client, sans-IO.
//!
//! [`Interpreter::handle`] takes one [`Input`]; [`Interpreter::poll_step`] gives the [`Effect`]s and
//! [`Call`]s it has, to be drained before the next input. It owns what RFC 959 calls the state of the
//! server-PI: who is logged in, TYPE, REST, RNFR, what the data connection is for. It has no
//! socket, opens no file and reads no clock, so every rule of it is tested as plain values.
//!
//! A command runs from its row in [`commands`] to its final reply in one function; where
//! it must wait, it leaves what comes then as a closure ([`wait`]). While it waits no further line
//! is taken ([`Interpreter::wants_line`]), so every line gets exactly one final reply, in order.

mod commands;
mod data;
mod digest;
mod files;
mod info;
mod login;
mod path;
mod replies;
mod secure;
mod security;
mod service;
mod state;
pub(crate) mod table;
mod task;
mod transfer;
pub(crate) mod transferred;
mod vocabulary;
mod wait;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use log::Level;

pub(crate) use self::replies::{error_reply, not_logged_in};
pub(crate) use self::state::Interpreter;
use self::state::{Abor, Current, Wait};
use self::table::{Marks, Row, Run, Table};
pub(crate) use self::vocabulary::{
    Call, Effect, End, Event, Input, Progress, Step, Timer, Unprotected, Verdict,
};
use crate::proto::command::{Arg, CommandLine, is_foreign};
use crate::proto::escape::Escaped;
use crate::proto::path::VirtualPath;
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::session::logging;

impl Interpreter {
    /// Takes what happened, on a server that has these commands.
    pub(crate) fn handle(&mut self, table: &Table, input: Input) {
        match input {
            // What comes in numbers goes the short way.
            Input::Command(command) if matches!(self.wait, Wait::Nothing) => {
                self.command(table, command);
            }
            input => self.take(table, input),
        }
        // Also when no further line is taken: this one was.
        if self.abor.is_some() && matches!(self.wait, Wait::Nothing) {
            match self.abor.take() {
                Some(Abor::Run) => transfer::abor(self, b""),
                Some(Abor::Refused(reply)) => self.finish(*reply),
                None => {}
            }
        }
    }

    fn take(&mut self, table: &Table, input: Input) {
        match input {
            // While another is in progress only ABOR is let through.
            Input::Command(_) => self.abort_command(),
            Input::Refused(_, reply) if !matches!(self.wait, Wait::Nothing) => {
                self.abor = Some(Abor::Refused(Box::new(reply)));
            }
            Input::Start(greeting) => secure::start(self, greeting),
            Input::Secured(certificate) => secure::secured(self, certificate),
            Input::Refused(command, reply) => {
                self.reset_idle();
                if let Some(row) = table.find(&command.name) {
                    self.mark(row.marks);
                }
                self.begin(&command, None);
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
    fn command(&mut self, table: &Table, command: CommandLine) {
        self.reset_idle();
        let Some(row) = table.find(&command.name) else {
            self.begin(&command, None);
            return self.unknown(&command.name);
        };
        self.begin(&command, Some(row));
        self.mark(row.marks);
        let refusal = match (row.arg, command.arg.is_empty()) {
            (Arg::Required, true) => Some((501, "Syntax error: command needs an argument.")),
            (Arg::None, false) => Some((501, "Syntax error: command does not accept arguments.")),
            _ if row.login && self.account.is_none() => return self.finish(not_logged_in()),
            _ => None,
        };
        if let Some((code, text)) = refusal {
            return self.finish(Reply::new(code, text));
        }
        let tls = self.config.tls.as_ref();
        if let Some(reply) = self.security.refusal(tls, &command.name) {
            return self.finish(reply);
        }
        self.run(table, row, &command.arg);
    }

    fn unknown(&mut self, name: &str) {
        if is_foreign(name) {
            let text = "This is an FTP server.";
            self.effect(Effect::Log(
                Level::Warn,
                format!("{name} is another protocol's; closing."),
            ));
            self.finish(Reply::new(500, text));
            return self.close();
        }
        // A name of other characters may hold anything, such as a password behind a tab; so may one that is
        // PASS and more. Replies are logged.
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
        let plain = name.bytes().all(letters) && !name.contains("PASS");
        self.finish(match plain {
            true => Reply::new(500, format!("Command \"{name}\" not understood.")),
            false => Reply::new(500, "Command not understood."),
        });
    }

    fn run(&mut self, table: &Table, row: &Row, arg: &[u8]) {
        let perm = row.perm;
        match row.run {
            Run::Plain(run) => run(self, arg),
            Run::Asks(run) => run(self, table, arg),
            Run::Path(argument, run) => self.with_argument(argument, arg, perm, run),
            Run::WordPath(run) => self.with_word_and_path(arg, perm, run),
            Run::Pooled(ref run) => {
                let run = Arc::clone(run);
                self.with_path(arg, perm, move |it, path| it.pooled(run, path));
            }
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
        self.step(Step::Call(Call::Custom(index, arg, path)));
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

    fn begin(&mut self, command: &CommandLine, row: Option<&Row>) {
        // Of what is not logged nothing is asked.
        let logged = row.filter(|row| row.logged && logging::enabled(Level::Info));
        self.current = logged.map(|row| {
            let shown = match row.secret {
                true => command.masked_arg().to_owned(),
                false => Escaped(&command.arg).to_string(),
            };
            let name = command.name.to_string();
            Box::new(Current { name, shown })
        });
    }
}
