//! A process that runs out of something: file size, disk, descriptors.

use std::io::{Read, Write};
use std::process::Command;

use crate::common::client::connect;
use crate::common::program::{PROGRAM, Program};
use crate::common::{Client, Mode, sample, skipped};

/// Uploads more than fits. The reply must say so, and the session must go on.
#[track_caller]
fn overfill(program: &Program, client: &mut Client) {
    for (line, ascii) in [
        ("STOR big", false),
        ("APPE big2", false),
        ("STOR text", true),
    ] {
        client.expect(if ascii { "TYPE A" } else { "TYPE I" }, 200);
        let mut data = client.begin(line);
        // The server may hang up before it has taken all.
        let _ = data.write_all(&sample(4 << 20));
        drop(data);
        let reply = client.reply();
        assert!(
            matches!(reply.code, 426 | 451 | 452 | 552),
            "{line}: {}",
            reply.text
        );
        client.expect_alive();
        let name = line.split(' ').nth(1).unwrap();
        let told = format!("/{name} completed=0");
        program
            .log()
            .wait_until(|lines| lines.iter().any(|line| line.contains(&told)));
        client.expect(format!("DELE {name}"), 250);
    }
    client.put("STOR small", "fits");
    assert_eq!(client.fetch("RETR small"), b"fits");
}

#[test]
fn a_file_that_grows_too_large_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes or of 1024, as the shell counts; 4 MiB are more than either.
    let program = Program::start_by_shell("ulimit -f 1000 && exec \"$@\"", home.path(), &["-w"]);
    overfill(&program, &mut program.anonymous());
}

#[test]
fn a_full_disk_is_an_error() {
    // A small disk that vanishes with the program: a tmpfs in a mount namespace of its own.
    let home = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=512k,mode=777 none \"$HOME_DIR\" && exec \"$@\"";
    let namespace = ["-r", "-m"];
    let possible = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-c", "mount -t tmpfs -o size=64k none \"$HOME_DIR\""])
        .env("HOME_DIR", home.path())
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return skipped("a full disk: no mount namespaces here (unshare -r -m)");
    }
    let mut command = Command::new("unshare");
    command
        .args(namespace)
        .args(["sh", "-c", mount, "sh", PROGRAM, "-i", "127.0.0.1"]);
    command.env("HOME_DIR", home.path());
    let program = Program::run(&mut command, home.path(), &["-w"]);
    let mut client = program.anonymous();
    overfill(&program, &mut client);

    // Not a byte fits: the directory entry itself may be refused, or the first write.
    let mut data = client.begin("STOR filler");
    let _ = data.write_all(&sample(1 << 20));
    drop(data);
    client.reply();
    let mut data = client.data(crate::common::Mode::Epsv);
    let mut reply = client.cmd("STOR another");
    if reply.code < 200 {
        let _ = data.write_all(&sample(65536));
        drop(data);
        reply = client.reply();
    }
    assert!(
        matches!(reply.code, 426 | 451 | 452 | 550 | 552),
        "{}",
        reply.text
    );
    client.expect("DELE filler", 250);
    client.put("STOR another", "fits");
}

#[test]
fn without_descriptors_it_waits_and_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let mut program = Program::start_by_shell(
        "ulimit -n 24 && exec \"$@\"",
        home.path(),
        &["--max-cons", "0"],
    );
    let mut first = program.anonymous();
    // More than it can take: those behind wait in the queue, unanswered.
    let waiting: Vec<Client> = (0..40).map(|_| Client::connect(program.addr())).collect();
    for _ in 0..20 {
        first.expect_alive();
    }
    // There is no descriptor for a listener either.
    let reply = first.cmd("EPSV");
    assert!(matches!(reply.code, 229 | 425), "{}", reply.text);
    let reply = first.cmd("LIST nope");
    assert!(matches!(reply.code, 450 | 550), "{}", reply.text);
    assert!(cpu_ticks(&program) < 200, "it spins");
    drop(waiting);
    program.anonymous().list("LIST");
    first.list("LIST");
    assert!(program.is_running());
}

#[test]
fn a_low_limit_on_descriptors_is_raised_as_far_as_it_may_be() {
    let home = tempfile::tempdir().unwrap();
    let start = |limit, max_cons| {
        let script = format!("{limit} && exec \"$@\"");
        Program::start_by_shell(&script, home.path(), &["--max-cons", max_cons])
    };
    let mut program = start("ulimit -S -n 24", "0");
    let clients: Vec<Client> = (0..60).map(|_| program.anonymous()).collect();
    drop(clients);
    assert!(program.is_running());
    let is_warning = |line: &String| line.contains("24 descriptors only");
    assert!(!program.log().all().iter().any(is_warning));
    // Beyond the hard limit there is no way, and the operator is told before his clients are.
    let program = start("ulimit -n 24", "100");
    let lines = program.log().all();
    let warning = lines.iter().find(|line| is_warning(line));
    let warning = warning.unwrap_or_else(|| panic!("no warning in {lines:?}"));
    assert!(warning.contains("--max-cons is 100"), "{warning}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_data_connection_without_a_descriptor_is_told_of_before_its_command() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "content").unwrap();
    let program = Program::start(home.path(), &[]);
    let mut client = program.anonymous();
    let addr = client.passive_address(Mode::Epsv);
    let pid = Pid::from_raw(program.pid().try_into().unwrap());
    // The program has the same.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = |current| {
        let new = Rlimit { current, maximum };
        prlimit(pid, Resource::Nofile, new).unwrap();
    };
    let is_free = |number: &u64| {
        let path = format!("/proc/{}/fd/{number}", program.pid());
        std::fs::symlink_metadata(path).is_err()
    };
    limit((0..).find(is_free));
    let mut data = connect(addr);
    // No command comes; somebody looks all the same.
    program.log().wait_until(|lines| {
        lines
            .iter()
            .any(|line| line.contains("out of file descriptors; a data connection waits"))
    });
    limit(maximum);
    client.started("RETR file");
    let mut content = String::new();
    data.read_to_string(&mut content).unwrap();
    client.expect_reply(226);
    assert_eq!(content, "content");
}

/// A download of what is not in memory asks for one.
#[test]
#[cfg(target_os = "linux")]
fn without_a_worker_thread_the_loop_reads_the_disk() {
    use rustix::fs::{Advice, fadvise};
    use std::os::unix::fs::PermissionsExt;
    let has_tools = ["setpriv", "prlimit"]
        .iter()
        .all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if !rustix::process::geteuid().is_root() || !has_tools {
        return skipped(
            "no worker thread: that takes root, who can become somebody without a process",
        );
    }
    // The program may be where only root may go.
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = home.path().join("program");
    // By another process: what this one writes cannot be started while others are forked.
    let copied = Command::new("cp").arg(PROGRAM).arg(&copy).status();
    assert!(copied.unwrap().success());
    let content = sample(5_000_000);
    std::fs::write(home.path().join("file"), &content).unwrap();
    let file = std::fs::File::open(home.path().join("file")).unwrap();
    file.sync_all().unwrap();
    // Nobody else's, and root's threads are not counted.
    let user = (1_000_000_000 + std::process::id()).to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    command.args(["prlimit", "--nproc=1"]).arg(&copy);
    command.args(["-i", "127.0.0.1"]);
    let program = Program::run(&mut command, home.path(), &[]);
    let mut client = program.anonymous();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    assert!(client.fetch("RETR file") == content);
    client.expect_alive();
}

/// Processor time used so far, in hundredths of a second; 0 where it cannot be told.
fn cpu_ticks(program: &Program) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return 0;
    };
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}
