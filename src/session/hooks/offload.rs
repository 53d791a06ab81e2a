//! Work of a callback's on a worker thread, with a closure that follows it on the loop.

use std::any::TypeId;
use std::fmt;
use std::io;

use super::handler::Handler;
use super::session::{Session, Then};
use crate::session::channels::slot::CONTROL;
use crate::session::note::Note;
use crate::session::work::caught::caught;

impl Session<'_> {
    /// Does `work` on a worker thread, and then calls `then` here on the loop, with the handler (of
    /// type `H`, the one that [`Builder::handler`](crate::Builder::handler) makes), the session and
    /// what came of the work. Meanwhile the client is off the loop, as with
    /// [`del_channel`](Self::del_channel): what this callback stands before waits. `then` may
    /// [`answer`](Self::answer) it, and may offload again.
    ///
    /// ```
    /// use ftpdlib::{Handler, Reply, Session, Transferred};
    ///
    /// #[derive(Default)]
    /// struct Scanner {
    ///     refused: u32,
    /// }
    ///
    /// impl Handler for Scanner {
    ///     fn on_file_received(&mut self, session: &mut Session<'_>, file: &Transferred) {
    ///         let file = file.clone();
    ///         session.offload(
    ///             move || {
    ///                 let clean = is_clean(file.real_path());
    ///                 if !clean {
    ///                     file.filesystem().remove_file(file.path())?;
    ///                 }
    ///                 Ok(clean)
    ///             },
    ///             |this: &mut Self, session, clean: Result<std::io::Result<bool>, _>| match clean {
    ///                 Ok(Ok(true)) => {}
    ///                 Ok(Ok(false)) => {
    ///                     this.refused += 1;
    ///                     session.answer(Reply::new(550, "Infected; removed."));
    ///                 }
    ///                 Ok(Err(error)) => session.answer(error.into()),
    ///                 Err(error) => {
    ///                     session.log(log::Level::Error, &format!("scanner: {error}"));
    ///                     session.answer(Reply::new(451, "Could not be scanned."));
    ///                 }
    ///             },
    ///         );
    ///     }
    /// }
    /// # fn is_clean(_: &std::path::Path) -> bool { true }
    /// ```
    ///
    /// Work that panics is told as [`OffloadError::Panicked`], and so is a system without threads.
    /// When the session ends before the work does (the server stops, or a callback closes it), the
    /// work runs to its end all the same, its result is dropped, and `then` is dropped without being
    /// called: what has to be done in any case belongs into the work. A server that ends, and a
    /// worker process whose client has gone, wait up to 5 seconds for work that is not done; what
    /// takes longer goes on while the process lives.
    ///
    /// The pool has eight threads for all clients, and jobs wait for a free one. It is for work of
    /// seconds; what takes minutes should have a thread of its own (`del_channel`).
    ///
    /// # Panics
    ///
    /// When `H` is not the type of the session's handler.
    pub fn offload<H, T>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut H, &mut Session<'_>, Result<T, OffloadError>) + 'static,
    ) where
        H: Handler,
        T: Send + 'static,
    {
        assert!(
            self.handler == TypeId::of::<H>(),
            "offload: the handler of this session is no {}",
            std::any::type_name::<H>()
        );
        let then: Then = Box::new(move |handler, session, result| {
            if let (Some(handler), Ok(result)) = (handler.downcast_mut(), result.downcast()) {
                then(handler, session, *result);
            }
        });
        let (question, number) = self.question.hold_for(then);
        let (reactor, key, asleep) = (
            self.cx.handle(),
            self.cx.key(),
            self.cx.del_channel(CONTROL),
        );
        let note = move |result: Result<T, OffloadError>| {
            Box::new(Note::Worked(question, number, Box::new(result)))
        };
        let started = self.core.on_pool(&self.cx, move || {
            let result = caught(work).map_err(OffloadError::Panicked);
            reactor.send(key, note(result));
            // After the result, so that the session wakes knowing it.
            drop(asleep);
        });
        if let Err(refused) = started {
            self.cx
                .send(key, note(Err(OffloadError::Thread(refused.error))));
            // After the verdict as well: the guard is in it, and maybe others of the user's.
            drop(refused.task);
        }
    }
}

/// Why [offloaded](crate::Session::offload) work has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum OffloadError {
    /// It panicked, with that message if it had one.
    Panicked(String),
    /// The system gave no thread to run it on.
    Thread(io::Error),
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OffloadError::Panicked(text) if text.is_empty() => f.write_str("the work panicked"),
            OffloadError::Panicked(text) => write!(f, "the work panicked: {text}"),
            OffloadError::Thread(error) => write!(f, "no thread to work on: {error}"),
        }
    }
}

impl std::error::Error for OffloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OffloadError::Panicked(_) => None,
            OffloadError::Thread(error) => Some(error),
        }
    }
}
