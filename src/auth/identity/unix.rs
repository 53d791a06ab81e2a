//! An identity by the numbers of UNIX.

use std::fmt;
use std::sync::Arc;

use super::Identity;
use crate::sys::accounts;
use crate::sys::identity::Ids;

impl Identity {
    /// The ids as they are given; `groups` are the supplementary ones.
    pub fn new(uid: u32, gid: u32, groups: impl IntoIterator<Item = u32>) -> Self {
        // He is in `gid` anyway; who is in no other group has none to be set.
        let mut groups: Vec<u32> = groups.into_iter().filter(|&group| group != gid).collect();
        // As the system keeps them.
        groups.sort_unstable();
        groups.dedup();
        Identity(Arc::new(Ids { uid, gid, groups }))
    }

    /// The ids of a user of the system, with all the groups that he is in; `None` if there is no
    /// such user, or no telling. It may ask a directory service.
    pub fn of_user(name: &str) -> Option<Self> {
        let user = accounts::passwd(name).ok().flatten()?;
        let groups = accounts::groups(name, user.gid);
        Some(Identity::new(user.uid, user.gid, groups))
    }

    /// User id.
    pub fn uid(&self) -> u32 {
        self.0.uid
    }

    /// Group id.
    pub fn gid(&self) -> u32 {
        self.0.gid
    }

    /// Supplementary groups, in order and without [`gid`](Self::gid).
    pub fn groups(&self) -> &[u32] {
        &self.0.groups
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("uid", &self.0.uid)
            .field("gid", &self.0.gid)
            .field("groups", &self.0.groups)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_in_order_and_there_once() {
        let identity = Identity::new(7, 8, [30, 8, 20, 30]);
        assert_eq!((identity.uid(), identity.gid()), (7, 8));
        assert_eq!(identity.groups(), [20, 30]);
        assert_eq!(identity, Identity::new(7, 8, [20, 30, 8]));
    }

    #[test]
    fn users_are_the_systems() {
        let root = Identity::of_user("root").unwrap();
        assert_eq!((root.uid(), root.gid()), (0, 0));
        assert!(Identity::of_user("no such user").is_none());
    }
}
