//! What the dashboard draws, as text files in `tests/snapshots/dashboard`: `SNAPSHOTS=overwrite` writes them anew.

use std::path::Path;

use agent_presence::cmd::dashboard::view::{Source, View};
use agent_presence::core::source::Agent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};
use snapbox::{Data, assert_data_eq};

use super::reports::{alone, busy, busy_view, idle, limits, link, session, usage, view, window};

/// Below the smallest, the smallest, a narrow one, the usual one, and a wide one.
const SIZES: [(u16, u16); 5] = [(39, 9), (40, 10), (60, 20), (80, 24), (200, 40)];

fn draw(view: &View, (width, height): (u16, u16)) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view.render(area, &mut buffer);
    buffer
}

/// What is on the screen, without the blanks at the ends of lines.
fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        let mut skip = 0;
        for cell in row {
            if skip == 0 {
                line.push_str(cell.symbol());
                skip = ratatui::text::Span::raw(cell.symbol()).width().max(1);
            }
            skip -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[track_caller]
fn check(name: &str, view: &View, sizes: &[(u16, u16)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/dashboard");
    let drawn: Vec<String> = sizes
        .iter()
        .map(|size| {
            let coloured = text(&draw(view, *size));
            let plain = draw(&View { colour: false, ..view.clone() }, *size);
            assert_eq!(text(&plain), coloured, "nothing is told by colour alone");
            assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
            format!("{} x {}\n{coloured}", size.0, size.1)
        })
        .collect();
    let path = folder.join(format!("{name}.txt"));
    assert_data_eq!(drawn.join("\n"), Data::read_from(&path, None).raw());
}

#[test]
fn sessions_of_both_agents_are_drawn() {
    check("busy", &busy_view(), &SIZES);
}

#[test]
fn a_screen_without_sessions_is_drawn() {
    check("idle", &view(idle()), &[(40, 10), (80, 24)]);
}

#[test]
fn the_first_screen_is_drawn_before_anything_is_known() {
    check("first", &View { report: None, ..view(idle()) }, &[(40, 10), (80, 24)]);
}

#[test]
fn the_help_is_drawn() {
    check("help", &View { help: true, ..view(idle()) }, &[(40, 10)]);
}

#[test]
fn a_pause_is_drawn() {
    let mut report = idle();
    report["sessions"] = busy()["sessions"].clone();
    report["daemon"]["paused_until"] = json!("2026-11-20T12:00:00Z");
    report["no_card"] = json!("paused");
    let paused = View { notice: Some("paused".to_owned()), ..view(report) };
    check("paused", &paused, &[(40, 10), (80, 24)]);
}

#[test]
fn the_reason_for_no_card_is_that_of_status() {
    // A session that another program opened may be active without a parent, and is not hidden.
    for (why, sessions) in [
        ("idle", busy()["sessions"].clone()),
        ("idle", json!([busy()["sessions"][3]])),
        ("hidden", busy()["sessions"].clone()),
        ("paused", json!([])),
    ] {
        let mut report = idle();
        report["no_card"] = json!(why);
        report["sessions"] = sessions;
        let view = view(report);
        let words = agent_presence::cmd::show::no_card(view.report.as_ref().unwrap());
        for size in [(40, 10), (80, 24), (200, 40)] {
            let drawn = text(&draw(&view, size));
            let drawn: Vec<&str> = drawn.split_whitespace().filter(|word| *word != "│").collect();
            assert!(drawn.join(" ").contains(&words), "{words}\n{drawn:?}");
        }
    }
}

#[test]
fn a_screen_without_a_daemon_is_drawn() {
    check("alone", &alone(), &[(40, 10), (80, 24)]);
}

#[test]
fn a_daemon_that_went_away_is_drawn() {
    check("lost", &View { source: Source::Lost, ..busy_view() }, &[(40, 10), (80, 24)]);
}

#[test]
fn a_daemon_that_does_not_answer_is_drawn() {
    let cause = "the daemon cannot be asked: it does not answer".to_owned();
    check("unresponsive", &View { cause, ..alone() }, &[(40, 10), (80, 24)]);
    check("silent", &View { source: Source::Silent, ..busy_view() }, &[(40, 10), (80, 24)]);
}

#[test]
fn links_and_problems_are_drawn() {
    let mut report = busy();
    report["links"] = json!([
        link("connected", json!("2026-11-20T09:59:58Z"), Value::Null),
        link("connecting", Value::Null, json!("could not connect: connection refused")),
        link("rejected", json!("2026-11-19T23:10:00Z"), json!("invalid client id (4000)")),
    ]);
    report["config"]["issues"] = json!([
        "config.toml:3: unknown key `publish.minimal_interval`\nhint: did you mean `publish.min_interval`?"
    ]);
    check("links", &view(report), &[(40, 12), (80, 24), (120, 30), (140, 30)]);
}

#[test]
fn a_missing_application_id_is_drawn() {
    let mut report = idle();
    report["links"] = json!([]);
    report["config"]["issues"] = json!(["no application id is set\nhint: run `agent-presence setup`"]);
    check("no-application", &view(report), &[(40, 10), (80, 24)]);
}

#[test]
fn every_state_of_a_window_is_drawn() {
    let mut report = busy();
    let mut capped = window("5h", 300, 0, "2026-11-20T14:20:00Z");
    capped["capped_by"] = json!("weekly");
    let mut reset = window("5h", 300, 0, "2026-11-20T09:30:00Z");
    (reset["state"], reset["remaining_percent"]) = (json!("reset"), Value::Null);
    let mut stale = limits(
        "claude",
        "max",
        "2026-11-20T09:10:00Z",
        &[reset, window("weekly", 10_080, 30, "2026-11-25T06:00:00Z")],
    );
    stale["stale"] = json!(true);
    let mut family = limits(
        "codex",
        "plus",
        "2026-11-20T09:59:40Z",
        &[window("daily", 1440, 100, "2026-11-21T00:00:00Z")],
    );
    (family["family"], family["name"]) = (json!("codex_other"), json!("GPT-5.6 Sol"));
    let capped = limits(
        "codex",
        "plus",
        "2026-11-20T09:59:40Z",
        &[capped, window("weekly", 10_080, 0, "2026-11-23T09:00:00Z")],
    );
    let mut other =
        limits("codex", "pro", "2026-11-20T09:59:40Z", &[window("5h", 300, 1, "2026-11-20T14:20:00Z")]);
    other["home"] = json!("/home/you/.codex-work");
    report["limits"] = json!([capped, family, other, stale]);
    check("windows", &view(report), &[(40, 16), (60, 24), (80, 30), (140, 30)]);
}

#[test]
fn the_pace_of_windows_is_drawn() {
    let mut report = busy();
    report["limits"][0]["windows"][0]["pace"] = json!({"state": "empty", "empty_at": "2026-11-20T13:05:40Z"});
    report["limits"][0]["windows"][1]["pace"] = json!({"state": "lasts"});
    report["limits"][1]["windows"][1]["pace"] = json!({"state": "empty", "empty_at": "2026-11-23T07:00:00Z"});
    check("paces", &view(report), &[(40, 16), (60, 24), (80, 30), (120, 30), (140, 30)]);
}

#[test]
fn unknown_and_incomplete_figures_are_drawn() {
    let mut report = idle();
    let mut unknown = session("019e9c60-0900-70d9-85ef-00861d062709", "codex", "thinking", [0, 0, 0], 0);
    unknown["tokens"] = json!({"delta": null, "last": null, "total": null});
    for key in ["context", "model", "project"] {
        unknown[key] = Value::Null;
    }
    let mut counting = session(
        "019e9c69-30c0-70db-85fd-008759751a6b",
        "codex",
        "limit_reached",
        [5, 999_999, 123_456_789],
        7,
    );
    counting["counting"] = json!(true);
    report["sessions"] = json!([unknown, counting]);
    check("unknown", &view(report), &[(40, 10), (80, 24), (160, 24)]);
}

#[test]
fn names_of_any_length_and_width_are_drawn() {
    let mut report = busy();
    report["sessions"][0]["project"] =
        json!("a-project-with-a-name-that-is-longer-than-any-column-could-ever-be");
    report["sessions"][0]["branch"] =
        json!("feature/some-very-long-branch-name-that-nobody-would-type-again");
    report["sessions"][1]["project"] = json!("日本語のプロジェクト名前はとても長い");
    report["sessions"][2]["project"] = json!("👩‍👩‍👧‍👦 family 🚀");
    report["sessions"][3]["project"] = json!("evil\u{1b}[2Jname\u{202e}\u{200b}");
    check("names", &view(report), &[(40, 14), (80, 24), (160, 30)]);
}

#[test]
fn more_sessions_than_rows_are_scrolled() {
    let mut report = busy();
    let many = (0..30).map(|index| {
        let mut session =
            session(&format!("019e9c60-{index:04}"), "codex", "waiting", [index, index, index], 50);
        session["project"] = json!(format!("project-{index}"));
        session
    });
    report["sessions"] = many.collect();
    check("many", &view(report.clone()), &[(40, 10), (80, 24), (200, 24)]);
    check("many-scrolled", &View { scroll: 7, ..view(report.clone()) }, &[(40, 10), (80, 24)]);
    let far = View { scroll: 1_000, ..view(report) };
    check("many-last", &far, &[(40, 10), (80, 24)]);
    let area = Rect::new(0, 0, 80, 24);
    let first = far.render(area, &mut Buffer::empty(area));
    assert!(first < 30, "scrolling ends at the last session, not at {first}");
}

#[test]
fn colours_go_with_their_words() {
    let mut report = busy();
    report["limits"] = json!([limits(
        "codex",
        "plus",
        "2026-11-20T09:59:40Z",
        &[
            window("61", 1, 61, "2026-11-20T14:20:00Z"),
            window("60", 1, 60, "2026-11-20T14:20:00Z"),
            window("31", 1, 31, "2026-11-20T14:20:00Z"),
            window("30", 1, 30, "2026-11-20T14:20:00Z"),
            window("0", 1, 0, "2026-11-20T14:20:00Z"),
        ]
    )]);
    let view = view(report);
    for size in [(40, 18), (80, 30), (200, 40)] {
        let buffer = draw(&view, size);
        for (share, word, colour) in [
            ("61%", "good", Color::Green),
            ("60%", "fair", Color::Yellow),
            ("31%", "fair", Color::Yellow),
            ("30%", "low", Color::Red),
            ("0%", "used up", Color::Red),
        ] {
            let row = row_with(&buffer, &format!(" {share}"));
            assert_eq!(colour_of(&buffer, row, word), colour, "{share} at {size:?}");
            if share != "0%" {
                assert_eq!(colour_of(&buffer, row, "█"), colour, "{share} at {size:?}");
            }
        }
    }
}

/// The row that holds this text.
#[track_caller]
fn row_with(buffer: &Buffer, wanted: &str) -> u16 {
    let text = text(buffer);
    let row = text.lines().position(|line| line.contains(wanted));
    u16::try_from(row.unwrap_or_else(|| panic!("no `{wanted}` in\n{text}"))).unwrap()
}

/// The colour of the first character of `word` in a row.
#[track_caller]
fn colour_of(buffer: &Buffer, row: u16, word: &str) -> Color {
    let symbols: Vec<&str> = (0..buffer.area.width).map(|x| buffer[(x, row)].symbol()).collect();
    let found = (0..symbols.len()).find(|from| symbols[*from..].concat().starts_with(word));
    let column = found.unwrap_or_else(|| panic!("no `{word}` in `{}`", symbols.concat()));
    buffer[(u16::try_from(column).unwrap(), row)].fg
}

#[test]
fn the_shown_session_stands_out_without_colours_too() {
    let plain = View { colour: false, ..busy_view() };
    let buffer = draw(&plain, (80, 24));
    let row = row_with(&buffer, "▸ Codex");
    assert!(buffer[(2, row)].modifier.contains(Modifier::BOLD));
}

#[test]
fn every_size_can_be_drawn() {
    let mut view = busy_view();
    view.lines.push_back(usage("2026-11-20T10:00:00Z", Agent::CODEX, "", "Token usage: unknown"));
    for width in (1..220).step_by(7) {
        for height in 1..45 {
            let drawn = draw(&view, (width, height));
            assert_ne!(drawn, Buffer::empty(drawn.area), "{width} × {height}");
        }
    }
}
