//! Circles: files that name each other in a ring. Between the files of a crate arrows run one way, so that
//! each can be read, and understood, without those that stand above it.
//!
//! An arrow runs from the file that names something to the file that defines it, however many `pub use`
//! lie between: to hand a name on is no use of it, and hides none.

use std::collections::{BTreeMap, BTreeSet};

use crate::scan::{handed_on, imports, inline_modules, paths, tokens, without_tests};

/// The files of one crate, as its modules.
pub(crate) struct Crate {
    files: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    /// The paths of its code that is not for tests, with how many modules within it stand around each.
    paths: Vec<(usize, Vec<String>)>,
    /// Names that it has from elsewhere, by which others may find them here.
    borrowed: BTreeMap<String, Vec<String>>,
}

impl Module {
    fn read(file: &str, source: &str) -> Module {
        let tokens = without_tests(&tokens(source));
        let name = |path: Vec<String>| Some((path.last()?.clone(), path));
        let (code, handed_on) = handed_on(&tokens);
        // What it hands on and uses itself as well.
        let used = handed_on
            .into_iter()
            .filter(|path| path.last().is_some_and(|name| names(&code, name)));
        let mut found: Vec<_> = used.map(|path| (0, path)).collect();
        for (depth, code) in inline_modules(&code) {
            found.extend(paths(&code).into_iter().map(|path| (depth, path)));
        }
        Module {
            file: file.to_owned(),
            paths: found,
            borrowed: imports(&tokens).into_iter().filter_map(name).collect(),
        }
    }
}

/// From a file to a file, and the names that the first takes from the second.
pub(crate) type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

impl Crate {
    /// Of the sources below `root`, such as `src/`.
    pub(crate) fn new(root: &str, sources: &[(String, String)]) -> Crate {
        let own = |file: &&(String, String)| file.0.starts_with(root) && !is_test(&file.0);
        let module = |(file, source): &(String, String)| {
            let module = Module::read(file, source);
            (module_of(&file[root.len()..]), module)
        };
        let files = sources.iter().filter(own).map(module).collect();
        Crate { files }
    }

    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (place, module) in &self.files {
            for (depth, path) in &module.paths {
                let Some((file, name)) = self.definition(place, *depth, path, 0) else {
                    continue;
                };
                if *file != module.file {
                    let ends = (module.file.clone(), file.clone());
                    arrows.entry(ends).or_default().insert(name);
                }
            }
        }
        arrows
    }

    /// The file of this crate that defines what `path` names, as written in the module at `place`.
    fn definition(
        &self,
        place: &[String],
        depth: usize,
        path: &[String],
        hops: usize,
    ) -> Option<(&String, String)> {
        let path = self.absolute(place, depth, path)?;
        let known = (0..=path.len()).rev().find(|&len| {
            let module = &path[..len];
            self.files.contains_key(module) && (len > 0 || path.len() == 1)
        })?;
        let module = &self.files[&path[..known]];
        let Some(name) = path.get(known) else {
            // A module as such: whatever is taken from it is named where that happens.
            return None;
        };
        match module.borrowed.get(name) {
            Some(from) if hops < 8 => self
                .definition(&path[..known], 0, from, hops + 1)
                .filter(|_| from.first() != Some(name)),
            _ => Some((&module.file, name.clone())),
        }
    }

    /// A path from the crate's root, if it is one of this crate's.
    fn absolute(&self, place: &[String], depth: usize, path: &[String]) -> Option<Vec<String>> {
        let ups = path.iter().take_while(|word| *word == "super").count();
        let (mut base, rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" if depth == 0 => (place.to_vec(), &path[1..]),
            // Within the file.
            "self" => return None,
            "super" if ups < depth => return None,
            "super" => {
                let left = place.len().checked_sub(ups - depth)?;
                (place[..left].to_vec(), &path[ups..])
            }
            // A module of its own, or a name that a `use` has brought, or another crate's.
            first => {
                let mut child = place.to_vec();
                child.push(first.to_owned());
                self.files.get(&child)?;
                (place.to_vec(), path)
            }
        };
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The circles, a line for each arrow in one.
    pub(crate) fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for start in self.files.values().map(|module| module.file.as_str()) {
            let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
            while let Some(here) = next.pop() {
                let from_here = arrows.keys().filter(|(from, _)| from == here);
                next.extend(
                    from_here
                        .map(|(_, to)| to.as_str())
                        .filter(|to| seen.insert(*to)),
                );
            }
            reached.insert(start, seen);
        }
        let in_circle =
            |(from, to): &&(String, String)| reached[to.as_str()].contains(from.as_str());
        let line = |ends: &(String, String)| {
            let names: Vec<&str> = arrows[ends].iter().map(String::as_str).collect();
            format!("{} -> {}: {}", ends.0, ends.1, names.join(", "))
        };
        arrows.keys().filter(in_circle).map(line).collect()
    }
}

/// Whether the code says a name as it is, and not as that of something in another place.
fn names(code: &[String], name: &String) -> bool {
    let said = |at: usize| code[at] == *name && (at == 0 || code[at - 1] != "::");
    (0..code.len()).any(said)
}

/// The module that a file is, from its path below the root.
fn module_of(file: &str) -> Vec<String> {
    let mut words: Vec<String> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    let is_face = |word: &String| ["mod", "lib", "main"].contains(&word.as_str());
    if words.last().is_some_and(is_face) {
        words.pop();
    }
    words
}

fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

/// The floors inside a session, from the top down: each names what stands below it only.
const SESSION: &[&[&str]] = &[
    &["mod.rs"],
    &["client.rs"],
    &["questions.rs", "service.rs"],
    &["hooks/"],
    &["channels/"],
    &["flow", "common.rs", "per_loop.rs"],
    &["interpreter/", "note.rs"],
    &["work/"],
    &["config.rs"],
    &["limits/"],
    &["logging.rs", "random.rs"],
];

/// What points up inside a session, a line for each arrow, and what is on none of its floors.
pub(crate) fn faults_of_session(arrows: &Arrows) -> Vec<String> {
    let fault = |(from, to): &(String, String)| {
        let inside = |file: &str| file.strip_prefix("src/session/").map(str::to_owned);
        let (above, below) = (inside(from)?, inside(to)?);
        match (floor_of(&above), floor_of(&below)) {
            (None, _) => Some(format!("{from} is on no floor")),
            (_, None) => Some(format!("{to} is on no floor")),
            (Some(above), Some(below)) if above == below || above.0 < below.0 => None,
            _ => Some(format!("{from} points up: {to}")),
        }
    };
    arrows.keys().filter_map(fault).collect()
}

/// The floor of a session's file, and its room there.
fn floor_of(file: &str) -> Option<(usize, &'static str)> {
    let floors = SESSION.iter().enumerate();
    let mut rooms = floors.flat_map(|(floor, rooms)| rooms.iter().map(move |room| (floor, *room)));
    rooms.find(|(_, room)| file.starts_with(room))
}

/// The watchdog barks.
mod itself {
    use super::*;

    fn of(sources: &[(&str, &str)]) -> Crate {
        let own = |(file, source): &(&str, &str)| (format!("src/{file}"), (*source).to_owned());
        Crate::new("src/", &sources.iter().map(own).collect::<Vec<_>>())
    }

    #[track_caller]
    fn circle(sources: &[(&str, &str)], lines: &[&str]) {
        assert_eq!(of(sources).circles(), lines);
    }

    #[test]
    fn a_circle_is_found_however_its_names_are_written() {
        let lines = ["src/a.rs -> src/b.rs: B", "src/b.rs -> src/a.rs: A"];
        for (a, b) in [
            ("use crate::b::B;", "use crate::a::A;"),
            ("use super::b::{self, B};", "fn f() -> super::a::A { g() }"),
            (
                "use crate::{b::B, c};",
                "mod inner { use super::super::a::A; }",
            ),
            ("use crate::B;", "use crate::a::A;"),
        ] {
            circle(
                &[("lib.rs", "pub use b::B; mod b;"), ("a.rs", a), ("b.rs", b)],
                &lines,
            );
        }
        let three = [
            ("a.rs", "use crate::b::f;"),
            ("b.rs", "fn f() { crate::c::g(); }"),
            ("c.rs", "use super::a::A;"),
        ];
        assert_eq!(of(&three).circles().len(), 3);
        circle(
            &[
                ("x/mod.rs", "use y::Y; mod y; pub struct X;"),
                ("x/y.rs", "use super::X;"),
            ],
            &[
                "src/x/mod.rs -> src/x/y.rs: Y",
                "src/x/y.rs -> src/x/mod.rs: X",
            ],
        );
        // Handed on, and used all the same.
        circle(
            &[
                ("x.rs", "pub use self::y::Y; fn f(_: Y) {} pub struct X;"),
                ("x/y.rs", "use super::X;"),
            ],
            &["src/x.rs -> src/x/y.rs: Y", "src/x/y.rs -> src/x.rs: X"],
        );
    }

    #[test]
    fn what_is_no_circle_is_none() {
        // A face that only hands names on is looked through.
        circle(
            &[
                ("x/mod.rs", "pub use y::Y; mod y; mod z;"),
                ("x/y.rs", "use super::z::Z;"),
                ("x/z.rs", ""),
            ],
            &[],
        );
        circle(
            &[
                ("x.rs", "mod y; pub struct X; pub(crate) use self::y::Y;"),
                ("x/y.rs", "use super::X;"),
            ],
            &[],
        );
        let through = of(&[
            ("x.rs", "pub use self::y::Y;"),
            ("x/y.rs", ""),
            ("z.rs", "use crate::x::Y;"),
        ]);
        let ends: Vec<_> = through.arrows().into_keys().collect();
        assert_eq!(ends, [("src/z.rs".to_owned(), "src/x/y.rs".to_owned())]);
        // Tests may look at all that there is.
        circle(
            &[
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
            ],
            &[],
        );
        circle(
            &[
                ("a.rs", "use crate::b::B;"),
                ("b/tests.rs", "use crate::a::A;"),
                ("b.rs", ""),
            ],
            &[],
        );
        circle(
            &[
                ("a.rs", "use std::b::B; // use crate::b::B"),
                ("b.rs", "use crate::a::A;"),
            ],
            &[],
        );
    }

    #[test]
    fn an_arrow_up_in_a_session_is_found() {
        let faults = |from: &str, to: &str| {
            let ends = (format!("src/session/{from}"), format!("src/session/{to}"));
            faults_of_session(&Arrows::from([(ends, BTreeSet::new())]))
        };
        for (from, to) in [
            ("client.rs", "channels/core.rs"),
            ("interpreter/login.rs", "work/job.rs"),
            ("interpreter/login.rs", "interpreter/state.rs"),
            ("flow/send.rs", "flow.rs"),
        ] {
            assert_eq!(faults(from, to), Vec::<String>::new());
        }
        for (from, to) in [
            ("work/job.rs", "interpreter/state.rs"),
            ("interpreter/state.rs", "channels/core.rs"),
            ("flow/send.rs", "common.rs"),
            ("client.rs", "attic.rs"),
        ] {
            assert_eq!(faults(from, to).len(), 1, "{from} {to}");
        }
    }
}
