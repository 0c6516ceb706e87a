//! The rules of the house, as far as they can be checked by reading the tree.
//!
//! What clippy can check is in `clippy.toml` and `[lints]`; here is the rest. A rule says in its failure where it is
//! broken, with file and line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use agent_presence::core::source::Agent;

/// From this many lines on a file says in its header why it is that long, in a sentence that begins with [`REASON`].
const LONG: usize = 400;
const REASON: &str = "//! Longer than other files";

/// The folders of `src`, each of which may know those before it. The core is a crate of its own, which cannot know
/// the others; `error.rs` is known to all but the core.
const LAYERS: [&str; 5] = ["core", "io", "control", "host", "cmd"];

/// What the pure core may not touch, and what would bring it in.
const IMPURE: [&str; 17] = [
    "async",
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "std::process",
    "std::{",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "Mutex",
    "RwLock",
    "mpsc",
    "tokio",
    "tracing",
];

/// What is never left behind, comments included.
const LEFT_BEHIND: [&str; 7] =
    ["#[allow(", "#![allow(", "todo!", "unimplemented!", "FIXME", "XXX", "#[ignore"];

/// Where a test sleeps, and why that is not waiting for something that it could await.
const SLEEPERS: [(&str, &str); 3] = [
    ("tests/it/takeover/many.rs", "it kills at moments of its own choosing"),
    (
        "tests/it/autostart/program.rs",
        "it looks again and again, up to a deadline, for what nothing announces",
    ),
    ("tests/it/support/fake_discord/server.rs", "it cuts frames in two, and time is what lies between"),
];

/// What deletes files, and which.
const DELETERS: [(&str, &str); 11] = [
    ("src/control/transport.rs", "the control socket, while the lock is held"),
    ("src/io/state.rs", "a pause that is over"),
    ("src/cmd/daemon/record.rs", "months of the record that are older than the user keeps them"),
    ("src/io/autostart.rs", "the login entry that it wrote itself"),
    ("src/cmd/uninstall.rs", "settings and state, where the user asks for it"),
    ("src/cmd/config.rs", "half a settings file that it has just begun itself"),
    ("src/io/files.rs", "its own temporary file"),
    ("src/io/folder/by_handle.rs", "its own temporary file, and what the others in this list want"),
    ("src/io/folder/by_path.rs", "what the others in this list want"),
    ("src/io/statusline.rs", "what terminals said more than a week ago"),
    ("src/io/logging/files.rs", "logs that are older than a week"),
];

/// What names an agent outside its folder, and why that is not knowledge of it.
const NAMING: [(&str, &str); 9] = [
    ("src/cmd/cli.rs", "the examples are commands that people type"),
    ("src/cmd/setup.rs", "it asks about a settings file of Claude Code's"),
    ("src/cmd/statusline.rs", "the command is for Claude Code, and its messages say so"),
    ("src/cmd/uninstall.rs", "it names a copy of Claude Code's settings that it leaves"),
    ("src/core/config/keys.rs", "what `tokens.count` is by comparison with what Codex shows"),
    ("src/core/names.rs", "models are called so, whichever agent uses them"),
    ("src/core/source.rs", "it has the folders of all agents"),
    ("src/cmd/demo.rs", "the recording is of Codex"),
    ("src/io/statusline.rs", "the command is for Claude Code"),
];

/// The libraries that the program must use. It may use others beside them.
const GIVEN: [&str; 9] = [
    "discord-rich-presence",
    "tokio",
    "notify",
    "serde",
    "serde_json",
    "tracing",
    "tracing-subscriber",
    "fs2",
    "directories",
];

#[test]
fn the_core_is_pure() {
    let mut broken = String::new();
    for source in sources("src").into_iter().filter(|source| source.is_of("core")) {
        for (number, code) in source.code() {
            for what in IMPURE.into_iter().filter(|word| has_word(code, word)) {
                let _ = writeln!(broken, "{}:{number}: `{what}` in the pure core", source.path);
            }
        }
    }
    assert_eq!(broken, "");
}

#[test]
fn a_layer_knows_only_those_below_it() {
    let mut broken = String::new();
    for source in sources("src").into_iter().filter(|source| !source.is_of("core")) {
        let Some(own) = LAYERS.iter().position(|layer| source.is_of(layer)) else { continue };
        let known: Vec<&str> = LAYERS.into_iter().take(own + 1).chain(["error"]).collect();
        let source = source.without_tests();
        for (number, code) in source.code() {
            for rest in code.split("crate::").skip(1) {
                let name = rest.split(|character: char| !character.is_alphanumeric()).next().unwrap();
                if !known.contains(&name) {
                    let _ = writeln!(broken, "{}:{number}: knows `{name}`", source.path);
                }
            }
        }
    }
    assert_eq!(broken, "");
}

#[test]
fn every_folder_of_src_is_a_layer() {
    let others = ["src/bin/", "src/error.rs", "src/lib.rs", "src/main.rs"];
    let outside: Vec<String> = sources("src")
        .into_iter()
        .filter(|source| !LAYERS.iter().any(|layer| source.is_of(layer)))
        .filter(|source| !others.iter().any(|other| source.path.starts_with(other)))
        .map(|source| source.path)
        .collect();
    assert_eq!(outside, [""; 0], "files in no layer");
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = sources("src").into_iter().chain(sources("tests")).chain(sources("benches"));
    let silent: Vec<String> =
        files.filter(|source| !source.text.starts_with("//! ")).map(|source| source.path).collect();
    assert_eq!(silent, [""; 0], "files without a header");
}

#[test]
fn a_long_file_says_why() {
    let files = sources("src").into_iter().chain(sources("tests"));
    let unexplained: Vec<String> = files
        .filter(|source| source.text.lines().count() > LONG && !source.gives_a_reason())
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    assert_eq!(unexplained, [""; 0], "files over {LONG} lines without a header line `{REASON} because …`");
}

#[test]
fn nothing_is_left_behind() {
    let mut broken = String::new();
    for source in sources("src").into_iter().chain(sources("tests")).filter(Source::is_not_this_one) {
        for (number, line) in source.lines() {
            for what in LEFT_BEHIND.into_iter().filter(|word| has_word(line, word)) {
                let _ = writeln!(broken, "{}:{number}: `{what}`", source.path);
            }
        }
    }
    assert_eq!(broken, "");
}

#[test]
fn what_is_known_of_an_agent_is_in_its_folder() {
    let names = |code: &str| {
        let code = code.to_lowercase();
        let mut words = code.split(|character: char| !character.is_alphanumeric());
        words.any(|word| Agent::of_word(word).is_some())
    };
    let elsewhere = |source: &Source| !source.path.starts_with("src/core/source/");
    let sources = sources("src").into_iter().filter(elsewhere).map(Source::without_tests);
    assert_eq!(unlisted(sources, names, &NAMING), "");
}

#[test]
fn only_known_files_are_deleted() {
    // The lock file above all: a deleted one could be locked twice, once by who still has it open.
    let deletes = |code: &str| {
        ["remove_file", "remove_dir", "remove_dir_all", "unlinkat"].iter().any(|word| calls(code, word))
    };
    assert_eq!(unlisted(sources("src"), deletes, &DELETERS), "");
}

#[test]
fn no_test_sleeps() {
    let sleeps = |code: &str| ["sleep", "sleep_until", "sleep_ms"].iter().any(|word| calls(code, word));
    assert_eq!(unlisted(sources("tests"), sleeps, &SLEEPERS), "");
}

#[test]
fn every_test_that_other_systems_leave_out_exists() {
    let exists = |name: &str| {
        let parts: Vec<&str> = name.split("::").collect();
        let has = |file: &str, part: &str| {
            part == "*" || file.contains(&format!("mod {part} ")) || file.contains(&format!("fn {part}("))
        };
        (1..parts.len()).any(|length| {
            let (module, rest) = parts.split_at(length);
            ["src", "tests/it"].into_iter().any(|root| {
                let path = format!("{root}/{}.rs", module.join("/"));
                let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
                file.is_ok_and(|file| rest.iter().all(|part| has(&file, part)))
            })
        })
    };
    let table = read("packaging/README.md");
    let rows = table.lines().filter(|line| line.ends_with("` |"));
    let names = rows.filter_map(|row| row.rsplit(" | ").next()).flat_map(|cell| cell.split('`'));
    let names: Vec<&str> = names.filter(|name| name.contains("::")).collect();
    assert!(names.len() > 50, "{names:?}");
    let missing: Vec<&str> = names.into_iter().filter(|name| !exists(name)).collect();
    assert_eq!(missing, [""; 0], "packaging/README.md names them");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = [read("Cargo.toml"), read("src/core/Cargo.toml")].concat();
    let mut in_dependencies = false;
    let mut before = "";
    let mut unexplained = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') && !before.starts_with("# ")
        {
            unexplained.push(line);
        }
        before = line;
    }
    assert_eq!(unexplained, [""; 0], "dependencies without a comment in the line above");
}

#[test]
fn both_crates_have_one_version() {
    let own = concat!("\"", env!("CARGO_PKG_VERSION"), "\"\n");
    assert!(read("src/core/Cargo.toml").contains(&["\nversion = ", own].concat()), "the core's is not {own}");
}

#[test]
fn the_given_libraries_are_used() {
    let manifest = read("Cargo.toml");
    let missing: Vec<&str> = GIVEN
        .into_iter()
        .filter(|name| !manifest.lines().any(|line| line.starts_with(&format!("{name} = "))))
        .collect();
    assert_eq!(missing, [""; 0]);
    assert!(manifest.contains("\nnotify = \"8\"\n"), "notify is to be version 8");
    let runtime = manifest.lines().find(|line| line.starts_with("tokio = ")).unwrap();
    assert!(!runtime.contains("rt-multi-thread"), "one thread is enough: {runtime}");
}

/// Lines of `sources` that do what only the files of `list` may do, and files of `list` that do not do it any more.
fn unlisted(
    sources: impl IntoIterator<Item = Source>,
    does: impl Fn(&str) -> bool,
    list: &[(&str, &str)],
) -> String {
    let mut broken = String::new();
    for source in sources.into_iter().filter(Source::is_not_this_one) {
        let lines: Vec<usize> =
            source.code().filter(|(_, code)| does(code)).map(|(number, _)| number).collect();
        let listed = list.iter().any(|(path, _)| source.path == *path);
        if listed && lines.is_empty() {
            let _ = writeln!(broken, "{}: needs its place in the list no more", source.path);
        }
        for number in lines.into_iter().filter(|_| !listed) {
            let _ = writeln!(broken, "{}:{number}: not in the list of `tests/it/tidy.rs`", source.path);
        }
    }
    broken
}

/// One Rust file.
struct Source {
    /// From the root, with `/` on every system.
    path: String,
    text: String,
}

impl Source {
    /// Every line, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The same without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().map(|(number, line)| (number, without_comment(line)))
    }

    /// Whether it is `layer`'s own file or in its folder.
    fn is_of(&self, layer: &str) -> bool {
        let below = self.path.strip_prefix("src/").and_then(|path| path.strip_prefix(layer));
        below.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// Without the tests at its end.
    fn without_tests(mut self) -> Self {
        let is_all_tests = self.path.ends_with("/tests.rs");
        let code = self.text.lines().take_while(|line| !is_all_tests && !line.ends_with("mod tests {"));
        self.text = code.collect::<Vec<_>>().join("\n");
        self
    }

    /// Whether the header has the sentence about the file's length.
    fn gives_a_reason(&self) -> bool {
        let header: Vec<&str> = self.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let from = header.iter().position(|line| line.starts_with(REASON));
        from.is_some_and(|from| header[from..].iter().take(2).any(|line| line.contains(" because ")))
    }

    /// This file names what it forbids.
    fn is_not_this_one(&self) -> bool {
        self.path != "tests/it/tidy.rs"
    }
}

/// All Rust files below `folder`, in a stable order; none if there is no such folder.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, found);
        } else if path.ends_with(".rs") {
            found.push(Source { text: read(&path), path });
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The line up to its comment: the first `//` that is in no string.
fn without_comment(line: &str) -> &str {
    let mut starts = line.match_indices("//").map(|(at, _)| line.split_at(at).0);
    starts.find(|before| before.matches('"').count().is_multiple_of(2)).unwrap_or(line)
}

/// Whether `word` stands in `text` and is not part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |character: char| character.is_alphanumeric() || character == '_';
    let parts: Vec<&str> = text.split(word).collect();
    parts.windows(2).any(|around| {
        let longer_before = word.starts_with(inside) && around[0].ends_with(inside);
        let longer_after = word.ends_with(inside) && around[1].starts_with(inside);
        !longer_before && !longer_after
    })
}

/// Whether `function` is called in `code`.
fn calls(code: &str, function: &str) -> bool {
    has_word(code, &format!("{function}("))
}

#[test]
fn words_are_distinguished_from_parts_of_words() {
    assert!(
        has_word("use tokio::net", "tokio") && !has_word("tokios", "tokio") && !has_word("x_async", "async")
    );
    assert_eq!(without_comment(r#"a("https://x") // async"#), r#"a("https://x") "#);
    assert!(calls("thread::sleep(x)", "sleep") && !calls("after_sleep(x)", "sleep"));
}
