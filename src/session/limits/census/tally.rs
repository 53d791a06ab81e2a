//! The tables behind the census, in words of memory that several processes may share: which
//! connections are counted, and how often each address and each user is.
//!
//! A process can be killed between any two stores. So there is one truth, the connections' places,
//! each of which counts from its last store on ([`WORKER`]); all the rest can be made from them anew
//! ([`Tally::recover`]).

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The words in front of the tables.
const PLACES_USED: usize = 0;
const PLACES_FREE: usize = 1;
const KEYS_USED: usize = 2;
const KEYS_FREE: usize = 3;
const TOTAL: usize = 4;
const HEADER: usize = 8;

/// A connection's place: the process that has it, or 0 when it is free.
const WORKER: usize = 0;
/// Of free ones, the next.
const NEXT_PLACE: usize = 1;
/// The keys it counts for.
const ADDRESS: usize = 2;
const USER: usize = 3;
const PLACE: usize = 4;
/// Set in `USER` of a data connection: it holds the user's key, but is no session of his.
const HELD: u64 = 1 << 63;

/// An address or a user: its hash, how many clients it has, and how many connections besides hold
/// it. With none of either it is free, unless something was paid for: a user who comes again is to find
/// what he has used up.
const HASH: usize = 0;
const CLIENTS: usize = 1;
const HOLDS: usize = 2;
/// Of those that share a chain, or are free, the next.
const NEXT_KEY: usize = 3;
/// Until when what the user has received, and sent, is paid for.
const PAID: usize = 4;
/// Bytes and files that the user has, and whether they have been counted.
const BYTES: usize = 6;
const FILES: usize = 7;
const COUNTED: usize = 8;
const KEY: usize = 9;

/// How large the tables are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    places: usize,
    keys: usize,
    chains: usize,
}

impl Shape {
    /// For so many connections, each with an address and a user.
    pub(super) fn new(places: usize) -> Shape {
        Shape {
            places,
            keys: places * 2,
            chains: places.next_power_of_two(),
        }
    }

    pub(super) fn words(&self) -> usize {
        HEADER + self.places * PLACE + self.keys * KEY + self.chains
    }
}

/// The tables, for a holder of their lock. A place or key that is 0 is none.
pub(super) struct Tally<'a> {
    words: &'a [AtomicU64],
    shape: Shape,
}

impl<'a> Tally<'a> {
    pub(super) fn new(words: &'a [AtomicU64], shape: Shape) -> Tally<'a> {
        Tally { words, shape }
    }

    fn get(&self, at: usize) -> u64 {
        self.words[at].load(Ordering::Relaxed)
    }

    fn set(&self, at: usize, value: u64) {
        #[cfg(test)]
        tests::may_die();
        self.words[at].store(value, Ordering::Relaxed);
    }

    fn add(&self, at: usize, value: u64) {
        self.set(at, self.get(at).saturating_add(value));
    }

    fn subtract(&self, at: usize, value: u64) {
        self.set(at, self.get(at).saturating_sub(value));
    }

    fn place(&self, index: u32) -> usize {
        HEADER + (index as usize - 1) * PLACE
    }

    fn key(&self, index: u64) -> usize {
        HEADER + self.shape.places * PLACE + (index as usize - 1) * KEY
    }

    fn chain(&self, hash: u64) -> usize {
        let chains = HEADER + self.shape.places * PLACE + self.shape.keys * KEY;
        chains + (hash as usize & (self.shape.chains - 1))
    }

    /// Connections that are counted.
    pub(super) fn total(&self) -> u64 {
        self.get(TOTAL)
    }

    /// A place for a connection of `worker` (not 0), which counts for the address `hash`, if that is
    /// not 0.
    pub(super) fn enter(&self, worker: u64, hash: u64) -> Option<u32> {
        let address = match hash {
            0 => 0,
            hash => self.count_in(hash, CLIENTS)?,
        };
        let free = self.get(PLACES_FREE);
        let index = if free != 0 {
            free
        } else if self.get(PLACES_USED) < self.shape.places as u64 {
            self.get(PLACES_USED) + 1
        } else {
            self.count_out(address, CLIENTS);
            return None;
        };
        let at = self.place(index as u32);
        if free == 0 {
            self.set(PLACES_USED, index);
        } else {
            self.set(PLACES_FREE, self.get(at + NEXT_PLACE));
        }
        self.set(at + ADDRESS, address);
        self.set(at + USER, 0);
        fence(Ordering::Release);
        self.set(at + WORKER, worker);
        self.add(TOTAL, 1);
        Some(index as u32)
    }

    /// Frees a place, with all that it counts for.
    pub(super) fn leave(&self, index: u32) {
        let at = self.place(index);
        if self.get(at + WORKER) == 0 {
            return;
        }
        self.set(at + WORKER, 0);
        fence(Ordering::Release);
        self.subtract(TOTAL, 1);
        self.count_out(self.get(at + ADDRESS), CLIENTS);
        self.release(self.get(at + USER));
        self.set(at + NEXT_PLACE, self.get(PLACES_FREE));
        self.set(PLACES_FREE, u64::from(index));
    }

    /// Whose place it is now; nothing changes when it is not `from`'s any more.
    pub(super) fn hand_over(&self, index: u32, from: u64, to: u64) {
        let at = self.place(index) + WORKER;
        if self.get(at) == from {
            self.set(at, to);
        }
    }

    /// Frees all places of a worker; tells how many there were.
    pub(super) fn bury(&self, worker: u64) -> usize {
        let lost: Vec<u32> = (1..=self.get(PLACES_USED) as u32)
            .filter(|&index| self.get(self.place(index) + WORKER) == worker)
            .collect();
        lost.iter().for_each(|&index| self.leave(index));
        lost.len()
    }

    /// Lets a client's place count for the user `hash`, where he has less than `most` (0: any
    /// number).
    pub(super) fn log_in(&self, index: u32, hash: u64, most: u64) -> bool {
        let at = self.place(index) + USER;
        let before = self.get(at);
        if before != 0 && self.find(hash) == Some(before) {
            return true;
        }
        if most > 0 && self.clients(hash) >= most {
            return false;
        }
        let Some(user) = self.count_in(hash, CLIENTS) else {
            return false;
        };
        self.set(at, user);
        self.release(before);
        true
    }

    /// Lets it count for no user.
    pub(super) fn log_out(&self, index: u32) {
        let at = self.place(index) + USER;
        let user = self.get(at);
        self.set(at, 0);
        self.release(user);
    }

    /// Lets a data connection's place hold the user of its client's; gives the first of the two words
    /// that say until when his bytes are paid for. They are his as long as they are held.
    pub(super) fn hold(&self, index: u32, client: u32) -> Option<usize> {
        let user = self.get(self.place(client) + USER) & !HELD;
        if user == 0 {
            return None;
        }
        let at = self.place(index) + USER;
        let before = self.get(at);
        self.add(self.key(user) + HOLDS, 1);
        self.set(at, user | HELD);
        self.release(before);
        Some(self.key(user) + PAID)
    }

    /// A place's `USER` counts no more.
    fn release(&self, user: u64) {
        match user & HELD {
            0 => self.count_out(user, CLIENTS),
            _ => self.count_out(user & !HELD, HOLDS),
        }
    }

    /// How many clients an address or a user has.
    pub(super) fn clients(&self, hash: u64) -> u64 {
        self.find(hash)
            .map_or(0, |key| self.get(self.key(key) + CLIENTS))
    }

    /// Bytes and files that the user `hash` has, if they have been counted.
    pub(super) fn usage(&self, hash: u64) -> Option<(u64, u64)> {
        let key = self.find(hash).filter(|&key| self.is_counted(key))?;
        let at = self.key(key);
        let counted = self.get(at + COUNTED) != 0;
        counted.then(|| (self.get(at + BYTES), self.get(at + FILES)))
    }

    /// So much the user has; nothing changes when he has no session or transfer any more.
    pub(super) fn set_usage(&self, hash: u64, (bytes, files): (u64, u64)) {
        if let Some(key) = self.find(hash).filter(|&key| self.is_counted(key)) {
            let at = self.key(key);
            self.set(at + BYTES, bytes);
            self.set(at + FILES, files);
            fence(Ordering::Release);
            self.set(at + COUNTED, 1);
        }
    }

    fn find(&self, hash: u64) -> Option<u64> {
        let mut next = self.get(self.chain(hash));
        while next != 0 {
            let at = self.key(next);
            if self.get(at + HASH) == hash {
                return Some(next);
            }
            next = self.get(at + NEXT_KEY);
        }
        None
    }

    /// Counts an address or a user once more, as `what`; gives its key.
    fn count_in(&self, hash: u64, what: usize) -> Option<u64> {
        if let Some(key) = self.find(hash) {
            if !self.is_counted(key) {
                // What he has may have changed since he was here.
                self.set(self.key(key) + COUNTED, 0);
            }
            self.add(self.key(key) + what, 1);
            return Some(key);
        }
        let free = self.get(KEYS_FREE);
        let key = if free != 0 {
            self.set(KEYS_FREE, self.get(self.key(free) + NEXT_KEY));
            free
        } else if self.get(KEYS_USED) < self.shape.keys as u64 {
            self.add(KEYS_USED, 1);
            self.get(KEYS_USED)
        } else {
            return self.sweep().then(|| self.count_in(hash, what)).flatten();
        };
        let (at, chain) = (self.key(key), self.chain(hash));
        self.set(at + HASH, hash);
        self.set(at + what, 1);
        self.set(at + NEXT_KEY, self.get(chain));
        self.set(at + PAID, 0);
        self.set(at + PAID + 1, 0);
        self.set(at + COUNTED, 0);
        self.set(chain, key);
        Some(key)
    }

    /// Counts it once less; a key that nobody counts is free.
    fn count_out(&self, key: u64, what: usize) {
        if key == 0 {
            return;
        }
        let at = self.key(key);
        self.subtract(at + what, 1);
        if !self.is_in_use(key) {
            self.free(key);
        }
    }

    /// Frees the keys that are kept only for what was paid for, when there is no room left; false when
    /// there was none.
    fn sweep(&self) -> bool {
        let mut freed = false;
        for key in 1..=self.get(KEYS_USED) {
            if !self.is_counted(key) {
                self.set(self.key(key) + PAID, 0);
                self.set(self.key(key) + PAID + 1, 0);
                self.free(key);
                freed = true;
            }
        }
        freed
    }

    fn free(&self, key: u64) {
        let at = self.key(key);
        let mut link = self.chain(self.get(at + HASH));
        while self.get(link) != key && self.get(link) != 0 {
            link = self.key(self.get(link)) + NEXT_KEY;
        }
        self.set(link, self.get(at + NEXT_KEY));
        self.set(at + NEXT_KEY, self.get(KEYS_FREE));
        self.set(KEYS_FREE, key);
    }

    fn is_counted(&self, key: u64) -> bool {
        let at = self.key(key);
        self.get(at + CLIENTS) + self.get(at + HOLDS) > 0
    }

    fn is_in_use(&self, key: u64) -> bool {
        let paid = self.key(key) + PAID;
        self.is_counted(key) || self.get(paid) != 0 || self.get(paid + 1) != 0
    }

    /// Makes everything anew from the places: a holder of the lock has died in the midst of a change.
    pub(super) fn recover(&self) {
        let (places, keys) = (self.get(PLACES_USED) as u32, self.get(KEYS_USED));
        for key in 1..=keys {
            self.set(self.key(key) + CLIENTS, 0);
            self.set(self.key(key) + HOLDS, 0);
        }
        self.set(TOTAL, 0);
        self.set(PLACES_FREE, 0);
        for index in 1..=places {
            let at = self.place(index);
            if self.get(at + WORKER) == 0 {
                self.set(at + NEXT_PLACE, self.get(PLACES_FREE));
                self.set(PLACES_FREE, u64::from(index));
                continue;
            }
            self.add(TOTAL, 1);
            let (address, user) = (self.get(at + ADDRESS), self.get(at + USER));
            if address != 0 {
                self.add(self.key(address) + CLIENTS, 1);
            }
            match (user & !HELD, user & HELD) {
                (0, _) => {}
                (user, 0) => self.add(self.key(user) + CLIENTS, 1),
                (user, _) => self.add(self.key(user) + HOLDS, 1),
            }
        }
        for hash in 0..self.shape.chains as u64 {
            let chain = self.chain(hash);
            // Most were never written to, and need not be.
            if self.get(chain) != 0 {
                self.set(chain, 0);
            }
        }
        self.set(KEYS_FREE, 0);
        for key in 1..=keys {
            let at = self.key(key);
            let link = match self.is_in_use(key) {
                false => KEYS_FREE,
                true => self.chain(self.get(at + HASH)),
            };
            self.set(at + NEXT_KEY, self.get(link));
            self.set(link, key);
        }
    }
}

#[cfg(test)]
mod tests;
