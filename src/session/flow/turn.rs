//! A turn of a flow: as many steps as its budget and its bandwidth allow.

use std::mem;
use std::time::{Duration, Instant};

use super::{Flow, Means, Side, Turn};
use crate::proto::throttle::Throttle;
use crate::session::limits::census::Allowance;
use crate::stream::Stream;

/// Bytes a flow may move before others have their turn; a step is not cut short for it, so there may be
/// half as much more. Large, because large reads wake and acknowledge less often: those who only want a
/// reply are kept waiting by the queue's part of a turn, not by this.
const BUDGET: usize = 1024 * 1024;
/// System calls a flow may make before others have their turn.
const MAX_CALLS: usize = 16;

impl Flow {
    /// Moves what can be moved now.
    pub(crate) fn turn(
        &mut self,
        stream: &mut Stream,
        means: &mut Means<'_>,
        now: Instant,
    ) -> Turn {
        let mut left = BUDGET;
        self.watch_size(means.pool);
        if mem::take(&mut self.starved) | mem::take(&mut self.paused) {
            // Until now it was not the client's time.
            self.moved = now;
        }
        // Once: whoever shares his bandwidth would else wait for what others move meanwhile, for ever.
        if mem::take(&mut self.owes)
            && self.limited
            && let Some(pause) = self.count(means, 0, now)
        {
            return Turn::Pause(pause);
        }
        for _ in 0..MAX_CALLS {
            let chunk = BUDGET
                .min(means.throttle.as_deref().map_or(BUDGET, Throttle::chunk))
                .min(self.allowance.as_ref().map_or(BUDGET, Allowance::chunk));
            let (before, queued) = (self.progress, stream.unsent());
            let turn = match self.side {
                Side::Send { .. } => self.send_some(stream, means.scratch, chunk),
                Side::Receive { .. } => self.receive_some(stream, means, chunk),
            };
            let sent = (self.progress.sent - before.sent) as usize;
            let moved = sent + (self.progress.received - before.received) as usize;
            if moved > 0 || stream.unsent() < queued {
                self.moved = now;
            }
            left = left.saturating_sub(moved.max(stream.take_work()));
            let pause = match moved {
                0 => None,
                moved => self.count(means, moved, now),
            };
            match (turn, pause) {
                // It ends, or a thread has it meanwhile: what it owes is not forgotten.
                (Some(turn), pause) => {
                    self.owes = pause.is_some();
                    return turn;
                }
                (None, Some(pause)) => return Turn::Pause(pause),
                (None, None) => {}
            }
            if left < BUDGET / 2 {
                break;
            }
        }
        Turn::Again
    }

    /// Counts bytes that have moved, and says how long to pause for them and those before.
    fn count(&self, means: &mut Means<'_>, moved: usize, now: Instant) -> Option<Duration> {
        let own = means.throttle.as_deref_mut();
        let own = own.and_then(|throttle| throttle.used(moved, now));
        let shared = self.allowance.as_ref();
        own.max(shared.and_then(|allowance| allowance.used(moved, now)))
    }
}
