//! One agent, one row: everything in which agents differ is a field of [`Spec`].
//!
//! Nothing matches on an agent. A new one is a folder beside this file with its `SPEC`, and its place in [`Agent::ALL`].

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

/// What there is to know of an agent.
#[derive(Debug)]
pub struct Spec {
    /// The word in settings, JSON and logs.
    pub word: &'static str,
    /// The name that friends see on the card.
    pub card_name: &'static str,
    /// The same in one word, for columns.
    pub short_name: &'static str,
    /// Its home folders.
    pub homes: Homes,
    /// Where its session files lie.
    pub layout: Layout,
    /// Its account's limits.
    pub limits: Limits,
    /// Tokens that it takes off both sides before it tells how much context is left.
    pub context_baseline: u64,
    /// Where it makes worktrees, between the repository's folder and theirs: `/name/`.
    pub worktrees: Option<&'static str>,
    /// A reader of one session's files.
    pub parser: fn() -> Box<dyn Parser>,
    /// How its usage is counted, in a file that begins with this.
    pub ledger: fn(&Meta) -> Box<dyn Ledger>,
    /// Each line that tells usage, or where its conversation goes on, has one of these words in it.
    pub usage_words: &'static [&'static str],
    /// Which other files may have what a file begins with.
    pub relatives: Relatives,
    /// What it prints, where `tap` can read that.
    pub stream: Option<Stream>,
    /// A server of its own that tells what its sessions do, where it has one.
    pub live: Option<Live>,
    /// Whether a line is one that the agent writes.
    pub is_line: fn(&[u8]) -> bool,
    /// The time of a line, as far as its first bytes tell it.
    pub line_time: fn(&[u8]) -> Option<Timestamp>,
    /// So many bytes of a line are enough to tell its time.
    pub time_within: usize,
}

impl Spec {
    /// What most agents have in common: usage by message, and no limits, register or stream.
    pub const USUAL: Self = Self {
        word: "",
        card_name: "",
        short_name: "",
        homes: Homes { key: "", variables: &[], below: &[], files: &[], has_commas: false, usual: &[] },
        layout: Layout::USUAL,
        limits: Limits { main_family: "", in_files: false, are_whole: false, cached: None },
        context_baseline: 0,
        worktrees: None,
        parser: || Box::<Mute>::default(),
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

/// A parser that says nothing.
#[derive(Debug, Default)]
struct Mute;

impl Parser for Mute {}

/// How an agent tells the limits of its account.
#[derive(Debug)]
pub struct Limits {
    /// The family whose windows are on the card.
    pub main_family: &'static str,
    /// Whether session files tell them, so that old ones are worth a look.
    pub in_files: bool,
    /// Whether each word names every window that there is, so that one which is absent is no more.
    pub are_whole: bool,
    /// What the agent keeps of them itself, from an earlier time.
    pub cached: Option<Cached>,
}

/// A file of an agent's own with its limits.
#[derive(Debug)]
pub struct Cached {
    /// Its name in a home; that of the first of the usual ones lies beside it.
    pub file: &'static str,
    /// What it says.
    pub read: fn(&[u8]) -> Option<Learnt>,
}

/// When limits were learnt, and what they are.
pub type Learnt = (Timestamp, Vec<LimitsFact>);

/// What an agent prints while it works.
#[derive(Debug)]
pub struct Stream {
    /// The command that prints it.
    pub command: &'static str,
    /// The options that name the folder in which the command works, where its stream does not say it.
    pub folder_options: &'static [&'static str],
    /// Whether a line is one of it.
    pub is_line: fn(&[u8]) -> bool,
    /// A reader of one stream.
    pub parser: fn() -> Box<dyn Parser>,
    /// Whether its totals begin at zero where a session is resumed, and do not go on from what its file has.
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

    /// pi, and what is built on it: Oh My Pi, OpenClaw.
    pub const PI: Self = Self(&pi::SPEC);

    /// OpenCode, and what keeps its sessions as it does: Kilo CLI, MiMo.
    pub const OPENCODE: Self = Self(&opencode::SPEC);

    /// GitHub Copilot CLI.
    pub const COPILOT: Self = Self(&copilot::SPEC);

    /// Gemini CLI.
    pub const GEMINI: Self = Self(&gemini::SPEC);

    /// Qwen Code.
    pub const QWEN: Self = Self(&qwen::SPEC);

    /// All of them, in the order in which they are listed.
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

    /// The key in the settings that has its own server listened to, where it has one.
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
