//! How long others wait for a reply while much is going on: `cargo bench --bench fairness`.
//!
//! The program serves 50 downloads of 200 MiB that begin again and again, 500 clients that ask for that
//! file and read nothing, and 2,000 that send a byte twice a second; one more client sends NOOP every
//! few milliseconds and takes the time of each. First so, then while another client lists a directory
//! of 200,000 files over and over, which is a worker thread's work, then while as many do so as there
//! are such threads.
//!
//! Linux only. With `taskset` the server has one processor for itself, and the clients the other ones.
//! `FAIRNESS_SECONDS` says how long each part takes (20), `FAIRNESS_PROGRAM` which program to measure,
//! `BENCH_FOLDER` where the files are made, best in memory.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::env;
    use std::fs::{self, File};
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;
    use std::process::{Child, ChildStderr, Command, Stdio};
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

    const DOWNLOADS: usize = 50;
    const SIZE: usize = 200 << 20;
    const STALLED: usize = 500;
    const DRIPPING: usize = 2_000;
    const NAMES: usize = 200_000;
    /// As many as a server has worker threads.
    const LISTING: usize = 8;
    /// Between two bytes of one that drips.
    const DRIP: Duration = Duration::from_millis(500);
    /// Between two of the lines whose replies are waited for.
    const PAUSE: Duration = Duration::from_millis(5);

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// What the other clients have done.
    #[derive(Default)]
    struct Done {
        bytes: AtomicU64,
        listings: AtomicU64,
        /// So many list.
        listing: AtomicUsize,
        /// All end.
        over: AtomicBool,
    }

    pub(super) fn main() -> Result<()> {
        let descriptors = getrlimit(Resource::Nofile);
        let all = Rlimit {
            current: descriptors.maximum,
            ..descriptors
        };
        setrlimit(Resource::Nofile, all)?;
        let seconds = env::var("FAIRNESS_SECONDS").map_or(Ok(20), |text| text.parse())?;
        let folder = match env::var_os("BENCH_FOLDER") {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        make_files(folder.path())?;
        let (mut server, address) = start(folder.path())?;
        let measured = measure(address, Duration::from_secs(seconds));
        server.kill()?;
        server.wait()?;
        measured
    }

    fn make_files(folder: &Path) -> io::Result<()> {
        let mut big = File::create(folder.join("big"))?;
        let piece = vec![7; 1 << 20];
        for _ in 0..SIZE / piece.len() {
            big.write_all(&piece)?;
        }
        let many = folder.join("many");
        fs::create_dir(&many)?;
        (0..NAMES).try_for_each(|number| File::create(many.join(number.to_string())).map(drop))
    }

    /// The server, and where it listens.
    fn start(folder: &Path) -> Result<(Child, SocketAddr)> {
        let program = env::var_os("FAIRNESS_PROGRAM");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_ftpdlib").into());
        let pinned = Command::new("taskset").arg("-V").output().is_ok();
        let mut command = match pinned {
            true => Command::new("taskset"),
            false => Command::new(&program),
        };
        if pinned {
            command.args(["-c", "0"]).arg(&program);
            let own = std::process::id().to_string();
            let others = format!("1-{}", thread::available_parallelism()?.get() - 1);
            let moved = Command::new("taskset")
                .args(["-a", "-c", "-p", &others, &own])
                .stdout(Stdio::null())
                .status()?;
            if !moved.success() {
                say("the clients share the server's processor")?;
            }
        } else {
            say("without taskset server and clients share their processors")?;
        }
        let mut server = command
            .args(["-i", "127.0.0.1", "-p", "0", "--max-cons", "0"])
            .args(["--timeout", "0", "-d"])
            .arg(folder)
            .stderr(Stdio::piped())
            .spawn()?;
        let Some(log) = server.stderr.take() else {
            return Err("no standard error".into());
        };
        match address(log) {
            Ok(address) => Ok((server, address)),
            Err(error) => {
                server.kill()?;
                Err(error)
            }
        }
    }

    /// Reads it from the log, and the rest of the log to its end.
    fn address(log: ChildStderr) -> Result<SocketAddr> {
        let mut log = BufReader::new(log);
        loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                return Err("the server does not start".into());
            }
            if let Some((_, rest)) = line.split_once("FTP server on ") {
                let address = rest.split(',').next().unwrap_or_default().parse()?;
                thread::spawn(move || io::copy(&mut log, &mut io::sink()));
                return Ok(address);
            }
        }
    }

    fn measure(server: SocketAddr, long: Duration) -> Result<()> {
        let done = &Done::default();
        thread::scope(|scope| {
            let run = || -> Result<()> {
                let stalled = (0..STALLED).map(|_| stalled(server));
                let _stalled = stalled.collect::<Result<Vec<_>>>()?;
                let dripping = (0..DRIPPING).map(|_| Ok(Client::login(server)?.control));
                let dripping = dripping.collect::<Result<Vec<_>>>()?;
                scope.spawn(move || drip(&dripping, done));
                for _ in 0..DOWNLOADS {
                    scope.spawn(move || told(download(server, done)));
                }
                for number in 0..LISTING {
                    scope.spawn(move || told(list(server, number, done)));
                }
                for (listing, what) in [(0, "no listing"), (1, "a listing"), (LISTING, "listings")]
                {
                    done.listing.store(listing, Ordering::Relaxed);
                    report(what, server, long, done)?;
                }
                Ok(())
            };
            let measured = run();
            done.over.store(true, Ordering::Relaxed);
            measured
        })
    }

    fn told(result: Result<()>) {
        if let Err(error) = result {
            eprintln!("a client failed: {error}");
        }
    }

    /// Takes the times of NOOPs.
    fn report(what: &str, server: SocketAddr, long: Duration, done: &Done) -> Result<()> {
        let mut client = Client::login(server)?;
        // The other clients' share of its processor is not the server's matter. Not everybody may.
        let _ = setpriority_process(Some(rustix::thread::gettid()), -20);
        // Everything is under way by then.
        thread::sleep(Duration::from_secs(1));
        let before = [&done.bytes, &done.listings].map(|count| count.load(Ordering::Relaxed));
        let (begun, mut taken) = (Instant::now(), Vec::new());
        while begun.elapsed() < long {
            let asked = Instant::now();
            client.ask("NOOP", "200")?;
            taken.push(asked.elapsed());
            thread::sleep(PAUSE);
        }
        let seconds = begun.elapsed().as_secs_f64();
        taken.sort_unstable();
        let at =
            |share: f64| taken[((taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let [bytes, listings] =
            [&done.bytes, &done.listings].map(|count| count.load(Ordering::Relaxed));
        say(&format!(
            "{what}: {} NOOPs, median {:.2} ms, p99 {:.2} ms, worst {:.2} ms; {:.0} MiB/s, {:.2} listings/s",
            taken.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            (bytes - before[0]) as f64 / f64::from(1 << 20) / seconds,
            (listings - before[1]) as f64 / seconds,
        ))
    }

    fn say(line: &str) -> Result<()> {
        Ok(writeln!(io::stdout(), "{line}")?)
    }

    /// Asks for the file and reads nothing of it.
    fn stalled(server: SocketAddr) -> Result<(Client, TcpStream)> {
        let mut client = Client::login(server)?;
        let data = client.begin("RETR big")?;
        Ok((client, data))
    }

    /// Sends every client's next byte.
    fn drip(clients: &[TcpStream], done: &Done) {
        for byte in b"NOOP\r\n".iter().cycle() {
            for mut client in clients {
                if done.over.load(Ordering::Relaxed) {
                    return;
                }
                told(client.write_all(&[*byte]).map_err(Into::into));
                thread::sleep(DRIP / clients.len() as u32);
            }
        }
    }

    fn download(server: SocketAddr, done: &Done) -> Result<()> {
        let mut client = Client::login(server)?;
        while !done.over.load(Ordering::Relaxed) {
            client.transfer("RETR big", done, &done.bytes)?;
        }
        Ok(())
    }

    /// Lists while so many do.
    fn list(server: SocketAddr, number: usize, done: &Done) -> Result<()> {
        let mut client = Client::login(server)?;
        while !done.over.load(Ordering::Relaxed) {
            if number < done.listing.load(Ordering::Relaxed) {
                client.transfer("LIST many", done, &AtomicU64::new(0))?;
                done.listings.fetch_add(1, Ordering::Relaxed);
            } else {
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    struct Client {
        control: TcpStream,
        replies: BufReader<TcpStream>,
    }

    impl Client {
        fn login(server: SocketAddr) -> Result<Client> {
            let control = TcpStream::connect(server)?;
            control.set_nodelay(true)?;
            let replies = BufReader::with_capacity(512, control.try_clone()?);
            let mut client = Client { control, replies };
            client.reply("220")?;
            client.ask("USER anonymous", "331")?;
            client.ask("PASS me@", "230")?;
            Ok(client)
        }

        fn begin(&mut self, command: &str) -> Result<TcpStream> {
            let line = self.ask("EPSV", "229")?;
            let port = line.split('|').nth(3).unwrap_or_default().parse()?;
            let data = TcpStream::connect((self.control.peer_addr()?.ip(), port))?;
            self.ask(command, "1")?;
            Ok(data)
        }

        /// One transfer, whose bytes are counted, to its end or that of all.
        fn transfer(&mut self, command: &str, done: &Done, bytes: &AtomicU64) -> Result<()> {
            let mut data = self.begin(command)?;
            let mut buffer = vec![0; 256 << 10];
            while !done.over.load(Ordering::Relaxed) {
                match data.read(&mut buffer)? {
                    0 => return self.reply("226").map(drop),
                    count => drop(bytes.fetch_add(count as u64, Ordering::Relaxed)),
                }
            }
            Ok(())
        }

        fn ask(&mut self, line: &str, code: &str) -> Result<String> {
            self.control.write_all(format!("{line}\r\n").as_bytes())?;
            self.reply(code)
        }

        fn reply(&mut self, code: &str) -> Result<String> {
            loop {
                let mut line = String::new();
                self.replies.read_line(&mut line)?;
                match line.as_bytes().get(3) {
                    Some(b' ') if line.starts_with(code) => return Ok(line),
                    Some(b'-') => {}
                    _ => return Err(format!("expected {code}, got {line:?}").into()),
                }
            }
        }
    }
}
