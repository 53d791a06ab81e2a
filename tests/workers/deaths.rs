//! Workers that die, and parents that do.

use std::io::{Read, Write};

use crate::common::SHORT;
use crate::common::client::is_refused;
use crate::model::{PROCESSES, children_of, is_alive, signal, start, starts, wait_for};

#[test]
fn a_worker_that_dies_is_replaced_and_the_log_says_of_what_it_died() {
    let home = tempfile::tempdir().unwrap();
    let program = start("pre-fork", home.path(), &[]);
    for (round, (number, name)) in [
        (libc::SIGKILL, "signal 9 (SIGKILL)"),
        (libc::SIGABRT, "signal 6 (SIGABRT)"),
    ]
    .into_iter()
    .enumerate()
    {
        let workers = children_of(program.pid());
        assert_eq!(workers.len(), 2);
        signal(workers[0], number);
        let told = format!("worker {} was killed by {name}", workers[0]);
        program.log().wait_until(|lines| {
            lines.iter().any(|line| line.contains(&told)) && starts(lines) == 3 + round
        });
        // Those of the other worker have noticed nothing, and new ones are served.
        (0..8).for_each(|_| program.anonymous().expect_alive());
    }
}

#[test]
fn a_worker_that_is_told_to_end_ends_well_and_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let program = start("pre-fork", home.path(), &[]);
    let worker = children_of(program.pid())[0];
    signal(worker, libc::SIGTERM);
    program.log().wait_until(|lines| {
        let told = format!("worker {worker} ended with status 0; starting another");
        lines.iter().any(|line| line.contains(&told)) && starts(lines) == 3
    });
}

#[test]
fn a_clients_process_that_is_killed_is_told_of_and_harms_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let program = start("multi-proc", home.path(), &[]);
    let mut victim = program.anonymous();
    let child = children_of(program.pid())[0];
    let mut other = program.anonymous();
    signal(child, libc::SIGKILL);
    victim.expect_end();
    let told = format!("the process {child} of a client was killed by signal 9 (SIGKILL)");
    program
        .log()
        .wait_until(|lines| lines.iter().any(|line| line.contains(&told)));
    other.expect_alive();
    program.anonymous().expect_alive();
}

#[test]
fn when_the_parent_is_killed_nobody_holds_the_port_and_transfers_end() {
    for model in PROCESSES {
        let home = tempfile::tempdir().unwrap();
        let mut program = start(model, home.path(), &["-w", "--grace", "3600"]);
        let mut idle = program.anonymous();
        let mut client = program.anonymous();
        let mut data = client.begin("STOR up");
        data.write_all(b"first ").unwrap();
        let workers = children_of(program.pid());
        program.signal("KILL");
        program.wait();
        idle.expect_reply(421);
        idle.expect_end();
        wait_for("the port", || is_refused(program.addr()));
        data.write_all(b"second").unwrap();
        drop(data);
        client.expect_reply(226);
        // His process may hear of the death behind the transfer only; then it says so first.
        if let Ok(Some(reply)) = client.try_reply() {
            assert_eq!(reply.code, 421);
            client.expect_end();
        }
        wait_for("the workers' end", || {
            !workers.iter().any(|&pid| is_alive(pid))
        });
        assert_eq!(
            std::fs::read(home.path().join("up")).unwrap(),
            b"first second"
        );
    }
}

#[test]
fn a_parent_killed_at_any_moment_leaves_nobody_at_the_port() {
    for model in PROCESSES {
        for served in [0, 0, 0, 1, 2, 5, 10, 20, 50, 100] {
            let home = tempfile::tempdir().unwrap();
            // Not all workers are there yet.
            let mut program =
                crate::common::program::Program::start(home.path(), &["--concurrency", model]);
            let addr = program.addr();
            (0..served).for_each(|_| drop(program.connect()));
            let clients = std::thread::spawn(move || {
                while let Ok(mut stream) = std::net::TcpStream::connect(addr) {
                    // It may have met itself, where nobody listens any more.
                    if stream.local_addr().ok() == Some(addr) {
                        break;
                    }
                    // Who comes in the moment in which the last listener closes may be told of nothing: for Linux
                    // he is connected to nobody, until he says something.
                    stream.set_read_timeout(Some(SHORT)).unwrap();
                    let _ = stream.read(&mut [0; 100]);
                }
            });
            program.signal("KILL");
            program.wait();
            clients.join().unwrap();
            wait_for("the port", || is_refused(addr));
        }
    }
}
