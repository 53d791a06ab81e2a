//! What the sessions of a loop use in turns: buffers, for whoever has something to do, and random
//! numbers, which are cheaper by the dozen.
//!
//! It is the loop's ([`Context::common`](ftpdlib_reactor::Context::common)), and loops are made behind
//! every fork: no two processes have a random number in common.

use std::collections::VecDeque;
use std::mem;

use super::interpreter::{Input, Step};
use super::random::Numbers;

/// Bytes of a buffer that is kept: what has grown beyond is given back to the system.
const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct PerLoop {
    pub(super) steps: VecDeque<Step>,
    pub(super) inputs: VecDeque<Input>,
    pub(super) replies: Vec<u8>,
    pub(super) numbers: Numbers,
}

impl PerLoop {
    pub(super) fn release_buffers(&mut self) {
        self.steps = VecDeque::new();
        self.inputs = VecDeque::new();
        self.replies = Vec::new();
    }
}

/// Memory that a session has while it has something to do.
pub(super) trait Buffer: Default {
    fn is_empty(&self) -> bool;
    /// In bytes.
    fn room(&self) -> usize;
}

impl Buffer for Vec<u8> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn room(&self) -> usize {
        self.capacity()
    }
}

impl<T> Buffer for VecDeque<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn room(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

/// Lends the buffer that is kept, unless the session has one.
pub(super) fn lend<B: Buffer>(kept: &mut B, own: &mut B) {
    if own.room() == 0 {
        mem::swap(kept, own);
    }
}

/// Takes the session's buffer back when it is empty, and keeps it if there is none yet.
pub(super) fn take_back<B: Buffer>(kept: &mut B, own: &mut B) {
    if own.room() == 0 || !own.is_empty() {
        return;
    }
    if kept.room() == 0 && own.room() <= MOST {
        mem::swap(kept, own);
    } else {
        *own = B::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_from_session_to_session() {
        let (mut kept, mut one, mut other) = (Vec::new(), Vec::with_capacity(9), Vec::new());
        one.push(1);
        take_back(&mut kept, &mut one);
        assert_eq!((&one[..], kept.capacity()), (&[1][..], 0));
        one.clear();
        take_back(&mut kept, &mut one);
        let room = kept.capacity();
        assert!(room >= 9 && one.capacity() == 0);
        lend(&mut kept, &mut other);
        assert_eq!((kept.capacity(), other.capacity()), (0, room));
        lend(&mut kept, &mut one);
        assert_eq!(one.capacity(), 0);
    }

    #[test]
    fn one_is_kept_and_none_that_is_large() {
        let mut kept: Vec<u8> = Vec::new();
        take_back(&mut kept, &mut Vec::with_capacity(MOST + 1));
        assert_eq!(kept.capacity(), 0);
        take_back(&mut kept, &mut Vec::with_capacity(1));
        let room = kept.capacity();
        take_back(&mut kept, &mut Vec::with_capacity(100));
        assert_eq!(kept.capacity(), room);
    }
}
