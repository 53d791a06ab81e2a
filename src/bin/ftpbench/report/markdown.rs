//! The part of docs/benchmarks.md that comes from a comparison: it stands between two marks, the rest
//! of the page is left as it is.

use std::path::{Path, PathBuf};

use crate::contest::{BARE, OURS, Outcome};
use crate::figures::{Figures, Measured, Unit, count, number, percent};
use crate::plan::Plan;

use super::{Report, goals};

const BEGIN: &str = "<!-- results: begin -->\n";
const END: &str = "<!-- results: end -->\n";

/// The page with another text between the marks.
pub(super) fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", text.trim()))
}

/// The results; `folder` is where the page is, from which the plots are linked.
pub(super) fn text(
    report: &Report,
    plan: &Plan,
    plots: &[(&str, PathBuf)],
    folder: Option<&Path>,
) -> String {
    let mut text = format!(
        "Measured on {}. {}, in which the servers took turns.\n\n",
        report.machine.line(),
        plan.medians()
    );
    for server in &report.servers {
        text += &format!("- {}\n", described(&server.name, &server.version));
    }
    for line in &report.absent {
        text += &format!("- {line}\n");
    }
    text += "\n### Goals\n\n| what | goal | measured | holds |\n|---|---|---|---|\n";
    for goal in goals::goals(report) {
        let verdict = goal.verdict();
        text += &format!(
            "| {} | {} | {} | {verdict} |\n",
            goal.what, goal.goal, goal.measured
        );
    }
    text += "\n### Server CPU\n\nSeconds per GiB, or microseconds each.\n\n";
    text += &matrix(report, |outcome, measured| {
        shown(&measured.cost(), outcome.unit.cost())
    });
    text += "\n### Speed\n\nMB (10^6 bytes) per second, or things per second.\n\n";
    text += &matrix(report, |outcome, measured| {
        shown(&measured.speed(), outcome.unit.speed())
    });
    text += "\n### Evenness\n\nHow much earlier the first of the clients at once was served than the last.\n\n";
    text += &evenness(report);
    text += "\n### Memory\n\nWhat an idle client adds to the proportional set size of all of a server's processes.\n\n";
    text += &memory(report);
    text += "\n### Plots\n\n";
    for (title, file) in plots {
        let link = folder.and_then(|folder| file.strip_prefix(folder).ok());
        let link = link.unwrap_or(file).display();
        text += &format!("![{title}]({link})\n\n");
    }
    text += "### Failures\n\n";
    text += &failures(report);
    text += "\n### Configurations\n\nEach server as it was started; the certificate has a key on P-256.\n";
    for server in &report.servers {
        text += &format!(
            "\n<details><summary>{}</summary>\n\n```sh\n{}\n```\n\n</details>\n",
            server.name,
            server.script.trim_end()
        );
    }
    text
}

/// A server's name and version, once if the version has the name in it.
fn described(name: &str, version: &str) -> String {
    if version.to_lowercase().starts_with(name) {
        version.to_owned()
    } else {
        format!("{name}: {version}")
    }
}

fn shown(figures: &Figures, (_, factor): (&str, f64)) -> Option<String> {
    Some(number(figures.median()? * factor))
}

/// A table of rows and servers.
fn matrix(report: &Report, cell: impl Fn(&Outcome, &Measured) -> Option<String>) -> String {
    let names: Vec<&str> = report
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    let mut table = head(&names);
    let rows = report
        .outcomes
        .iter()
        .filter(|outcome| !outcome.row.starts_with("beside-"));
    for outcome in rows {
        let unit = match outcome.unit {
            Unit::Bytes => "",
            Unit::Each => " (each)",
        };
        table += &format!("| {}{unit} |", outcome.title);
        for name in &names {
            let measured = outcome.of(name);
            let cell = measured.map_or(String::new(), |measured| {
                cell(outcome, measured).unwrap_or("failed".to_owned())
            });
            table += &format!(" {cell} |");
        }
        table.push('\n');
    }
    table
}

fn head(names: &[&str]) -> String {
    format!(
        "| | {} |\n|---|{}\n",
        names.join(" | "),
        "--:|".repeat(names.len())
    )
}

fn evenness(report: &Report) -> String {
    let names: Vec<&str> = servers(report);
    let mut table = head(&names);
    for outcome in &report.outcomes {
        let figure = |name: &&str| outcome.of(name)?.unevenness().median();
        let cells: Vec<_> = names.iter().map(figure).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells
                .into_iter()
                .map(|cell| cell.map_or(String::new(), percent));
            table += &format!(
                "| {} | {} |\n",
                outcome.title,
                cells.collect::<Vec<_>>().join(" | ")
            );
        }
    }
    table
}

/// Those that are servers.
fn servers(report: &Report) -> Vec<&str> {
    let names = report.servers.iter().map(|server| server.name.as_str());
    names.filter(|name| !name.starts_with(BARE)).collect()
}

fn memory(report: &Report) -> String {
    let names = servers(report);
    let mut table = head(&names);
    let mut kinds: Vec<_> = report
        .memories
        .iter()
        .map(|memory| (memory.tls, memory.clients))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (tls, clients) in kinds {
        let of = |name: &&str| {
            let mut all = report.memories.iter();
            let memory =
                all.find(|one| one.server == *name && one.tls == tls && one.clients == clients);
            match memory.map(|memory| memory.each()) {
                Some(Some(each)) => format!("{} KiB", number(each / 1024.0)),
                Some(None) => "failed".to_owned(),
                None => String::new(),
            }
        };
        let tls = if tls { ", TLS" } else { "" };
        let cells: Vec<_> = names.iter().map(of).collect();
        table += &format!(
            "| {} clients{tls} | {} |\n",
            count(clients),
            cells.join(" | ")
        );
    }
    let beside = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.row.starts_with("beside-"));
    let mut lines = String::new();
    for outcome in beside {
        let [idle, none] = [OURS, "none idle"].map(|name| {
            let figures = outcome.of(name).map(Measured::cost);
            figures.map_or("-".to_owned(), |figures| figures.show(outcome.unit.cost()))
        });
        lines += &format!(
            "- {}: {idle} of server CPU; {none} with none.\n",
            outcome.title
        );
    }
    if !lines.is_empty() {
        table += &format!("\nBeside them:\n\n{lines}");
    }
    table
}

fn failures(report: &Report) -> String {
    let mut lines = String::new();
    for outcome in &report.outcomes {
        for (name, measured) in &outcome.results {
            if let Some(failure) = &measured.failure {
                lines += &format!(
                    "- {name}, {}: `{}`\n",
                    outcome.title,
                    failure.replace('`', "'")
                );
            }
        }
    }
    if lines.is_empty() {
        lines.push_str("None.\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options;
    use crate::plan::Request;

    fn plan() -> Box<Plan> {
        let args = ["--compare", "d"].map(str::to_owned);
        match options::parse(&args) {
            Ok(Request::Measure(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = format!("# Title\n\n{BEGIN}old\n{END}\nrest\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Title\n\n{BEGIN}\nnew\n\n{END}\nrest\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert_eq!(replaced("no marks", "new"), None);
    }

    #[test]
    fn tables_have_a_column_for_each_server() {
        let plots = [("CPU", PathBuf::from("docs/plots/cpu.svg"))];
        let text = text(
            &super::super::sample(),
            &plan(),
            &plots,
            Some(Path::new("docs")),
        );
        for part in [
            "| | ftpdlib | theirs | other | bare-splice |\n|---|--:|--:|--:|--:|\n",
            "| STOR, 1 GiB file | 0.40 | 0.50 | failed | 0.39 |\n",
            "| STOR, 1 GiB file | 2,147 | 2,684 | failed | 2,684 |\n",
            "| 300 clients |  | 341 KiB |  |\n",
            "- other, STOR, 1 GiB file: `it has <none>`\n",
            "- unftp is left out: not built\n",
            "![CPU](plots/cpu.svg)\n",
            "<details><summary>theirs</summary>\n\n```sh\n#!/bin/sh\n```\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(described("vsftpd", "vsftpd 3"), "vsftpd 3");
        assert_eq!(described("unftp", "unFTP 0.16"), "unFTP 0.16");
        assert_eq!(described("bare-x", "a loop"), "bare-x: a loop");
    }
}
