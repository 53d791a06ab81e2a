//! Names of owners and groups, kept for a while: a listing asks for the same few ones for every
//! entry, and the system may have to ask a directory service.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::owner;

/// A name is asked for again after this time.
const KEPT: Duration = Duration::from_secs(60);

/// So many names are kept at most, of users and of groups each.
const MOST: usize = 1024;

static USERS: LazyLock<Names> = LazyLock::new(|| Names::new(owner::user_name));
static GROUPS: LazyLock<Names> = LazyLock::new(|| Names::new(owner::group_name));

/// The name of a user id; `None` if it has none.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    USERS.get(uid, Instant::now())
}

/// The name of a group id; `None` if it has none.
pub(crate) fn group_name(gid: u32) -> Option<String> {
    GROUPS.get(gid, Instant::now())
}

struct Names {
    look_up: fn(u32) -> Option<String>,
    /// That an id has no name is kept too.
    known: Mutex<HashMap<u32, (Instant, Option<String>)>>,
}

impl Names {
    fn new(look_up: fn(u32) -> Option<String>) -> Names {
        Names {
            look_up,
            known: Mutex::default(),
        }
    }

    fn get(&self, id: u32, now: Instant) -> Option<String> {
        let fresh = |since: &Instant| now.saturating_duration_since(*since) < KEPT;
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, name)) = known.get(&id).filter(|(since, _)| fresh(since)) {
                return name.clone();
            }
        }
        // Not under the lock: one slow answer must not hold up names that are known.
        let name = (self.look_up)(id);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (since, _)| fresh(since));
            if known.len() >= MOST {
                known.clear();
            }
        }
        known.insert(id, (now, name.clone()));
        name
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    impl Names {
        fn count(&self) -> usize {
            self.known.lock().unwrap().len()
        }
    }

    #[test]
    fn a_name_is_asked_for_once_a_minute() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let names = Names::new(|id| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            (id == 7).then(|| "seven".to_owned())
        });
        let start = Instant::now();
        let ask = |id, seconds| names.get(id, start + Duration::from_secs(seconds));
        assert_eq!(ask(7, 0).as_deref(), Some("seven"));
        assert_eq!(ask(8, 0), None);
        assert_eq!(ask(7, 59).as_deref(), Some("seven"));
        assert_eq!(ask(8, 59), None);
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
        assert_eq!(ask(7, 60).as_deref(), Some("seven"));
        assert_eq!(ask(7, 119).as_deref(), Some("seven"));
        assert_eq!(ASKED.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn names_have_a_bound() {
        let names = Names::new(|id| Some(id.to_string()));
        let start = Instant::now();
        for id in 0..10 * MOST as u32 {
            assert_eq!(names.get(id, start), Some(id.to_string()));
            assert!(names.count() <= MOST);
        }
    }

    #[test]
    fn old_names_make_room_first() {
        let names = Names::new(|id| Some(id.to_string()));
        let start = Instant::now();
        let later = start + KEPT;
        for id in 0..MOST as u32 {
            names.get(id, if id < 1000 { start } else { later });
        }
        names.get(u32::MAX, later);
        assert_eq!(names.count(), MOST - 1000 + 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_systems_names_are_told() {
        assert_eq!(user_name(0), owner::user_name(0));
        assert_eq!(group_name(0), owner::group_name(0));
        assert!(user_name(0).is_some());
    }
}
