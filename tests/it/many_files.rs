//! More session files than are ever read at once: of most only the place is kept, and what they tell is the same.

use std::slice::from_ref;

use serde_json::Value;

use crate::claude::{one_count_of, totals_of_replay};
use crate::support::claude_session::ClaudeSession;
use crate::support::home::Home;
use crate::support::process::Process;

/// More than stay at hand.
const MANY: usize = 300;

#[test]
fn a_file_among_many_goes_on_with_its_figures() {
    let home = Home::new();
    let mut sessions: Vec<_> = (0..MANY).map(|_| home.session()).collect();
    for session in &mut sessions {
        session.turn().tokens(4_500);
    }
    let daemon = home.start("run --dry-run");
    let all = |status: &serde_json::Value| status["sessions"].as_array().unwrap().len() == MANY;
    home.wait_for_status("all sessions", |status| status["daemon"]["pid"] == daemon.pid() && all(status));
    // The first and the last to be read, and one that is written anew.
    for at in [0, MANY / 2, MANY - 1] {
        let session = &mut sessions[at];
        session.tokens(1_000);
        let id = session.id.clone();
        let status = home.wait_for_status("its figures", |status| {
            let of =
                status["sessions"].as_array().unwrap().iter().find(|session| session["id"] == id.as_str());
            of.is_some_and(|session| session["tokens"]["total"] == 5_500)
        });
        let sessions = status["sessions"].as_array().unwrap();
        let grown = sessions.iter().find(|session| session["id"] == id.as_str()).unwrap();
        assert_eq!(grown["tokens"]["delta"], 1_000, "{grown:#}");
        assert_eq!(grown["restored"], false, "{grown:#}");
        assert_eq!(sessions.len(), MANY);
    }
    let ended = daemon.terminate();
    let news: Vec<_> = ended.err.lines().filter(|line| line.contains("restored=false")).collect();
    assert_eq!(news.len(), 3, "{news:#?}");
    assert!(news.iter().all(|line| line.contains("total=5,500 (+1,000)")), "{news:#?}");
    let restored = ended.err.lines().filter(|line| line.contains("restored=true")).count();
    assert_eq!(restored, MANY, "each is told once");
}

/// What a Claude Code transcript counts depends on its relatives: they are asked again when it goes on.
#[test]
fn a_transcript_among_many_goes_on_with_its_figures_also_with_the_next_daemon() {
    let home = Home::new();
    let mut sessions: Vec<_> = (0..MANY).map(|_| home.claude_session()).collect();
    for session in &mut sessions {
        session.turn().call(4_500);
    }
    // A copy of one that was there before it counts nothing of that.
    let mut copy = sessions[MANY / 2].fork(true);
    copy.call_done().call(500);
    let all = |status: &Value| status["sessions"].as_array().unwrap().len() == MANY + 1;
    let mut daemons = Vec::new();
    let mut grown = 0;
    for total in [5_500, 6_500] {
        let daemon = home.start("run");
        home.wait_for_status("all sessions", |status| status["daemon"]["pid"] == daemon.pid() && all(status));
        for at in [0, MANY / 2, MANY - 1] {
            total_of(&home, sessions[at].call_done().call(1_000), total, 1_000);
            grown += 1;
        }
        total_of(&home, copy.call_done().call(1_000), total - 4_000, 1_000);
        grown += 1;
        daemons.push(daemon);
    }
    let last = daemons.pop().unwrap().terminate();
    let logs = daemons.into_iter().map(Process::wait_for_end).chain([last]);
    let lines: Vec<String> =
        logs.flat_map(|ended| ended.err.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let news: Vec<_> = lines.iter().filter(|line| line.contains("restored=false")).collect();
    assert_eq!(news.len(), grown, "{news:#?}");
    assert!(news.iter().all(|line| line.contains("(+1,000)")), "{news:#?}");
    assert_eq!(
        lines.iter().filter(|line| line.contains("restored=true")).count(),
        MANY + 1,
        "each is told once"
    );
}

#[test]
fn a_replay_finds_the_original_of_a_copy_among_many() {
    let home = Home::new();
    let mut sessions: Vec<_> = (0..MANY).map(|_| home.claude_session()).collect();
    for session in &mut sessions {
        session.turn().call(4_500);
    }
    let original = sessions[MANY / 2].id.clone();
    // One names its original, one is known by its first line alone.
    let copies = [true, false].map(|says_so| {
        let mut copy = sessions[MANY / 2].fork(says_so);
        copy.call_done().call(500);
        copy
    });
    let folder = home.claude();
    let mut totals = totals_of_replay(from_ref(&folder));
    assert_eq!(totals.len(), MANY + 2);
    assert_eq!(totals.values().sum::<u64>(), one_count_of(&folder));
    assert_eq!(totals[&original], 4_500);
    assert_eq!(copies.map(|copy| totals.remove(&copy.id)), [Some(500), Some(500)]);
}

#[track_caller]
fn total_of(home: &Home, session: &ClaudeSession, total: u64, delta: u64) {
    home.wait_for_status("its figures", |status| {
        let mut sessions = status["sessions"].as_array().unwrap().iter();
        let session = sessions.find(|known| known["id"] == session.id.as_str());
        session.is_some_and(|session| {
            session["tokens"]["total"] == total
                && session["tokens"]["delta"] == delta
                && session["restored"] == false
        })
    });
}
