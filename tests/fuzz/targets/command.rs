//! Any bytes as a control connection: the same lines however they are cut, no line over the limit, no
//! password and no control character in what is logged, and no argument that breaks its parser.

#![no_main]

use std::net::IpAddr;

use ftpdlib_fuzz::proto::line::{Line, LineSplitter, MAX_LINE};
use ftpdlib_fuzz::proto::mlsx::Facts;
use ftpdlib_fuzz::proto::{addr, calendar, command, escape};
use libfuzzer_sys::fuzz_target;

fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Line<Vec<u8>>> {
    let mut splitter = LineSplitter::new();
    let mut lines = Vec::new();
    for piece in pieces {
        lines.extend(splitter.push_and_next(piece, <[u8]>::to_vec));
        lines.extend(std::iter::from_fn(|| {
            splitter.next_line(<[u8]>::to_vec)
        }));
    }
    lines
}

fuzz_target!(|data: &[u8]| {
    let (size, stream) = match data {
        [size, stream @ ..] => (usize::from(*size).max(1), stream),
        [] => return,
    };
    let whole = lines([stream].into_iter());
    assert_eq!(lines(stream.chunks(size)), whole);
    for line in whole {
        let Line::Command(line) = line else { continue };
        assert!(line.len() <= MAX_LINE);
        let parsed = command::parse(&line);
        let shown = parsed.shown().to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        if parsed.name.contains("PASS")
            || parsed.name.is_empty() && parsed.arg.to_ascii_uppercase().starts_with(b"PASS")
        {
            assert!(shown.ends_with("PASS ******"), "{shown:?}");
        }
        command::is_foreign(&parsed.name);
        let arg = &parsed.arg;
        if command::is_ls_option(arg) {
            assert!(command::strip_ls_options(arg).is_empty());
        }
        if let Some(address) = addr::parse_port(arg) {
            addr::canonical(IpAddr::V4(*address.ip()));
        }
        addr::parse_eprt(arg);
        addr::parse_epsv(arg);
        if let Some(seconds) = calendar::parse_timeval(arg) {
            assert!(calendar::timeval(seconds, calendar::Zone::Utc).is_some());
        }
        if let Some(facts) = Facts::select(Facts::available(), arg) {
            facts.names();
        }
        assert!(escape::quote_path(arg).len() >= arg.len());
    }
});
