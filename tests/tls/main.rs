//! FTPS as clients see it, over real sockets: a raw client on rustls, and those that people use.
//!
//! Written for UNIX: for its file names, modes, links and descriptors.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
// Certificates, as the library's own tests make them.
#[allow(dead_code)]
#[path = "../../src/tls/testing.rs"]
mod testing;

mod client;
mod clients;
mod control;
mod crowded;
mod data;
mod ftp_ssl;
mod program;
mod reload;
mod reuse;
mod sni;
mod verdicts;

use ftpdlib::Tls;

use common::TestServer;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use testing::Pki;

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A server with a certificate of this authority.
pub(crate) fn server(pki: &Pki, settings: impl FnOnce(Tls) -> Tls) -> TestServer {
    TestServer::with(|builder| builder.tls(settings(pki.tls())))
}
