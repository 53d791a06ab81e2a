//! File work as data: every touch of the file system, and every password check, is a [`Job`] value
//! with an [`Outcome`] value.
//!
//! The interpreter writes jobs without knowing where they run. [`Job::is_slow`] is the one place
//! that decides: at once on the loop, or on a worker thread while the interpreter waits.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::cancel::Cancel;
use super::digesting::{Digested, Digesting};
use super::listing::{Format, Listing};
use super::measuring::measure;
use super::opening::{OpenError, at_offset};
use super::pooled::{Pooled, Work};
use super::upload::{Fate, Hidden, Target, Upload};
use super::warming::Warming;
use crate::auth::{Account, AuthFailed, Credentials};
use crate::fs::{File, FileSystem, Metadata, OpenMode, is_large, together};
use crate::proto::path::VirtualPath;
use crate::proto::reply::Reply;
use crate::session::config::Config;
use crate::session::limits::census::usage::Amount;
use crate::session::limits::guard::Checked;
use crate::session::random;

/// Tells a job's outcome from that of an earlier one that nobody waits for any more.
pub(crate) type JobId = u32;

/// Work that may block.
pub(crate) enum Job {
    /// PASS.
    Authenticate(Arc<Config>, Box<Credentials>),
    /// Counts what a user has stored.
    Measure(Arc<dyn FileSystem>, Cancel),
    /// Work on a user's files.
    Files(Arc<dyn FileSystem>, Files),
    /// The next bytes of a download or listing, into an empty buffer that may have room already.
    Fill(Source, Vec<u8>, usize),
    /// The next part of a file that is sent, from the disk into the system's memory.
    Warm(Warming),
    /// Received bytes to the file.
    Store(Box<dyn File>, Vec<u8>),
    /// The end of an upload.
    Close {
        file: Box<dyn File>,
        /// Its file system is; else it is slow to let go of only, and better here than not at all.
        slow: bool,
    },
    /// The next piece of a file's digest.
    Digest(Box<Digesting>),
    /// What becomes of an upload's hidden file.
    Settle(Hidden, Fate),
    /// A library user's command.
    Command {
        run: Pooled,
        work: Work,
        path: VirtualPath,
    },
}

/// What is asked of a file system.
#[derive(Debug)]
pub(crate) enum Files {
    /// The facts of a path; links are followed or not.
    Metadata {
        path: VirtualPath,
        follow: bool,
    },
    /// Whether a directory can be the current one.
    EnterDir(VirtualPath),
    CreateDir(VirtualPath),
    RemoveDir(VirtualPath),
    RemoveFile(VirtualPath),
    Rename {
        from: VirtualPath,
        to: VirtualPath,
        /// What has the name `to` already may go.
        replace: bool,
    },
    SetMode(VirtualPath, u32),
    /// Answers with the new facts.
    SetModified(VirtualPath, i64),
    /// RETR, from an offset.
    OpenRead {
        path: VirtualPath,
        rest: u64,
    },
    /// Whether a STOR could work, found out without changing anything.
    CheckStore(Target),
    /// A name that no file has, for STOU.
    UniqueName {
        dir: VirtualPath,
        prefix: Vec<u8>,
    },
    /// STOR, APPE, STOU once data can flow.
    OpenWrite(Target),
    /// LIST, NLST, MLSD, STAT.
    OpenListing {
        path: VirtualPath,
        format: Format,
    },
}

/// What became of a [`Job`].
pub(crate) enum Outcome {
    Login(Result<Account, AuthFailed>),
    /// An answer to PASS that is to wait for so long.
    Held(Box<Outcome>, Duration),
    /// No password is looked at that comes from there.
    Banned,
    Done(io::Result<()>),
    /// None if it was cancelled.
    Measured(Option<Amount>),
    Metadata(io::Result<Metadata>),
    Path(io::Result<VirtualPath>),
    Checked(Result<(), OpenError>),
    File(Result<Box<dyn File>, OpenError>),
    Upload(Result<Upload, OpenError>),
    Listing(io::Result<Box<Listing>>),
    /// The source, its bytes, and whether more may come.
    Filled(Source, Vec<u8>, io::Result<bool>),
    /// The file, and how much of it is in memory from where the part began.
    Warmed(Box<dyn File>, io::Result<u64>),
    /// The file, its buffer emptied for the next bytes.
    Stored(Box<dyn File>, Vec<u8>, io::Result<()>),
    Digested(Digested),
    /// What a library user's command says.
    Reply(Reply),
    /// The job panicked on its thread.
    Lost,
}

/// Where bytes for the client come from.
pub(crate) enum Source {
    File(Box<dyn File>),
    Listing(Box<Listing>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::File(_) => "File",
            Source::Listing(_) => "Listing",
        })
    }
}

impl Source {
    /// Appends up to about `max` bytes to `out`; false at the end.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, max: usize) -> io::Result<bool> {
        match self {
            Source::Listing(listing) => listing.fill(out, max),
            Source::File(file) => {
                let start = out.len();
                out.resize(start + max, 0);
                let read = file.read(&mut out[start..]);
                out.truncate(start + *read.as_ref().unwrap_or(&0));
                read.map(|count| count > 0)
            }
        }
    }
}

impl Job {
    /// Whether it may take long, and so must not run on the loop.
    pub(crate) fn is_slow(&self) -> bool {
        match self {
            Job::Authenticate(config, _) => config.authorizer.is_slow(),
            Job::Files(fs, work) => work.is_of_slow_files(&**fs) || work.frees_much(&**fs),
            Job::Fill(Source::Listing(listing), ..) => listing.is_slow(),
            // Asked for only where the file system is slow, or a file's bytes are not at hand.
            Job::Fill(Source::File(_), ..) | Job::Warm(_) => true,
            Job::Store(..) | Job::Close { .. } => true,
            Job::Settle(hidden, fate) => hidden.is_slow_to_settle(*fate),
            Job::Measure(..) | Job::Digest(_) | Job::Command { .. } => true,
        }
    }

    /// Whether what it opens is slow, too.
    pub(crate) fn is_of_slow_files(&self) -> bool {
        match self {
            Job::Files(fs, work) => work.is_of_slow_files(&**fs),
            Job::Settle(hidden, _) => hidden.filesystem().changes_are_slow(),
            Job::Close { slow, .. } => *slow,
            _ => true,
        }
    }

    /// Lets it stop when nobody wants its outcome any more, where it has pieces to stop between.
    pub(crate) fn cancel_by(&mut self, cancel: Cancel) {
        match self {
            Job::Fill(Source::Listing(listing), ..) => listing.cancel_by(cancel),
            Job::Warm(warming) => warming.cancel_by(cancel),
            _ => {}
        }
    }

    /// Does it on the loop, as it is not [slow](Job::is_slow). One that turns out to be is given back, for a
    /// worker thread.
    pub(crate) fn run_at_once(self) -> Result<Outcome, Job> {
        let (fs, target) = match self {
            Job::Files(fs, Files::OpenWrite(target)) => (fs, target),
            job => return Ok(job.run()),
        };
        match together(&*fs, || target.open_at_once(&fs)) {
            Some(Ok(Some(upload))) => Ok(Outcome::Upload(Ok(upload))),
            Some(Ok(None)) => Err(Job::Files(fs, Files::OpenWrite(target))),
            Some(Err(error)) => Ok(Outcome::Upload(Err(error))),
            None => Ok(Outcome::Lost),
        }
    }

    /// Does it, on the thread that calls.
    pub(crate) fn run(self) -> Outcome {
        match self {
            Job::Authenticate(config, credentials) => {
                let guard = &config.guard;
                match guard.authenticate(&*config.authorizer, &credentials) {
                    Checked::Banned => Outcome::Banned,
                    Checked::Answered(result, hold) if hold.is_zero() => Outcome::Login(result),
                    Checked::Answered(result, hold) => {
                        Outcome::Held(Box::new(Outcome::Login(result)), hold)
                    }
                }
            }
            Job::Measure(fs, cancel) => {
                let measured = together(&*fs, || measure(&*fs, &cancel));
                measured.map_or(Outcome::Lost, Outcome::Measured)
            }
            Job::Files(fs, files) => {
                let files = || files.run(Arc::clone(&fs));
                together(&*fs, files).unwrap_or(Outcome::Lost)
            }
            Job::Fill(mut source, mut bytes, max) => {
                let more = source.fill(&mut bytes, max);
                Outcome::Filled(source, bytes, more)
            }
            Job::Warm(warming) => {
                let (file, read) = warming.run();
                Outcome::Warmed(file, read)
            }
            Job::Store(mut file, mut bytes) => {
                let result = file.write_all(&bytes);
                bytes.clear();
                Outcome::Stored(file, bytes, result)
            }
            Job::Close { file, .. } => Outcome::Done(file.close()),
            Job::Settle(hidden, fate) => Outcome::Done(hidden.settle(fate)),
            Job::Digest(digesting) => Outcome::Digested(digesting.run()),
            Job::Command { run, work, path } => {
                Outcome::Reply(run(&work, &path).unwrap_or_else(|reply| reply))
            }
        }
    }
}

impl Files {
    /// Whether the disk is another afterwards. Of what only looks, the outcome may be dropped.
    pub(crate) fn changes_something(&self) -> bool {
        match self {
            Files::Metadata { .. }
            | Files::EnterDir(_)
            | Files::OpenRead { .. }
            | Files::CheckStore(_)
            | Files::UniqueName { .. }
            | Files::OpenListing { .. } => false,
            Files::CreateDir(_)
            | Files::RemoveDir(_)
            | Files::RemoveFile(_)
            | Files::Rename { .. }
            | Files::SetMode(..)
            | Files::SetModified(..)
            | Files::OpenWrite(_) => true,
        }
    }

    fn is_of_slow_files(&self, fs: &dyn FileSystem) -> bool {
        match self.changes_something() {
            true => fs.changes_are_slow(),
            false => fs.is_slow(),
        }
    }

    /// Whether the system has to let go of a large file for it.
    fn frees_much(&self, fs: &dyn FileSystem) -> bool {
        match self {
            Files::RemoveFile(path) => is_large(fs, path),
            Files::Rename {
                to, replace: true, ..
            } => is_large(fs, to),
            _ => false,
        }
    }

    fn run(self, fs: Arc<dyn FileSystem>) -> Outcome {
        match self {
            Files::Metadata { path, follow: true } => Outcome::Metadata(fs.metadata(&path)),
            Files::Metadata {
                path,
                follow: false,
            } => Outcome::Metadata(fs.symlink_metadata(&path)),
            Files::EnterDir(path) => Outcome::Done(fs.enter_dir(&path)),
            Files::CreateDir(path) => Outcome::Done(fs.create_dir(&path)),
            Files::RemoveDir(path) => Outcome::Done(fs.remove_dir(&path)),
            Files::RemoveFile(path) => Outcome::Done(fs.remove_file(&path)),
            Files::Rename { from, to, replace } => Outcome::Done(match replace {
                true => fs.rename(&from, &to),
                false => fs.rename_new(&from, &to),
            }),
            Files::SetMode(path, mode) => Outcome::Done(fs.set_mode(&path, mode)),
            Files::SetModified(path, seconds) => Outcome::Metadata(
                fs.set_modified(&path, seconds)
                    .and_then(|()| fs.metadata(&path)),
            ),
            Files::OpenRead { path, rest } => Outcome::File(open_at(&*fs, &path, rest)),
            Files::CheckStore(target) => Outcome::Checked(target.check(&*fs)),
            Files::UniqueName { dir, prefix } => Outcome::Path(unique_name(&*fs, &dir, &prefix)),
            Files::OpenWrite(target) => Outcome::Upload(target.open(&fs)),
            Files::OpenListing { path, format } => {
                Outcome::Listing(Listing::open(fs, &path, format).map(Box::new))
            }
        }
    }
}

fn open_at(fs: &dyn FileSystem, path: &VirtualPath, rest: u64) -> Result<Box<dyn File>, OpenError> {
    at_offset(fs.open(path, OpenMode::Read)?, rest)
}

fn not_a_directory() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, "Not a directory")
}

/// How many names STOU tries before it gives up.
const UNIQUE_TRIES: u64 = 50;

fn unique_name(fs: &dyn FileSystem, dir: &VirtualPath, prefix: &[u8]) -> io::Result<VirtualPath> {
    if !fs.metadata(dir)?.is_dir() {
        return Err(not_a_directory());
    }
    for _ in 0..UNIQUE_TRIES {
        let mut name = prefix.to_vec();
        name.extend(random::letters().take(8));
        let path = dir.child(&name);
        match fs.symlink_metadata(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("No usable unique file name found"))
}
