//! What a second pre-forked worker is worth: `cargo bench --bench workers`, on Linux as root.
//!
//! The clients run on the same machine and cost as much as the server, so on two processors two
//! workers could never serve twice as many of them. Therefore each worker may use no more than a
//! part of a processor, the same with one worker as with two (`cpu.cfs_quota_us`, `cpu.max`), and
//! the clients have the rest: what is seen then is how well the work is shared, and what workers
//! cost each other. One worker and two take turns.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Of a processor, in percent.
const SHARE: u32 = 15;
const CLIENTS: u8 = 64;
const ROUNDS: usize = 7;
const LENGTH: Duration = Duration::from_secs(1);
const FILE: [u8; 1024] = [b'x'; 1024];

/// One thing that a client does again and again, on its control connection if it stays.
type Task = fn(&mut Client) -> Outcome<()>;

fn main() -> Outcome<()> {
    let home = std::env::temp_dir().join(format!("ftpdlib-workers-{}", std::process::id()));
    fs::create_dir(&home)?;
    fs::write(home.join("file"), FILE)?;
    let done = compare("connect, login, QUIT", &home, login_and_quit)
        .and_then(|()| compare("RETR of 1 KiB", &home, retrieve));
    fs::remove_dir_all(&home)?;
    done
}

fn compare(what: &str, home: &Path, task: Task) -> Outcome<()> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, workers) in rates.iter_mut().zip(1..) {
            rates.push(rate(home, workers, task)?);
        }
    }
    let [one, two] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    });
    writeln!(
        io::stdout(),
        "{what}, {CLIENTS} clients, {SHARE} % of a processor a worker: \
         one worker {one:.0} /s, two {two:.0} /s, {:.2} times",
        two / one
    )?;
    Ok(())
}

/// How often a second so many workers let all clients together do it.
fn rate(home: &Path, workers: usize, task: Task) -> Outcome<f64> {
    let server = Server::start(home, workers)?;
    let (over, addr) = (AtomicBool::new(false), server.addr);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| work(addr, task, &over)))
            .collect();
        let begun = Instant::now();
        thread::sleep(LENGTH);
        over.store(true, Ordering::Relaxed);
        let elapsed = begun.elapsed().as_secs_f64();
        let mut times = 0;
        for client in clients {
            times += client.join().map_err(|_| "a client panicked")??;
        }
        Ok(f64::from(times) / elapsed)
    })
}

fn work(addr: SocketAddr, task: Task, over: &AtomicBool) -> Outcome<u32> {
    /// An address for each client and round, so that ports do not run out.
    static NEXT: [AtomicU8; 2] = [AtomicU8::new(1), AtomicU8::new(1)];
    let low = NEXT[0].fetch_add(1, Ordering::Relaxed);
    let high = match low {
        255 => NEXT[1].fetch_add(1, Ordering::Relaxed),
        _ => NEXT[1].load(Ordering::Relaxed),
    };
    let mut client = Client {
        addr,
        from: Ipv4Addr::new(127, 1, high, low),
        control: None,
    };
    let mut times = 0;
    while !over.load(Ordering::Relaxed) {
        task(&mut client)?;
        times += 1;
    }
    Ok(times)
}

fn login_and_quit(client: &mut Client) -> Outcome<()> {
    client.login()?;
    client.say("QUIT", "221")?;
    client.control = None;
    Ok(())
}

fn retrieve(client: &mut Client) -> Outcome<()> {
    if client.control.is_none() {
        client.login()?;
        client.say("TYPE I", "200")?;
    }
    let reply = client.say("EPSV", "229")?;
    let port = reply.split('|').nth(3).ok_or("a 229 without a port")?;
    let mut data = client.connect(port.parse()?)?;
    let first = client.say("RETR file", "1")?;
    let mut content = Vec::new();
    data.read_to_end(&mut content)?;
    if content != FILE {
        return Err(format!("another file came, after {first}").into());
    }
    client.expect("226").map(|_| ())
}

struct Client {
    addr: SocketAddr,
    from: Ipv4Addr,
    control: Option<BufReader<TcpStream>>,
}

impl Client {
    fn connect(&self, port: u16) -> Outcome<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((self.from, 0)).into())?;
        socket.connect(&SocketAddr::from((self.addr.ip(), port)).into())?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(socket.into())
    }

    fn login(&mut self) -> Outcome<()> {
        self.control = Some(BufReader::new(self.connect(self.addr.port())?));
        self.expect("220")?;
        self.say("USER bob", "331")?;
        self.say("PASS secret", "230").map(|_| ())
    }

    fn say(&mut self, line: &str, code: &str) -> Outcome<String> {
        let control = self.control.as_mut().ok_or("not connected")?;
        control
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())?;
        self.expect(code)
    }

    fn expect(&mut self, code: &str) -> Outcome<String> {
        let mut line = String::new();
        let control = self.control.as_mut().ok_or("not connected")?;
        control.read_line(&mut line)?;
        match line.starts_with(code) {
            true => Ok(line),
            false => Err(format!("{line:?} instead of {code}").into()),
        }
    }
}

struct Server {
    process: Child,
    addr: SocketAddr,
    limits: Vec<PathBuf>,
}

impl Server {
    fn start(home: &Path, workers: usize) -> Outcome<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(env!("CARGO_BIN_EXE_ftpdlib"))
            .args(["--concurrency", "pre-fork", "-i", "127.0.0.1"])
            .args(["-u", "bob", "-P", "secret", "--max-cons", "0"])
            .args(["--workers", &workers.to_string(), "-p", &port.to_string()])
            .arg("-d")
            .arg(home)
            .env("RUST_LOG", "off")
            .stdin(Stdio::null())
            .spawn()?;
        let mut server = Server {
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            process,
            limits: Vec::new(),
        };
        for worker in server.workers(workers)? {
            server.limits.push(limit(&worker)?);
        }
        Ok(server)
    }

    /// Waits until all are there and serve.
    fn workers(&self, count: usize) -> Outcome<Vec<String>> {
        let parent = self.process.id();
        let list = format!("/proc/{parent}/task/{parent}/children");
        let late = Instant::now() + Duration::from_secs(10);
        while Instant::now() < late {
            let children = fs::read_to_string(&list)?;
            if children.split_whitespace().count() == count && TcpStream::connect(self.addr).is_ok()
            {
                return Ok(children.split_whitespace().map(str::to_owned).collect());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err("the workers did not come".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        // It ends its workers; a control group can only be removed when they have gone.
        let _ = Command::new("kill").arg(&id).status();
        let _ = self.process.wait();
        for group in &self.limits {
            if let Err(error) = fs::remove_dir(group) {
                let _ = writeln!(io::stderr(), "{}: {error}", group.display());
            }
        }
    }
}

/// Puts a process into a control group of its own that may use `SHARE`.
fn limit(process: &str) -> Outcome<PathBuf> {
    let first = Path::new("/sys/fs/cgroup/cpu");
    let second = Path::new("/sys/fs/cgroup");
    let name = format!("ftpdlib-worker-{process}");
    let (group, settings) = match first.is_dir() {
        true => (
            first.join(name),
            vec![
                ("cpu.cfs_period_us", "10000".to_owned()),
                ("cpu.cfs_quota_us", (SHARE * 100).to_string()),
            ],
        ),
        false => (
            second.join(name),
            vec![("cpu.max", format!("{} 10000", SHARE * 100))],
        ),
    };
    let told = |error: io::Error| format!("{}: {error} (needs root)", group.display());
    fs::create_dir(&group).map_err(told)?;
    for (file, value) in settings {
        fs::write(group.join(file), value).map_err(told)?;
    }
    fs::write(group.join("cgroup.procs"), process).map_err(told)?;
    Ok(group)
}
