//! Codex's counters: what is done with them, and what makes a copied usage line known.

use crate::core::source::{CountInfo, Counters};
use crate::core::usage::Tokens;

/// The token figures of one usage line, exactly as written: enough to recognise a copied line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// `last_token_usage`: input, cached, cache write, output, reasoning, total.
    pub last: [u64; 6],
    /// `total_token_usage`, likewise.
    pub total: [u64; 6],
}

/// The comparable form of a usage line.
pub(super) fn row(info: &CountInfo) -> Row {
    Row { last: numbers(&info.last.unwrap_or_default()), total: numbers(&info.total) }
}

pub(crate) fn numbers(counters: &Counters) -> [u64; 6] {
    let Counters { input, cached_input, cache_write, output, reasoning, total } = *counters;
    [input, cached_input, cache_write, output, reasoning, total]
}

pub(super) fn counters_of(
    [input, cached_input, cache_write, output, reasoning, total]: [u64; 6],
) -> Counters {
    Counters { input, cached_input, cache_write, output, reasoning, total }
}

/// In kinds that do not overlap. Codex's input includes what was read from and written to a cache.
pub(crate) fn tokens(counters: &Counters) -> Tokens {
    Tokens {
        input: counters.input.saturating_sub(counters.cached_input).saturating_sub(counters.cache_write),
        cached_input: counters.cached_input,
        cache_write: counters.cache_write,
        output: counters.output,
        reasoning: counters.reasoning,
    }
}

impl Counters {
    pub(super) fn minus(&self, other: &Self) -> Self {
        let [a, b, c, d, e, f] = numbers(self);
        let [g, h, i, j, k, l] = numbers(other);
        counters_of([
            a.saturating_sub(g),
            b.saturating_sub(h),
            c.saturating_sub(i),
            d.saturating_sub(j),
            e.saturating_sub(k),
            f.saturating_sub(l),
        ])
    }

    /// Whether any counter is lower than in `before`. Counters of one thread only rise, so it was restarted then.
    pub(super) fn is_below(&self, before: &Self) -> bool {
        numbers(self).iter().zip(numbers(before)).any(|(now, before)| *now < before)
    }

    /// What they were before `last` was added; `None` where it was not.
    pub(super) fn before(&self, last: Option<&Self>) -> Option<Self> {
        last.filter(|last| !self.is_below(last)).map(|last| self.minus(last))
    }
}
