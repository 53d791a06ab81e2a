//! How many connections the server holds, counted where they are opened and closed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of listening, control and data connections together with its limit (`max_cons`),
/// and the number of clients of each address.
#[derive(Debug)]
pub(crate) struct Census {
    limit: usize,
    count: AtomicUsize,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted connection; dropping it counts it out.
#[derive(Debug)]
pub(crate) struct Counted {
    census: Arc<Census>,
    client: Option<IpAddr>,
}

impl Census {
    /// A limit of 0 is none.
    pub(crate) fn new(limit: usize) -> Arc<Census> {
        let clients = Mutex::default();
        Arc::new(Census {
            limit,
            count: AtomicUsize::new(0),
            clients,
        })
    }

    /// Counts one connection in, whatever the limit.
    pub(crate) fn count_in(self: &Arc<Self>) -> Counted {
        self.count.fetch_add(1, Ordering::Relaxed);
        Counted {
            census: Arc::clone(self),
            client: None,
        }
    }

    /// Counts in a client's control connection.
    pub(crate) fn count_client(self: &Arc<Self>, ip: IpAddr) -> Counted {
        *self.clients().entry(ip).or_default() += 1;
        let mut counted = self.count_in();
        counted.client = Some(ip);
        counted
    }

    /// Whether the number, with what was counted in, is within the limit.
    pub(crate) fn is_within_limit(&self) -> bool {
        self.limit == 0 || self.count.load(Ordering::Relaxed) <= self.limit
    }

    /// Clients from one address.
    pub(crate) fn clients_of(&self, ip: IpAddr) -> usize {
        self.clients().get(&ip).copied().unwrap_or(0)
    }

    /// All connections.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.count.fetch_sub(1, Ordering::Relaxed);
        let Some(ip) = self.client else { return };
        let mut clients = self.census.clients();
        if let Some(count) = clients.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn counts_in_and_out_and_knows_its_limit() {
        let census = Census::new(1);
        let first = census.count_in();
        assert!(census.is_within_limit());
        let second = census.count_in();
        assert!(!census.is_within_limit());
        drop(first);
        assert!(census.is_within_limit());
        drop(second);
        assert_eq!(census.count(), 0);

        let unlimited = Census::new(0);
        let _many: Vec<_> = (0..1000).map(|_| unlimited.count_in()).collect();
        assert!(unlimited.is_within_limit());
    }

    #[test]
    fn keeps_no_address_that_has_no_client() {
        let census = Census::new(0);
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (first, second) = (census.count_client(ip), census.count_client(ip));
        assert_eq!((census.clients_of(ip), census.count()), (2, 2));
        drop(first);
        assert_eq!(census.clients_of(ip), 1);
        drop(second);
        assert_eq!((census.clients_of(ip), census.count()), (0, 0));
        assert!(census.clients().is_empty());
    }
}
