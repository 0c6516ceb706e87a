//! `{pace}`: how long the windows on a card last.

use agent_presence::core::card::CardWindow;
use agent_presence::core::limits::Pace;

use super::{facts, line, time};

#[test]
fn pace_names_the_window_where_the_others_differ() {
    let check = |paces: [Option<Pace>; 2], expected: &str| {
        let mut facts = facts();
        for (window, pace) in facts.windows.iter_mut().zip(paces) {
            window.pace = pace;
        }
        assert_eq!(line("{pace}", &facts), expected, "{paces:?}");
    };
    let lasts = Some(Pace::Lasts);
    let empty = |at| Some(Pace::Empty { empty_at: time(at) });
    check([None, None], "");
    check([lasts, lasts], "lasts until reset");
    check([lasts, None], "5h lasts until reset");
    check([empty("2026-11-20T16:40:30Z"), lasts], "5h empty about 16:40");
    check([lasts, empty("2026-11-22T06:00:00Z")], "weekly empty about 06:00 on 22 Nov");
    check([empty("2026-11-20T13:00:00Z"), empty("2026-11-20T12:00:00Z")], "weekly empty about 12:00");
    let mut alone = facts();
    alone.windows = vec![CardWindow { pace: empty("2026-11-20T16:40:30Z"), ..alone.windows[0].clone() }];
    assert_eq!(line("{limits}, {pace}", &alone), "5h 64% left, empty about 16:40");
}
