//! The example under load: every byte comes back, a client that does not read is held back, and
//! neither it nor an idle one makes the loop turn.

#[allow(dead_code)]
#[path = "../examples/echo.rs"]
mod example;

mod common;

use common::*;
use example::Echo;
use ftpdlib_reactor::{Acceptor, Handle, ListenOptions, Listener, Reactor};
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

fn server() -> (Loop, SocketAddr) {
    let addr = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(addr, ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut reactor = Loop::new();
    reactor.spawn(Box::new(Acceptor::new(listener, |cx, stream, _| {
        cx.spawn(Box::new(Echo::new(stream)));
    })));
    (reactor, addr)
}

/// How many turns the loop makes in a while in which nothing should happen.
fn turns_in(reactor: &mut Reactor, while_: Duration) -> usize {
    let over = Rc::new(Cell::new(false));
    let o = over.clone();
    reactor.spawn(
        Probe::new()
            .start(move |cx, ()| {
                cx.call_later(while_, 0);
            })
            .timeout(move |cx, _| {
                o.set(true);
                cx.close();
            })
            .boxed(),
    );
    turn_until(reactor, || over.get())
}

/// Sends `len` bytes from one thread and reads them back in another.
fn client(addr: SocketAddr, seed: u8, len: usize) -> JoinHandle<bool> {
    thread::spawn(move || {
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8 ^ seed).collect();
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let sent = bytes.clone();
        let writer = thread::spawn(move || writer.write_all(&sent).unwrap());
        let mut back = vec![0; len];
        stream.read_exact(&mut back).unwrap();
        writer.join().unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        back == bytes && stream.read(&mut [0]).unwrap() == 0
    })
}

fn stop_after(clients: Vec<JoinHandle<bool>>, handle: Handle) -> JoinHandle<bool> {
    thread::spawn(move || {
        let all = clients.into_iter().all(|client| client.join().unwrap());
        handle.stop();
        all
    })
}

#[test]
fn every_byte_comes_back() {
    let (mut reactor, addr) = server();
    let clients = (0..8).map(|seed| client(addr, seed, 3 << 20)).collect();
    let all = stop_after(clients, reactor.handle());
    reactor.run().unwrap();
    assert!(all.join().unwrap());
    settle(&mut reactor);
    assert_eq!(reactor.len(), 1);
}

#[test]
fn neither_an_idle_client_nor_a_deaf_one_makes_the_loop_turn() {
    let (mut reactor, addr) = server();
    let mut idle = TcpStream::connect(addr).unwrap();
    idle.write_all(b"hello").unwrap();
    let mut deaf = TcpStream::connect(addr).unwrap();
    deaf.set_nonblocking(true).unwrap();
    // It sends until nothing more goes in, for many turns: both directions are full then.
    let (mut sent, mut vain) = (0, 0);
    while vain < 100 {
        match deaf.write(&[7; 65536]) {
            Ok(n) => (sent, vain) = (sent + n, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => vain += 1,
            Err(error) => panic!("{error}"),
        }
        reactor.turn(Some(Duration::from_millis(1))).unwrap();
    }
    let turns = turns_in(&mut reactor, Duration::from_millis(100));
    assert!(turns <= 5, "{turns} turns for nothing");

    // It can hear after all, and gets everything.
    let handle = reactor.handle();
    let reader = thread::spawn(move || {
        deaf.set_nonblocking(false).unwrap();
        deaf.set_read_timeout(Some(LONG)).unwrap();
        deaf.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        let result = deaf.read_to_end(&mut bytes);
        handle.stop();
        result.map(|_| bytes.len())
    });
    reactor.run().unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), sent);
}
