//! Sockets that are passed on, and what the service manager is told.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::program::{PROGRAM, Program, output};
use crate::common::{Client, PATIENCE};
use crate::model::MODELS;

/// Runs the program by a shell that puts `listener` where the protocol has it.
fn with_socket(listener: &TcpListener, home: &Path, script: &str, args: &[&str]) -> Program {
    let mut shell = shell(listener, script);
    Program::run(&mut shell, home, args)
}

fn shell(listener: &TcpListener, script: &str) -> Command {
    let descriptor = listener.as_raw_fd();
    // SAFETY: takes numbers; the shell is to inherit it.
    assert_eq!(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) }, 0);
    let script = match descriptor {
        3 => script.to_owned(),
        other => format!("exec 3<&{other} {other}<&-; {script}"),
    };
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, "sh", PROGRAM]);
    shell
}

const ADOPT: &str = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$@""#;

#[test]
fn one_server_follows_another_and_no_client_is_refused() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let args = ["--concurrency", model];
        let mut old = with_socket(&listener, home.path(), ADOPT, &args);
        assert_eq!(old.addr(), addr);

        let done = Arc::new(AtomicBool::new(false));
        let clients = std::thread::spawn({
            let done = done.clone();
            move || {
                let mut served = 0;
                while !done.load(Ordering::Relaxed) {
                    login(addr);
                    served += 1;
                }
                served
            }
        });
        for _ in 0..3 {
            let new = with_socket(&listener, home.path(), ADOPT, &args);
            old.signal("TERM");
            assert_eq!(old.wait().code(), Some(0));
            old = new;
        }
        done.store(true, Ordering::Relaxed);
        assert!(
            clients
                .join()
                .unwrap_or_else(|_| panic!("{model}: a client was refused"))
                > 0
        );
    }
}

/// A client who is let in, or told in good order to come again.
fn login(addr: SocketAddr) {
    let mut client = Client::connect(addr);
    match client.reply().code {
        220 => {}
        421 => return,
        other => panic!("greeted by {other}"),
    }
    // The server may be told to end between any two of these.
    for line in ["USER anonymous", "PASS me", "QUIT"] {
        if client.cmd(line).code == 421 {
            return;
        }
    }
}

#[test]
fn what_is_passed_must_be_one_listening_socket() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = |script: &str, status: i32, what: &str| {
        let mut command = shell(&listener, script);
        command
            .args(["-i", "127.0.0.1", "-p", "0", "-d"])
            .arg(home.path());
        let said = output(command.env("RUST_LOG", "error"), b"");
        let text = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(status), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(what), "{text}");
    };
    refused(r#"LISTEN_PID=$$ LISTEN_FDS=2 exec "$@""#, 2, "2 sockets");
    refused(r#"LISTEN_PID=$$ LISTEN_FDS=x exec "$@""#, 2, "no number");
    refused(
        r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null"#,
        2,
        "no TCP socket that listens",
    );
    refused(
        r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&-"#,
        2,
        "no such descriptor",
    );
    // Meant for somebody else.
    let other = Program::run(
        shell(&listener, r#"LISTEN_PID=1 LISTEN_FDS=1 exec "$@""#).args(["-i", "127.0.0.1"]),
        home.path(),
        &[],
    );
    assert_ne!(other.addr(), listener.local_addr().unwrap());
    other.anonymous().expect_alive();
}

#[test]
fn the_service_manager_hears_of_a_reload_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::write(&users, "").unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let mut text = [0; 200];
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(["-i", "127.0.0.1", "--users"])
        .arg(&users)
        .env("NOTIFY_SOCKET", &socket);
    let program = Program::spawn(&mut command);
    let count = manager.recv(&mut text).unwrap();
    assert_eq!(&text[..count], b"READY=1");

    // A file that has no end yet.
    std::fs::remove_file(&users).unwrap();
    let made = Command::new("mkfifo").arg(&users).status();
    assert!(made.unwrap().success());
    program.signal("HUP");
    let fifo = std::fs::OpenOptions::new().write(true).open(&users);
    let fifo = fifo.unwrap();
    // The loop has gone on since.
    program.connect();
    let count = manager.recv(&mut text).unwrap();
    assert!(text[..count].starts_with(b"RELOADING=1\n"));
    manager.set_nonblocking(true).unwrap();
    let early = manager.recv(&mut text);
    assert!(early.is_err(), "{early:?}");
    manager.set_nonblocking(false).unwrap();
    drop(fifo);
    let count = manager.recv(&mut text).unwrap();
    assert_eq!(&text[..count], b"READY=1");
}

#[test]
fn the_service_manager_is_told() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let told = || {
            let mut text = [0; 200];
            let count = manager.recv(&mut text).expect("something to be told");
            String::from_utf8(text[..count].to_vec()).unwrap()
        };
        let mut command = Command::new(PROGRAM);
        command
            .args(["-i", "127.0.0.1"])
            .env("NOTIFY_SOCKET", &socket);
        let mut program = Program::run(&mut command, home.path(), &["--concurrency", model]);
        assert_eq!(told(), "READY=1");
        program.anonymous().expect_alive();
        program.signal("TERM");
        assert_eq!(told(), "STOPPING=1");
        assert_eq!(program.wait().code(), Some(0));
    }
}
