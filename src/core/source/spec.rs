//! One row per agent: every difference between agents is a field of [`Spec`].
//!
//! No code matches on an agent. A new one is a folder beside this file with its `SPEC`, and its place in
//! [`Agent::ALL`].

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use super::layout::{Homes, Layout};
use super::ledger::Ledger;
use super::ledger::messages::Messages;
use super::listener::Live;
use super::relatives::Relatives;
use super::{LimitsFact, Meta, Parser, claude, codex, copilot, gemini, opencode, pi, qwen};

/// Everything specific to an agent.
#[derive(Debug)]
pub struct Spec {
    /// Its word in settings, JSON and logs.
    pub word: &'static str,
    /// Its name on the card.
    pub card_name: &'static str,
    /// Its name in one word, for columns.
    pub short_name: &'static str,
    /// Its home folders.
    pub homes: Homes,
    /// The folders and names of its session files.
    pub layout: Layout,
    /// Its account's limits.
    pub limits: Limits,
    /// Tokens that it subtracts from both the used and the whole context before it shows what is left.
    pub context_baseline: u64,
    /// The path of its worktrees below the repository's folder: `/name/`.
    pub worktrees: Option<&'static str>,
    /// Makes a reader of one session's files.
    pub parser: fn() -> Box<dyn Parser>,
    /// Makes the ledger for a file with this beginning.
    pub ledger: fn(&Meta) -> Box<dyn Ledger>,
    /// Each line with usage, or with the session that continues it, contains one of these words.
    pub usage_words: &'static [&'static str],
    /// The files that may contain the original of a copied beginning.
    pub relatives: Relatives,
    /// Its printed output, if `tap` can read it.
    pub stream: Option<Stream>,
    /// Its own server with the state of its sessions, if it has one.
    pub live: Option<Live>,
    /// Whether a line is one that the agent writes.
    pub is_line: fn(&[u8]) -> bool,
    /// The time of a line, if its first bytes contain it.
    pub line_time: fn(&[u8]) -> Option<Timestamp>,
    /// How many bytes of a line are enough to find its time.
    pub time_within: usize,
}

impl Spec {
    /// The values that most agents share: usage by message, and no limits, register or stream.
    pub const USUAL: Self = Self {
        word: "",
        card_name: "",
        short_name: "",
        homes: Homes { key: "", variables: &[], below: &[], files: &[], has_commas: false, usual: &[] },
        layout: Layout::USUAL,
        limits: Limits { main_family: "", in_files: false, are_whole: false, cached: None },
        context_baseline: 0,
        worktrees: None,
        parser: || Box::<EmptyParser>::default(),
        ledger: |_| Box::<Messages>::default(),
        usage_words: &[],
        relatives: Relatives::Alike,
        stream: None,
        live: None,
        is_line: |_| false,
        line_time: |_| None,
        time_within: 4 << 10,
    };
}

/// A parser without facts.
#[derive(Debug, Default)]
struct EmptyParser;

impl Parser for EmptyParser {}

/// The sources of an agent's account limits.
#[derive(Debug)]
pub struct Limits {
    /// The family whose windows are on the card.
    pub main_family: &'static str,
    /// Whether session files contain them, so that old files are worth reading.
    pub in_files: bool,
    /// Whether each report has all windows, so that a missing one no longer exists.
    pub are_whole: bool,
    /// The agent's own copy of them, from an earlier time.
    pub cached: Option<Cached>,
}

/// An agent's own file with its limits.
#[derive(Debug)]
pub struct Cached {
    /// Its name in a home; for the first of the usual homes it is beside it.
    pub file: &'static str,
    /// Reads its limits.
    pub read: fn(&[u8]) -> Option<ObservedLimits>,
}

/// The limits, and when they were observed.
pub type ObservedLimits = (Timestamp, Vec<LimitsFact>);

/// The printed output of an agent.
#[derive(Debug)]
pub struct Stream {
    /// The command that prints it.
    pub command: &'static str,
    /// The options that set the folder in which the command works, if the output does not contain it.
    pub folder_options: &'static [&'static str],
    /// Whether a line is part of it.
    pub is_line: fn(&[u8]) -> bool,
    /// Makes a reader of one stream.
    pub parser: fn() -> Box<dyn Parser>,
    /// Whether its totals begin at zero when a session is resumed, instead of continuing those of its file.
    pub from_zero: bool,
}

/// A coding agent whose sessions are read: a reference to its row.
#[derive(Clone, Copy)]
pub struct Agent(&'static Spec);

impl Agent {
    /// OpenAI Codex: CLI, VS Code, desktop.
    pub const CODEX: Self = Self(&codex::SPEC);
    /// Anthropic Claude Code.
    pub const CLAUDE: Self = Self(&claude::SPEC);

    /// pi, and agents built on it: Oh My Pi, OpenClaw.
    pub const PI: Self = Self(&pi::SPEC);

    /// OpenCode, and agents that store sessions in the same way: Kilo CLI, MiMo.
    pub const OPENCODE: Self = Self(&opencode::SPEC);

    /// GitHub Copilot CLI.
    pub const COPILOT: Self = Self(&copilot::SPEC);

    /// Gemini CLI.
    pub const GEMINI: Self = Self(&gemini::SPEC);

    /// Qwen Code.
    pub const QWEN: Self = Self(&qwen::SPEC);

    /// All agents, in the order of lists.
    pub const ALL: [Self; 7] =
        [Self::CODEX, Self::CLAUDE, Self::PI, Self::OPENCODE, Self::COPILOT, Self::GEMINI, Self::QWEN];

    /// The agent of a row.
    pub const fn new(spec: &'static Spec) -> Self {
        Self(spec)
    }

    /// Its row.
    pub const fn spec(self) -> &'static Spec {
        self.0
    }

    /// The agent with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.word() == word)
    }

    /// The word in settings, JSON and logs.
    pub const fn word(self) -> &'static str {
        self.0.word
    }

    /// The name that friends see on the card.
    pub const fn card_name(self) -> &'static str {
        self.0.card_name
    }

    /// The key in the settings that enables its own server, if it has one.
    pub fn live_key(self) -> Option<&'static str> {
        self.0.live.as_ref().map(|live| live.key)
    }

    fn place(self) -> usize {
        Self::ALL.into_iter().position(|agent| agent == self).unwrap_or(Self::ALL.len())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl PartialEq for Agent {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.word() == other.word()
    }
}

impl Eq for Agent {}

impl Ord for Agent {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        self.place().cmp(&other.place()).then_with(|| self.word().cmp(other.word()))
    }
}

impl PartialOrd for Agent {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Agent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word().hash(state);
    }
}

impl Serialize for Agent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Agent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::of_word(&word).ok_or_else(|| D::Error::custom(format!("unknown agent {word:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for agent in Agent::ALL {
            let json = serde_json::to_string(&agent).expect("a word");
            assert_eq!(serde_json::from_str::<Agent>(&json).ok(), Some(agent));
        }
        assert!(serde_json::from_str::<Agent>(r#""nobody""#).is_err());
    }

    #[test]
    fn agents_are_in_the_order_of_the_table() {
        assert!(Agent::ALL.is_sorted());
    }
}
