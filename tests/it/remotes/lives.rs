//! The life of a link: kills, stops, ends, settings.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::pair::{Pair, session};
use crate::support::PATIENCE;

use agent_presence::io::clock;

/// The processes that run with this in their environment or arguments, but those that a test asks with.
fn watches(pair: &Pair) -> Vec<i32> {
    let state = pair.far.state().to_str().unwrap().to_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let says = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).contains(text);
        if says(&read("environ"), &state) && says(&read("cmdline"), "--alive") {
            found.push(pid);
        }
    }
    found
}

#[track_caller]
fn wait_until(what: &str, pair: &Pair, wanted: impl Fn(&[i32]) -> bool) -> Vec<i32> {
    let start = clock::now().mono;
    loop {
        let found = watches(pair);
        if wanted(&found) {
            return found;
        }
        assert!(clock::now().mono < start + PATIENCE, "waited in vain for {what}: {found:?}");
        std::thread::yield_now();
    }
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn a_killed_remote_is_started_again_and_no_event_is_repeated() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let far_daemon = pair.far.start("run --dry-run");
    pair.far.wait_for_status("the far daemon", |status| status["daemon"]["pid"] == far_daemon.pid());
    let daemon = pair.daemon();
    pair.wait_for_total(&there.id, 100);
    let watch = pair.near.start("watch --json");
    watch.wait_for_output("\"restored\":true");
    let before = wait_until("the command", &pair, |found| found.len() == 1);
    signal(before[0], Signal::KILL);
    pair.wait_for("waiting");
    there.tokens(8);
    pair.wait_for_total(&there.id, 108);
    let status = pair.wait_for("connected");
    assert_eq!(status["remotes"][0]["last_error"], json!(null));
    watch.wait_for_output("\"total\":108");
    assert_eq!(watch.output().matches("\"restored\":true").count(), 1, "{}", watch.output());
    assert_eq!(watch.output().matches("\"restored\":false").count(), 1);
    drop(daemon);
    wait_until("the end of the command", &pair, <[i32]>::is_empty);
    drop(far_daemon);
}

#[test]
fn a_stopped_remote_is_noticed_by_the_missing_sign_of_life() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let daemon = pair.daemon();
    pair.wait_for_total(&there.id, 100);
    let before = wait_until("the command", &pair, |found| found.len() == 1);
    signal(before[0], Signal::STOP);
    let status = pair.wait_for("waiting");
    assert_eq!(status["remotes"][0]["last_error"], "nothing arrived for 0.5 s", "{status:#}");
    assert_eq!(session(&status, &there.id)["activity"], "thinking", "it goes silent as others do");
    pair.wait_for("connected");
    let after = wait_until("the end of the stopped one", &pair, |found| found.len() == 1);
    assert_ne!(before, after);
    drop(daemon);
}

#[test]
fn the_command_ends_with_the_daemon_however_that_ends() {
    for kill in [false, true] {
        let pair = Pair::new("");
        // Something that the command has started is in its group.
        let far = pair.far_command("200ms");
        let quoted: Vec<String> = far.iter().map(|word| format!("'{word}'")).collect();
        let command = ["/bin/sh", "-c", &format!("{}; true", quoted.join(" "))].map(str::to_owned);
        pair.listen(&command, "");
        let daemon = pair.daemon();
        pair.wait_for("connected");
        assert_eq!(wait_until("both", &pair, |found| !found.is_empty()).len(), 1, "{far:?}");
        if kill {
            daemon.kill()
        } else {
            drop(daemon.terminate())
        }
        wait_until("the end of the command", &pair, <[i32]>::is_empty);
    }
}

#[test]
fn removing_or_mending_a_remote_takes_effect_at_once() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let daemon = pair.daemon();
    pair.wait_for_total(&there.id, 100);
    pair.near.settings("[log]\nlevel = \"info\"\n");
    let status = pair.near.wait_for_status("no remote", |status| status["remotes"] == json!([]));
    assert!(status["card"].is_null() && session(&status, &there.id)["activity"] == "idle", "{status:#}");
    drop(daemon);

    pair.listen(&["/no/such/program".to_owned()], "");
    let daemon = pair.daemon();
    let status = pair.wait_for("rejected");
    assert!(status["remotes"][0]["last_error"].as_str().unwrap().contains("could not start"), "{status:#}");
    drop(daemon);
}
