//! The behaviour book: what the engine does over time, as scripts with the trace that each must give.
//!
//! `UPDATE_SCENARIOS=1` writes the traces anew; read the difference before keeping it.

pub(crate) mod claude;
pub(crate) mod codex;
mod copilot;
mod rows;
mod script;
pub(crate) mod world;

use std::path::{Path, PathBuf};

const RULE: &str = "\n---\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Runs one page of the book; returns how its trace differs.
fn check(path: &Path) -> Option<String> {
    let page = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let (script, expected) = page.split_once(RULE).unwrap_or((&page, ""));
    let trace = script::run(script).join("\n") + "\n";
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        std::fs::write(path, format!("{}{RULE}{trace}", script.trim_end())).unwrap();
        return None;
    }
    let name = path.file_name().unwrap().to_string_lossy();
    (trace != expected).then(|| format!("{name}\n{}", difference(expected, &trace)))
}

/// The lines that only one side has, in order: the longest common sequence of lines is left out.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let mut common = vec![vec![0; found.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..found.len()).rev() {
            common[i][j] = if expected[i] == found[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < expected.len() || j < found.len() {
        if i < expected.len() && j < found.len() && expected[i] == found[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < expected.len() && (j == found.len() || common[i + 1][j] >= common[i][j + 1]) {
            out += &format!("  - {}\n", expected[i]);
            i += 1;
        } else {
            out += &format!("  + {}\n", found[j]);
            j += 1;
        }
    }
    out
}

/// One page by its name.
#[track_caller]
fn page(name: &str) {
    if let Some(difference) = check(&folder().join(name).with_extension("txt")) {
        panic!("{difference}");
    }
}

#[test]
fn the_same_count_twice_changes_nothing() {
    page("repeated-count");
}

#[test]
fn another_models_limits_are_not_on_the_card() {
    page("families");
}

#[test]
fn a_reset_passes_without_a_file_event() {
    page("a-limit-resets");
}

#[test]
fn older_limits_are_not_made_fresher() {
    page("freshest-limits");
}

#[test]
fn two_busy_sessions_do_not_flap() {
    page("two-busy-sessions");
}

#[test]
fn idle_is_nothing_to_do() {
    page("idle");
}

#[test]
fn the_behaviour_book() {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "txt"))
        .collect();
    pages.sort();
    assert!(!pages.is_empty());
    let failures: Vec<String> = pages.iter().filter_map(|page| check(page)).collect();
    let count = pages.len();
    assert!(failures.is_empty(), "{} of {count} scenarios differ:\n{}", failures.len(), failures.join("\n"));
}
