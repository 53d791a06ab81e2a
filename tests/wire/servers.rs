//! Servers as a program has them: several, on given sockets, stopped and dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use ftpdlib::{Account, AuthFailed, Authorizer, AuthorizerError, Credentials, Error, FtpServer};

use crate::common::client::is_refused;
use crate::common::process::no_forks;
use crate::common::{Client, PATIENCE, TestServer};

#[test]
fn several_servers_live_in_one_process() {
    let servers: Vec<TestServer> = (0..5).map(|_| TestServer::start()).collect();
    let mut clients: Vec<Client> = servers.iter().map(TestServer::login).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.put("STOR file", format!("{at}"));
    }
    for (at, server) in servers.iter().enumerate() {
        assert_eq!(server.read("file"), format!("{at}").into_bytes());
        assert_eq!(server.record().count("received /file 1"), 1);
    }
}

#[test]
fn dropping_the_handle_stops_the_server_and_frees_its_port() {
    let server = TestServer::apart();
    let addr = server.addr();
    let mut client = server.login();
    server.write_sparse("big", 64 << 20);
    let data = client.begin("RETR big");
    let home = server.stop();
    client.try_reply().ok();
    crate::common::client::expect_data_end(data);
    assert!(is_refused(addr), "it still listens");
    // At once, though connections of it are still in TIME_WAIT.
    let _in_the_library = no_forks();
    let again = FtpServer::builder()
        .bind(addr)
        .expect("the port is free")
        .spawn()
        .unwrap();
    assert_eq!(again.local_addr(), addr);
    Client::connect(addr).expect_reply(220);
    drop(home);
}

#[test]
fn a_socket_that_listens_already_can_be_given() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let _in_the_library = no_forks();
    let server = FtpServer::builder().listener(listener).unwrap();
    assert_eq!(server.local_addr(), addr);
    // Who connects before it serves waits in the queue.
    let mut early = Client::connect(addr);
    let server = server.spawn().unwrap();
    early.expect_reply(220);
    drop(server);
}

#[test]
fn a_port_in_use_is_told_as_one_line() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr: SocketAddr = busy.local_addr().unwrap();
    let _in_the_library = no_forks();
    let error = FtpServer::builder().bind(addr).expect_err("in use");
    assert!(matches!(error, Error::Bind { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&addr.to_string()) && !text.contains('\n'),
        "{text}"
    );
}

/// Panics when its users are read again for the first time.
struct Fragile(Mutex<(u32, Sender<u32>)>);

impl Authorizer for Fragile {
    fn authenticate(&self, _: &Credentials) -> Result<Account, AuthFailed> {
        Err(AuthFailed::default())
    }

    fn is_reloadable(&self) -> bool {
        true
    }

    fn reload(&self) -> Result<(), AuthorizerError> {
        let number = {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            state.1.send(state.0).unwrap();
            state.0
        };
        assert!(number > 1, "on purpose");
        Ok(())
    }
}

#[test]
fn a_reload_that_panics_is_not_the_last() {
    let (sender, told) = channel();
    let users = Fragile(Mutex::new((0, sender)));
    let _in_the_library = no_forks();
    let builder = FtpServer::builder().authorizer(users);
    let server = builder.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    for number in 1..=3 {
        server.control().reload();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(number));
    }
    Client::connect(server.local_addr()).expect_reply(220);
}
