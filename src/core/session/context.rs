//! How full a session's context window is.

use serde::{Deserialize, Serialize};

use crate::source::Agent;

/// The context window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Tokens in it.
    pub used_tokens: u64,
    /// Its size in tokens.
    pub window: u64,
    /// What is left, 0 to 100.
    pub remaining_percent: u8,
}

impl Context {
    /// `used` tokens in a window of `window`, with the agent's own formula for the remaining share, which subtracts a
    /// baseline from both. A `used` above the window is an estimate and counts as full.
    pub fn new(agent: Agent, used: u64, window: u64) -> Self {
        let baseline = agent.spec().context_baseline;
        let used_tokens = used.min(window);
        Self { used_tokens, window, remaining_percent: context_left(used_tokens, window, baseline) }
    }
}

/// Codex's own formula (`protocol.rs`, `percent_of_context_window_remaining`): `baseline` tokens are in every window.
fn context_left(used: u64, window: u64, baseline: u64) -> u8 {
    if window <= baseline {
        return 0;
    }
    let size = window - baseline;
    let left = size.saturating_sub(used.saturating_sub(baseline));
    #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
    let percent = (left as f64 / size as f64 * 100.0).clamp(0.0, 100.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and 100")]
    let percent = percent as u8;
    percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_left_is_codex_own_formula() {
        let codex = |used, window| Context::new(Agent::CODEX, used, window);
        assert_eq!(codex(42_976, 258_400).remaining_percent, 87);
        assert_eq!(codex(0, 258_400).remaining_percent, 100);
        let full = Context { used_tokens: 258_400, window: 258_400, remaining_percent: 0 };
        assert_eq!(codex(940_499, 258_400), full);
        assert_eq!(codex(1, 12_000).remaining_percent, 0);
        assert_eq!(Context::new(Agent::CLAUDE, 16_000, 200_000).remaining_percent, 92);
    }
}
