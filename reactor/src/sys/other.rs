//! Systems without signals: there is nothing to watch.

use mio::{Registry, Token};
use std::convert::Infallible;
use std::io;

/// Cannot be made here.
pub(crate) struct Watch(Infallible);

impl Watch {
    pub(crate) fn new() -> io::Result<Watch> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn register(&mut self, _: &Registry, _: Token) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn add(&mut self, _: i32) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn remove(&mut self, _: i32) {
        match self.0 {}
    }

    pub(crate) fn read(&mut self) -> Vec<i32> {
        match self.0 {}
    }
}

pub(crate) fn ignore(_: i32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
