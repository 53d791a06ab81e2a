//! The loop's state and the only code that calls dispatchers: takes the box out of its slot, calls
//! it behind the panic guard, puts it back, and then starts and closes whom the callback asked for.

use crate::commons::Commons;
use crate::guard::{LOG, guard};
use crate::post::{Op, Shared, drop_op};
use crate::queue::Queue;
use crate::ready::untoken;
use crate::signals::Signals;
use crate::slots::Slots;
use crate::sys::alarm::Alarm;
use crate::timers::{Due, Timers};
use crate::{Channel, Context, Dispatcher, Key, Ready};
use mio::{Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a callback asked for that has to wait until it returned.
pub(crate) enum After {
    Start(Key),
    Close(Key),
}

pub(crate) struct Engine {
    pub(crate) registry: Registry,
    pub(crate) slots: Slots<Box<dyn Dispatcher>>,
    pub(crate) timers: Timers,
    /// Wakes the loop for timers that are far off. A loop for a few sources saves the descriptor.
    pub(crate) alarm: Option<Alarm>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) signals: Signals,
    pub(crate) after: VecDeque<After>,
    /// Channels to call in the next turn's `again` phase.
    pub(crate) again: Vec<(Key, Channel)>,
    pub(crate) queue: Queue,
    pub(crate) now: Instant,
    pub(crate) stopping: bool,
    /// Callbacks in this turn so far.
    calls: usize,
    /// Callbacks in this turn when `now` was read.
    calls_at_now: usize,
    /// The reactor is being dropped: nobody new comes in.
    closing_down: bool,
    scratch: Box<[u8]>,
    scratch_size: usize,
    pub(crate) commons: Commons,
    // Memory that is used again every turn.
    again_now: Vec<(Key, Channel)>,
    due: Vec<Due>,
    ops: Vec<Op>,
}

impl Engine {
    pub(crate) fn new(registry: Registry, shared: Arc<Shared>, scratch_size: usize) -> Engine {
        let now = Instant::now();
        Engine {
            registry,
            slots: Slots::new(),
            timers: Timers::new(),
            alarm: None,
            shared,
            signals: Signals::new(),
            after: VecDeque::new(),
            again: Vec::new(),
            queue: Queue::new(now),
            now,
            stopping: false,
            calls: 0,
            calls_at_now: 0,
            closing_down: false,
            scratch: Box::default(),
            scratch_size,
            commons: Commons::default(),
            again_now: Vec::new(),
            due: Vec::new(),
            ops: Vec::new(),
        }
    }

    pub(crate) fn refresh(&mut self) -> Instant {
        self.now = Instant::now();
        self.calls_at_now = self.calls;
        self.now
    }

    /// For the next phase of a turn: the clock is read again if somebody was called meanwhile.
    fn begin_phase(&mut self) -> Instant {
        match self.calls == self.calls_at_now {
            true => self.now,
            false => self.refresh(),
        }
    }

    pub(crate) fn watch_signals(&mut self, key: Key, signals: &[i32]) -> io::Result<()> {
        if self.slots.get(key).is_none() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no such dispatcher to watch signals",
            ));
        }
        self.signals.watch(&self.registry, key, signals)
    }

    pub(crate) fn scratch(&mut self) -> &mut [u8] {
        if self.scratch.is_empty() {
            self.scratch = vec![0; self.scratch_size].into_boxed_slice();
        }
        &mut self.scratch
    }

    pub(crate) fn release_scratch(&mut self) {
        self.scratch = Box::default();
    }

    /// Gives the dispatcher a slot. Its `start` comes when the running callback has returned.
    pub(crate) fn spawn(&mut self, dispatcher: Box<dyn Dispatcher>) -> Key {
        let refused = if self.closing_down {
            dispatcher
        } else {
            match self.slots.insert(dispatcher) {
                Ok(key) => {
                    self.after.push_back(After::Start(key));
                    return key;
                }
                Err(dispatcher) => {
                    log::error!(target: LOG, "no slot left for another dispatcher");
                    dispatcher
                }
            }
        };
        guard("dropping a dispatcher", || drop(refused));
        Key::NOBODY
    }

    /// How long the poller may wait: not at all while something is to be done, otherwise until the
    /// next timer, or until anything comes if the alarm will ring for that. Rounded up to
    /// milliseconds, the grain of most pollers, so that the loop does not turn in vain just before a
    /// deadline.
    pub(crate) fn wait(&mut self, at_most: Option<Duration>) -> Option<Duration> {
        if !self.again.is_empty() || !self.queue.is_empty() || self.shared.has_work() {
            return Some(Duration::ZERO);
        }
        let next = self.timers.next_look();
        let alarm = self.alarm.as_mut();
        let next = next.filter(|&next| !alarm.is_some_and(|alarm| alarm.covers(next)));
        let timer = next.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            let millis = left.subsec_nanos().div_ceil(1_000_000);
            Duration::from_secs(left.as_secs()).saturating_add(Duration::from_millis(millis.into()))
        });
        match (timer, at_most) {
            (Some(timer), Some(at_most)) => Some(timer.min(at_most)),
            (timer, at_most) => timer.or(at_most),
        }
    }

    /// Turns the channels over that asked for `again` in the last turn. To be called before the
    /// events of this turn, which may ask for it anew.
    pub(crate) fn begin_turn(&mut self) {
        self.calls = 0;
        let now = self.refresh();
        self.queue.begin_turn(now);
        std::mem::swap(&mut self.again, &mut self.again_now);
    }

    /// An event of the poller. One for a sleeping channel is kept for its waking; one for a
    /// channel that is to be called anyway comes with that, so that it gets one budget, not two.
    pub(crate) fn event(&mut self, token: Token, ready: Ready) {
        let (index, channel, is) = untoken(token);
        let Some((key, slot)) = self.slots.at(index) else {
            return;
        };
        if !is(key.generation) {
            return;
        }
        if slot.is_asleep(channel) || (slot.again | slot.queued) & channel.bit() != 0 {
            if ready.is_read_closed() {
                slot.read_closed |= channel.bit();
            }
            return;
        }
        self.call(key, |dispatcher, cx| dispatcher.ready(cx, channel, ready));
    }

    /// The timers that it rang for come in their own phase.
    pub(crate) fn alarm_event(&mut self) {
        if let Some(alarm) = &mut self.alarm {
            alarm.has_rung();
        }
    }

    /// Signals that arrived since the last turn, to whoever watches them.
    pub(crate) fn signal_event(&mut self) {
        for signal in self.signals.read() {
            for key in self.signals.watchers(signal) {
                self.call(key, |dispatcher, cx| dispatcher.signal(cx, signal));
            }
        }
    }

    pub(crate) fn run_again(&mut self) {
        if self.again_now.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.again_now);
        for (key, channel) in batch.drain(..) {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            slot.again &= !channel.bit();
            // Its waking will call it anyway.
            if slot.is_asleep(channel) {
                continue;
            }
            let ready = Ready::again(slot.take_read_closed(channel));
            self.call(key, |dispatcher, cx| dispatcher.ready(cx, channel, ready));
        }
        self.again_now = batch;
    }

    /// Calls those who have waited longest, as long as the turn has time. Whoever comes meanwhile goes
    /// behind them.
    pub(crate) fn run_queue(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let now = self.begin_phase();
        self.queue.begin(now);
        let mut served = 0;
        for _ in 0..self.queue.len() {
            let Some((key, channel)) = self.queue.pop(served) else {
                break;
            };
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            slot.queued &= !channel.bit();
            if slot.is_asleep(channel) {
                continue;
            }
            let ready = Ready::again(slot.take_read_closed(channel));
            served += 1;
            self.queue.serve(true);
            self.call_only(key, |dispatcher, cx| dispatcher.ready(cx, channel, ready));
            self.queue.serve(false);
            self.settle();
        }
    }

    pub(crate) fn run_timers(&mut self) {
        let now = self.begin_phase();
        if !self.timers.may_be_due(now) {
            return;
        }
        let mut batch = std::mem::take(&mut self.due);
        self.timers.collect(now, &mut batch);
        for due in batch.drain(..) {
            let Some(fired) = self.timers.fire(due, now) else {
                continue;
            };
            let Some((key, slot)) = self.slots.at(fired.owner as usize) else {
                continue;
            };
            if !fired.repeats {
                self.timers.remove(fired.id, &mut slot.timers);
            }
            self.call(key, |dispatcher, cx| {
                dispatcher.timeout(cx, fired.id, fired.tag);
            });
        }
        self.due = batch;
    }

    /// Does what had been posted when this phase began; what is posted meanwhile waits a turn.
    pub(crate) fn run_posted(&mut self) {
        if !self.shared.has_work() {
            return;
        }
        let now = self.begin_phase();
        self.queue.begin_posted(now);
        let mut batch = std::mem::take(&mut self.ops);
        self.shared.take(&mut batch);
        for op in batch.drain(..) {
            self.posted(op);
        }
        self.ops = batch;
    }

    fn posted(&mut self, op: Op) {
        match op {
            Op::Message(key, message) => {
                if self.slots.get(key).is_some() {
                    self.call(key, |dispatcher, cx| dispatcher.message(cx, message));
                } else {
                    drop_op(Op::Message(key, message));
                }
            }
            Op::Call(f) => {
                guard("a posted closure", || {
                    f(&mut Context::new(self, Key::NOBODY));
                });
                self.settle();
            }
            Op::Wake(key, channel) => self.wake(key, channel),
            Op::Stop => self.stopping = true,
        }
    }

    fn wake(&mut self, key: Key, channel: Channel) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.wake(channel) {
            let ready = Ready::woken(slot.take_read_closed(channel));
            self.call(key, |dispatcher, cx| dispatcher.ready(cx, channel, ready));
        }
    }

    /// Calls a dispatcher, and then does what it asked for.
    fn call(&mut self, key: Key, f: impl FnOnce(&mut dyn Dispatcher, &mut Context<'_>)) {
        self.call_only(key, f);
        self.settle();
    }

    fn call_only(&mut self, key: Key, f: impl FnOnce(&mut dyn Dispatcher, &mut Context<'_>)) {
        let Some(mut dispatcher) = self.slots.take(key) else {
            return;
        };
        self.calls += 1;
        let called = guard("a dispatcher", || {
            f(&mut *dispatcher, &mut Context::new(self, key));
        });
        self.slots.put_back(key, dispatcher);
        if called.is_none() {
            self.after.push_back(After::Close(key));
        }
    }

    /// Starts and closes, in the order it was asked for. Nobody's callback is running.
    pub(crate) fn settle(&mut self) {
        while let Some(after) = self.after.pop_front() {
            match after {
                After::Start(key) => self.call_only(key, |dispatcher, cx| dispatcher.start(cx)),
                After::Close(key) => self.close(key),
            }
        }
    }

    /// The one place where dispatchers end.
    fn close(&mut self, key: Key) {
        let Some(mut dispatcher) = self.slots.take(key) else {
            return;
        };
        guard("a dispatcher's `closed`", || {
            dispatcher.closed(&mut Context::new(self, key));
        });
        if let Some(slot) = self.slots.get_mut(key) {
            self.timers.remove_all(&mut slot.timers);
        }
        self.slots.remove(key);
        self.signals.forget(key);
        guard("dropping a dispatcher", || drop(dispatcher));
    }

    /// Closes everybody, for good.
    pub(crate) fn close_down(&mut self) {
        self.closing_down = true;
        let keys = self.slots.present().map(|(key, _)| After::Close(key));
        self.after.extend(keys);
        self.settle();
        self.shared.shut();
    }
}
