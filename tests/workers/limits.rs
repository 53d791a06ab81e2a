//! Limits hold over all workers together, exactly.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::common::program::{PROGRAM, Program, output};
use crate::model::{
    MODELS, PROCESSES, children_of, crowd, is_alive, model_args, signal, start, wait_for,
};

/// As many are let in as there is room for, of so many more who come at once; and again when they
/// have gone.
fn let_in(program: &Program, room: usize) {
    for _ in 0..3 {
        let mut here = crowd(program, room * 2 + 3);
        assert_eq!(here.len(), room);
        for client in &mut here {
            client.expect("QUIT", 221);
            client.expect_end();
        }
    }
}

#[test]
fn connections_of_all_workers_count() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let program = start(model, home.path(), &["--max-cons", "8"]);
        // The listening socket is one.
        let_in(&program, 7);
        // Data connections count as well.
        let mut clients: Vec<_> = (0..6).map(|_| program.anonymous()).collect();
        clients[0].expect("EPSV", 229);
        clients[1].expect("EPSV", 425);
        assert_eq!(crowd(&program, 2).len(), 0, "{model}");
        clients[0].expect("ABOR", 226);
        clients[1].expect("EPSV", 229);
    }
}

#[test]
fn clients_of_one_address_and_sessions_of_one_user_count_in_all_workers() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let program = start(model, home.path(), &["--max-cons-per-ip", "5"]);
        let_in(&program, 5);

        let program = start(model, home.path(), &["--max-cons-per-user", "3"]);
        let addr = program.addr();
        let threads: Vec<_> = (0..9)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = crate::common::Client::connect(addr);
                    client.expect_reply(220);
                    client.expect("USER anonymous", 331);
                    let code = client.cmd("PASS me").code;
                    (client, code)
                })
            })
            .collect();
        let mut logins: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        let codes = |code| move |login: &&(_, u16)| login.1 == code;
        assert_eq!(logins.iter().filter(codes(230)).count(), 3, "{model}");
        assert_eq!(logins.iter().filter(codes(530)).count(), 6, "{model}");
        // Whoever logs out makes room, and whoever is told no may try again.
        let (inside, outside) = (
            logins.iter().position(|login| login.1 == 230).unwrap(),
            logins.iter().position(|login| login.1 == 530).unwrap(),
        );
        logins[inside].0.expect("REIN", 230);
        let client = &mut logins[outside].0;
        client.expect("USER anonymous", 331);
        client.expect("PASS me", 230);
    }
}

#[test]
fn a_worker_that_is_killed_is_counted_out() {
    for model in PROCESSES {
        let home = tempfile::tempdir().unwrap();
        let limits = ["--max-cons", "12", "--max-cons-per-user", "4"];
        let program = start(model, home.path(), &limits);
        for _ in 0..3 {
            let mut clients: Vec<_> = (0..4).map(|_| program.anonymous()).collect();
            clients[0].expect("EPSV", 229);
            let workers = children_of(program.pid());
            assert!(workers.len() >= 2, "{model}: {workers:?}");
            for &worker in &workers {
                signal(worker, libc::SIGKILL);
            }
            clients.iter_mut().for_each(|client| {
                // With a reset where there was something to read.
                let _ = client.try_reply();
            });
            wait_for("their burial", || {
                let left = children_of(program.pid());
                workers.iter().all(|worker| !left.contains(worker))
            });
            let mut here = crowd(&program, 12);
            assert_eq!(here.len(), 11, "{model}");
            for client in &mut here {
                client.expect("QUIT", 221);
                client.expect_end();
            }
        }
        assert!(is_alive(program.pid()));
    }
}

#[test]
fn a_users_transfers_share_his_bandwidth_over_all_workers() {
    const SIZE: u64 = 1_500_000;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let file = std::fs::File::create(home.join("file")).unwrap();
    file.set_len(SIZE).unwrap();
    let users = folder.path().join("users");
    let mut hash = std::process::Command::new(PROGRAM);
    let hash = output(hash.arg("--hash-password"), b"secret\n");
    let hash = String::from_utf8(hash.stdout).unwrap();
    let line = format!(
        "bob {} {} elr write_limit=1500000\n",
        hash.trim(),
        home.display()
    );
    std::fs::write(&users, line).unwrap();
    for model in MODELS {
        let program = Program::with_users(&users, &model_args(model));
        let mut clients: Vec<_> = (0..3).map(|_| program.login_as("bob", "secret")).collect();
        let begun = Instant::now();
        let transfers: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let mut data = client.begin("RETR file");
                std::thread::spawn(move || {
                    let mut received = Vec::new();
                    data.read_to_end(&mut received).map(|_| received.len())
                })
            })
            .collect();
        for transfer in transfers {
            assert_eq!(transfer.join().unwrap().unwrap() as u64, SIZE);
        }
        let took = begun.elapsed();
        // Three times a second's worth; the last pieces are sent before they are paid for.
        assert!(took >= Duration::from_millis(2600), "{model}: {took:?}");
    }
}

#[test]
fn what_is_drawn_by_lot_is_drawn_anew_in_each_process() {
    for model in PROCESSES {
        let home = tempfile::tempdir().unwrap();
        let program = start(model, home.path(), &["-w"]);
        let mut clients: Vec<_> = (0..8).map(|_| program.anonymous()).collect();
        let mut told: Vec<String> = clients
            .iter_mut()
            .map(|client| client.expect("EPSV", 229).text.clone())
            .collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 8, "{model}: {told:?}");
        // Names that nobody has are another's in no process.
        let mut uploads: Vec<_> = clients.iter_mut().map(|c| c.begin("STOU")).collect();
        uploads.clear();
        for client in &mut clients {
            client.expect_reply(226);
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 8);
    }
}
