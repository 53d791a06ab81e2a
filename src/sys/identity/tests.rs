//! Threads that act as somebody else, and are themselves again. As root.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use super::*;
use crate::sys::capabilities;

/// The kernel's own account of this thread: fsuid, fsgid, groups, effective capabilities.
fn status() -> (u32, u32, String, u64) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let last = |name: &str| line(name).split('\t').next_back().unwrap().parse().unwrap();
    let effective = u64::from_str_radix(&line("CapEff:"), 16).unwrap();
    (last("Uid:"), last("Gid:"), line("Groups:"), effective)
}

fn somebody() -> Ids {
    Ids {
        uid: 54_321,
        gid: 54_322,
        groups: vec![54_322, 54_323],
    }
}

fn is_root() -> bool {
    // SAFETY: it only asks.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("SKIPPED: acting as another user needs root");
    }
    root
}

#[test]
fn a_thread_acts_as_another_and_is_itself_again() {
    if !is_root() {
        return;
    }
    let before = status();
    let (ask, asked) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    std::thread::spawn(move || {
        for () in asked {
            answer.send(status()).unwrap();
        }
    });
    {
        let ids = somebody();
        let _as = assume(&ids).unwrap();
        let (uid, gid, groups, effective) = status();
        assert_eq!((uid, gid), (54_321, 54_322));
        assert_eq!(groups, "54322 54323");
        // No more than it takes to change back: CAP_SETGID, CAP_SETUID.
        assert_eq!(effective & !0b1100_0000, 0);
        let secret = fs::File::open("/etc/shadow").unwrap_err();
        assert_eq!(secret.kind(), io::ErrorKind::PermissionDenied);
        // Another thread is who it was.
        ask.send(()).unwrap();
        assert_eq!(answers.recv().unwrap(), before);
        // The same once more, which is nothing new.
        {
            let ids = somebody();
            let _outer = assume(&ids).unwrap();
            drop(assume(&ids).unwrap());
            assert_eq!(status().0, 54_321);
        }
        {
            let other = Ids {
                uid: 7,
                gid: 7,
                groups: Vec::new(),
            };
            let _as = assume(&other).unwrap();
            assert_eq!((status().0, status().2.as_str()), (7, ""));
        }
        assert_eq!((status().0, status().2.as_str()), (54_321, "54322 54323"));
    }
    assert_eq!(status(), before);
}

#[test]
fn a_panic_ends_it() {
    if !is_root() {
        return;
    }
    let before = status();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let ids = somebody();
        let _as = assume(&ids).unwrap();
        panic!("while acting as somebody, on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(status(), before);
}

#[test]
fn what_is_not_allowed_changes_nothing() {
    if !is_root() {
        return assert!(assume(&somebody()).is_err());
    }
    let invalid = Ids {
        uid: u32::MAX,
        ..somebody()
    };
    assert!(assume(&invalid).is_err());
    // As somebody without the capability, on a thread of its own that ends so.
    std::thread::spawn(|| {
        capabilities::limit(capabilities::Set::of([])).unwrap();
        let before = status();
        assert!(assume(&somebody()).is_err());
        assert_eq!(status(), before);
        // The groups may be what they are, and the ids not.
        let ids = Ids {
            groups: groups().unwrap(),
            ..somebody()
        };
        assert!(assume(&ids).is_err());
        assert_eq!(status(), before);
    })
    .join()
    .unwrap();
}

/// Asked of a process of its own, whose thread loses what it takes to be itself again.
#[test]
fn a_thread_that_cannot_be_itself_again_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    const CHILD: &str = "FTPDLIB_TEST_LOST_IDENTITY";
    if !is_root() {
        return;
    }
    if std::env::var_os(CHILD).is_some() {
        let ids = somebody();
        let assumed = assume(&ids).unwrap();
        capabilities::set_effective(capabilities::Set::of([])).unwrap();
        eprintln!("<acting>");
        drop(assumed);
        return eprintln!("<went on>");
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::a_thread_that_cannot_be_itself_again_ends_the_process");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("<acting>") && !text.contains("<went on>"),
        "{text}"
    );
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
}

/// A process that is not root, with the capabilities for it, keeps none of its own meanwhile.
#[test]
fn capabilities_of_others_than_root_are_dropped_too() {
    if !is_root() {
        return;
    }
    std::thread::spawn(|| {
        // As if the process had no fix-ups for root: fsuid changes without the kernel's help.
        let ids = somebody();
        let _first = assume(&ids).unwrap();
        // CAP_DAC_READ_SEARCH besides.
        let most = capabilities::Set::of([2, 6, 7]);
        capabilities::set_effective(most).unwrap();
        assert!(fs::File::open("/etc/shadow").is_ok());
        // The same once more, which is nothing new.
        {
            let ids = somebody();
            let _outer = assume(&ids).unwrap();
            drop(assume(&ids).unwrap());
            assert_eq!(status().0, 54_321);
        }
        {
            let other = Ids {
                uid: 54_999,
                ..somebody()
            };
            let _as = assume(&other).unwrap();
            assert!(fs::File::open("/etc/shadow").is_err());
        }
        assert_eq!(capabilities::effective().unwrap(), most);
    })
    .join()
    .unwrap();
}
