//! Guards the accounts against guessing: every check of a password goes through here, on whatever
//! thread it runs, and its failure is counted and logged here, so that a client that does not wait
//! for the answer gains nothing.

use std::collections::hash_map::RandomState;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use log::Level;

use crate::auth::{Account, AuthFailed, Authorizer, Credentials};
use crate::proto::attempts::{Attempts, Policy};
use crate::proto::escape::Escaped;
use crate::session::logging;
use crate::sys::shared::Shared;

/// What a banned client is told after `421`.
pub(crate) const BANNED: &str = "Too many failed logins from your address, try again later.";

/// The failed logins of all of a server's sessions, whichever worker has them.
pub(crate) struct Guard {
    policy: Policy,
    started: Instant,
    /// Of the same key in every worker.
    hasher: RandomState,
    /// Nothing is counted without.
    memory: Option<Shared>,
}

/// What a check came to.
pub(crate) enum Checked {
    /// No password is looked at that comes from there.
    Banned,
    /// The authorizer's answer, and for how long it is to wait.
    Answered(Result<Account, AuthFailed>, Duration),
}

impl Default for Guard {
    fn default() -> Guard {
        Guard::new(Policy {
            ban_after: 20,
            ban_time: Duration::from_secs(600),
        })
    }
}

impl Guard {
    /// One that counts nothing yet.
    pub(crate) fn new(policy: Policy) -> Guard {
        Guard {
            policy,
            started: Instant::now(),
            hasher: RandomState::new(),
            memory: None,
        }
    }

    /// Counts from now on, if there is something to count: in this process, and in those that it
    /// forks from here on.
    ///
    /// # Errors
    ///
    /// When the system has no memory to share.
    pub(crate) fn on_duty(mut self) -> io::Result<Guard> {
        if self.policy.counts() {
            self.memory = Some(Shared::new(Attempts::WORDS)?);
        }
        Ok(self)
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether a client from there is not even asked for a name.
    pub(crate) fn is_banned(&self, ip: IpAddr) -> bool {
        self.ask(|attempts, now| attempts.banned(ip, now))
            .flatten()
            .is_some()
    }

    /// Asks the authorizer, unless the address is banned.
    pub(crate) fn authenticate(
        &self,
        authorizer: &dyn Authorizer,
        credentials: &Credentials,
    ) -> Checked {
        let (user, peer) = (credentials.username.as_str(), credentials.peer);
        // What other checks find out meanwhile is for the next one.
        let hold = self.ask(|attempts, now| match attempts.banned(peer.ip(), now) {
            Some(_) => None,
            None => Some(attempts.hold(user, peer.ip(), now)),
        });
        if let Some(None) = hold {
            return Checked::Banned;
        }
        let result = authorizer.authenticate(credentials);
        match &result {
            // Of who is banned meanwhile nothing is remembered: the session will refuse him.
            Ok(_) => {
                self.ask(|attempts, now| match attempts.banned(peer.ip(), now) {
                    Some(_) => {}
                    None => attempts.succeeded(user, peer.ip(), now),
                });
            }
            Err(refusal) if refusal.is_guess() => self.failed(user, peer),
            Err(refusal) => log_refusal(user, peer, refusal),
        }
        Checked::Answered(result, hold.flatten().unwrap_or_default())
    }

    fn failed(&self, user: &str, peer: SocketAddr) {
        let banned = self.ask(|attempts, now| attempts.failed(user, peer.ip(), now));
        log_failure(user, peer);
        if banned == Some(true) {
            let Policy {
                ban_after,
                ban_time,
            } = self.policy;
            let line = format!("address banned for {ban_time:?} after {ban_after} failed logins.");
            logging::line(Level::Warn, peer, "", &line);
        }
    }

    /// Asks the tables, if there are any, what there is at this moment.
    fn ask<T>(&self, question: impl FnOnce(&Attempts<'_>, Duration) -> T) -> Option<T> {
        let memory = self.memory.as_ref()?;
        let locked = memory.lock();
        let ended = locked.ended;
        let attempts = Attempts::new(self.policy, memory.words(), &self.hasher);
        let answer = question(&attempts, self.started.elapsed());
        // A log may be slow, and nobody is to wait for the lock meanwhile.
        drop(locked);
        if let Some(worker) = ended {
            logging::ended_with_lock(worker);
        }
        Some(answer)
    }
}

/// The line that fail2ban reads: `docs/fail2ban/` has its filter.
fn log_failure(user: &str, peer: SocketAddr) {
    let user = Escaped(user.as_bytes());
    let line = format!("USER '{user}' failed login.");
    logging::line(Level::Info, peer, "", &line);
}

/// Of a login that was no guess; fail2ban passes it over.
fn log_refusal(user: &str, peer: SocketAddr, refusal: &AuthFailed) {
    let (user, why) = (Escaped(user.as_bytes()), refusal.to_string());
    let line = format!("USER '{user}' refused: {}", Escaped(why.as_bytes()));
    logging::line(Level::Info, peer, "", &line);
}
