//! What the flags say, what they do, and what the program says of wrong ones.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::{Command, Output};

use crate::common::program::{PROGRAM, Program, output};
use crate::common::{Client, Mode, has_ipv6};

fn run(args: &[&str]) -> Output {
    output(Command::new(PROGRAM).args(args), b"")
}

/// The one line on standard error of a program that must fail with this status.
#[track_caller]
fn failure(args: &[&str], status: i32) -> String {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    said
}

#[test]
fn help_fits_a_terminal_and_names_the_flags() {
    for flag in ["--help", "-h"] {
        let output = run(&[flag]);
        assert!(output.status.success() && output.stderr.is_empty());
        let help = String::from_utf8(output.stdout).unwrap();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line:?}");
            assert_eq!(line.trim_end(), line);
        }
        for flag in [
            "-i, --interface",
            "-p, --port",
            "-w, --write",
            "-d, --directory",
            "-n, --nat-address",
            "-r, --range",
            "-D, --debug",
            "-u, --username",
            "-P, --password",
            "--concurrency",
            "--tls",
            "--keyfile",
            "--certfile",
            "--tls-control-required",
            "--tls-data-required",
            "--timeout",
            "--banner",
            "--permit-foreign-addresses",
            "--permit-privileged-ports",
            "--encoding",
            "--use-localtime",
            "--disable-sendfile",
            "--max-cons",
            "--max-cons-per-ip",
            "--max-login-attempts",
            "-h, --help",
            "-V, --version",
            "--anonymous",
            "--auth-failed-timeout",
            "--data-timeout",
            "--passive-timeout",
            "--active-timeout",
            "--read-limit",
            "--write-limit",
            "--masquerade-map",
            "--workers",
            "--grace",
        ] {
            assert!(help.contains(flag), "no {flag} in\n{help}");
        }
    }
}

#[test]
fn version_is_that_of_the_crate() {
    for flag in ["--version", "-V"] {
        let output = run(&[flag]);
        assert!(output.status.success());
        let expected = format!("ftpdlib {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn wrong_usage_is_status_2_and_one_line() {
    for args in [
        &["--nonsense"][..],
        &["-p"],
        &["-p", "foo"],
        &["-p", "65536"],
        &["-p", "-1"],
        &["stray"],
        &["-w", "stray"],
        &["-r", "yyy-zzz"],
        &["-r", "60000"],
        &["-r", "61000-60000"],
        &["-r", "0-100"],
        &["-u", "name"],
        &["-P", "password"],
        &["--timeout", "soon"],
        &["--timeout", "-1"],
        &["--max-cons", "many"],
        &["--encoding", "klingon"],
        &["--concurrency", "magic"],
        &["--masquerade-map", "10.0.0.1"],
        &["--masquerade-map", "10.0.0.1=x"],
        &["--workers", "4"],
        &["-i"],
        &["-d"],
        &["two\nlines"],
    ] {
        let said = failure(args, 2);
        assert!(said.starts_with("ftpdlib: "), "{said}");
    }
}

#[test]
fn models_and_numbers_of_workers_that_cannot_be_are_told() {
    for (args, what) in [
        (&["--concurrency", "fork"][..], "multi-thread"),
        (
            &["--concurrency", "multi-proc", "--workers", "2"],
            "pre-fork",
        ),
        (
            &["--concurrency", "pre-fork", "--workers", "0"],
            "1 to 1024",
        ),
        (
            &["--concurrency", "pre-fork", "--workers", "9999"],
            "1 to 1024",
        ),
    ] {
        let said = failure(args, 2);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn what_the_system_refuses_is_status_1_and_one_line() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let said = output(
        Command::new(PROGRAM)
            .args(["-i", "127.0.0.1", "-p", &port])
            .env("RUST_LOG", "error"),
        b"",
    );
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&port), "{said}");

    let said = failure(&["-p", "0", "--tls", "--certfile", "/no/such/file"], 1);
    assert!(said.contains("/no/such/file: cannot read it"), "{said}");

    let said = failure(&["-p", "0", "-d", "/no/such/directory"], 1);
    assert!(said.contains("/no/such/directory"), "{said}");
    let said = failure(&["-p", "0", "-d", PROGRAM], 1);
    assert!(said.contains(PROGRAM), "{said}");
    failure(&["-p", "0", "-i", "no.such.host.invalid"], 1);
    // An address of nobody here.
    failure(&["-p", "0", "-i", "192.0.2.123"], 1);
}

#[test]
fn the_default_is_anonymous_who_only_looks() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "content").unwrap();
    let program = Program::start(home.path(), &[]);
    let mut client = program.anonymous();
    assert_eq!(client.fetch("RETR file"), b"content");
    client.expect("DELE file", 550);
    client.expect("STOR new", 550);
}

#[test]
fn write_lets_anonymous_change_things() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &["-w"]);
    let mut client = program.anonymous();
    client.put("STOR new", "content");
    client.expect("RNFR new", 350);
    client.expect("RNTO newer", 250);
    client.expect("DELE newer", 250);
    // Somebody should know.
    program
        .log()
        .wait_until(|lines| lines.iter().any(|line| line.starts_with("[W ")));
}

#[test]
fn a_user_takes_the_place_of_anonymous() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(
        home.path(),
        &[
            "-w",
            "-u",
            "foo",
            "-P",
            "bar",
            "--auth-failed-timeout",
            "0.01",
        ],
    );
    let mut client = program.connect();
    client.expect("USER anonymous", 331);
    client.expect("PASS x", 530);
    client.login_as("foo", "bar");
    client.put("STOR new", "content");
}

#[test]
fn anonymous_besides_a_user_stays_read_only() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(
        home.path(),
        &[
            "-w",
            "--username",
            "foo",
            "--password",
            "bar",
            "--anonymous",
        ],
    );
    program.login_as("foo", "bar").put("STOR new", "content");
    let mut client = program.anonymous();
    assert_eq!(client.fetch("RETR new"), b"content");
    client.expect("DELE new", 550);
}

#[test]
fn the_other_flags_reach_the_server() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(
        home.path(),
        &[
            "--banner",
            "hello there",
            "--encoding",
            "latin-1",
            "-n",
            "198.51.100.1",
            "--masquerade-map",
            "127.0.0.1=198.51.100.2",
            "--max-login-attempts",
            "1",
            "--auth-failed-timeout",
            "0",
            "--max-cons",
            "3",
            "--disable-sendfile",
            "--permit-privileged-ports",
        ],
    );
    let mut client = Client::connect(program.addr());
    assert_eq!(client.expect_reply(220).text, "220 hello there");
    client.login_as("anonymous", "");
    assert!(!client.expect("FEAT", 211).text.contains("UTF8"));
    let addr = client.passive_address(Mode::Pasv);
    assert_eq!(addr.ip().to_string(), "198.51.100.2");
    client.expect("PORT 127,0,0,1,0,1", 425);
    let mut guesser = program.connect();
    Client::connect(program.addr()).expect_reply(421);
    guesser.expect("USER x", 331);
    guesser.expect("PASS x", 530);
    guesser.expect_end();
}

#[cfg(unix)]
#[test]
fn upload_policies_reach_the_server() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    let program = Program::start(
        home.path(),
        &["-w", "--umask", "077", "--no-overwrite", "--atomic-uploads"],
    );
    let mut client = program.anonymous();
    client.put("STOR new", "content");
    client.expect("MKD dir", 257);
    let mode = |name: &str| {
        let found = std::fs::metadata(home.path().join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!((mode("new"), mode("dir")), (0o600, 0o700));
    client.refused("STOR new", 550);
    client.expect("HASH new", 213);

    let program = Program::start(home.path(), &["--disable-hashes"]);
    program.anonymous().expect("HASH new", 500);
}

#[test]
fn timeouts_may_have_fractions() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::start(home.path(), &["--timeout", "0.5"]);
    let mut client = program.connect();
    client.expect_reply(421);
    client.expect_end();
    // It holds for stalled data too, unless told otherwise.
    let mut client = program.anonymous();
    let _data = client.data(Mode::Epsv);
    client.expect_reply(421);
}

#[test]
fn without_an_interface_it_listens_to_all() {
    let home = tempfile::tempdir().unwrap();
    let program = Program::run(&mut Command::new(PROGRAM), home.path(), &[]);
    let port = program.addr().port();
    let mut client = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    client.expect_reply(220);
    if has_ipv6() {
        let mut client = Client::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        client.expect_reply(220);
    }
}

#[test]
fn times_are_gmt_unless_local_time_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(home.path().join("file")).unwrap();
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_modified(moment).unwrap();
    for (args, hour) in [(&[][..], "01"), (&["--use-localtime"][..], "06")] {
        let mut command = Command::new(PROGRAM);
        // Five hours east of Greenwich.
        command.args(["-i", "127.0.0.1"]).env("TZ", "EAST-5");
        let program = Program::run(&mut command, home.path(), args);
        let mut client = program.anonymous();
        let expected = format!("20010909{hour}4640");
        client.expect("MDTM file", 213).contains(&expected);
        client
            .expect("MLST file", 250)
            .contains(&format!("modify={expected};"));
    }
}
