//! Growing waits with a random part, so that many daemons do not connect at the same time.

use std::time::Duration;

/// A wait that doubles with every failure, from `first` to `last`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts without a failure.
    pub fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }

    /// The wait after one more failure.
    pub fn fail(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.last);
        wait
    }

    /// A success: the next failure counts as the first.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Sebastiano Vigna's splitmix64: random enough to spread retries, and equal for equal seeds.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// `wait` and up to a quarter more.
    pub(crate) fn spread(&mut self, wait: Duration) -> Duration {
        wait.saturating_add(self.below(wait / 4))
    }

    /// Whole milliseconds from zero up to, but not including, `end`; zero if `end` is zero.
    fn below(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.next().checked_rem(end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_start_over_after_a_success() {
        let mut random = SplitMix::new(7);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for expected in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
            let wait = backoff.fail();
            assert_eq!(wait, expected);
            for _ in 0..100 {
                let spread = random.spread(wait);
                assert!(spread >= wait && spread < wait + wait / 4, "{spread:?} for {wait:?}");
            }
        }
        backoff.reset();
        assert_eq!(backoff.fail(), Duration::from_secs(1));
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        // The first outputs for seed 0 of the reference implementation.
        let mut random = SplitMix::new(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }
}
