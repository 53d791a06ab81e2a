//! Writes a report in the forms that the plan asks for.

use std::fs;
use std::io;
use std::path::Path;

use super::{Report, goals, json, markdown, svg};
use crate::plan::{Plan, Target};

impl Report {
    /// Writes what the plan asks for, and gives what else is to be shown.
    pub(crate) fn publish(&self, plan: &Plan) -> io::Result<String> {
        if let Some(file) = &plan.json {
            write(file, &json::text(self))?;
        }
        let mut plots = Vec::new();
        if let Some(folder) = &plan.svg {
            fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
            for plot in svg::plots(self) {
                let file = folder.join(plot.file);
                write(&file, &plot.text)?;
                plots.push((plot.title, file));
            }
        }
        if let Some(file) = &plan.markdown {
            let page = fs::read_to_string(file).map_err(|error| named(file, &error))?;
            let text = markdown::text(self, plan, &plots, file.parent());
            let page = markdown::replaced(&page, &text)
                .ok_or_else(|| io::Error::other(format!("{} lacks the marks", file.display())))?;
            write(file, &page)?;
        }
        Ok(match plan.target {
            Target::Compare(_) => goals::lines(self),
            _ => String::new(),
        })
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    fs::write(file, text).map_err(|error| named(file, &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
