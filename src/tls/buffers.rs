//! The two ends of a tunnel's work: where plaintext goes, and the records that wait to be sent.

use rustls::server::ServerConnectionData;
use rustls::unbuffered::{EncodeError, EncodeTlsData, InsufficientSizeError};

/// Records for the transport; grows to its largest use and is not cleared in between.
#[derive(Default)]
pub(super) struct Outgoing {
    buf: Vec<u8>,
    filled: usize,
    sent: usize,
}

/// Where plaintext goes: to the front of the scratch buffer, or to the side.
pub(super) struct Opened {
    to_front: bool,
    /// So much is enough; a record is taken whole, though.
    pub(super) max: usize,
    pub(super) count: usize,
    /// It stopped because there was enough.
    pub(super) full: bool,
}

impl Opened {
    pub(super) fn front(max: usize) -> Opened {
        Opened {
            to_front: true,
            max,
            count: 0,
            full: false,
        }
    }

    pub(super) fn aside() -> Opened {
        Opened {
            to_front: false,
            max: 0,
            count: 0,
            full: false,
        }
    }

    pub(super) fn put(&mut self, front: &mut [u8], payload: &[u8], aside: &mut Vec<u8>) {
        if !self.to_front {
            return aside.extend_from_slice(payload);
        }
        front[self.count..self.count + payload.len()].copy_from_slice(payload);
        self.count += payload.len();
        self.full = self.count >= self.max;
    }
}

/// The sizes of the client's last record with plaintext; most clients stay with one size.
#[derive(Clone, Copy, Default)]
pub(super) struct Stride {
    pub(super) wire: usize,
    pub(super) plain: usize,
}

impl Stride {
    /// How much of `most` bytes to read behind `kept` ones for about `max` bytes of plaintext: if
    /// the client stays with its size, whole records, so that no rest need be kept.
    pub(super) fn room(self, most: usize, kept: usize, max: usize) -> usize {
        let Some(fitting) = (kept + most).checked_div(self.wire) else {
            return most;
        };
        let wanted = max.div_ceil(self.plain.max(1));
        match (fitting.min(wanted) * self.wire).saturating_sub(kept) {
            0 => most,
            room => room,
        }
    }
}

impl Outgoing {
    pub(super) fn is_pending(&self) -> bool {
        self.sent < self.filled
    }

    pub(super) fn pending(&self) -> &[u8] {
        &self.buf[self.sent..self.filled]
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buf.capacity()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.filled {
            self.sent = 0;
            self.filled = 0;
        }
    }

    pub(super) fn append_record(&mut self, mut record: EncodeTlsData<'_, ServerConnectionData>) {
        self.append(|buf| match record.encode(buf) {
            Ok(count) => Ok(count),
            Err(EncodeError::InsufficientSize(size)) => Err(Some(size)),
            Err(EncodeError::AlreadyEncoded) => Err(None),
        });
    }

    /// Lets `encode` write into the space behind what there is, with as much of it as it asks for.
    /// Gives what it wrote.
    pub(super) fn append(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
    ) -> usize {
        loop {
            match encode(&mut self.buf[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    return count;
                }
                Err(Some(size)) => {
                    let wanted = self.filled + size.required_size;
                    if wanted <= self.buf.len() {
                        return 0;
                    }
                    self.buf.resize(wanted, 0);
                }
                Err(None) => return 0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_records_are_read() {
        let stride = Stride {
            wire: 16_406,
            plain: 16_384,
        };
        assert_eq!(Stride::default().room(9_000, 0, 1_000), 9_000);
        // As many as hold what is wanted, or as have room.
        assert_eq!(stride.room(1_100_000, 0, 1 << 20), 64 * 16_406);
        assert_eq!(stride.room(100_000, 0, 1 << 20), 6 * 16_406);
        // With the rest of one.
        assert_eq!(stride.room(1_100_000, 5_000, 1 << 20), 64 * 16_406 - 5_000);
        assert_eq!(stride.room(20_000, 5_000, 1), 16_406 - 5_000);
        // A record that grew beyond the others is read in one piece all the same.
        for kept in [16_406, 16_407, 70_000] {
            assert_eq!(stride.room(20_000, kept, 1), 20_000);
        }
        assert_eq!(Stride { wire: 22, plain: 0 }.room(100, 0, 50), 88);
    }
}
