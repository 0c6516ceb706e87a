//! Running counters as an agent writes them, and what is done with them.

use crate::core::usage::Tokens;

/// The agent's counters, exactly as written: kinds overlap as the agent has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Input, cached input and cache writes included.
    pub input: u64,
    /// Input read from a cache.
    pub cached_input: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Reasoning.
    pub reasoning: u64,
    /// The sum as the API reported it.
    pub total: u64,
}

impl Counters {
    /// In kinds that do not overlap: input includes what was read from and written to a cache.
    pub fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input.saturating_sub(self.cached_input).saturating_sub(self.cache_write),
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            output: self.output,
            reasoning: self.reasoning,
        }
    }

    /// Each counter less the other one's, and never below zero.
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

    /// Whether any counter is lower than in `before`. Counters of one thread only rise, so it was restarted then.
    pub fn is_below(&self, before: &Self) -> bool {
        before.minus(self) != Self::default()
    }

    /// What they were before `last` was added; `None` where it was not.
    pub fn before(&self, last: Option<&Self>) -> Option<Self> {
        last.filter(|last| !self.is_below(last)).map(|last| self.minus(last))
    }
}
