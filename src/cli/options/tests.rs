//! Command lines, and what becomes of them.

use super::*;

fn parse_line(line: &str) -> Result<Request, Failure> {
    parse(line.split_whitespace().map(OsString::from))
}

fn served(line: &str) -> Options {
    match parse_line(line) {
        Ok(Request::Serve(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

/// The message and the exit status of a refused line.
fn refused(line: &str) -> (String, u8) {
    match parse_line(line) {
        Err(failure) => (failure.line(), failure.status()),
        Ok(request) => panic!("{line}: {request:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_table() {
    let options = served("");
    assert_eq!(
        (options.port, options.interface, options.user),
        (2121, None, None)
    );
    assert_eq!(options.directory, PathBuf::from("."));
    assert!(!options.write && !options.anonymous && !options.debug);
    assert_eq!(options.max_cons, 512);
    assert_eq!(
        (options.max_cons_per_ip, options.max_login_attempts),
        (0, 3)
    );
    assert_eq!(options.timeout, Duration::from_secs(300));
    assert_eq!(options.data_timeout, Duration::from_secs(300));
    assert_eq!(options.passive_timeout, Duration::from_secs(30));
    assert_eq!(options.active_timeout, Duration::from_secs(30));
    assert_eq!(options.auth_failed_timeout, Duration::from_secs(3));
    assert_eq!(options.grace, Duration::from_secs(10));
    assert_eq!((options.read_limit, options.write_limit), (0, 0));
    assert!(matches!(options.encoding, Encoding::Utf8));
    assert!(options.banner.is_none() && options.range.is_none());
    assert!(!options.use_localtime && !options.disable_sendfile);
}

#[test]
fn every_flag_reaches_its_option() {
    let options = served(
        "-i [::1] -p 0 -wd /srv -u bob -P secret --anonymous -n ftp.example.com \
         --masquerade-map 10.0.0.5=203.0.113.7 --masquerade-map=fd00::5=203.0.113.8 \
         -r6000-6000 -D --concurrency async --max-cons 9 --max-cons-per-ip 4 \
         --max-cons-per-user 3 \
         --max-login-attempts 2 --timeout 0.5 --data-timeout 7 --passive-timeout 0 \
         --active-timeout 2.25 --auth-failed-timeout 0 --read-limit 1 --write-limit 2 \
         --grace 3 --banner hi --permit-foreign-addresses --permit-privileged-ports \
         --encoding LATIN1 --use-localtime --disable-sendfile",
    );
    assert_eq!(
        (options.interface.as_deref(), options.port),
        (Some("::1"), 0)
    );
    assert_eq!(options.directory, PathBuf::from("/srv"));
    assert!(options.write && options.anonymous && options.debug);
    assert_eq!(options.user, Some(("bob".to_owned(), "secret".to_owned())));
    assert_eq!(options.nat_address.as_deref(), Some("ftp.example.com"));
    assert_eq!(options.masquerade_map.len(), 2);
    assert_eq!(
        options.masquerade_map[1].0,
        "fd00::5".parse::<IpAddr>().unwrap()
    );
    assert_eq!(options.range, Some(6000..=6000));
    assert_eq!((options.max_cons, options.max_cons_per_ip), (9, 4));
    assert_eq!(options.max_login_attempts, 2);
    assert_eq!(options.timeout, Duration::from_millis(500));
    assert_eq!(options.data_timeout, Duration::from_secs(7));
    assert_eq!(options.passive_timeout, Duration::ZERO);
    assert_eq!(options.active_timeout, Duration::from_millis(2250));
    assert_eq!(options.auth_failed_timeout, Duration::ZERO);
    assert_eq!((options.read_limit, options.write_limit), (1, 2));
    assert_eq!(options.grace, Duration::from_secs(3));
    assert_eq!(options.banner.as_deref(), Some("hi"));
    assert!(options.permit_foreign_addresses && options.permit_privileged_ports);
    assert!(matches!(options.encoding, Encoding::Latin1));
    assert!(options.use_localtime && options.disable_sendfile);
}

#[test]
fn a_stalled_transfer_has_the_timeout_unless_told_otherwise() {
    assert_eq!(served("--timeout 5").data_timeout, Duration::from_secs(5));
    assert_eq!(
        served("--timeout 5 --data-timeout 0").data_timeout,
        Duration::ZERO
    );
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    assert_eq!(served("-w -w -p 1 --port 2").port, 2);
}

#[test]
fn help_and_version_come_before_complaints_about_values() {
    assert!(matches!(parse_line("-p x --help"), Ok(Request::Help)));
    assert!(matches!(parse_line("stray -V"), Ok(Request::Version)));
}

#[test]
fn upload_policies() {
    let plain = served("");
    assert!(!plain.atomic_uploads && !plain.keep_partial && !plain.no_overwrite);
    assert_eq!((plain.umask, plain.disable_hashes), (None, false));
    let all = "--atomic-uploads --keep-partial --no-overwrite --disable-hashes --umask";
    let options = served(&format!("{all} 027"));
    assert!(options.atomic_uploads && options.keep_partial && options.no_overwrite);
    assert_eq!((options.umask, options.disable_hashes), (Some(0o027), true));
    assert_eq!(served("--umask 0").umask, Some(0));
    let (message, _) = refused("--keep-partial");
    assert!(message.contains("--atomic-uploads"), "{message}");
}

#[test]
fn wrong_usage_gets_one_line_and_status_2() {
    for line in [
        "--bogus",
        "-Z",
        "stray",
        "-- -w",
        "-p",
        "-p x",
        "-p 65536",
        "-p -1",
        "-i []",
        "-u bob",
        "-P secret",
        "-u anonymous -P x",
        "-u bob --password=",
        "-r 1",
        "-r 0-9",
        "-r 9-8",
        "-r 1-65536",
        "-r 1-2-3",
        "-r -",
        "-n ::1",
        "-n [::1]",
        "--masquerade-map 10.0.0.1",
        "--masquerade-map 10.0.0.1=::1",
        "--masquerade-map a=b",
        "--timeout -1",
        "--timeout nan",
        "--timeout inf",
        "--timeout 1e300",
        "--timeout 0.0000001",
        "--timeout 5s",
        "--timeout=",
        "--grace -0.5",
        "--max-cons -1",
        "--max-cons 99999999999999999999999",
        "--max-login-attempts 4294967296",
        "--read-limit 1.5",
        "--encoding utf-16",
        "--concurrency fork",
        "--concurrency=",
        "--concurrency async,pre-fork",
        "--workers 2",
        "--concurrency multi-thread --workers 2",
        "--concurrency pre-fork --workers 0",
        "--concurrency pre-fork --workers 1025",
        "--concurrency pre-fork --workers 99999999999999999999",
        "--concurrency pre-fork --workers two",
        "--max-cons-per-user -1",
        "--write=yes",
        "--umask 8",
        "--umask 1000",
        "--umask=-1",
        "--umask +22",
        "--umask=",
        "--keep-partial",
    ] {
        let (message, status) = refused(line);
        assert_eq!(status, 2, "{line}");
        assert!(message.starts_with("ftpdlib: "), "{message}");
        assert!(message.ends_with("; try 'ftpdlib --help'"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn messages_name_the_flag_and_the_choices() {
    assert!(
        refused("--bogus")
            .0
            .starts_with("ftpdlib: unrecognized option --bogus")
    );
    assert!(
        refused("-p x")
            .0
            .contains("--port: 'x' is not a port from 0 to 65535")
    );
    let (choices, _) = refused("--concurrency fork");
    assert!(
        choices.contains("async, multi-thread, multi-proc, pre-fork"),
        "{choices}"
    );
}

#[test]
fn worker_models_have_names_and_numbers() {
    assert_eq!(served("").workers, Workers::Async);
    let model = |name: &str| served(&format!("--concurrency {name}")).workers;
    assert_eq!(model("async"), Workers::Async);
    assert_eq!(model("multi-thread"), Workers::MultiThread);
    assert_eq!(model("multi-proc"), Workers::MultiProcess);
    assert_eq!(model("pre-fork"), Workers::pre_fork());
    assert_eq!(model("pre-fork --workers 3"), Workers::PreFork(3));
}

#[test]
fn a_user_file_has_all_that_is_said_of_users() {
    let options = served("--users /etc/users --ban-after 3 --ban-time 1.5");
    assert_eq!(options.users, Some("/etc/users".into()));
    assert_eq!(options.ban_after, 3);
    assert_eq!(options.ban_time, Duration::from_millis(1500));
    let defaults = served("");
    assert_eq!((defaults.users, defaults.ban_after), (None, 20));
    assert_eq!(defaults.ban_time, Duration::from_secs(600));
    for other in ["-u bob -P x", "--anonymous", "-w", "-d /srv"] {
        let (message, status) = refused(&format!("--users f {other}"));
        assert!(status == 2 && message.contains("leave --"), "{message}");
    }
    let hash = parse_line("--hash-password");
    assert!(matches!(hash, Ok(Request::HashPassword)));
}

#[test]
fn tls_flags_go_with_tls() {
    let (message, status) = refused("--tls");
    assert!(status == 2 && message.contains("--certfile"), "{message}");
    for flag in [
        "--keyfile k",
        "--certfile c",
        "--tls-control-required",
        "--tls-data-required",
        "--tls-implicit",
        "--tls-session-reuse off",
        "--tls-client-ca a",
        "--tls-allow-truncated-uploads",
    ] {
        let (message, status) = refused(flag);
        assert!(status == 2 && message.contains("needs --tls"), "{message}");
    }
    let (message, _) = refused("--tls --certfile c --tls-session-reuse maybe");
    assert!(message.contains("off or require"), "{message}");
    let tls = served("--tls --certfile c").tls.unwrap();
    assert_eq!((tls.keyfile, tls.session_reuse), (None, SessionReuse::Off));
    let tls = served("--tls --certfile c --keyfile k --tls-session-reuse require --tls-implicit");
    let tls = tls.tls.unwrap();
    assert_eq!(tls.keyfile, Some("k".into()));
    assert!(tls.implicit && tls.session_reuse == SessionReuse::Require);
}

#[cfg(unix)]
#[test]
fn a_directory_may_have_any_bytes_and_other_values_may_not() {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    let bytes = |arg: &[u8]| OsString::from_vec(arg.to_vec());
    for args in [
        vec![bytes(b"-d"), bytes(b"/a\xff")],
        vec![bytes(b"-wd/a\xff")],
        vec![bytes(b"--directory=/a\xff")],
    ] {
        match parse(args.into_iter()) {
            Ok(Request::Serve(options)) => {
                assert_eq!(options.directory.as_os_str().as_bytes(), b"/a\xff");
            }
            other => panic!("{other:?}"),
        }
    }
    let failure = parse([bytes(b"--banner=\xff")].into_iter()).unwrap_err();
    assert_eq!(
        failure.line(),
        "ftpdlib: --banner: '\u{fffd}' is not valid UTF-8; try 'ftpdlib --help'"
    );
}
