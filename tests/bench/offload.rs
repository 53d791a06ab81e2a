//! What an empty job costs, to the pool and back: `cargo bench --bench offload`.
//!
//! One session's callbacks offload one empty job after another and take the time of each, from the
//! call to what follows it. First each is sent off a millisecond after the last one came back, so
//! that the loop and the worker thread both sleep and have to be woken; then at once, as under load.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use ftpdlib::{FtpServer, Handler, Session, TimerId};

/// The first ones start the thread and fill the caches.
const WARM_UP: usize = 100;
const FROM_REST: usize = 3_000;
const BACK_TO_BACK: usize = 50_000;
const REST: Duration = Duration::from_millis(1);

struct Rounds {
    taken: Vec<Duration>,
    done: Sender<Vec<Duration>>,
}

impl Rounds {
    fn offload(&mut self, session: &mut Session<'_>) {
        let begun = Instant::now();
        session.offload(
            || (),
            move |this: &mut Self, session, _| {
                this.taken.push(begun.elapsed());
                this.next(session);
            },
        );
    }

    fn next(&mut self, session: &mut Session<'_>) {
        let count = self.taken.len();
        if count < WARM_UP + FROM_REST {
            session.call_later(REST);
        } else if count < WARM_UP + FROM_REST + BACK_TO_BACK {
            self.offload(session);
        } else {
            // Whoever asked has gone only if the run was broken off.
            let _ = self.done.send(self.taken.split_off(WARM_UP));
        }
    }
}

impl Handler for Rounds {
    fn on_connect(&mut self, session: &mut Session<'_>) {
        self.offload(session);
    }

    fn on_timer(&mut self, session: &mut Session<'_>, _: TimerId) {
        self.offload(session);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (done, results) = channel();
    let done = std::sync::Mutex::new(done);
    let server = FtpServer::builder()
        .handler(move |_peer| Rounds {
            taken: Vec::new(),
            done: done.lock().map(|done| done.clone()).unwrap_or(channel().0),
        })
        .bind("127.0.0.1:0")?
        .spawn()?;
    let _client = TcpStream::connect(server.local_addr())?;
    let mut from_rest = results.recv()?;
    let mut back_to_back = from_rest.split_off(FROM_REST);
    report("from rest", &mut from_rest)?;
    report("back to back", &mut back_to_back)
}

fn report(what: &str, taken: &mut [Duration]) -> Result<(), Box<dyn std::error::Error>> {
    taken.sort_unstable();
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let mut line = format!("offload of an empty job, {what}, {} times:", taken.len());
    for (name, share) in [("min", 0.0), ("median", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        line.push_str(&format!(" {name} {:.1} us", at(share)));
    }
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}
