//! Growing waits with a little chance in them, so that many daemons do not knock at the same moment.

use std::time::Duration;

/// A wait that doubles with every failure, from `first` to `last`, and up to a quarter more by chance.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    last: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, failures: 0 }
    }

    /// How long to wait after one more failure.
    pub(super) fn fail(&mut self, random: &mut SplitMix) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = self.first.saturating_mul(doubled).min(self.last);
        wait.saturating_add(random.below(wait / 4))
    }

    /// Things went well: the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Sebastiano Vigna's splitmix64: enough chance to spread retries, and the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Whole milliseconds from zero up to, but not including, `end`; zero when that is empty.
    fn below(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.next().checked_rem(end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_its_end_and_starts_over() {
        let mut random = SplitMix::new(7);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.fail(&mut random);
            let plain = Duration::from_secs(expected);
            assert!(wait >= plain && wait <= plain + plain / 4, "{wait:?} for {plain:?}");
        }
        for _ in 0..100 {
            assert!(backoff.fail(&mut random) <= Duration::from_secs(75));
        }
        backoff.reset();
        assert!(backoff.fail(&mut random) < Duration::from_secs(2));
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        // The first outputs for seed 0 as the reference implementation prints them.
        let mut random = SplitMix::new(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
    }
}
