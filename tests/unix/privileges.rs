//! The demo with privileges dropped, as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::common::Client;
use crate::users::{SECRET, User, can_make_users};

struct Demo {
    child: Child,
    addr: SocketAddr,
}

impl Demo {
    fn start() -> Demo {
        let test = std::env::current_exe().unwrap();
        let build: PathBuf = test.parent().and_then(|deps| deps.parent()).unwrap().into();
        let demo = build.join("examples/unix_ftpd");
        // It is built with all tests, but not with this file alone.
        if !demo.exists() {
            let cargo = Command::new(env!("CARGO"))
                .args(["build", "--example", "unix_ftpd"])
                .status();
            assert!(cargo.expect("cargo").success());
        }
        let mut child = Command::new(demo)
            .arg("127.0.0.1:0")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the demo");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let addr = lines.find_map(|line| {
            let line = line.expect("a line");
            let rest = line.split_once(">>> starting FTP server on ")?.1;
            rest.split(", pid=").next()?.parse().ok()
        });
        // It goes on to write; nobody is to be stopped by that.
        std::thread::spawn(move || lines.for_each(drop));
        Demo {
            addr: addr.expect("the line of the start"),
            child,
        }
    }

    /// A field of the kernel's account of each of its threads.
    fn threads(&self, field: &str) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let value = |task: fs::DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            Some(line.trim().to_owned())
        };
        tasks.filter_map(|task| value(task.ok()?)).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_serves_users_with_few_privileges() {
    if !can_make_users("the demo") {
        return;
    }
    let (user, demo) = (User::new(), Demo::start());
    let login = || {
        let mut client = Client::connect(demo.addr);
        client.expect_reply(220);
        client.login_as(&user.name, SECRET);
        client
    };
    let mut client = login();
    let home = user.home.display().to_string();
    assert!(
        client
            .expect("PWD", 257)
            .text
            .contains(&format!("\"{home}\""))
    );
    client.put("STOR file", b"content");
    let found = fs::metadata(user.home.join("file")).unwrap();
    assert_eq!((found.uid(), found.gid()), (user.uid, user.gid));
    assert_eq!(client.fetch(format!("RETR {home}/file")), b"content");
    client.refused("RETR /etc/shadow", 550);
    client.refused("STOR /etc/ftpdlib-was-here", 550);
    client.refused("RETR /proc/self/maps", 550);
    assert!(
        client
            .list("LIST /etc")
            .iter()
            .any(|line| line.contains("passwd"))
    );
    // A login after others were served: the hashes are still to be read.
    login();
    // The reply of the listing is there, so no job runs that somebody waits for.
    client.expect("NOOP", 200);
    // CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID.
    let kept = format!("{:016x}", 1 << 2 | 1 << 6 | 1 << 7);
    let threads = demo.threads("CapPrm:");
    assert!(!threads.is_empty());
    for field in ["CapPrm:", "CapEff:", "CapBnd:"] {
        let sets = demo.threads(field);
        assert!(sets.iter().all(|set| *set == kept), "{field} {sets:?}");
    }
    assert!(demo.threads("NoNewPrivs:").iter().all(|value| value == "1"));
    let ids = demo.threads("Uid:");
    assert!(ids.iter().all(|ids| ids == "0\t0\t0\t0"), "{ids:?}");
    let groups = demo.threads("Groups:");
    assert!(groups.iter().all(String::is_empty), "{groups:?}");
}
