//! What TLS asks of the protocol, without TLS.

use super::*;
use crate::tls::Tls;
use crate::tls::testing::Pki;

fn bench(settings: impl FnOnce(Tls) -> Tls) -> Bench {
    let tls = settings(Pki::new().tls());
    let mut bench = Bench::with(|config, _| config.tls = Some(tls));
    bench.table.add_tls();
    bench
}

/// Logged in over TLS, with PROT P and a data connection that is not protected yet.
fn pending() -> Bench {
    pending_with(|tls| tls)
}

fn pending_with(settings: impl FnOnce(Tls) -> Tls) -> Bench {
    let mut bench = bench(settings);
    assert_eq!(bench.code("AUTH TLS"), 234);
    let mut bench = bench.and_logged_in();
    bench.files.file("/f", "0123456789");
    bench.say("PBSZ 0");
    bench.say("PROT P");
    bench.say("EPSV");
    bench.open_data();
    assert!(bench.protects_data);
    bench
}

#[test]
fn no_line_is_taken_during_the_handshake() {
    let mut bench = bench(|tls| tls);
    bench.keeps_tls = true;
    assert_eq!(bench.say("AUTH tls"), "234 AUTH TLS successful.");
    assert!(!bench.it.wants_line());
    // Nor does its time between commands run out.
    assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty() && !bench.closed);
    assert!(bench.feed(Input::Secured(None)).is_empty());
    assert!(bench.it.wants_line());
    assert_eq!(bench.code("AUTH TLS"), 503);
}

#[test]
fn a_handshake_that_takes_too_long_ends_the_session_in_silence() {
    for implicit in [false, true] {
        let mut bench = bench(|tls| tls.implicit(implicit));
        bench.keeps_tls = true;
        if implicit {
            assert!(bench.feed(Input::Start(None)).is_empty());
        } else {
            bench.say("AUTH TLS");
        }
        assert!(
            bench
                .timers
                .contains(&(Timer::Handshake, Duration::from_secs(30)))
        );
        assert!(bench.feed(Input::Timer(Timer::Handshake)).is_empty());
        assert!(bench.closed);
    }
}

#[test]
fn implicit_greets_behind_the_handshake() {
    let mut bench = bench(|tls| tls.implicit(true));
    bench.keeps_tls = true;
    assert!(bench.feed(Input::Start(None)).is_empty());
    assert_eq!(bench.feed(Input::Secured(None)).len(), 1);
    assert_eq!(bench.code("PBSZ 0"), 200);
}

#[test]
fn nothing_is_opened_before_the_handshake() {
    for line in ["STOR f", "APPE f", "STOU", "STOR new"] {
        let mut bench = pending();
        assert_eq!(bench.code(line), 125);
        assert!(bench.sink.is_none());
        assert_eq!(bench.files.content("/f").as_deref(), Some("0123456789"));
        assert!(bench.feed(Input::DataProtected(Ok(()))).is_empty());
        assert_eq!(bench.receive(b"new"), ["226 Transfer complete."]);
    }
    // The same when it is over before the command.
    let mut bench = pending();
    bench.feed(Input::DataProtected(Ok(())));
    assert_eq!(bench.code("STOR f"), 125);
    assert!(bench.sink.is_some());
}

#[test]
fn what_cannot_be_stored_is_said_before_the_handshake() {
    for line in ["STOR no/such", "APPE d", "STOR d"] {
        let mut bench = pending();
        bench.files.dir("/d");
        assert_eq!(bench.code(line), 550, "{line}");
    }
    let mut bench = pending();
    bench.say("REST 10");
    assert_eq!(bench.code("STOR new"), 550);
}

#[test]
fn an_unprotected_data_connection_is_refused() {
    let stranger = || Input::DataProtected(Err(Unprotected::Stranger));
    let failed = || Input::DataProtected(Err(Unprotected::Failed("why".to_owned())));
    for (input, text) in [
        (
            &stranger as &dyn Fn() -> Input,
            "522 SSL connection failed; session reuse required.",
        ),
        (&failed, "522 SSL handshake failed."),
        (
            &|| Input::Timer(Timer::Handshake),
            "522 SSL handshake timed out.",
        ),
    ] {
        let mut bench = pending();
        bench.say("STOR f");
        let closed = bench.data_closed;
        assert_eq!(bench.feed(input()), [text]);
        assert!(bench.data_closed > closed && bench.sink.is_none());
        assert_eq!(bench.files.content("/f").as_deref(), Some("0123456789"));
        assert_eq!(bench.code("NOOP"), 200);
    }
    // Before the command it is the command's reply, once.
    let mut bench = pending();
    assert!(bench.feed(stranger()).is_empty());
    assert_eq!(bench.code("RETR f"), 522);
    assert_eq!(bench.code("RETR f"), 150);
    // And one that is late is nobody's.
    assert!(bench.feed(stranger()).is_empty());
}

#[test]
fn a_client_whose_transfer_waits_for_a_handshake_is_not_idle() {
    let mut bench = pending();
    bench.say("STOR f");
    assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty());
    assert!(!bench.closed);
    let replies = bench.feed(Input::Timer(Timer::Handshake));
    assert_eq!(replies, ["522 SSL handshake timed out."]);
    // Without a deadline for that, the idle time is the only one.
    let mut bench = pending_with(|tls| tls.handshake_timeout(Duration::ZERO));
    bench.say("STOR f");
    let replies = bench.feed(Input::Timer(Timer::Idle));
    assert_eq!(replies, ["421 Control connection timed out."]);
    assert!(bench.closed);
}

#[test]
fn abor_and_other_commands_during_the_handshake() {
    let mut bench = pending();
    bench.say("STOR f");
    for line in ["RETR f", "EPSV", "PASV", "LIST"] {
        assert_eq!(bench.code(line), 450, "{line}");
    }
    assert_eq!(bench.code("STAT"), 211);
    let replies = bench.all("ABOR");
    assert!(
        replies[0].starts_with("426") && replies[1].starts_with("226"),
        "{replies:?}"
    );
    assert!(bench.feed(Input::DataProtected(Ok(()))).is_empty());
    assert!(bench.sink.is_none());
    assert_eq!(bench.files.content("/f").as_deref(), Some("0123456789"));
}

#[test]
fn what_is_required_cannot_be_got_around() {
    let mut bench = bench(|tls| tls.data_required(true)).and_logged_in();
    bench.files.file("/f", "0123456789");
    assert_eq!(bench.code("PASV"), 550);
    bench.say("AUTH TLS");
    let mut bench = bench.and_logged_in();
    bench.say("PBSZ 0");
    bench.say("PROT P");
    bench.say("EPSV");
    bench.say("PROT C");
    bench.open_data();
    for line in ["STOR f", "RETR f"] {
        let replies = bench.all(line);
        assert!(
            replies.last().unwrap().starts_with("521"),
            "{line}: {replies:?}"
        );
        assert!(bench.sink.is_none() && bench.source.is_none());
        assert_eq!(bench.files.content("/f").as_deref(), Some("0123456789"));
        bench.say("PROT P");
        bench.say("EPSV");
        bench.say("PROT C");
        bench.open_data();
    }
}

#[test]
fn rein_forgets_pbsz_and_prot() {
    let mut bench = pending();
    bench.say("REIN");
    assert_eq!(bench.code("PROT P"), 503);
    assert_eq!(bench.code("AUTH TLS"), 503);
    assert_eq!(bench.code("USER user"), 331);
}

#[test]
fn a_data_connection_keeps_no_other_protection_than_prot_says() {
    let mut bench = bench(|tls| tls).and_logged_in();
    bench.files.file("/f", "data");
    bench.say("AUTH TLS");
    let mut bench = bench.and_logged_in();
    bench.say("PBSZ 0");
    bench.say("PASV");
    bench.open_data();
    assert_eq!(bench.code("PROT P"), 200);
    assert_eq!(
        bench.say("RETR f"),
        "425 Data connection was opened before PROT; open another."
    );
    assert!(bench.source.is_none());
    // The same protection again changes nothing, nor does an order that leaves time for it.
    bench.say("PASV");
    assert_eq!(bench.code("PROT C"), 200);
    bench.open_data();
    assert_eq!(bench.code("PROT C"), 200);
    assert_eq!(bench.code("RETR f"), 125);
}

#[test]
fn a_transfer_of_before_does_not_go_on_under_tls() {
    let mut bench = bench(|tls| tls).and_logged_in();
    bench.files.file("/f", "0123456789");
    bench.say("EPSV");
    assert_eq!(bench.code("RETR f"), 150);
    assert_eq!(bench.code("AUTH TLS"), 450);
    bench.open_data();
    assert_eq!(bench.code("AUTH TLS"), 450);
    assert_eq!(bench.sent(), "0123456789");
    bench.end(Verdict::Complete, 10);
    assert_eq!(bench.code("AUTH TLS"), 234);
}

#[test]
fn what_was_said_in_clear_prepares_nothing_under_tls() {
    let mut bench = bench(|tls| tls).and_logged_in();
    bench.files.file("/f", "0123456789");
    bench.say("REST 5");
    bench.say("RNFR f");
    bench.say("PASV");
    bench.open_data();
    bench.say("TYPE A");
    bench.say("MKD d");
    bench.say("CWD d");
    bench.say("EPSV ALL");
    bench.say("AUTH TLS");
    // Nor does a login.
    for line in ["PWD", "DELE f", "RETR f"] {
        assert_eq!(bench.code(line), 530, "{line}");
    }
    let mut bench = bench.and_logged_in();
    assert!(bench.say("PWD").contains("\"/\""));
    assert!(bench.code("RNTO g") == 503);
    assert_eq!(bench.code("PASV"), 227);
    assert_eq!(bench.code("RETR f"), 150);
    bench.open_data();
    assert_eq!(bench.sent(), "0123456789");
}
