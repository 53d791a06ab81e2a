//! From a command's argument to a checked virtual path: the one place that does it.

use super::replies::not_logged_in;
use super::state::Interpreter;
use super::table::Argument;
use crate::auth::Grant;
use crate::proto::path::{PathError, VirtualPath};
use crate::proto::perm::Perm;
use crate::proto::reply::Reply;
use crate::session::logging;
use crate::session::work::job::{Files, Outcome};

impl Interpreter {
    /// The path that a client's bytes name from the current directory.
    pub(super) fn resolve(&self, arg: &[u8]) -> Result<VirtualPath, PathError> {
        self.directory.join(&self.config.encoding.decode(arg))
    }

    /// A path as the client is to read it.
    pub(super) fn shown(&self, path: &VirtualPath) -> Vec<u8> {
        self.config.encoding.encode(path.as_bytes()).into_owned()
    }

    /// Resolves `arg`, checks `perm` on it, and goes on.
    pub(super) fn with_path(
        &mut self,
        arg: &[u8],
        perm: Perm,
        then: impl FnOnce(&mut Interpreter, VirtualPath) + 'static,
    ) {
        match self.resolve(arg) {
            Ok(path) => {
                self.name_in_log(&path);
                self.with_permission(path, perm, then);
            }
            Err(error) => self.finish(Reply::new(550, format!("{error}."))),
        }
    }

    /// Checks `perm` on a path, and goes on.
    pub(super) fn with_permission(
        &mut self,
        path: VirtualPath,
        perm: Perm,
        then: impl FnOnce(&mut Interpreter, VirtualPath) + 'static,
    ) {
        let Some(account) = &self.account else {
            return self.finish(not_logged_in());
        };
        match account.has_perm(perm, &path) {
            Grant::Yes => then(self, path),
            Grant::No => self.not_enough_privileges(),
            Grant::Depends { on_directory } => {
                let work = Files::Metadata {
                    path: path.clone(),
                    follow: true,
                };
                self.files(work, move |it, outcome| {
                    let directory = matches!(outcome, Outcome::Metadata(Ok(meta)) if meta.is_dir());
                    if directory == on_directory {
                        then(it, path);
                    } else {
                        it.not_enough_privileges();
                    }
                });
            }
        }
    }

    /// As [`with_path`](Self::with_path), for an argument that may be empty or have a second
    /// reading.
    pub(super) fn with_argument(
        &mut self,
        argument: Argument,
        arg: &[u8],
        perm: Perm,
        run: fn(&mut Interpreter, VirtualPath),
    ) {
        let Some(other) = (argument.otherwise)(arg) else {
            return self.with_path(argument.or_default(arg), perm, run);
        };
        let other = argument.or_default(other);
        let Ok(path) = self.resolve(arg) else {
            return self.with_path(other, perm, run);
        };
        let (exact, other) = (arg.to_vec(), other.to_vec());
        self.files(
            Files::Metadata {
                path,
                follow: false,
            },
            move |it, outcome| {
                let exists = matches!(outcome, Outcome::Metadata(Ok(_)));
                it.with_path(if exists { &exact } else { &other }, perm, run);
            },
        );
    }

    /// For `word path` arguments.
    pub(super) fn with_word_and_path(
        &mut self,
        arg: &[u8],
        perm: Perm,
        run: fn(&mut Interpreter, &[u8], VirtualPath),
    ) {
        let Some((word, path)) = split_word(arg) else {
            return self.finish(Reply::new(
                501,
                "Syntax error: command needs two arguments.",
            ));
        };
        let word = word.to_vec();
        self.with_path(path, perm, move |it, path| run(it, &word, path));
    }

    pub(super) fn not_enough_privileges(&mut self) {
        self.finish(Reply::new(550, "Not enough privileges."));
    }

    /// The log names files by their real path, as the administrator knows them.
    fn name_in_log(&mut self, path: &VirtualPath) {
        if let (Some(current), Some(account)) = (&mut self.current, &self.account) {
            let real = account.filesystem().real_path(path);
            current.shown = logging::shown(real.as_deref(), path);
        }
    }
}

/// The first word and what follows the one blank behind it.
pub(super) fn split_word(arg: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = arg.iter().position(|&byte| byte == b' ')?;
    let (word, rest) = (&arg[..blank], &arg[blank + 1..]);
    (!word.is_empty() && !rest.is_empty()).then_some((word, rest))
}
