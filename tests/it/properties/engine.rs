//! The engine keeps its promises through random lives of a daemon: `world` checks them with every step.

use proptest::prelude::*;

use crate::world::script::live;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn after_any_events_the_last_card_is_shown_and_silence_clears_it(
        script in prop::collection::vec(any::<u8>(), 0..1000),
    ) {
        live(&script);
    }
}
