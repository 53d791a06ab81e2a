//! Failed logins, counted by address and by user: who is banned, and whose answer has to wait.
//!
//! **An address** that fails [`Policy::ban_after`] times within [`Policy::ban_time`] is banned for
//! that time. An IPv6 client counts as its /64, for every customer has as many addresses as he likes
//! in one. A success takes nothing back: who knows one password must not be able to guess at others
//! in between.
//!
//! **A user** is not banned, ever: whoever knows his name could lock him out. What guesses from many
//! addresses get is answers that come later and later, up to [`LONGEST_HOLD`], right or wrong
//! alike; the right password goes on opening the account. Nor does the user himself wait, where he
//! comes from the address of his last login. Names that no user has count the same, so that nothing
//! can be told by it.
//!
//! **The tables** have a fixed number of places. A new entry takes the oldest one's of the eight
//! places that it may have; of those the address whose ban lasts longest stays longest. Which eight is
//! decided by a keyed hash, so nobody can aim at another's entry. To push one out, an attacker has to
//! fail from hundreds of addresses, each of which is banned on the way.
//!
//! All of it is words of memory that several processes may share, and `now` is an argument. A process
//! may be killed between any two stores: then one entry is wrong or lost, and no other.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::addr::network;

/// Failures after which a user's answers begin to wait.
const FREE: u64 = 5;
/// The first wait; each further failure doubles it.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// No answer waits longer: clients give up after 20 seconds or more.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// A user's failures are forgotten when none followed for this time.
const FORGET: Duration = Duration::from_secs(600);

/// Places of a table, of addresses and of users each.
const PLACES: usize = 4096;
/// Places that an entry may have.
const WAYS: usize = 8;

/// When an address is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures; 0 counts nothing.
    pub ban_after: u32,
    /// Both the time within which they count and that of the ban; zero counts nothing.
    pub ban_time: Duration,
}

impl Policy {
    /// Whether anything is counted.
    pub fn counts(&self) -> bool {
        self.ban_after > 0 && !self.ban_time.is_zero()
    }
}

/// What is known of failed logins, for a holder of the lock on it.
///
/// `now` is the time since some moment that is the same for all calls.
pub struct Attempts<'a> {
    policy: Policy,
    hasher: &'a RandomState,
    addresses: Table<'a>,
    users: Table<'a>,
}

impl<'a> Attempts<'a> {
    /// The words of memory that it takes, all 0 at first.
    pub const WORDS: usize = 2 * PLACES * PLACE;

    /// In [`WORDS`](Self::WORDS) words, with the same hasher every time.
    pub fn new(policy: Policy, words: &'a [AtomicU64], hasher: &'a RandomState) -> Attempts<'a> {
        let (addresses, users) = words.split_at(words.len() / 2);
        Attempts {
            policy,
            hasher,
            addresses: Table(addresses),
            users: Table(users),
        }
    }

    /// How much longer an address is banned, if it is.
    pub fn banned(&self, ip: IpAddr, now: Duration) -> Option<Duration> {
        let place = self.addresses.find(self.address(ip))?;
        let left = self
            .addresses
            .get(place + UNTIL)
            .saturating_sub(millis(now));
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// How long the answer to a login as this user has to wait, whatever it is.
    pub fn hold(&self, user: &str, ip: IpAddr, now: Duration) -> Duration {
        let users = &self.users;
        let Some(place) = users.find(self.user(user)) else {
            return Duration::ZERO;
        };
        let is_known = users.get(place + KNOWN) == self.address(ip);
        if is_known || is_over(users.get(place + SINCE), FORGET, now) {
            return Duration::ZERO;
        }
        match users.get(place + COUNT).checked_sub(FREE) {
            None => Duration::ZERO,
            Some(doublings) => {
                let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                FIRST_HOLD.saturating_mul(factor).min(LONGEST_HOLD)
            }
        }
    }

    /// Counts a wrong guess; true when it has got the address banned.
    pub fn failed(&self, user: &str, ip: IpAddr, now: Duration) -> bool {
        if !self.policy.counts() {
            return false;
        }
        let (address, user) = (self.address(ip), self.user(user));
        let users = &self.users;
        let place = users.place(user);
        let count = match is_over(users.get(place + SINCE), FORGET, now) {
            true => 0,
            false => users.get(place + COUNT),
        };
        users.set(place + COUNT, count.saturating_add(1));
        users.set(place + SINCE, millis(now));

        let Policy {
            ban_after,
            ban_time,
        } = self.policy;
        let addresses = &self.addresses;
        let place = addresses.place(address);
        let mut count = addresses.get(place + COUNT);
        if count == 0 || is_over(addresses.get(place + SINCE), ban_time, now) {
            count = 0;
            addresses.set(place + SINCE, millis(now));
        }
        let banned = count + 1 >= u64::from(ban_after);
        if banned {
            addresses.set(place + UNTIL, millis(now.saturating_add(ban_time)));
        }
        // What comes after a ban is counted anew.
        addresses.set(place + COUNT, if banned { 0 } else { count + 1 });
        banned
    }

    /// A right password: from this address the user need not wait.
    pub fn succeeded(&self, user: &str, ip: IpAddr, now: Duration) {
        if !self.policy.counts() {
            return;
        }
        let (address, user) = (self.address(ip), self.user(user));
        let users = &self.users;
        let place = users.place(user);
        if users.get(place + COUNT) == 0 {
            users.set(place + SINCE, millis(now));
        }
        users.set(place + KNOWN, address);
    }

    /// What stands for an address; never 0.
    fn address(&self, ip: IpAddr) -> u64 {
        self.hasher.hash_one(network(ip)) | 1
    }

    fn user(&self, name: &str) -> u64 {
        self.hasher.hash_one(name) | 1
    }
}

/// A place: whose it is, or 0 for nobody's.
const KEY: usize = 0;
const COUNT: usize = 1;
/// An address's first failure, a user's last; in milliseconds, as the others.
const SINCE: usize = 2;
/// The end of an address's ban.
const UNTIL: usize = 3;
/// From where a user last logged in.
const KNOWN: usize = 4;
const PLACE: usize = 5;

/// Entries by key, in a fixed number of places.
struct Table<'a>(&'a [AtomicU64]);

impl Table<'_> {
    fn get(&self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }

    fn set(&self, at: usize, value: u64) {
        self.0[at].store(value, Ordering::Relaxed);
    }

    fn find(&self, key: u64) -> Option<usize> {
        ways(key).find(|&place| self.get(place + KEY) == key)
    }

    /// The entry of `key`; a new one takes the place of the oldest.
    fn place(&self, key: u64) -> usize {
        if let Some(place) = self.find(key) {
            return place;
        }
        let oldest = ways(key).min_by_key(|&place| self.age(place));
        let place = oldest.unwrap_or_default();
        self.set(place + KEY, 0);
        for word in [COUNT, SINCE, UNTIL, KNOWN] {
            self.set(place + word, 0);
        }
        self.set(place + KEY, key);
        place
    }

    /// The smallest goes first; free places before all others.
    fn age(&self, place: usize) -> (bool, u64) {
        let time = self.get(place + SINCE).max(self.get(place + UNTIL));
        (self.get(place + KEY) != 0, time)
    }
}

/// The places that an entry may have.
fn ways(key: u64) -> impl Iterator<Item = usize> {
    // The lowest bit is always set.
    let first = (key >> 1) as usize % (PLACES / WAYS) * WAYS;
    (first..first + WAYS).map(|place| place * PLACE)
}

fn is_over(since: u64, time: Duration, now: Duration) -> bool {
    millis(now).saturating_sub(since) > millis(time)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        ban_after: 3,
        ban_time: Duration::from_secs(60),
    };

    /// Attempts with memory of their own.
    struct Own(Policy, Vec<AtomicU64>, RandomState);

    impl Own {
        fn new(policy: Policy) -> Own {
            let words = (0..Attempts::WORDS).map(|_| AtomicU64::new(0)).collect();
            Own(policy, words, RandomState::new())
        }

        fn attempts(&self) -> Attempts<'_> {
            Attempts::new(self.0, &self.1, &self.2)
        }

        fn is_untouched(&self) -> bool {
            self.1.iter().all(|word| word.load(Ordering::Relaxed) == 0)
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The address with this number.
    fn nth(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn an_address_is_banned_after_so_many_failures_and_for_so_long() {
        let own = Own::new(POLICY);
        let attempts = own.attempts();
        let (bad, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        assert!(!attempts.failed("a", bad, seconds(0)));
        assert!(!attempts.failed("b", bad, seconds(30)));
        assert_eq!(attempts.banned(bad, seconds(60)), None);
        assert!(attempts.failed("c", bad, seconds(60)));
        assert_eq!(attempts.banned(bad, seconds(60)), Some(seconds(60)));
        assert_eq!(attempts.banned(bad, seconds(119)), Some(seconds(1)));
        assert_eq!(attempts.banned(other, seconds(60)), None);
        assert_eq!(attempts.banned(bad, seconds(120)), None);
        // And again from the beginning.
        assert!(!attempts.failed("a", bad, seconds(120)));
        assert!(!attempts.failed("a", bad, seconds(121)));
        assert!(attempts.failed("a", bad, seconds(122)));
    }

    #[test]
    fn old_failures_do_not_count_and_a_success_takes_none_back() {
        let own = Own::new(POLICY);
        let attempts = own.attempts();
        let bad = ip("192.0.2.1");
        for time in [0, 61, 122, 183] {
            assert!(!attempts.failed("a", bad, seconds(time)));
        }
        assert!(!attempts.failed("a", bad, seconds(184)));
        attempts.succeeded("own", bad, seconds(184));
        assert!(attempts.failed("a", bad, seconds(185)));
    }

    #[test]
    fn ipv6_counts_by_64_and_a_mapped_address_as_ipv4() {
        let own = Own::new(POLICY);
        let attempts = own.attempts();
        attempts.failed("a", ip("2001:db8:0:1::1"), seconds(1));
        attempts.failed("a", ip("2001:db8:0:1:ffff::"), seconds(1));
        assert!(attempts.failed("a", ip("2001:db8:0:1::2"), seconds(1)));
        assert!(
            attempts
                .banned(ip("2001:db8:0:1::99"), seconds(2))
                .is_some()
        );
        assert!(attempts.banned(ip("2001:db8:0:2::1"), seconds(2)).is_none());
        for _ in 0..3 {
            attempts.failed("a", ip("::ffff:192.0.2.7"), seconds(1));
        }
        assert!(attempts.banned(ip("192.0.2.7"), seconds(2)).is_some());
    }

    #[test]
    fn zero_counts_nothing() {
        for policy in [
            Policy {
                ban_after: 0,
                ..POLICY
            },
            Policy {
                ban_time: Duration::ZERO,
                ..POLICY
            },
        ] {
            let own = Own::new(policy);
            let attempts = own.attempts();
            for _ in 0..100 {
                assert!(!attempts.failed("a", ip("::1"), seconds(1)));
            }
            attempts.succeeded("a", ip("::1"), seconds(1));
            assert_eq!(attempts.hold("a", ip("::2"), seconds(1)), Duration::ZERO);
            assert!(own.is_untouched());
        }
    }

    #[test]
    fn answers_of_a_user_wait_longer_and_longer_and_never_too_long() {
        let own = Own::new(POLICY);
        let attempts = own.attempts();
        let mut holds = Vec::new();
        for number in 0..50 {
            holds.push(attempts.hold("bob", nth(9_999), seconds(1)).as_secs());
            attempts.failed("bob", nth(number), seconds(1));
        }
        assert_eq!(holds[..11], [0, 0, 0, 0, 0, 1, 2, 4, 8, 10, 10]);
        assert_eq!(holds[49], 10);
        assert_eq!(attempts.hold("amy", nth(9_999), seconds(1)), Duration::ZERO);
        assert_eq!(attempts.hold("bob", nth(9_999), seconds(601)), seconds(10));
        assert_eq!(
            attempts.hold("bob", nth(9_999), seconds(602)),
            Duration::ZERO
        );
    }

    #[test]
    fn an_attack_from_everywhere_does_not_lock_its_victim_out() {
        let own = Own::new(POLICY);
        let attempts = own.attempts();
        let home = ip("198.51.100.7");
        for number in 0..10_000 {
            attempts.failed("bob", nth(number), seconds(u64::from(number) / 10));
        }
        let now = seconds(1_000);
        assert_eq!(attempts.banned(home, now), None);
        assert_eq!(attempts.hold("bob", home, now), LONGEST_HOLD);
        attempts.succeeded("bob", home, now);
        for number in 10_000..20_000 {
            attempts.failed("bob", nth(number), now);
        }
        assert_eq!(attempts.hold("bob", home, now), Duration::ZERO);
        assert_eq!(attempts.hold("bob", ip("198.51.100.8"), now), LONGEST_HOLD);
    }

    #[test]
    fn tables_do_not_grow_and_bans_outlast_lesser_entries() {
        let own = Own::new(POLICY);
        let attempts = own.attempts();
        let bad = ip("2001:db8::1");
        for _ in 0..3 {
            attempts.failed("a", bad, seconds(10));
        }
        for number in 0..100_000 {
            attempts.failed(&format!("user{number}"), nth(number), seconds(10));
        }
        assert!(attempts.banned(bad, seconds(11)).is_some());
        // A ban that is over is worth nothing.
        for number in 0..100_000 {
            attempts.failed("a", nth(number), seconds(100));
        }
        assert!(attempts.addresses.find(attempts.address(bad)).is_none());
    }

    #[test]
    fn the_oldest_entry_goes() {
        let own = Own::new(POLICY);
        let table = own.attempts().users;
        for number in 1..=WAYS as u64 {
            // All of them in the first places.
            let place = table.place(number * PLACES as u64 * 2 + 1);
            table.set(place + SINCE, number + 10);
            table.set(place + COUNT, 7);
        }
        let newest = 100 * PLACES as u64 * 2 + 1;
        let place = table.place(newest);
        assert_eq!(table.get(place + COUNT), 0);
        table.set(place + SINCE, 100);
        let held: Vec<u64> = ways(newest).map(|place| table.get(place + SINCE)).collect();
        assert_eq!(held, [100, 12, 13, 14, 15, 16, 17, 18]);
        assert_eq!(table.place(newest), place);
    }
}
