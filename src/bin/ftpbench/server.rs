//! The server under test: one that runs somewhere, or one that is started here over a temporary
//! folder and ends when this program ends, whatever ends it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Access;
use crate::plan::Running;
use crate::process::Process;
use crate::stream::Tls;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Open files of a server that is to have some ten thousands of clients.
pub(crate) const MANY_FILES: u64 = 130_000;

/// The folder of a started server in which its user may write.
const FILES: &str = "files";

/// Makes a new folder, starts the server in its own control group if there can be one, and tells
/// the folder and the server's process number. When standard input ends, server and folder go, and the
/// processes that its last line names; the signals of a Ctrl-C at a terminal must not keep it from that.
///
/// `$1` is the group, `$2` what may be open at once, the rest the server. Names of its own: the
/// server's script finds them in its environment.
const KEEPER: &str = r#"
trap '' HUP INT TERM
group=$1 files=$2
shift 2
ulimit -n "$files" 2>/dev/null || ulimit -n "$(ulimit -H -n)"
folder=$(mktemp -d "${BENCH_FOLDER:-${TMPDIR:-/tmp}}/ftpbench.XXXXXX") || exit
chmod 755 "$folder" && mkdir "$folder/home" "$folder/home/files" "$folder/state" || exit
chmod 777 "$folder/home/files"
export BENCH_HOME="$folder/home" BENCH_STATE="$folder/state"
[ -n "$group" ] && mkdir "$group" 2>/dev/null || group=
export BENCH_GROUP="$group"
sh -c '[ -z "$BENCH_GROUP" ] || echo $$ >"$BENCH_GROUP/cgroup.procs"; exec "$@"' sh "$@" </dev/null >"$folder/log" 2>&1 &
echo $!
echo "$group"
echo "$folder"
others=
while read -r line; do others=$line; done
kill -KILL $! $others 2>/dev/null
wait $! 2>/dev/null
if [ -n "$group" ]; then
    for round in 1 2 3 4 5 6 7 8 9 10; do
        kill -KILL $(cat "$group/cgroup.procs") 2>/dev/null
        rmdir "$group" 2>/dev/null && break
        sleep 0.05
    done
fi
rm -rf -- "$folder"
"#;

/// A way to start a server: a script as those in tests/peers are.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) command: Vec<OsString>,
    /// Where it is to listen; a port of 0 is replaced by a free one.
    pub(crate) address: SocketAddr,
    /// Certificate and key; without them, no TLS.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// The processor that it runs on.
    pub(crate) cpu: Option<usize>,
    /// What it may have open at once.
    pub(crate) open_files: u64,
}

/// A server, and how to log in.
pub(crate) struct Server {
    pub(crate) access: Access,
    /// Its process, where that is known.
    pub(crate) process: Option<Process>,
    /// Where the served files are, when it was started here.
    pub(crate) files: Option<PathBuf>,
    /// What ends it, when it was started here.
    keeper: Option<Keeper>,
}

impl Server {
    /// A server that runs already.
    pub(crate) fn running(
        running: &Running,
        tls: Option<Tls>,
        patience: Duration,
    ) -> io::Result<Server> {
        let process = running.pid.map(Process::find).transpose()?;
        let address = reachable(&running.host, running.port, patience)?;
        Ok(Server {
            access: Access {
                address,
                user: running.user.clone(),
                password: running.password.clone(),
                tls,
                implicit: running.implicit,
                folder: running.folder.clone(),
                patience,
            },
            process,
            files: None,
            keeper: None,
        })
    }

    /// Starts a server.
    pub(crate) fn start(
        launch: &Launch,
        tls: Option<Tls>,
        patience: Duration,
    ) -> io::Result<Server> {
        let mut address = launch.address;
        if address.port() == 0 {
            // A port must be chosen here: most servers would tell their own choice only in a log.
            address = TcpListener::bind(address)?.local_addr()?;
        }
        let (user, password) = ("ftp".to_owned(), "ftp".to_owned());
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "sh"])
            .arg(group_for(address).unwrap_or_default())
            .arg(launch.open_files.to_string());
        if let Some(cpu) = launch.cpu {
            command.args(["taskset", "-c", &cpu.to_string()]);
        }
        command
            .args(&launch.command)
            .env("BENCH_ADDRESS", address.ip().to_string())
            .env("BENCH_PORT", address.port().to_string())
            .env("BENCH_PASSIVE_FROM", "10000")
            .env("BENCH_PASSIVE_TO", "29999")
            .env("BENCH_USER", &user)
            .env("BENCH_PASSWORD", &password)
            .env_remove("BENCH_CERT")
            .env_remove("BENCH_KEY");
        if let Some((certificate, key)) = &launch.identity {
            command.env("BENCH_CERT", certificate).env("BENCH_KEY", key);
        }
        let (keeper, process, folder) = Keeper::start(&mut command)?;
        let access = Access {
            address,
            user,
            password,
            tls,
            implicit: false,
            folder: Some(FILES.to_owned()),
            patience,
        };
        await_listening(&access, &process).map_err(|error| {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            let said = log
                .lines()
                .last()
                .map_or(String::new(), |line| format!("; it said: {line}"));
            io::Error::new(error.kind(), format!("{error}{said}"))
        })?;
        Ok(Server {
            access,
            process: Some(process),
            files: Some(folder.join("home").join(FILES)),
            keeper: Some(keeper),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (Some(keeper), Some(process)) = (&mut self.keeper, &self.process) {
            keeper.end(process);
        }
    }
}

/// The control group in which a server's CPU time can be read, if the system has such.
fn group_for(address: SocketAddr) -> Option<PathBuf> {
    let name = format!("ftpbench-{}-{address}", std::process::id()).replace([':', '[', ']'], "-");
    let root = Path::new("/sys/fs/cgroup");
    let unified = root.join("cgroup.controllers").exists();
    let parent = if unified {
        root.to_owned()
    } else {
        root.join("cpuacct")
    };
    parent.is_dir().then(|| parent.join(name))
}

/// The shell that runs a server until its standard input ends.
struct Keeper {
    shell: Child,
    stdin: Option<ChildStdin>,
}

impl Keeper {
    fn start(command: &mut Command) -> io::Result<(Keeper, Process, PathBuf)> {
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = shell.stdin.take();
        let stdout = shell.stdout.take();
        let keeper = Keeper { shell, stdin };
        let mut lines = BufReader::new(stdout.ok_or_else(no_server)?).lines();
        let mut line = || lines.next().ok_or_else(no_server)?;
        let process = Process::find(line()?.parse().map_err(|_| no_server())?)?;
        let group = Some(PathBuf::from(line()?)).filter(|group| !group.as_os_str().is_empty());
        let usage = group.and_then(|group| {
            let files = ["cpuacct.usage", "cpu.stat"].map(|file| group.join(file));
            files.into_iter().find(|file| file.exists())
        });
        let folder = line()?.into();
        Ok((keeper, process.in_group(usage), folder))
    }

    fn end(&mut self, server: &Process) {
        let tree: Vec<String> = server.tree().iter().map(u32::to_string).collect();
        if let Some(mut stdin) = self.stdin.take() {
            // A shell that has ended already needs no list.
            let _ = writeln!(stdin, "{}", tree.join(" "));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("ftpbench: cannot wait until the server has ended: {error}");
        }
    }
}

fn no_server() -> io::Error {
    io::Error::other("the shell started no server")
}

/// The `ftpdlib` beside this program, as a server to start. With TLS it has a certificate of one day,
/// which openssl makes.
pub(crate) fn own(tls: bool, cpu: Option<usize>) -> io::Result<Launch> {
    let program = env::current_exe()?.with_file_name(format!("ftpdlib{}", env::consts::EXE_SUFFIX));
    if !program.is_file() {
        let program = program.display();
        let message = format!("{program} is missing; build it (cargo build --release), or give -H");
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    // The shell, because the folder is made by then only.
    let script = r#"if [ -n "$BENCH_CERT" ]; then
        cd "$BENCH_STATE" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
            -days 1 -subj /CN=ftpbench -keyout "$BENCH_KEY" -out "$BENCH_CERT" || exit
    fi
    RUST_LOG=off exec "$0" -i "$BENCH_ADDRESS" -p "$BENCH_PORT" -d "$BENCH_HOME" -w \
        -u "$BENCH_USER" -P "$BENCH_PASSWORD" --max-cons 0 --timeout 3600 \
        ${BENCH_CERT:+--tls --certfile "$BENCH_CERT" --keyfile "$BENCH_KEY"}"#;
    Ok(Launch {
        command: vec!["sh".into(), "-c".into(), script.into(), program.into()],
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        identity: tls.then(|| ("cert.pem".into(), "key.pem".into())),
        cpu,
        open_files: MANY_FILES,
    })
}

/// The first address of the host where something listens.
fn reachable(host: &str, port: u16, patience: Duration) -> io::Result<SocketAddr> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{host}:{port}: {error}"));
    let mut failure = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs().map_err(named)? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => return Ok(address),
            Err(error) => failure = error,
        }
    }
    Err(named(failure))
}

fn await_listening(access: &Access, process: &Process) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = TcpStream::connect_timeout(&access.address, PATIENCE) {
        let refused = error.kind() == io::ErrorKind::ConnectionRefused;
        if !refused || Instant::now() > deadline || !process.is_alive() {
            let message = format!("the server that was started does not answer: {error}");
            return Err(io::Error::new(error.kind(), message));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
