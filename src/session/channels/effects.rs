//! Carries out what the interpreter asks for: every [`Effect`] but a transfer's bytes, at once or by
//! starting what will tell what came of it.

use ftpdlib_reactor::Context;
use log::Level;

use super::core::{Core, Life};
use super::dtp::Dtp;
use super::slot::{TAG_DATA, TAG_HANDSHAKE, TAG_IDLE, TAG_REFUSAL};
use crate::session::interpreter::{Effect, Input, Timer};
use crate::session::logging;
use crate::session::note::Note;
use crate::session::work::elsewhere::closes_elsewhere;
use crate::session::work::job::{Job, JobId, Outcome};

impl Core {
    /// Does it.
    // It is called in one place, and a call would cost as much again as most effects do.
    #[inline(always)]
    pub(crate) fn apply(&mut self, cx: &mut Context<'_>, effect: Effect) {
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
            Effect::Close => self.close_when_done(),
            Effect::Disconnect => self.close(cx),
            Effect::KeepAlive => self.keep_alive(),
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

    /// Where a job runs: at once here, or on a worker thread. The interpreter takes no line until
    /// it has the outcome.
    fn start_job(&mut self, cx: &mut Context<'_>, id: JobId, job: Job) {
        let job = match job.is_slow() {
            true => job,
            false => match job.run_at_once() {
                Ok(outcome) => {
                    let outcome = closes_elsewhere(outcome, false, || self.common.pool.hands());
                    return self.inputs.push_back(Input::Job(id, outcome));
                }
                Err(job) => job,
            },
        };
        if !self.run_on_pool(cx, job, move |outcome| Note::Job(id, outcome)) {
            self.inputs.push_back(Input::Job(id, Outcome::Lost));
        }
    }
}
