//! A daemon of the old school: it goes to the background, with a pid file and a log file. (Under
//! systemd there is no need of this: see `docs/systemd/`.)
//!
//! ```sh
//! cargo build --example unix_daemon
//! target/debug/examples/unix_daemon start     # or stop, restart, status
//! curl -u user:12345 ftp://127.0.0.1:2121/
//! target/debug/examples/unix_daemon stop
//! ```
//!
//! Files are in /tmp, or in the folder that `DAEMON_DIR` names: `unix_daemon.pid`, `unix_daemon.log`.

#![allow(
    clippy::print_stdout,
    reason = "it is what a command of the shell does"
)]

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    daemon::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("daemons are a matter of UNIX");
}

#[cfg(unix)]
mod daemon {
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, Write};
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::{Command, ExitCode, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use ftpdlib::{DummyAuthorizer, FtpServer, Perm};
    use rustix::fs::{FlockOperation, flock};
    use rustix::process::{Pid, Signal, kill_process};

    /// How long a start or a stop may take. Transfers have 10 seconds to finish.
    const PATIENCE: Duration = Duration::from_secs(15);

    type Done = Result<(), Box<dyn std::error::Error>>;

    pub(crate) fn main() -> ExitCode {
        let done = match std::env::args().nth(1).as_deref() {
            Some("start") => start(),
            Some("stop") => stop(),
            Some("restart") => stop().and_then(|()| start()),
            Some("status") => status(),
            Some("serve") => serve(),
            _ => {
                eprintln!("usage: unix_daemon start|stop|restart|status");
                return ExitCode::from(2);
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("unix_daemon: {error}");
                ExitCode::FAILURE
            }
        }
    }

    const NOT_RUNNING: &str = "it is not running";

    fn file(ending: &str) -> PathBuf {
        let folder = std::env::var_os("DAEMON_DIR").unwrap_or_else(|| "/tmp".into());
        PathBuf::from(folder).join(format!("unix_daemon.{ending}"))
    }

    /// The daemon's process, if it is there. The pid file is locked as long as it is, so a file that
    /// a crash left behind, or a process that has its number by chance, deceives nobody.
    fn running() -> Option<Pid> {
        let pid = File::open(file("pid")).ok()?;
        if lock(&pid).is_ok() {
            return None;
        }
        let pid = fs::read_to_string(file("pid")).ok()?;
        Pid::from_raw(pid.trim().parse().ok()?)
    }

    /// Locks a file for as long as it is open.
    fn lock(file: &File) -> io::Result<()> {
        Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
    }

    /// Starts this program again as `serve`, in a process group of its own, and waits until it serves.
    fn start() -> Done {
        if let Some(pid) = running() {
            return Err(format!("it is running already, pid {pid}").into());
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C at the terminal that it was started from is not for it.
            .process_group(0);
        let mut child = command.spawn()?;
        let deadline = Instant::now() + PATIENCE;
        while running().is_none() {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(format!("it does not start; see {}", file("log").display()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        println!("started, pid {}", child.id());
        Ok(())
    }

    fn stop() -> Done {
        let Some(pid) = running() else {
            println!("{NOT_RUNNING}");
            return Ok(());
        };
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while running().is_some() {
            if Instant::now() > deadline {
                return Err(format!("process {pid} does not end").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        println!("stopped");
        Ok(())
    }

    fn status() -> Done {
        match running() {
            Some(pid) => {
                // Each session writes a line to the log.
                kill_process(pid, Signal::USR1)?;
                println!(
                    "running, pid {pid}; its sessions are in {}",
                    file("log").display()
                );
                Ok(())
            }
            None => Err(NOT_RUNNING.into()),
        }
    }

    /// The daemon itself.
    fn serve() -> Done {
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
        let home = std::env::current_dir()?;
        let mut users = DummyAuthorizer::new();
        users.add_user("user", "12345", &home, Perm::ALL)?;
        let server = FtpServer::builder()
            .authorizer(users)
            .bind("127.0.0.1:2121")?;

        // Written and locked once it listens; the lock goes with the process, however it ends.
        let mut pid = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(file("pid"))?;
        lock(&pid)?;
        pid.set_len(0)?;
        writeln!(pid, "{}", std::process::id())?;
        // Lest it hold a file system that somebody wants to unmount.
        std::env::set_current_dir("/")?;
        server.serve_forever()?;
        fs::remove_file(file("pid"))?;
        Ok(())
    }
}
