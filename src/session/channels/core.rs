//! All of a session but its handler: the interpreter, the control and the data channel, and what they
//! all need: log lines, replies, timers, worker threads.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftpdlib_reactor::{Context, TcpStream, TimerId};
use log::Level;

use super::control::Control;
use super::dtp::Dtp;
use super::slot::{OWN_TIMERS, TAG_DATA, TAG_IDLE};
use crate::proto::escape::Escaped;
use crate::proto::reply::Reply;
use crate::session::common::Common;
use crate::session::flow::rates::Rates;
use crate::session::interpreter::{Input, Interpreter};
use crate::session::limits::census::Seat;
use crate::session::logging;
use crate::session::note::Note;
use crate::session::per_loop::{PerLoop, lend, take_back};
use crate::session::work::caught::caught;
use crate::session::work::elsewhere::closes_elsewhere;
use crate::session::work::job::{Job, Outcome};
use crate::session::work::pool::{Pool, Refused};
use crate::stream::Stream;
use crate::tls::{Tls, TlsSession};

/// How long a client that is sent away has to take its last reply.
const FAREWELL: Duration = Duration::from_secs(10);

/// All of a session but its handler, which callbacks may use.
pub(crate) struct Core {
    pub(crate) common: Arc<Common>,
    pub(crate) interpreter: Interpreter,
    pub(crate) control: Control,
    pub(crate) dtp: Dtp,
    /// What the interpreter is to be told next.
    pub(crate) inputs: VecDeque<Input>,
    timers: [Option<TimerId>; OWN_TIMERS],
    /// Which of them are stopped, by their bits.
    stopped: u8,
    /// Tells a flow's job from one of an earlier flow.
    pub(crate) flow_number: u32,
    /// Jobs of flows that ABOR has ended, and that are not done yet.
    pub(super) jobs_left: u8,
    /// What the client's transfers are held to, since the first one for which there is a limit.
    pub(super) rates: Option<Box<Rates>>,
    pub(crate) life: Life,
    /// The interpreter wants to know when the client has taken everything.
    pub(crate) awaits_drain: bool,
    /// TLS begins on the control connection when its replies are sent.
    pub(crate) starts_tls: bool,
    /// What the session's connections use since TLS began.
    pub(crate) tls: Option<Box<TlsSession>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// The last replies are to leave.
    Leaving,
    /// They wait for the client to take them.
    Lingering,
    Closed,
}

impl Core {
    pub(crate) fn new(
        common: Arc<Common>,
        socket: TcpStream,
        peer: SocketAddr,
        seat: Seat,
    ) -> io::Result<Core> {
        let local = match common.address {
            Some(address) => address,
            None => socket.local_addr()?,
        };
        let stream = Stream::new(socket);
        let mute = common.config.tls.as_ref().is_some_and(Tls::is_implicit);
        let interpreter = Interpreter::new(Arc::clone(&common.config), seat, peer, local);
        Ok(Core {
            common,
            interpreter,
            control: Control::new(stream, mute),
            dtp: Dtp::Idle,
            inputs: VecDeque::new(),
            timers: [None; OWN_TIMERS],
            stopped: 0,
            flow_number: 0,
            jobs_left: 0,
            rates: None,
            life: Life::Open,
            awaits_drain: false,
            starts_tls: false,
            tls: None,
        })
    }

    /// Tells the interpreter what happened.
    pub(crate) fn hear(&mut self, input: Input) {
        self.interpreter.handle(&self.common.table, input);
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        logging::line(
            level,
            self.interpreter.peer(),
            self.interpreter.username(),
            message,
        );
    }

    /// Holds no memory that is not in use, as the session waits for its client.
    pub(crate) fn shrink(&mut self, cx: &mut Context<'_>) {
        if self.common.alone && matches!(self.dtp, Dtp::Idle) {
            cx.release_scratch();
        }
    }

    /// Has the loop's buffers for as long as there is something to do.
    pub(crate) fn borrow_buffers(&mut self, cx: &mut Context<'_>) {
        let kept = cx.common::<PerLoop>();
        lend(&mut kept.inputs, &mut self.inputs);
        lend(&mut kept.steps, self.interpreter.buffer());
        lend(&mut kept.replies, self.control.buffer());
    }

    /// Gives back those in which nothing waits.
    pub(crate) fn return_buffers(&mut self, cx: &mut Context<'_>) {
        let kept = cx.common::<PerLoop>();
        take_back(&mut kept.inputs, &mut self.inputs);
        take_back(&mut kept.steps, self.interpreter.buffer());
        take_back(&mut kept.replies, self.control.buffer());
        if self.common.alone {
            kept.release_buffers();
        }
    }

    /// Whether the interpreter wants something, or is to be told something.
    pub(crate) fn has_work(&self) -> bool {
        self.interpreter.has_steps() || !self.inputs.is_empty()
    }

    /// Nothing that was under way goes on.
    pub(crate) fn forget(&mut self) {
        self.inputs.clear();
        self.interpreter.buffer().clear();
    }

    /// Queues a reply; it leaves with the others of this turn.
    pub(crate) fn respond(&mut self, reply: &Reply, level: Level) {
        if logging::enabled(Level::Debug) {
            self.log(level, &format!("-> {reply}"));
        } else if level < Level::Debug {
            self.log(level, &Escaped(reply.text()).to_string());
        }
        self.control.push(reply, self.common.config.encoding);
    }

    /// Nothing is done any more; what is not sent yet is lost.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>) {
        self.life = Life::Closed;
        cx.close();
    }

    /// No line is taken any more; the session closes when its replies are sent, to which the client's
    /// turn comes by itself: whatever is called here is called in the midst of it.
    pub(crate) fn close_when_done(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Leaving;
        }
    }

    pub(crate) fn take_leave(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.control.may_speak() {
            if !self.control.flush_last(cx)? || !self.control.send_end(cx)? {
                if self.life == Life::Leaving {
                    self.life = Life::Lingering;
                    self.arm(cx, TAG_IDLE, FAREWELL);
                }
                return Ok(());
            }
            // Before he can see the end of the connection, and come again.
            self.interpreter.leave_seat();
            self.control.finish(cx)?;
        }
        cx.close();
        Ok(())
    }

    /// See [`Effect::KeepAlive`](crate::session::interpreter::Effect::KeepAlive). It also finds out that the
    /// client is gone without a word.
    pub(super) fn keep_alive(&self) {
        if let Err(error) = self.control.stream().keep_alive() {
            let text = format!("cannot keep the control connection alive: {error}");
            self.log(Level::Debug, &text);
        }
    }

    /// (Re)starts one of the session's own timers; zero stops it.
    ///
    /// One that each transfer stops stays where it is, to be moved on by the next; if none comes, it rings in
    /// vain. The others are given back, for they are wanted once in a session.
    pub(crate) fn arm(&mut self, cx: &mut Context<'_>, tag: usize, delay: Duration) {
        match (self.timers[tag], delay.is_zero()) {
            (None, true) => {}
            (None, false) => self.timers[tag] = Some(cx.call_later(delay, tag)),
            (Some(id), false) => {
                cx.reset(id, delay);
                self.stopped &= !(1 << tag);
            }
            (Some(_), true) if matches!(tag, TAG_IDLE | TAG_DATA) => self.stopped |= 1 << tag,
            (Some(id), true) => {
                cx.cancel(id);
                self.timers[tag] = None;
            }
        }
    }

    /// One of the session's own timers has rung; false if it was stopped.
    pub(crate) fn rings(&mut self, tag: usize) -> bool {
        self.timers[tag] = None;
        let bit = 1 << tag;
        let stopped = self.stopped & bit != 0;
        self.stopped &= !bit;
        !stopped
    }

    /// Runs a job on a worker thread, which sends its outcome. The session's channels go on
    /// meanwhile: whoever waits for the outcome knows that.
    pub(crate) fn run_on_pool(
        &mut self,
        cx: &mut Context<'_>,
        job: Job,
        note: impl FnOnce(Outcome) -> Note + Send + 'static,
    ) -> bool {
        let (handle, key, hands) = (cx.handle(), cx.key(), self.common.pool.hands());
        let pool = match job {
            Job::Authenticate(..) => &self.common.logins,
            _ => &self.common.pool,
        };
        // Better that the loop waits for the disk than that nothing comes.
        let may_be_here = matches!(job, Job::Warm(_)) || !job.is_of_slow_files();
        let slow = job.is_of_slow_files();
        let started = self.start(cx, pool, move || {
            let done = caught(|| closes_elsewhere(job.run(), slow, || hands.clone()));
            handle.send(key, Box::new(note(done.unwrap_or(Outcome::Lost))));
        });
        match started {
            Ok(()) => true,
            Err(Refused { task, .. }) if may_be_here => {
                task();
                true
            }
            Err(_) => false,
        }
    }

    /// Starts a task on a worker thread.
    pub(crate) fn on_pool(
        &self,
        cx: &Context<'_>,
        task: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refused> {
        self.start(cx, &self.common.pool, task)
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
