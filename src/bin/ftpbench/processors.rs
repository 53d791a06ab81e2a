//! Which processor this program runs on, in comparisons.

use std::io;
use std::process::{Command, Stdio};

use crate::plan::Plan;

/// Goes to the processor that a row is measured from; see `rows::kind::Kind::by_turns`.
pub(crate) fn go(plan: &Plan, by_turns: bool) -> io::Result<()> {
    let own = if by_turns {
        plan.server_cpu
    } else {
        plan.client_cpu
    };
    // Without a choice for both sides the system chooses.
    let (Some(cpu), Some(_), Some(_)) = (own, plan.server_cpu, plan.client_cpu) else {
        return Ok(());
    };
    // This thread has the process's number, and those that it starts go where it is.
    let (cpu, pid) = (cpu.to_string(), std::process::id().to_string());
    let status = Command::new("taskset")
        .args(["-p", "-c", &cpu, &pid])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("taskset: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "taskset cannot go to processor {cpu}"
        )))
    }
}
