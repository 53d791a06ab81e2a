//! Listening, accepting and connecting, over IPv4 and IPv6.

mod common;

use common::*;
use ftpdlib_reactor::{
    AcceptLoop, Accepted, Acceptor, Interest, ListenOptions, Listener, StreamOptions, TcpStream,
    connect, finish_connect,
};
use socket2::{Domain, SockRef, Socket, Type};
use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream as StdStream};
use std::rc::Rc;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCAL6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn has_ipv6() -> bool {
    std::net::TcpListener::bind((LOCAL6, 0)).is_ok()
}

fn listen(ip: IpAddr) -> Listener {
    Listener::bind(SocketAddr::new(ip, 0), ListenOptions::default()).unwrap()
}

fn port(listener: &Listener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// Lest a suite that is to run on poll(2) runs on epoll once more, and nobody sees it.
#[cfg(target_os = "linux")]
#[test]
fn the_poller_is_the_one_that_was_asked_for() {
    let _reactor = Loop::new();
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    let by_epoll = targets
        .filter(|target| target.to_string_lossy().contains("eventpoll"))
        .count()
        > 0;
    assert_eq!(by_epoll, !cfg!(mio_unsupported_force_poll_poll));
    if let Ok(poller) = std::env::var("FTPDLIB_TEST_POLLER") {
        assert_eq!((poller.as_str(), by_epoll), ("poll", false));
    }
}

#[test]
fn accept_tells_when_nobody_is_there() {
    let listener = listen(LOCAL);
    assert!(matches!(listener.accept(), Ok(Accepted::WouldBlock)));
    let client = StdStream::connect((LOCAL, port(&listener))).unwrap();
    match listener.accept().unwrap() {
        Accepted::Stream(mut stream, peer) => {
            assert_eq!(peer, client.local_addr().unwrap());
            let error = stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_unspecified_ipv6_address_takes_ipv4_too() {
    if !has_ipv6() {
        return;
    }
    let listener = listen(Ipv6Addr::UNSPECIFIED.into());
    for ip in [LOCAL, LOCAL6] {
        let _client = StdStream::connect((ip, port(&listener))).unwrap();
        match listener.accept().unwrap() {
            Accepted::Stream(_, peer) => assert_eq!(peer.ip().to_canonical(), ip),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_v6_is_that() {
    if !has_ipv6() {
        return;
    }
    let options = ListenOptions {
        only_v6: Some(true),
        ..ListenOptions::default()
    };
    let addr = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    // The port is free for IPv4 then, unless somebody else happens to have it.
    let free = (0..10).any(|_| {
        let listener = Listener::bind(addr, options).unwrap();
        assert!(StdStream::connect((LOCAL6, port(&listener))).is_ok());
        let other = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port(&listener));
        Listener::bind(other, ListenOptions::default()).is_ok()
    });
    assert!(free);
}

#[test]
fn a_port_in_use_is_an_error() {
    let first = listen(LOCAL);
    let addr = first.local_addr().unwrap();
    let error = Listener::bind(addr, ListenOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_range_passes_over_ports_in_use() {
    let busy = [listen(LOCAL), listen(LOCAL)];
    let ports = [port(&busy[0]), port(&busy[1])];
    let options = ListenOptions::default();
    let mut range = ports.into_iter().chain(20_000..30_000);
    let bound = Listener::bind_range((LOCAL, 0).into(), &mut range, options).unwrap();
    assert_eq!(range.next(), Some(port(&bound) + 1));
    assert!(port(&bound) >= 20_000);

    for ports in [&ports[..], &[]] {
        let mut ports = ports.iter().copied();
        let error = Listener::bind_range((LOCAL, 0).into(), &mut ports, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn a_range_ends_at_a_real_error() {
    // A documentation address is nobody's.
    let foreign: IpAddr = "192.0.2.77".parse().unwrap();
    let mut ports = 40_000..50_000u16;
    let error = Listener::bind_range((foreign, 0).into(), &mut ports, ListenOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(ports.start, 40_001);
}

#[test]
fn a_socket_that_exists_is_taken_over() {
    let listener = std::net::TcpListener::bind((LOCAL, 0)).unwrap();
    let listener = Listener::from_std(listener, StreamOptions::default()).unwrap();
    assert!(matches!(listener.accept(), Ok(Accepted::WouldBlock)));
}

#[test]
fn accepted_streams_have_the_options_that_were_asked_for() {
    for (no_delay, urgent_inline) in [(false, false), (true, false), (false, true), (true, true)] {
        let streams = StreamOptions {
            no_delay,
            urgent_inline,
        };
        let options = ListenOptions {
            streams,
            ..ListenOptions::default()
        };
        let bound = Listener::bind(SocketAddr::new(LOCAL, 0), options).unwrap();
        let given = std::net::TcpListener::bind((LOCAL, 0)).unwrap();
        let addr = given.local_addr().unwrap();
        // This one comes before anybody has set an option.
        let _early = StdStream::connect(addr).unwrap();
        let given = Listener::from_std(given, streams).unwrap();
        let _late = StdStream::connect(addr).unwrap();
        let _client = StdStream::connect(bound.local_addr().unwrap()).unwrap();
        for listener in [&bound, &given, &given] {
            let Accepted::Stream(stream, _) = listener.accept().unwrap() else {
                panic!("nobody is there");
            };
            let socket = SockRef::from(&stream);
            assert_eq!(socket.tcp_nodelay().unwrap(), no_delay);
            assert_eq!(socket.out_of_band_inline().unwrap(), urgent_inline);
        }
    }
}

/// Accepts `count` connections with that budget; how many turns it took, and who came.
fn accept_all(listener: Listener, budget: usize, count: usize) -> (usize, Vec<SocketAddr>) {
    let mut reactor = Loop::new();
    let peers: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
    let accept = Rc::new(RefCell::new(AcceptLoop::new(listener).with_budget(budget)));
    let (a, p) = (accept.clone(), peers.clone());
    let server = Probe::new()
        .start(move |cx, ()| accept.borrow_mut().start(cx, ONE).unwrap())
        .ready(move |cx, (channel, _)| {
            a.borrow_mut()
                .ready(cx, channel, |_, _, peer| p.borrow_mut().push(peer));
        });
    reactor.spawn(server.boxed());
    let turns = turn_until(&mut reactor, || peers.borrow().len() == count);
    (turns, peers.take())
}

#[test]
fn the_accept_loop_keeps_its_budget() {
    let listener = listen(LOCAL);
    let clients: Vec<_> = (0..20)
        .map(|_| StdStream::connect((LOCAL, port(&listener))).unwrap())
        .collect();
    let (turns, peers) = accept_all(listener, 5, 20);
    assert!((4..=6).contains(&turns), "{turns}");
    let expected: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
    assert_eq!(peers, expected);
}

#[test]
fn whoever_comes_while_another_is_taken_in_is_not_overlooked() {
    // The second comes before anybody asks whether there is one, and so on; the last of each chain
    // finds the loop waiting.
    for budget in [1, 2, 64] {
        let listener = listen(LOCAL);
        let addr = listener.local_addr().unwrap();
        let mut reactor = Loop::new();
        let accept = Rc::new(RefCell::new(AcceptLoop::new(listener).with_budget(budget)));
        let (begun, count) = (accept.clone(), Rc::new(Cell::new(0)));
        let c = count.clone();
        let mut clients = Vec::new();
        reactor.spawn(
            Probe::new()
                .start(move |cx, ()| begun.borrow_mut().start(cx, ONE).unwrap())
                .ready(move |cx, (channel, _)| {
                    accept.borrow_mut().ready(cx, channel, |_, _, _| {
                        c.set(c.get() + 1);
                        if c.get() % 5 != 0 {
                            clients.push(StdStream::connect(addr).unwrap());
                        }
                    });
                })
                .boxed(),
        );
        for chain in 1..=20 {
            let _first = StdStream::connect(addr).unwrap();
            turn_until(&mut reactor, || count.get() == 5 * chain);
        }
    }
}

#[test]
fn a_panic_over_one_connection_leaves_the_acceptor_alive() {
    let listener = listen(LOCAL);
    let addr = listener.local_addr().unwrap();
    let mut reactor = Loop::new();
    let count = Rc::new(Cell::new(0));
    let c = count.clone();
    reactor.spawn(Box::new(Acceptor::new(
        listener,
        move |_, mut stream, _| {
            c.set(c.get() + 1);
            assert!(c.get() != 1, "on purpose, over the first connection");
            stream.write_all(b"hello").unwrap();
        },
    )));
    let mut first = StdStream::connect(addr).unwrap();
    let mut second = StdStream::connect(addr).unwrap();
    turn_until(&mut reactor, || count.get() == 2);
    assert_eq!(reactor.len(), 1);
    let mut text = String::new();
    assert_eq!(first.read_to_string(&mut text).unwrap(), 0);
    second.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn a_stopped_accept_loop_accepts_nothing_and_does_not_spin() {
    let listener = listen(LOCAL);
    let addr = listener.local_addr().unwrap();
    let mut reactor = Loop::new();
    let mut accept = AcceptLoop::new(listener);
    let accept = Rc::new(RefCell::new({
        accept = accept.with_budget(0);
        accept
    }));
    let (a, b) = (accept.clone(), accept.clone());
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| {
                let mut accept = accept.borrow_mut();
                accept.start(cx, ZERO).unwrap();
                accept.stop(cx);
                cx.again(ZERO);
            })
            .ready(move |cx, (channel, _)| {
                a.borrow_mut()
                    .ready(cx, channel, |_, _, _| panic!("it was stopped"));
            })
            .boxed(),
    );
    let _client = StdStream::connect(addr).unwrap();
    settle(&mut reactor);
    let begin = std::time::Instant::now();
    let pause = std::time::Duration::from_millis(30);
    reactor.turn(Some(pause)).unwrap();
    assert!(begin.elapsed() >= pause);
    assert!(b.borrow().listener().local_addr().is_ok());
}

/// Drives a connection attempt to its end.
fn finish(stream: TcpStream) -> Result<TcpStream, ErrorKind> {
    let mut reactor = Loop::new();
    let stream = Rc::new(RefCell::new(stream));
    let result: Rc<RefCell<Option<Result<(), ErrorKind>>>> = Rc::default();
    let (s, t, r) = (stream.clone(), stream.clone(), result.clone());
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| {
                cx.register(&mut *s.borrow_mut(), ZERO, Interest::WRITABLE)
                    .unwrap();
            })
            .ready(move |_, _| match finish_connect(&t.borrow()) {
                Ok(false) => {}
                Ok(true) => *r.borrow_mut() = Some(Ok(())),
                Err(error) => *r.borrow_mut() = Some(Err(error.kind())),
            })
            .boxed(),
    );
    turn_until(&mut reactor, || result.borrow().is_some());
    drop(reactor);
    let stream = Rc::try_unwrap(stream).unwrap().into_inner();
    result.take().unwrap().map(|()| stream)
}

#[test]
fn connecting_over_both_families() {
    for ip in [LOCAL, LOCAL6] {
        if ip.is_ipv6() && !has_ipv6() {
            continue;
        }
        let listener = listen(ip);
        let stream = finish(connect(listener.local_addr().unwrap(), Some(ip)).unwrap()).unwrap();
        match listener.accept().unwrap() {
            Accepted::Stream(_, peer) => assert_eq!(peer, stream.local_addr().unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn connecting_from_an_address() {
    let listener = listen(LOCAL);
    let from = Ipv4Addr::new(127, 0, 0, 2);
    // Mapped addresses, as a dual-stack socket tells them, are as good.
    for from in [from.into(), from.to_ipv6_mapped().into()] {
        let stream = connect(listener.local_addr().unwrap(), Some(from)).unwrap();
        finish(stream).unwrap();
        match listener.accept().unwrap() {
            Accepted::Stream(_, peer) => assert_eq!(peer.ip(), from.to_canonical()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn connecting_from_what_cannot_be() {
    let addr = listen(LOCAL).local_addr().unwrap();
    let error = connect(addr, Some(LOCAL6)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let foreign = "192.0.2.77".parse().unwrap();
    let error = connect(addr, Some(foreign)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn a_refusal_is_told() {
    // The port is taken, but nobody listens.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(LOCAL, 0).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let result = connect(addr, None).map_err(|error| error.kind());
    let refused = result.and_then(|stream| finish(stream).map(drop));
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
}

/// Linux lets connections wait while the accept queue is full: such a one is under way, and
/// completes when there is room.
#[cfg(target_os = "linux")]
#[test]
fn a_connection_that_takes_its_time() {
    let options = ListenOptions {
        backlog: 1,
        ..ListenOptions::default()
    };
    let listener = Listener::bind(SocketAddr::new(LOCAL, 0), options).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let waiting = loop {
        assert!(queued.len() < 50, "the queue never filled");
        let stream = connect(addr, None).unwrap();
        if finish_connect(&stream).unwrap() {
            queued.push(stream);
        } else {
            break stream;
        }
    };
    for _ in &queued {
        assert!(matches!(listener.accept(), Ok(Accepted::Stream(..))));
    }
    finish(waiting).unwrap();
}
