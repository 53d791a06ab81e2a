//! What is to be measured, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

/// The name for `-b` of the memory of idle clients and what is measured beside them.
pub(crate) const IDLE: &str = "idle";

/// What to do.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Measure(Box<Plan>),
}

/// Which server to measure, and how much of it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) tls: bool,
    /// The processors that a server which is started, and this program, run on.
    pub(crate) server_cpu: Option<usize>,
    pub(crate) client_cpu: Option<usize>,
    /// Bytes of the large file.
    pub(crate) size: u64,
    /// Clients at once.
    pub(crate) many: u64,
    /// Idle clients.
    pub(crate) idle: u64,
    /// The most of them that a comparison lets ours have.
    pub(crate) most_idle: u64,
    /// Runs of each row; and of those that go by turns, which are short. The rest are repetitions
    /// within a run.
    pub(crate) runs: u64,
    pub(crate) short_runs: u64,
    pub(crate) logins: u64,
    pub(crate) noops: u64,
    pub(crate) segments: u64,
    pub(crate) files: u64,
    pub(crate) lists: u64,
    /// How long a server may say nothing.
    pub(crate) patience: Duration,
    /// Where results go besides the table.
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
    /// The rows asked for; none means all.
    pub(crate) names: Vec<String>,
}

/// What is measured.
#[derive(Debug)]
pub(crate) enum Target {
    /// An `ftpdlib` that is started for it.
    Own,
    Running(Running),
    Compare(Compare),
}

/// A server that runs already.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    /// The folder to work in.
    pub(crate) folder: Option<String>,
    /// TLS without AUTH.
    pub(crate) implicit: bool,
    pub(crate) pid: Option<u32>,
}

/// Servers side by side.
#[derive(Debug)]
pub(crate) struct Compare {
    /// The folder of their scripts.
    pub(crate) scripts: PathBuf,
    /// These only; none means all.
    pub(crate) names: Vec<String>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl Plan {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|asked| asked == name)
    }

    /// What the medians are of.
    pub(crate) fn medians(&self) -> String {
        match self.short_runs == self.runs {
            true => format!("Medians of {} runs", self.runs),
            false => format!(
                "Medians of {} runs, {} where a run is short (logins, NOOP, small files)",
                self.runs, self.short_runs
            ),
        }
    }
}
