//! The engine keeps its promises through random lives of a daemon: `world` checks them with every step.

use proptest::prelude::*;

use crate::world::script::live;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn whatever_happens_the_last_wish_is_shown_and_silence_ends_it(
        script in prop::collection::vec(any::<u8>(), 0..1000),
    ) {
        live(&script);
    }
}
