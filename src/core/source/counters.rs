//! Running counters as an agent writes them.

use crate::usage::Tokens;

/// The agent's counters, unchanged: kinds overlap as the agent writes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Input, including cached input and cache writes.
    pub input: u64,
    /// Input read from a cache.
    pub cached_input: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Output, including reasoning.
    pub output: u64,
    /// Reasoning.
    pub reasoning: u64,
    /// The sum as the API reported it.
    pub total: u64,
}

impl Counters {
    /// As kinds that do not overlap: input without tokens read from or written to a cache.
    pub fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input.saturating_sub(self.cached_input).saturating_sub(self.cache_write),
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: self.reasoning,
        }
    }

    /// Each counter minus the other's, not below zero.
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_sub(other.input),
            cached_input: self.cached_input.saturating_sub(other.cached_input),
            cache_write: self.cache_write.saturating_sub(other.cache_write),
            output: self.output.saturating_sub(other.output),
            reasoning: self.reasoning.saturating_sub(other.reasoning),
            total: self.total.saturating_sub(other.total),
        }
    }

    /// Whether any counter is lower than in `before`. Counters of one thread only rise, so a lower one shows a
    /// restart.
    pub fn is_below(&self, before: &Self) -> bool {
        before.minus(self) != Self::default()
    }

    /// The counters before `last` was added; `None` if it was not added.
    pub fn before(&self, last: Option<&Self>) -> Option<Self> {
        last.filter(|last| !self.is_below(last)).map(|last| self.minus(last))
    }
}
