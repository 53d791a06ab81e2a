//! An FTP server as a library, after the design of Python's pyftpdlib: fast, small and safe.
//!
//! A server is built, bound, and served:
//!
//! ```no_run
//! use ftpdlib::{DummyAuthorizer, FtpServer, Perm};
//!
//! let mut users = DummyAuthorizer::new();
//! users.add_user("user", "12345", ".", Perm::ALL)?;
//! users.add_anonymous(".")?;
//!
//! FtpServer::builder()
//!     .authorizer(users)
//!     .banner("ftpdlib ready.")
//!     .passive_ports(60000..=65535)
//!     .bind("0.0.0.0:2121")?
//!     .serve_forever()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Who may log in: an [`Authorizer`], such as [`DummyAuthorizer`] or [`FileAuthorizer`].
//! - What happens besides: a [`Handler`]'s callbacks, with the [`Session`] they are about.
//! - Commands of your own: [`Command`].
//! - Where files are: a [`FileSystem`], such as [`LocalFilesystem`] or [`MemoryFilesystem`]; with
//!   [`ReadOnly`] and [`Overlay`] around any of them.
//! - In a test of an FTP client: [`FtpServer::spawn`].
//!
//! Everything runs on one thread, on the event loop of the [`reactor`] crate. Work that blocks is
//! moved to threads: the library's own by file systems and authorizers that say they are slow, a
//! callback's by [`Session::offload`] and [`Session::del_channel`].
//!
//! Messages go to the [`log`] crate under the target `ftpdlib`.
#![deny(unsafe_code)]

mod auth;
mod error;
mod fs;
mod proto;
mod server;
mod session;
mod stream;
mod sys;
mod target;
mod tls;

pub use ftpdlib_reactor as reactor;
pub use rustls;

#[cfg(any(unix, windows))]
pub use auth::Identity;
pub use auth::{
    Account, AuthFailed, Authorizer, AuthorizerError, ClientCertificate, Credentials,
    DummyAuthorizer, FileAuthorizer, Grant, Limits, Password, PasswordHash, PasswordHashError,
    User,
};
#[cfg(unix)]
pub use auth::{UnixAuthorizer, UnixOverride, UnixSettings};
#[cfg(windows)]
pub use auth::{WindowsAuthorizer, WindowsOverride, WindowsSettings};
pub use error::Error;
#[cfg(unix)]
pub use fs::UnixFilesystem;
pub use fs::{
    Directory, File, FileKind, FileSystem, LocalFilesystem, MemoryFilesystem, Metadata, OpenMode,
    Overlay, ReadOnly, describe,
};
pub use proto::command::{Arg, CommandLine};
pub use proto::encoding::{Encoding, EncodingError};
pub use proto::path::{PathError, VirtualPath};
pub use proto::perm::{Perm, PermError};
pub use proto::reply::{Reply, Text};
pub use proto::verb::Verb;
pub use reactor::TimerId;
pub use server::{
    Builder, Capability, Control, FtpServer, ServerHandle, Workers, drop_privileges,
    inherited_listener, raise_descriptor_limit,
};
pub use session::hooks::command::Command;
pub use session::hooks::handler::{Handler, Verdict};
pub use session::hooks::offload::OffloadError;
pub use session::hooks::session::Session;
pub use session::hooks::sleeping::Sleeping;
pub use session::interpreter::transferred::Transferred;
pub use session::work::pooled::Work;
pub use tls::{SessionReuse, Tls, TlsError};

/// The examples of the guides compile.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/tutorial.md")]
    mod tutorial {}
    #[doc = include_str!("../docs/faq.md")]
    mod faq {}
    #[doc = include_str!("../docs/filesystems.md")]
    mod filesystems {}
    #[doc = include_str!("../docs/migrating.md")]
    mod migrating {}
}
