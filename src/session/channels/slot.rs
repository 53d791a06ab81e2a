//! The channels and timers of a session's slot on the event loop.

use ftpdlib_reactor::Channel;

pub(crate) const CONTROL: Channel = Channel::new(0);
pub(crate) const DATA: Channel = Channel::new(1);

/// Timers of the session's own, by their tag.
pub(crate) const TAG_IDLE: usize = 0;
pub(crate) const TAG_REFUSAL: usize = 1;
pub(crate) const TAG_DATA: usize = 2;
pub(crate) const TAG_STALL: usize = 3;
pub(crate) const TAG_PAUSE: usize = 4;
pub(crate) const TAG_ACCEPT: usize = 5;
pub(crate) const TAG_HANDSHAKE: usize = 6;
pub(crate) const OWN_TIMERS: usize = 7;
/// The handler's timers, which are told apart by their ids.
pub(crate) const TAG_HANDLER: usize = OWN_TIMERS;
