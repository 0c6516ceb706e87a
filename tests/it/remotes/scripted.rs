//! Remotes that are scripts: clocks that are off, old programs, and lies.

use std::time::Duration;

use agent_presence::core::time::{earlier, later};
use agent_presence::io::clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pair::{Pair, listen, script, session};
use crate::support::home::Home;

/// It ends with its input, as the program itself does.
const STAY: &str = "exec cat > /dev/null";

fn hello(at: Timestamp) -> Value {
    json!({"event": "hello", "schema": 1, "version": env!("CARGO_PKG_VERSION"), "at": at, "agents": ["codex"], "stream": "s"})
}

fn told(id: &str, at: Timestamp) -> Value {
    let figures = json!({"delta": null, "last": null, "total": null});
    json!({"at": at, "event": "session", "session": {"id": id, "agent": "codex", "surface": "cli", "shown": false,
        "project": "app", "branch": null, "model": "gpt-5.6-sol", "effort": null, "activity": "thinking",
        "started_at": earlier(at, Duration::from_secs(600)), "last_event_at": at, "last_usage_at": null,
        "restored": true, "counting": false, "parent": null, "tokens": figures, "usage": figures, "context": null}})
}

fn usage(id: &str, at: Timestamp, delta: u64, total: u64, seq: u64) -> Value {
    let tokens = |input: u64| json!({"input": input, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0});
    json!({"at": at, "event": "usage", "session": id, "agent": "codex", "turn": null, "restored": false, "seq": seq,
        "tokens": {"delta": delta, "last": delta, "total": total},
        "usage": {"delta": tokens(delta), "last": tokens(delta), "total": tokens(total)}})
}

/// What `status` says once the remote stands so.
#[track_caller]
fn status(lines: &[Value], then: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let home = Home::new();
    let command = script(&home.path("home"), lines, then);
    listen(&home, &command, "");
    let daemon = home.start("run --dry-run");
    let status = home
        .wait_for_status("the remote", |status| status["daemon"]["pid"] == daemon.pid() && wanted(status));
    drop(daemon);
    status
}

fn stands<'a>(state: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |status| status["remotes"][0]["state"] == state
}

#[test]
fn a_remote_clock_that_is_off_by_an_hour_is_corrected() {
    let hour = Duration::from_secs(3600);
    for off in [later as fn(_, _) -> _, earlier] {
        let there = off(clock::now().wall, hour);
        let resets = later(there, hour);
        let limits = json!({"at": there, "event": "limits", "agent": "codex", "home": "/root/.codex", "family": "codex",
            "name": null, "plan": "plus", "observed_at": there, "stale": false, "source_session": null,
            "windows": [{"label": "5h", "minutes": 300, "used_percent": 36.0, "remaining_percent": 64,
                "resets_at": resets, "state": "current", "capped_by": null}]});
        let lines = [hello(there), told("far", there), limits, usage("far", there, 5, 100, 3)];
        let status = status(&lines, STAY, |status| session(status, "far")["tokens"]["total"] == 100);
        let now: Timestamp = status["now"].as_str().unwrap().parse().unwrap();
        let is_near = |value: &Value, seconds: i64| {
            let at: Timestamp = value.as_str().unwrap().parse().unwrap();
            (at.duration_since(now).as_secs() - seconds).abs() < 30
        };
        let known = session(&status, "far");
        assert_eq!(
            (&known["host"], &known["activity"]),
            (&json!("devbox"), &json!("thinking")),
            "{status:#}"
        );
        assert!(is_near(&known["started_at"], -600) && is_near(&known["last_event_at"], 0), "{status:#}");
        assert!(is_near(&status["card"]["started_at"], -600), "{status:#}");
        assert!(is_near(&status["limits"][0]["windows"][0]["resets_at"], 3600), "{status:#}");
        assert!(is_near(&status["limits"][0]["observed_at"], 0) && status["limits"][0]["stale"] == false);
        assert!(status["card"]["state"].as_str().unwrap().starts_with("5h 64%"), "{status:#}");
    }
}

#[test]
fn a_remote_that_repeats_events_after_a_break_adds_no_event() {
    let at = clock::now().wall;
    let home = Home::new();
    let lines = [hello(at), told("far", at), usage("far", at, 5, 100, 3)];
    let mut command = script(&home.path("home"), &lines, "echo \"$@\" >> \"$0.asked\"");
    command.extend(["watch", "--json", "--alive", "60s"].map(str::to_owned));
    listen(&home, &command, "");
    let daemon = home.start("run --dry-run");
    let asked = home.path("home/remote.sh.asked");
    let again = "watch --json --alive 60s\nwatch --json --alive 60s --since s:3\n";
    home.wait_for_status("a second start", |_| {
        std::fs::read_to_string(&asked).unwrap_or_default().starts_with(again)
    });
    daemon.wait_for_log("waiting: the command ended");
    drop(daemon);
}

#[test]
fn a_remote_of_another_version_is_refused_with_the_reason() {
    let at = clock::now().wall;
    let refused = |lines: &[Value], then: &str| {
        let status = status(lines, then, stands("rejected"));
        assert_eq!(status["sessions"], json!([]));
        status["remotes"][0]["last_error"].as_str().unwrap().to_owned()
    };
    let needed = concat!("agent-presence ", env!("CARGO_PKG_VERSION"), " or later is needed there");
    assert!(refused(&[told("far", at)], STAY).contains(needed));
    let usage = "echo \"error: unexpected argument '--alive' found\" >&2; exit 2";
    assert!(refused(&[], usage).contains(needed));
    let mut other = hello(at);
    other["version"] = json!("99.1.0");
    assert!(refused(&[other], STAY).contains("99.1.0"));
    let denied = "echo first >&2; printf '\\033[31mme@devbox: Permission denied (publickey).\\033[0m\\n\\n' >&2; exit 255";
    let why = refused(&[], denied);
    assert!(why.contains("Permission denied (publickey)") && !why.chars().any(char::is_control), "{why:?}");
    assert!(refused(&[], "exec /no/such/agent-presence").contains("not found"));
}

#[test]
fn an_unreachable_remote_is_retried_ever_more_slowly() {
    let status = status(
        &[],
        "echo 'ssh: connect to host devbox port 22: No route to host' >&2; exit 255",
        stands("waiting"),
    );
    assert_eq!(status["remotes"][0]["last_error"], "ssh: connect to host devbox port 22: No route to host");
}

#[test]
fn false_figures_and_floods_cost_a_line_in_status() {
    let at = clock::now().wall;
    let begin = [hello(at), told("far", at)];
    let error = |status: &Value| status["remotes"][0]["last_error"].as_str().unwrap_or_default().to_owned();
    let endless =
        status(&begin, "head -c 10000000 /dev/zero | tr '\\0' x; exec cat > /dev/null", stands("waiting"));
    assert!(error(&endless).contains("longer than"), "{endless:#}");
    let garbage = status(&begin, "yes '{]' | head -c 10000000; exec cat > /dev/null", stands("waiting"));
    assert!(error(&garbage).contains("cannot be read"), "{garbage:#}");

    // A million events; the rest of the daemon goes on meanwhile.
    let home = Home::new();
    let flood = format!("yes '{}' | head -n 1000000", usage("far", at, 5, 100, 3));
    let command = script(&home.path("home"), &begin, &flood);
    listen(&home, &command, "");
    let daemon = home.start("run --dry-run -q");
    home.wait_for_status("that it is slowed", |status| error(status).contains("read slowly"));
    let mut here = home.session();
    here.turn().tokens(77);
    home.wait_for_status("ours", |status| session(status, &here.id)["tokens"]["total"] == 77);
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 100_000, "{peak} kB");
    }
    drop(daemon);
}

#[test]
fn a_remote_cannot_take_a_local_session_id() {
    let pair = Pair::new("");
    let mut here = pair.near.session();
    here.turn().tokens(77);
    let at = clock::now().wall;
    let lines = [hello(at), told(&here.id, at), usage(&here.id, at, 5, 999_999, 3), told("far", at)];
    let command = script(&pair.near.path("home"), &lines, STAY);
    pair.listen(&command, "");
    let daemon = pair.daemon();
    let status = pair.near.wait_for_status("both", |status| !session(status, "far").is_null());
    let ours = session(&status, &here.id);
    assert_eq!((&ours["host"], &ours["tokens"]["total"]), (&Value::Null, &json!(77)), "{status:#}");
    here.tokens(3);
    pair.wait_for_total(&here.id, 80);
    drop(daemon);
}
