//! What the command in progress waits for, jobs above all, and what ABOR does to it meanwhile.

use std::sync::Arc;

use log::Level;

use super::replies::not_logged_in;
use super::state::{Abor, Interpreter, OnAbort, Wait};
use super::vocabulary::Effect;
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;
use crate::session::work::cancel::{MOST_LEFT, cancel};
use crate::session::work::job::{Files, Job, JobId, Outcome};
use crate::session::work::pooled::{Pooled, Work};

impl Interpreter {
    /// Whether the command in progress waits for something that may be aborted: then ABOR may come
    /// all the same.
    pub(crate) fn is_abortable(&self) -> bool {
        let abortable = match &self.wait {
            Wait::Job { on_abort, .. } => match on_abort {
                OnAbort::Waits => false,
                OnAbort::Leaves => self.left < MOST_LEFT,
                OnAbort::Cancels(_) => true,
            },
            Wait::Connect => true,
            _ => false,
        };
        abortable && self.abor.is_none()
    }

    /// Whether a client that leaves is not waited for: nobody else would miss what his command waits for.
    pub(crate) fn may_be_left(&self) -> bool {
        match &self.wait {
            Wait::Job { on_abort, .. } => !matches!(on_abort, OnAbort::Waits),
            Wait::Connect | Wait::Abort => true,
            _ => false,
        }
    }

    /// Whether the command in progress waits for something that is not the client's to bring about,
    /// so that it does no harm to look at what he sends meanwhile.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.wait, Wait::Job { .. } | Wait::Connect | Wait::Abort)
    }

    /// ABOR, in the midst of a command.
    pub(super) fn abort_command(&mut self) {
        self.reset_idle();
        self.abor = Some(Abor::Run);
        match &self.wait {
            Wait::Job {
                on_abort: OnAbort::Cancels(canceller),
                ..
            } => canceller.cancel(),
            Wait::Job {
                on_abort: OnAbort::Leaves,
                ..
            } => {
                self.left = self.left.saturating_add(1);
                self.aborted();
            }
            Wait::Connect => {
                self.close_data();
                let text = "Can't open data connection: aborted via ABOR.";
                self.finish_at(Level::Info, Reply::new(425, text));
            }
            // It waits for the command's end.
            _ => {}
        }
    }

    /// Whether an ABOR waits for the command in progress.
    pub(super) fn is_aborted(&self) -> bool {
        self.abor.is_some()
    }

    /// The final reply of a command that ABOR has ended.
    pub(super) fn aborted(&mut self) {
        self.finish_at(Level::Info, Reply::new(426, "Aborted via ABOR."));
    }

    /// A library user's command that is done on a worker thread.
    pub(super) fn pooled(&mut self, run: Pooled, path: VirtualPath) {
        let Some(account) = self.account.clone() else {
            return self.finish(not_logged_in());
        };
        let (canceller, cancel) = cancel();
        let work = Work::new(account, cancel);
        let job = Job::Command { run, work, path };
        self.abortable_job(
            job,
            OnAbort::Cancels(canceller),
            |it, outcome| match outcome {
                Outcome::Reply(reply) => it.finish(reply),
                _ => it.lost(),
            },
        );
    }

    /// Runs file work for the command in progress.
    pub(super) fn files(
        &mut self,
        work: Files,
        then: impl FnOnce(&mut Interpreter, Outcome) + 'static,
    ) {
        let Some(account) = &self.account else {
            return self.finish(not_logged_in());
        };
        let on_abort = match work.changes_something() {
            true => OnAbort::Waits,
            false => OnAbort::Leaves,
        };
        let job = Job::Files(Arc::clone(account.filesystem()), work);
        self.abortable_job(job, on_abort, then);
    }

    pub(super) fn job(&mut self, job: Job, then: impl FnOnce(&mut Interpreter, Outcome) + 'static) {
        self.abortable_job(job, OnAbort::Waits, then);
    }

    pub(super) fn abortable_job(
        &mut self,
        job: Job,
        on_abort: OnAbort,
        then: impl FnOnce(&mut Interpreter, Outcome) + 'static,
    ) {
        let id = self.new_job();
        let then = Box::new(then);
        self.wait = Wait::Job { id, then, on_abort };
        self.effect(Effect::Job(id, job));
    }

    pub(super) fn new_job(&mut self) -> JobId {
        self.last_job = self.last_job.wrapping_add(1);
        self.last_job
    }

    pub(super) fn job_done(&mut self, id: JobId, outcome: Outcome) {
        match std::mem::replace(&mut self.wait, Wait::Nothing) {
            Wait::Job {
                id: waited, then, ..
            } if waited == id => then(self, outcome),
            other => {
                self.wait = other;
                match self.transfer_job.take_if(|(waited, _)| *waited == id) {
                    Some((_, then)) => then(self, outcome),
                    None => self.left = self.left.saturating_sub(1),
                }
            }
        }
    }
}
