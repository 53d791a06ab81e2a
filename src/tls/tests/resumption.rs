//! Who may resume what.

use super::*;

#[test]
fn only_control_connections_give_tickets() {
    let pki = Pki::new();
    let session = pki.tls().session().unwrap();
    for (tunnel, tickets) in [
        (session.control().unwrap(), 4),
        (session.data().unwrap(), 0),
    ] {
        let duo = Duo::new(tunnel, &pki.client(&TLS13)).shaken();
        assert_eq!(duo.client.tls13_tickets_received(), tickets);
    }
}

/// Whether a new data connection of `session` resumes what the client's cache has.
fn resumes(session: &TlsSession, client: &Arc<ClientConfig>) -> bool {
    let duo = Duo::new(session.data().unwrap(), client).shaken();
    duo.server.is_resumed()
}

fn control(session: &TlsSession, client: &Arc<ClientConfig>) -> bool {
    let duo = Duo::new(session.control().unwrap(), client).shaken();
    duo.server.is_resumed()
}

#[test]
fn data_connections_resume_their_control_connection() {
    let pki = Pki::new();
    for version in VERSIONS {
        let tls = pki.tls();
        let client = pki.client(version);
        let session = tls.session().unwrap();
        assert!(!resumes(&session, &pki.client(version)));
        assert!(!control(&session, &client));
        for _ in 0..4 {
            assert!(resumes(&session, &client));
        }
        // Tickets are the server's, so another session's do as well, the control connection's too.
        let client = pki.client(version);
        assert!(!control(&tls.session().unwrap(), &client));
        assert!(resumes(&tls.session().unwrap(), &client));
        assert!(control(&tls.session().unwrap(), &client));
    }
}

#[test]
fn by_require_a_session_that_resumed_gets_one_more_ticket_at_the_right_time() {
    let pki = Pki::new();
    let tls = pki.tls().session_reuse(SessionReuse::Require);
    let client = pki.client(&TLS13);
    let session = tls.session().unwrap();
    assert!(!control(&session, &client));
    // rustls uses each once, and has four to begin with.
    for time in 0..20 {
        let mut duo = Duo::new(session.data().unwrap(), &client).shaken();
        assert!(duo.server.is_resumed(), "{time}");
        assert_eq!(duo.client.tls13_tickets_received(), 0);
        if time % 2 == 0 {
            duo.server.write(&mut duo.wire, b"download").unwrap();
            assert_eq!(duo.client_takes(), b"download");
        } else {
            // An uploading client may not read before its end.
            duo.client_writes(&sample(100_000));
            assert!(duo.read_all(256 * 1024).0 == sample(100_000));
            assert!(duo.wire.to_client.is_empty() && !duo.server.wants().unsent);
            duo.client_closes();
            duo.read_all(256 * 1024).1.unwrap();
        }
        duo.server.finish(&mut duo.wire).unwrap();
        duo.client_takes();
        assert_eq!(duo.client.tls13_tickets_received(), 1);
    }
    // Who did not resume gets none, whatever he does.
    let mallory = pki.client(&TLS13);
    let mut duo = Duo::new(session.data().unwrap(), &mallory).shaken();
    duo.server.write(&mut duo.wire, b"x").unwrap();
    duo.server.finish(&mut duo.wire).unwrap();
    duo.client_takes();
    assert_eq!(duo.client.tls13_tickets_received(), 0);
}

#[test]
fn by_require_no_other_session_resumes() {
    let pki = Pki::new();
    for version in VERSIONS {
        let tls = pki.tls().session_reuse(SessionReuse::Require);
        let (alice, mallory) = (pki.client(version), pki.client(version));
        let (own, foreign) = (tls.session().unwrap(), tls.session().unwrap());
        assert!(own.requires_reuse());
        assert!(!control(&own, &alice));
        assert!(!control(&foreign, &mallory));
        // None, foreign, own.
        assert!(!resumes(&own, &pki.client(version)));
        assert!(!resumes(&own, &mallory));
        assert!(resumes(&own, &alice));

        // Nor by what a refused one was given.
        assert!(!resumes(&own, &mallory));

        // Two sessions that share a cache: the later one's control connection does not resume, and
        // its tickets do not open the earlier one.
        let shared = pki.client(version);
        let (first, second) = (tls.session().unwrap(), tls.session().unwrap());
        assert!(!control(&first, &shared));
        assert!(!control(&second, &shared));
        if version.version == TLS12.version {
            assert!(resumes(&second, &shared));
            assert!(!resumes(&first, &shared));
        }
    }
}

#[test]
fn a_ticket_may_be_used_again_and_late() {
    let pki = Pki::new();
    let tls = pki.tls().session_reuse(SessionReuse::Require);
    let client = pki.client(&TLS12);
    let session = tls.session().unwrap();
    assert!(!control(&session, &client));
    for _ in 0..20 {
        assert!(resumes(&session, &client));
    }
    // Certificates that are new since are no matter.
    tls.reload().unwrap();
    assert!(resumes(&session, &client));
    assert!(!resumes(&tls.session().unwrap(), &client));
}
