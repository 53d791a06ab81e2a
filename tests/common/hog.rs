//! A client whose commands take all of the loop's time, so that whatever is heavy has to queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ftpdlib::{Builder, Command, Reply};

use super::TestServer;

/// Longer than a turn of the loop has for everything.
const LONG: Duration = Duration::from_millis(3);

/// Gives the server a command that holds the loop.
pub(crate) fn with_spin(builder: Builder) -> Builder {
    builder.command(Command::new("XSPIN").run(|_, _| {
        let begin = Instant::now();
        while begin.elapsed() < LONG {
            std::hint::spin_loop();
        }
        Ok(Reply::new(200, "Spun."))
    }))
}

/// Sends that command over and over, until it is dropped.
pub(crate) struct Hog {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hog {
    pub(crate) fn start(server: &TestServer) -> Hog {
        let mut client = server.login();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                client.expect("XSPIN", 200);
            }
        });
        Hog {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            !matches!(ended, Some(Err(_))) || std::thread::panicking(),
            "the client that spins has failed"
        );
    }
}
