//! A bar that tells on a terminal how far it is; elsewhere nothing.

use std::io::{self, IsTerminal, Write};

const WIDTH: usize = 24;

pub(crate) struct Progress {
    shown: bool,
    step: usize,
    steps: usize,
}

impl Progress {
    pub(crate) fn new(steps: usize) -> Progress {
        Progress {
            shown: io::stderr().is_terminal(),
            step: 0,
            steps,
        }
    }

    /// What is being done now.
    pub(crate) fn show(&self, row: &str, server: &str, what: &str) {
        if self.shown {
            let bar = bar(self.step, self.steps);
            // A terminal that has gone is no reason to stop.
            let _ = write!(io::stderr(), "\r\x1b[K{bar} {row} {server} {what}");
        }
    }

    /// One more step is done; the line is free for other output.
    pub(crate) fn advance(&mut self) {
        self.step += 1;
        self.clear();
    }

    pub(crate) fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn bar(step: usize, steps: usize) -> String {
    let done = (step * WIDTH)
        .checked_div(steps)
        .unwrap_or(WIDTH)
        .min(WIDTH);
    format!(
        "[{}{}] {step}/{steps}",
        "#".repeat(done),
        ".".repeat(WIDTH - done)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar(0, 4), "[........................] 0/4");
        assert_eq!(bar(2, 4), "[############............] 2/4");
        assert_eq!(bar(4, 4), "[########################] 4/4");
        assert_eq!(bar(5, 4), "[########################] 5/4");
        assert_eq!(bar(0, 0), "[########################] 0/0");
    }
}
