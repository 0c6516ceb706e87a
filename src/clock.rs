//! The one place that reads clocks.

use std::sync::OnceLock;
use std::time::Instant;

use jiff::Timestamp;

use crate::core::time::Now;

/// Both clocks, now. `mono` counts from the first call in this process.
#[expect(clippy::disallowed_methods, reason = "this is where everything else gets the time from")]
pub fn now() -> Now {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    Now { mono: ORIGIN.get_or_init(Instant::now).elapsed(), wall: Timestamp::now() }
}

#[cfg(test)]
mod tests {
    use super::now;

    #[test]
    fn the_monotonic_clock_never_falls() {
        let first = now();
        assert!(now().mono >= first.mono);
    }
}
