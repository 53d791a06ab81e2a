//! Transfers, and the commands about files.

use super::*;

/// Logged in, with a data connection and some files.
fn ready() -> Bench {
    let mut bench = Bench::logged_in();
    bench
        .files
        .file("/f", "0123456789")
        .dir("/dir")
        .file("/dir/g", "g");
    bench.say("PASV");
    bench.open_data();
    bench
}

#[test]
fn a_download() {
    let mut bench = ready();
    assert_eq!(
        bench.say("RETR f"),
        "125 Data connection already open. Transfer starting."
    );
    assert_eq!(bench.sent(), "0123456789");
    assert_eq!(bench.end(Verdict::Complete, 10), ["226 Transfer complete."]);
    assert_eq!(bench.events, ["sent /f 20"]);
    assert_eq!(bench.say("RETR nope"), "550 No such file or directory.");
    assert_eq!(bench.say("RETR dir"), "550 Is a directory.");
}

#[test]
fn a_download_goes_on_where_rest_says() {
    let mut bench = ready();
    assert_eq!(bench.say("REST 7"), "350 Restarting at position 7.");
    bench.say("RETR f");
    assert_eq!(bench.sent(), "789");
    bench.end(Verdict::Complete, 3);
    bench.say("REST 11");
    assert_eq!(
        bench.say("RETR f"),
        "554 REST position (11) > file size (10)"
    );
    // REST is for one command.
    assert_eq!(bench.code("RETR f"), 150);
    for line in ["REST x", "REST -1", "REST 18446744073709551616", "REST  "] {
        assert_eq!(bench.say(line), "501 Invalid parameter.", "{line}");
    }
    bench.say("TYPE A");
    assert_eq!(bench.code("REST 1"), 501);
}

#[test]
fn an_upload_touches_nothing_before_data_can_flow() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "old");
    bench.say("PASV");
    assert_eq!(bench.code("STOR f"), 150);
    assert_eq!(bench.files.content("/f").unwrap(), "old");
    assert_eq!(
        bench.feed(Input::Timer(Timer::Data)),
        ["425 Passive data channel timed out."]
    );
    assert_eq!(bench.files.content("/f").unwrap(), "old");

    bench.say("PASV");
    assert_eq!(bench.code("STOR f"), 150);
    bench.open_data();
    assert_eq!(bench.receive(b"new"), ["226 Transfer complete."]);
    assert_eq!(bench.files.content("/f").unwrap(), "new");
    assert_eq!(bench.events, ["received /f 6"]);
}

#[test]
fn an_upload_s_target_is_looked_at_first() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "0123456789").dir("/dir");
    assert_eq!(bench.say("STOR dir"), "550 Is a directory.");
    assert_eq!(bench.say("STOR nope/x"), "550 No such file or directory.");
    assert_eq!(bench.say("STOR f/x"), "550 Not a directory.");
    bench.say("REST 99");
    assert_eq!(
        bench.say("STOR f"),
        "554 REST position (99) > file size (10)"
    );
    bench.say("REST 5");
    assert_eq!(bench.say("STOR nope"), "550 No such file or directory.");
}

#[test]
fn uploads_that_append_resume_or_choose_a_name() {
    let mut bench = ready();
    bench.say("APPE f");
    bench.receive(b"ab");
    assert_eq!(bench.files.content("/f").unwrap(), "0123456789ab");
    bench.say("PASV");
    bench.open_data();
    bench.say("REST 10");
    bench.say("STOR f");
    bench.receive(b"XY");
    assert_eq!(bench.files.content("/f").unwrap(), "0123456789XY");
    bench.say("REST 10");
    assert_eq!(
        bench.say("APPE f"),
        "450 Can't APPE while REST request is pending."
    );
    // It was for the command that was refused, too.
    bench.say("REST 10");
    assert_eq!(
        bench.say("STOU"),
        "450 Can't STOU while REST request is pending."
    );
    let reply = bench.say("STOU dir/wish");
    let name = reply.strip_prefix("150 FILE: ").unwrap().to_owned();
    assert!(name.starts_with("wish."), "{reply}");
    assert!(!bench.files.has(&format!("/dir/{name}")));
    bench.say("PASV");
    bench.open_data();
    bench.receive(b"new");
    assert_eq!(bench.files.content(&format!("/dir/{name}")).unwrap(), "new");
}

#[test]
fn a_declared_size_is_held_against_what_came() {
    let mut bench = ready();
    assert!(bench.say("ALLO 3").starts_with("202 "));
    bench.say("STOR f");
    let replies = bench.receive(b"four");
    assert!(replies[0].starts_with("426 "), "{replies:?}");
    assert_eq!(bench.events, ["incomplete received /f"]);
    // It counts once, the last one counts, and only right before the upload.
    for lines in [
        &["STOR f"][..],
        &["ALLO 3", "ALLO 4", "PASV"],
        &["ALLO 3", "PWD"],
    ] {
        lines.iter().for_each(|line| drop(bench.all(line)));
        bench.say("PASV");
        bench.open_data();
        if !bench.it.is_transferring() {
            bench.say("STOR f");
        }
        assert_eq!(
            bench.receive(b"four"),
            ["226 Transfer complete."],
            "{lines:?}"
        );
    }
    for line in [
        "ALLO x",
        "ALLO -1",
        "ALLO 9 R 1",
        "ALLO 18446744073709551616",
    ] {
        assert_eq!(bench.code(line), 202, "{line}");
    }
}

#[test]
fn verdicts() {
    for (verdict, code) in [
        (Verdict::Disconnected, "426"),
        (Verdict::Aborted, "426"),
        (Verdict::Stalled, "421"),
        (Verdict::File(io::ErrorKind::StorageFull.into()), "452"),
        (Verdict::File(io::ErrorKind::QuotaExceeded.into()), "552"),
        (Verdict::File(io::Error::other("Input/output error")), "451"),
    ] {
        let mut bench = ready();
        bench.say("STOR f");
        let stalled = matches!(verdict, Verdict::Stalled);
        let replies = bench.end(verdict, 1);
        assert!(
            replies.len() == 1 && replies[0].starts_with(code),
            "{replies:?}"
        );
        assert_eq!(bench.events, ["incomplete received /f"]);
        assert_eq!(bench.closed, stalled);
    }
}

#[test]
fn abor_always_ends_in_226() {
    let mut bench = Bench::logged_in();
    bench.files.file("/f", "data");
    assert_eq!(bench.say("ABOR"), "226 No transfer to abort.");
    bench.say("PASV");
    assert_eq!(
        bench.say("ABOR"),
        "226 ABOR command successful; data channel closed."
    );
    assert!(!bench.listening);
    let both = [
        "426 Transfer aborted via ABOR.",
        "226 ABOR command successful.",
    ];
    bench.say("PASV");
    bench.say("STOR f");
    assert_eq!(bench.all("ABOR"), both);
    assert!(bench.events.is_empty());
    bench.say("PASV");
    bench.open_data();
    bench.say("RETR f");
    assert_eq!(bench.all("ABOR"), both);
    assert_eq!(bench.events, ["incomplete sent /f"]);
    assert!(bench.source.is_none() && !bench.it.is_transferring());
    // While the target is being opened.
    bench.say("PASV");
    bench.open_data();
    bench.slow = true;
    bench.all("STOR f");
    assert_eq!(bench.jobs.len(), 1);
    assert_eq!(bench.run_jobs().len(), 1);
    bench.slow = false;
    assert_eq!(bench.all("ABOR"), both);
    assert!(bench.sink.is_none());
}

#[test]
fn one_transfer_at_a_time() {
    let mut bench = ready();
    bench.say("RETR f");
    for line in [
        "RETR f", "STOR f", "APPE f", "STOU", "LIST", "NLST", "MLSD", "PASV", "EPSV",
    ] {
        assert_eq!(bench.say(line), "450 Transfer in progress.", "{line}");
    }
    assert_eq!(bench.code("PORT 127,0,0,1,16,1"), 450);
    assert_eq!(bench.code("STAT"), 211);
    assert_eq!(bench.code("NOOP"), 200);
    assert_eq!(bench.sent(), "0123456789");
    assert_eq!(bench.end(Verdict::Complete, 10), ["226 Transfer complete."]);
}

#[test]
fn a_transfer_outlives_its_user() {
    for line in ["USER other", "REIN", "QUIT"] {
        let mut bench = ready();
        bench.say("STOR f");
        bench.say(line);
        assert!(!bench.closed, "{line}");
        assert_eq!(bench.receive(b"whole"), ["226 Transfer complete."]);
        assert_eq!(bench.files.content("/f").unwrap(), "whole");
        assert_eq!(bench.closed, line == "QUIT");
    }
}

#[test]
fn listings() {
    let mut bench = ready();
    bench.say("NLST");
    assert_eq!(bench.sent(), "dir\r\nf\r\n");
    bench.end(Verdict::Complete, 8);
    for (line, expected) in [
        ("NLST -1", "dir\r\nf\r\n"),
        ("NLST f", "f\r\n"),
        ("NLST -la dir", "g\r\n"),
        ("MLSD dir ", "type=file; g\r\n"),
    ] {
        bench.say("OPTS MLST type;");
        bench.say("PASV");
        bench.open_data();
        assert_eq!(bench.code(line), 125, "{line}");
        assert_eq!(bench.sent(), expected, "{line}");
        bench.end(Verdict::Complete, 8);
    }
    // A file may have the name of an option.
    bench.files.file("/-1", "");
    bench.say("PASV");
    bench.open_data();
    bench.say("NLST -1");
    assert_eq!(bench.sent(), "-1\r\n");
    bench.end(Verdict::Complete, 8);
    assert!(bench.events.is_empty());
    assert_eq!(bench.say("LIST nope"), "550 No such file or directory.");
    assert_eq!(bench.say("MLSD f"), "501 No such directory.");
}

#[test]
fn status_of_a_path_comes_over_the_control_connection() {
    let mut bench = ready();
    let replies = bench.all("STAT /dir");
    assert_eq!(replies.len(), 3);
    assert_eq!(replies[0], "213-Status of \"/dir\":\r\n");
    assert!(
        replies[1].starts_with("-rw-r--r--") && replies[1].ends_with(" g\r\n"),
        "{replies:?}"
    );
    assert_eq!(replies[2], "213 End of status.");
    assert_eq!(bench.say("STAT *"), "550 Globbing not supported.");
}

#[test]
fn directories_and_names() {
    let mut bench = ready();
    assert_eq!(
        bench.say("CWD dir"),
        "250 \"/dir\" is the current directory."
    );
    assert_eq!(bench.say("CWD dir "), "550 No such file or directory.");
    assert_eq!(bench.say("CWD g"), "550 Not a directory.");
    assert_eq!(bench.say("CDUP"), "250 \"/\" is the current directory.");
    assert_eq!(
        bench.say("CWD dir "),
        "250 \"/dir\" is the current directory."
    );
    assert_eq!(bench.say("CWD"), "250 \"/\" is the current directory.");
    assert_eq!(
        bench.say("CWD ../../.."),
        "250 \"/\" is the current directory."
    );
    assert_eq!(bench.say("MKD a\"b"), "257 \"/a\"\"b\" directory created.");
    assert_eq!(bench.say("MKD a\"b"), "550 File exists.");
    assert_eq!(bench.say("RMD a\"b"), "250 Directory removed.");
    assert_eq!(bench.say("RMD /"), "550 Can't remove root directory.");
    assert_eq!(
        bench.say("RNTO x"),
        "503 Bad sequence of commands: use RNFR first."
    );
    assert_eq!(bench.say("RNFR /"), "550 Can't rename home directory.");
    assert_eq!(bench.code("RNFR nope"), 550);
    assert_eq!(bench.code("RNFR f"), 350);
    assert_eq!(bench.say("RNTO moved"), "250 Renaming ok.");
    assert_eq!(bench.code("RNTO again"), 503);
    assert_eq!(bench.say("DELE moved"), "250 File removed.");
    assert_eq!(bench.code("DELE moved"), 550);
}

#[test]
fn sizes_times_and_modes() {
    let mut bench = ready();
    assert_eq!(bench.say("SIZE f"), "213 10");
    assert_eq!(bench.say("SIZE dir"), "550 /dir is not retrievable.");
    assert_eq!(bench.say("MDTM f"), "213 20010909014640");
    assert_eq!(bench.code("MDTM dir"), 550);
    assert_eq!(
        bench.say("MFMT 20010909014640 f"),
        "213 Modify=20010909014640; /f."
    );
    assert_eq!(bench.code("MDTM 20010909014640 f"), 253);
    bench.files.file("/20010909014640 f", "");
    assert_eq!(bench.code("MDTM 20010909014640 f"), 213);
    for line in ["MFMT 2001 f", "MFMT 20011399000000 f", "MFMT x f"] {
        assert!(
            bench.say(line).starts_with("550 Invalid time format"),
            "{line}"
        );
    }
    assert_eq!(bench.code("MFMT 20010909014640"), 501);
    assert_eq!(bench.code("SITE UTIME 200109090146 f"), 200);
    let times = "20010909014640 20010909014640 20010909014640 UTC";
    assert_eq!(bench.code(&format!("SITE UTIME f {times}")), 200);
    assert_eq!(bench.code("SITE UTIME f"), 501);
    assert_eq!(bench.say("SITE CHMOD 755 f"), "200 SITE CHMOD successful.");
    for line in [
        "SITE CHMOD 9 f",
        "SITE CHMOD 888 f",
        "SITE CHMOD 07777 f",
        "SITE CHMOD 755",
    ] {
        assert_eq!(bench.code(line), 501, "{line}");
    }
    bench.say("TYPE A");
    assert_eq!(bench.say("SIZE f"), "550 SIZE not allowed in ASCII mode.");
    assert_eq!(bench.code("MLST f"), 250);
    assert_eq!(bench.code("MLST nope"), 550);
}

#[test]
fn rest_is_for_the_next_transfer_command_even_if_that_is_refused() {
    for refused in ["STOR", "RETR nope", "APPE f", "LIST nope"] {
        let mut bench = ready();
        bench.say("REST 4");
        bench.all(refused);
        bench.say("STOR f");
        bench.receive(b"new");
        assert_eq!(bench.files.content("/f").unwrap(), "new", "{refused}");
    }
    let mut bench = ready();
    bench.say("REST 4");
    bench.say("TYPE A");
    bench.say("RETR f");
    assert_eq!(bench.sent(), "0123456789");
    // What clients ask in between does no harm.
    let mut bench = ready();
    bench.say("REST 4");
    bench.say("SIZE f");
    bench.say("RETR f");
    assert_eq!(bench.sent(), "456789");
}

#[test]
fn a_transfer_can_be_aborted_when_its_user_is_logged_out() {
    let mut bench = ready();
    bench.say("STOR f");
    bench.say("REIN");
    assert_eq!(bench.all("ABOR").len(), 2);
    assert_eq!(bench.code("ABOR"), 530);
    // A login that fails too often waits for the transfer, as QUIT does.
    let mut bench = Bench::with(|config, _| {
        config.max_login_attempts = 1;
        config.auth_failed_timeout = Duration::ZERO;
    })
    .and_logged_in();
    bench.files.file("/f", "");
    bench.say("PASV");
    bench.open_data();
    bench.say("RETR f");
    bench.say("USER user");
    assert!(bench.say("PASS wrong").ends_with("Disconnecting."));
    assert!(!bench.closed);
    bench.end(Verdict::Complete, 0);
    assert!(bench.closed);
}

#[test]
fn a_listing_over_the_control_connection_is_not_broken_into() {
    let mut bench = ready();
    bench.say("RETR f");
    assert_eq!(bench.all("STAT /dir").len(), 3);
    // The transfer ends while the client takes the listing.
    bench.slow = true;
    bench.all("STAT /dir");
    let (id, job) = bench.jobs.pop_front().unwrap();
    bench.feed(Input::Job(id, job.run()));
    assert_eq!(bench.jobs.len(), 1);
    assert!(bench.end(Verdict::Complete, 10).is_empty());
    let replies = bench.run_jobs();
    let expected = ["213 End of status.", "226 Transfer complete."];
    assert_eq!(replies[replies.len() - 2..], expected);
    assert_eq!(bench.code("NOOP"), 200);
}

/// `STAT /dir` while a transfer runs, of which the first line is out.
fn listing_beside_a_transfer() -> Bench {
    let mut bench = ready();
    bench.say("RETR f");
    bench.slow = true;
    bench.all("STAT /dir");
    let (id, job) = bench.jobs.pop_front().unwrap();
    bench.feed(Input::Job(id, job.run()));
    assert_eq!(bench.jobs.len(), 1);
    bench
}

#[test]
fn a_listing_over_the_control_connection_has_an_end_whatever_becomes_of_it() {
    let mut bench = listing_beside_a_transfer();
    let (id, _) = bench.jobs.pop_front().unwrap();
    // To the client all that follows would else be a part of it.
    assert_eq!(
        bench.feed(Input::Job(id, Outcome::Lost)),
        ["213 End of status; internal error."]
    );
    assert_eq!(bench.code("NOOP"), 200);

    let mut bench = listing_beside_a_transfer();
    assert!(bench.end(Verdict::Stalled, 10).is_empty() && !bench.closed);
    let replies = bench.run_jobs();
    let expected = ["213 End of status.", "421 Data connection timed out."];
    assert_eq!(replies[replies.len() - 2..], expected);
    assert!(bench.closed);
}

#[test]
fn who_does_not_take_a_listing_is_idle() {
    let mut bench = ready();
    bench
        .it
        .handle(&bench.table, Input::Command(command::parse(b"STAT /dir")));
    let mut jobs = Vec::new();
    while let Some(step) = bench.it.poll_step() {
        if let Step::Effect(Effect::Job(id, job)) = step {
            jobs.push((id, job));
        }
    }
    let (id, job) = jobs.pop().unwrap();
    bench.it.handle(&bench.table, Input::Job(id, job.run()));
    while bench.it.poll_step().is_some() {}
    assert!(!bench.it.wants_line());
    assert_eq!(
        bench.feed(Input::Timer(Timer::Idle)),
        ["421 Control connection timed out."]
    );
    assert!(bench.closed);
}

#[test]
fn a_rename_sheds_no_override() {
    let mut bench = Bench::with(|_, account| {
        let secret = "/pub/secret".parse().unwrap();
        *account = account.clone().override_perm(secret, Perm::NONE, true);
    })
    .and_logged_in();
    bench.files.dir("/pub").dir("/pub/secret").dir("/other");
    assert_eq!(bench.say("RNFR pub"), "550 Not enough privileges.");
    assert_eq!(bench.code("RNFR pub/secret"), 550);
    assert_eq!(bench.code("RNFR other"), 350);
}

#[test]
fn a_session_that_ends_while_the_target_is_opened_reports_it() {
    let mut bench = Bench::logged_in();
    bench.say("PASV");
    bench.say("STOR f");
    bench.slow = true;
    bench.open_data();
    assert_eq!(bench.jobs.len(), 1);
    bench.end(Verdict::Disconnected, 0);
    assert_eq!(bench.events, ["incomplete received /f"]);
}
