//! The table of flags holds against its page, the text of `--help`, and itself.

use super::*;

/// The rows of `docs/cli.md` for one group.
fn markdown(group: &Group) -> String {
    let mut table = "| flag | default | meaning |\n|---|---|---|\n".to_owned();
    for flag in group.flags {
        let short = if flag.short.is_empty() {
            ""
        } else {
            &format!("`-{}`, ", flag.short)
        };
        let value = if flag.value.is_empty() {
            ""
        } else {
            &format!(" {}", flag.value)
        };
        let default = if flag.default.is_empty() {
            ""
        } else {
            &format!("`{}`", flag.default)
        };
        let long = flag.long;
        table.push_str(&format!(
            "| {short}`--{long}{value}` | {default} | {} |\n",
            flag.help
        ));
    }
    table
}

#[test]
fn the_page_has_the_table() {
    let page = include_str!("../../../docs/cli.md");
    let lacking: String = GROUPS
        .iter()
        .map(|group| format!("## {}\n\n{}\n", group.title, markdown(group)))
        .filter(|section| !page.contains(section))
        .collect();
    assert!(lacking.is_empty(), "docs/cli.md lacks:\n\n{lacking}");
    let rows = page.lines().filter(|line| line.starts_with("| `-"));
    assert_eq!(
        rows.count(),
        all().count(),
        "docs/cli.md has rows that are no flags"
    );
}

#[test]
fn help_fits_eighty_columns_and_has_every_flag() {
    let help = help();
    for line in help.lines() {
        assert!(
            line.chars().count() <= 80 && line.trim_end() == line,
            "{line:?}"
        );
    }
    for flag in all() {
        assert!(help.contains(&format!("--{}", flag.long)), "{}", flag.long);
    }
    assert!(help.contains("(default: 2121)"));
}

#[test]
fn no_name_is_taken_twice() {
    let mut names: Vec<_> = all().flat_map(|flag| [flag.short, flag.long]).collect();
    names.retain(|name| !name.is_empty());
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
