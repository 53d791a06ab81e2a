//! HASH and its older siblings.

use super::*;

const SHA256_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn ready() -> Bench {
    let bench = Bench::logged_in();
    bench
        .files
        .file("/abc", "abc")
        .file("/empty", "")
        .file("/digits", "0123456789")
        .file("/abc 1", "other")
        .file("/say \"x\"", "abc")
        .dir("/dir");
    bench
}

#[test]
fn hash_tells_algorithm_range_digest_and_name() {
    let mut bench = ready();
    let sha256 = format!("213 SHA-256 0-2 {SHA256_ABC} abc");
    assert_eq!(bench.say("HASH abc"), sha256);
    // As in TYPE I, and the name as it was given.
    bench.say("TYPE A");
    let other_name = format!("213 SHA-256 0-2 {SHA256_ABC} /dir/../abc");
    assert_eq!(bench.say("hash /dir/../abc"), other_name);
    assert_eq!(bench.say("OPTS HASH"), "200 SHA-256");
    assert_eq!(bench.say("OPTS HASH md5"), "200 MD5");
    assert_eq!(
        bench.say("HASH empty"),
        "213 MD5 0-0 d41d8cd98f00b204e9800998ecf8427e empty"
    );
    let unknown = bench.say("OPTS HASH CRC-37");
    assert_eq!(
        unknown,
        "501 Unknown algorithm, current selection not changed."
    );
    assert_eq!(bench.code("OPTS HASH SHA-1 SHA-1"), 501);
    // Until REIN.
    let mut bench = {
        bench.say("REIN");
        bench.and_logged_in()
    };
    assert_eq!(bench.say("OPTS HASH"), "200 SHA-256");
}

#[test]
fn what_is_no_file_or_not_readable_has_no_digest() {
    let mut bench = ready();
    for command in ["HASH", "XCRC", "XMD5", "XSHA1", "XSHA256", "XSHA512"] {
        let says = |bench: &mut Bench, name: &str| bench.say(&format!("{command} {name}"));
        assert_eq!(says(&mut bench, "dir"), "550 Is a directory.");
        assert_eq!(says(&mut bench, "nope"), "550 No such file or directory.");
        assert_eq!(bench.code(command), 501);
    }
    let mut bench = Bench::with(|_, account| {
        let all_but_read = "elradfmwMT".replace('r', "").parse().unwrap();
        *account = account.clone().perm(all_but_read);
    })
    .and_logged_in();
    bench.files.file("/abc", "abc");
    for line in ["HASH abc", "XCRC abc", "XMD5 \"abc\" 0 1"] {
        assert_eq!(bench.say(line), "550 Not enough privileges.", "{line}");
    }
}

#[test]
fn the_older_commands_take_quotes_and_ranges() {
    let mut bench = ready();
    let crc = |bench: &mut Bench, arg: &str| bench.say(&format!("XCRC {arg}"));
    let (whole, part) = ("250 a684c7c6", "250 4ceb49bc");
    for arg in ["digits", "\"digits\"", "digits 0", "\"/digits\" 0 10"] {
        assert_eq!(crc(&mut bench, arg), whole, "{arg}");
    }
    // "34567"
    for arg in ["digits 3 8", "\"digits\" 3 8"] {
        assert_eq!(crc(&mut bench, arg), part, "{arg}");
    }
    assert_eq!(crc(&mut bench, "digits 4 4"), "250 00000000");
    assert_eq!(crc(&mut bench, "digits 10"), "250 00000000");
    let outside = "501 The range is not within the file, which has 10 bytes.";
    assert_eq!(crc(&mut bench, "digits 0 11"), outside);
    assert_eq!(crc(&mut bench, "digits 11"), outside);
    assert_eq!(bench.code("XCRC digits 5 4"), 501);
    // A file of the whole name is the one that is meant.
    assert_eq!(
        bench.say("XMD5 abc 1"),
        "250 795f3202b17cb6bc3d4b771d8c6c9eaf"
    );
    let sha256 = format!("250 {SHA256_ABC}");
    assert_eq!(bench.say("XSHA256 \"say \"\"x\"\"\""), sha256);
    assert_eq!(bench.say("XSHA256 say \"x\""), sha256);
    assert_eq!(
        bench.say("XSHA1 abc"),
        "250 a9993e364706816aba3e25717850c26c9cd0d89d"
    );
    assert!(bench.say("XSHA512 abc").starts_with("250 ddaf35a193617aba"));
}

/// A hash that waits for its worker thread.
fn begun() -> Bench {
    let mut bench = ready();
    bench.slow = true;
    assert!(bench.all("HASH digits").is_empty());
    let (id, job) = bench.jobs.pop_front().unwrap();
    assert!(bench.feed(Input::Job(id, job.run())).is_empty());
    assert!(matches!(bench.jobs[0].1, Job::Digest(_)));
    bench
}

#[test]
fn abor_ends_a_hash_and_so_does_the_end_of_the_session() {
    let aborted = ["426 Aborted via ABOR.", "226 No transfer to abort."];
    let abor = || Input::Command(command::parse(b"ABOR"));
    let mut bench = begun();
    assert!(bench.it.is_abortable());
    assert!(bench.feed(abor()).is_empty());
    assert_eq!(bench.run_jobs(), aborted);
    assert!(bench.it.wants_line());

    // It comes between two pieces.
    let mut bench = begun();
    let (id, job) = bench.jobs.pop_front().unwrap();
    let Job::Digest(digesting) = job else {
        panic!("no digest")
    };
    bench.feed(abor());
    let part = Outcome::Digested(Digested::Part(digesting));
    assert_eq!(bench.feed(Input::Job(id, part)), aborted);
    assert!(bench.jobs.is_empty());

    // It comes too late: the digest is told.
    let mut bench = begun();
    let (id, job) = bench.jobs.pop_front().unwrap();
    let outcome = job.run();
    bench.feed(abor());
    let replies = bench.feed(Input::Job(id, outcome));
    assert!(replies[0].starts_with("213 SHA-256 0-9 "), "{replies:?}");
    assert_eq!(replies[1], "226 No transfer to abort.");

    let mut bench = begun();
    let (_, job) = bench.jobs.pop_front().unwrap();
    drop(bench);
    let outcome = job.run();
    assert!(matches!(outcome, Outcome::Digested(Digested::Cancelled)));
}

#[test]
fn abor_is_for_the_transfer_too_though_the_server_stops() {
    let mut bench = ready();
    bench.say("PASV");
    bench.open_data();
    bench.say("RETR abc");
    bench.slow = true;
    assert!(bench.all("HASH digits").is_empty());
    let (id, job) = bench.jobs.pop_front().unwrap();
    bench.feed(Input::Job(id, job.run()));
    bench.feed(Input::Command(command::parse(b"ABOR")));
    assert!(bench.feed(Input::Shutdown).is_empty() && !bench.closed);
    let replies = [
        "426 Aborted via ABOR.",
        "426 Transfer aborted via ABOR.",
        "226 ABOR command successful.",
    ];
    assert_eq!(bench.run_jobs(), replies);
    assert!(bench.closed);
}

#[test]
fn a_hash_is_no_idleness() {
    let mut bench = begun();
    assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty());
    assert!(!bench.closed);
    assert!(bench.run_jobs()[0].starts_with("213 "));
}

#[test]
fn a_server_need_not_offer_them() {
    let mut bench = Bench::logged_in();
    bench.table.remove_hashes();
    bench.files.file("/abc", "abc");
    for line in ["HASH abc", "XCRC abc", "XSHA512 abc"] {
        assert_eq!(bench.code(line), 500, "{line}");
    }
    assert_eq!(bench.code("OPTS HASH"), 501);
}
