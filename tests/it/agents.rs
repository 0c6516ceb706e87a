//! What reading the files of every agent gives beside Codex and Claude Code, fixture by fixture.
//!
//! Each agent has a module of its own here for what is its own alone.

mod copilot;
mod gemini;
pub(crate) mod opencode;
mod pi;

use std::path::PathBuf;

use agent_presence::cmd::replay::replay;
use agent_presence::core::settings::Settings;
use agent_presence::core::source::{Agent, recognise};
use agent_presence::io::homes;
use agent_presence::io::paths::Environment;
use jiff::tz::TimeZone;

use crate::support::fixtures::{all, check_all, read, root};

const AGENTS: [Agent; 4] = [Agent::PI, Agent::COPILOT, Agent::GEMINI, Agent::QWEN];

#[test]
fn the_variables_of_agents_name_their_homes() {
    let folders = |agent: Agent, variables: &[(&str, &str)]| {
        let environment = Environment::new(variables.iter().copied(), None);
        homes::folders(agent, Settings::default().sources.of_mut(agent), &environment)
    };
    for (agent, variables, expected) in [
        (Agent::GEMINI, &[("GEMINI_CLI_HOME", "/g")][..], "/g/.gemini"),
        (Agent::QWEN, &[("QWEN_HOME", "/h")], "/h"),
        (Agent::QWEN, &[("QWEN_HOME", "/h"), ("QWEN_RUNTIME_DIR", "/r")], "/r"),
    ] {
        if cfg!(unix) {
            assert_eq!(folders(agent, variables), [PathBuf::from(expected)], "{agent:?} {variables:?}");
        }
    }
}

#[test]
fn every_fixture_gives_what_its_fact_says() {
    for agent in AGENTS {
        check_all(agent, |_| true);
    }
}

#[test]
fn every_file_is_known_for_its_agents() {
    for agent in AGENTS {
        for path in all(agent) {
            let head = std::fs::read(&path).unwrap();
            assert_eq!(recognise(&head), Some(agent), "{}", path.display());
        }
    }
}

#[test]
fn chunks_do_not_matter() {
    for (agent, path) in
        AGENTS.into_iter().flat_map(|agent| all(agent).into_iter().map(move |path| (agent, path)))
    {
        let bytes = std::fs::read(&path).unwrap();
        let whole = read(agent, &path, &bytes, usize::MAX >> 1).map(|seen| seen.json());
        for chunk in [1, 7, 100, 4096] {
            let pieces = read(agent, &path, &bytes, chunk).map(|seen| seen.json());
            assert_eq!(pieces, whole, "{} in pieces of {chunk}", path.display());
        }
    }
}

#[test]
fn nothing_of_a_conversation_comes_out() {
    for agent in AGENTS {
        let mut events = 0;
        let problems = replay(&[root(agent)], Settings::default(), TimeZone::UTC, &mut |event| {
            let told = serde_json::to_string(&event).unwrap();
            assert!(!told.contains("MARKER-SECRET"), "{told}");
            events += 1;
        });
        assert_eq!(problems, []);
        assert!(events > 0);
    }
}
