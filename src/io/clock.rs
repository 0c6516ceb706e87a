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
