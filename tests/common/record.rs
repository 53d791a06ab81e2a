//! A handler that writes down every callback, and lets a test wait for one.

use std::sync::{Condvar, Mutex};
use std::time::Instant;

use ftpdlib::{Handler, Password, Session, Transferred};

use super::PATIENCE;

/// What the callbacks were, in words: `login user`, `received /f 10`.
#[derive(Default)]
pub(crate) struct Record {
    events: Mutex<Vec<String>>,
    added: Condvar,
}

impl Record {
    pub(crate) fn add(&self, event: impl Into<String>) {
        self.events
            .lock()
            .expect("no test panics here")
            .push(event.into());
        self.added.notify_all();
    }

    /// All events so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.events.lock().expect("no test panics here").clone()
    }

    /// How often an event has come so far.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.all().iter().filter(|seen| *seen == event).count()
    }

    /// Waits until the events satisfy `enough`.
    #[track_caller]
    pub(crate) fn wait_until(&self, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut events = self.events.lock().expect("no test panics here");
        while !enough(&events) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain; so far: {events:?}");
            events = self
                .added
                .wait_timeout(events, left)
                .expect("no test panics here")
                .0;
        }
        events.clone()
    }

    /// Waits for one event.
    #[track_caller]
    pub(crate) fn wait_for(&self, event: &str) {
        self.wait_until(|events| events.iter().any(|seen| seen == event));
    }

    /// Waits until there are as many events as in `expected`, which must be all there are.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) {
        let events = self.wait_until(|events| events.len() >= expected.len());
        assert_eq!(events, expected);
    }
}

/// The handler of every session that writes into a [`Record`].
pub(crate) struct Recorder(pub(crate) std::sync::Arc<Record>);

impl Recorder {
    fn file(&self, what: &str, file: &Transferred) {
        self.0
            .add(format!("{what} {} {}", file.path(), file.bytes()));
    }
}

impl Handler for Recorder {
    fn on_connect(&mut self, _session: &mut Session<'_>) {
        self.0.add("connect");
    }

    fn on_disconnect(&mut self, _session: &mut Session<'_>) {
        self.0.add("disconnect");
    }

    fn on_login(&mut self, _session: &mut Session<'_>, username: &str) {
        self.0.add(format!("login {username}"));
    }

    fn on_login_failed(&mut self, _session: &mut Session<'_>, username: &str, password: &Password) {
        let password = String::from_utf8_lossy(password.as_bytes());
        self.0.add(format!("login_failed {username} {password}"));
    }

    fn on_logout(&mut self, _session: &mut Session<'_>, username: &str) {
        self.0.add(format!("logout {username}"));
    }

    fn on_file_sent(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("sent", file);
    }

    fn on_file_received(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("received", file);
    }

    fn on_incomplete_file_sent(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("incomplete_sent", file);
    }

    fn on_incomplete_file_received(&mut self, _session: &mut Session<'_>, file: &Transferred) {
        self.file("incomplete_received", file);
    }
}
