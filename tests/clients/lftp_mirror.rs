//! lftp's mirrors, up and down, of a tree with odd names.

use crate::lftp::lftp;
use crate::stage::Stage;
use crate::tree;

each_way!("lftp":
    up_and_down
    parallel
    by_list
    pipelined
    again_has_nothing_to_do
    removes_what_is_gone
);

/// Mirrors up, then down elsewhere; all three trees must be the same.
#[track_caller]
fn there_and_back(stage: &Stage, settings: &str, options: &str) {
    tree::build(&stage.local("tree"));
    lftp(
        stage,
        &format!("{settings} mirror {options} -R tree up; mirror {options} up back"),
    );
    tree::assert_same(&stage.local("tree"), &stage.server.path("up"));
    tree::assert_same(&stage.local("tree"), &stage.local("back"));
}

fn up_and_down(stage: &Stage) {
    there_and_back(stage, "", "");
    assert_ne!(stage.count("MLSD"), 0, "{:?}", stage.commands());
}

fn parallel(stage: &Stage) {
    there_and_back(stage, "", "-P 4");
}

/// The names come out of LIST as well, those with spaces at the ends included.
fn by_list(stage: &Stage) {
    there_and_back(stage, "set ftp:use-mlsd no;", "");
    assert_eq!(stage.count("MLSD"), 0, "{:?}", stage.commands());
}

fn pipelined(stage: &Stage) {
    there_and_back(stage, "set ftp:sync-mode no;", "-P 2");
}

/// Sizes and times of modification arrive and are kept.
fn again_has_nothing_to_do(stage: &Stage) {
    tree::build(&stage.local("tree"));
    lftp(stage, "mirror -R tree up; mirror up back");
    stage.forget_commands();
    lftp(
        stage,
        "mirror -R tree up; mirror up back; mirror -R back up",
    );
    let moved = stage.count("STOR") + stage.count("RETR") + stage.count("DELE");
    assert_eq!(moved, 0, "{:?}", stage.commands());
}

fn removes_what_is_gone(stage: &Stage) {
    tree::build(&stage.server.path("up"));
    stage.mkdir("tree/empty");
    stage.write("tree/one", "one");
    lftp(stage, "mirror -R --delete tree up");
    tree::assert_same(&stage.local("tree"), &stage.server.path("up"));
}
