//! How the program ends: by signals, in good order; and what does not end it.

use std::io::{Read, Write};

use crate::common::client::{expect_data_end, is_refused};
use crate::common::program::Program;

#[test]
fn sigterm_and_sigint_end_it_with_status_0() {
    for signal in ["TERM", "INT"] {
        let home = tempfile::tempdir().unwrap();
        let mut program = Program::start(home.path(), &[]);
        let mut idle = program.anonymous();
        program.signal(signal);
        idle.expect_reply(421);
        idle.expect_end();
        assert_eq!(program.wait().code(), Some(0));
        program
            .log()
            .wait_until(|lines| lines.iter().any(|line| line.contains("shutting down")));
    }
}

#[test]
fn a_transfer_may_finish_before_the_end() {
    let home = tempfile::tempdir().unwrap();
    let size = 64 << 20;
    std::fs::File::create(home.path().join("big"))
        .unwrap()
        .set_len(size)
        .unwrap();
    let mut program = Program::start(home.path(), &["-w", "--grace", "3600"]);
    let mut down = program.anonymous();
    let mut up = program.anonymous();
    let mut receiving = down.begin("RETR big");
    let mut sending = up.begin("STOR up");
    sending.write_all(b"first ").unwrap();
    receiving.read_exact(&mut [0; 1000]).unwrap();
    let mut idle = program.anonymous();

    program.signal("TERM");
    idle.expect_reply(421);
    assert!(is_refused(program.addr()), "it takes new clients");
    sending.write_all(b"second").unwrap();
    drop(sending);
    up.expect_reply(226);
    assert!(program.is_running());
    assert_eq!(
        std::io::copy(&mut receiving, &mut std::io::sink()).unwrap(),
        size - 1000
    );
    down.expect_reply(226);
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!(
        std::fs::read(home.path().join("up")).unwrap(),
        b"first second"
    );
}

#[test]
fn the_grace_has_an_end() {
    let home = tempfile::tempdir().unwrap();
    std::fs::File::create(home.path().join("big"))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let mut program = Program::start(home.path(), &["--grace", "0.2"]);
    let mut client = program.anonymous();
    let data = client.begin("RETR big");
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    expect_data_end(data);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut program = Program::start(home.path(), &["-w", "--grace", "1000"]);
    let mut client = program.anonymous();
    let data = client.begin("STOR file");
    program.signal("TERM");
    assert!(program.is_running());
    program
        .log()
        .wait_until(|lines| lines.iter().any(|line| line.contains("signal")));
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    expect_data_end(data);
}

#[test]
fn sigpipe_and_sighup_on_a_dead_log_do_not_end_it() {
    let home = tempfile::tempdir().unwrap();
    let mut program = Program::start(home.path(), &["-D"]);
    program.close_stderr();
    for _ in 0..20 {
        let mut client = program.anonymous();
        client.list("LIST");
        client.expect("QUIT", 221);
        client.expect_end();
    }
    program.signal("PIPE");
    program.anonymous().expect_alive();
    assert!(program.is_running());
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
}
