//! The tables, and a process that is killed between any two of its stores.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

type Change = fn(&Tally<'_>);

thread_local! {
    /// Stores until the "process" is killed.
    static STORES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

pub(super) fn may_die() {
    STORES_LEFT.with(|left| match left.get() {
        None => {}
        Some(0) => std::panic::resume_unwind(Box::new("killed")),
        Some(more) => left.set(Some(more - 1)),
    });
}

/// Runs `change` and kills it before its store number `stores`; false when it had fewer.
fn killed_at(stores: u32, change: impl FnOnce()) -> bool {
    STORES_LEFT.set(Some(stores));
    let died = catch_unwind(AssertUnwindSafe(change)).is_err();
    STORES_LEFT.set(None);
    died
}

fn memory(shape: Shape) -> Vec<AtomicU64> {
    (0..shape.words()).map(|_| AtomicU64::new(0)).collect()
}

/// What the tables say agrees with the places, and no place or key is lost.
#[track_caller]
fn assert_sound(tally: &Tally<'_>) {
    let mut counts = HashMap::<u64, [u64; 2]>::new();
    let mut taken = 0;
    for index in 1..=tally.get(PLACES_USED) as u32 {
        let at = tally.place(index);
        if tally.get(at + WORKER) == 0 {
            continue;
        }
        taken += 1;
        for key in [tally.get(at + ADDRESS), tally.get(at + USER)] {
            if key != 0 {
                counts.entry(key & !HELD).or_default()[usize::from(key & HELD != 0)] += 1;
            }
        }
    }
    assert_eq!(tally.total(), taken);
    let chain = |mut next: u64, link: &dyn Fn(u64) -> u64| {
        let mut seen = 0;
        while next != 0 {
            seen += 1;
            assert!(seen <= 1000, "a circle");
            next = link(next);
        }
        seen
    };
    let free = chain(tally.get(PLACES_FREE), &|index| {
        tally.get(tally.place(index as u32) + NEXT_PLACE)
    });
    assert_eq!(free + taken, tally.get(PLACES_USED));
    for (&key, &count) in &counts {
        let at = tally.key(key);
        assert_eq!([tally.get(at + CLIENTS), tally.get(at + HOLDS)], count);
        assert_eq!(tally.find(tally.get(at + HASH)), Some(key));
    }
    let free = chain(tally.get(KEYS_FREE), &|key| {
        tally.get(tally.key(key) + NEXT_KEY)
    });
    let in_use = (1..=tally.get(KEYS_USED)).filter(|&key| tally.is_in_use(key));
    assert_eq!(free + in_use.count() as u64, tally.get(KEYS_USED));
}

#[test]
fn counts_in_and_out() {
    let shape = Shape::new(4);
    let memory = memory(shape);
    let tally = Tally::new(&memory, shape);
    let first = tally.enter(7, 100).unwrap();
    let second = tally.enter(7, 100).unwrap();
    let third = tally.enter(8, 0).unwrap();
    let data = tally.enter(7, 0).unwrap();
    assert_eq!(tally.enter(8, 200), None);
    let counted = (tally.total(), tally.clients(100), tally.clients(200));
    assert_eq!(counted, (4, 2, 0));
    assert!(tally.log_in(first, 500, 2) && tally.log_in(second, 500, 2));
    assert!(!tally.log_in(third, 500, 2));
    assert!(tally.log_in(second, 501, 2) && tally.log_in(third, 500, 2));
    // Who is in already stays in.
    assert!(tally.log_in(third, 500, 2));
    assert_sound(&tally);

    tally.hand_over(second, 8, 9);
    tally.hand_over(third, 8, 9);
    assert_eq!((tally.bury(8), tally.bury(9)), (0, 1));
    assert_eq!((tally.total(), tally.clients(500)), (3, 1));
    assert!(tally.hold(data, first).is_some());
    assert_sound(&tally);
    assert_eq!(tally.bury(7), 3);
    let counted = (tally.total(), tally.clients(100), tally.clients(501));
    assert_eq!(counted, (0, 0, 0));
    assert_sound(&tally);
    // A place and a key are used again.
    for _ in 0..10 {
        let place = tally.enter(1, 300).unwrap();
        tally.leave(place);
        tally.leave(place);
    }
    assert_eq!(tally.get(PLACES_USED), 4);
    assert_sound(&tally);
}

#[test]
fn a_transfer_holds_its_users_rate_when_he_has_logged_out() {
    let shape = Shape::new(8);
    let memory = memory(shape);
    let tally = Tally::new(&memory, shape);
    let (client, other) = (tally.enter(1, 0).unwrap(), tally.enter(1, 0).unwrap());
    let data = tally.enter(1, 0).unwrap();
    assert_eq!(tally.hold(data, client), None);
    assert!(tally.log_in(client, 500, 1));
    let word = tally.hold(data, client).unwrap();
    assert_eq!(tally.hold(data, client), Some(word));
    tally.set(word, 42);
    tally.log_out(client);
    assert_eq!(tally.clients(500), 0);
    // Another user gets another word, the same user the same, with what it says.
    assert!(tally.log_in(other, 501, 1) && tally.log_in(client, 500, 1));
    let second = tally.enter(1, 0).unwrap();
    assert_ne!(tally.hold(second, other), Some(word));
    assert_eq!(tally.hold(second, client), Some(word));
    assert_eq!(tally.get(word), 42);
    assert_sound(&tally);
    for place in [client, other, data, second] {
        tally.leave(place);
    }
    assert_sound(&tally);
}

#[test]
fn who_goes_and_comes_again_finds_what_he_has_used_up() {
    let shape = Shape::new(4);
    let memory = memory(shape);
    let tally = Tally::new(&memory, shape);
    let visit = |hash| {
        let client = tally.enter(1, 0).unwrap();
        let data = tally.enter(1, 0).unwrap();
        assert!(tally.log_in(client, hash, 1));
        let word = tally.hold(data, client).unwrap();
        let paid = tally.get(word);
        tally.set(word, 42);
        // But what he has stored is counted anew.
        assert_eq!(tally.usage(hash), None);
        tally.set_usage(hash, (7, 1));
        assert_eq!(tally.usage(hash), Some((7, 1)));
        tally.leave(client);
        tally.leave(data);
        assert_eq!(tally.usage(hash), None);
        assert_sound(&tally);
        paid
    };
    assert_eq!((visit(500), visit(500)), (0, 42));
    tally.recover();
    assert_eq!(visit(500), 42);
    // When there is no room for others, it is forgotten.
    for hash in 501..=508 {
        assert_eq!(visit(hash), 0);
    }
    assert_eq!((visit(508), visit(500)), (42, 0));
}

#[test]
fn a_kill_between_any_two_stores_is_mended() {
    let changes: [(&str, Change); 9] = [
        ("a client", |tally| {
            let _ = tally.enter(3, 11);
        }),
        ("a new address", |tally| {
            let _ = tally.enter(3, 77);
        }),
        ("a client goes", |tally| tally.leave(1)),
        ("a connection goes", |tally| tally.leave(5)),
        ("a login", |tally| {
            let _ = tally.log_in(2, 22, 0);
        }),
        ("another user", |tally| {
            let _ = tally.log_in(1, 99, 0);
        }),
        ("a logout", |tally| tally.log_out(1)),
        ("a transfer", |tally| {
            let _ = tally.hold(5, 1);
        }),
        ("a worker goes", |tally| {
            let _ = tally.bury(1);
        }),
    ];
    for (name, change) in changes {
        for stores in 0.. {
            let shape = Shape::new(8);
            let memory = memory(shape);
            let tally = Tally::new(&memory, shape);
            // Addresses 11 and 19, and users 22 and 11, share chains.
            for (worker, address) in [(1, 11), (1, 19), (2, 11), (2, 5), (1, 0)] {
                tally.enter(worker, address).unwrap();
            }
            assert!(tally.log_in(1, 22, 0) && tally.log_in(3, 11, 0));
            assert!(tally.hold(5, 3).is_some());
            tally.leave(4);
            assert_sound(&tally);
            let died = killed_at(stores, || change(&tally));
            tally.recover();
            assert_sound(&tally);
            assert!(tally.clients(11) >= 1, "{name}, {stores}");
            // Who recovers may be killed too.
            let again = killed_at(stores, || tally.recover());
            tally.recover();
            assert_sound(&tally);
            if !died && !again {
                break;
            }
        }
    }
}
