//! pi alone.

use agent_presence::core::source::Agent;

use crate::claude::totals_of_replay;
use crate::support::fixtures::root;

/// Forks repeat what their parent has: together they are one count of every response.
#[test]
fn a_session_and_its_forks_add_up_to_one_count() {
    for folder in ["fork", "fork-clock-set-back"] {
        let totals = totals_of_replay(&[root(Agent::PI).join("3").join(folder)]);
        assert_eq!(totals.values().sum::<u64>(), 560 + 11, "{folder}: {totals:?}");
    }
}
