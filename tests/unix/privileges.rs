//! The demo in each worker model, as a process of its own: few privileges, everybody's files his.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::common::{Client, Mode, sample};
use crate::users::{Group, SECRET, User, can_make_users, public_place};

struct Demo {
    child: Child,
    addr: SocketAddr,
}

impl Demo {
    fn start(model: &str) -> Demo {
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
            .args(["127.0.0.1:0", model])
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

    fn login(&self, user: &User) -> Client {
        let mut client = Client::connect(self.addr);
        client.expect_reply(220);
        client.login_as(&user.name, SECRET);
        client
    }

    /// A field of the kernel's account of each thread of each of its processes.
    fn threads(&self, field: &str) -> Vec<String> {
        let mut processes = vec![self.child.id()];
        let mut found = Vec::new();
        while let Some(process) = processes.pop() {
            // One may end meanwhile.
            let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
                continue;
            };
            for task in tasks.filter_map(Result::ok) {
                let text = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
                let children = text("children");
                let children = children.split_whitespace();
                processes.extend(children.filter_map(|child| child.parse::<u32>().ok()));
                let status = text("status");
                let line = status.lines().find_map(|line| line.strip_prefix(field));
                found.extend(line.map(|line| line.trim().to_owned()));
            }
        }
        found
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // So that it takes its children along.
        let pid = self.child.id().to_string();
        for _ in 0..2 {
            let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        }
        let _ = self.child.wait();
    }
}

fn serves_users_with_few_privileges(model: &str) {
    if !can_make_users(&format!("the demo, {model}")) {
        return;
    }
    let (group, shared) = (Group::new(), public_place());
    let file = shared.path().join("for the group");
    fs::write(&file, "for the group").unwrap();
    std::os::unix::fs::chown(&file, Some(0), Some(group.gid)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    fs::set_permissions(&file, mode).unwrap();

    let users = [User::with(&[&group], &[]), User::new()];
    let demo = Demo::start(model);
    let mut clients: Vec<Client> = users.iter().map(|user| demo.login(user)).collect();
    let homes: Vec<String> = users
        .iter()
        .map(|user| user.home.display().to_string())
        .collect();
    let mut uploads = Vec::new();
    for (client, home) in clients.iter_mut().zip(&homes) {
        assert!(
            client
                .expect("PWD", 257)
                .text
                .contains(&format!("\"{home}\""))
        );
        uploads.push(client.begin("STOR file"));
    }
    let content = sample(1_000_000);
    for piece in content.chunks(100_000) {
        for data in &mut uploads {
            data.write_all(piece).unwrap();
        }
    }
    drop(uploads);
    for ((client, user), home) in clients.iter_mut().zip(&users).zip(&homes) {
        client.expect_reply(226);
        let found = fs::metadata(user.home.join("file")).unwrap();
        assert_eq!((found.uid(), found.gid()), (user.uid, user.gid));
        assert!(client.fetch(format!("RETR {home}/file")) == content);
        client.expect("SITE CHMOD 600 file", 200);
        client.refused("RETR /etc/shadow", 550);
        // Whether it may be written shows when it is opened, which is when data can flow.
        let data = client.data(Mode::Epsv);
        let mut reply = client.cmd("STOR /etc/ftpdlib-was-here");
        if reply.code == 150 {
            reply = client.reply();
        }
        assert_eq!(reply.code, 550);
        drop(data);
        client.refused("RETR /proc/self/maps", 550);
        let etc = client.list("LIST /etc");
        assert!(etc.iter().any(|line| line.contains("passwd")));
    }
    let file = file.display();
    assert_eq!(clients[0].fetch(format!("RETR {file}")), b"for the group");
    clients[1].refused(format!("RETR {file}"), 550);
    for (client, home) in clients.iter_mut().zip(homes.iter().rev()) {
        client.refused(format!("RETR {home}/file"), 550);
    }
    // A login after others were served: the hashes are still to be read.
    demo.login(&users[0]);

    // CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID.
    let kept = format!("{:016x}", 1 << 2 | 1 << 6 | 1 << 7);
    assert!(!demo.threads("CapPrm:").is_empty());
    for (field, expected) in [
        ("CapPrm:", &*kept),
        ("CapEff:", &kept),
        ("CapBnd:", &kept),
        ("CapInh:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        // Nobody waits for a job, so each is who he was.
        ("Uid:", "0\t0\t0\t0"),
        ("Gid:", "0\t0\t0\t0"),
        ("Groups:", ""),
    ] {
        let values = demo.threads(field);
        assert!(
            values.iter().all(|value| value == expected),
            "{field} {values:?}"
        );
    }
}

#[test]
fn one_thread() {
    serves_users_with_few_privileges("async");
}

#[test]
fn a_thread_for_each_client() {
    serves_users_with_few_privileges("multi-thread");
}

#[test]
fn a_process_for_each_client() {
    serves_users_with_few_privileges("multi-proc");
}

#[test]
fn processes_that_share_the_clients() {
    serves_users_with_few_privileges("pre-fork");
}
