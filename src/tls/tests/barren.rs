//! A client that sends without end what holds no plaintext does not hold the loop.

use std::io::{self, Read, Write};

use super::*;

/// Has always one more byte, and counts how often it was asked.
struct Drip<'a> {
    bytes: &'a mut dyn Iterator<Item = u8>,
    asked: u32,
}

impl Read for Drip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.asked += 1;
        buf[0] = self.bytes.next().unwrap();
        Ok(1)
    }
}

impl Write for Drip<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn reading_asks_for_another_turn() {
    for version in VERSIONS {
        let pki = Pki::new();
        let mut duo = data_duo(&pki, version);
        duo.client.writer().write_all(b"NOOP\r\n").unwrap();
        duo.client_sends();
        let record: Vec<u8> = duo.wire.to_server.drain(..).collect();
        let count = record.len();
        let mut bytes = record.into_iter();
        let mut turns = 0;
        let read = loop {
            let mut drip = Drip {
                bytes: &mut bytes,
                asked: 0,
            };
            let read = duo.server.read(&mut drip, &mut duo.scratch, 100);
            assert!(drip.asked <= 2, "{} reads in a turn", drip.asked);
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => turns += 1,
                read => break read.unwrap(),
            }
        };
        assert_eq!(&duo.scratch[..read], b"NOOP\r\n");
        assert!(turns >= count / 2 - 1, "{turns} turns for {count} bytes");
        // The work is told once.
        assert!(duo.server.take_work() >= count);
        assert_eq!(duo.server.take_work(), 0);
    }
}
