//! Timers: a heap of deadlines over a slab of timers. Cancelling and moving a deadline later touch
//! the slab only; the heap learns of it when the old entry surfaces. A dispatcher's timers are
//! linked, so that they die with it at once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// No timer: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// A period below this would keep the loop from ever waiting.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// Stands in for deadlines that the clock cannot express.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);

/// The name of one timer. Cancelling or resetting a timer that has fired, or was cancelled, or
/// whose dispatcher is closed, does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    /// Names no timer.
    pub(crate) const NONE: TimerId = TimerId {
        index: NONE,
        generation: 0,
    };
}

struct Timer {
    deadline: Instant,
    /// The deadline its heap entry was pushed with; `None` when it has none.
    queued: Option<Instant>,
    period: Option<Duration>,
    tag: usize,
    /// Which heap entry, or which entry of a batch of due ones, is this timer's. 0 when free.
    entry: u64,
    generation: u32,
    /// The dispatcher's slot; when free, the next free timer.
    owner: u32,
    previous: u32,
    next: u32,
}

#[derive(PartialEq, Eq)]
struct Entry {
    deadline: Instant,
    /// Counts up: equal deadlines surface in the order they were set.
    number: u64,
    index: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (self.deadline, self.number).cmp(&(other.deadline, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A timer that was due when the batch was collected.
#[derive(Clone, Copy)]
pub(crate) struct Due {
    index: u32,
    entry: u64,
}

/// What to call for a due timer.
pub(crate) struct Fired {
    pub(crate) id: TimerId,
    pub(crate) tag: usize,
    pub(crate) owner: u32,
    /// It goes on: `call_every`. Otherwise the caller frees it before the callback.
    pub(crate) repeats: bool,
}

pub(crate) struct Timers {
    timers: Vec<Timer>,
    free: u32,
    heap: BinaryHeap<Reverse<Entry>>,
    /// Heap entries that are nobody's any more.
    stale: usize,
    last_entry: u64,
}

pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay)
        .or_else(|| now.checked_add(FAR))
        .unwrap_or(now)
}

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers {
            timers: Vec::new(),
            free: NONE,
            heap: BinaryHeap::new(),
            stale: 0,
            last_entry: 0,
        }
    }

    /// A new timer of the dispatcher in slot `owner`, whose list of timers begins at `head`.
    pub(crate) fn insert(
        &mut self,
        owner: u32,
        head: &mut u32,
        deadline: Instant,
        period: Option<Duration>,
        tag: usize,
    ) -> TimerId {
        let timer = Timer {
            deadline,
            queued: None,
            period: period.map(|period| period.max(SHORTEST_PERIOD)),
            tag,
            entry: 0,
            generation: 0,
            owner,
            previous: NONE,
            next: *head,
        };
        let index = self.place(timer);
        if let Some(next) = self.timers.get_mut(*head as usize) {
            next.previous = index;
        }
        *head = index;
        self.push(index);
        TimerId {
            index,
            generation: self.timers[index as usize].generation,
        }
    }

    fn place(&mut self, timer: Timer) -> u32 {
        let index = self.free;
        match self.timers.get_mut(index as usize) {
            Some(free) => {
                self.free = free.owner;
                *free = Timer {
                    generation: free.generation,
                    ..timer
                };
                index
            }
            None => {
                self.timers.push(timer);
                self.timers.len() as u32 - 1
            }
        }
    }

    fn get(&self, id: TimerId) -> Option<&Timer> {
        let timer = self.timers.get(id.index as usize)?;
        (timer.entry != 0 && timer.generation == id.generation).then_some(timer)
    }

    /// The slot of the dispatcher whose timer it is, if it still runs.
    pub(crate) fn owner(&self, id: TimerId) -> Option<u32> {
        self.get(id).map(|timer| timer.owner)
    }

    /// Moves the deadline. Later is cheap: the heap is left alone.
    pub(crate) fn reset(&mut self, id: TimerId, deadline: Instant) {
        if self.get(id).is_none() {
            return;
        }
        let timer = &mut self.timers[id.index as usize];
        timer.deadline = deadline;
        match timer.queued {
            Some(queued) if queued <= deadline => {}
            queued => {
                self.stale += usize::from(queued.is_some());
                self.push(id.index);
                self.compact();
            }
        }
    }

    /// Takes the timer out of its owner's list and gives its place back.
    pub(crate) fn remove(&mut self, id: TimerId, head: &mut u32) {
        let Some(timer) = self.get(id) else {
            return;
        };
        let (previous, next) = (timer.previous, timer.next);
        match self.timers.get_mut(previous as usize) {
            Some(timer) => timer.next = next,
            None => *head = next,
        }
        if let Some(timer) = self.timers.get_mut(next as usize) {
            timer.previous = previous;
        }
        self.release(id.index);
        self.compact();
    }

    /// Removes all timers of one owner.
    pub(crate) fn remove_all(&mut self, head: &mut u32) {
        let mut index = std::mem::replace(head, NONE);
        while let Some(timer) = self.timers.get(index as usize) {
            let next = timer.next;
            self.release(index);
            index = next;
        }
        self.compact();
    }

    fn release(&mut self, index: u32) {
        let timer = &mut self.timers[index as usize];
        self.stale += usize::from(timer.queued.take().is_some());
        timer.entry = 0;
        timer.generation = timer.generation.wrapping_add(1);
        timer.owner = self.free;
        self.free = index;
    }

    fn push(&mut self, index: u32) {
        self.last_entry += 1;
        let timer = &mut self.timers[index as usize];
        timer.entry = self.last_entry;
        timer.queued = Some(timer.deadline);
        self.heap.push(Reverse(Entry {
            deadline: timer.deadline,
            number: self.last_entry,
            index,
        }));
    }

    /// When most of the heap is cancelled timers, it is rebuilt without them.
    fn compact(&mut self) {
        if self.stale > 64 && self.stale > self.heap.len() / 2 {
            let timers = &self.timers;
            self.heap
                .retain(|Reverse(entry)| timers[entry.index as usize].entry == entry.number);
            self.stale = 0;
        }
    }

    /// When to look for due timers: at the next deadline, or before it, at one that was moved later.
    /// So moving a deadline costs nothing until the old one has come.
    pub(crate) fn next_look(&mut self) -> Option<Instant> {
        loop {
            let Reverse(entry) = self.heap.peek()?;
            if self.timers[entry.index as usize].entry == entry.number {
                return Some(entry.deadline);
            }
            self.heap.pop();
            self.stale -= 1;
        }
    }

    /// False when none is due at `now`.
    pub(crate) fn may_be_due(&self, now: Instant) -> bool {
        self.heap
            .peek()
            .is_some_and(|Reverse(entry)| entry.deadline <= now)
    }

    /// Appends the timers that are due at `now`, in order. What is set from here on is not among
    /// them, however short its delay.
    pub(crate) fn collect(&mut self, now: Instant, due: &mut Vec<Due>) {
        while let Some(&Reverse(Entry {
            deadline,
            number,
            index,
        })) = self.heap.peek()
            && deadline <= now
        {
            self.heap.pop();
            let timer = &mut self.timers[index as usize];
            if timer.entry != number {
                self.stale -= 1;
            } else if timer.deadline > deadline {
                // It was moved meanwhile.
                self.push(index);
            } else {
                timer.queued = None;
                due.push(Due {
                    index,
                    entry: timer.entry,
                });
            }
        }
    }

    /// A collected timer's turn has come: `None` when it was cancelled or moved meanwhile.
    pub(crate) fn fire(&mut self, due: Due, now: Instant) -> Option<Fired> {
        let timer = &mut self.timers[due.index as usize];
        if timer.entry != due.entry {
            return None;
        }
        let fired = Fired {
            id: TimerId {
                index: due.index,
                generation: timer.generation,
            },
            tag: timer.tag,
            owner: timer.owner,
            repeats: timer.period.is_some(),
        };
        if let Some(period) = timer.period {
            // It keeps its beat, but what a stall swallowed is not made up for.
            timer.deadline = after(timer.deadline, period);
            if timer.deadline <= now {
                timer.deadline = after(now, period);
            }
            self.push(due.index);
        }
        Some(fired)
    }
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
