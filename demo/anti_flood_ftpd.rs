//! A ban on clients that flood the server.
//!
//! Who sends more than 300 commands in a second is disconnected, and his address is banned for an
//! hour: a session's own state, a timer, and state that the sessions share.
//!
//! ```sh
//! cargo run --example anti_flood_ftpd
//! (yes NOOP | head -n 1000; sleep 1) | curl -s telnet://127.0.0.1:2121 | tail -n 1
//! curl ftp://127.0.0.1:2121/    # refused, for an hour
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ftpdlib::{CommandLine, DummyAuthorizer, FtpServer, Handler, Reply, Session, TimerId, Verdict};

const COMMANDS_PER_SECOND: u32 = 300;
const BAN: Duration = Duration::from_secs(60 * 60);
const MAX_BANNED: usize = 10_000; // a flood from many addresses must not fill the memory

type Banned = HashMap<IpAddr, Instant>;

/// One session.
#[derive(Clone, Default)]
struct AntiFlood {
    /// In the current second.
    commands: u32,
    /// Shared by all sessions: who is banned, and since when.
    banned: Arc<Mutex<Banned>>,
}

impl AntiFlood {
    fn banned(&self) -> MutexGuard<'_, Banned> {
        let mut banned = self.banned.lock().unwrap_or_else(PoisonError::into_inner);
        banned.retain(|_, since| since.elapsed() < BAN);
        banned
    }
}

impl Handler for AntiFlood {
    fn on_connect(&mut self, session: &mut Session<'_>) {
        session.call_every(Duration::from_secs(1)); // ends with the session
        if self.banned().contains_key(&session.peer().ip()) {
            session.respond(Reply::new(421, "You are banned."));
            session.close_when_done();
        }
    }

    fn on_timer(&mut self, _session: &mut Session<'_>, _timer: TimerId) {
        self.commands = 0;
    }

    fn on_command(&mut self, session: &mut Session<'_>, _command: &CommandLine) -> Verdict {
        self.commands += 1;
        if self.commands <= COMMANDS_PER_SECOND {
            return Verdict::Run;
        }
        let mut banned = self.banned();
        if banned.len() < MAX_BANNED {
            banned.insert(session.peer().ip(), Instant::now());
        }
        session.log(log::Level::Warn, "banned for command flooding");
        session.close_when_done();
        Verdict::Refuse(Reply::new(421, "You are banned for an hour."))
    }
}

fn main() -> Result<(), ftpdlib::Error> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let mut users = DummyAuthorizer::new();
    users.add_anonymous(".")?;

    let fresh = AntiFlood::default();
    FtpServer::builder()
        .authorizer(users)
        .handler(move |_peer| fresh.clone())
        .bind("0.0.0.0:2121")?
        .serve_forever()
}
