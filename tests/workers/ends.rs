//! The end of a server, in every model: signals, grace, status.

use std::io::{Read, Write};

use crate::common::client::{expect_data_end, is_refused};
use crate::model::{MODELS, PROCESSES, children_of, is_alive, signal, start, wait_for};

#[test]
fn sigterm_and_sigint_send_the_idle_away_and_let_transfers_finish() {
    for (model, name) in MODELS
        .iter()
        .flat_map(|model| [(model, "TERM"), (model, "INT")])
    {
        let home = tempfile::tempdir().unwrap();
        let mut program = start(model, home.path(), &["-w", "--grace", "3600"]);
        let mut idle = program.anonymous();
        let mut client = program.anonymous();
        let mut data = client.begin("STOR up");
        data.write_all(b"first ").unwrap();
        program.signal(name);
        idle.expect_reply(421);
        idle.expect_end();
        wait_for("the listening socket's end", || is_refused(program.addr()));
        assert!(program.is_running(), "{model}");
        data.write_all(b"second").unwrap();
        drop(data);
        client.expect_reply(226);
        assert_eq!(program.wait().code(), Some(0), "{model}");
        assert_eq!(
            std::fs::read(home.path().join("up")).unwrap(),
            b"first second"
        );
    }
}

#[test]
fn the_grace_runs_out() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let mut program = start(model, home.path(), &["-w", "--grace", "0.3"]);
        let mut client = program.anonymous();
        let mut data = client.begin("STOR up");
        data.write_all(b"first ").unwrap();
        program.signal("TERM");
        assert_eq!(program.wait().code(), Some(0), "{model}");
        expect_data_end(data);
    }
}

/// A worker may end just as the order to end comes.
#[test]
fn who_has_no_clients_ends_at_once() {
    for model in MODELS {
        for _ in 0..30 {
            let home = tempfile::tempdir().unwrap();
            let mut program = start(model, home.path(), &["--grace", "3600"]);
            program.anonymous().expect("QUIT", 221);
            program.signal("TERM");
            assert_eq!(program.wait().code(), Some(0), "{model}");
        }
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let mut program = start(model, home.path(), &["-w", "--grace", "3600"]);
        let mut idle = program.anonymous();
        let mut client = program.anonymous();
        let data = client.begin("STOR up");
        let workers = children_of(program.pid());
        program.signal("TERM");
        idle.expect_reply(421);
        program.signal("TERM");
        assert_eq!(program.wait().code(), Some(0), "{model}");
        expect_data_end(data);
        assert!(!workers.into_iter().any(is_alive), "{model}");
    }
}

#[test]
fn a_signal_to_the_whole_group_counts_once() {
    // As Ctrl-C at a terminal, or systemd, sends it.
    for model in PROCESSES {
        for number in [libc::SIGINT, libc::SIGTERM] {
            let home = tempfile::tempdir().unwrap();
            let mut program = start(model, home.path(), &["-w", "--grace", "3600"]);
            let mut client = program.anonymous();
            let mut data = client.begin("STOR up");
            data.write_all(b"all ").unwrap();
            let mut idle = program.anonymous();
            let mut everybody = children_of(program.pid());
            everybody.push(program.pid());
            everybody.iter().for_each(|&pid| signal(pid, number));
            idle.expect_reply(421);
            data.write_all(b"of it").unwrap();
            drop(data);
            client.expect_reply(226);
            assert_eq!(program.wait().code(), Some(0), "{model}");
            assert_eq!(std::fs::read(home.path().join("up")).unwrap(), b"all of it");
        }
    }
}

#[test]
fn sigusr1_logs_a_line_for_each_session() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        std::fs::File::create(home.path().join("big"))
            .and_then(|file| file.set_len(64 << 20))
            .unwrap();
        let program = start(model, home.path(), &[]);
        let idle = program.anonymous();
        let mut client = program.anonymous();
        let mut data = client.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        program.signal("USR1");
        let peers = [&idle, &client].map(|client| client.stream().local_addr().unwrap());
        let file = home.path().join("big");
        let lines = [
            format!("{}-[anonymous] status: idle", peers[0]),
            format!(
                "{}-[anonymous] status: RETR {} bytes=",
                peers[1],
                file.display()
            ),
        ];
        let said = program.log().wait_until(|said| {
            let told = |line: &String| said.iter().any(|said| said.contains(line));
            lines.iter().all(told)
        });
        let rate = said.iter().find(|said| said.contains(&lines[1])).unwrap();
        assert!(rate.contains(" rate=") && rate.ends_with(" B/s"), "{rate}");
    }
}
