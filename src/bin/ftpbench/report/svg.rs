//! Plots: a panel for each row, in it a bar for each server. No scripts, no fonts of its own.

use crate::contest::{BARE, OURS};
use crate::figures::{Figures, Measured, Unit, count, number};
use crate::idle::Memory;

use super::Report;

/// A plot of its own file.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) text: String,
}

/// Bars under one title.
struct Panel {
    title: String,
    unit: &'static str,
    /// Names and values.
    bars: Vec<(String, f64)>,
}

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 430;
const BAR_HEIGHT: usize = 17;
/// Of a panel's title, with the space below its bars.
const TITLE_HEIGHT: usize = 40;
const NAME_WIDTH: usize = 105;
const VALUE_WIDTH: usize = 95;

pub(super) fn plots(report: &Report) -> Vec<Plot> {
    let panels = |figure: fn(&Measured) -> Figures, unit: fn(Unit) -> (&'static str, f64)| {
        let panel = |outcome: &crate::contest::Outcome| {
            let (unit, factor) = unit(outcome.unit);
            let bar = |(name, measured): &(String, Measured)| {
                Some((name.clone(), figure(measured).median()? * factor))
            };
            Panel {
                title: outcome.title.clone(),
                unit,
                bars: outcome.results.iter().filter_map(bar).collect(),
            }
        };
        report.outcomes.iter().map(panel).collect::<Vec<_>>()
    };
    let all = [
        (
            "cpu.svg",
            "Server CPU (less is better)",
            panels(Measured::cost, Unit::cost),
        ),
        (
            "speed.svg",
            "Speed (more is better)",
            panels(Measured::speed, Unit::speed),
        ),
        (
            "memory.svg",
            "Memory of an idle client (less is better)",
            memory(&report.memories),
        ),
    ];
    all.into_iter()
        .map(|(file, title, panels)| Plot {
            file,
            title,
            text: drawn(title, panels),
        })
        .collect()
}

/// A panel in clear and one by TLS, each with the fewest clients that a server was measured with, as all
/// of them were.
fn memory(memories: &[Memory]) -> Vec<Panel> {
    [(false, "clear"), (true, "TLS")]
        .into_iter()
        .filter_map(|(tls, word)| {
            let of_kind = || memories.iter().filter(move |memory| memory.tls == tls);
            let clients = of_kind().map(|memory| memory.clients).min()?;
            let bars = of_kind()
                .filter(|memory| memory.clients == clients)
                .filter_map(|memory| Some((memory.server.clone(), memory.each()? / 1024.0)));
            Some(Panel {
                title: format!("{} idle clients, {word}", count(clients)),
                unit: "KiB each",
                bars: bars.collect(),
            })
        })
        .collect()
}

fn drawn(title: &str, mut panels: Vec<Panel>) -> String {
    panels.retain(|panel| !panel.bars.is_empty());
    // Panels side by side are of one height.
    let heights: Vec<usize> = panels
        .chunks(COLUMNS)
        .map(|row| {
            let most = row.iter().map(|panel| panel.bars.len()).max();
            TITLE_HEIGHT + most.unwrap_or(0) * BAR_HEIGHT
        })
        .collect();
    let width = COLUMNS * PANEL_WIDTH + 20;
    let height = 50 + heights.iter().sum::<usize>();
    let title = escaped(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"17\" font-weight=\"bold\">{title}</text>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        let (column, row) = (at % COLUMNS, at / COLUMNS);
        let above: usize = heights[..row].iter().sum();
        let (x, y) = (20 + column * PANEL_WIDTH, 50 + above);
        svg += &format!(
            "<g transform=\"translate({x} {y})\">\n{}</g>\n",
            bars(panel)
        );
    }
    svg + "</svg>\n"
}

fn bars(panel: &Panel) -> String {
    let title = escaped(&panel.title);
    let mut svg = format!("<text y=\"13\" font-weight=\"bold\">{title}</text>\n");
    let longest = panel
        .bars
        .iter()
        .map(|(_, value)| *value)
        .fold(0.0, f64::max);
    let room = (PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH - 20) as f64;
    for (at, (name, value)) in panel.bars.iter().enumerate() {
        let y = 20 + at * BAR_HEIGHT;
        let length = if longest > 0.0 {
            value / longest * room
        } else {
            0.0
        };
        let colour = match name.as_str() {
            OURS => "#d9480f",
            bare if bare.starts_with(BARE) => "#adb5bd",
            _ => "#5c7cfa",
        };
        let (name, text) = (escaped(name), y + 12);
        let value = format!("{} {}", number(*value), panel.unit);
        svg += &format!(
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{NAME_WIDTH}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{text}\">{value}</text>\n",
            NAME_WIDTH - 6,
            y + 2,
            BAR_HEIGHT - 4,
            NAME_WIDTH as f64 + length + 5.0,
        );
    }
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_bar_for_each_result() {
        let plots = plots(&super::super::sample());
        let [cpu, speed, memory] = &plots[..] else {
            panic!("{} plots", plots.len());
        };
        // The ground and five results of two rows; one has failed.
        assert_eq!(cpu.text.matches("<rect ").count(), 1 + 5);
        assert_eq!(speed.text.matches("<rect ").count(), 1 + 5);
        assert!(cpu.text.contains(">0.50 s/GiB</text>"), "{}", cpu.text);
        assert!(speed.text.contains(">2,147 MB/s</text>"), "{}", speed.text);
        assert!(
            memory.text.contains(">341 KiB each</text>"),
            "{}",
            memory.text
        );
        for plot in &plots {
            assert!(plot.text.starts_with("<svg ") && plot.text.ends_with("</svg>\n"));
            assert_eq!(
                plot.text.matches("<g ").count(),
                plot.text.matches("</g>").count()
            );
            assert_eq!(
                plot.text.matches("<text").count(),
                plot.text.matches("</text>").count()
            );
        }
    }

    #[test]
    fn the_longest_bar_fills_its_panel_and_others_are_in_proportion() {
        let panel = Panel {
            title: "a < b".to_owned(),
            unit: "s",
            bars: vec![("one".to_owned(), 1.0), ("two".to_owned(), 4.0)],
        };
        let svg = bars(&panel);
        assert!(
            svg.contains("width=\"210.0\"") && svg.contains("width=\"52.5\""),
            "{svg}"
        );
        assert!(svg.contains("a &lt; b"));
        assert!(
            bars(&Panel {
                bars: vec![("none".to_owned(), 0.0)],
                ..panel
            })
            .contains("width=\"0.0\"")
        );
    }
}
