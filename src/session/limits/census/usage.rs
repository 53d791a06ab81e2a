//! What a user has stored, against his quota: one count for all of his sessions, whichever worker has
//! them. It is there as long as he has a session or a transfer.

use std::sync::Arc;

use super::tally::Tally;
use super::{Census, Seat};

/// Bytes of files, and files, folders and links, below the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// What a user has stored, as all workers know it.
#[derive(Clone)]
pub(crate) struct Usage {
    census: Arc<Census>,
    /// The user's.
    hash: u64,
}

impl Usage {
    /// Of a user whose session the client is.
    pub(crate) fn of(client: &Seat, user: &str) -> Usage {
        let census = Arc::clone(&client.census);
        Usage {
            hash: census.hash_of_user(user),
            census,
        }
    }

    /// Whether it is known.
    pub(crate) fn is_known(&self) -> bool {
        let known = |tally: &Tally<'_>| tally.usage(self.hash).is_some();
        self.census.tally(known)
    }

    /// So much has been counted. When somebody else has been faster, his count holds: the user may have
    /// stored something since.
    pub(crate) fn counted(&self, amount: Amount) {
        self.census.tally(|tally| {
            if tally.usage(self.hash).is_none() {
                tally.set_usage(self.hash, (amount.bytes, amount.files));
            }
        });
    }

    /// Counts up to `want` bytes more, as many as `most` (0: any number) leaves room for; gives their
    /// number. None when the user has neither a session nor a transfer any more.
    pub(crate) fn take_bytes(&self, want: u64, most: u64) -> u64 {
        if want == 0 {
            return 0;
        }
        self.census.tally(|tally| {
            let Some((bytes, files)) = tally.usage(self.hash) else {
                return 0;
            };
            let granted = want.min(left(most, bytes));
            tally.set_usage(self.hash, (bytes.saturating_add(granted), files));
            granted
        })
    }

    /// Counts a file more, if `most` (0: any number) leaves room for it.
    pub(crate) fn take_file(&self, most: u64) -> bool {
        self.census.tally(|tally| {
            let Some((bytes, files)) = tally.usage(self.hash) else {
                return false;
            };
            let room = left(most, files) > 0;
            if room {
                tally.set_usage(self.hash, (bytes, files.saturating_add(1)));
            }
            room
        })
    }

    /// Counts them out.
    pub(crate) fn give_back(&self, bytes: u64, files: u64) {
        if bytes == 0 && files == 0 {
            return;
        }
        self.census.tally(|tally| {
            if let Some((had, them)) = tally.usage(self.hash) {
                let usage = (had.saturating_sub(bytes), them.saturating_sub(files));
                tally.set_usage(self.hash, usage);
            }
        });
    }

    /// What there is room for.
    pub(crate) fn left(&self, most: Amount) -> Amount {
        let used = self.census.tally(|tally| tally.usage(self.hash));
        let (bytes, files) = used.unwrap_or((u64::MAX, u64::MAX));
        Amount {
            bytes: left(most.bytes, bytes),
            files: left(most.files, files),
        }
    }
}

fn left(most: u64, used: u64) -> u64 {
    match most {
        0 => u64::MAX,
        most => most.saturating_sub(used),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::auth::Limits;
    use crate::session::limits::census::Bounds;

    const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn amount(bytes: u64, files: u64) -> Amount {
        Amount { bytes, files }
    }

    #[test]
    fn one_count_for_all_sessions_that_goes_with_the_last() {
        let census = Census::new(Bounds::default(), 1).unwrap();
        let limits = Limits {
            quota_bytes: 100,
            ..Limits::default()
        };
        let most = amount(100, 3);
        let clients = [census.admit(IP).unwrap(), census.admit(IP).unwrap()];
        let usage = Usage::of(&clients[0], "bob");
        // Nobody's: nothing is granted.
        assert!(!usage.is_known());
        assert_eq!(usage.take_bytes(1, 100), 0);
        assert_eq!(usage.left(most), amount(0, 0));
        assert!(clients.iter().all(|client| client.log_in("bob", limits)));
        assert!(!usage.is_known());
        usage.counted(amount(90, 2));
        // He who counted at the same time comes too late.
        Usage::of(&clients[1], "bob").counted(amount(5, 0));
        assert_eq!(usage.left(most), amount(10, 1));
        assert_eq!(usage.take_bytes(8, 100), 8);
        assert_eq!(Usage::of(&clients[1], "bob").take_bytes(8, 100), 2);
        assert!(usage.take_file(3) && !usage.take_file(3));
        // Without a limit it is counted all the same.
        assert!(usage.take_file(0));
        assert_eq!(usage.take_bytes(50, 0), 50);
        usage.give_back(60, 1);
        assert_eq!(usage.left(most), amount(10, 0));
        usage.give_back(1000, 1000);
        assert_eq!(usage.left(most), most);

        clients[0].log_out();
        let transfer = clients[1].connection(limits).unwrap();
        drop(clients);
        assert!(usage.is_known());
        drop(transfer);
        assert!(!usage.is_known());
        // The next one begins anew.
        let client = census.admit(IP).unwrap();
        assert!(client.log_in("eve", limits));
        assert!(!Usage::of(&client, "eve").is_known());
    }
}
