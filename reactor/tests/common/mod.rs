//! What the tests share: a dispatcher made of closures, a log of what was called, socket pairs.
#![allow(dead_code, unreachable_pub, missing_docs)]

use ftpdlib_reactor::{
    Channel, Context, Dispatcher, Interest, Message, Reactor, Ready, TcpStream, TimerId,
};
use std::any::Any;
use std::cell::RefCell;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream as StdStream};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

pub const ZERO: Channel = Channel::new(0);
pub const ONE: Channel = Channel::new(1);

/// Longer than anything here takes on the slowest machine.
pub const LONG: Duration = Duration::from_secs(30);

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

thread_local! {
    static UNEXPECTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A reactor. It catches the panics of its dispatchers, failed assertions included; this notes
/// them, unless they are "on purpose", and fails the test in the end.
pub struct Loop {
    reactor: Reactor,
    _verdict: Verdict,
}

struct Verdict;

impl Loop {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Loop {
        Loop {
            reactor: Reactor::new().unwrap(),
            _verdict: Verdict,
        }
    }
}

impl Deref for Loop {
    type Target = Reactor;

    fn deref(&self) -> &Reactor {
        &self.reactor
    }
}

impl DerefMut for Loop {
    fn deref_mut(&mut self) -> &mut Reactor {
        &mut self.reactor
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        let unexpected = UNEXPECTED.take();
        assert!(
            unexpected.is_empty() || thread::panicking(),
            "in a callback: {unexpected:?}"
        );
    }
}

fn note(payload: &(dyn Any + Send)) {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    if !text.contains("on purpose") {
        UNEXPECTED.with_borrow_mut(|all| all.push(text));
    }
}

type Call<T> = Box<dyn FnMut(&mut Context<'_>, T)>;

/// A dispatcher whose callbacks are closures. Its drop can be observed, too.
#[derive(Default)]
pub struct Probe {
    stream: Option<TcpStream>,
    start: Option<Call<()>>,
    ready: Option<Call<(Channel, Ready)>>,
    timeout: Option<Call<(TimerId, usize)>>,
    message: Option<Call<Message>>,
    signal: Option<Call<i32>>,
    closed: Option<Call<()>>,
    dropped: Option<Box<dyn FnMut()>>,
}

macro_rules! setters {
    ($($name:ident: $argument:ty),*) => { $(
        #[must_use]
        pub fn $name(mut self, f: impl FnMut(&mut Context<'_>, $argument) + 'static) -> Probe {
            self.$name = Some(Box::new(f));
            self
        }
    )* };
}

impl Probe {
    pub fn new() -> Probe {
        Probe::default()
    }

    setters!(
        start: (),
        ready: (Channel, Ready),
        timeout: (TimerId, usize),
        message: Message,
        signal: i32,
        closed: ()
    );

    #[must_use]
    pub fn dropped(mut self, f: impl FnMut() + 'static) -> Probe {
        self.dropped = Some(Box::new(f));
        self
    }

    /// Owns a stream, and registers it for reading on channel 0 when it starts.
    #[must_use]
    pub fn owning(mut self, stream: TcpStream) -> Probe {
        self.stream = Some(stream);
        self
    }

    pub fn boxed(self) -> Box<Probe> {
        Box::new(self)
    }
}

fn call<T>(f: &mut Option<Call<T>>, cx: &mut Context<'_>, argument: T) {
    if let Some(f) = f {
        let called = catch_unwind(AssertUnwindSafe(|| f(cx, argument)));
        if let Err(payload) = called {
            note(&*payload);
            resume_unwind(payload);
        }
    }
}

impl Dispatcher for Probe {
    fn start(&mut self, cx: &mut Context<'_>) {
        if let Some(stream) = &mut self.stream {
            cx.register(stream, ZERO, Interest::READABLE).unwrap();
        }
        call(&mut self.start, cx, ());
    }

    fn ready(&mut self, cx: &mut Context<'_>, channel: Channel, ready: Ready) {
        call(&mut self.ready, cx, (channel, ready));
    }

    fn timeout(&mut self, cx: &mut Context<'_>, timer: TimerId, tag: usize) {
        call(&mut self.timeout, cx, (timer, tag));
    }

    fn message(&mut self, cx: &mut Context<'_>, message: Message) {
        call(&mut self.message, cx, message);
    }

    fn signal(&mut self, cx: &mut Context<'_>, signal: i32) {
        call(&mut self.signal, cx, signal);
    }

    fn closed(&mut self, cx: &mut Context<'_>) {
        call(&mut self.closed, cx, ());
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(f) = &mut self.dropped {
            f();
        }
    }
}

/// A connected pair: the loop's side and the client's.
pub fn pair() -> (TcpStream, StdStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    (TcpStream::from_std(server), client)
}

/// Reads until `WouldBlock`: the bytes, and whether the end was there.
pub fn drain(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (bytes, true),
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (bytes, false),
            Err(error) => panic!("reading: {error}"),
        }
    }
}

/// Turns until `done`; how many turns it took.
pub fn turn_until(reactor: &mut Reactor, mut done: impl FnMut() -> bool) -> usize {
    let deadline = Instant::now() + LONG;
    let mut turns = 0;
    while !done() {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited in vain");
        reactor.turn(Some(left)).unwrap();
        turns += 1;
    }
    turns
}

/// Turns until nothing is left to do at once.
pub fn settle(reactor: &mut Reactor) {
    for _ in 0..5 {
        reactor.turn(Some(Duration::ZERO)).unwrap();
    }
}

pub fn text(message: Message) -> String {
    match message.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => "not a text".to_string(),
    }
}

pub fn message(text: &str) -> Message {
    Box::new(text.to_string())
}
