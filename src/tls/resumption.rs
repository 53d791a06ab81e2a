//! What lets data connections resume the TLS session of one control connection, and no other.
//!
//! A data connection that resumes it proves that it is made by whoever has the control connection:
//! nobody else was given a ticket (RFC 4217, 10.2 leaves the method open). The key lives as long as
//! the session, so the tickets of a session of days are good to its end. Some clients take no
//! tickets in TLS 1.2 (curl); for them one session is kept by its id.
//!
//! A data connection takes. It gives a ticket only when it is known to have resumed: one that did
//! not is refused, and must not be handed what the next one could resume by.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use rustls::ServerConfig;
use rustls::server::{ProducesTickets, StoresServerSessions};

use super::TlsError;

/// Seconds that a client may keep a ticket: the most that RFC 8446, 4.6.1 allows.
const LIFETIME: u32 = 7 * 24 * 60 * 60;
const KEY: usize = 32;
const NONCE: usize = 12;

/// The key of one control connection's tickets, and its session.
pub(super) struct Resumption {
    tickets: Arc<Tickets>,
    kept: Arc<Kept>,
}

impl Resumption {
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub(super) fn new() -> Result<Resumption, TlsError> {
        let tickets = Arc::new(Tickets::new()?);
        let kept = Arc::default();
        Ok(Resumption { tickets, kept })
    }

    /// The configuration for the control connection.
    pub(super) fn give(&self, config: &ServerConfig) -> ServerConfig {
        let mut config = config.clone();
        config.ticketer = self.tickets.clone();
        config.session_storage = self.kept.clone();
        config
    }

    /// The configuration for one of its data connections, and what allows that to give a ticket.
    pub(super) fn take(&self, config: &ServerConfig) -> (ServerConfig, Renewal) {
        let renewal = Renewal::default();
        let mut config = config.clone();
        config.ticketer = Arc::new(DataTickets {
            tickets: self.tickets.clone(),
            renewal: renewal.clone(),
        });
        config.session_storage = Arc::new(TakeOnly(self.kept.clone()));
        // For clients that use each but once.
        config.send_tls13_tickets = 1;
        (config, renewal)
    }
}

/// Whether a data connection may give a ticket.
#[derive(Clone, Default)]
pub(super) struct Renewal(Arc<AtomicBool>);

impl Renewal {
    /// Allows it: the connection has resumed, and tickets come behind the handshake (TLS 1.3).
    pub(super) fn allow(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The control connection's tickets, for a data connection.
struct DataTickets {
    tickets: Arc<Tickets>,
    renewal: Renewal,
}

/// Lets a data connection take the session that its control connection gave.
struct TakeOnly(Arc<Kept>);

/// Seals tickets with a key of its own.
struct Tickets(RandomizedNonceKey);

/// A TLS 1.2 session and its id.
#[derive(Default)]
struct Kept(Mutex<Option<(Vec<u8>, Vec<u8>)>>);

impl Tickets {
    fn new() -> Result<Tickets, TlsError> {
        let mut key = [0; KEY];
        rand::fill(&mut key)
            .and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, &key))
            .map(Tickets)
            .map_err(|_| TlsError::new("the system has no random bytes for a session's tickets"))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut ticket = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::empty(), &mut ticket)
            .ok()?;
        ticket.extend_from_slice(nonce.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (sealed, nonce) = ticket.split_at_checked(ticket.len().checked_sub(NONCE)?)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let len = self
            .0
            .open_in_place(nonce, Aad::empty(), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(len);
        Some(sealed)
    }
}

impl ProducesTickets for DataTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let allowed = self.renewal.0.load(Ordering::Relaxed);
        allowed.then(|| self.tickets.encrypt(plain)).flatten()
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.tickets.decrypt(ticket)
    }
}

impl StoresServerSessions for Kept {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, session));
        true
    }

    fn get(&self, wanted: &[u8]) -> Option<Vec<u8>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|(id, _)| id == wanted)
            .map(|(_, session)| session.clone())
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.get(id)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl StoresServerSessions for TakeOnly {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        false
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.0.get(id)
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.0.get(id)
    }

    fn can_cache(&self) -> bool {
        false
    }
}

// rustls asks for it; secrets are not shown.
impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl fmt::Debug for DataTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataTickets")
    }
}

impl fmt::Debug for TakeOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakeOnly")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_whole_tickets_open() {
        let (own, other) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let ticket = own.encrypt(b"state").unwrap();
        assert_ne!(ticket, own.encrypt(b"state").unwrap());
        // As often as one likes.
        assert_eq!(own.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(own.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        for len in 0..ticket.len() {
            assert_eq!(own.decrypt(&ticket[..len]), None);
        }
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(own.decrypt(&changed), None);
        }
    }

    #[test]
    fn data_connections_take_and_give_only_when_allowed() {
        let own = Resumption::new().unwrap();
        let renewal = Renewal::default();
        let tickets = DataTickets {
            tickets: own.tickets.clone(),
            renewal: renewal.clone(),
        };
        let kept = TakeOnly(own.kept.clone());
        let ticket = own.tickets.encrypt(b"state").unwrap();
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(tickets.encrypt(b"state"), None);
        renewal.allow();
        let renewed = tickets.encrypt(b"state").unwrap();
        assert_eq!(
            own.tickets.decrypt(&renewed).as_deref(),
            Some(&b"state"[..])
        );

        assert!(!kept.put(b"id".to_vec(), b"other".to_vec()) && !kept.can_cache());
        assert_eq!(kept.get(b"id"), None);
        assert!(own.kept.put(b"id".to_vec(), b"session".to_vec()));
        assert_eq!(kept.get(b"id").as_deref(), Some(&b"session"[..]));
        assert_eq!(kept.take(b"id").as_deref(), Some(&b"session"[..]));
        assert_eq!(kept.get(b"id").as_deref(), Some(&b"session"[..]));
        assert_eq!(kept.get(b"i"), None);
    }
}
