//! `status` and `preview`: what is told, from what, and that nothing is changed by asking.

use serde_json::{Value, json};

use crate::support::codex_session::Spent;
use crate::support::home::Home;

/// The kind of a value: what a script may rely on besides its name.
fn kind(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => json!("time"),
        Value::String(_) => json!("text"),
        Value::Array(items) => items.iter().map(kind).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), kind(value))).collect(),
    }
}

#[test]
fn the_report_has_every_field_of_its_contract() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().call().tokens(4_500);
    let status = home.status();
    let tokens = json!({"cache_write": "number", "cached_input": "number", "input": "number", "output": "number", "reasoning": "number"});
    let window = json!({
        "label": "text", "minutes": "number", "used_percent": "number", "remaining_percent": "number",
        "resets_at": "time", "state": "text", "capped_by": "null", "pace": "null",
    });
    let expected = json!({
        "schema": "number", "version": "text", "now": "time",
        "daemon": {
            "state": "text", "pid": "null", "version": "null", "started_at": "null", "paused_until": "null", "sink": "null",
        },
        "card": {
            "name": "text", "details": "text", "state": "text", "large_text": "text", "small_text": "null",
            "started_at": "time", "member_list": "text", "session": "text",
        },
        "sessions": [{
            "id": "text", "agent": "text", "host": "null", "home": "text", "home_name": "null", "surface": "text", "shown": "bool", "visible": "bool", "project": "text", "branch": "text",
            "model": "text", "effort": "text", "service_tier": "null", "activity": "text", "file": "null", "started_at": "time",
            "last_event_at": "time", "last_usage_at": "time", "restored": "bool", "counting": "bool", "parent": "null",
            "tokens": {"delta": "number", "last": "number", "total": "number"},
            "usage": {"delta": tokens, "last": tokens, "total": tokens},
            "context": {"used_tokens": "number", "window": "number", "remaining_percent": "number"},
        }],
        "limits": [{
            "agent": "text", "home": "text", "home_name": "null", "family": "text", "name": "null", "plan": "text", "observed_at": "time",
            "stale": "bool", "source_session": "text", "windows": [window, window],
        }],
        "links": [],
        "remotes": [],
        "config": {"path": "text", "issues": []},
        "skipped": {"unreadable_lines": "number", "oversized_lines": "number", "unknown_types": "number"},
    });
    assert_eq!(kind(&status), expected, "{status:#}");
}

#[test]
fn the_report_has_the_figures() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 100.0).turn().usage(Spent {
        input: 42_000,
        cached: 40_000,
        output: 976,
        reasoning: 600,
    });
    let status = home.status();
    assert_eq!(status["schema"], 1);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["daemon"]["state"], "not_running");
    let shown = &status["sessions"][0];
    assert_eq!(shown["id"], session.id.as_str());
    for (key, expected) in [
        ("agent", "codex"),
        ("surface", "cli"),
        ("project", "app"),
        ("branch", "main"),
        ("model", "gpt-5.6-sol"),
        ("effort", "high"),
        ("activity", "thinking"),
    ] {
        assert_eq!(shown[key], expected, "{key}");
    }
    assert_eq!(shown["shown"], true);
    assert_eq!(shown["restored"], true);
    assert_eq!(shown["started_at"], json!(session.started_at));
    assert_eq!(shown["tokens"], json!({"delta": 2_976, "last": 2_976, "total": 2_976}));
    let total =
        json!({"input": 2_000, "cached_input": 40_000, "cache_write": 0, "output": 976, "reasoning": 600});
    assert_eq!(shown["usage"], json!({"delta": total, "last": total, "total": total}));
    assert_eq!(
        shown["context"],
        json!({"used_tokens": 42_976, "window": 258_400, "remaining_percent": 87}),
        "Codex's own figure"
    );
    let limits = &status["limits"][0];
    assert_eq!((&limits["family"], &limits["plan"]), (&json!("codex"), &json!("plus")));
    let [five_hours, weekly] = [&limits["windows"][0], &limits["windows"][1]];
    assert_eq!((&five_hours["label"], &five_hours["minutes"]), (&json!("5h"), &json!(300)));
    assert_eq!((&five_hours["remaining_percent"], &five_hours["capped_by"]), (&json!(0), &json!("weekly")));
    assert_eq!((&weekly["label"], &weekly["remaining_percent"]), (&json!("weekly"), &json!(0)));
    assert_eq!(status["card"]["session"], session.id.as_str());
    assert_eq!(status["card"]["member_list"], status["card"]["state"]);
    assert_eq!(status["card"]["started_at"], json!(session.started_at));
}

#[test]
fn unknown_values_are_null() {
    let home = Home::new();
    home.session();
    let status = home.status();
    let session = &status["sessions"][0];
    for key in ["model", "effort", "last_usage_at", "parent", "context"] {
        assert_eq!(session.get(key), Some(&Value::Null), "{key} in {session:#}");
    }
    assert_eq!(session["tokens"], json!({"delta": null, "last": null, "total": null}));
    assert_eq!(session["usage"], json!({"delta": null, "last": null, "total": null}));
    assert_eq!(status["limits"], json!([]));
}

#[test]
fn without_any_session_there_is_no_card_and_no_error() {
    let home = Home::new();
    let status = home.status();
    assert_eq!((&status["card"], &status["sessions"]), (&Value::Null, &json!([])));
    let text = home.output("status");
    assert!(text.starts_with("daemon not running; the session files were read once\n"), "{text}");
    assert!(home.output("preview").starts_with("no card: no active session\nhint: "));
}

/// Promise 12.
#[test]
fn asking_changes_nothing() {
    let home = Home::new();
    home.session().limits(36.0, 53.0).turn().tokens(4_500);
    let before = home.snapshot();
    #[cfg(unix)]
    let _locked = ReadOnly::new(&home);
    for command in ["status", "status --json", "preview"] {
        home.output(command);
    }
    assert_eq!(home.snapshot(), before);
    assert!(!home.state().exists(), "the daemon alone makes the state folder");
}

#[test]
fn the_text_has_the_figures_of_the_json() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().call().tokens(4_500);
    let text = home.output("status");
    let short = session.id.get(session.id.len() - 8..).unwrap();
    for expected in [
        "┌ Codex\n│ Running a command · GPT-5.6 Sol\n│ 5h 64% · weekly 47% left · +4.5K | 4.5K | 4.5K tokens\n└ 10:0",
        &format!(
            "\n* codex    {short} running       +4.5K | 4.5K | 4.5K tokens\n    gpt-5.6-sol high · app on main · context 99% left · "
        ),
        "\n    5h limit:     [█████████████░░░░░░░] 64% left (resets ",
        "\n    Weekly limit: [█████████░░░░░░░░░░░] 47% left (resets ",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let preview = home.output("preview");
    assert!(preview.starts_with("┌ Codex\n│ Running a command · GPT-5.6 Sol\n"), "{preview}");
    for expected in [
        "\nmember list: 5h 64% · weekly 47% left · +4.5K | 4.5K | 4.5K tokens\n",
        "\non hover:    in 4.05K (+ 10K cached) · out 450 · context 99% left · 5h resets ",
    ] {
        assert!(preview.contains(expected), "{expected} in {preview}");
    }
}

#[test]
fn no_card_has_its_reason() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    std::fs::create_dir(home.state()).unwrap();
    let pause = home.state().join("pause.json");
    std::fs::write(&pause, r#"{"paused_until":"2100-01-01T00:00:00Z"}"#).unwrap();
    assert_eq!((&home.status()["card"], &home.status()["no_card"]), (&Value::Null, &json!("paused")));
    assert_eq!(home.output("preview"), "no card: paused\nhint: `agent-presence resume` ends the pause\n");
    std::fs::remove_file(pause).unwrap();
    assert!(home.output("preview").starts_with("┌ Codex\n"));

    home.settings("[[privacy.rule]]\npath = \"/home/**\"\nshow = \"hide\"\n");
    assert_eq!((&home.status()["card"], &home.status()["no_card"]), (&Value::Null, &json!("hidden")));
    let hidden = home.output("preview");
    assert!(hidden.starts_with("no card: a privacy rule hides the active session\nhint: "), "{hidden}");
}

/// The order in which files are read does not matter.
#[test]
fn the_freshest_session_is_shown_from_the_start() {
    for codex_is_fresher in [true, false] {
        let home = Home::new();
        let (mut codex, mut claude) = (home.session(), home.claude_session());
        codex.turn().tokens(100);
        claude.turn().call(100);
        // Stamps are in whole milliseconds.
        let then = agent_presence::io::clock::now().wall.as_millisecond();
        while agent_presence::io::clock::now().wall.as_millisecond() == then {
            std::thread::yield_now();
        }
        let fresher = if codex_is_fresher { codex.tokens(10).id.clone() } else { claude.call(10).id.clone() };
        assert_eq!(home.status()["card"]["session"], json!(fresher));
        let daemon = home.start("run --dry-run");
        home.wait_for_status("its card", |status| {
            status["daemon"]["pid"] == daemon.pid() && status["card"]["session"] == fresher.as_str()
        });
    }
}

#[test]
fn a_problem_in_the_settings_is_named_with_its_place() {
    let home = Home::new();
    home.settings("[card]\nidle_after = \"soon\"\n");
    let status = home.status();
    let issue = status["config"]["issues"][0].as_str().unwrap();
    assert!(issue.starts_with(&format!("{}:2:14: card.idle_after: ", home.config().display())), "{issue}");
    assert_eq!(status["config"]["path"], json!(home.config()));
}

#[cfg(unix)]
mod with_a_daemon {
    use super::*;
    use crate::support::fake_discord::FakeDiscord;

    #[test]
    fn the_daemon_and_its_links_are_shown_and_discord_is_not_asked() {
        let home = Home::new();
        let discord = FakeDiscord::in_folder(&home.path("run"));
        home.session().turn().tokens(4_500);
        home.status();
        assert_eq!(discord.connections(), 0);

        let daemon = home.start("run");
        discord.activity(1);
        let status = home
            .wait_for_status("an acknowledgement", |status| status["links"][0]["last_ack_at"].is_string());
        let told = &status["daemon"];
        assert_eq!(told["state"], "running");
        assert_eq!(told["pid"], json!(daemon.pid()));
        assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(told["sink"], "discord");
        assert_eq!(kind(&told["started_at"]), "time");
        let expected = json!({
            "endpoint": discord.endpoint(),
            "client": "Discord",
            "state": "connected",
            "last_ack_at": status["links"][0]["last_ack_at"],
            "last_error": null,
        });
        assert_eq!(status["links"], json!([expected]));
        let text = home.output("status");
        assert!(text.starts_with(&format!("daemon running (pid {}, since ", daemon.pid())), "{text}");
        assert!(text.contains("\n  Discord connected, last card confirmed "), "{text}");
        home.output("preview");
        assert_eq!(discord.connections(), 1, "the daemon's own");
        let before = home.snapshot();
        home.status();
        assert_eq!(home.snapshot(), before);
        drop(daemon);
        let status = home.status();
        assert_eq!((&status["daemon"]["state"], &status["links"]), (&json!("not_running"), &json!([])));
    }
}

/// Friends see what the daemon has chosen, which is not always what a fresh look at the files would choose.
#[test]
fn the_preview_is_the_daemons_card_unless_other_settings_are_tried() {
    let home = Home::new();
    let mut codex = home.session();
    codex.turn().tokens(100);
    let daemon = home.start("run --dry-run");
    home.wait_for_status("its card", |status| {
        status["daemon"]["pid"] == daemon.pid() && status["card"]["session"] == codex.id.as_str()
    });
    let mut claude = home.claude_session();
    claude.turn().call(100);
    home.wait_for_status("the other session", |status| status["sessions"][0]["id"] == claude.id.as_str());
    assert!(home.output("preview").starts_with("┌ Codex\n"), "the other one waits for its turn");
    std::fs::write(home.path("other.toml"), "[card]\ndetails = \"{model}\"\n").unwrap();
    let tried = home.output(&format!("preview --config {}", home.path("other.toml").display()));
    assert!(tried.starts_with("┌ Claude Code\n│ Opus"), "{tried}");
    drop(daemon);
    assert!(home.output("preview").starts_with("┌ Claude Code\n"));
}

/// A home whose folders are read-only until dropped. The superuser can write all the same, hence [`Home::snapshot`] as well.
#[cfg(unix)]
struct ReadOnly(Vec<std::path::PathBuf>);

#[cfg(unix)]
impl ReadOnly {
    fn new(home: &Home) -> Self {
        let folders = ["home", "run", ""].map(|name| home.path(name)).to_vec();
        let this = Self(folders);
        this.set(0o555);
        this
    }

    fn set(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        for folder in &self.0 {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

#[cfg(unix)]
impl Drop for ReadOnly {
    fn drop(&mut self) {
        self.set(0o755);
    }
}
