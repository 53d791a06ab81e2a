//! Rows over one or several servers, taking turns: load from outside falls on all of them alike.

use std::io;

use crate::content::Content;
use crate::figures::{Measured, Unit};

use crate::plan::Plan;
use crate::progress::Progress;
use crate::rows::kind::{Bench, Kind, Work};
use crate::rows::sample;
use crate::server::Server;

/// What the library's own server is called; it stands first.
pub(crate) const OURS: &str = "ftpdlib";
/// The names of those that are no servers begin so; they stand last.
pub(crate) const BARE: &str = "bare-";

/// A server in a comparison.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) server: Server,
}

impl Contender {
    fn bench<'a>(
        &'a self,
        first: &'a Contender,
        plan: &'a Plan,
        content: &'a Content,
    ) -> Bench<'a> {
        Bench {
            access: &self.server.access,
            files: self.server.files.as_deref(),
            files_of_first: first.server.files.as_deref(),
            plan,
            content,
        }
    }
}

/// A row as it was measured.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The row's name, with `tls-` in front where it was that.
    pub(crate) row: String,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// By the servers' names.
    pub(crate) results: Vec<(String, Measured)>,
}

impl Outcome {
    pub(crate) fn of(&self, server: &str) -> Option<&Measured> {
        self.results
            .iter()
            .find_map(|(name, measured)| (name == server).then_some(measured))
    }
}

/// Runs a row at all servers. What fails at one of them is said in its place.
pub(crate) fn run(
    kind: &Kind,
    contenders: &[&Contender],
    plan: &Plan,
    content: &Content,
    progress: &Progress,
) -> Outcome {
    let tls = contenders.iter().any(|one| one.server.access.tls.is_some());
    let title = (kind.title)(plan) + if tls { ", TLS" } else { "" };
    let row = if tls { "tls-" } else { "" }.to_owned() + kind.name;
    let mut results: Vec<_> = contenders
        .iter()
        .map(|one| (one.name.clone(), Measured::default()))
        .collect();
    let mut works: Vec<Option<Box<dyn Work + '_>>> = Vec::new();
    for (contender, (_, measured)) in contenders.iter().zip(&mut results) {
        progress.show(&row, &contender.name, "prepare");
        works.push(noted(
            measured,
            (kind.prepare)(contender.bench(contenders[0], plan, content)),
        ));
    }
    let runs = match kind.by_turns {
        true => plan.short_runs,
        false => plan.runs,
    };
    // The first round warms up.
    for round in 0..=runs {
        for turn in 0..contenders.len() {
            let at = (turn + round as usize) % contenders.len();
            let (contender, measured) = (contenders[at], &mut results[at].1);
            let Some(work) = works[at].as_mut() else {
                continue;
            };
            progress.show(&row, &contender.name, &format!("run {round} of {runs}"));
            let done = sample(contender.server.process.as_ref(), work.as_mut());
            match noted(measured, done) {
                Some((sample, note)) if round > 0 => {
                    measured.samples.push(sample);
                    measured.note = note;
                }
                Some(_) => {}
                None => works[at] = None,
            }
        }
    }
    for (work, (_, measured)) in works.iter_mut().zip(&mut results) {
        if let Some(work) = work {
            noted(measured, work.finish());
        }
    }
    Outcome {
        row,
        title,
        unit: kind.unit,
        results,
    }
}

/// The result, or nothing with its failure written down.
fn noted<T>(measured: &mut Measured, result: io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            measured.failure = Some(one_line(&error.to_string()));
            None
        }
    }
}

/// The text without what would break a terminal's line, whatever a server has sent.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
