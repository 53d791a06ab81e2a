//! The worker models: who serves the clients.

use std::fmt;
use std::thread;

use crate::error::Error;

/// How clients are served (`--concurrency`). Whatever the model, the same handlers, authorizers and
/// file systems serve, and limits hold over all workers together.
///
/// | model | clients | a callback that blocks holds up | state of one's own |
/// |---|---|---|---|
/// | `Async` | all on one thread and loop | everybody | shared |
/// | `MultiThread` | each on a thread and loop of his own | its own client | shared, behind locks |
/// | `MultiProcess` | each in a process of his own | its own client | a copy for each client |
/// | `PreFork` | spread over so many processes, each with a loop | those of its process | a copy for each process |
///
/// The models with processes fork, which the system makes safe only for programs that have no other
/// threads at that time, or whose threads hold no lock that a callback or the logger needs. What a
/// child changes in memory, its parent does not see; what the program has open, a connection to a
/// database, say, or a client of another server in the same process, each child has open too, until it
/// ends. (Of listening sockets of other servers it has none.) They are had on UNIX.
///
/// ```no_run
/// use ftpdlib::{DummyAuthorizer, FtpServer, Workers};
///
/// let mut users = DummyAuthorizer::new();
/// users.add_anonymous(".")?;
/// FtpServer::builder()
///     .authorizer(users)
///     .workers(Workers::pre_fork())
///     .bind("127.0.0.1:2121")?
///     .serve_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Workers {
    /// One thread serves everybody; work that blocks is moved to threads while its client sleeps.
    #[default]
    Async,
    /// A thread for each client.
    MultiThread,
    /// A process for each client.
    MultiProcess,
    /// So many worker processes that share the listening socket, 1 to [`Workers::MOST`]. One that
    /// dies is replaced.
    PreFork(usize),
}

impl Workers {
    /// Worker processes at most.
    pub const MOST: usize = 1024;

    /// [`PreFork`](Workers::PreFork) with a worker for each processor that this process may use.
    pub fn pre_fork() -> Workers {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Workers::PreFork(processors.min(Workers::MOST))
    }

    /// # Errors
    ///
    /// [`Error::Config`] for a model that cannot be.
    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            Workers::Async | Workers::MultiThread => Ok(()),
            _ if cfg!(not(unix)) => Err(Error::Config(format!(
                "this system has no fork(2), which the model {self} needs; choose async or multi-thread"
            ))),
            Workers::PreFork(workers) if workers == 0 || workers > Workers::MOST => {
                let most = Workers::MOST;
                let text = format!("{workers} worker processes: choose from 1 to {most}");
                Err(Error::Config(text))
            }
            Workers::MultiProcess | Workers::PreFork(_) => Ok(()),
        }
    }
}

/// In pyftpdlib's words, as the log has them.
impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Workers::Async => "async",
            Workers::MultiThread => "multi-thread",
            Workers::MultiProcess => "multi-process",
            Workers::PreFork(_) => "pre-fork + async",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_are_refused() {
        for workers in [0, Workers::MOST + 1, usize::MAX] {
            let error = Workers::PreFork(workers).check().unwrap_err();
            assert!(matches!(error, Error::Config(_)), "{error}");
        }
        assert!(Workers::default().check().is_ok());
        assert!(Workers::pre_fork().check().is_ok() || cfg!(not(unix)));
    }
}
