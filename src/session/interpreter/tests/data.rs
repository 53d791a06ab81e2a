//! Bringing the data connection about.

use super::*;

#[test]
fn passive_replies_tell_the_address() {
    let mut bench = Bench::logged_in();
    assert_eq!(
        bench.say("PASV"),
        "227 Entering passive mode (127,0,0,1,15,161)."
    );
    assert_eq!(
        bench.say("EPSV"),
        "229 Entering extended passive mode (|||4001|)."
    );
    assert_eq!(bench.code("EPSV 1"), 229);
    assert_eq!(
        bench.say("EPSV 2"),
        "522 Network protocol not supported (use 1)."
    );
    assert_eq!(bench.say("EPSV 3"), "501 Unknown network protocol (use 1).");
    assert!(bench.say("EPSV all").starts_with("220 "));
    for line in ["PASV", "PORT 127,0,0,1,16,1", "EPRT |1|127.0.0.1|4097|"] {
        assert_eq!(bench.code(line), 501, "{line}");
    }
    assert_eq!(bench.code("EPSV"), 229);
}

#[test]
fn masquerading() {
    let public = "1.2.3.4".parse().unwrap();
    let mapped = "5.6.7.8".parse().unwrap();
    let mut bench =
        Bench::with(|config, _| config.masquerade_address = Some(public)).and_logged_in();
    assert!(bench.say("PASV").contains("(1,2,3,4,"));
    let mut bench = Bench::with(|config, _| {
        config.masquerade_address = Some(public);
        config
            .masquerade_map
            .insert("127.0.0.1".parse().unwrap(), mapped);
    })
    .and_logged_in();
    assert!(bench.say("PASV").contains("(5,6,7,8,"));
}

#[test]
fn active_connections_and_their_checks() {
    let mut bench = Bench::logged_in();
    assert_eq!(
        bench.say("PORT 127,0,0,1,16,1"),
        "200 Active data connection established."
    );
    assert_eq!(bench.code("EPRT |1|127.0.0.1|4097|"), 200);
    assert_eq!(bench.code("PORT 0,0,0,0,16,1"), 200);
    assert_eq!(
        bench.say("PORT 127,0,0,1,17,92"),
        "425 Can't connect to specified address."
    );
    assert_eq!(
        bench.say("PORT 10,0,0,1,16,1"),
        "501 Rejected data connection to foreign address 10.0.0.1:4097."
    );
    assert_eq!(
        bench.say("PORT 127,0,0,1,0,22"),
        "501 PORT against the privileged port \"22\" refused."
    );
    assert_eq!(bench.code("EPRT |2|::1|4097|"), 522);
    assert_eq!(bench.code("EPRT |3|::1|4097|"), 501);
    for line in [
        "PORT 1,2,3",
        "PORT a,b,c,d,e,f",
        "PORT 256,0,0,1,16,1",
        "EPRT x",
        "EPRT |1||4097|",
    ] {
        assert_eq!(bench.code(line), 501, "{line}");
    }
    let mut open = Bench::with(|config, _| {
        config.permit_foreign_addresses = true;
        config.permit_privileged_ports = true;
    })
    .and_logged_in();
    assert_eq!(open.code("PORT 10,0,0,1,0,22"), 200);
}

#[test]
fn a_stranger_at_the_passive_socket_ends_nothing() {
    let stranger: SocketAddr = "10.0.0.9:5000".parse().unwrap();
    let mut bench = Bench::logged_in();
    assert!(!bench.it.admits(stranger.ip()));
    assert!(bench.it.admits("::ffff:127.0.0.1".parse().unwrap()));
    bench.files.file("/f", "data");
    bench.say("PASV");
    assert_eq!(bench.code("RETR f"), 150);
    assert!(bench.feed(Input::DataRejected(stranger)).is_empty());
    assert!(bench.listening);
    bench.open_data();
    assert_eq!(bench.end(Verdict::Complete, 4), ["226 Transfer complete."]);
    // If nobody else comes it may have been the client, who is told.
    let text = "425 Rejected data connection from foreign address 10.0.0.9:5000.";
    bench.say("PASV");
    bench.feed(Input::DataRejected(stranger));
    assert_eq!(bench.code("RETR f"), 150);
    assert_eq!(bench.feed(Input::Timer(Timer::Data)), [text]);
    assert!(!bench.listening);
    bench.say("PASV");
    bench.feed(Input::DataRejected(stranger));
    assert!(bench.feed(Input::Timer(Timer::Data)).is_empty());
    assert_eq!(bench.say("RETR f"), text);
}

#[test]
fn a_transfer_that_waits_ends_when_its_connection_fails() {
    let gone = "425 Can't open data connection.";
    // PORT is refused by the peer, or times out, or PASV fails.
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    assert_eq!(bench.code("RETR f"), 150);
    assert_eq!(bench.all("PORT 127,0,0,1,17,92").last().unwrap(), gone);
    assert!(!bench.it.is_transferring());

    assert_eq!(bench.code("RETR f"), 150);
    bench.it.handle(
        &bench.table,
        Input::Command(command::parse(b"PORT 127,0,0,1,16,1")),
    );
    while bench.it.poll_step().is_some() {}
    assert_eq!(bench.feed(Input::Timer(Timer::Data)).last().unwrap(), gone);

    assert_eq!(bench.code("RETR f"), 150);
    bench
        .it
        .handle(&bench.table, Input::Command(command::parse(b"PASV")));
    while bench.it.poll_step().is_some() {}
    let full = io::Error::other("Too many open files");
    let replies = bench.feed(Input::Listening(Err(full)));
    assert_eq!(replies, ["425 Too many open files.", gone]);

    bench.say("PASV");
    assert_eq!(bench.code("RETR f"), 150);
    let broken = io::Error::other("Bad");
    assert_eq!(bench.feed(Input::DataFailed(broken)), ["425 Bad."]);
    assert!(!bench.it.is_transferring() && bench.it.wants_line());
    // And without any timeout for the connection the idle one holds.
    let mut bench = Bench::with(|config, _| config.passive_timeout = Duration::ZERO);
    bench = bench.and_logged_in();
    bench.files.file("/f", "data");
    assert_eq!(bench.code("RETR f"), 150);
    let replies = bench.feed(Input::Timer(Timer::Idle));
    assert_eq!(replies, [gone, "421 Control connection timed out."]);
    assert!(bench.closed);
}

#[test]
fn timeouts_of_the_data_connection() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    assert!(
        bench
            .timers
            .contains(&(Timer::Data, Duration::from_secs(30)))
    );
    assert!(bench.feed(Input::Timer(Timer::Data)).is_empty());
    assert!(!bench.listening);
    assert_eq!(bench.say("RETR f"), "425 Passive data channel timed out.");
    bench.say("PASV");
    assert_eq!(bench.code("RETR f"), 150);
    assert_eq!(
        bench.feed(Input::Timer(Timer::Data)),
        ["425 Passive data channel timed out."]
    );
    // Without PASV or PORT at all.
    assert_eq!(bench.code("RETR f"), 150);
    assert_eq!(
        bench.feed(Input::Timer(Timer::Data)),
        ["425 Can't open data connection."]
    );
    assert!(!bench.it.is_transferring() && bench.it.wants_line());
}

#[test]
fn an_open_connection_that_no_command_uses() {
    let mut bench = Bench::logged_in();
    bench.say("PASV");
    bench.open_data();
    assert_eq!(
        bench.timers.last(),
        Some(&(Timer::Data, Duration::from_secs(300)))
    );
    assert_eq!(
        bench.feed(Input::Timer(Timer::Data)),
        ["421 Data connection timed out."]
    );
    assert!(bench.closed);
}

#[test]
fn a_client_whose_transfer_waits_for_its_connection_is_not_idle() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    for begun in ["PASV", "NOOP"] {
        bench.say(begun);
        assert_eq!(bench.code("RETR f"), 150);
        bench.timers.clear();
        bench.it.begin_turn();
        assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty());
        assert_eq!(bench.timers, [(Timer::Idle, Duration::from_secs(300))]);
        let replies = bench.feed(Input::Timer(Timer::Data));
        assert!(replies[0].starts_with("425 "), "{replies:?}");
    }
    assert!(!bench.closed);
    let replies = bench.feed(Input::Timer(Timer::Idle));
    assert_eq!(replies, ["421 Control connection timed out."]);
}

#[test]
fn a_connection_that_no_command_uses_does_not_end_one_in_progress() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    bench.open_data();
    bench.slow = true;
    assert!(bench.all("SIZE f").is_empty());
    for _ in 0..2 {
        bench.timers.clear();
        assert!(bench.feed(Input::Timer(Timer::Data)).is_empty());
        assert_eq!(bench.timers, [(Timer::Data, Duration::from_secs(300))]);
    }
    assert_eq!(bench.run_jobs(), ["213 4"]);
    // It is still there for the next one, and has its time.
    bench.slow = false;
    assert_eq!(bench.code("RETR f"), 125);
    assert_eq!(bench.end(Verdict::Complete, 4), ["226 Transfer complete."]);
}

#[test]
fn a_connection_limit_is_told() {
    let mut bench = Bench::logged_in();
    bench
        .it
        .handle(&bench.table, Input::Command(command::parse(b"PASV")));
    while bench.it.poll_step().is_some() {}
    let full = io::Error::new(io::ErrorKind::QuotaExceeded, "Too many connections");
    assert_eq!(
        bench.feed(Input::Listening(Err(full))),
        ["425 Too many connections."]
    );
    assert!(bench.it.wants_line());
}
