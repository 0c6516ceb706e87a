//! Token figures: the kinds of tokens, and the triplet `delta | last | total`.
//!
//! Sources convert their agent's own counters into [`Tokens`] first, so that the figures of all agents have the same
//! meaning.
//! Read next: [`crate::session`], which owns one [`Triplet`] per session.

use serde::{Deserialize, Serialize};

/// Tokens by kind. The kinds do not overlap.
///
/// Codex's `input_tokens` includes tokens read from or written to a cache; the Codex source subtracts both (`facts`:
/// protocol.rs `TokenUsage`, "input_tokens includes cached").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tokens {
    /// Input neither read from nor written to a cache.
    pub input: u64,
    /// Input read from a cache.
    pub cached_input: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self { input: 0, cached_input: 0, cache_write: 0, output: 0, reasoning: 0 };

    /// Input that was not read from a cache, plus output: the `total=` that Codex prints.
    pub fn blended(&self) -> u64 {
        self.fresh_input().saturating_add(self.output)
    }

    /// Input that was not read from a cache.
    pub fn fresh_input(&self) -> u64 {
        self.input.saturating_add(self.cache_write)
    }

    /// Every token, cached input included.
    pub fn all(&self) -> u64 {
        self.blended().saturating_add(self.cached_input)
    }

    /// The figure for `count`.
    pub fn counted(&self, count: Count) -> u64 {
        match count {
            Count::Blended => self.blended(),
            Count::All => self.all(),
        }
    }

    /// Whether every kind is zero.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Sum by kind, saturating.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// Difference by kind, not below zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            input: f(self.input, other.input),
            cached_input: f(self.cached_input, other.cached_input),
            cache_write: f(self.cache_write, other.cache_write),
            output: f(self.output, other.output),
            reasoning: f(self.reasoning, other.reasoning),
        }
    }
}

/// Which tokens the triplet counts (`tokens.count` in the settings).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// Non-cached input and output.
    #[default]
    Blended,
    /// Cached input as well.
    All,
}

/// `delta | last | total` of one session, in counted tokens. `None`: not known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triplet {
    /// How much the total rose at the last usage event that changed it.
    pub delta: Option<u64>,
    /// Tokens of the current turn, or of the last one if none is running.
    pub last: Option<u64>,
    /// All tokens of this session, its own.
    pub total: Option<u64>,
}

/// The triplet's three parts by kind of token, as a session keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The tokens of the last usage event that changed the total.
    #[serde(rename = "delta")]
    pub session_delta_tokens: Option<Tokens>,
    /// The current turn's tokens, or the last one's if none is running.
    #[serde(rename = "last")]
    pub last_turn_tokens: Option<Tokens>,
    /// All tokens of this session, its own.
    #[serde(rename = "total")]
    pub session_total_tokens: Option<Tokens>,
}

impl Usage {
    /// The triplet as counted by `count`.
    pub fn triplet(&self, count: Count) -> Triplet {
        let counted = |tokens: Option<Tokens>| tokens.map(|tokens| tokens.counted(count));
        Triplet {
            delta: counted(self.session_delta_tokens),
            last: counted(self.last_turn_tokens),
            total: counted(self.session_total_tokens),
        }
    }
}
