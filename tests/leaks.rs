//! Descriptors and threads: what ends badly gives them back too.
//!
//! One test in a process of its own, since they are counted for the whole process.
//!
//! Written for UNIX: for its file names, modes, links and descriptors.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use common::client::{connect, eprt_command, expect_data_end, reset};
use common::{Client, Mode, PATIENCE, Recorder, SHORT, TestServer, sample};
use ftpdlib::{Command, Reply};

/// Entries of a directory that lists something of this process.
fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn descriptors() -> usize {
    if cfg!(target_os = "linux") {
        count("/proc/self/fd")
    } else {
        count("/dev/fd")
    }
}

/// Always 0 where the system does not tell.
fn threads() -> usize {
    count("/proc/self/task")
}

/// Waits until `now` gives no more than `most`.
#[track_caller]
fn settle(what: &str, most: usize, now: impl Fn() -> usize) {
    let deadline = Instant::now() + PATIENCE;
    while now() > most {
        assert!(
            Instant::now() < deadline,
            "{} {what} where {most} were before",
            now()
        );
        // A close by the other side has no event to wait for here.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a client does to a server.
type Mishap = fn(&TestServer, &mut Client);

/// Everything that may go wrong in a session, each in one of its own.
const MISHAPS: &[Mishap] = &[
    |_, client| {
        let mut data = client.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
    },
    |_, client| {
        let mut data = client.begin("STOR up");
        data.write_all(&sample(100_000)).unwrap();
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
        expect_data_end(data);
    },
    |_, client| {
        let mut data = client.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        reset(data);
        client.expect_reply(426);
    },
    |_, client| {
        let mut data = client.begin("STOR up");
        data.write_all(&sample(100_000)).unwrap();
        reset(data);
        client.expect_reply(426);
    },
    // The control connection goes, with and without a word,
    |_, client| {
        let mut data = client.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        client.stream().shutdown(Shutdown::Both).unwrap();
        expect_data_end(data);
    },
    |_, client| {
        let data = client.begin("STOR up");
        reset(client.stream().try_clone().unwrap());
        client.stream().shutdown(Shutdown::Both).unwrap();
        expect_data_end(data);
    },
    // with a listener, an unused connection, a waiting transfer, a file to rename.
    |_, client| {
        client.passive_address(Mode::Epsv);
    },
    |_, client| {
        let _data = client.data(Mode::Epsv);
        client.stream().shutdown(Shutdown::Both).unwrap();
    },
    |_, client| {
        client.passive_address(Mode::Epsv);
        client.expect("RETR big", 150);
    },
    |_, client| {
        client.passive_address(Mode::Epsv);
        client.expect("LIST", 150);
        client.expect("RNFR big", 350);
    },
    // Listeners that follow each other, connections that nobody wants.
    |_, client| {
        for _ in 0..5 {
            reset(connect(client.passive_address(Mode::Epsv)));
        }
    },
    |_, client| {
        for mode in Mode::ALL {
            drop(client.data(mode));
        }
    },
    |_, client| {
        // Bound, so that nobody else gets the port, but not listening.
        let deaf =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        deaf.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        let addr = deaf.local_addr().unwrap().as_socket().unwrap();
        client.expect(eprt_command(addr), 425);
    },
    // Refused, and gone before it was told.
    |server, _| {
        let mut client = server.connect();
        client.expect("USER user", 331);
        client.line("PASS wrong");
    },
    // Refused before and after it began.
    |_, client| {
        client.refused("RETR nope", 550);
        client.refused("STOR no/where", 550);
        client.refused("RETR fifo", 550);
        client.refused("LIST nope", 550);
        client.expect("MLST nope", 550);
        client.expect("STAT /nope", 550);
    },
    |_, client| {
        let _data = client.begin("RETR big");
        client.expect("QUIT", 221);
    },
    |server, _| {
        for _ in 0..5 {
            reset(connect(server.addr()));
        }
    },
    |_, client| {
        client.expect("REST 99999999999999", 350);
        client.refused("RETR big", 554);
        client.expect("REST 99999999999999", 350);
        client.refused("STOR big", 554);
    },
    // Work on threads is aborted, and left in its midst.
    |_, client| {
        client.send("XWORK big\r\nABOR\r\nXOFFLOAD\r\nXHOLD\r\n");
        client.expect_replies(&[426, 226, 200, 200]);
    },
    |_, client| client.line("XWORK big"),
    |_, client| {
        client.line("XWORK big");
        reset(client.stream().try_clone().unwrap());
    },
    |_, client| client.send("XOFFLOAD\r\nXOFFLOAD\r\n"),
    |_, client| {
        client.line("XHOLD");
        reset(client.stream().try_clone().unwrap());
    },
];

/// Time runs out: for a listener, and for data that stalls. What is to come before is in one segment.
const DELAYS: &[Mishap] = &[
    |_, client| {
        client.begin_unconnected("STOR up");
        client.expect_reply(425);
    },
    |_, client| {
        let listener = client.listen();
        let addr = listener.local_addr().unwrap();
        client.send(format!("{}\r\nSTOR up\r\n", eprt_command(addr)));
        client.expect_replies(&[200, 125, 421]);
        client.expect_end();
    },
];

/// Works until nobody wants it, on the pool.
fn work() -> Command {
    Command::new("XWORK").pooled(|work, _| {
        loop {
            work.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

fn offload() -> Command {
    Command::new("XOFFLOAD").run(|session, _| {
        session.offload(
            || vec![0_u8; 1000],
            |_: &mut Recorder, session, bytes| {
                session.answer(Reply::new(200, format!("{} bytes.", bytes.unwrap().len())));
            },
        );
        Ok(Reply::new(500, "Too early."))
    })
}

fn hold() -> Command {
    Command::new("XHOLD").run(|session, _| {
        let channel = session.del_channel();
        std::thread::spawn(move || channel.answer(Reply::new(200, "Held.")));
        Ok(Reply::new(500, "Too early."))
    })
}

fn go_wrong(server: &TestServer, mishaps: &[Mishap]) {
    for mishap in mishaps {
        let mut client = server.login();
        mishap(server, &mut client);
    }
}

#[test]
fn nothing_leaks() {
    let before = (descriptors(), threads());
    {
        let server =
            TestServer::with(|builder| builder.command(work()).command(offload()).command(hold()));
        let hasty = TestServer::with(|builder| builder.passive_timeout(SHORT).data_timeout(SHORT));
        server.write_sparse("big", 64 << 20);
        std::process::Command::new("mkfifo")
            .arg(server.path("fifo"))
            .status()
            .unwrap();
        // The first time the loop makes what it keeps.
        go_wrong(&server, MISHAPS);
        go_wrong(&hasty, DELAYS);
        settle("descriptors", before.0 + 20, descriptors);
        let warm = {
            let mut client = server.login();
            client.list("LIST");
            drop(client);
            server.record().wait_until(|events| {
                let count = |what: &str| events.iter().filter(|event| *event == what).count();
                count("connect") == count("disconnect")
            });
            descriptors()
        };
        for _ in 0..3 {
            go_wrong(&server, MISHAPS);
            go_wrong(&hasty, DELAYS);
        }
        settle("descriptors", warm, descriptors);
    }
    settle("descriptors", before.0, descriptors);
    settle("threads", before.1, threads);

    // A server itself.
    for _ in 0..20 {
        let server = TestServer::start();
        let _client = server.login();
    }
    settle("descriptors", before.0, descriptors);
    settle("threads", before.1, threads);
}
