//! PORT and EPRT: what is an address, and where the server lets itself be sent to.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::common::client::{eprt_command, port_command};
use crate::common::{Mode, SHORT, TestServer, has_ipv6, skipped};

#[test]
fn what_is_no_address_is_501() {
    let server = TestServer::start();
    let mut client = server.login();
    for wrong in [
        "PORT 127,0,0,1,1.1",
        "PORT X,0,0,1,1,1",
        "PORT 127,0,0,1,1,1,1",
        "PORT 127,0,0,1",
        "PORT 256,0,0,1,1,1",
        "PORT 127,0,0,1,256,1",
        "PORT 127,0,0,1,-1,0",
        "PORT 127,0,0,1,99999999999999999999,1",
        "PORT ,,,,,",
    ] {
        assert_eq!(
            client.expect(wrong, 501).text,
            "501 Invalid PORT format.",
            "{wrong}"
        );
    }
    for wrong in [
        "EPRT ||||",
        "EPRT ||",
        "EPRT |",
        "EPRT |1|127.0.0.1|65536|",
        "EPRT |1|127.0.0.1|-1|",
        "EPRT |1|127.0.0.1|x|",
        "EPRT |1|1.2.3.4.5|2048|",
        "EPRT |1|1.2.3.256|2048|",
        "EPRT |1|localhost|2048|",
        "EPRT |1|127.0.0.1|2048",
    ] {
        assert_eq!(
            client.expect(wrong, 501).text,
            "501 Invalid EPRT format.",
            "{wrong}"
        );
    }
    client
        .expect("EPRT |3|127.0.0.1|2048|", 501)
        .contains("use 1");
    client.expect("EPRT |2|::1|2048|", 522).contains("use 1");
    client.expect_alive();
}

#[test]
fn eprt_takes_any_delimiter() {
    let server = TestServer::start();
    let mut client = server.login();
    for delimiter in ["|", "!", "#"] {
        let listener = client.listen();
        let addr = listener.local_addr().unwrap();
        client.expect(eprt_command(addr).replace('|', delimiter), 200);
        listener.accept().unwrap();
    }
}

#[test]
fn the_server_comes_from_where_the_client_went_to() {
    let server = TestServer::start();
    let mut client = server.login();
    for mode in [Mode::Port, Mode::Eprt] {
        let data = client.data(mode);
        assert_eq!(data.peer_addr().unwrap().ip(), server.addr().ip());
    }
}

#[test]
fn privileged_ports_are_refused() {
    let server = TestServer::start();
    let mut client = server.login();
    for line in [
        "PORT 127,0,0,1,1,1",
        "EPRT |1|127.0.0.1|1023|",
        "PORT 127,0,0,1,0,0",
    ] {
        client.expect(line, 501).contains("privileged port");
    }
    client.list("LIST");
}

#[test]
fn privileged_ports_can_be_permitted() {
    let server = TestServer::with(|builder| builder.permit_privileged_ports(true));
    let mut client = server.login();
    // Nobody listens at port 1, but the server tries.
    client.expect("PORT 127,0,0,1,0,1", 425);
    // Root can do it in earnest.
    if let Some(listener) = (600..1024)
        .rev()
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
    {
        client.expect(port_command(listener.local_addr().unwrap()), 200);
        listener.accept().unwrap();
    }
}

#[test]
fn foreign_addresses_are_refused() {
    let server = TestServer::start();
    let mut client = server.login();
    for line in ["PORT 1,2,3,4,4,4", "EPRT |1|10.10.10.10|2222|"] {
        client.expect(line, 501).contains("foreign address");
    }
    client.list("LIST");
}

// A second loopback address needs no setup on Linux only.
#[cfg(target_os = "linux")]
#[test]
fn foreign_addresses_can_be_permitted() {
    let server = TestServer::with(|builder| builder.permit_foreign_addresses(true));
    server.write("file", "content");
    let mut client = server.login();
    let elsewhere = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
    client.expect(port_command(elsewhere.local_addr().unwrap()), 200);
    let (mut data, _) = elsewhere.accept().unwrap();
    client.expect("RETR file", 125);
    let mut content = String::new();
    data.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    client.expect_reply(226);
}

/// From one server to another, with the client as the go-between.
#[cfg(target_os = "linux")]
#[test]
fn files_go_from_server_to_server() {
    let permit = |builder: ftpdlib::Builder| builder.permit_foreign_addresses(true);
    let from = TestServer::with(permit);
    let to = TestServer::on(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), permit);
    from.write("file", "content");
    let mut source = from.login();
    let mut target = to.login();
    let addr = target.passive_address(Mode::Pasv);
    target.expect("STOR copy", 150);
    source.expect(port_command(addr), 200);
    source.started("RETR file");
    source.expect_reply(226);
    target.expect_reply(226);
    assert_eq!(to.read("copy"), b"content");
}

#[test]
fn a_port_that_nobody_listens_at_is_425() {
    let server = TestServer::start();
    let mut client = server.login();
    // Bound, so that nobody else gets it, but not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    client
        .expect(port_command(addr), 425)
        .contains("Can't connect");
    client.expect(eprt_command(addr), 425);
    client.expect_alive();
    client.list("LIST");
}

/// A socket at which a connection attempt hangs: its queue is full. Keep both.
fn full_listener() -> (Socket, Vec<TcpStream>, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, SHORT) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue has no end");
    }
    (listener, waiting, addr)
}

#[cfg(target_os = "linux")]
#[test]
fn an_attempt_that_hangs_ends_and_holds_up_nobody_else() {
    let server = TestServer::with(|builder| builder.active_timeout(SHORT * 4));
    let (_listener, _waiting, addr) = full_listener();
    let mut client = server.login();
    let mut other = server.login();
    client.line(port_command(addr));
    for _ in 0..10 {
        other.expect_alive();
    }
    // Commands behind it keep their turn.
    client.line("NOOP");
    client.expect_reply(425).contains("timed out");
    client.expect_reply(200);
    client.list("LIST");
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_may_leave_while_the_server_connects() {
    let server = TestServer::with(|builder| builder.active_timeout(SHORT));
    let (_listener, _waiting, addr) = full_listener();
    let mut client = server.login();
    client.line(port_command(addr));
    drop(client);
    server.record().wait_for("disconnect");

    // Also when the connection comes about only then.
    let mut client = server.login();
    let listener = client.listen();
    client.line(port_command(listener.local_addr().unwrap()));
    drop(client);
    server
        .record()
        .wait_until(|events| events.iter().filter(|event| *event == "disconnect").count() == 2);
    server.login();
}

#[test]
fn a_new_port_replaces_the_old_connection() {
    let server = TestServer::start();
    server.write("file", "content");
    let mut client = server.login();
    let old = client.data(Mode::Port);
    let mut new = client.data(Mode::Eprt);
    crate::common::client::expect_data_end(old);
    client.started("RETR file");
    let mut content = String::new();
    new.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    client.expect_reply(226);
}

#[test]
fn eprt_over_ipv6() {
    if !has_ipv6() {
        return skipped("no IPv6 here");
    }
    let server = TestServer::ipv6(|builder| builder);
    server.write("file", "content");
    let mut client = server.login();
    assert_eq!(client.fetch_by(Mode::Eprt, "RETR file"), b"content");
    client.put_by(Mode::Eprt, "STOR other", "content");
    assert_eq!(server.read("other"), b"content");

    client
        .expect("EPRT |1|127.0.0.1|2222|", 522)
        .contains("use 2");
    client.expect("EPRT |2|::foo|2222|", 501);
    client
        .expect("EPRT |2|2001:db8::1|2222|", 501)
        .contains("foreign address");
    client
        .expect("EPRT |2|::1|22|", 501)
        .contains("privileged port");
    client.expect("EPRT |3|::1|2222|", 501).contains("use 2");
    // The mapped form of an IPv4 address is that address, which is not the client's.
    let reply = client.cmd("EPRT |2|::ffff:127.0.0.1|2222|");
    assert!((500..600).contains(&reply.code), "{}", reply.text);
    // PORT has no place for an IPv6 address.
    let port = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    client.expect(format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255), 501);
    client.list("LIST");
}
