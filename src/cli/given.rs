//! The flags that were given: their values, or the table's defaults, each checked by its rule.

use std::path::PathBuf;

use getopts::Matches;

use super::output::Failure;
use super::values::Rule;
use super::{flags, raw_args};

/// The parsed flags, with defaults from the table.
pub(super) struct Given(pub(super) Matches);

impl Given {
    pub(super) fn has(&self, flag: &str) -> bool {
        self.0.opt_present(flag)
    }

    /// Every value of a flag, checked by `rule`, whose error follows the flag's name.
    pub(super) fn every<T>(&self, flag: &str, rule: Rule<T>) -> Result<Vec<T>, Failure> {
        self.0
            .opt_strs(flag)
            .iter()
            .map(|raw| check(flag, raw, rule))
            .collect()
    }

    /// The value of a flag: the last given, or the table's default.
    pub(super) fn value<T>(&self, flag: &str, rule: Rule<T>) -> Result<Option<T>, Failure> {
        let default = flags::all()
            .find(|row| row.long == flag)
            .map_or("", |row| row.default)
            .to_owned();
        let raw = self
            .0
            .opt_strs(flag)
            .pop()
            .or((!default.is_empty()).then_some(default));
        raw.map(|raw| check(flag, &raw, rule)).transpose()
    }

    /// The value of a flag that has a default.
    pub(super) fn need<T>(&self, flag: &str, rule: Rule<T>) -> Result<T, Failure> {
        self.value(flag, rule)?
            .ok_or_else(|| Failure::Usage(format!("--{flag} needs a value")))
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.path("directory").unwrap_or_else(|| ".".into())
    }

    /// A path, which may hold any bytes.
    pub(super) fn path(&self, flag: &str) -> Option<PathBuf> {
        let raw = self.0.opt_strs(flag).pop();
        raw.map(|raw| raw_args::decode(&raw).into())
    }
}

fn check<T>(flag: &str, raw: &str, rule: Rule<T>) -> Result<T, Failure> {
    raw_args::decode(raw)
        .into_string()
        .map_err(|_| format!("'{raw}' is not valid UTF-8"))
        .and_then(|text| rule(&text))
        .map_err(|message| Failure::Usage(format!("--{flag}: {message}")))
}
