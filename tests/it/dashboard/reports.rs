//! Views to draw: reports as a daemon tells them, at 10:00 in UTC.

use agent_presence::cmd::dashboard::view::{Source, UsageEntry, View};
use agent_presence::core::source::Agent;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// The view of a report.
pub(super) fn view(report: Value) -> View {
    let report = serde_json::from_value(report).unwrap();
    View { report: Some(report), ..View::new(TimeZone::UTC, true) }
}

/// A usage line.
pub(super) fn usage(at: &str, agent: Agent, session: &str, text: &str) -> UsageEntry {
    UsageEntry { at: at.parse().unwrap(), agent, session: session.to_owned(), text: text.to_owned() }
}

/// A daemon that runs with nothing to show.
pub(super) fn idle() -> Value {
    json!({
        "schema": 1, "version": "0.1.0", "now": "2026-11-20T10:00:00Z",
        "daemon": {
            "state": "running", "pid": 4242, "version": "0.1.0", "started_at": "2026-11-20T08:12:00Z",
            "paused_until": null, "sink": "discord",
        },
        "card": null, "sessions": [], "limits": [],
        "links": [link("connected", json!("2026-11-20T08:12:01Z"), Value::Null)],
        "config": {"path": "/home/you/.config/agent-presence/config.toml", "issues": []},
        "skipped": {"unreadable_lines": 0, "oversized_lines": 0, "unknown_types": 0},
    })
}

/// Sessions of both agents, a sub-agent, both agents' limits.
pub(super) fn busy() -> Value {
    let mut report = idle();
    report["card"] = json!({
        "name": "Codex", "details": "Running a command · GPT-5.6 Sol",
        "state": "5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens",
        "large_text": "in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20",
        "small_text": null, "started_at": "2026-11-20T09:47:00Z",
        "member_list": "5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens",
        "session": "019e9c60-0900-70d9-85ef-00861d062709",
    });
    let mut shown =
        session("019e9c60-0900-70d9-85ef-00861d062709", "codex", "running", [1_893, 24_112, 46_177], 87);
    shown["shown"] = json!(true);
    shown["branch"] = json!("main");
    shown["effort"] = json!("high");
    let mut helper =
        session("019e9c69-30c0-70db-85fd-008759751a6b", "codex", "searching", [512, 512, 9_120], 96);
    helper["parent"] = json!("019e9c60-0900-70d9-85ef-00861d062709");
    let mut claude =
        session("5f0c1d52-9a54-4f0a-8a55-0f4b1f6a1c11", "claude", "editing", [2_310, 18_020, 1_203_551], 41);
    claude["project"] = json!("website");
    claude["model"] = json!("claude-opus-4-5-20251101");
    let idle = session("019e9b11-0900-70d9-85ef-00861d062709", "codex", "idle", [90, 1_200, 88_000], 12);
    report["sessions"] = json!([shown, claude, helper, idle]);
    report["limits"] = json!([
        limits(
            "codex",
            "plus",
            "2026-11-20T09:59:40Z",
            &[
                window("5h", 300, 64, "2026-11-20T14:20:00Z"),
                window("weekly", 10_080, 47, "2026-11-23T09:00:00Z"),
            ]
        ),
        limits(
            "claude",
            "max",
            "2026-11-20T09:58:00Z",
            &[
                window("5h", 300, 22, "2026-11-20T12:00:00Z"),
                window("weekly", 10_080, 81, "2026-11-25T06:00:00Z"),
            ]
        ),
    ]);
    report["links"] = json!([link("connected", json!("2026-11-20T09:59:58Z"), Value::Null)]);
    report
}

/// [`busy`] with its usage lines.
pub(super) fn busy_view() -> View {
    let mut view = view(busy());
    let [codex, claude] = ["019e9c60-0900-70d9-85ef-00861d062709", "5f0c1d52-9a54-4f0a-8a55-0f4b1f6a1c11"];
    view.lines.extend([
        usage("2026-11-20T09:59:12Z", Agent::CODEX, codex,
            "Token usage: total=44,284 (+1,204) input=39,301 (+804, + 252,760 cached) output=4,983 (+400, reasoning 3,871)"),
        usage("2026-11-20T09:59:31Z", Agent::CLAUDE, claude,
            "Token usage: total=1,203,551 (+2,310) input=1,100,200 (+2,000, + 9,402,118 cached) output=103,351 (+310)"),
        usage("2026-11-20T09:59:57Z", Agent::CODEX, codex,
            "Token usage: total=46,177 (+1,893) input=40,322 (+1,021, + 261,760 cached) output=5,855 (+872, reasoning 4,471)"),
    ]);
    view
}

/// [`busy`] without a daemon.
pub(super) fn alone() -> View {
    let mut report = busy();
    report["daemon"] = json!({"state": "not_running", "pid": null, "version": null, "started_at": null, "paused_until": null, "sink": null});
    report["links"] = json!([]);
    View { source: Source::Alone, ..view(report) }
}

pub(super) fn session(
    id: &str,
    agent: &str,
    activity: &str,
    [delta, last, total]: [u64; 3],
    left: u8,
) -> Value {
    json!({
        "id": id, "agent": agent, "surface": "cli", "shown": false, "project": "app", "branch": null,
        "model": "gpt-5.6-sol", "effort": null, "service_tier": null, "activity": activity,
        "started_at": "2026-11-20T09:47:00Z", "last_event_at": "2026-11-20T09:59:57Z",
        "last_usage_at": "2026-11-20T09:59:57Z", "restored": false, "counting": false, "parent": null,
        "tokens": {"delta": delta, "last": last, "total": total},
        "usage": {"delta": null, "last": null, "total": null},
        "context": {"used_tokens": 42_976, "window": 258_400, "remaining_percent": left},
    })
}

pub(super) fn limits(agent: &str, plan: &str, observed_at: &str, windows: &[Value]) -> Value {
    json!({
        "agent": agent, "home": format!("/home/you/.{agent}"), "family": agent, "name": null, "plan": plan,
        "observed_at": observed_at, "stale": false, "source_session": null, "windows": windows,
    })
}

pub(super) fn window(label: &str, minutes: u64, left: u8, resets_at: &str) -> Value {
    json!({
        "label": label, "minutes": minutes, "used_percent": f64::from(100 - left), "remaining_percent": left,
        "resets_at": resets_at, "state": "current", "capped_by": null,
    })
}

pub(super) fn link(state: &str, last_ack_at: Value, last_error: Value) -> Value {
    json!({
        "endpoint": "/run/user/1000/discord-ipc-0", "client": "Discord", "state": state,
        "last_ack_at": last_ack_at, "last_error": last_error,
    })
}
