//! The program with `--tls`: its log, SIGHUP, and what hundreds of stuck handshakes cost it.

use std::fs;
use std::time::Duration;

use rustls::version::TLS13;

use crate::client::{Ftps, Secure};
use crate::common::program::Program;
use crate::common::{Client, PASSWORD, USER};
use crate::testing::Pki;

fn start(pki: &Pki, home: &std::path::Path, more: &[&str]) -> Program {
    let (cert, key) = (pki.path("cert.pem"), pki.path("key.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let user = ["-w", "-u", USER, "-P", PASSWORD, "--max-cons", "0"];
    let tls = ["--tls", "--certfile", cert, "--keyfile", key];
    Program::start(home, &[&user[..], &tls, more].concat())
}

#[test]
fn the_first_lines_tell_of_ftps() {
    let (pki, home) = (Pki::new(), tempfile::tempdir().unwrap());
    let program = start(&pki, home.path(), &[]);
    let started = format!(
        ">>> starting FTPS (FTP over SSL) server on {}, pid={} <<<",
        program.addr(),
        program.pid()
    );
    let lines = program.log().all();
    assert!(
        lines.iter().any(|line| line.ends_with(&started)),
        "{lines:?}"
    );
}

#[test]
fn flags_do_what_they_say() {
    let (pki, home) = (Pki::new(), tempfile::tempdir().unwrap());
    let ca = pki.path("ca.pem");
    let required = [
        "--tls-control-required",
        "--tls-data-required",
        "--tls-client-ca",
    ];
    let program = start(
        &pki,
        home.path(),
        &[&required[..], &[ca.to_str().unwrap()]].concat(),
    );
    let mut client = program.connect();
    client.expect("USER user", 550);
    let mut ftps = Ftps::upgrade(client, program.addr(), &pki.client_named(&TLS13, "user"));
    ftps.log_in();
    ftps.expect("EPSV", 550);

    let more = [
        "--tls-implicit",
        "--tls-session-reuse",
        "require",
        "--tls-allow-truncated-uploads",
    ];
    let program = start(&pki, home.path(), &more);
    let mut ftps = Ftps::implicit(program.addr(), &pki.client(&TLS13));
    ftps.log_in();
    ftps.protect();
    let mut data = ftps.begin("STOR cut");
    data.send(b"cut").unwrap();
    drop(data);
    ftps.expect_reply(226);
    let socket = ftps.data();
    ftps.started("STOR foreign");
    let _ = Secure::over(socket, &pki.client(&TLS13));
    ftps.expect_reply(522);
}

#[cfg(unix)]
#[test]
fn sighup_reads_the_certificate_again() {
    // With the number of processes that have to read it, for whoever comes then.
    for (model, readers) in [
        (&["--concurrency", "async"][..], 1),
        (&["--concurrency", "multi-thread"], 1),
        (&["--concurrency", "multi-proc"], 1),
        (&["--concurrency", "pre-fork", "--workers", "2"], 3),
    ] {
        reads_the_certificate_again(model, readers);
    }
}

#[cfg(unix)]
fn reads_the_certificate_again(model: &[&str], readers: usize) {
    let (old, new, home) = (Pki::new(), Pki::new(), tempfile::tempdir().unwrap());
    let program = start(&old, home.path(), model);
    if readers > 1 {
        let starts = |line: &&String| line.ends_with(" starts");
        program
            .log()
            .wait_until(|lines| lines.iter().filter(starts).count() == readers - 1);
    }
    let waited = |text: &str| {
        program
            .log()
            .wait_until(|lines| lines.iter().filter(|line| line.contains(text)).count() >= readers);
    };
    let mut before = Ftps::login(program.addr(), &old.client(&TLS13));
    fs::copy(new.path("cert.pem"), old.path("cert.pem")).unwrap();
    program.signal("HUP");
    waited("TLS certificates kept as they were");
    Ftps::login(program.addr(), &old.client(&TLS13)).expect("NOOP", 200);
    fs::copy(new.path("key.pem"), old.path("key.pem")).unwrap();
    program.signal("HUP");
    waited("TLS certificates reloaded");
    Ftps::login(program.addr(), &new.client(&TLS13)).expect("NOOP", 200);
    before.put("STOR file", b"content");
}

#[test]
fn who_speaks_no_tls_is_one_line_in_the_log() {
    let (pki, home) = (Pki::new(), tempfile::tempdir().unwrap());
    let program = start(&pki, home.path(), &["--tls-implicit"]);
    let mut client = Client::connect(program.addr());
    client.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    let lines = program.log().wait_until(|lines| {
        lines
            .iter()
            .any(|line| line.contains("session closed (disconnect)"))
    });
    let told = lines
        .iter()
        .filter(|line| line.contains("TLS handshake failed"))
        .count();
    assert_eq!(told, 1, "{lines:?}");
    let sessions = lines
        .iter()
        .filter(|line| line.contains("127.0.0.1:"))
        .count();
    assert_eq!(sessions, 4, "start, open, failed, closed: {lines:?}");
}

#[test]
fn stuck_handshakes_cost_no_time_and_hold_up_nobody() {
    let (pki, home) = (Pki::new(), tempfile::tempdir().unwrap());
    let program = start(&pki, home.path(), &[]);
    let stuck: Vec<Client> = (0..500)
        .map(|at| {
            let mut client = program.connect();
            client.expect("AUTH TLS", 234);
            if at % 2 == 0 {
                client.send([22, 3, 1, 2, 0, 1]);
            }
            client
        })
        .collect();
    let mut ftps = Ftps::login(program.addr(), &pki.client(&TLS13));
    ftps.put("STOR file", b"content");
    assert_eq!(ftps.fetch("RETR file"), b"content");
    // What is not to happen can only be waited for.
    let before = cpu_ticks(&program);
    std::thread::sleep(Duration::from_secs(1));
    let used = cpu_ticks(&program) - before;
    assert!(used <= 3, "{used} hundredths of a second in one of nothing");
    drop(stuck);
}

/// Processor time used so far, in hundredths of a second; 0 where it cannot be told.
fn cpu_ticks(program: &Program) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|field| field.parse::<u64>().ok()).sum()
}
