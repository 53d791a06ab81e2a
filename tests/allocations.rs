//! What commands cost in memory: pieces of it, counted where the server runs.
//!
//! One test in a process of its own, since its allocator is the whole process's.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::TestServer;

/// Pieces of memory that threads other than the tests' have asked for.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_TEST: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: it does what the system's does, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_TEST.get() {
            TAKEN.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are the system's, too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[test]
fn commands_take_no_memory_each() {
    const COMMANDS: usize = 50;
    IS_TEST.set(true);
    let server = TestServer::start();
    let mut client = server.login();
    let mut taken = || {
        let before = TAKEN.load(Ordering::Relaxed);
        client.send("NOOP\r\n".repeat(COMMANDS));
        for _ in 0..COMMANDS {
            client.expect_reply(200);
        }
        // The last reply is sent when everything is done but to let go.
        TAKEN.load(Ordering::Relaxed) - before
    };
    taken();
    let taken = taken();
    assert!(taken < COMMANDS / 2, "{taken} for {COMMANDS} commands");

    let mut one_by_one = || {
        let before = TAKEN.load(Ordering::Relaxed);
        for _ in 0..COMMANDS {
            client.expect("NOOP", 200);
        }
        TAKEN.load(Ordering::Relaxed) - before
    };
    one_by_one();
    let taken = one_by_one();
    assert!(
        taken < COMMANDS / 2,
        "{taken} for {COMMANDS} commands, one by one"
    );
}
