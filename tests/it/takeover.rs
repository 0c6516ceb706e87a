//! A second daemon: one that is healthy hands over, one that hangs is ended if it is the one that its record names,
//! and no other process is ever signalled.

use std::time::Duration;

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Process;

#[cfg(unix)]
mod displaced;
mod healthy;
#[cfg(unix)]
mod hung;
mod left_over;
mod many;

/// The first daemon ends because the second one asked it to.
#[track_caller]
fn hands_over(first: Process, second: &Process) {
    let first_pid = first.pid();
    let ended = first.wait_for_end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains(&format!("handing over to={}", second.pid())), "{}", ended.err);
    second.wait_for_log(&format!("took over from={first_pid}"));
}

/// The second daemon is the one that runs, and friends never saw two cards or none.
#[track_caller]
fn stays_with(home: &Home, discord: &FakeDiscord, second: Process) {
    discord.wait_for_end(1);
    discord.seen(|seen| {
        let (ended, _) = seen.connections[0].ended.clone().unwrap();
        let overlap = ended.saturating_sub(seen.connections[1].opened);
        assert!(overlap < Duration::from_millis(500), "both were connected for {overlap:?}");
        assert!(seen.activities.iter().all(Option::is_some), "nothing is cleared to be set again");
    });
    let status = home.wait_for_status("the second", |status| status["daemon"]["pid"] == second.pid());
    assert_eq!(status["limits"][0]["windows"][0]["remaining_percent"], 64);
    assert_eq!(second.terminate().code, Some(0));
}
