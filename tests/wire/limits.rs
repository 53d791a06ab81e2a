//! How many, how long and how fast: the limits on connections, time and bandwidth.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use ftpdlib::{Command, CommandLine, Handler, Limits, Reply, Session, Verdict};

use crate::common::client::{connect_from, connect_narrow, expect_data_end};
use crate::common::made_up::Gate;
use crate::common::{Client, LIMIT, Mode, SHORT, TestServer, cannot_reach_callbacks, sample};

/// The server must take one more client in, as soon as it has noticed who left; and it has noticed
/// that this one left too, so that `others` stay, when this returns.
fn expect_room(server: &TestServer, others: usize) {
    let deadline = Instant::now() + crate::common::PATIENCE;
    loop {
        let mut client = Client::connect(server.addr());
        match client.try_reply() {
            Ok(Some(reply)) if reply.code == 220 => break,
            other => assert!(Instant::now() < deadline, "never let in: {other:?}"),
        }
    }
    server.record().wait_until(|events| {
        let count = |what: &str| events.iter().filter(|event| *event == what).count();
        count("connect") == count("disconnect") + others
    });
}

#[test]
fn too_many_connections_are_421() {
    // The listening socket counts.
    let server = TestServer::with(|builder| builder.max_cons(3));
    let mut one = server.login();
    let mut two = server.login();
    for _ in 0..3 {
        let mut third = Client::connect(server.addr());
        third.expect_reply(421).contains("Too many connections");
        third.expect_end();
    }
    // Data connections count too.
    two.expect("PASV", 425).contains("Too many connections");
    let addr = two.listen().local_addr().unwrap();
    two.expect(crate::common::client::port_command(addr), 425)
        .contains("Too many connections");
    one.expect("QUIT", 221);
    one.expect_end();
    expect_room(&server, 1);
}

#[test]
fn data_connections_keep_clients_out() {
    let server = TestServer::with(|builder| builder.max_cons(3));
    let mut client = server.login();
    for mode in Mode::ALL {
        let data = client.data(mode);
        Client::connect(server.addr()).expect_reply(421);
        client.expect("ABOR", 226);
        drop(data);
        expect_room(&server, 1);
    }
    client.expect("PASV", 227);
    Client::connect(server.addr()).expect_reply(421);
    client.expect("ABOR", 226);
    expect_room(&server, 1);
    client.list("LIST");
}

#[test]
fn a_refused_client_is_no_session() {
    let server = TestServer::with(|builder| builder.max_cons(2));
    let mut one = server.login();
    Client::connect(server.addr()).expect_reply(421);
    one.expect_alive();
    server.record().expect(&["connect", "login user"]);
}

// A second loopback address needs no setup on Linux only.
#[cfg(target_os = "linux")]
#[test]
fn too_many_connections_from_one_address_are_421() {
    let server = TestServer::with(|builder| builder.max_cons_per_ip(2));
    let one = server.login();
    let mut two = server.login();
    let mut third = Client::connect(server.addr());
    third.expect_reply(421).contains("same IP address");
    third.expect_end();
    // Another address is not concerned, nor are data connections.
    let mut other = Client::over(connect_from(Ipv4Addr::new(127, 0, 0, 2), server.addr()));
    other.expect_reply(220);
    two.list("LIST");
    drop(one);
    expect_room(&server, 2);
}

#[test]
fn a_transfer_that_stalls_is_421_and_the_end() {
    let server = TestServer::with(|builder| builder.data_timeout(SHORT));
    server.write_sparse("big", 64 << 20);

    // An upload from which nothing more comes,
    let mut client = server.login();
    let mut data = client.begin_first("STOR file");
    // Written in time or not, there is an end of it.
    let _ = data.write_all(b"some");
    client
        .expect_reply(421)
        .contains("Data connection timed out");
    client.expect_end();
    expect_data_end(data);
    server.record().wait_until(|events| {
        events
            .iter()
            .any(|event| event.starts_with("incomplete_received /file "))
    });

    // a download that nobody takes,
    let mut client = server.login();
    let data = connect_narrow(client.begin_unconnected("RETR big"));
    client.expect_reply(421);
    client.expect_end();
    drop(data);
    server.record().wait_until(|events| {
        events
            .iter()
            .any(|event| event.starts_with("incomplete_sent /big "))
    });

    // and a connection for which there is no command.
    let mut client = server.login();
    let data = client.data(Mode::Epsv);
    client.expect_reply(421);
    client.expect_end();
    expect_data_end(data);
}

#[test]
fn a_transfer_that_moves_does_not_stall() {
    let server = TestServer::with(|builder| builder.data_timeout(LIMIT).timeout(LIMIT));
    let mut client = server.login();
    let mut data = client.begin("STOR file");
    data.set_nodelay(true).unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    // No command comes meanwhile: the idle limit waits for the transfer.
    while begun.elapsed() < LIMIT + LIMIT / 2 {
        data.write_all(b"x").unwrap();
        sent += 1;
    }
    drop(data);
    client.expect_reply(226);
    assert_eq!(server.read("file").len(), sent);
    // It counts again from the end of the transfer.
    client
        .expect_reply(421)
        .contains("Control connection timed out");
    client.expect_end();
}

// What the system has taken and the client has not, it tells there.
#[cfg(target_os = "linux")]
#[test]
fn a_download_whose_bytes_leave_the_system_slowly_does_not_stall() {
    let server = TestServer::with(|builder| builder.data_timeout(LIMIT));
    server.write_sparse("big", 16 << 20);
    let mut client = server.login();
    let mut data = connect_narrow(client.begin_unconnected("RETR big"));
    // The system has some megabytes of it. Before a third of that is gone the server has nothing to do.
    let begun = Instant::now();
    let mut taken = 0;
    while begun.elapsed() < 2 * LIMIT {
        taken += data.read(&mut [0; 4096]).expect("data");
        client.expect_silence(Duration::from_millis(200));
    }
    assert!(taken < 400_000, "{taken}");
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).unwrap();
    assert_eq!(taken + rest.len(), 16 << 20);
    client.expect_reply(226);
}

/// Reads to the end, and asks another client meanwhile.
fn read_beside(mut data: TcpStream, other: &mut Client) -> Vec<u8> {
    let mut content = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        let count = match data.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count.expect("data"),
        };
        if count == 0 {
            return content;
        }
        content.extend_from_slice(&chunk[..count]);
        other.expect_alive();
    }
}

#[test]
fn downloads_are_held_to_their_rate() {
    let rate = 100_000;
    let server = TestServer::with(|builder| builder.write_limit(rate));
    let content = sample(200_000);
    server.write("file", &content);
    let mut client = server.login();
    let mut other = server.login();
    let data = client.data(Mode::Epsv);
    let begun = Instant::now();
    // Throttled is the data channel only: the second one is answered long before the end of the first.
    client.send("RETR file\r\nNOOP\r\n");
    client.expect_started("RETR file");
    client.expect_reply(200);
    assert!(read_beside(data, &mut other) == content);
    client.expect_reply(226);
    // Two seconds' worth of bytes, of which one second's may burst: it has paused at least once.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(500), "{took:?}");
}

#[test]
fn uploads_are_held_to_their_rate() {
    let rate = 100_000;
    let server = TestServer::with(|builder| builder.read_limit(rate));
    let content = sample(200_000);
    let mut client = server.login();
    let mut other = server.login();
    let begun = Instant::now();
    let mut data = client.begin("STOR file");
    data.write_all(&content).unwrap();
    client.expect_alive();
    other.expect_alive();
    drop(data);
    client.expect_reply(226);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(500), "{took:?}");
    assert!(server.read("file") == content);
    server.record().wait_for("received /file 200000");
}

#[test]
fn a_pause_is_not_a_stall_and_can_be_aborted() {
    let server = TestServer::with(|builder| {
        builder
            .write_limit(50_000)
            .data_timeout(Duration::from_millis(700))
    });
    server.write("file", sample(100_000));
    server.write_sparse("big", 64 << 20);
    let mut client = server.login();
    let mut data = client.begin_first("RETR file");
    let mut content = Vec::new();
    data.read_to_end(&mut content).unwrap();
    client.expect_reply(226);
    assert_eq!(content.len(), 100_000);

    let mut data = client.begin_first("RETR big");
    data.read_exact(&mut [0; 1000]).unwrap();
    client.line("ABOR");
    client.expect_replies(&[426, 226]);
    client.expect_alive();
    expect_data_end(data);
}

/// Pauses that are longer than the time in which something has to move, and end just when that is looked at.
#[test]
fn the_end_of_a_pause_is_no_stall_either() {
    let server = TestServer::with(|builder| {
        builder
            .write_limit(8_000)
            .data_timeout(Duration::from_millis(50))
    });
    server.write("file", sample(20_000));
    let mut clients: Vec<Client> = (0..24).map(|_| server.login()).collect();
    let begun = clients
        .iter_mut()
        .map(|client| client.begin_first("RETR file"));
    for (mut data, client) in begun.collect::<Vec<_>>().into_iter().zip(&mut clients) {
        let mut content = Vec::new();
        data.read_to_end(&mut content).unwrap();
        client.expect_reply(226);
        assert_eq!(content.len(), 20_000);
    }
}

/// Bytes a second in what follows; so many may come before the first pause.
const RATE: u64 = 100_000;
const FIRST: u64 = RATE / 8;

/// Asserts that so many `bytes` since `begun` are no more than the rate allows.
#[track_caller]
fn assert_held(bytes: u64, firsts: u64, begun: Instant) {
    let millis = begun.elapsed().as_millis() as u64 + 1;
    let most = firsts * FIRST + RATE * millis / 1000;
    assert!(bytes <= most, "{bytes} in {millis} ms");
}

/// Begins one download after the other and aborts it, by these clients in turns; gives what came.
fn download_and_abort(clients: &mut [Client]) -> u64 {
    let mut bytes = 0;
    for round in 0..40 {
        let client = &mut clients[round % 2];
        client.expect("REST 100", 350);
        let mut data = client.begin("RETR big");
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
        let mut content = Vec::new();
        data.read_to_end(&mut content).unwrap();
        bytes += content.len() as u64;
    }
    bytes
}

/// The same with uploads.
fn upload_and_abort(clients: &mut [Client]) {
    for round in 0..40 {
        let client = &mut clients[round % 2];
        let mut data = client.data(Mode::Epsv);
        data.write_all(&[b'x'; 50_000]).unwrap();
        client.started("APPE file");
        // Answered behind a turn of the loop, in which the upload has had its own.
        client.expect_alive();
        client.line("ABOR");
        client.expect_replies(&[426, 226]);
    }
}

#[test]
fn aborting_its_transfers_a_client_gets_no_more_than_its_rate() {
    let server = TestServer::with(|builder| builder.read_limit(RATE).write_limit(RATE));
    server.write_sparse("big", 64 << 20);
    let mut clients = [server.login(), server.login()];
    let begun = Instant::now();
    let bytes = download_and_abort(&mut clients);
    assert!(bytes >= FIRST, "{bytes}");
    // Each of the two has a rate of its own.
    assert_held(bytes.div_ceil(2), 2, begun);
    let begun = Instant::now();
    upload_and_abort(&mut clients);
    let bytes = server.read("file").len() as u64;
    assert!(bytes >= FIRST, "{bytes}");
    assert_held(bytes.div_ceil(2), 2, begun);
    // What is owed is a pause, and no end.
    clients[0].put("STOR file", "x");
    assert_eq!(clients[0].fetch("RETR file"), b"x");
}

#[test]
fn aborting_its_transfers_a_user_gets_no_more_than_his_rate() {
    let server = TestServer::users(|users, home| {
        let mut limits = Limits::default();
        (limits.read_limit, limits.write_limit) = (RATE, RATE);
        let bob = users.add_user("bob", "b", home, ftpdlib::Perm::ALL);
        bob.unwrap().limits(limits);
    });
    server.write_sparse("big", 64 << 20);
    let mut clients = [server.login_as("bob", "b"), server.login_as("bob", "b")];
    let begun = Instant::now();
    let bytes = download_and_abort(&mut clients);
    assert!(bytes >= FIRST, "{bytes}");
    assert_held(bytes, 2, begun);
    let begun = Instant::now();
    upload_and_abort(&mut clients);
    let bytes = server.read("file").len() as u64;
    assert!(bytes >= FIRST, "{bytes}");
    assert_held(bytes, 2, begun);
    // Nor does another login make him a new one.
    drop(clients);
    let mut client = server.login_as("bob", "b");
    client.put("STOR file", "x");
    assert_eq!(client.fetch("RETR file"), b"x");
}

#[test]
fn uploads_to_slow_files_are_held_to_their_rate() {
    let server = TestServer::build(
        Ipv4Addr::LOCALHOST.into(),
        |users, home| {
            let slow = users.add_user("slow", "s", home, ftpdlib::Perm::ALL);
            slow.unwrap().slow_files(true);
        },
        |builder| builder.read_limit(RATE),
    );
    let content = sample(100_000);
    let mut client = server.login_as("slow", "s");
    let begun = Instant::now();
    client.put("STOR file", &content);
    assert_held(content.len() as u64, 1, begun);
    assert!(server.read("file") == content);
}

/// Takes its client off the loop at `SITE THINK`, until the gate is open.
struct Thinker(Gate);

impl Handler for Thinker {
    fn on_command(&mut self, session: &mut Session<'_>, command: &CommandLine) -> Verdict {
        if command.name == "SITE THINK" {
            let (gate, channel) = (self.0.clone(), session.del_channel());
            std::thread::spawn(move || {
                gate.pass();
                channel.add_channel();
            });
        }
        Verdict::Run
    }
}

#[test]
fn a_connection_without_a_use_ends_no_command_in_progress() {
    if cannot_reach_callbacks() {
        return;
    }
    for line in ["SITE WORK", "SITE THINK"] {
        let gate = Gate::default();
        let (works, thinks) = (gate.clone(), gate.clone());
        let server = TestServer::with(|builder| {
            let work = Command::site("WORK").pooled(move |_, _| {
                works.pass();
                Ok(Reply::new(200, "Done."))
            });
            let think = Command::site("THINK").run(|_, _| Ok(Reply::new(200, "Done.")));
            builder
                .data_timeout(SHORT)
                .command(work)
                .command(think)
                .handler(move |_| Thinker(thinks.clone()))
        });
        let mut client = server.login();
        let addr = client.passive_address(Mode::Epsv);
        client.line(line);
        // Behind the command, so that its time begins in the midst of that.
        let data = crate::common::client::connect(addr);
        client.expect_silence(4 * SHORT);
        gate.open();
        client.expect_reply(200);
        // Then it is true that no command uses it.
        let text = client.expect_reply(421).text;
        assert_eq!(text, "421 Data connection timed out.");
        client.expect_end();
        expect_data_end(data);
    }
}
