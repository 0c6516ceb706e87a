//! What people read of a status report: every state that one can be in, to the character.

use agent_presence::cmd::show;
use agent_presence::core::report::StatusReport;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

mod limits;

/// A daemon that shows one of several sessions.
fn report() -> Value {
    let usage = json!({"delta": null, "last": null, "total": null});
    let session = |id: &str, agent: &str, minutes: u32| {
        json!({
            "id": format!("01a1e7d0-6a00-7001-8a00-5c1e{id}"), "agent": agent, "home": "/home/you/.codex", "host": null, "surface": "cli",
            "shown": false, "visible": true, "file": null, "project": "app", "branch": "main", "model": "gpt-5.6-sol", "effort": "high", "service_tier": null,
            "activity": "running", "started_at": "2026-11-20T09:00:00Z",
            "last_event_at": format!("2026-11-20T09:{:02}:30Z", 59 - minutes), "last_usage_at": null, "restored": false,
            "counting": false, "parent": null, "tokens": {"delta": 1893, "last": 24112, "total": 46177},
            "usage": usage, "context": {"used_tokens": 42976, "window": 258_400, "remaining_percent": 87},
        })
    };
    let with = |mut session: Value, more: Value| {
        session.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        session
    };
    let window = |label: &str, left: u8, resets_at: &str| {
        json!({"label": label, "minutes": null, "used_percent": 100 - left, "remaining_percent": left,
            "resets_at": resets_at, "state": "current", "capped_by": null, "pace": null})
    };
    let limits = json!({
        "agent": "codex", "host": null, "home": "/home/you/.codex", "home_name": null, "family": "codex", "name": null, "plan": "plus",
        "observed_at": "2026-11-20T09:59:30Z", "stale": false, "source_session": null,
        "windows": [window("5h", 64, "2026-11-20T14:20:00Z"), window("weekly", 47, "2026-11-23T09:00:00Z")],
    });
    json!({
        "schema": 1, "version": "0.1.0", "now": "2026-11-20T10:00:00Z",
        "daemon": {"state": "running", "pid": 4242, "version": "0.1.0", "started_at": "2026-11-20T09:58:00Z",
            "paused_until": null, "sink": "discord"},
        "card": {"name": "Codex", "details": "Running a command · GPT-5.6 Sol",
            "state": "5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens",
            "large_text": "in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20",
            "small_text": null, "started_at": "2026-11-20T08:57:57Z",
            "member_list": "5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens", "session": "01a1f8c4"},
        "sessions": [
            with(session("01a1f8c4", "codex", 0), json!({"shown": true})),
            with(session("c1a0de00", "claude", 3), json!({"activity": "waiting", "surface": "vscode", "effort": null,
                "model": "claude-opus-5", "branch": null, "lower_bound": true, "context": null})),
            with(session("01a1f8e4", "codex", 5), json!({"activity": "thinking", "model": null, "context": null,
                "visible": false, "parent": "01a1e7d0-6a00-7001-8a00-5c1e01a1f8c4", "tokens": {"delta": null, "last": null, "total": null}})),
            with(session("01a1f8f4", "codex", 40), json!({"activity": "limit_reached", "surface": "exec", "counting": true,
                "service_tier": "fast", "tokens": {"delta": 270, "last": null, "total": 1_234_567}})),
        ],
        "limits": [limits],
        "links": [{"endpoint": "/run/user/1000/discord-ipc-0", "client": "Discord", "state": "connected",
            "last_ack_at": "2026-11-20T09:59:50Z", "last_error": null}],
        "config": {"path": "/home/you/.config/agent-presence/config.toml", "issues": []},
        "skipped": {"unreadable_lines": 0, "oversized_lines": 0, "unknown_types": 0},
    })
}

/// The report with other values: a path of keys and what stands there.
pub(crate) fn but(changes: &[(&str, Value)]) -> StatusReport {
    let mut report = report();
    for (path, value) in changes {
        match report.pointer_mut(path) {
            Some(place) => *place = value.clone(),
            None => report[path.trim_start_matches('/')] = value.clone(),
        }
    }
    serde_json::from_value(report).unwrap()
}

fn status(changes: &[(&str, Value)]) -> String {
    show::status(&but(changes), &TimeZone::UTC)
}

/// One section of the report, or its beginning.
fn section(text: &str, heading: &str) -> String {
    let sections: Vec<&str> = text.split("\n\n").collect();
    sections
        .iter()
        .find(|section| section.starts_with(heading))
        .map_or(String::new(), |found| format!("{found}\n"))
}

#[test]
fn everything_is_in_order() {
    assert_data_eq!(
        status(&[]),
        str![[r#"
daemon running (pid 4242, since 09:58)

┌ Codex
│ Running a command · GPT-5.6 Sol
│ 5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens
└ 1:02:03 elapsed

sessions (tokens: delta | last | total)
* codex    01a1f8c4 running       +1.89K | 24.1K | 46.2K tokens
    gpt-5.6-sol high · app on main · context 87% left · just now
  codex    01a1f8e4 thinking      no figures yet
    sub-agent of 01a1f8c4 · app on main · 5 min ago
  claude   c1a0de00 waiting       +1.89K | 24.1K | 46.2K tokens
    claude-opus-5 · app · VS Code · lower bound: this version does not log all usage · 3 min ago
  codex    01a1f8f4 limit reached +270 | – | ~1.23M tokens
    gpt-5.6-sol high · fast · app on main · exec run · context 87% left · still counting · 40 min ago

limits
  Codex · plus
    5h limit:     [█████████████░░░░░░░] 64% left (resets 14:20)
    Weekly limit: [█████████░░░░░░░░░░░] 47% left (resets 09:00 on 23 Nov)

links
  Discord connected, last card confirmed just now (/run/user/1000/discord-ipc-0)

"#]]
    );
}

#[test]
fn the_daemon_is_not_well() {
    let begin = |changes: &[(&str, Value)]| status(changes).split('┌').next().unwrap().to_owned();
    let daemon = |state: &str, pid: Value| json!({"state": state, "pid": pid, "version": null, "started_at": null, "paused_until": null, "sink": null});
    assert_data_eq!(
        begin(&[("/daemon", daemon("not_running", json!(null)))]),
        str![[r#"
daemon not running; the session files were read once


"#]]
    );
    assert_data_eq!(
        begin(&[("/daemon", daemon("unresponsive", json!(4242)))]),
        str![[r#"
daemon unresponsive (pid 4242); the session files were read once


"#]]
    );
    assert_data_eq!(
        begin(&[("/daemon/sink", json!("terminal"))]),
        str![[r#"
daemon running (pid 4242, since 09:58), cards to its standard output


"#]]
    );
}

#[test]
fn no_card_has_a_reason() {
    let without = |why: &str, more: &[(&str, Value)]| {
        let changes = [&[("/card", json!(null)), ("/no_card", json!(why))], more].concat();
        let text = status(&changes);
        let status: String = text.split_inclusive("\n\n").take(2).collect();
        format!("{status}preview: {}", show::preview(&but(&changes), true))
    };
    let paused = ("/daemon/paused_until", json!("2026-11-21T12:00:00Z"));
    assert_data_eq!(
        without("paused", &[paused]),
        str![[r#"
daemon running (pid 4242, since 09:58), paused until 12:00 on 21 Nov

no card: paused

preview: no card: paused
hint: `agent-presence resume` ends the pause

"#]]
    );
    assert_data_eq!(
        without("hidden", &[]),
        str![[r#"
daemon running (pid 4242, since 09:58)

no card: a privacy rule hides the active session

preview: no card: a privacy rule hides the active session
hint: the rules are under [[privacy.rule]] in the settings file

"#]]
    );
    assert_data_eq!(
        without("idle", &[]),
        str![[r#"
daemon running (pid 4242, since 09:58)

no card: no active session

preview: no card: no active session
hint: see one with `agent-presence run --demo`

"#]]
    );
    let idle: Vec<(&str, Value)> =
        ["/sessions/0/activity", "/sessions/1/activity", "/sessions/2/activity", "/sessions/3/activity"]
            .map(|path| (path, json!("idle")))
            .to_vec();
    assert_data_eq!(
        without("idle", &idle),
        str![[r#"
daemon running (pid 4242, since 09:58)

no card: no active session; the last one was just now

preview: no card: no active session; the last one was just now
hint: see one with `agent-presence run --demo`

"#]]
    );
    assert_data_eq!(
        without("idle", &[("/sessions", json!([]))]),
        str![[r#"
daemon running (pid 4242, since 09:58)

no card: no active session

preview: no card: no active session
hint: see one with `agent-presence run --demo`

"#]]
    );
    assert_data_eq!(
        without("of a later version", &[]),
        str![[r#"
daemon running (pid 4242, since 09:58)

no card: no active session

preview: no card: no active session
hint: see one with `agent-presence run --demo`

"#]]
    );
}

#[test]
fn links_and_problems_have_their_hints() {
    let end = |changes: &[(&str, Value)]| {
        let text = status(changes);
        section(&text, "links") + &section(&text, "problems")
    };
    assert_data_eq!(
        end(&[("/links", json!([]))]),
        str![[r#"
links
  none: no running Discord was found


"#]]
    );
    let rejected = [
        ("/links/0/state", json!("rejected")),
        ("/links/0/last_ack_at", json!(null)),
        ("/links/0/last_error", json!("Discord says: Invalid Client ID")),
    ];
    assert_data_eq!(
        end(&rejected),
        str![[r#"
links
  Discord rejected (/run/user/1000/discord-ipc-0)
    Discord says: Invalid Client ID
    hint: compare discord.application_id with the one in Discord's developer portal; if they are equal, Discord could not look it up (it needs the network), and waiting is enough


"#]]
    );
    let missing = [
        ("/links", json!([])),
        (
            "/config/issues",
            json!(["discord.application_id: no application id is set\nhint: make one", "another"]),
        ),
    ];
    assert_data_eq!(
        end(&missing),
        str![[r#"
problems
  discord.application_id: no application id is set
  hint: make one
  another


"#]]
    );
}

#[test]
fn the_preview_says_what_is_seen_where() {
    assert_data_eq!(
        show::preview(&but(&[]), true),
        str![[r#"
┌ Codex
│ Running a command · GPT-5.6 Sol
│ 5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens
└ 1:02:03 elapsed

member list: 5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens
on hover:    in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20

"#]]
    );
    assert_data_eq!(
        show::preview(&but(&[]), false),
        str![[r#"
┌ Codex
│ Running a command · GPT-5.6 Sol
│ 5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens
└ 1:02:03 elapsed

member list: 5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens
on hover:    in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20
             (seen only where discord.large_image is set)

"#]]
    );
    let bare = [
        ("/card/large_text", json!(null)),
        ("/card/state", json!(null)),
        ("/card/member_list", json!("Codex")),
    ];
    assert_data_eq!(
        show::preview(&but(&bare), false),
        str![[r#"
┌ Codex
│ Running a command · GPT-5.6 Sol
└ 1:02:03 elapsed

member list: Codex

"#]]
    );
}
