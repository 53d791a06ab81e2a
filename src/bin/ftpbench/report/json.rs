//! JSON (RFC 8259), by hand: a few kinds of values and one way to escape.

use crate::figures::{Figures, Measured};

use super::{Report, goals};

/// The whole report; numbers are in bytes, seconds and things per second.
pub(super) fn text(report: &Report) -> String {
    let machine = &report.machine;
    let machine = object(&[
        ("processor", string(&machine.processor)),
        ("processors", machine.processors.to_string()),
        ("memory", string(&machine.memory)),
        ("kernel", string(&machine.kernel)),
        ("load", string(&machine.load)),
        ("date", string(&machine.date)),
    ]);
    let servers = report.servers.iter().map(|server| {
        object(&[
            ("name", string(&server.name)),
            ("version", string(&server.version)),
        ])
    });
    let rows = report.outcomes.iter().map(|outcome| {
        let results = outcome
            .results
            .iter()
            .map(|(name, measured)| result(name, measured));
        object(&[
            ("row", string(&outcome.row)),
            ("title", string(&outcome.title)),
            ("results", array(results)),
        ])
    });
    let memories = report.memories.iter().map(|memory| {
        let (before, after) = memory.sizes.unzip();
        object(&[
            ("server", string(&memory.server)),
            ("tls", memory.tls.to_string()),
            ("clients", memory.clients.to_string()),
            ("before", optional(before)),
            ("after", optional(after)),
            ("logins", result(&memory.server, &memory.logins)),
        ])
    });
    let goals = goals::goals(report).into_iter().map(|goal| {
        object(&[
            ("what", string(&goal.what)),
            ("goal", string(&goal.goal)),
            ("measured", string(&goal.measured)),
            ("holds", optional(goal.holds)),
        ])
    });
    let whole = object(&[
        ("machine", machine),
        ("servers", array(servers)),
        (
            "absent",
            array(report.absent.iter().map(|line| string(line))),
        ),
        ("rows", array(rows)),
        ("memory", array(memories)),
        ("goals", array(goals)),
    ]);
    whole + "\n"
}

fn result(name: &str, measured: &Measured) -> String {
    let runs = measured.samples.iter().map(|sample| {
        object(&[
            ("amount", sample.amount.to_string()),
            ("seconds", sample.wall.as_secs_f64().to_string()),
            (
                "cpu_seconds",
                optional(sample.cpu.map(|cpu| cpu.as_secs_f64())),
            ),
            (
                "client_cpu_seconds",
                optional(sample.client.map(|cpu| cpu.as_secs_f64())),
            ),
            ("unevenness", optional(sample.unevenness)),
        ])
    });
    let median = |figures: Figures| optional(figures.median());
    object(&[
        ("server", string(name)),
        ("per_second", median(measured.speed())),
        ("cpu_seconds_each", median(measured.cost())),
        ("client_busy", median(measured.client())),
        ("unevenness", median(measured.unevenness())),
        ("note", optional_string(measured.note.as_deref())),
        ("failure", optional_string(measured.failure.as_deref())),
        ("runs", array(runs)),
    ])
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", string(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(",\n"))
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

fn optional_string(text: Option<&str>) -> String {
    text.map_or("null".to_owned(), string)
}

fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => quoted += &format!("\\u{:04x}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(
            string("a \"b\" \\ \n\u{e9}"),
            "\"a \\\"b\\\" \\\\ \\u000a\u{e9}\""
        );
    }

    #[test]
    fn a_report_has_all_its_parts() {
        let text = text(&super::super::sample());
        for part in [
            "\"rows\":[{\"row\":\"stor\"",
            "\"failure\":\"it has <none>\"",
            "{\"amount\":1073741824,\"seconds\":0.5,\"cpu_seconds\":0.4,\"client_cpu_seconds\":0.25,\"unevenness\":null}",
            "\"version\":\"theirs \\\"1\\\"\"",
            "\"clients\":10000,\"before\":1048576",
            "\"holds\":null",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        // Brackets outside of strings match.
        let mut depth = 0_i32;
        let mut quoted = false;
        let mut escaped = false;
        for character in text.chars() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = !quoted,
                '{' | '[' if !quoted => depth += 1,
                '}' | ']' if !quoted => depth -= 1,
                _ => {}
            }
            assert!(depth >= 0);
        }
        assert!(depth == 0 && !quoted);
    }
}
