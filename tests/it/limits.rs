//! Remaining limits as several sources tell them: the same with a daemon, without one, after a restart.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use agent_presence::cmd::replay::stage::Stage;
use agent_presence::core::activity::Activity;
use agent_presence::core::engine::Input;
use agent_presence::core::file::SessionFile;
use agent_presence::core::report::{Event, EventKind};
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::{FileId, SourceEvent};
use agent_presence::core::time::{elapsed, later};
use agent_presence::io::clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::support::home::Home;

const SHORT: Duration = Duration::from_secs(3 * 3600);
const LONG: Duration = Duration::from_secs(3 * 86400);

/// A user with two terminals of Claude Code, whose windows end when they do for all of these tests.
struct World {
    home: Home,
    start: Timestamp,
}

impl World {
    fn new() -> Self {
        Self { home: Home::new(), start: clock::now().wall }
    }

    fn limits(&self, five_hours: f64, weekly: f64) -> Value {
        let at = |length| later(self.start, length).as_second();
        json!({
            "five_hour": {"used_percentage": five_hours, "resets_at": at(SHORT)},
            "seven_day": {"used_percentage": weekly, "resets_at": at(LONG)},
        })
    }

    /// What a terminal passes to the statusline command; the line that comes of it.
    fn says(&self, session: &str, limits: &Value) -> String {
        let transcript = self.home.claude().join(format!("projects/-p/{session}.jsonl"));
        let input = json!({"session_id": session, "transcript_path": transcript, "rate_limits": limits});
        self.pass("statusline", &input.to_string())
    }

    fn pass(&self, command: &str, input: &str) -> String {
        let mut command = self.home.command(command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    /// What is left, by agent, family and window.
    fn left(&self) -> Vec<(String, String, u64)> {
        left(&self.home.status())
    }
}

fn left(status: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let limits = status["limits"].as_array().unwrap();
    let windows = limits.iter().flat_map(|limits| {
        limits["windows"].as_array().unwrap().iter().map(move |window| {
            let remaining = window["remaining_percent"].as_u64().unwrap();
            (text(&limits["family"]), text(&window["label"]), remaining)
        })
    });
    windows.collect()
}

/// A session that wrote its limits at these minutes before now.
fn told(home: &Home, readings: &[(i64, f64)]) -> Timestamp {
    let now = clock::now().wall;
    let at = |minutes: i64| Timestamp::from_second(now.as_second() - minutes * 60).unwrap();
    let id = "0199c0de-0000-7000-8000-000000000009";
    let line = |minutes, kind: &str, payload: Value| {
        json!({"timestamp": at(minutes), "type": kind, "payload": payload}).to_string() + "\n"
    };
    let begun = readings[0].0 + 1;
    let meta =
        json!({"id": id, "timestamp": at(begun), "cwd": "/app", "source": "cli", "cli_version": "0.160.0"});
    let resets_at = later(at(0), SHORT).as_second();
    let count = |used: f64| {
        let window = json!({"used_percent": used, "window_minutes": 300, "resets_at": resets_at});
        json!({"type": "token_count", "info": null, "rate_limits": {"limit_id": "codex", "primary": window}})
    };
    let turn = json!({"type": "task_started", "turn_id": "t"});
    let mut text = line(begun, "session_meta", meta) + &line(begun, "event_msg", turn);
    text.extend(readings.iter().map(|(minutes, used)| line(*minutes, "event_msg", count(*used))));
    let folder = home.codex().join("sessions/2026/11/20");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("rollout-2026-11-20T10-00-00-{id}.jsonl")), text).unwrap();
    at(0)
}

/// The same without a daemon, with one, with the next one, and after its file has gone.
#[test]
fn pace_is_the_same_in_every_command_and_is_kept() {
    let home = Home::new();
    let now = told(&home, &[(60, 10.0), (30, 40.0), (0, 70.0)]);
    // 60 points an hour: 30 more in half an hour.
    let expected = json!({"state": "empty", "empty_at": later(now, Duration::from_secs(1_800))});
    let pace = |status: &Value| status["limits"][0]["windows"][0]["pace"].clone();
    assert_eq!(pace(&home.status()), expected);
    let first = home.start("run");
    home.wait_for_status("the pace", |status| pace(status) == expected);
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    home.wait_for_status("the pace", |status| {
        status["daemon"]["pid"] == second.pid() && pace(status) == expected
    });
    assert!(home.output("bar --template {pace}").starts_with("empty about "));
    second.terminate();
    fs::remove_dir_all(home.codex()).unwrap();
    assert_eq!(pace(&home.status()), expected);
    let _third = home.start("run");
    home.wait_for_status("the pace", |status| pace(status) == expected);
}

#[test]
fn stale_limits_and_readings_close_together_have_no_pace() {
    for readings in
        [&[(60, 10.0), (30, 40.0), (16, 70.0)][..], &[(9, 10.0), (0, 70.0)], &[(60, 10.0), (0, 11.5)]]
    {
        let home = Home::new();
        told(&home, readings);
        assert_eq!(home.status()["limits"][0]["windows"][0]["pace"], Value::Null, "{readings:?}");
        assert_eq!(home.output("bar --template {pace}"), "\n");
    }
}

fn claude(five_hours: u64, weekly: u64) -> Vec<(String, String, u64)> {
    [("5h", five_hours), ("weekly", weekly)]
        .map(|(label, left)| ("claude".to_owned(), label.to_owned(), left))
        .to_vec()
}

#[test]
fn a_reset_window_stays_reset_when_another_session_repeats_the_old_value() {
    for live in [false, true] {
        let world = World::new();
        let daemon = live.then(|| world.home.start("run --dry-run"));
        let wait = |wanted: &[(String, String, u64)]| {
            if live {
                world.home.wait_for_status("the terminals", |status| {
                    status["daemon"]["state"] == "running" && left(status) == wanted
                });
            } else {
                assert_eq!(world.left(), wanted);
            }
        };
        world.says("a", &world.limits(80.0, 60.0));
        world.says("b", &world.limits(79.0, 60.0));
        wait(&claude(20, 40));
        world.says("a", &world.limits(5.0, 2.0));
        wait(&claude(95, 98));
        // Drawn again, and again under a new name after `/clear`: nothing was heard since.
        world.says("b", &world.limits(79.0, 60.0));
        world.says("b-cleared", &world.limits(79.0, 60.0));
        world.says("c", &world.limits(6.0, 2.0));
        wait(&claude(94, 98));
        if let Some(daemon) = daemon {
            daemon.terminate();
        }
        assert_eq!(world.left(), claude(94, 98), "without a daemon");
        let again = world.home.start("run --dry-run");
        world.home.wait_for_status("the next daemon", |status| {
            status["daemon"]["state"] == "running" && left(status) == claude(94, 98)
        });
        again.terminate();
        fs::remove_dir_all(world.home.state().join("statusline")).unwrap();
        assert_eq!(world.left(), claude(94, 98), "what was kept is enough");
    }
}

#[test]
fn a_value_that_is_repeated_is_as_old_as_it_was() {
    let world = World::new();
    world.says("a", &world.limits(40.0, 60.0));
    let observed = |world: &World| world.home.status()["limits"][0]["observed_at"].clone();
    let first = observed(&world);
    world.says("a", &world.limits(40.0, 60.0));
    world.says("cleared", &world.limits(40.0, 60.0));
    assert_eq!(observed(&world), first);
    world.says("a", &world.limits(41.0, 60.0));
    assert_ne!(observed(&world), first);
}

#[test]
fn a_gateways_spending_limit_is_shown() {
    for (used, period, line) in [
        (72.4, json!("monthly"), "monthly 28% left\n"),
        (140.0, json!("weekly"), "weekly 0% left\n"),
        (10.0, json!("daily"), "daily 90% left\n"),
        (10.0, json!(null), "usage 90% left\n"),
    ] {
        let world = World::new();
        let resets_at = later(world.start, SHORT).as_second();
        let spend = json!({"used_percentage": used, "resets_at": resets_at, "period": period});
        assert_eq!(world.says("a", &json!({"spend_limit": spend})), line);
    }
}

#[test]
fn limits_kept_by_an_earlier_version_are_read_and_give_way() {
    let world = World::new();
    let at = |length| later(world.start, length).to_string();
    let kept = json!([{
        "agent": "claude", "home": world.home.claude(), "family": "claude", "name": null, "plan": null,
        "observed_at": world.start, "source_session": "a", "windows": [
            {"minutes": 300, "used_percent": 80.0, "resets_at": at(SHORT)},
            {"minutes": 10_080, "used_percent": 60.0, "resets_at": at(LONG)},
        ],
    }]);
    fs::create_dir_all(world.home.state()).unwrap();
    fs::write(world.home.state().join("limits.json"), kept.to_string()).unwrap();
    assert_eq!(world.left(), claude(20, 40));
    world.says("a", &world.limits(5.0, 2.0));
    assert_eq!(world.left(), claude(95, 98));
}

#[test]
fn limits_of_a_stream_belong_to_the_account_of_its_home() {
    let mut world = World::new();
    let homes = [world.home.claude(), world.home.path("home/second")];
    homes.iter().for_each(|home| fs::create_dir_all(home).unwrap());
    world.home.settings(&format!("[sources]\nclaude_home = {homes:?}\n"));
    let daemon = world.home.start("run --dry-run");
    world.home.wait_for_status("the daemon", |status| status["daemon"]["state"] == "running");
    let at = |length| later(world.start, length).as_second();
    let run = |session: &str, info: Value| {
        [
            json!({"type": "system", "subtype": "init", "session_id": session, "cwd": "/work/app"}),
            json!({"type": "rate_limit_event", "rate_limit_info": info, "session_id": session}),
            json!({"type": "result", "session_id": session, "usage": {"input_tokens": 3, "output_tokens": 4}}),
        ]
        .map(|line| format!("{line}\n"))
        .concat()
    };
    let told = run(
        "s1",
        json!({"status": "allowed", "rateLimitType": "five_hour", "resetsAt": at(SHORT), "unifiedWindows": {
            "five_hour": {"utilization": 0.33, "resetsAt": at(SHORT)},
            "seven_day": {"utilization": 1, "resetsAt": at(LONG)},
        }}),
    );
    let refused = json!({"status": "rejected", "rateLimitType": "five_hour", "resetsAt": at(SHORT)});
    // The second home by another way to write it, and one that is not read.
    for (home, session, stream) in [
        ("home/./second", "s1", told),
        ("home/.claude", "s2", run("s2", refused.clone())),
        ("home/third", "s3", run("s3", refused)),
    ] {
        world.home.set("CLAUDE_CONFIG_DIR", world.home.path(home).to_string_lossy());
        assert!(world.pass("tap -q", &stream).contains(session));
    }
    let [first, second] = homes.map(|home| home.to_string_lossy().into_owned());
    let third = world.home.path("home/third").to_string_lossy().into_owned();
    let of = |status: &Value, home: &str| {
        let limits = status["limits"].as_array().unwrap().iter().find(|limits| limits["home"] == home);
        limits.map(|limits| {
            let used = |window: &Value| window["used_percent"].as_f64().unwrap();
            limits["windows"].as_array().unwrap().iter().map(used).collect::<Vec<_>>()
        })
    };
    world.home.wait_for_status("all three accounts", |status| {
        of(status, &second) == Some(vec![33.0, 100.0])
            && of(status, &first) == Some(vec![100.0])
            && of(status, &third) == Some(vec![100.0])
    });
    daemon.terminate();
    assert_eq!(of(&world.home.status(), &second), Some(vec![33.0, 100.0]), "kept");
}

#[test]
fn watch_without_a_daemon_shows_cached_limits() {
    let world = World::new();
    world.home.claude_session().turn().call(4_500);
    let at = |length| later(world.start, length).to_string();
    let cached = json!({"cachedUsageUtilization": {
        "fetchedAtMs": world.start.as_millisecond() - 60_000, "utilization": {
            "five_hour": {"utilization": 12.0, "resets_at": at(SHORT)},
        },
    }});
    fs::write(world.home.claude().join(".claude.json"), cached.to_string()).unwrap();
    let watch = world.home.start("watch --json");
    watch.wait_for_output(r#""used_percent":12.0"#);
}

/// The activities that a session goes through by itself after its lines, with the second at which each is told.
fn activities(lines: &str, seconds: u64) -> Vec<(u64, Activity)> {
    let start: Timestamp = "2026-09-14T10:00:06Z".parse().unwrap();
    let mut file = SessionFile::new(Agent::CLAUDE, "home".into(), Timestamp::MIN);
    file.push(lines.as_bytes());
    file.set_lineage(&[]);
    let update = Box::new(file.take_update().unwrap());
    let updated = SourceEvent::Updated { file: FileId::new(1), update, read: None };
    let mut told = Vec::new();
    let mut hear = |event: Event| {
        if let EventKind::Activity { activity, .. } = event.kind {
            told.push((elapsed(start, event.at).as_secs(), activity));
        }
    };
    let mut stage = Stage::new(Settings::default(), TimeZone::UTC, start);
    stage.input(Input::Source(updated), &mut hear);
    stage.advance(later(start, Duration::from_secs(seconds)), &mut hear);
    told
}

#[test]
fn a_limit_that_was_reached_is_over_when_its_window_is() {
    let line = include_str!("../fixtures/claude/2.1.240/limit-with-quota.jsonl");
    // It ends in five minutes instead of two hours; the text beside it says something else.
    let soon = line.replace("1789387200", "1789380306");
    assert!(soon != line);
    assert_eq!(activities(&soon, 400), [(0, Activity::LimitReached), (300, Activity::Waiting)]);
    let over = line.replace("\"isUsingOverage\":false", "\"isUsingOverage\":true");
    assert!(over != line);
    assert_eq!(activities(&over, 400), [(0, Activity::Waiting)]);
}
