//! The README and the pages of `docs` are true: console blocks are executed, tables are compared with the code.
//!
//! A block is one or more `$ command` lines, each followed by what it prints. `...` stands for any lines, `[..]` for
//! anything in a line; times are not compared. `agent-presence` and `cargo run` are the binary under test, in a home of
//! its own with one live session; no Discord is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use agent_presence::core::source::Agent;
use agent_presence::io::clock;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

/// The pages for users, in the order in which their examples are followed.
const PAGES: [(&str, &str); 13] = [
    ("README.md", include_str!("../../README.md")),
    ("docs/install.md", include_str!("../../docs/install.md")),
    ("docs/setup.md", include_str!("../../docs/setup.md")),
    ("docs/commands.md", include_str!("../../docs/commands.md")),
    ("docs/settings.md", SETTINGS),
    ("docs/privacy.md", include_str!("../../docs/privacy.md")),
    ("docs/remotes.md", include_str!("../../docs/remotes.md")),
    ("docs/bars.md", include_str!("../../docs/bars.md")),
    ("docs/json.md", include_str!("../../docs/json.md")),
    ("docs/details.md", include_str!("../../docs/details.md")),
    ("docs/troubleshooting.md", include_str!("../../docs/troubleshooting.md")),
    ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
    ("SECURITY.md", include_str!("../../SECURITY.md")),
];
const SETTINGS: &str = include_str!("../../docs/settings.md");
const GATE: &str = include_str!("../../.ci/run");

/// A session of the last hour. `"@-90"` is 90 seconds ago as a time, `@+90` in 90 seconds as Unix time.
const SESSION: &str = include_str!("readme/session.jsonl");

/// What the pages call the home folder and Discord's socket.
const HOME: &str = "/home/you";
#[cfg(unix)]
const SOCKET: &str = "/run/user/1000/discord-ipc-0";

#[test]
fn commands_do_as_the_pages_say() {
    let home = Home::new();
    for example in examples().iter().filter(|example| !is_demo(example)) {
        match example.arguments() {
            Arguments::OfTheTests => assert!(
                GATE.lines().any(|line| line == format!("step {}", example.command)),
                "the gate runs another command than `{}`",
                example.command
            ),
            Arguments::OfTheBinary(arguments) if arguments == ["run"] => home.check_daemon(example),
            Arguments::OfTheBinary(arguments) => {
                let output = home.command(&arguments).output().unwrap();
                assert!(output.status.success(), "{}: {output:?}", example.command);
                check(&home.redacted(&text(&output)), example);
            }
        }
    }
}

#[test]
fn the_demo_does_as_the_pages_say() {
    let examples = examples();
    let demo = examples.iter().find(|example| is_demo(example)).unwrap();
    let Arguments::OfTheBinary(arguments) = demo.arguments() else { panic!("{}", demo.command) };
    let output = Home::new().command(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    check(&text(&output), demo);
}

#[test]
fn the_settings_are_those_of_the_code() {
    let table = agent_presence::core::config::markdown();
    assert!(
        SETTINGS.contains(&format!("-->\n{table}<!--")),
        "the table of docs/settings.md should be\n{table}"
    );
}

#[test]
fn every_command_and_variable_is_named() {
    let mut command = agent_presence::cmd::cli::command();
    for subcommand in command.get_subcommands() {
        let row = format!("\n| `{}", subcommand.get_name());
        let beside = format!(", `{}` |", subcommand.get_name());
        assert!(is_said(&row) || is_said(&beside), "no row for `{}`", subcommand.get_name());
    }
    let help = command.render_long_help().to_string();
    let homes = Agent::ALL.into_iter().flat_map(|agent| agent.spec().homes.named());
    for variable in homes.into_iter().chain(["AGENT_PRESENCE_", "XDG_", "RUST_LOG", "NO_COLOR"]) {
        for name in help
            .split(|c: char| !c.is_ascii_uppercase() && c != '_')
            .filter(|name| name.starts_with(variable))
        {
            assert!(is_said(&format!("`{name}`")), "{name} is on no page");
        }
    }
}

#[test]
fn every_link_of_a_page_has_its_target() {
    for (page, text) in PAGES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_file = !target.contains("://") && !target.contains('`');
            assert!(!is_file || folder.parent().unwrap().join(target).exists(), "{target} in {page}");
        }
    }
}

#[test]
fn every_page_is_found_from_the_readme() {
    let (_, readme) = PAGES[0];
    for (page, _) in &PAGES[1..] {
        assert!(readme.contains(&format!("]({page})")), "{page}");
    }
}

/// Whether one of the pages says so.
fn is_said(text: &str) -> bool {
    PAGES.iter().any(|(_, page)| page.contains(text))
}

/// One command of a page and what it prints.
struct Example {
    command: String,
    expected: String,
}

enum Arguments {
    OfTheBinary(Vec<String>),
    OfTheTests,
}

impl Example {
    fn arguments(&self) -> Arguments {
        // Every second piece stands between quotes.
        let words = |rest: &str| {
            let pieces = rest.split('\'').enumerate();
            let words = pieces.flat_map(|(place, piece)| match place % 2 {
                0 => piece.split_whitespace().map(str::to_owned).collect(),
                _ => vec![piece.to_owned()],
            });
            words.collect()
        };
        let command = self.command.as_str();
        match command.strip_prefix("agent-presence ").or(command.strip_prefix("cargo run --release -- ")) {
            Some(rest) => Arguments::OfTheBinary(words(rest)),
            None => {
                assert_eq!(command, "cargo test", "there is no way to execute this");
                Arguments::OfTheTests
            }
        }
    }
}

fn is_demo(example: &Example) -> bool {
    example.command.contains("--demo")
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut in_block = false;
    for line in PAGES.iter().flat_map(|(_, page)| page.lines()) {
        match line {
            "```console" => in_block = true,
            "```" => in_block = false,
            _ if !in_block => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    examples.push(Example { command: command.to_owned(), expected: String::new() });
                }
                None => examples.last_mut().unwrap().expected += &format!("{line}\n"),
            },
        }
    }
    assert!(examples.len() >= 5, "the pages have lost their console blocks");
    examples
}

/// A home with one live session.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let folder = home.path(".codex/sessions/2026/11/20");
        fs::create_dir_all(&folder).unwrap();
        let name = "rollout-2026-11-20T10-00-00-01a1f8c4-6a00-7001-8a00-5c1e7a90b2d4.jsonl";
        fs::write(folder.join(name), session(clock::now().wall)).unwrap();
        home
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn settings(&self) -> PathBuf {
        self.path(".config/agent-presence/config.toml")
    }

    /// The binary in this home and no other environment than what every system needs.
    fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-presence"));
        let kept = ["PATH", "SystemRoot"].map(|name| (name, std::env::var_os(name)));
        command.env_clear().envs(kept.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.env("HOME", self.0.path()).env("TZ", "UTC").env("CODEX_HOME", self.path(".codex"));
        // On Windows the home is not asked of the environment, and a file that is named has to be there or to be made.
        if cfg!(windows) {
            let empty = self.path("empty.toml");
            fs::write(&empty, "").unwrap();
            let is_meant = self.settings().exists() || arguments == ["config", "init"];
            command.env("AGENT_PRESENCE_CONFIG", if is_meant { self.settings() } else { empty });
        }
        command.env("AGENT_PRESENCE_STATE_DIR", self.path(".local/state/agent-presence"));
        command.args(arguments);
        command
    }

    fn redacted(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), HOME).replace('\\', "/")
    }

    /// Follows the second step, runs the daemon until it has said everything, and ends it.
    #[cfg(unix)]
    fn check_daemon(&self, example: &Example) {
        use std::io::{BufRead, BufReader};
        use std::process::Stdio;

        use crate::support::fake_discord::FakeDiscord;

        let discord = FakeDiscord::in_folder(self.0.path());
        let id = application_id();
        let written = fs::read_to_string(self.settings()).unwrap();
        let clients = format!("clients = [{:?}]", discord.endpoint());
        let edited = written.replace("#application_id = \"\"", id).replace("#clients = \"all\"", &clients);
        fs::write(self.settings(), edited).unwrap();

        let mut daemon =
            self.command(&["run".to_owned()]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let last = example.expected.lines().rfind(|line| *line != "...").map(timeless).unwrap();
        let mut said = String::new();
        for line in BufReader::new(daemon.stderr.take().unwrap()).lines() {
            let line = line.unwrap().replace(&discord.endpoint(), SOCKET);
            said += &format!("{line}\n");
            if timeless(&line) == last {
                discord.activity(1);
                let pid = rustix::process::Pid::from_child(&daemon);
                rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            }
        }
        assert!(daemon.wait().unwrap().success(), "{said}");
        check(&said, example);
        fs::write(self.settings(), written.replace("#application_id = \"\"", id)).unwrap();
    }

    #[cfg(not(unix))]
    fn check_daemon(&self, _: &Example) {
        let written = fs::read_to_string(self.settings()).unwrap();
        let id = application_id();
        fs::write(self.settings(), written.replace("#application_id = \"\"", id)).unwrap();
    }
}

/// The line of the settings that the pages give for an example.
fn application_id() -> &'static str {
    let mut lines = PAGES.iter().flat_map(|(_, page)| page.lines());
    lines.find(|line| line.starts_with("application_id = ")).unwrap()
}

/// The session as it would have been written by now.
fn session(now: Timestamp) -> String {
    let mut parts = SESSION.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != '+' && c != '-').unwrap();
        let (seconds, rest) = part.split_at(end);
        let at = now + SignedDuration::from_secs(seconds.parse().unwrap());
        text += &if seconds.starts_with('+') { at.as_second().to_string() } else { at.to_string() };
        text += rest;
    }
    text
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

fn check(actual: &str, example: &Example) {
    let (actual, expected) = (timeless(actual), timeless(&example.expected));
    let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    if !matches(&lines(&expected), &lines(&actual)) {
        println!("$ {}", example.command);
        snapbox::assert_data_eq!(actual, snapbox::IntoData::raw(expected));
    }
}

fn matches(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((any, rest)) if any == "..." => (0..=actual.len()).any(|skip| matches(rest, &actual[skip..])),
        Some((line, rest)) => {
            actual.split_first().is_some_and(|(next, after)| line_matches(line, next) && matches(rest, after))
        }
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == actual,
        Some((before, after)) => actual.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| rest.split_at(at).1)
                .chain([""])
                .any(|rest| line_matches(after, rest))
        }),
    }
}

/// The text with every time of day, timer and date the same.
fn timeless(text: &str) -> String {
    text.split_inclusive('\n').map(timeless_line).collect()
}

fn timeless_line(line: &str) -> String {
    let mut words = line.split(' ').peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let time = word.trim_matches(|c: char| !c.is_ascii_digit());
        if !time.contains(':') || !time.chars().all(|c| c.is_ascii_digit() || ":.+-TZ".contains(c)) {
            kept.push(word.to_owned());
            continue;
        }
        let mut told = word.replace(time, "TIME");
        // `14:20 on 23 Nov`
        if words.next_if_eq(&"on").is_some() {
            words.next();
            told += words.next().unwrap_or_default().trim_start_matches(char::is_alphabetic);
        }
        kept.push(told);
    }
    kept.join(" ")
}

#[test]
fn wildcards_stand_for_anything() {
    let lines = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
    let check = |expected, actual, is_match| {
        assert_eq!(matches(&lines(expected), &lines(actual)), is_match, "{expected} and {actual}");
    };
    check("a|...|b|c", "a|b|x|b|c", true);
    check("a|...", "a", true);
    check("a|...|c", "a|b", false);
    check("x [..]% [..]", "x 5% left", true);
    check("x [..]%", "x 5% left", false);
    check("a", "a|b", false);
}

#[test]
fn times_are_not_compared() {
    assert_eq!(timeless("└ 1:02:03 elapsed\n"), "└ TIME elapsed\n");
    assert_eq!(timeless("47% left (resets 09:00 on 23 Nov)\n"), "47% left (resets TIME)\n");
    assert_eq!(timeless("2026-11-20T14:02:11.480+01:00  INFO 5h 64%"), "TIME  INFO 5h 64%");
}
