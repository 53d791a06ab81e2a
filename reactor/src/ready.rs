//! The small values that callbacks and the poller exchange: who (`Key`), which of its sources
//! (`Channel`), what may be tried now (`Ready`), and all of it packed into a poller token.

use mio::Token;
use mio::event::Event;
use std::fmt;

/// Which of a dispatcher's sources is meant: a number from 0 to 7 that the dispatcher chooses.
///
/// ```
/// use ftpdlib_reactor::Channel;
///
/// const CONTROL: Channel = Channel::new(0);
/// const DATA: Channel = Channel::new(1);
/// assert_ne!(CONTROL, DATA);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channel(u8);

impl Channel {
    /// How many channels a dispatcher has.
    pub const COUNT: usize = 8;

    /// The channel of that number.
    ///
    /// # Panics
    ///
    /// When `number` is above 7; in a `const` that is an error at compile time.
    #[must_use]
    pub const fn new(number: u8) -> Channel {
        assert!(
            (number as usize) < Channel::COUNT,
            "a channel is a number from 0 to 7"
        );
        Channel(number)
    }

    /// The number it was made with.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn bit(self) -> u8 {
        1 << self.0
    }
}

/// The name of one dispatcher on its loop: slot and generation.
///
/// A key outlives its dispatcher harmlessly: what is sent to a closed one is dropped, also when
/// its slot has a new tenant. A key means nothing on another reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Key {
    /// Names no dispatcher, ever: no slot has this number.
    pub(crate) const NOBODY: Key = Key {
        slot: u32::MAX,
        generation: 0,
    };
}

/// What a channel may try now, and why it is called.
///
/// After a wake, an `again`, or a wait in the queue both [`is_readable`](Ready::is_readable) and
/// [`is_writable`](Ready::is_writable) hold, because no event will announce what is already there.
/// All of it is a hint: an operation may still answer `WouldBlock`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ready(u8);

impl Ready {
    const READABLE: u8 = 1;
    const WRITABLE: u8 = 2;
    const READ_CLOSED: u8 = 4;
    const AGAIN: u8 = 8;
    const WOKEN: u8 = 16;
    const URGENT: u8 = 32;
    const ERROR: u8 = 64;

    /// Whether a read of a TCP socket that gives less than there was room for has emptied it, so
    /// that an event will announce what comes next and no read need find out that nothing is there:
    /// true with `epoll`. It does not hold where a read ends for another reason than want of bytes:
    /// when the last event said [`is_read_closed`](Ready::is_read_closed), and, on a socket that is
    /// registered for `Interest::PRIORITY` too, as every one has to be to whom urgent data may come,
    /// when it said [`is_urgent`](Ready::is_urgent).
    pub const SHORT_READ_EMPTIES: bool = cfg!(all(
        any(target_os = "linux", target_os = "android"),
        not(mio_unsupported_force_poll_poll)
    ));

    /// Reading (or accepting) may get on.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Ready::READABLE != 0
    }

    /// Writing (or a connection attempt) may get on.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Ready::WRITABLE != 0
    }

    /// The poller has seen the peer's end of file. A hint: not every system tells, so the
    /// authority is a read that returns 0.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.0 & Ready::READ_CLOSED != 0
    }

    /// Urgent data has come, or is still to be read, on a source that is registered for
    /// `Interest::PRIORITY`.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        self.0 & Ready::URGENT != 0
    }

    /// The connection has failed, or an attempt to make it: the next operation tells how. What came before may
    /// still be there to be read.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Ready::ERROR != 0
    }

    /// The channel asked for this, with [`Context::again`](crate::Context::again) or
    /// [`queue`](crate::Context::queue).
    #[must_use]
    pub const fn is_again(self) -> bool {
        self.0 & Ready::AGAIN != 0
    }

    /// The channel is back on the loop: the last of its [`Sleeping`](crate::Sleeping) guards went.
    #[must_use]
    pub const fn is_woken(self) -> bool {
        self.0 & Ready::WOKEN != 0
    }

    /// Errors count as both readable and writable: the operation itself then tells the error.
    pub(crate) fn from_event(event: &Event) -> Ready {
        let mut bits = 0;
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            bits |= Ready::READABLE;
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            bits |= Ready::WRITABLE;
        }
        if event.is_read_closed() {
            bits |= Ready::READ_CLOSED;
        }
        if event.is_priority() {
            bits |= Ready::READABLE | Ready::URGENT;
        }
        if event.is_error() {
            bits |= Ready::ERROR;
        }
        Ready(bits)
    }

    pub(crate) fn again(read_closed: bool) -> Ready {
        Ready::both(Ready::AGAIN, read_closed)
    }

    pub(crate) fn woken(read_closed: bool) -> Ready {
        Ready::both(Ready::WOKEN, read_closed)
    }

    fn both(why: u8, read_closed: bool) -> Ready {
        let closed = if read_closed { Ready::READ_CLOSED } else { 0 };
        Ready(Ready::READABLE | Ready::WRITABLE | why | closed)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Ready::READABLE, "readable"),
            (Ready::WRITABLE, "writable"),
            (Ready::READ_CLOSED, "read_closed"),
            (Ready::AGAIN, "again"),
            (Ready::WOKEN, "woken"),
            (Ready::URGENT, "urgent"),
            (Ready::ERROR, "error"),
        ];
        let set: Vec<&str> = names
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|&(_, name)| name)
            .collect();
        write!(f, "Ready({})", set.join("|"))
    }
}

const CHANNEL_BITS: u32 = 3;
const SLOT_BITS: u32 = if usize::BITS >= 64 { 29 } else { 17 };
const GENERATION_BITS: u32 = usize::BITS - CHANNEL_BITS - SLOT_BITS;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;
const GENERATION_MASK: u32 = if GENERATION_BITS >= 32 {
    u32::MAX
} else {
    (1 << GENERATION_BITS) - 1
};

/// How many slots a token can name; the number above the last one is the reactor's own.
pub(crate) const MAX_SLOTS: usize = SLOT_MASK;

/// The waker's events.
pub(crate) const WAKER: Token = Token(SLOT_MASK << CHANNEL_BITS);
/// The signal pipe's events.
pub(crate) const SIGNALS: Token = Token((SLOT_MASK << CHANNEL_BITS) | 1);
/// The alarm's events.
pub(crate) const ALARM: Token = Token((SLOT_MASK << CHANNEL_BITS) | 2);

/// `generation | slot | channel`, the lowest bits last. Where `usize` has 32 bits the generation
/// is cut to 12, which is plenty for the only thing it has to tell apart: the tenants a slot had
/// while one batch of events was served.
pub(crate) fn token(key: Key, channel: Channel) -> Token {
    let generation = (key.generation & GENERATION_MASK) as usize;
    Token(
        (generation << (SLOT_BITS + CHANNEL_BITS))
            | ((key.slot as usize & SLOT_MASK) << CHANNEL_BITS)
            | channel.index(),
    )
}

/// The slot and channel of a token, and a test whether the slot's generation is the token's.
pub(crate) fn untoken(token: Token) -> (usize, Channel, impl Fn(u32) -> bool) {
    let slot = (token.0 >> CHANNEL_BITS) & SLOT_MASK;
    let channel = Channel((token.0 & (Channel::COUNT - 1)) as u8);
    let generation = (token.0 >> (SLOT_BITS + CHANNEL_BITS)) as u32;
    (slot, channel, move |of_slot: u32| {
        of_slot & GENERATION_MASK == generation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_slot_channel_and_generation() {
        for slot in [0, 1, 77_777, MAX_SLOTS as u32 - 1] {
            for generation in [0, 1, 0xfff, 0x1000, u32::MAX] {
                for channel in 0..8 {
                    let (key, channel) = (Key { slot, generation }, Channel::new(channel));
                    let token = token(key, channel);
                    let (s, c, is) = untoken(token);
                    assert_eq!((s, c), (slot as usize, channel));
                    assert!(is(generation) && !is(generation.wrapping_add(1)));
                    assert!(![WAKER, SIGNALS, ALARM].contains(&token));
                }
            }
        }
    }

    #[test]
    fn the_reactors_own_tokens_name_no_slot() {
        assert_ne!(WAKER, SIGNALS);
        assert_eq!(untoken(WAKER).0, MAX_SLOTS);
        assert_eq!(untoken(SIGNALS).0, MAX_SLOTS);
    }

    #[test]
    fn waking_and_again_report_both_directions() {
        for ready in [Ready::again(false), Ready::woken(false)] {
            assert!(ready.is_readable() && ready.is_writable() && !ready.is_read_closed());
        }
        assert!(Ready::again(true).is_again() && !Ready::again(true).is_woken());
        assert!(Ready::woken(true).is_woken() && Ready::woken(true).is_read_closed());
        assert_eq!(
            format!("{:?}", Ready::again(false)),
            "Ready(readable|writable|again)"
        );
    }

    #[test]
    #[should_panic(expected = "0 to 7")]
    fn there_is_no_channel_8() {
        let _ = Channel::new(8);
    }
}
