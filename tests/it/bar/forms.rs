//! The line of a status report, in each form.

use agent_presence::cmd::show::{self, BarForm, BarLook};
use agent_presence::core::report::StatusReport;
use agent_presence::core::source::Agent;
use agent_presence::core::template::Template;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::show::but;
use crate::support::schema::Schema;

fn look(form: BarForm, template: &str) -> BarLook {
    BarLook { form, template: Template::parse(template).unwrap(), agent: None, colour: true }
}

fn line(report: &StatusReport, look: &BarLook) -> String {
    let line = show::bar(report, look, &TimeZone::UTC);
    line.strip_suffix('\n').unwrap().to_owned()
}

const USUAL: &str = "{limits} · {activity}";

#[track_caller]
fn check(changes: &[(&str, Value)], template: &str, expected: &str) {
    assert_eq!(line(&but(changes), &look(BarForm::Plain, template)), expected);
}

fn json(changes: &[(&str, Value)], form: BarForm, name: &str) -> Value {
    let value = serde_json::from_str(&line(&but(changes), &look(form, USUAL))).unwrap();
    Schema::read().check(name, &value);
    value
}

#[track_caller]
fn check_class(changes: &[(&str, Value)], percentage: Option<u8>, class: &[&str]) {
    let bar = json(changes, BarForm::Waybar, "waybar");
    assert_eq!((&bar["class"], &bar["percentage"]), (&json!(class), &json!(percentage)));
}

/// No session is at work.
fn idle() -> Vec<(&'static str, Value)> {
    let paths =
        ["/sessions/0/activity", "/sessions/1/activity", "/sessions/2/activity", "/sessions/3/activity"];
    let mut changes: Vec<_> = paths.into_iter().map(|path| (path, json!("idle"))).collect();
    changes.extend([("/sessions/0/shown", json!(false)), ("/card", Value::Null)]);
    changes
}

#[test]
fn the_words_are_those_of_the_card() {
    check(&[], USUAL, "5h 64% · weekly 47% left · Running a command");
    check(
        &[],
        "{agent} {model} {effort} {tokens} {context}",
        "Codex GPT-5.6 Sol high +1.89K | 24.1K | 46.2K tokens context 87% left",
    );
    check(&[], "just text", "just text");
}

#[test]
fn names_are_shown_where_the_template_has_them() {
    check(&[], "{activity}", "Running a command");
    check(&[], "{project} on {branch}", "app on main");
    check(&[("/sessions/0/file", json!("main.rs"))], "{activity} {file}", "Running a command main.rs");
    check(&[("/sessions/0/project", json!("a\u{1b}[2J\nb"))], "{project}", "a[2J b");
}

#[test]
fn pace_is_a_word_and_in_the_tooltip() {
    let pace = [("/limits/0/windows/0/pace", json!({"state": "empty", "empty_at": "2026-11-20T13:05:40Z"}))];
    check(&pace, "{limits} · {pace}", "5h 64% · weekly 47% left · 5h empty about 13:05");
    let bar = json(&pace, BarForm::Waybar, "waybar");
    assert_eq!(
        bar["tooltip"].as_str().unwrap().lines().nth(1),
        Some("5h: 64% left, resets 14:20, empty about 13:05")
    );
}

#[test]
fn the_name_of_a_home_stands_before_its_limits() {
    let named = [("/limits/0/home_name", json!("work"))];
    check(&named, USUAL, "work 5h 64% · weekly 47% left · Running a command");
    check(&named, "{home}: {limits}", "work: 5h 64% · weekly 47% left");
    check(&named, "{activity}", "Running a command");
    let bar = json(&named, BarForm::Waybar, "waybar");
    assert!(bar["tooltip"].as_str().unwrap().starts_with("work · Codex · plus\n5h: 64% left"));
}

#[test]
fn limits_stay_while_no_session_is_at_work() {
    check(&idle(), USUAL, "5h 64% · weekly 47% left");
    check(&idle(), "{activity} {tokens} {model}", "");
    let mut nothing = idle();
    nothing.push(("/limits", json!([])));
    check(&nothing, USUAL, "");
    check_class(&nothing, None, &["idle"]);
    // Sessions of long ago are not in the report.
    let mut alone = idle();
    alone.push(("/sessions", json!([])));
    check(&alone, USUAL, "5h 64% · weekly 47% left");
}

#[test]
fn a_session_without_limits_shows_no_others() {
    check(&[("/sessions/0/home", json!("/home/you/.other"))], USUAL, "Running a command");
}

/// Two machines may have a home of one path, and two accounts.
#[test]
fn a_session_of_another_machine_shows_the_limits_of_that_one_alone() {
    let there = ("/sessions/0/host", json!("devbox"));
    check(std::slice::from_ref(&there), USUAL, "Running a command");
    let both = [there, ("/limits/0/host", json!("devbox"))];
    check(&both, USUAL, "5h 64% · weekly 47% left · Running a command");
    check(&[("/limits/0/host", json!("devbox"))], USUAL, "Running a command");
}

#[test]
fn without_a_card_the_freshest_session_at_work_is_meant_and_no_helper() {
    let hidden = [("/sessions/0/shown", json!(false)), ("/card", Value::Null)];
    check(&hidden, "{agent} {activity}", "Codex Running a command");
    let helper = [("/sessions/0/shown", json!(false)), ("/sessions/0/visible", json!(false))];
    check(&helper, "{agent} {activity}", "Claude Code Waiting for input");
}

#[test]
fn the_agent_option_shows_one_agent_alone() {
    let claude = BarLook { agent: Some(Agent::CLAUDE), ..look(BarForm::Waybar, "{agent} {activity}") };
    let bar: Value = serde_json::from_str(&line(&but(&[]), &claude)).unwrap();
    assert_eq!(bar["text"], "Claude Code Waiting for input");
    assert_eq!(bar["tooltip"], "claude c1a0de00 waiting +1.89K | 24.1K | 46.2K tokens · claude-opus-5 · app");
}

#[test]
fn classes_follow_the_remaining_limits() {
    let left = |percent: u8| ("/limits/0/windows/1/remaining_percent", json!(percent));
    check_class(&[], Some(47), &["fair", "active"]);
    check_class(&[left(61)], Some(61), &["good", "active"]);
    check_class(&[left(31)], Some(31), &["fair", "active"]);
    check_class(&[left(30)], Some(30), &["low", "active"]);
    check_class(&[left(11)], Some(11), &["low", "active"]);
    check_class(&[left(10)], Some(10), &["critical", "active"]);
    check_class(&[left(0)], Some(0), &["critical", "active"]);
    check_class(&[("/sessions/0/activity", json!("waiting"))], Some(47), &["fair", "waiting"]);
    check_class(&[("/sessions/0/activity", json!("limit_reached"))], Some(47), &["fair", "waiting"]);
    check_class(&idle(), Some(47), &["fair", "idle"]);
    check_class(&[("/limits/0/stale", json!(true))], Some(47), &["fair", "active", "stale"]);
    check_class(&[("/daemon/state", json!("not_running"))], Some(47), &["fair", "active", "off"]);
    check_class(
        &[("/daemon/paused_until", json!("9999-12-30T00:00:00Z"))],
        Some(47),
        &["fair", "active", "off"],
    );
    // A window that has reset since says nothing.
    let reset = [
        ("/limits/0/windows/1/remaining_percent", Value::Null),
        ("/limits/0/windows/1/state", json!("reset")),
    ];
    check_class(&reset, Some(64), &["good", "active"]);
}

/// The rules of Waybar's custom modules: one line, an object with texts in Pango's markup, a class or a list of them, a
/// number.
#[test]
fn waybar_gets_its_own_json() {
    let bar = json(&[("/sessions/0/project", json!("<a> & b"))], BarForm::Waybar, "waybar");
    assert_eq!(
        bar["tooltip"].as_str().unwrap().lines().take(6).collect::<Vec<_>>(),
        [
            "Codex · plus",
            "5h: 64% left, resets 14:20",
            "weekly: 47% left, resets 09:00 on 23 Nov",
            "",
            "* codex 01a1f8c4 running +1.89K | 24.1K | 46.2K tokens · gpt-5.6-sol · ‹a› &amp; b",
            "claude c1a0de00 waiting +1.89K | 24.1K | 46.2K tokens · claude-opus-5 · app",
        ]
    );
    let hostile = [("/sessions/0/branch", json!("a&b<i>\"\\\nc"))];
    let text = line(&but(&hostile), &look(BarForm::Waybar, "<b>{branch}</b>"));
    assert_eq!(text.lines().count(), 1);
    let text: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        text["text"], "<b>a&amp;b‹i›\"\\ c</b>",
        "the template is in the bar's language, values are not"
    );
}

#[test]
fn tmux_and_i3blocks_have_colours_where_limits_are_low() {
    let low =
        [("/limits/0/windows/1/remaining_percent", json!(20)), ("/sessions/0/branch", json!("a#[fg=red]b"))];
    let tmux = |changes: &[(&str, Value)]| line(&but(changes), &look(BarForm::Tmux, "{branch}"));
    assert_eq!(tmux(&[]), "main");
    assert_eq!(tmux(&low), "#[fg=#e5a50a]a##[fg=red]b#[default]");
    let plain = BarLook { colour: false, ..look(BarForm::Tmux, "{branch}") };
    assert_eq!(line(&but(&low), &plain), "a##[fg=red]b");
    let critical = [("/limits/0/windows/1/remaining_percent", json!(3))];
    let i3 = |changes: &[(&str, Value)]| json(changes, BarForm::I3blocks, "i3blocks");
    assert_eq!(i3(&[]), json!({"full_text": "5h 64% · weekly 47% left · Running a command"}));
    assert_eq!(i3(&critical)["color"], "#e01b24");
}

#[test]
fn json_has_every_part() {
    let bar = json(&[], BarForm::Json, "bar");
    assert_eq!(bar["limits"]["windows"][1]["remaining_percent"], 47);
    assert_eq!((&bar["agent"], &bar["activity"]), (&json!("codex"), &json!("running")));
    assert_eq!(bar["tokens"], json!({"delta": 1893, "last": 24112, "total": 46177}));
    assert!(bar["session"].as_str().unwrap().ends_with("01a1f8c4"));
    let bar = json(&idle(), BarForm::Json, "bar");
    assert_eq!(
        (&bar["agent"], &bar["session"], &bar["activity"]),
        (&json!("codex"), &Value::Null, &Value::Null)
    );
}

#[test]
fn a_line_is_repeated_only_when_its_text_changes() {
    let later = [("/now", json!("2026-11-20T10:07:00Z"))];
    for form in [BarForm::Plain, BarForm::Waybar, BarForm::I3blocks, BarForm::Tmux, BarForm::Json] {
        assert_eq!(line(&but(&later), &look(form, USUAL)), line(&but(&[]), &look(form, USUAL)));
    }
}
