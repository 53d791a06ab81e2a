//! The slab of what lives on the loop: who lives where, under which generation, and the few bits the loop
//! keeps about each channel. Small on purpose: an idle dispatcher costs its slot and its own box.

use crate::ready::{Channel, Key, MAX_SLOTS};
use crate::timers;

const NONE: u32 = u32::MAX;

pub(crate) struct Slot<T> {
    generation: u32,
    live: bool,
    /// Channels that asked for `again` and wait for their turn.
    pub(crate) again: u8,
    /// Channels that wait in the queue of heavy work.
    pub(crate) queued: u8,
    /// Channels whose end of file was seen while no event could be delivered.
    pub(crate) read_closed: u8,
    /// The next free slot, while this one is free.
    next_free: u32,
    /// First of this dispatcher's timers.
    pub(crate) timers: u32,
    /// Guards alive per channel; 0 is awake.
    asleep: [u32; Channel::COUNT],
    /// `None` while a callback runs, and when free.
    dispatcher: Option<T>,
}

impl<T> Slot<T> {
    pub(crate) fn is_asleep(&self, channel: Channel) -> bool {
        self.asleep[channel.index()] > 0
    }

    pub(crate) fn fall_asleep(&mut self, channel: Channel) {
        let guards = &mut self.asleep[channel.index()];
        *guards = guards.saturating_add(1);
    }

    /// One guard less; true when it was the last.
    pub(crate) fn wake(&mut self, channel: Channel) -> bool {
        let guards = &mut self.asleep[channel.index()];
        *guards = guards.saturating_sub(1);
        *guards == 0
    }

    /// Reads and clears the end of file that was seen meanwhile.
    pub(crate) fn take_read_closed(&mut self, channel: Channel) -> bool {
        let seen = self.read_closed & channel.bit() != 0;
        self.read_closed &= !channel.bit();
        seen
    }
}

pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots {
            slots: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    /// The box comes back when no token could name another slot.
    pub(crate) fn insert(&mut self, dispatcher: T) -> Result<Key, T> {
        if self.free == NONE {
            if self.slots.len() >= MAX_SLOTS {
                return Err(dispatcher);
            }
            self.slots.push(Slot {
                generation: 0,
                live: false,
                again: 0,
                queued: 0,
                read_closed: 0,
                next_free: NONE,
                timers: timers::NONE,
                asleep: [0; Channel::COUNT],
                dispatcher: None,
            });
            self.free = self.slots.len() as u32 - 1;
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next_free;
        slot.live = true;
        slot.dispatcher = Some(dispatcher);
        self.len += 1;
        Ok(Key {
            slot: index,
            generation: slot.generation,
        })
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Slot<T>> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        (slot.live && slot.generation == key.generation).then_some(slot)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Slot<T>> {
        let slot = self.slots.get(key.slot as usize)?;
        (slot.live && slot.generation == key.generation).then_some(slot)
    }

    /// The slot by its number alone, whoever lives there.
    pub(crate) fn at(&mut self, index: usize) -> Option<(Key, &mut Slot<T>)> {
        let slot = self.slots.get_mut(index).filter(|slot| slot.live)?;
        let key = Key {
            slot: index as u32,
            generation: slot.generation,
        };
        Some((key, slot))
    }

    pub(crate) fn take(&mut self, key: Key) -> Option<T> {
        self.get_mut(key)?.dispatcher.take()
    }

    pub(crate) fn put_back(&mut self, key: Key, dispatcher: T) {
        if let Some(slot) = self.get_mut(key) {
            slot.dispatcher = Some(dispatcher);
        }
    }

    /// Frees the slot; its timers must be gone already. Every key to it is stale from now on.
    pub(crate) fn remove(&mut self, key: Key) {
        let free = self.free;
        let Some(slot) = self.get_mut(key) else {
            return;
        };
        slot.live = false;
        slot.generation = slot.generation.wrapping_add(1);
        slot.again = 0;
        slot.queued = 0;
        slot.read_closed = 0;
        slot.asleep = [0; Channel::COUNT];
        slot.next_free = free;
        self.free = key.slot;
        self.len -= 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Who is at home: all but the one whose callback runs.
    pub(crate) fn present(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = Key {
                slot: index as u32,
                generation: slot.generation,
            };
            slot.dispatcher.as_ref().map(|dispatcher| (key, dispatcher))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dispatcher;

    fn insert(slots: &mut Slots<()>) -> Key {
        slots.insert(()).unwrap()
    }

    #[test]
    fn a_slot_stays_small() {
        let size = size_of::<Slot<Box<dyn Dispatcher>>>();
        assert!(size <= 80, "{size}");
    }

    #[test]
    fn a_reused_slot_has_another_key_and_a_clean_state() {
        let mut slots = Slots::new();
        let first = insert(&mut slots);
        let data = Channel::new(1);
        let slot = slots.get_mut(first).unwrap();
        slot.fall_asleep(data);
        slot.again |= data.bit();
        slot.read_closed |= data.bit();
        slots.remove(first);
        slots.remove(first);
        assert_eq!(slots.len(), 0);

        let second = insert(&mut slots);
        assert_eq!(second.slot, first.slot);
        assert_ne!(second, first);
        assert!(slots.get(first).is_none());
        assert!(slots.take(first).is_none());
        let slot = slots.get_mut(second).unwrap();
        assert!(!slot.is_asleep(data) && slot.again == 0 && !slot.take_read_closed(data));
        assert_eq!(slots.present().collect::<Vec<_>>(), [(second, &())]);
        slots.take(second);
        assert_eq!(slots.present().count(), 0);
    }

    #[test]
    fn guards_of_one_channel_nest() {
        let mut slots = Slots::new();
        let key = insert(&mut slots);
        let slot = slots.get_mut(key).unwrap();
        let (control, data) = (Channel::new(0), Channel::new(1));
        slot.fall_asleep(data);
        slot.fall_asleep(data);
        assert!(slot.is_asleep(data) && !slot.is_asleep(control));
        assert!(!slot.wake(data));
        assert!(slot.wake(data));
        assert!(!slot.is_asleep(data));
    }

    #[test]
    fn nobody_is_nobody() {
        let mut slots = Slots::new();
        insert(&mut slots);
        assert!(slots.get(Key::NOBODY).is_none());
    }
}
