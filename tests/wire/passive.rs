//! PASV and EPSV: which address, which port, and for whom.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::common::client::{connect, connect_from, expect_data_end, is_refused};
use crate::common::process::no_forks;
use crate::common::{Client, LIMIT, Mode, SHORT, TestServer, has_ipv6, skipped};

/// A port that the system gives to nobody by itself, that is free now, and asked for once.
fn quiet_port() -> u16 {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    let apart = ASKED.fetch_add(1, Ordering::Relaxed) * 100;
    let start = std::process::id() as u16 % 10_000 + apart;
    let mut ports = (0..20_000).map(|at| 11_000 + (start + at) % 20_000);
    ports
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("a free port")
}

#[test]
fn pasv_and_epsv_tell_where_the_server_listens() {
    let server = TestServer::start();
    let mut client = server.login();
    let pasv = client.expect("PASV", 227);
    pasv.contains("Entering passive mode (127,0,0,1,");
    let addr = crate::common::client::parse_227(&pasv.text);
    assert_eq!(addr.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    drop(connect(addr));

    let epsv = client.expect("EPSV", 229);
    epsv.contains("Entering extended passive mode (|||");
    drop(client.data(Mode::Epsv));
    client.list("LIST");
}

#[test]
fn who_comes_to_one_of_several_addresses_is_told_that_one() {
    let second = Ipv4Addr::new(127, 0, 0, 2);
    let given = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let given_addr = given.local_addr().unwrap();
    let mut users = ftpdlib::DummyAuthorizer::new();
    let home = tempfile::tempdir().unwrap();
    users.add_anonymous(home.path()).unwrap();
    let in_the_library = no_forks();
    let given = ftpdlib::FtpServer::builder()
        .authorizer(users)
        .listener(given)
        .unwrap();
    let given = given.spawn().unwrap();
    drop(in_the_library);
    let all = TestServer::on(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |builder| builder);
    let one = TestServer::start();
    for (server, ips) in [
        (given_addr, &[Ipv4Addr::LOCALHOST, second][..]),
        (all.addr(), &[Ipv4Addr::LOCALHOST, second]),
        (one.addr(), &[Ipv4Addr::LOCALHOST]),
    ] {
        for &ip in ips {
            // Not every system has it.
            if TcpListener::bind((ip, 0)).is_err() {
                continue;
            }
            let addr = SocketAddr::new(ip.into(), server.port());
            let mut client = Client::connect(addr);
            client.expect_reply(220);
            client.login_as("anonymous", "");
            let status = client.expect("STAT", 211);
            status.contains(&format!("Connected to: {addr}\r\n"));
            let pasv = client.expect("PASV", 227);
            let data = crate::common::client::parse_227(&pasv.text);
            assert_eq!(data.ip(), IpAddr::V4(ip));
        }
    }
    let _in_the_library = no_forks();
    drop(given);
}

#[test]
fn epsv_knows_its_families() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("EPSV 1", 229);
    client.expect("EPSV 2", 522).contains("use 1");
    client.expect("EPSV 3", 501).contains("use 1");
    client.expect("EPSV x", 501);
    client.list("LIST");
}

#[test]
fn after_epsv_all_there_is_epsv_only() {
    let server = TestServer::start();
    let mut client = server.login();
    client.expect("EPSV ALL", 220);
    let addr = client.listen().local_addr().unwrap();
    client.expect("PASV", 501).contains("EPSV ALL");
    client.expect(crate::common::client::port_command(addr), 501);
    client.expect(crate::common::client::eprt_command(addr), 501);
    client.list("LIST");
    // A new user begins anew.
    client.login();
    client.expect("PASV", 227);
}

#[test]
fn a_new_listener_replaces_the_old() {
    let server = TestServer::apart();
    let mut client = server.login();
    let mut old = client.passive_address(Mode::Pasv);
    for mode in [Mode::Epsv, Mode::Pasv, Mode::Epsv] {
        let new = client.passive_address(mode);
        assert!(is_refused(old), "both listen");
        old = new;
    }
    // An open connection gives way too,
    let data = connect(old);
    client.passive_address(Mode::Pasv);
    expect_data_end(data);
    // and PORT replaces both.
    let old = client.passive_address(Mode::Epsv);
    let data = client.data(Mode::Port);
    assert!(is_refused(old), "both listen");
    client.expect("PASV", 227);
    expect_data_end(data);
    client.list("LIST");
}

#[test]
fn one_connection_is_taken_and_no_second() {
    let server = TestServer::apart();
    server.write("file", "content");
    let mut client = server.login();
    let addr = client.passive_address(Mode::Epsv);
    let mut first = connect(addr);
    // The first answer may be of the turn that takes the connection, the second is of a later one.
    client.expect_alive();
    client.expect_alive();
    assert!(is_refused(addr), "it still listens");
    client.started("RETR file");
    let mut content = String::new();
    first.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    client.expect_reply(226);
}

#[test]
fn quick_connects_and_resets_do_no_harm() {
    let server = TestServer::start();
    let mut client = server.login();
    for _ in 0..20 {
        let addr = client.passive_address(Mode::Epsv);
        crate::common::client::reset(connect(addr));
    }
    client.list("LIST");
}

#[test]
fn a_connection_that_was_closed_before_the_command_ends_in_one_reply() {
    let server = TestServer::start();
    server.write("file", "content");
    let mut client = server.login();
    drop(client.data(Mode::Epsv));
    client.expect_alive();
    // A client that has only shut its side could still read: both verdicts are honest.
    let mut reply = client.cmd("RETR file");
    if reply.code < 200 {
        reply = client.reply();
    }
    assert!(matches!(reply.code, 226 | 425 | 426), "{}", reply.text);
    client.expect_alive();
    client.list("LIST");
}

#[test]
fn passive_ports_come_from_the_range() {
    let first = quiet_port();
    let range = first..=first + 50;
    let for_server = range.clone();
    let server = TestServer::with(|builder| builder.passive_ports(for_server));
    let mut client = server.login();
    let mut ports: Vec<u16> = (0..20)
        .map(|_| client.passive_address(Mode::Pasv).port())
        .collect();
    assert!(
        ports.iter().all(|port| range.contains(port)),
        "{ports:?} not in {range:?}"
    );
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() > 1, "not chosen at random: {ports:?}");
    client.list("LIST");
}

#[test]
fn a_port_of_the_range_is_used_again_at_once() {
    let port = quiet_port();
    let server = TestServer::with(|builder| builder.passive_ports(port..=port));
    server.write("file", "content");
    let mut client = server.login();
    for _ in 0..5 {
        // The server closes first: the port of the last transfer is in TIME_WAIT.
        let addr = client.passive_address(Mode::Epsv);
        assert_eq!(addr.port(), port);
        let mut data = connect(addr);
        client.started("RETR file");
        data.read_to_end(&mut Vec::new()).unwrap();
        client.expect_reply(226);
    }
}

#[test]
fn when_the_range_is_busy_any_port_does() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = busy.local_addr().unwrap().port();
    let server = TestServer::with(|builder| builder.passive_ports(port..=port));
    let mut client = server.login();
    assert_ne!(client.passive_address(Mode::Pasv).port(), port);
    client.list("LIST");
}

#[test]
fn a_masquerade_address_is_told_instead_of_the_own() {
    let public = Ipv4Addr::new(198, 51, 100, 7);
    let server = TestServer::with(|builder| builder.masquerade_address(public));
    let mut client = server.login();
    assert_eq!(client.passive_address(Mode::Pasv).ip(), IpAddr::V4(public));
    // EPSV tells no address.
    client.list("LIST");
}

#[test]
fn the_masquerade_map_goes_by_the_address_the_client_came_to() {
    let (general, special) = (
        Ipv4Addr::new(198, 51, 100, 1),
        Ipv4Addr::new(198, 51, 100, 2),
    );
    let server = TestServer::with(|builder| {
        builder
            .masquerade_address(general)
            .masquerade_map(IpAddr::V4(Ipv4Addr::LOCALHOST), special)
            .masquerade_map(
                IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
                Ipv4Addr::UNSPECIFIED,
            )
    });
    let mut client = server.login();
    assert_eq!(client.passive_address(Mode::Pasv).ip(), IpAddr::V4(special));
}

#[test]
fn who_never_connects_is_told_at_his_next_transfer() {
    let server = TestServer::with(|builder| builder.passive_timeout(SHORT));
    let mut client = server.login();
    client.begin_unconnected("LIST");
    client.expect_reply(425).contains("timed out");
    client.expect_alive();
    // Not by a connection for which this test would have to be quick.
    client.fetch_by(Mode::Eprt, "LIST");
}

#[test]
fn a_time_that_is_over_before_its_end_says_nothing_then_and_runs_again() {
    let server = TestServer::with(|builder| builder.passive_timeout(SHORT));
    let (mut client, mut other) = (server.login(), server.login());
    client.send("EPSV\r\nABOR\r\n");
    client.expect_replies(&[229, 226]);
    // It began later, so the first one has ended.
    other.begin_unconnected("LIST");
    other.expect_reply(425).contains("timed out");
    assert!(client.is_silent());
    for _ in 0..2 {
        client.begin_unconnected("LIST");
        client.expect_reply(425).contains("timed out");
        // Before it has ended, it begins anew.
        client.send("EPSV\r\nABOR\r\n");
        client.expect_replies(&[229, 226]);
    }
    client.expect_alive();
}

#[test]
fn a_client_who_connects_and_says_nothing_has_come() {
    // The server looks for him without a command, too, and then it is his silence that is timed.
    let server = TestServer::with(|builder| {
        builder
            .data_timeout(SHORT)
            .passive_timeout(std::time::Duration::from_secs(3600))
    });
    let mut client = server.login();
    let data = client.data(Mode::Epsv);
    client.expect_reply(421).contains("timed out");
    expect_data_end(data);

    // Also where a client has little time to come.
    let server = TestServer::with(|builder| builder.data_timeout(SHORT).passive_timeout(SHORT));
    let mut client = server.login();
    let data = client.data(Mode::Epsv);
    client.expect_reply(421).contains("timed out");
    expect_data_end(data);
}

#[test]
fn a_command_finds_the_connection_that_was_made_before_it() {
    let server = TestServer::start();
    server.write("file", "content");
    let mut client = server.login();
    for _ in 0..20 {
        let mut data = client.data(Mode::Epsv);
        client.expect("RETR file", 125);
        let mut content = String::new();
        data.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        client.expect_reply(226);
    }
    // Whatever the command is.
    let data = client.data(Mode::Epsv);
    client.expect("ABOR", 226).contains("data channel closed");
    expect_data_end(data);
}

#[test]
fn a_transfer_command_alone_waits_for_pasv_and_not_for_ever() {
    let server = TestServer::with(|builder| builder.passive_timeout(SHORT));
    let mut client = server.login();
    let reply = client.cmd("LIST");
    if reply.code == 150 {
        client.expect_reply(425);
    } else {
        assert_eq!(reply.code, 425, "{}", reply.text);
    }
    client.expect_alive();
    client.fetch_by(Mode::Eprt, "LIST");
}

// A second loopback address needs no setup on Linux only.
#[cfg(target_os = "linux")]
mod strangers {
    use super::*;

    const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    #[test]
    fn a_stranger_is_not_let_in() {
        let server = TestServer::start();
        server.write("file", "secret");
        let mut client = server.login();
        let addr = client.passive_address(Mode::Pasv);
        let mut stranger = connect_from(STRANGER, addr);
        let mut stolen = Vec::new();
        let _ = stranger.read_to_end(&mut stolen);
        assert_eq!(stolen, b"");
        // It is not the client's blame: it may still come itself.
        let mut data = connect(addr);
        client.expect_alive();
        client.started("RETR file");
        data.read_to_end(&mut stolen).unwrap();
        assert_eq!(stolen, b"secret");
        client.expect_reply(226);
    }

    #[test]
    fn strangers_keep_no_place_from_the_client() {
        let server = TestServer::start();
        server.write("file", "content");
        let mut client = server.login();
        let addr = client.passive_address(Mode::Pasv);
        // More than there is room for at a passive socket: they are sent away without a word of the
        // client's, who cannot come before.
        let strangers: Vec<_> = (0..150).map(|_| connect_from(STRANGER, addr)).collect();
        let mut data = connect(addr);
        for mut stranger in strangers {
            let mut got = Vec::new();
            let _ = stranger.read_to_end(&mut got);
            assert_eq!(got, b"");
        }
        client.started("RETR file");
        let mut content = String::new();
        data.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        client.expect_reply(226);
    }

    #[test]
    fn a_transfer_that_only_a_stranger_meets_is_425() {
        let server = TestServer::with(|builder| builder.passive_timeout(LIMIT));
        server.write("file", "old");
        let mut client = server.login();
        let addr = client.begin_unconnected("STOR file");
        let mut stranger = connect_from(STRANGER, addr);
        let _ = stranger.write_all(b"evil");
        client.expect_reply(425).contains("foreign address");
        assert_eq!(server.read("file"), b"old");
        client.put_by(Mode::Eprt, "STOR file", "new");
    }

    #[test]
    fn a_stranger_may_come_if_that_is_permitted() {
        let server = TestServer::with(|builder| builder.permit_foreign_addresses(true));
        server.write("file", "content");
        let mut client = server.login();
        let addr = client.passive_address(Mode::Pasv);
        let mut stranger = connect_from(STRANGER, addr);
        client.started("RETR file");
        let mut content = String::new();
        stranger.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        client.expect_reply(226);
    }

    #[test]
    fn the_server_listens_where_the_client_came_in() {
        let server = TestServer::on(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |builder| builder);
        let addr = SocketAddr::from((STRANGER, server.addr().port()));
        let mut client = Client::connect(addr);
        client.expect_reply(220);
        client.login();
        assert_eq!(
            client.passive_address(Mode::Pasv).ip(),
            IpAddr::V4(STRANGER)
        );
    }
}

#[test]
fn epsv_over_ipv6() {
    if !has_ipv6() {
        return skipped("no IPv6 here");
    }
    let server = TestServer::ipv6(|builder| builder);
    server.write("file", "content");
    let mut client = server.login();
    assert_eq!(client.fetch_by(Mode::Epsv, "RETR file"), b"content");
    client.put_by(Mode::Epsv, "STOR other", "content");
    client.expect("EPSV 2", 229);
    client.expect("EPSV 1", 522).contains("use 2");
    client.expect("EPSV 3", 501).contains("use 2");
    // 227 has no room for such an address.
    let pasv = client.cmd("PASV");
    assert!((400..600).contains(&pasv.code), "{}", pasv.text);
    client.list("LIST");
}

#[test]
fn a_dual_stack_server_speaks_both() {
    if !has_ipv6() {
        return skipped("no IPv6 here");
    }
    let server = TestServer::on(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |builder| builder);
    server.write("file", "content");
    let port = server.addr().port();

    let mut four = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    four.expect_reply(220);
    four.login();
    // No mapped address gets out.
    assert_eq!(
        four.passive_address(Mode::Pasv).ip(),
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    );
    four.expect("STAT", 211).contains("127.0.0.1");
    for mode in Mode::ALL {
        assert_eq!(four.fetch_by(mode, "RETR file"), b"content", "{mode:?}");
    }
    four.expect("EPRT |2|::1|2000|", 522);

    let mut six = Client::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    six.expect_reply(220);
    six.login();
    for mode in [Mode::Epsv, Mode::Eprt] {
        assert_eq!(six.fetch_by(mode, "RETR file"), b"content", "{mode:?}");
    }
}

#[test]
fn who_leaves_without_a_command_has_his_data_connection_ended_not_reset() {
    let server = TestServer::start();
    // Nobody has looked at the passive socket yet when he goes.
    let mut client = server.login();
    let mut data = client.data(Mode::Epsv);
    drop(client);
    assert_eq!(data.read(&mut [0; 1]).expect("an end"), 0);
}
