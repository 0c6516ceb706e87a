//! Cards: the examples of the contract, and what no facts can break.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use agent_presence::core::activity::Activity;
use agent_presence::core::card::{Card, CardFacts, CardWindow};
use agent_presence::core::privacy::{Allowed, allowed};
use agent_presence::core::report::CardReport;
use agent_presence::core::settings::{MemberList, Settings, Show};
use agent_presence::core::source::Agent;
use agent_presence::core::template::Template;
use agent_presence::core::time::Now;
use agent_presence::core::usage::{Tokens, Triplet};
use jiff::Timestamp;
use jiff::tz::TimeZone;

mod pace;
mod properties;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Ten o'clock in UTC on 20 November.
fn now() -> Now {
    Now { mono: Duration::ZERO, wall: time("2026-11-20T10:00:00Z") }
}

fn window(label: &str, remaining_percent: u8, resets_at: &str) -> CardWindow {
    CardWindow { label: label.to_owned(), remaining_percent, resets_at: Some(time(resets_at)), pace: None }
}

/// The session of the contract's examples.
fn facts() -> CardFacts {
    CardFacts {
        agent: Agent::CODEX,
        session: "0199-session".to_owned(),
        activity: Activity::Running,
        file: Some("main.rs".to_owned()),
        project: Some("app".to_owned()),
        branch: Some("feature/x".to_owned()),
        model: Some("gpt-5.6-sol".to_owned()),
        effort: Some("high".to_owned()),
        home: Some("work".to_owned()),
        triplet: Triplet { delta: Some(1_893), last: Some(24_112), total: Some(46_177) },
        counting: false,
        total: Some(Tokens {
            input: 40_322,
            cached_input: 261_760,
            cache_write: 0,
            output: 5_855,
            reasoning: 4_471,
        }),
        context_remaining_percent: Some(87),
        windows: vec![window("5h", 64, "2026-11-20T14:20:00Z"), window("weekly", 47, "2026-11-24T09:00:00Z")],
        limits_as_of: None,
        started_at: time("2026-11-20T09:00:00Z"),
    }
}

fn settings(details: &str, state: &str) -> Settings {
    let mut settings = Settings::default();
    settings.card.details = Template::parse(details).unwrap();
    settings.card.state = Template::parse(state).unwrap();
    settings
}

fn build(facts: &CardFacts, settings: &Settings, show: Option<Show>) -> Card {
    let allowed = allowed(&settings.privacy, show).unwrap();
    Card::build(facts, settings, allowed, &TimeZone::UTC, now()).unwrap()
}

/// The line that `template` makes of `facts` where everything may be shown.
fn line(template: &str, facts: &CardFacts) -> String {
    build(facts, &settings(template, ""), Some(Show::Full)).details().unwrap_or_default().to_owned()
}

#[test]
fn default_card_is_the_contracts() {
    let card = build(&facts(), &Settings::default(), None);
    assert_eq!(card.name(), "Codex");
    assert_eq!(card.details(), Some("Running a command · GPT-5.6 Sol"));
    assert_eq!(card.state(), Some("5h 64% · weekly 47% left · +1.89K | 24.1K | 46.2K tokens"));
    assert_eq!(
        card.large_text(),
        Some("in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20")
    );
    assert_eq!((card.large_image(), card.small_text()), (None, None));
    assert_eq!((card.member_list(), card.member_list_text()), (MemberList::State, card.state().unwrap()));
    assert_eq!(
        (card.agent(), card.activity(), card.session()),
        (Agent::CODEX, Activity::Running, "0199-session")
    );
    let claude = CardFacts { agent: Agent::CLAUDE, ..facts() };
    assert_eq!(build(&claude, &Settings::default(), None).name(), "Claude Code");
}

#[test]
fn card_object_is_the_contracts() {
    let json =
        serde_json::to_string(&CardReport::from(&build(&facts(), &settings("{model}", ""), None))).unwrap();
    assert_eq!(
        json,
        r#"{"name":"Codex","details":"GPT-5.6 Sol","state":null,"large_text":"in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20","small_text":null,"started_at":"2026-11-20T09:00:00Z","member_list":"Codex","session":"0199-session"}"#
    );
}

#[test]
fn activity_names_file_and_project_where_nothing_else_does() {
    let editing = CardFacts { activity: Activity::Editing, ..facts() };
    assert_eq!(line("{activity} · {model}", &facts()), "Running a command in app · GPT-5.6 Sol");
    assert_eq!(line("{activity}", &editing), "Editing main.rs in app");
    assert_eq!(line("{activity} {file}", &editing), "Editing in app main.rs");
    assert_eq!(line("{project}: {activity}", &editing), "app: Editing main.rs");
    assert_eq!(line("{activity}", &CardFacts { project: None, ..editing.clone() }), "Editing main.rs");
    let card = build(&editing, &settings("{activity}", "{project}"), Some(Show::Full));
    assert_eq!((card.details(), card.state()), (Some("Editing main.rs"), Some("app")));
}

#[test]
fn every_word_of_a_template_has_its_value() {
    assert_eq!(
        line("{agent}/{project}/{branch}/{file}/{model}/{effort}/{home}", &facts()),
        "Codex/app/feature/x/main.rs/GPT-5.6 Sol/high/work"
    );
    assert_eq!(line("{tokens}", &facts()), "+1.89K | 24.1K | 46.2K tokens");
    assert_eq!(line("{limits}", &facts()), "5h 64% · weekly 47% left");
    assert_eq!(line("{context}", &facts()), "context 87% left");
}

#[test]
fn unknown_figures_are_absent_or_dashes() {
    let with = |delta, last, total, counting| {
        line("{tokens}", &CardFacts { triplet: Triplet { delta, last, total }, counting, ..facts() })
    };
    assert_eq!(with(Some(1_893), None, None, false), "+1.89K | – | – tokens");
    assert_eq!(with(None, None, Some(46_177), true), "– | – | ~46.2K tokens");
    assert_eq!(with(Some(0), Some(0), None, true), "+0 | 0 | – tokens");
    assert_eq!(with(None, None, None, true), "");
    let nothing = CardFacts { windows: vec![], triplet: Triplet::default(), ..facts() };
    assert_eq!(build(&nothing, &Settings::default(), None).state(), None);
    assert_eq!(build(&nothing, &Settings::default(), None).member_list(), MemberList::Name);
    assert_eq!(
        line("{limits} · {tokens}", &CardFacts { windows: vec![], ..facts() }),
        "+1.89K | 24.1K | 46.2K tokens"
    );
}

#[test]
fn old_limits_say_so() {
    let as_of = |at| line("{limits}", &CardFacts { limits_as_of: Some(time(at)), ..facts() });
    assert_eq!(as_of("2026-11-20T09:20:00Z"), "5h 64% · weekly 47% left (as of 09:20)");
    assert_eq!(as_of("2026-11-19T14:20:00Z"), "5h 64% · weekly 47% left (as of 14:20 on 19 Nov)");
}

#[test]
fn clock_times_are_local() {
    let zone = TimeZone::fixed(jiff::tz::offset(-11));
    let facts = CardFacts { limits_as_of: Some(time("2026-11-20T09:20:00Z")), ..facts() };
    let card = Card::build(&facts, &Settings::default(), Allowed::default(), &zone, now()).unwrap();
    assert!(card.state().unwrap().contains("(as of 22:20) · "), "{card:?}");
    assert!(card.large_text().unwrap().ends_with("5h resets 03:20 on 20 Nov"), "{card:?}");
}

#[test]
fn hover_leaves_out_what_is_absent() {
    let hover = |facts: &CardFacts| build(facts, &Settings::default(), None).large_text().map(str::to_owned);
    let bare = Tokens { input: 10, cache_write: 5, output: 7, ..Tokens::ZERO };
    let facts = CardFacts { total: Some(bare), context_remaining_percent: None, ..facts() };
    assert_eq!(hover(&facts).as_deref(), Some("in 15 · out 7 · 5h resets 14:20"));
    let past = CardFacts { windows: vec![window("5h", 64, "2026-11-20T10:00:00Z")], ..facts.clone() };
    assert_eq!(hover(&past).as_deref(), Some("in 15 · out 7"));
    let counting = CardFacts { counting: true, ..past.clone() };
    assert_eq!(hover(&counting).as_deref(), Some("in ~15 · out ~7"));
    assert_eq!(hover(&CardFacts { total: None, ..past }), None);
}

#[test]
fn limits_have_at_most_three_windows() {
    let labels = ["5h", "daily", "weekly", "monthly"];
    let windows = labels.map(|label| window(label, 120, "2026-11-20T14:20:00Z")).to_vec();
    assert_eq!(
        line("{limits}", &CardFacts { windows, ..facts() }),
        "5h 100% · daily 100% · weekly 100% left"
    );
}

/// What is left of limits, context and tokens beside `filler` more units.
fn squeezed(labels: &[&str], filler: usize) -> String {
    let windows = labels.iter().map(|label| window(label, 50, "2026-11-20T14:20:00Z")).collect();
    let branch = Some("x".repeat(filler));
    let line = line("{limits}; {context}; {tokens}; {branch}", &CardFacts { windows, branch, ..facts() });
    line.trim_end_matches('x').trim_end_matches("; ").to_owned()
}

#[test]
fn slots_drop_in_the_contracts_order() {
    let labels = ["5h", "weekly", "monthly"];
    let mut forms: Vec<String> = (0..128).map(|filler| squeezed(&labels, filler)).collect();
    forms.dedup();
    assert_eq!(
        forms,
        [
            "5h 50% · weekly 50% · monthly 50% left; context 87% left; +1.89K | 24.1K | 46.2K tokens",
            "5h 50% · weekly 50% · monthly 50% left; context 87% left; +1.9K | 24K | 46K tokens",
            "5h 50% · weekly 50% · monthly 50% left; context 87% left; +1.9K | 24K tokens",
            "5h 50% · weekly 50% · monthly 50% left; context 87% left; +1.9K tokens",
            "5h 50% · weekly 50% · monthly 50% left; +1.9K tokens",
            "5h 50% · weekly 50% left; +1.9K tokens",
            "5h 50% · weekly 50% left",
            "weekly 50% left",
            "",
        ]
    );
}

#[test]
fn the_weekly_window_goes_last_wherever_it_stands() {
    let last_forms = |labels: &[&str]| {
        let mut forms: Vec<String> = (60..128).map(|filler| squeezed(labels, filler)).collect();
        forms.dedup();
        forms.split_off(forms.len() - 3)
    };
    assert_eq!(last_forms(&["5h", "daily", "weekly"]), ["5h 50% · weekly 50% left", "weekly 50% left", ""]);
    assert_eq!(last_forms(&["weekly", "monthly"]), ["weekly 50% · monthly 50% left", "weekly 50% left", ""]);
    assert_eq!(last_forms(&["5h", "monthly"]), ["5h 50% · monthly 50% left", "monthly 50% left", ""]);
    assert_eq!(last_forms(&["5h"]), ["5h 50% left; +1.9K tokens", "5h 50% left", ""]);
}

#[test]
fn long_cjk_and_emoji_projects_are_cut_between_characters() {
    for (name, kept) in [
        ("プロジェクト".repeat(50), 106),
        ("👨‍👩‍👧‍👦".repeat(50), 9 * 11),
        ("🇯🇵".repeat(50), 26 * 4),
        ("か\u{3099}".repeat(99), 53 * 2),
    ] {
        let facts = CardFacts { project: Some(name.clone()), ..facts() };
        let card = build(&facts, &Settings::default(), Some(Show::Full));
        let shown = card.details().unwrap().strip_prefix("Running a command in ").unwrap();
        let shown = shown.strip_suffix('…').unwrap();
        assert!(name.starts_with(shown));
        assert_eq!(shown.encode_utf16().count(), kept, "{shown}");
    }
}

#[test]
fn names_are_private_unless_allowed() {
    let editing = CardFacts { activity: Activity::Editing, ..facts() };
    let everything = "{activity} {project} {branch} {file}";
    let details = |settings: &Settings, show| build(&editing, settings, show).details().unwrap().to_owned();
    let closed = settings(everything, "");
    let mut open = closed.clone();
    open.privacy.project = true;
    open.privacy.branch = true;
    open.privacy.file = true;
    assert_eq!(details(&closed, None), "Editing");
    assert_eq!(details(&open, None), "Editing app feature/x main.rs");
    assert_eq!(details(&open, Some(Show::Generic)), "Editing");
    assert_eq!(details(&closed, Some(Show::Full)), "Editing app feature/x main.rs");
    assert_eq!(allowed(&open.privacy, Some(Show::Hide)), None);
    let mut file_only = Settings::default();
    file_only.privacy.file = true;
    assert_eq!(details(&file_only, None), "Editing main.rs · GPT-5.6 Sol");
}

#[test]
fn names_never_carry_a_path() {
    let facts = CardFacts {
        project: Some("/home/u/app/".to_owned()),
        file: Some(r"C:\u\main.rs".to_owned()),
        model: Some("/home/u/model.gguf".to_owned()),
        ..facts()
    };
    assert_eq!(line("{project} {file} {model}", &facts), "app main.rs model.gguf");
}

#[test]
fn an_idle_session_has_no_card() {
    let idle = CardFacts { activity: Activity::Idle, ..facts() };
    assert_eq!(Card::build(&idle, &Settings::default(), Allowed::ALL, &TimeZone::UTC, now()), None);
}

#[test]
fn only_an_image_that_discord_takes_is_on_the_card() {
    let image = |image: &str| {
        let mut settings = Settings::default();
        settings.discord.large_image = image.to_owned();
        build(&facts(), &settings, None).large_image().map(str::to_owned)
    };
    let url = |length: usize| format!("https://{}", "x".repeat(length - 8));
    for valid in ["logo", "https://example.com/a.png", &url(256), &"k".repeat(256)] {
        assert_eq!(image(valid).as_deref(), Some(valid));
    }
    for invalid in [
        "",
        " ",
        "http://example.com/a.png",
        "https://",
        "https://ex.com/a b",
        "https://ü.com/a",
        "a b",
        &url(257),
        &"k".repeat(257),
        "HTTPS://example.com/a.png",
        "é",
    ] {
        assert_eq!(image(invalid), None, "{invalid}");
    }
}

#[test]
fn the_timer_starts_where_discord_takes_it() {
    let start = |at| build(&CardFacts { started_at: at, ..facts() }, &Settings::default(), None).started_at();
    assert_eq!(start(Timestamp::MIN).as_millisecond(), 1);
    assert_eq!(start(time("2026-11-20T09:00:00.123456Z")), time("2026-11-20T09:00:00.123Z"));
    assert!(start(Timestamp::MAX) > now().wall);
}

#[test]
fn the_member_list_follows_its_setting() {
    let text = |member_list, details| {
        let mut settings = settings(details, "{limits}");
        settings.discord.member_list = member_list;
        build(&facts(), &settings, None).member_list_text().to_owned()
    };
    assert_eq!(text(MemberList::Name, "{model}"), "Codex");
    assert_eq!(text(MemberList::Details, "{model}"), "GPT-5.6 Sol");
    assert_eq!(text(MemberList::Details, ""), "Codex");
    assert_eq!(text(MemberList::State, ""), "5h 64% · weekly 47% left");
}

#[test]
fn a_change_of_numbers_alone_is_recognised() {
    let card = |facts: &CardFacts| build(facts, &Settings::default(), Some(Show::Full));
    let base = card(&facts());
    assert!(!base.only_numbers_moved(&base.clone()), "nothing moved");

    let more = CardFacts { triplet: Triplet { delta: Some(5), ..facts().triplet }, ..facts() };
    let less = CardFacts { windows: vec![], context_remaining_percent: None, total: None, ..facts() };
    for numbers in [more, less] {
        assert!(base.only_numbers_moved(&card(&numbers)), "{numbers:?}");
    }
    for other in [
        CardFacts { session: "other".to_owned(), triplet: Triplet::default(), ..facts() },
        CardFacts { agent: Agent::CLAUDE, ..facts() },
        CardFacts { activity: Activity::Thinking, ..facts() },
        CardFacts { project: Some("other".to_owned()), ..facts() },
        CardFacts { model: None, ..facts() },
        CardFacts { started_at: now().wall, ..facts() },
    ] {
        assert!(!base.only_numbers_moved(&card(&other)), "{other:?}");
        assert_ne!(base, card(&other));
    }
}

#[test]
fn facts_that_no_line_shows_change_no_card() {
    let card = |facts: &CardFacts| build(facts, &settings("{model}", "{tokens}"), Some(Show::Full));
    let other = CardFacts { activity: Activity::Thinking, branch: None, effort: None, ..facts() };
    assert_eq!(card(&facts()), card(&other));
}

#[test]
fn a_name_that_is_cut_before_a_space_says_so() {
    let facts = CardFacts { branch: Some(format!("{} b", "a".repeat(128))), ..facts() };
    let mut settings = Settings::default();
    settings.card.details = Template::parse("{branch}").unwrap();
    let card = Card::build(&facts, &settings, Allowed::ALL, &TimeZone::UTC, now()).unwrap();
    assert_eq!(card.details(), Some(format!("{}…", "a".repeat(127)).as_str()));
}

#[test]
fn icons_say_what_the_agent_is_doing() {
    let mut settings = Settings::default();
    let card = build(&facts(), &settings, None);
    assert_eq!((card.large_image(), card.small_image(), card.small_text()), (None, None, None));
    settings.card.icons = true;
    for (activity, key, text) in [
        (Activity::Running, "working", "Running a command"),
        (Activity::Tool, "working", "Running a tool"),
        (Activity::Delegating, "working", "Delegating"),
        (Activity::Waiting, "waiting", "Waiting for input"),
        (Activity::LimitReached, "limit", "Limit reached"),
    ] {
        let card = build(&CardFacts { activity, ..facts() }, &settings, None);
        assert_eq!(card.large_image(), Some("logo"));
        assert_eq!((card.small_image(), card.small_text()), (Some(key), Some(text)));
    }
    // A line that does not tell the activity does not make a change of it one of figures alone.
    settings.card.details = Template::parse("{model}").unwrap();
    let [thinking, editing] = [Activity::Thinking, Activity::Editing]
        .map(|activity| build(&CardFacts { activity, ..facts() }, &settings, None));
    assert!(thinking != editing && !thinking.only_numbers_moved(&editing));
}
