//! One daemon after the other and the commands that reach it, on every system.

use serde_json::Value;

use crate::support::home::Home;
use crate::support::process::Process;

fn started(home: &Home) -> Process {
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| {
        status["daemon"]["state"] == "running" && status["daemon"]["pid"] == daemon.pid()
    });
    daemon
}

#[test]
fn it_can_be_paused_resumed_and_stopped() {
    let home = Home::new();
    home.session().turn().tokens(4_500);
    let daemon = started(&home);
    home.wait_for_status("the card", |status| !status["card"].is_null());
    assert_eq!(home.output("pause"), "paused until `agent-presence resume`\n");
    assert_eq!(home.status()["card"], Value::Null);
    assert_eq!(home.run("resume").code, Some(0));
    assert_eq!(home.status()["card"]["name"], "Codex");
    assert_eq!(home.run("stop").code, Some(0));
    assert_eq!(daemon.wait_for_end().code, Some(0));
    assert_eq!(home.run("stop").code, Some(3));
}

#[test]
fn a_second_one_takes_over() {
    let home = Home::new();
    let mut daemon = started(&home);
    for _ in 0..3 {
        let next = started(&home);
        assert_eq!(daemon.wait_for_end().code, Some(0));
        daemon = next;
    }
    assert_eq!(home.run("run --no-takeover").code, Some(4));
    assert_eq!(home.run("stop").code, Some(0));
    assert_eq!(daemon.wait_for_end().code, Some(0));
}
