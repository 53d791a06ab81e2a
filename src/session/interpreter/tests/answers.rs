//! What the handler says to a login or a transfer, at once or later; and ABOR in the midst of a
//! command.

use super::*;
use crate::session::work::cancel::cancel;
use crate::session::work::pooled::Work;

fn uploaded(answer: Option<Reply>) -> (Bench, Vec<String>) {
    let mut bench = Bench::logged_in();
    bench.say("PASV");
    bench.open_data();
    bench.say("STOR f");
    bench.answer = answer;
    let replies = bench.receive(b"data");
    (bench, replies)
}

#[test]
fn an_upload_s_reply_is_the_handler_s() {
    for (answer, reply) in [
        (None, "226 Transfer complete."),
        (Some(Reply::new(226, "Scanned.")), "226 Scanned."),
        (Some(Reply::new(550, "Infected.")), "550 Infected."),
        (Some(Reply::new(452, "Full.")), "452 Full."),
    ] {
        let (mut bench, replies) = uploaded(answer);
        assert_eq!(replies, [reply]);
        assert_eq!(bench.events, ["received /f 8"]);
        assert!(!bench.it.is_transferring());
        assert_eq!(bench.code("NOOP"), 200);
    }
}

#[test]
fn a_failure_is_not_talked_into_a_success() {
    for (answer, code) in [(226, "426"), (200, "426"), (551, "551")] {
        let mut bench = Bench::logged_in();
        bench.files.file("/f", "data");
        bench.say("PASV");
        bench.open_data();
        bench.say("STOR f");
        bench.answer = Some(Reply::new(answer, "So be it."));
        let replies = bench.end(Verdict::Disconnected, 2);
        assert_eq!(replies.len(), 1);
        assert!(replies[0].starts_with(code), "{replies:?}");
    }
}

#[test]
fn the_reply_waits_for_a_handler_that_thinks() {
    let mut bench = Bench::logged_in();
    bench.say("PASV");
    bench.open_data();
    bench.say("STOR f");
    bench.thinks = true;
    assert!(bench.receive(b"data").is_empty());
    assert!(bench.it.is_transferring());
    // No timer of the session's ends it, nor does the end of its connection.
    assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty());
    assert!(bench.end(Verdict::Disconnected, 0).is_empty());
    // The server's stop waits for it.
    assert!(bench.feed(Input::Shutdown).is_empty());
    assert!(!bench.closed);
    let answer = Some(Reply::new(550, "No."));
    assert_eq!(bench.feed(Input::TransferAnswered(answer)), ["550 No."]);
    assert!(bench.closed);
    // Said once.
    assert!(bench.feed(Input::TransferAnswered(None)).is_empty());
    assert_eq!(bench.events, ["received /f 8"]);
}

#[test]
fn abor_s_replies_wait_in_their_order() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    bench.open_data();
    bench.say("RETR f");
    bench.thinks = true;
    assert!(bench.all("ABOR").is_empty());
    assert_eq!(bench.events, ["incomplete sent /f"]);
    assert_eq!(
        bench.feed(Input::TransferAnswered(None)),
        [
            "426 Transfer aborted via ABOR.",
            "226 ABOR command successful."
        ]
    );
    assert!(bench.it.wants_line());
}

#[test]
fn abor_while_a_target_is_opened_reports_it_once() {
    let mut bench = Bench::logged_in();
    bench.say("PASV");
    bench.say("STOR f");
    bench.slow = true;
    bench.open_data();
    assert_eq!(bench.jobs.len(), 1);
    bench.thinks = true;
    assert!(bench.all("ABOR").is_empty());
    // The target is there now; nobody wants it.
    assert!(bench.run_jobs().is_empty());
    assert_eq!(bench.feed(Input::TransferAnswered(None)).len(), 2);
    assert_eq!(bench.events, ["incomplete received /f"]);
}

#[test]
fn a_login_is_accepted_or_refused_by_the_handler() {
    let mut bench = Bench::with(|config, _| config.max_login_attempts = 2);
    bench.say("USER user");
    bench.answer = Some(Reply::new(230, "Hello."));
    assert_eq!(bench.all("PASS 12345"), ["230 Hello."]);
    bench.say("REIN");

    bench.events.clear();
    bench.say("USER user");
    bench.answer = Some(Reply::new(530, "Not today."));
    // As late as any other refusal.
    assert!(bench.all("PASS 12345").is_empty());
    assert!(bench.it.account().is_none());
    let refused = bench.feed(Input::Timer(Timer::Refusal));
    assert_eq!(refused, ["530 Not today."]);
    assert_eq!(bench.events, ["login user", "failed user"]);
    assert_eq!(bench.code("PWD"), 530);
    assert_eq!(bench.code("PASS 12345"), 503);
    // It counts.
    bench.say("USER user");
    bench.answer = Some(Reply::new(530, "Not today."));
    bench.all("PASS 12345");
    let refused = bench.feed(Input::Timer(Timer::Refusal));
    assert_eq!(refused, ["530 Not today. Disconnecting."]);
    assert!(bench.closed);
}

#[test]
fn a_login_waits_for_a_handler_that_thinks() {
    let mut bench = Bench::new();
    bench.say("USER user");
    bench.thinks = true;
    assert!(bench.all("PASS 12345").is_empty());
    assert!(!bench.it.wants_line());
    // The delay of a refusal goes by meanwhile.
    assert!(bench.feed(Input::Timer(Timer::Refusal)).is_empty());
    let answer = Some(Reply::new(530, "No."));
    assert_eq!(bench.feed(Input::LoginAnswered(answer)), ["530 No."]);
    bench.say("USER user");
    assert!(bench.all("PASS 12345").is_empty());
    let welcome = bench.feed(Input::LoginAnswered(None));
    assert_eq!(welcome, ["230 Login successful."]);
    assert_eq!(bench.timers.last(), Some(&(Timer::Refusal, Duration::ZERO)));
    assert!(bench.feed(Input::LoginAnswered(None)).is_empty());
}

#[test]
fn the_greeting_is_the_handler_s() {
    let greeting = Reply::new(220, "Good morning.");
    let mut bench = Bench::new();
    assert_eq!(
        bench.feed(Input::Start(Some(greeting))),
        ["220 Good morning."]
    );
}

fn abor(bench: &mut Bench) -> Vec<String> {
    bench.feed(Input::Command(command::parse(b"ABOR")))
}

#[test]
fn abor_leaves_a_job_that_only_looks() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    bench.say("PASV");
    bench.slow = true;
    for line in ["RETR f", "STOR f", "STOU", "LIST", "MLSD", "SIZE f"] {
        assert!(bench.all(line).is_empty());
        assert!(bench.it.is_abortable() && bench.it.is_busy(), "{line}");
        let replies = abor(&mut bench);
        assert_eq!(replies[0], "426 Aborted via ABOR.", "{line}");
        assert!(replies[1].starts_with("226 ") && replies.len() == 2);
        assert!(bench.it.wants_line() && !bench.it.is_transferring());
        // What the job found is for nobody.
        assert!(bench.run_jobs().is_empty());
    }
    assert_eq!(bench.files.content("/f").unwrap(), "data");
    assert!(!bench.listening);
}

#[test]
fn abor_waits_for_a_job_that_changes_something() {
    let mut bench = Bench::logged_in();
    bench.slow = true;
    for (line, code) in [("MKD d", "257"), ("DELE nope", "550")] {
        assert!(bench.all(line).is_empty());
        assert!(!bench.it.is_abortable() && bench.it.is_busy());
        // One that came all the same, after its `on_command` took long.
        assert!(abor(&mut bench).is_empty());
        let replies = bench.run_jobs();
        assert!(replies[0].starts_with(code), "{replies:?}");
        assert_eq!(replies[1..], ["226 No transfer to abort."]);
    }
    // An upload's target is opened as its connection is there: it begins, and is aborted.
    bench.slow = false;
    bench.say("PASV");
    bench.open_data();
    bench.slow = true;
    bench.all("STOR f");
    assert!(abor(&mut bench).is_empty());
    let replies = bench.run_jobs();
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["125", "426", "226"]);
}

#[test]
fn abor_that_the_handler_refuses_is_answered_in_its_place() {
    let mut bench = Bench::logged_in();
    bench.slow = true;
    bench.all("SIZE f");
    let refused = Input::Refused(command::parse(b"ABOR"), Reply::new(502, "Never."));
    assert!(bench.feed(refused).is_empty());
    let replies = bench.run_jobs();
    assert!(replies[0].starts_with("550 "), "{replies:?}");
    assert_eq!(replies[1..], ["502 Never."]);
    assert!(bench.it.wants_line());
}

#[test]
fn abor_cancels_a_command_of_one_s_own_on_the_pool() {
    let mut bench = Bench::logged_in();
    bench.slow = true;
    let start = |bench: &mut Bench| {
        let run = Arc::new(|work: &Work, path: &VirtualPath| {
            work.check()?;
            Ok(Reply::new(
                250,
                format!("{path} by {}", work.account().username()),
            ))
        });
        bench.it.pooled(run, "/f".parse().unwrap());
        bench.feed(Input::Timer(Timer::Idle))
    };
    assert!(start(&mut bench).is_empty());
    assert!(bench.it.is_abortable());
    assert_eq!(bench.run_jobs(), ["250 /f by user"]);

    start(&mut bench);
    assert!(abor(&mut bench).is_empty());
    assert!(!bench.it.is_abortable() && !bench.it.wants_line());
    assert_eq!(
        bench.run_jobs(),
        ["426 Aborted via ABOR.", "226 No transfer to abort."]
    );
    // The end of the session cancels, too.
    start(&mut bench);
    let (_, job) = bench.jobs.pop_front().unwrap();
    drop(bench);
    assert!(matches!(job.run(), Outcome::Reply(reply) if reply.code() == 426));
}

#[test]
fn abor_while_an_active_connection_is_made() {
    let mut bench = Bench::logged_in();
    bench.keeps_connecting = true;
    assert!(bench.all("PORT 127,0,0,1,200,1").is_empty());
    assert!(bench.it.is_abortable());
    let replies = abor(&mut bench);
    assert!(replies[0].starts_with("425 "), "{replies:?}");
    assert_eq!(replies[1..], ["226 No transfer to abort."]);
    // The attempt is closed; its outcome is stale.
    assert_eq!(bench.data_closed, 2);
    assert!(bench.feed(Input::Connected(Ok(()))).is_empty());
}

#[test]
fn a_listing_that_nobody_wants_is_not_finished() {
    let mut bench = Bench::logged_in();
    bench.files.dir("/d");
    for at in 0..1000 {
        bench.files.file(&format!("/d/{at}"), "");
    }
    bench.say("PASV");
    bench.open_data();
    bench.say("NLST d");
    let fill = |source, wanted: bool| {
        let mut job = Job::Fill(source, Vec::new(), usize::MAX);
        let (canceller, cancel) = cancel();
        job.cancel_by(cancel);
        if !wanted {
            canceller.cancel();
        }
        match job.run() {
            Outcome::Filled(source, bytes, result) => (source, bytes, result),
            _ => panic!("a listing is filled"),
        }
    };
    let source = bench.source.take().unwrap();
    let (source, bytes, result) = fill(source, false);
    assert!(result.is_err() && bytes.is_empty());
    let (_, bytes, result) = fill(source, true);
    assert!(matches!(result, Ok(false)));
    assert_eq!(bytes.split(|&byte| byte == b'\n').count(), 1001);
}
