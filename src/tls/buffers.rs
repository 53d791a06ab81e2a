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

/// Where plaintext goes: so much of it to the front of the scratch buffer, the rest to the side.
pub(super) struct Opened {
    pub(super) front: Option<usize>,
    pub(super) count: usize,
    /// It stopped because there was enough.
    pub(super) full: bool,
}

impl Opened {
    pub(super) fn front(max: usize) -> Opened {
        Opened {
            front: Some(max),
            count: 0,
            full: false,
        }
    }

    pub(super) fn aside() -> Opened {
        Opened {
            front: None,
            count: 0,
            full: false,
        }
    }

    pub(super) fn put(&mut self, front: &mut [u8], payload: &[u8], surplus: &mut Vec<u8>) {
        let max = self.front.unwrap_or(0);
        let room = max.min(front.len()) - self.count;
        let (now, later) = payload.split_at(payload.len().min(room));
        front[self.count..self.count + now.len()].copy_from_slice(now);
        self.count += now.len();
        surplus.extend_from_slice(later);
        self.full = self.front.is_some() && self.count >= max;
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
