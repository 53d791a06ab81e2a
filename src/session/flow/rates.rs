//! The rates that a client's transfers are held to. They are the session's, not a transfer's: what one has
//! moved and not paid for when it ends, by ABOR or however, the next one waits for.

use crate::proto::throttle::Throttle;
use crate::session::config::Config;
use crate::session::limits::census::Direction;

/// One client's; each direction has its own, where it has a limit.
pub(crate) struct Rates {
    received: Option<Throttle>,
    sent: Option<Throttle>,
}

impl Rates {
    /// Of a client who owes nothing.
    pub(crate) fn new(config: &Config) -> Rates {
        let throttle = |limit| (limit > 0).then(|| Throttle::new(limit));
        Rates {
            received: throttle(config.read_limit),
            sent: throttle(config.write_limit),
        }
    }

    /// None without a limit.
    pub(crate) fn of(&mut self, direction: Direction) -> Option<&mut Throttle> {
        match direction {
            Direction::Received => self.received.as_mut(),
            Direction::Sent => self.sent.as_mut(),
        }
    }
}
