//! Who is there, over all workers of a server: connections, clients of each address, sessions of
//! each user, and the bandwidth that a user's transfers share.
//!
//! The numbers are in memory that worker processes share. Whoever looks whether there is room counts
//! himself in under the same lock, so limits are exact; a worker that was killed is counted out by
//! whoever buries it ([`Census::bury`]).

mod tally;
pub(crate) mod usage;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use self::tally::{Shape, Tally};
use crate::auth::Limits;
use crate::proto::addr::network;
use crate::proto::throttle;
use crate::session::logging;
use crate::sys::shared::Shared;

/// Connections at most where `max_cons` is no limit.
const MOST: usize = 1 << 19;

/// Numbers that hold for all workers together; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Listening, control and data connections.
    pub(crate) max_cons: usize,
    pub(crate) max_cons_per_ip: usize,
    pub(crate) max_cons_per_user: usize,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Server,
    Address,
}

/// The count, as one process sees it.
pub(crate) struct Census {
    shared: Shared,
    shape: Shape,
    bounds: Bounds,
    /// Of the same key in every worker.
    hasher: RandomState,
    /// Who counts here: its process id.
    worker: AtomicU32,
    /// Clients of this process.
    here: AtomicUsize,
    /// What the times in the tables count from.
    epoch: Instant,
}

/// A client that is counted; dropping it counts him out, with all that is his.
pub(crate) struct Seat {
    census: Arc<Census>,
    /// None when he has left it already.
    place: Option<Arc<Place>>,
}

/// What keeps a client counted: his seat, and work of his that a worker thread has not done yet, so
/// that nobody can leave more and more of it behind by coming again and again.
pub(crate) struct Place {
    census: Arc<Census>,
    number: u32,
}

/// A data connection that is counted; dropping it counts it out.
pub(crate) struct Counted {
    census: Arc<Census>,
    place: u32,
    /// The word of the user's payments, and his limits, where he has such.
    rates: Option<Box<(usize, Limits)>>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Sent,
}

/// The bandwidth that all transfers of a user in one direction share.
pub(crate) struct Allowance {
    census: Arc<Census>,
    word: usize,
    /// Bytes a second.
    limit: u64,
}

impl Census {
    /// For the server whose process `worker` is. To be made before its workers are.
    ///
    /// # Errors
    ///
    /// When the system has no memory to share.
    pub(crate) fn new(bounds: Bounds, worker: u32) -> io::Result<Arc<Census>> {
        let places = match bounds.max_cons {
            0 => MOST,
            limit => limit.min(MOST),
        };
        let shape = Shape::new(places);
        Ok(Arc::new(Census {
            shared: Shared::new(shape.words())?,
            shape,
            bounds,
            hasher: RandomState::new(),
            worker: AtomicU32::new(worker),
            here: AtomicUsize::new(0),
            epoch: Instant::now(),
        }))
    }

    /// From here on the count is that of another process, which has just been forked: it has no
    /// clients but those it takes in, or adopts.
    pub(crate) fn begin_worker(&self, worker: u32) {
        self.worker.store(worker, Ordering::Relaxed);
        self.here.store(0, Ordering::Relaxed);
    }

    /// A worker has ended, however: what it had counted in and not out goes.
    pub(crate) fn bury(&self, worker: u32) -> usize {
        self.tally(|tally| tally.bury(worker.into()))
    }

    /// Counts a client in, if there is room.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Seat, Full> {
        let most = self.bounds.max_cons_per_ip as u64;
        let hash = match most {
            0 => 0,
            _ => self.hash(network(ip)),
        };
        let place = self.tally(|tally| {
            if self.is_full(tally) {
                return Err(Full::Server);
            }
            if most > 0 && tally.clients(hash) >= most {
                return Err(Full::Address);
            }
            tally.enter(self.worker(), hash).ok_or(Full::Server)
        })?;
        Ok(self.adopt(place))
    }

    /// The seat of a client who was counted in by another process.
    pub(crate) fn adopt(self: &Arc<Self>, place: u32) -> Seat {
        self.here.fetch_add(1, Ordering::Relaxed);
        Seat {
            census: Arc::clone(self),
            place: Some(Arc::new(Place {
                census: Arc::clone(self),
                number: place,
            })),
        }
    }

    /// A client's worker is the process `to` now, if it still was this one.
    pub(crate) fn hand_over(&self, place: u32, from: u32, to: u32) {
        self.tally(|tally| tally.hand_over(place, from.into(), to.into()));
    }

    /// Listening, control and data connections of all workers.
    pub(crate) fn count(&self) -> u64 {
        // Without the lock: it is one number, and whoever holds the lock may be stopped.
        Tally::new(self.shared.words(), self.shape).total() + 1
    }

    /// Clients of this process.
    pub(crate) fn here(&self) -> usize {
        self.here.load(Ordering::Relaxed)
    }

    fn worker(&self) -> u64 {
        self.worker.load(Ordering::Relaxed).into()
    }

    fn is_full(&self, tally: &Tally<'_>) -> bool {
        let most = self.bounds.max_cons as u64;
        // The listening socket is one.
        most > 0 && tally.total() + 1 >= most
    }

    fn tally<T>(&self, work: impl FnOnce(&Tally<'_>) -> T) -> T {
        let locked = self.shared.lock();
        let tally = Tally::new(self.shared.words(), self.shape);
        if locked.abandoned {
            tally.recover();
        }
        let ended = locked.ended;
        let result = work(&tally);
        // A log may be slow, and nobody is to wait for the lock meanwhile.
        drop(locked);
        if let Some(worker) = ended {
            logging::ended_with_lock(worker);
        }
        result
    }

    fn hash_of_user(&self, user: &str) -> u64 {
        // No address looks like this.
        self.hash(("user", user))
    }

    /// Of an address or a user; never 0.
    fn hash(&self, of: impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(of).max(1)
    }
}

impl Seat {
    /// Counts a data connection in, of a user with these limits, whoever logs out meanwhile.
    ///
    /// # Errors
    ///
    /// When there are too many connections already.
    pub(crate) fn connection(&self, limits: Limits) -> io::Result<Counted> {
        let census = &self.census;
        // A quota is the user's as long as his transfer runs, too.
        let shares = limits.read_limit > 0 || limits.write_limit > 0 || limits.has_quota();
        let counted = census.tally(|tally| {
            let client = self.number().filter(|_| !census.is_full(tally))?;
            let place = tally.enter(census.worker(), 0)?;
            let held = shares.then(|| tally.hold(place, client)).flatten();
            Some((place, held))
        });
        let text = "Too many connections. Can't open data channel";
        let full = || io::Error::new(io::ErrorKind::QuotaExceeded, text);
        let (place, held) = counted.ok_or_else(full)?;
        Ok(Counted {
            census: Arc::clone(census),
            place,
            rates: held.map(|word| Box::new((word, limits))),
        })
    }

    /// Counts the client as a session of a user's, with his own limits; false when he has too many.
    pub(crate) fn log_in(&self, user: &str, limits: Limits) -> bool {
        let most = match limits.max_cons {
            0 => self.census.bounds.max_cons_per_user,
            most => most,
        };
        if most == 0 && limits.read_limit == 0 && limits.write_limit == 0 && !limits.has_quota() {
            // Nobody will ask.
            return true;
        }
        let hash = self.census.hash_of_user(user);
        self.number().is_some_and(|place| {
            self.census
                .tally(|tally| tally.log_in(place, hash, most as u64))
        })
    }

    /// The client is nobody's session any more.
    pub(crate) fn log_out(&self) {
        if let Some(place) = self.number() {
            self.census.tally(|tally| tally.log_out(place));
        }
    }

    fn number(&self) -> Option<u32> {
        self.place.as_ref().map(|place| place.number)
    }

    /// Keeps the client counted for as long as there is work of his.
    pub(crate) fn keep(&self) -> Option<Arc<Place>> {
        self.place.clone()
    }

    /// Counts the client out before he is gone, or with the last of his work.
    pub(crate) fn release(&mut self) {
        self.place = None;
    }

    /// Leaves the client counted, for another process to adopt, unless he was counted out already.
    pub(crate) fn leave(mut self) -> Option<u32> {
        let mut place = Arc::into_inner(self.place.take()?)?;
        self.census.here.fetch_sub(1, Ordering::Relaxed);
        Some(std::mem::take(&mut place.number))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // 0 is left to another process.
        if self.number != 0 {
            self.census.here.fetch_sub(1, Ordering::Relaxed);
            self.census.tally(|tally| tally.leave(self.number));
        }
    }
}

impl Counted {
    /// What its user's transfers share in one direction, if that is limited.
    pub(crate) fn allowance(&self, direction: Direction) -> Option<Allowance> {
        let (word, limits) = self.rates.as_deref()?;
        let (word, limit) = match direction {
            Direction::Received => (*word, limits.read_limit),
            Direction::Sent => (word + 1, limits.write_limit),
        };
        (limit > 0).then(|| Allowance {
            census: Arc::clone(&self.census),
            word,
            limit,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.tally(|tally| tally.leave(self.place));
    }
}

impl Allowance {
    /// How many bytes to move at once.
    pub(crate) fn chunk(&self) -> usize {
        throttle::chunk(self.limit)
    }

    /// Counts `bytes` just moved, and says how long to pause before the next ones.
    pub(crate) fn used(&self, bytes: usize, now: Instant) -> Option<Duration> {
        let now = now.saturating_duration_since(self.census.epoch).as_nanos();
        // 0 is for never; a clock of nanoseconds lasts 584 years.
        let now = u64::try_from(now).unwrap_or(u64::MAX).max(1);
        let word = &self.census.shared.words()[self.word];
        let paid = |before: u64| throttle::paid_until(before, now, bytes, self.limit);
        let before = word
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                Some(paid(before))
            })
            .unwrap_or_else(|before| before);
        throttle::pause(paid(before), now)
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn census(max_cons: usize, max_cons_per_ip: usize, max_cons_per_user: usize) -> Arc<Census> {
        let bounds = Bounds {
            max_cons,
            max_cons_per_ip,
            max_cons_per_user,
        };
        Census::new(bounds, 1).unwrap()
    }

    #[test]
    fn counts_in_and_out_and_knows_its_limit() {
        let census = census(3, 0, 0);
        assert_eq!(census.count(), 1);
        let first = census.admit(IP).unwrap();
        let data = first.connection(Limits::default()).unwrap();
        assert_eq!((census.count(), census.here()), (3, 1));
        assert_eq!(census.admit(IP).err(), Some(Full::Server));
        assert!(first.connection(Limits::default()).is_err());
        drop(data);
        let second = census.admit(IP).unwrap();
        drop((first, second));
        assert_eq!((census.count(), census.here()), (1, 0));
    }

    fn limits(max_cons: usize, write_limit: u64) -> Limits {
        let mut limits = Limits::default();
        (limits.max_cons, limits.write_limit) = (max_cons, write_limit);
        limits
    }

    #[test]
    fn addresses_and_users_have_limits_of_their_own() {
        let census = census(0, 2, 2);
        let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let (first, second) = (census.admit(IP).unwrap(), census.admit(IP).unwrap());
        assert_eq!(census.admit(IP).err(), Some(Full::Address));
        let third = census.admit(other).unwrap();
        let none = Limits::default();
        assert!(first.log_in("bob", none) && second.log_in("bob", none));
        assert!(!third.log_in("bob", none));
        assert!(third.log_in("bob", limits(3, 0)));
        assert!(third.log_in("eve", none));
        first.log_out();
        assert!(third.log_in("bob", none));
        drop(first);
        let back = census.admit(IP);
        assert!(back.is_ok());
        // Two of one network.
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let _one = census.admit(ip("2001:db8::1")).unwrap();
        let _two = census.admit(ip("2001:db8::ffff:0:1")).unwrap();
        let three = census.admit(ip("2001:db8:0:0:1::"));
        assert_eq!(three.err(), Some(Full::Address));
        assert!(census.admit(ip("2001:db8:0:1::1")).is_ok());
        assert_eq!(
            census.admit(ip("::ffff:127.0.0.1")).err(),
            Some(Full::Address)
        );
    }

    #[test]
    fn work_that_is_not_done_keeps_its_client_counted() {
        let census = census(0, 1, 0);
        let seat = census.admit(IP).unwrap();
        let work = seat.keep();
        drop(seat);
        assert_eq!((census.count(), census.here()), (2, 1));
        assert_eq!(census.admit(IP).err(), Some(Full::Address));
        drop(work);
        assert_eq!((census.count(), census.here()), (1, 0));
        assert!(census.admit(IP).is_ok());
    }

    #[test]
    fn who_is_counted_out_counts_for_nothing() {
        let census = census(0, 0, 1);
        let mut seat = census.admit(IP).unwrap();
        let none = Limits::default();
        seat.release();
        assert_eq!((census.count(), census.here()), (1, 0));
        assert!(!seat.log_in("bob", none) && seat.connection(none).is_err());
        seat.log_out();
        let other = census.admit(IP).unwrap();
        assert!(other.log_in("bob", none));
        drop(seat);
        assert_eq!((census.count(), census.here()), (2, 1));
    }

    #[test]
    fn a_dead_workers_connections_are_counted_out() {
        let census = census(4, 1, 1);
        let seat = census.admit(IP).unwrap();
        assert!(seat.log_in("bob", Limits::default()));
        // Another process has it, with a data connection of its own, and is killed.
        let place = seat.leave().unwrap();
        census.hand_over(place, 1, 22);
        census.begin_worker(22);
        let adopted = census.adopt(place);
        std::mem::forget(adopted.connection(Limits::default()).unwrap());
        std::mem::forget(adopted);
        census.begin_worker(1);
        assert_eq!(census.count(), 3);
        assert_eq!((census.bury(1), census.bury(22)), (0, 2));
        assert_eq!((census.count(), census.here()), (1, 0));
        let seat = census.admit(IP).unwrap();
        assert!(seat.log_in("bob", Limits::default()));
    }

    #[test]
    fn a_users_transfers_share_his_bandwidth() {
        let census = census(0, 0, 0);
        let clients = [census.admit(IP).unwrap(), census.admit(IP).unwrap()];
        let mut most = limits(0, 1000);
        most.read_limit = 500;
        let nobodys = clients[0].connection(most).unwrap();
        assert!(nobodys.allowance(Direction::Sent).is_none());
        let data = clients.each_ref().map(|client| {
            assert!(client.log_in("bob", most));
            let data = client.connection(most).unwrap();
            client.log_out();
            data
        });
        let allowance = |at: usize, direction| data[at].allowance(direction).unwrap();
        let (one, two) = (allowance(0, Direction::Sent), allowance(1, Direction::Sent));
        let now = census.epoch + Duration::from_secs(5);
        let seconds = Duration::from_secs;
        assert_eq!(one.used(1000, now), Some(seconds(1)));
        assert_eq!(two.used(1000, now), Some(seconds(2)));
        assert_eq!(one.used(1000, now + seconds(1)), Some(seconds(2)));
        let other = allowance(1, Direction::Received);
        assert_eq!(other.used(500, now), Some(seconds(1)));
    }
}
