//! What one machine tells another, by the real program on both sides.

use std::fs;

use serde_json::{Value, json};

use super::pair::{Pair, listen, session};
use crate::support::process::Process;

fn usages(watch: &Process) -> Vec<Value> {
    let printed = watch.output();
    let events = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "usage").collect()
}

#[test]
fn a_session_there_is_shown_here_with_its_own_figures() {
    for with_daemon in [false, true] {
        let pair = Pair::new("[privacy]\nproject = true\n[record]\nenabled = true\n");
        let mut there = pair.far.session();
        there.limits(36.0, 53.0).turn().call().tokens(1000);
        let far_daemon = with_daemon.then(|| pair.far.start("run --dry-run"));
        if let Some(daemon) = &far_daemon {
            pair.far.wait_for_status("the far daemon", |status| status["daemon"]["pid"] == daemon.pid());
        }
        let daemon = pair.daemon();
        let watch = pair.near.start("watch --json");
        let known = pair.wait_for_total(&there.id, 1000);
        assert_eq!(
            (&known["host"], &known["project"], &known["model"]),
            (&json!("devbox"), &json!("app"), &json!("gpt-5.6-sol"))
        );
        assert_eq!((&known["restored"], &known["activity"]), (&json!(true), &json!("running")));
        let status = pair.wait_for("connected");
        assert_eq!(status["card"]["details"], "Running a command in app · GPT-5.6 Sol", "{status:#}");
        assert!(
            status["card"]["state"].as_str().unwrap().starts_with("5h 64% · weekly 47% left"),
            "{status:#}"
        );
        let limits = &status["limits"][0];
        assert_eq!((&limits["host"], &limits["home"]), (&json!("devbox"), &json!(pair.far.codex())));
        let remote = &status["remotes"][0];
        assert_eq!(
            (&remote["name"], &remote["version"]),
            (&json!("devbox"), &json!(env!("CARGO_PKG_VERSION")))
        );
        assert_eq!((&remote["last_error"], remote["last_heard_at"].is_string()), (&Value::Null, true));

        there.call_done().tokens(50);
        pair.wait_for_total(&there.id, 1050);
        watch.wait_for_output("\"delta\":50,\"last\":1050,\"total\":1050");
        let told = usages(&watch);
        assert!(told.iter().all(|event| event["host"] == "devbox"), "{told:#?}");
        assert_eq!(told.iter().filter(|event| event["restored"] == false).count(), 1, "{told:#?}");
        there.end();
        pair.near.wait_for_status("its end", |status| session(status, &there.id)["activity"] == "waiting");
        drop(watch);
        let ended = daemon.terminate();
        assert_eq!(ended.code, Some(0));
        for private in ["devbox", "env", "CODEX_HOME"] {
            assert!(!ended.out.contains(private), "{private} is on no card: {}", ended.out);
        }
        let record = fs::read_dir(pair.near.state().join("record")).unwrap();
        let record: String = record.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let events: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(events.iter().all(|event| event["host"] == "devbox") && events.len() == 2, "{record}");
    }
}

#[test]
fn each_event_comes_once_over_takeovers_on_both_sides() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let mut far_daemon = pair.far.start("run");
    pair.far.wait_for_status("the far daemon", |status| status["daemon"]["pid"] == far_daemon.pid());
    let mut daemon = pair.near.start("run");
    pair.wait_for_total(&there.id, 100);
    let watch = pair.near.start("watch --json");
    watch.wait_for_output("\"restored\":true");
    let mut total = 100;
    for round in 0..3 {
        total += 7;
        there.tokens(7);
        pair.wait_for_total(&there.id, total);
        if round % 2 == 0 {
            let next = pair.near.start("run");
            assert_eq!(daemon.wait_for_end().code, Some(0));
            daemon = next;
        } else {
            let next = pair.far.start("run");
            assert_eq!(far_daemon.wait_for_end().code, Some(0));
            far_daemon = next;
        }
        total += 3;
        there.tokens(3);
        pair.wait_for_total(&there.id, total);
    }
    watch.wait_for_output(&format!("\"total\":{total}}},\"usage\""));
    let told = usages(&watch);
    let added: Vec<_> = told
        .iter()
        .filter(|event| event["restored"] == false)
        .map(|event| &event["tokens"]["delta"])
        .collect();
    assert_eq!(added, [7, 3, 7, 3, 7, 3].map(|delta| json!(delta)).iter().collect::<Vec<_>>(), "{told:#?}");
    assert_eq!(told.iter().filter(|event| event["restored"] == true).count(), 1);
    drop((daemon, far_daemon));
}

#[test]
fn a_session_that_is_read_here_as_well_is_the_local_one() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let daemon = pair.daemon();
    pair.wait_for_total(&there.id, 100);
    let watch = pair.near.start("watch --json");
    watch.wait_for_output("\"restored\":true");
    // The other home is read by its path from now on, as a folder of WSL may be.
    let both = format!("[sources]\ncodex_home = [{:?}]\n", pair.far.codex());
    pair.listen(&pair.far_command("200ms"), &both);
    let status = pair.near.wait_for_status("ours", |status| session(status, &there.id)["host"].is_null());
    assert_eq!(status["sessions"].as_array().unwrap().len(), 1, "{status:#}");
    there.tokens(11);
    pair.wait_for_total(&there.id, 111);
    watch.wait_for_output("\"total\":111");
    there.tokens(12);
    watch.wait_for_output("\"total\":123");
    let added: Vec<Value> = usages(&watch).into_iter().filter(|event| event["restored"] == false).collect();
    assert_eq!(added.len(), 2, "{added:#?}");
    drop(daemon);
}

#[test]
fn rules_may_name_a_folder_there() {
    for (path, hidden) in [("devbox:/home/*/app", true), ("/home/**", true), ("devbox:/srv", false)] {
        let pair = Pair::new(&format!("[[privacy.rule]]\npath = \"{path}\"\nshow = \"hide\"\n"));
        let mut there = pair.far.session();
        there.turn().tokens(100);
        let daemon = pair.daemon();
        pair.wait_for_total(&there.id, 100);
        let status = pair.wait_for("connected");
        assert_eq!(status["card"].is_null(), hidden, "{path}: {status:#}");
        let output = daemon.terminate().out;
        assert_eq!(output.contains("Thinking"), !hidden, "{path}: {output}");
    }
}

/// Two that list each other would tell each other the same for ever.
#[test]
fn events_of_remotes_are_not_passed_on() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    // The other one listens to this one.
    let back = Pair { near: pair.far, far: pair.near };
    listen(&back.near, &back.far_command("200ms"), "");
    let pair = Pair { near: back.far, far: back.near };
    let far_daemon = pair.far.start("run --dry-run");
    let mut here = pair.near.session();
    here.turn().tokens(5);
    let daemon = pair.daemon();
    pair.wait_for_total(&there.id, 100);
    pair.far.wait_for_status("ours", |status| session(status, &here.id)["host"] == "devbox");
    assert_eq!(session(&pair.near.status(), &here.id)["host"], Value::Null);
    assert_eq!(pair.near.status()["sessions"].as_array().unwrap().len(), 2);
    drop((daemon, far_daemon));
}

#[test]
fn without_a_daemon_watch_connects_to_remotes_and_status_says_that_none_is_read() {
    let pair = Pair::new("");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let watch = pair.near.start("watch --json");
    watch.wait_for_output("\"host\":\"devbox\"");
    there.tokens(9);
    watch.wait_for_output("\"total\":109");
    let remote = &pair.near.status()["remotes"][0];
    assert_eq!((&remote["name"], &remote["state"]), (&json!("devbox"), &json!("waiting")));
    assert!(remote["last_error"].as_str().unwrap().contains("no daemon is running"));
}
