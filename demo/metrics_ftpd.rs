//! A page of figures in the format of Prometheus, by a dispatcher of one's own on the server's loop.
//!
//! ```sh
//! cargo run --example metrics_ftpd
//! curl -u user:12345 ftp://127.0.0.1:2121/README.md >/dev/null
//! curl http://127.0.0.1:9121/metrics
//! ```

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ftpdlib::reactor::{
    Acceptor, Channel, Context, Dispatcher, Interest, ListenOptions, Listener, Reactor, Ready,
    TcpStream, TimerId,
};
use ftpdlib::{DummyAuthorizer, FtpServer, Handler, Password, Perm, Session, Transferred};

/// What is counted, by handlers, and shown, by pages.
#[derive(Default)]
struct Metrics {
    sessions: AtomicU64,
    sessions_now: AtomicU64,
    failed_logins: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
}

impl Metrics {
    fn page(&self) -> String {
        let mut page = String::new();
        for (name, kind, value) in [
            ("ftp_sessions_total", "counter", &self.sessions),
            ("ftp_sessions", "gauge", &self.sessions_now),
            ("ftp_failed_logins_total", "counter", &self.failed_logins),
            ("ftp_received_bytes_total", "counter", &self.bytes_received),
            ("ftp_sent_bytes_total", "counter", &self.bytes_sent),
        ] {
            let value = value.load(Relaxed);
            // Writing to a string cannot fail.
            let _ = write!(page, "# TYPE {name} {kind}\n{name} {value}\n");
        }
        page
    }
}

/// The handler of a session.
struct Counting(Arc<Metrics>);

impl Handler for Counting {
    fn on_connect(&mut self, _: &mut Session<'_>) {
        self.0.sessions.fetch_add(1, Relaxed);
        self.0.sessions_now.fetch_add(1, Relaxed);
    }

    fn on_disconnect(&mut self, _: &mut Session<'_>) {
        self.0.sessions_now.fetch_sub(1, Relaxed);
    }

    fn on_login_failed(&mut self, _: &mut Session<'_>, _: &str, _: &Password) {
        self.0.failed_logins.fetch_add(1, Relaxed);
    }

    fn on_file_received(&mut self, _: &mut Session<'_>, file: &Transferred) {
        self.0.bytes_received.fetch_add(file.bytes(), Relaxed);
    }

    fn on_file_sent(&mut self, _: &mut Session<'_>, file: &Transferred) {
        self.0.bytes_sent.fetch_add(file.bytes(), Relaxed);
    }
}

/// One HTTP connection: reads a request, answers, closes.
struct Page {
    stream: TcpStream,
    metrics: Arc<Metrics>,
    request: Vec<u8>,
}

const STREAM: Channel = Channel::new(0);
/// The largest request that is read.
const LARGEST: usize = 8 * 1024;

impl Page {
    /// True when all is done.
    fn go_on(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1024];
        while !self.request.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut buffer)? {
                0 => return Ok(true),
                count => self.request.extend_from_slice(&buffer[..count]),
            }
            if self.request.len() > LARGEST {
                return Ok(true);
            }
        }
        let (status, body) = match self.request.starts_with(b"GET /metrics ") {
            true => ("200 OK", self.metrics.page()),
            false => ("404 Not Found", "See /metrics\n".to_owned()),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        // It is small: an empty socket takes all of it.
        self.stream.write_all(answer.as_bytes())?;
        Ok(true)
    }
}

impl Dispatcher for Page {
    fn start(&mut self, cx: &mut Context<'_>) {
        if cx
            .register(&mut self.stream, STREAM, Interest::READABLE)
            .is_err()
        {
            return cx.close();
        }
        // Whoever asks for nothing is sent away.
        cx.call_later(Duration::from_secs(5), 0);
    }

    fn ready(&mut self, cx: &mut Context<'_>, _: Channel, _: Ready) {
        match self.go_on() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => cx.close(),
        }
    }

    fn timeout(&mut self, cx: &mut Context<'_>, _: TimerId, _: usize) {
        cx.close();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    let mut users = DummyAuthorizer::new();
    users.add_user("user", "12345", ".", Perm::ALL)?;
    let metrics = Arc::new(Metrics::default());

    let mut reactor = Reactor::new()?;
    let listener = Listener::bind("127.0.0.1:9121".parse()?, ListenOptions::default())?;
    let shown = Arc::clone(&metrics);
    reactor.spawn(Box::new(Acceptor::new(
        listener,
        move |cx, stream, _peer| {
            let metrics = Arc::clone(&shown);
            let request = Vec::new();
            cx.spawn(Box::new(Page {
                stream,
                metrics,
                request,
            }));
        },
    )));

    FtpServer::builder()
        .authorizer(users)
        .handler(move |_peer| Counting(Arc::clone(&metrics)))
        .bind("127.0.0.1:2121")?
        .serve_on(reactor)?;
    Ok(())
}
