//! What becomes of uploads: hidden until they are a success, kept when they are cut off, refused where
//! a file is or where a quota ends.

use super::*;
use crate::auth::Limits;

fn with(change: impl FnOnce(&mut Config)) -> Bench {
    let bench = Bench::with(|config, _| change(config)).and_logged_in();
    bench.files.file("/f", "old").dir("/dir");
    bench
}

fn atomic() -> Bench {
    with(|config| config.uploads.atomic = true)
}

fn keeping() -> Bench {
    with(|config| (config.uploads.atomic, config.uploads.keep_partial) = (true, true))
}

fn no_overwrite(atomic: bool) -> Bench {
    with(|config| (config.uploads.no_overwrite, config.uploads.atomic) = (true, atomic))
}

impl Bench {
    /// A data connection, and the upload's first reply.
    fn begin(&mut self, line: &str) -> u16 {
        self.say("PASV");
        self.open_data();
        self.code(line)
    }

    fn put(&mut self, line: &str, data: &[u8]) -> Vec<String> {
        assert_eq!(self.begin(line), 125, "{line}");
        self.receive(data)
    }

    /// The client is cut off behind `data`.
    fn cut_off(&mut self, line: &str, data: &[u8]) {
        let code = self.begin(line);
        assert_eq!(code, 125, "{line}");
        self.sink.as_mut().unwrap().write_all(data).unwrap();
        let replies = self.end(Verdict::Disconnected, data.len() as u64);
        assert!(replies[0].starts_with("426 "), "{replies:?}");
    }

    fn content(&self, path: &str) -> Option<String> {
        self.files.content(path)
    }

    fn hidden(&self) -> Vec<String> {
        let names = self.files.names();
        let hidden = names.into_iter().filter(|name| name.contains("/.ftpdlib-"));
        hidden.collect()
    }
}

const DONE: [&str; 1] = ["226 Transfer complete."];

#[test]
fn an_atomic_upload_has_its_name_when_it_is_done() {
    let mut bench = atomic();
    assert_eq!(bench.begin("STOR dir/../f"), 125);
    let hidden = bench.hidden();
    assert_eq!(hidden.len(), 1, "{hidden:?}");
    assert_eq!(bench.content("/f").unwrap(), "old");
    bench.thinks = true;
    assert!(bench.receive(b"new").is_empty());
    // The handler has been told where the bytes are, and is not done with them.
    assert_eq!(bench.events, [format!("received {} 6", hidden[0])]);
    assert_eq!(bench.content("/f").unwrap(), "old");
    assert_eq!(bench.content(&hidden[0]).unwrap(), "new");
    assert_eq!(bench.feed(Input::TransferAnswered(None)), DONE);
    assert_eq!(bench.content("/f").unwrap(), "new");
    assert!(bench.hidden().is_empty());
    bench.thinks = false;
    assert_eq!(bench.put("STOR dir/other", b"x"), DONE);
    assert_eq!(bench.content("/dir/other").unwrap(), "x");
}

#[test]
fn an_atomic_upload_that_fails_leaves_nothing() {
    let mut bench = atomic();
    bench.cut_off("STOR f", b"ne");
    assert!(bench.hidden().is_empty());
    // ALLO named another size.
    bench.say("ALLO 5");
    assert_eq!(bench.begin("STOR f"), 125);
    assert!(bench.receive(b"new")[0].starts_with("426 "));
    // The handler refuses it.
    bench.answer = Some(Reply::new(550, "Infected."));
    assert_eq!(bench.put("STOR f", b"virus"), ["550 Infected."]);
    bench.answer = Some(Reply::new(550, "Infected."));
    assert_eq!(bench.put("STOR fresh", b"virus"), ["550 Infected."]);
    // ABOR.
    assert_eq!(bench.begin("STOR f"), 125);
    assert_eq!(bench.all("ABOR").len(), 2);
    assert_eq!(bench.begin("STOR dir"), 550);
    assert_eq!(bench.begin("STOR nope/x"), 550);
    assert!(bench.hidden().is_empty());
    assert_eq!(bench.content("/f").unwrap(), "old");
    assert!(!bench.files.has("/fresh"));
}

#[test]
fn a_hidden_file_goes_with_its_session() {
    let mut bench = atomic();
    assert_eq!(bench.begin("STOR f"), 125);
    let files = bench.files.clone();
    drop(bench);
    assert_eq!(files.names(), ["/dir", "/f"]);
    // Also when the target was being opened.
    let mut bench = atomic();
    bench.say("PASV");
    bench.code("STOR f");
    bench.slow = true;
    bench.open_data();
    let (_, job) = bench.jobs.pop_front().unwrap();
    let outcome = job.run();
    assert_eq!(bench.hidden().len(), 1);
    let files = bench.files.clone();
    drop(bench);
    drop(outcome);
    assert_eq!(files.names(), ["/dir", "/f"]);
}

#[test]
fn abor_waits_for_a_target_that_is_being_opened() {
    let mut bench = atomic();
    bench.say("PASV");
    bench.code("STOR f");
    bench.slow = true;
    bench.open_data();
    // What is said next must not find the target's old bytes still about to go.
    assert!(bench.all("ABOR").is_empty());
    let aborted = [
        "426 Transfer aborted via ABOR.",
        "226 ABOR command successful.",
    ];
    assert_eq!(bench.run_jobs(), aborted);
    assert!(bench.hidden().is_empty());
    assert_eq!(bench.content("/f").unwrap(), "old");
    bench.slow = false;
    assert_eq!(bench.begin("STOR f"), 125);
}

#[test]
fn a_file_that_cannot_get_its_name_was_no_success() {
    let mut bench = atomic();
    assert_eq!(bench.begin("STOR f"), 125);
    bench
        .files
        .0
        .remove_file(&bench.hidden()[0].parse().unwrap())
        .unwrap();
    let mut sink = bench.sink.take().unwrap();
    // As on a disk, an open file goes on without its name.
    sink.write_all(b"x").unwrap();
    drop(sink);
    let replies = bench.end(Verdict::Complete, 1);
    let text = "550 No such file or directory; upload not stored.";
    assert_eq!(replies, [text]);
    assert_eq!(bench.content("/f").unwrap(), "old");
}

#[test]
fn abor_and_idleness_wait_for_the_name() {
    let mut bench = atomic();
    assert_eq!(bench.begin("STOR f"), 125);
    bench.slow = true;
    assert!(bench.receive(b"new").is_empty());
    assert!(bench.feed(Input::Timer(Timer::Idle)).is_empty());
    assert!(bench.it.is_transferring());
    assert_eq!(bench.code("STOR g"), 450);
    assert!(bench.all("ABOR").is_empty());
    assert_eq!(
        bench.run_jobs(),
        ["226 Transfer complete.", "226 ABOR command successful."]
    );
    assert_eq!(bench.content("/f").unwrap(), "new");
}

#[test]
fn stou_is_atomic_and_appe_and_rest_are_not() {
    let mut bench = atomic();
    bench.say("PASV");
    bench.open_data();
    let reply = bench.say("STOU wish");
    let name = format!("/{}", reply.strip_prefix("125 FILE: ").unwrap());
    assert!(!bench.files.has(&name) && bench.hidden().len() == 1);
    // Somebody has been faster: his file stays.
    bench.files.file(&name, "his");
    assert_eq!(bench.receive(b"x"), ["550 File exists; upload not stored."]);
    assert_eq!(bench.content(&name).unwrap(), "his");
    let reply = {
        bench.say("PASV");
        bench.open_data();
        bench.say("STOU wish")
    };
    let name = format!("/{}", reply.strip_prefix("125 FILE: ").unwrap());
    assert_eq!(bench.receive(b"mine"), DONE);
    assert_eq!(bench.content(&name).unwrap(), "mine");
    assert_eq!(bench.put("APPE f", b"er"), DONE);
    bench.say("REST 2");
    assert_eq!(bench.put("STOR f", b"D"), DONE);
    assert_eq!(bench.content("/f").unwrap(), "olDer");
    assert!(bench.hidden().is_empty());
}

#[test]
fn what_came_is_kept_and_gone_on_with() {
    let mut bench = keeping();
    bench.cut_off("STOR big", b"01234");
    assert_eq!(bench.content("/.big.part").unwrap(), "01234");
    assert!(!bench.files.has("/big"));
    // This is what clients ask.
    assert_eq!(bench.say("SIZE big"), "213 5");
    assert_eq!(bench.code("RETR big"), 550);
    bench.say("REST 6");
    let refused = bench.begin("STOR big");
    assert_eq!(refused, 554);
    assert_eq!(bench.content("/.big.part").unwrap(), "01234");
    bench.say("REST 5");
    bench.cut_off("STOR big", b"567");
    assert_eq!(bench.content("/.big.part").unwrap(), "01234567");
    bench.say("REST 8");
    assert_eq!(bench.put("STOR big", b"89"), DONE);
    assert_eq!(bench.content("/big").unwrap(), "0123456789");
    assert_eq!(bench.files.names(), ["/big", "/dir", "/f"]);
    assert_eq!(bench.say("SIZE big"), "213 10");

    // As curl does it.
    bench.cut_off("STOR other", b"ab");
    assert_eq!(bench.put("APPE other", b"cd"), DONE);
    assert_eq!(bench.content("/other").unwrap(), "abcd");
    assert!(!bench.files.has("/.other.part"));
}

#[test]
fn a_part_of_a_file_that_is_there_replaces_it_when_it_is_whole() {
    let mut bench = keeping();
    bench.cut_off("STOR f", b"0123");
    assert_eq!(bench.content("/f").unwrap(), "old");
    assert_eq!(bench.say("SIZE f"), "213 3");
    // APPE is for the file that is there.
    assert_eq!(bench.put("APPE f", b"er"), DONE);
    assert_eq!(bench.content("/f").unwrap(), "older");
    bench.say("REST 3");
    assert_eq!(bench.put("STOR f", b"345"), DONE);
    assert_eq!(bench.content("/f").unwrap(), "012345");
    assert!(!bench.files.has("/.f.part"));
    // A new one takes the part of an older try away.
    bench.cut_off("STOR f", b"x");
    assert_eq!(bench.put("STOR f", b"new"), DONE);
    assert_eq!(bench.files.names(), ["/dir", "/f"]);
    // Nothing is not kept, and what was refused neither.
    bench.cut_off("STOR f", b"");
    bench.answer = Some(Reply::new(550, "Infected."));
    bench.put("STOR f", b"virus");
    assert_eq!(bench.files.names(), ["/dir", "/f"]);
    // Without a part REST is for the file.
    bench.say("REST 3");
    assert_eq!(bench.put("STOR f", b"er"), DONE);
    assert_eq!(bench.content("/f").unwrap(), "newer");
}

#[test]
fn what_is_there_is_not_replaced() {
    for atomic in [false, true] {
        let mut bench = no_overwrite(atomic);
        assert_eq!(bench.say("STOR f"), "550 File exists.");
        let open = bench.begin("STOR f");
        assert_eq!(open, 550);
        bench.files.file("/g", "g");
        bench.say("RNFR g");
        assert_eq!(bench.say("RNTO f"), "550 File exists.");
        bench.say("RNFR g");
        assert_eq!(bench.code("RNTO h"), 250);
        assert_eq!(bench.put("STOR new", b"new"), DONE);
        // Adding is not replacing.
        assert_eq!(bench.put("APPE f", b"er"), DONE);
        bench.say("REST 5");
        assert_eq!(bench.put("STOR f", b"!"), DONE);
        assert_eq!(bench.content("/f").unwrap(), "older!");
        bench.say("REST 5");
        assert_eq!(bench.say("STOR f"), "550 File exists.");
        bench.say("REST 5");
        assert_eq!(bench.begin("STOR f"), 550);
        assert_eq!(bench.content("/f").unwrap(), "older!");
        // It came while the upload was under way.
        if atomic {
            assert_eq!(bench.begin("STOR late"), 125);
            bench.files.file("/late", "first");
            assert_eq!(bench.receive(b"x"), ["550 File exists; upload not stored."]);
            assert_eq!(bench.content("/late").unwrap(), "first");
        }
    }
}

fn quota(bytes: u64, files: u64) -> Bench {
    let mut bench = Bench::with(|_, account| {
        let limits = Limits {
            quota_bytes: bytes,
            quota_files: files,
            ..Limits::default()
        };
        *account = account.clone().limits(limits);
    });
    bench.files.dir("/dir").file("/dir/f", "01234");
    bench.all("USER user");
    assert_eq!(bench.all("PASS 12345"), ["230 Login successful."]);
    bench.all("TYPE I");
    bench
}

const EXCEEDED: &str = "552 Quota exceeded; transfer aborted.";

impl Bench {
    /// As the data plane does it.
    fn store(&mut self, line: &str, data: &[u8]) -> Vec<String> {
        assert_eq!(self.begin(line), 125, "{line}");
        let mut sink = self.sink.take().unwrap();
        match sink.write_all(data) {
            Ok(()) => {
                sink.close().unwrap();
                self.end(Verdict::Complete, data.len() as u64)
            }
            Err(error) => {
                drop(sink);
                self.end(Verdict::File(error), data.len() as u64)
            }
        }
    }
}

#[test]
fn a_quota_ends_an_upload_at_its_byte() {
    let mut bench = quota(10, 0);
    assert_eq!(bench.store("STOR a", b"1234"), DONE);
    assert_eq!(bench.store("STOR b", b"567"), [EXCEEDED]);
    assert_eq!(bench.content("/b").unwrap(), "5");
    // It is full: that is said before data flow, and to whoever names a size.
    bench.say("PASV");
    assert_eq!(bench.say("STOR c"), "552 Quota exceeded.");
    bench.open_data();
    assert_eq!(bench.say("STOR c"), "552 Quota exceeded.");
    assert!(!bench.files.has("/c"));
    bench.say("DELE b");
    bench.say("ALLO 2");
    assert_eq!(bench.say("STOR c"), "552 Quota exceeded.");
    bench.say("ALLO 1");
    assert_eq!(bench.store("STOR c", b"x"), DONE);
    // What is replaced makes room, whether by an upload or by a rename.
    assert_eq!(bench.store("STOR dir/f", b"54321"), DONE);
    assert_eq!(bench.begin("APPE dir/f"), 552);
    bench.say("RNFR c");
    bench.say("RNTO a");
    assert_eq!(bench.store("APPE dir/f", b"5678"), DONE);
    bench.say("REST 5");
    assert_eq!(bench.store("STOR dir/f", b"abcd"), DONE);
    bench.say("REST 5");
    assert_eq!(bench.store("STOR dir/f", b"abcde"), [EXCEEDED]);
    assert_eq!(bench.content("/dir/f").unwrap(), "54321abcd");
}

#[test]
fn a_quota_of_files_counts_folders_too() {
    let mut bench = quota(0, 4);
    assert_eq!(bench.code("MKD new"), 257);
    assert_eq!(bench.store("STOR a", b"a"), DONE);
    assert_eq!(bench.say("MKD more"), "552 Quota exceeded.");
    assert_eq!(bench.say("STOR b"), "552 Quota exceeded.");
    bench.say("PASV");
    bench.open_data();
    assert_eq!(bench.code("STOU"), 552);
    // What is there can be written to.
    assert_eq!(bench.store("STOR a", b"other"), DONE);
    bench.say("RMD new");
    assert_eq!(bench.store("STOR b", b"b"), DONE);
    bench.say("DELE b");
    assert_eq!(bench.code("MKD new"), 257);
}

#[test]
fn a_quota_is_the_users_while_his_transfer_runs() {
    let mut bench = quota(10, 0);
    let held = {
        let limits = bench.it.account().unwrap().his_limits();
        bench.it.seat().connection(limits).unwrap()
    };
    assert_eq!(bench.begin("STOR a"), 125);
    bench.say("REIN");
    let mut sink = bench.sink.take().unwrap();
    sink.write_all(b"1234").unwrap();
    assert!(sink.write_all(b"56").is_err());
    drop((sink, held));
    // Nobody's: what is done behind it does not count, and nothing more is stored.
    bench.end(Verdict::Complete, 4);
    let mut bench = bench.and_logged_in();
    bench.files.file("/behind", "12345");
    assert_eq!(bench.code("STOR b"), 552);
}

#[test]
fn a_login_waits_for_its_count() {
    let mut bench = Bench::with(|_, account| {
        let limits = Limits {
            quota_bytes: 3,
            ..Limits::default()
        };
        *account = account.clone().limits(limits);
    });
    bench.files.file("/f", "0123456789");
    bench.all("USER user");
    bench.slow = true;
    assert!(bench.all("PASS 12345").is_empty());
    let (id, job) = bench.jobs.pop_front().unwrap();
    bench.feed(Input::Job(id, job.run()));
    assert!(bench.events.is_empty());
    let (_, job) = bench.jobs.pop_front().unwrap();
    assert!(matches!(job, Job::Measure(..)) && job.is_slow());
    assert!(bench.feed(Input::Timer(Timer::Refusal)).is_empty());
    // A session that ends takes it along.
    drop(bench);
    assert!(matches!(job.run(), Outcome::Measured(None)));
}
