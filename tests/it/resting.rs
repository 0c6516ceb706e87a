//! A file that has told everything is given up, and read again when it goes on: nothing is different for that.

use std::path::Path;

use agent_presence::core::file::{FileUpdate, SessionFile};
use agent_presence::core::source::Agent;
use jiff::Timestamp;

use crate::support::fixtures;

/// Takes what comes behind what was read, line by line, and all that comes of it.
fn goes_on(mut file: SessionFile, agent: Agent, path: &Path, bytes: &[u8]) -> Vec<FileUpdate> {
    let mut updates = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        file.push(line);
        file.caught_up();
        fixtures::answer(&mut file, agent, path);
        updates.extend(file.take_update());
    }
    updates
}

/// Reads what the fixtures of an agent begin with, in every length; how many of those files could be given up.
fn given_up(agent: Agent, live_since: Timestamp) -> (usize, usize) {
    let (mut given_up, mut all) = (0, 0);
    for path in fixtures::all(agent) {
        let bytes = std::fs::read(&path).unwrap();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        for end in ends {
            let (before, after) = bytes.split_at(end);
            let read = |live_since| {
                let mut file = SessionFile::new(agent, "home".into(), live_since);
                file.locate(&path);
                file.push(before);
                file
            };
            let mut stays = read(live_since);
            stays.end_line();
            stays.caught_up();
            fixtures::answer(&mut stays, agent, &path);
            let told = stays.take_update();
            all += 1;
            let Some(decided) = stays.decided() else { continue };
            given_up += 1;
            let mut again = read(Timestamp::MAX);
            again.decide_again(&decided);
            assert_eq!(again.take_update(), None, "nothing of it is told again");
            let at = format!("{} at {end}", path.display());
            assert_eq!(again.counted(), stays.counted(), "{at}");
            let (stays, again) = (goes_on(stays, agent, &path, after), goes_on(again, agent, &path, after));
            assert_eq!(again, stays, "{at}, after {told:#?}");
        }
    }
    (given_up, all)
}

#[test]
fn a_resting_file_goes_on_like_one_in_memory() {
    for agent in Agent::ALL.into_iter().filter(|agent| !fixtures::all(*agent).is_empty()) {
        for live_since in [Timestamp::MIN, Timestamp::MAX] {
            let (given_up, all) = given_up(agent, live_since);
            // Those that are not have told what only other files know.
            assert!(given_up * 10 > all * 8, "{}: {given_up} of {all}", agent.word());
        }
    }
}
