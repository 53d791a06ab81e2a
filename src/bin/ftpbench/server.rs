//! The server under test: one that runs somewhere, or an `ftpdlib` of our own over a temporary
//! folder, which ends when this program ends, whatever ends it.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{self, Client};
use crate::options::Running;
use crate::process::Process;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the server over a new folder, with as many open files as may be, and tells its process
/// number. When standard input ends, the server and its folder go; the signals of a Ctrl-C at a
/// terminal must not keep it from that.
const KEEPER: &str = r#"
trap '' HUP INT TERM
ulimit -n "$(ulimit -H -n)"
folder=$(mktemp -d "${TMPDIR:-/tmp}/ftpbench.XXXXXX") || exit
"$@" -d "$folder" </dev/null >&2 &
echo $!
read -r _
kill -KILL $!
wait $! 2>/dev/null
rm -rf -- "$folder"
"#;

/// A server, and how to log in.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    user: String,
    password: String,
    /// Its process, where that is known.
    pub(crate) process: Option<Process>,
    /// What ends it, when it is our own.
    keeper: Option<Keeper>,
}

impl Server {
    /// The server that is asked for, or an `ftpdlib` of our own.
    pub(crate) fn of(running: Option<&Running>) -> io::Result<Server> {
        let Some(running) = running else {
            return Server::start();
        };
        let process = running.pid.map(Process::find).transpose()?;
        let address = reachable(&running.host, running.port)?;
        let (user, password) = (running.user.clone(), running.password.clone());
        Ok(Server {
            address,
            user,
            password,
            process,
            keeper: None,
        })
    }

    /// An `ftpdlib` of our own, from beside this program.
    fn start() -> io::Result<Server> {
        // A port must be chosen here: the server would tell its own choice only in its log, and
        // logging would be measured too.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (user, password) = ("ftpbench".to_owned(), "ftpbench".to_owned());
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "sh"])
            .arg(program()?)
            .args([
                "-i",
                &address.ip().to_string(),
                "-p",
                &address.port().to_string(),
            ])
            .args(["-u", &user, "-P", &password, "-w", "--max-cons", "0"])
            .env("RUST_LOG", "off");
        let (keeper, process) = Keeper::start(&mut command)?;
        await_listening(address)?;
        Ok(Server {
            address,
            user,
            password,
            process: Some(process),
            keeper: Some(keeper),
        })
    }

    /// The same server without a past, when it is our own.
    pub(crate) fn renewed(self) -> io::Result<Server> {
        match self.keeper {
            None => Ok(self),
            Some(keeper) => {
                drop(keeper);
                Server::start()
            }
        }
    }

    /// A client that is logged in.
    pub(crate) fn login(&self) -> io::Result<Client> {
        Client::login(self.address, &self.user, &self.password)
    }
}

/// The shell that runs a server until its standard input ends.
struct Keeper(Child);

impl Keeper {
    fn start(command: &mut Command) -> io::Result<(Keeper, Process)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let keeper = Keeper(child);
        let mut pid = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut pid)?;
        }
        let pid = pid.trim().parse();
        let pid = pid.map_err(|_| io::Error::other("the shell started no server"))?;
        Ok((keeper, Process::find(pid)?))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Waiting closes standard input first.
        if let Err(error) = self.0.wait() {
            eprintln!("ftpbench: cannot wait until the server has ended: {error}");
        }
    }
}

fn program() -> io::Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(format!("ftpdlib{}", env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    let program = program.display();
    let message = format!("{program} is missing; build it (cargo build --release), or give -H");
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

/// The first address of the host where something listens.
fn reachable(host: &str, port: u16) -> io::Result<SocketAddr> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{host}:{port}: {error}"));
    let mut failure = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs().map_err(named)? {
        match client::connect(address) {
            Ok(_) => return Ok(address),
            Err(error) => failure = error,
        }
    }
    Err(named(failure))
}

fn await_listening(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = client::connect(address) {
        if error.kind() != io::ErrorKind::ConnectionRefused || Instant::now() > deadline {
            let message = format!("the server that was started does not answer: {error}");
            return Err(io::Error::new(error.kind(), message));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
