//! The data channel's part of a session: carries out what the interpreter asks of it, and tells
//! it what became of that.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ftpdlib_reactor::{Context, Interest, TcpStream, connect, finish_connect};
use log::Level;

use super::core::Core;
use super::dtp::{self, Arrival, Dtp};
use super::slot::{DATA, TAG_ACCEPT, TAG_PAUSE, TAG_STALL};
use crate::auth::Account;
use crate::fs::File;
use crate::proto::addr::on_link_of;
use crate::session::flow::rates::Rates;
use crate::session::flow::ready::Ready;
use crate::session::flow::{Flow, Manner, Means, Turn};
use crate::session::interpreter::{End, Input, Progress, Verdict};
use crate::session::limits::census::{Allowance, Counted, Direction};
use crate::session::note::Note;
use crate::session::per_loop::PerLoop;
use crate::session::work::cancel::{MOST_LEFT, cancel};
use crate::session::work::job::{Outcome, Source};
use crate::stream::Stream;

/// How long to wait before the next try to take a data connection when descriptors are short.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How long a client's connection may wait at the passive socket for his next command. Many a client
/// connects and says at once what for; then the event loop need not tell of both. As short as strangers
/// need to fill the queue, and keep him out.
const COMMAND_SOON: Duration = Duration::from_millis(200);

/// Into how many parts `data_timeout` is cut for a download: so often it is looked whether bytes leave
/// the system's buffer while none go into it.
const LOOKS: u32 = 4;

/// Strangers that may be sent away before others have their turn.
const ACCEPTS_PER_TURN: u32 = 16;

impl Core {
    pub(super) fn listen(&mut self, cx: &mut Context<'_>) {
        let opened = self.try_listen(cx);
        self.inputs.push_back(Input::Listening(opened));
    }

    fn try_listen(&mut self, cx: &mut Context<'_>) -> io::Result<u16> {
        let counted = self.count_in()?;
        let random = cx.common::<PerLoop>().numbers.next();
        let config = &self.common.config;
        let local = self.interpreter.local();
        let mut listener = dtp::listen(
            local,
            config.passive_ports.as_ref(),
            random,
            |level, text| {
                self.log(level, text);
            },
        )?;
        let port = listener.port()?;
        // A timeout that is about as short would count the time of a client who has come.
        let timeout = config.passive_timeout;
        let hurried = !timeout.is_zero() && timeout < 2 * COMMAND_SOON;
        let watched = hurried || self.interpreter.awaits_data();
        if watched {
            cx.register(&mut listener, DATA, Interest::READABLE)?;
        } else {
            self.arm(cx, TAG_ACCEPT, COMMAND_SOON);
        }
        self.dtp = Dtp::Listening {
            listener,
            counted,
            watched,
            exhausted: false,
        };
        Ok(port)
    }

    /// Has the event loop tell who comes to the passive socket, or is there.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Dtp::Listening {
            listener,
            watched: watched @ false,
            ..
        } = &mut self.dtp
        {
            cx.register(listener, DATA, Interest::READABLE)?;
            *watched = true;
        }
        Ok(())
    }

    /// Before a command: takes whom the passive socket has, if nobody has looked yet, so that it finds
    /// the data connection that its client made before. True if the interpreter is to hear of somebody.
    pub(crate) fn meets(&mut self, cx: &mut Context<'_>) -> bool {
        let unseen = matches!(self.dtp, Dtp::Listening { watched: false, .. });
        if unseen {
            self.accept(cx);
        }
        unseen && !self.inputs.is_empty()
    }

    pub(super) fn connect(&mut self, cx: &mut Context<'_>, addr: SocketAddr) {
        if let Err(error) = self.try_connect(cx, addr) {
            self.inputs.push_back(Input::Connected(Err(error)));
        }
    }

    fn try_connect(&mut self, cx: &mut Context<'_>, addr: SocketAddr) -> io::Result<()> {
        let counted = self.count_in()?;
        let local = self.interpreter.local();
        let mut socket = connect(on_link_of(addr, local), Some(local.ip()))?;
        cx.register(&mut socket, DATA, Interest::WRITABLE)?;
        self.dtp = Dtp::Connecting { socket, counted };
        Ok(())
    }

    /// The event loop says that the data channel may go on.
    pub(crate) fn data_ready(&mut self, cx: &mut Context<'_>, ready: ftpdlib_reactor::Ready) {
        match &mut self.dtp {
            Dtp::Idle => {}
            Dtp::Listening { .. } => self.accept(cx),
            Dtp::Connecting { socket, .. } => match finish_connect(socket) {
                Ok(false) => {}
                Ok(true) => {
                    self.open();
                    self.inputs.push_back(Input::Connected(Ok(())));
                }
                Err(error) => {
                    self.dtp = Dtp::Idle;
                    self.inputs.push_back(Input::Connected(Err(error)));
                }
            },
            Dtp::Open { stream, .. } if stream.is_handshaking() => self.shake_hands(cx),
            Dtp::Open { stream, .. } => {
                stream.heard(ready);
                self.pump(cx);
            }
        }
    }

    /// Takes what came to the passive socket.
    fn accept(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Dtp::Listening {
                listener,
                exhausted,
                ..
            } = &mut self.dtp
            else {
                return;
            };
            let interpreter = &self.interpreter;
            match dtp::accept(listener, |ip| interpreter.admits(ip)) {
                Ok(Arrival::Client(socket)) => {
                    self.adopt(socket);
                    self.inputs.push_back(Input::DataOpened);
                }
                Ok(Arrival::Stranger(peer)) => self.inputs.push_back(Input::DataRejected(peer)),
                Ok(Arrival::Nobody) => match self.watch(cx) {
                    Ok(()) => return,
                    Err(error) => return self.inputs.push_back(Input::DataFailed(error)),
                },
                Ok(Arrival::Exhausted) => {
                    if !mem::replace(exhausted, true) {
                        let text = "out of file descriptors; a data connection waits";
                        self.log(Level::Warn, text);
                    }
                    return self.arm(cx, TAG_ACCEPT, ACCEPT_AGAIN);
                }
                Err(error) => return self.inputs.push_back(Input::DataFailed(error)),
            }
        }
        cx.again(DATA);
    }

    /// The passive socket gives way to the connection that it was for.
    fn adopt(&mut self, socket: TcpStream) {
        if let Dtp::Listening { counted, .. } = mem::take(&mut self.dtp) {
            let stream = Stream::new(socket);
            self.dtp = Dtp::Open {
                stream,
                flow: None,
                counted,
            };
        }
    }

    /// The active connection is made.
    fn open(&mut self) {
        if let Dtp::Connecting { socket, counted } = mem::take(&mut self.dtp) {
            let stream = Stream::connected(socket);
            self.dtp = Dtp::Open {
                stream,
                flow: None,
                counted,
            };
        }
    }

    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        source: Source,
        ascii: bool,
        slow: bool,
        offset: u64,
    ) {
        let throttled = self.throttle(Direction::Sent, cx.now());
        let config = &self.common.config;
        let manner = Manner {
            ascii,
            slow,
            alone: self.common.alone,
            throttled,
            allowance: self.allowance(Direction::Sent),
        };
        let secured = matches!(&self.dtp, Dtp::Open { stream, .. } if stream.is_secured());
        let sendfile = config.use_sendfile && !secured;
        let mut flow = Flow::send(source, offset, sendfile, manner, cx.now());
        if flow.may_starve() {
            // It may be silent for ever, and nothing is asked of the client meanwhile.
            self.keep_alive();
            if let (Dtp::Open { stream, .. }, true) = (&self.dtp, config.tcp_no_delay) {
                stream.set_no_delay();
            }
            let number = self.flow_number.wrapping_add(1);
            flow.wake_by(Ready::new(cx.handle(), cx.key(), number));
        }
        self.begin(cx, flow);
    }

    pub(super) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        file: Box<dyn File>,
        ascii: bool,
        slow: bool,
    ) {
        let manner = Manner {
            ascii,
            slow,
            alone: self.common.alone,
            throttled: self.throttle(Direction::Received, cx.now()),
            allowance: self.allowance(Direction::Received),
        };
        let flow = Flow::receive(file, manner, cx.now());
        self.begin(cx, flow);
    }

    fn count_in(&self) -> io::Result<Counted> {
        let limits = self.interpreter.account().map(Account::his_limits);
        self.interpreter
            .seat()
            .connection(limits.unwrap_or_default())
    }

    /// Whether a transfer in this direction, which begins now, is held to a rate of the client's.
    fn throttle(&mut self, direction: Direction, now: Instant) -> bool {
        let config = &self.common.config;
        if config.read_limit == 0 && config.write_limit == 0 {
            return false;
        }
        let rates = self
            .rates
            .get_or_insert_with(|| Box::new(Rates::new(config)));
        let throttle = rates.of(direction);
        throttle.map(|throttle| throttle.begin(now)).is_some()
    }

    /// What the user's transfers in this direction share.
    fn allowance(&self, direction: Direction) -> Option<Allowance> {
        match &self.dtp {
            Dtp::Open { counted, .. } => counted.allowance(direction),
            _ => None,
        }
    }

    fn begin(&mut self, cx: &mut Context<'_>, new: Flow) {
        let now = cx.now();
        let Dtp::Open { stream, flow, .. } = &mut self.dtp else {
            // The connection was lost in the meantime.
            return self
                .inputs
                .push_back(Input::Ended(new.end(Verdict::Disconnected, now)));
        };
        // A client sends when it is told to, by a reply that is not out yet.
        let receives = new.wants().read;
        let is_early = receives && self.control.has_unsent() && !stream.is_secured();
        *flow = Some(Box::new(new));
        self.flow_number = self.flow_number.wrapping_add(1);
        let timeout = self.common.config.data_timeout;
        self.arm(cx, TAG_STALL, next_look(receives, timeout, timeout));
        if is_early {
            self.wait(cx);
        } else {
            self.pump(cx);
        }
    }

    /// Has the event loop tell when the connection is ready for the flow.
    fn wait(&mut self, cx: &mut Context<'_>) {
        if let Dtp::Open {
            stream,
            flow: Some(flow),
            ..
        } = &mut self.dtp
            && let Err(error) = stream.wait_for(cx, DATA, flow.wants())
        {
            self.end_flow(Verdict::File(error), cx.now());
        }
    }

    /// Lets the flow go on, as soon as it is its turn.
    fn pump(&mut self, cx: &mut Context<'_>) {
        let flows = matches!(self.dtp, Dtp::Open { flow: Some(_), .. });
        if flows && !cx.must_queue(DATA) {
            self.pump_now(cx);
        }
    }

    /// Lets the flow move what it can, and arranges for what it needs next.
    fn pump_now(&mut self, cx: &mut Context<'_>) {
        let now = cx.now();
        if cx.is_asleep(DATA) {
            return;
        }
        let Dtp::Open {
            stream,
            flow: Some(flow),
            ..
        } = &mut self.dtp
        else {
            return;
        };
        match flow.turn(
            stream,
            &mut Means {
                scratch: cx.scratch(),
                pipes: &self.common.pipes,
                pool: &self.common.pool,
                throttle: match &mut self.rates {
                    Some(rates) => rates.of(flow.direction()),
                    None => None,
                },
            },
            now,
        ) {
            Turn::Again => cx.queue(DATA),
            Turn::Blocked => self.wait(cx),
            Turn::Starved => {}
            Turn::Pause(pause) => {
                flow.sleep(cx.del_channel(DATA));
                self.arm(cx, TAG_PAUSE, pause);
            }
            Turn::Job(mut job) => {
                let (canceller, cancel) = cancel();
                job.cancel_by(cancel);
                flow.works(canceller);
                let number = self.flow_number;
                if !self.run_on_pool(cx, job, move |outcome| Note::Flow(number, outcome)) {
                    let error = io::Error::other("No worker thread");
                    self.end_flow(Verdict::File(error), now);
                }
            }
            Turn::Ended(verdict) => self.end_flow(verdict, now),
        }
    }

    pub(crate) fn flow_job_done(&mut self, cx: &mut Context<'_>, number: u32, outcome: Outcome) {
        // What a worker thread has made ready is little: it would queue as long as others for 1 MiB.
        let is_little = !matches!(outcome, Outcome::Warmed(..));
        match &mut self.dtp {
            Dtp::Open {
                flow: Some(flow), ..
            } if number == self.flow_number => match flow.job_done(outcome, cx.now()) {
                Some(verdict) => self.end_flow(verdict, cx.now()),
                None if is_little && !cx.is_over_time() => self.pump_now(cx),
                None => self.pump(cx),
            },
            _ => self.jobs_left = self.jobs_left.saturating_sub(1),
        }
    }

    /// A file that had nothing to read has something.
    pub(crate) fn flow_fed(&mut self, cx: &mut Context<'_>, number: u32) {
        if number != self.flow_number {
            return;
        }
        if let Dtp::Open {
            flow: Some(flow), ..
        } = &mut self.dtp
        {
            flow.fed();
            self.pump(cx);
        }
    }

    pub(crate) fn data_timer(&mut self, cx: &mut Context<'_>, tag: usize) {
        match (tag, &mut self.dtp) {
            (TAG_ACCEPT, Dtp::Listening { .. }) => self.accept(cx),
            // The channel wakes, and with it the flow goes on.
            (
                TAG_PAUSE,
                Dtp::Open {
                    flow: Some(flow), ..
                },
            ) => flow.wake(),
            (
                TAG_STALL,
                Dtp::Open {
                    stream,
                    flow: Some(flow),
                    ..
                },
            ) => {
                let (now, timeout) = (cx.now(), self.common.config.data_timeout);
                let receives = flow.wants().read;
                if !receives {
                    flow.look(stream, now);
                }
                let stalled = flow.stalled_for(now);
                if stalled >= timeout && !flow.is_held() && !cx.is_queued(DATA) {
                    self.end_flow(Verdict::Stalled, now);
                } else {
                    let rest = timeout.saturating_sub(stalled);
                    self.arm(cx, TAG_STALL, next_look(receives, rest, timeout));
                }
            }
            _ => {}
        }
    }

    pub(super) fn abort(&mut self, now: Instant) {
        if let Dtp::Open {
            flow: Some(flow), ..
        } = &mut self.dtp
        {
            if flow.abort(self.jobs_left < MOST_LEFT) {
                return;
            }
            self.jobs_left += u8::from(flow.has_job());
        }
        self.end_flow(Verdict::Aborted, now);
    }

    /// The session is closed with whatever was under way.
    pub(crate) fn abandon(&mut self, now: Instant) {
        let progress = self.progress(now);
        if let Dtp::Listening {
            listener,
            watched: false,
            ..
        } = &mut self.dtp
        {
            dtp::send_away(listener, ACCEPTS_PER_TURN);
        }
        self.dtp = Dtp::Idle;
        let verdict = Verdict::Disconnected;
        self.inputs
            .push_back(Input::Ended(End { verdict, progress }));
    }

    /// Closes the data connection, then tells (RFC 959, 3.3: the reply follows the close).
    fn end_flow(&mut self, verdict: Verdict, now: Instant) {
        if let Dtp::Open {
            flow: Some(flow), ..
        } = mem::take(&mut self.dtp)
        {
            self.inputs.push_back(Input::Ended(flow.end(verdict, now)));
        }
    }

    pub(crate) fn progress(&self, now: Instant) -> Progress {
        match &self.dtp {
            Dtp::Open {
                flow: Some(flow), ..
            } => flow.progress(now),
            _ => Progress::default(),
        }
    }
}

/// When to look next whether a transfer stalls, of whose `timeout` so much is left.
fn next_look(receives: bool, rest: Duration, timeout: Duration) -> Duration {
    let most = match receives {
        true => timeout,
        false => timeout / LOOKS,
    };
    rest.clamp(timeout / (2 * LOOKS), most)
}
