//! The sessions: a table in a wide window, two lines for each in a narrow one.

use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::stack::{Section, Visible};
use super::text::{Builder, columns, left, right};
use super::view::View;
use crate::cmd::show;
use crate::core::activity::Activity;
use crate::core::names::{model_name, visible};
use crate::core::numbers::{compact, figures};
use crate::core::report::{SessionReport, StatusReport};

/// From these widths on, there is a table, one with more columns, and one with all.
const TABLE: usize = 76;
const WIDE: usize = 110;
const WIDEST: usize = 150;

/// A column of the table.
struct Column {
    name: &'static str,
    cell: fn(&SessionReport) -> String,
    side: Side,
}

#[derive(PartialEq)]
enum Side {
    /// Texts. Columns that give way are cut first.
    Left { gives_way: bool },
    /// Numbers.
    Right,
}

const fn text(name: &'static str, cell: fn(&SessionReport) -> String) -> Column {
    Column { name, cell, side: Side::Left { gives_way: false } }
}

const fn name(name: &'static str, cell: fn(&SessionReport) -> String) -> Column {
    Column { name, cell, side: Side::Left { gives_way: true } }
}

const fn number(name: &'static str, cell: fn(&SessionReport) -> String) -> Column {
    Column { name, cell, side: Side::Right }
}

/// The section with the sessions, from the scroll position on.
pub(super) fn section(view: &View, report: &StatusReport, width: usize, paint: Paint) -> Section {
    // The session on the card comes first, even if another one is newer.
    let mut sessions: Vec<&SessionReport> = report.sessions.iter().collect();
    sessions.sort_by_key(|session| !session.shown);
    let mut section = Section {
        title: "Sessions".to_owned(),
        head: None,
        body: Vec::new(),
        visible: Visible::First,
        minimum: 3,
        rank: 0,
    };
    if sessions.is_empty() {
        let none = "  none in the last 24 hours";
        section.body = vec![Builder::new(width, paint).add(none, Role::Quiet).line()];
    } else if width >= TABLE {
        (section.head, section.body) = table(&sessions, width, paint);
        section.visible = Visible::From { item: view.scroll, rows: 1 };
    } else {
        section.body = sessions.iter().flat_map(|session| pair(session, width, paint)).collect();
        section.visible = Visible::From { item: view.scroll, rows: 2 };
        section.minimum = 2;
    }
    section
}

fn table(
    sessions: &[&SessionReport],
    width: usize,
    paint: Paint,
) -> (Option<Line<'static>>, Vec<Line<'static>>) {
    let mut shown = vec![text("agent", agent)];
    if width >= WIDEST {
        shown.push(text("id", |session| show::short_id(&session.id)));
    }
    shown.push(name("project", project));
    if width >= WIDEST {
        shown.push(name("branch", |session| named(session.branch.as_deref())));
    }
    shown.push(name("model", model));
    if width >= WIDEST {
        shown.push(text("effort", |session| named(session.effort.as_deref())));
    }
    shown.push(if width >= WIDE { text("activity", verb) } else { text("activity", word) });
    shown.extend([number("delta", delta), number("last", last), number("total", total)]);
    shown.push(number("context", context));

    let cells: Vec<Vec<String>> =
        sessions.iter().map(|session| shown.iter().map(|column| (column.cell)(session)).collect()).collect();
    let gap = if width >= WIDE { 2 } else { 1 };
    let widths = widths(&shown, &cells, width.saturating_sub(2), gap);
    let row = |mark: &str, cells: &mut dyn Iterator<Item = &str>, role: Role| {
        let mut line = Builder::new(width, paint).add(left(mark, 2), Role::Strong);
        for (index, ((column, room), cell)) in shown.iter().zip(&widths).zip(cells).enumerate() {
            let cell = if column.side == Side::Right { right(cell, *room) } else { left(cell, *room) };
            line = line.add(" ".repeat(if index == 0 { 0 } else { gap }), Role::Plain).add(cell, role);
        }
        line.line()
    };
    let head = row("", &mut shown.iter().map(|column| column.name), Role::Quiet);
    let body = sessions
        .iter()
        .zip(&cells)
        .map(|(session, cells)| {
            row(mark(session), &mut cells.iter().map(String::as_str), importance(session))
        })
        .collect();
    (Some(head), body)
}

/// The width of each column: that of its widest cell. If that is too much, the widest names are cut.
fn widths(shown: &[Column], cells: &[Vec<String>], room: usize, gap: usize) -> Vec<usize> {
    let widest = |index: usize| cells.iter().filter_map(|row| row.get(index)).map(|cell| columns(cell)).max();
    let mut widths: Vec<usize> = shown
        .iter()
        .enumerate()
        .map(|(index, column)| columns(column.name).max(widest(index).unwrap_or(0)))
        .collect();
    let gaps = gap * shown.len().saturating_sub(1);
    loop {
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
        let names =
            shown.iter().zip(&mut widths).filter(|(column, _)| column.side == Side::Left { gives_way: true });
        match names.map(|(_, width)| width).max() {
            Some(width) if over > 0 && *width > 1 => *width -= 1,
            _ => return widths,
        }
    }
}

/// A session in two lines: agent, project and model; activity and figures.
fn pair(session: &SessionReport, width: usize, paint: Paint) -> [Line<'static>; 2] {
    let mut who = agent(session);
    for part in [project(session), model(session)].iter().filter(|part| *part != UNKNOWN) {
        who = format!("{who} · {part}");
    }
    let figures = format!("{} {}", triplet(session).join("|"), right(&percent(session), 4));
    let role = importance(session);
    let first = Builder::new(width, paint).add(left(mark(session), 2), Role::Strong).add(who, role).line();
    let second = Builder::new(width, paint).add("  ", Role::Plain);
    let room = second.room().saturating_sub(columns(&figures) + 1);
    let words = if columns(&verb(session)) <= room { verb(session) } else { word(session) };
    [first, second.add(left(&words, room), role).add(" ", Role::Plain).add(figures, role).line()]
}

const UNKNOWN: &str = "–";

fn mark(session: &SessionReport) -> &'static str {
    match (session.shown, &session.parent) {
        (true, _) => "▸",
        (false, Some(_)) => "↳",
        (false, None) => "",
    }
}

fn importance(session: &SessionReport) -> Role {
    match session.activity {
        _ if session.shown => Role::Strong,
        Activity::Idle => Role::Quiet,
        Activity::LimitReached => Role::Low,
        _ => Role::Plain,
    }
}

fn named(name: Option<&str>) -> String {
    name.map(visible).filter(|name| !name.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
}

fn agent(session: &SessionReport) -> String {
    session.agent.spec().short_name.to_owned()
}

fn project(session: &SessionReport) -> String {
    let project = named(session.project.as_deref());
    match &session.host {
        Some(host) => format!("{project} @{}", visible(host)),
        None => project,
    }
}

fn model(session: &SessionReport) -> String {
    named(session.model.as_deref().map(model_name).as_deref())
}

fn verb(session: &SessionReport) -> String {
    // A report does not distinguish commands from other tools.
    if session.activity == Activity::Running { "Running" } else { session.activity.verb() }.to_owned()
}

fn word(session: &SessionReport) -> String {
    session.activity.word().replace('_', " ")
}

fn triplet(session: &SessionReport) -> [String; 3] {
    figures(&session.tokens, session.counting, compact)
}

fn delta(session: &SessionReport) -> String {
    let [delta, ..] = triplet(session);
    delta
}

fn last(session: &SessionReport) -> String {
    let [_, last, _] = triplet(session);
    last
}

fn total(session: &SessionReport) -> String {
    let [.., total] = triplet(session);
    total
}

fn percent(session: &SessionReport) -> String {
    session.context.map_or_else(|| UNKNOWN.to_owned(), |context| format!("{}%", context.remaining_percent))
}

fn context(session: &SessionReport) -> String {
    session
        .context
        .map_or_else(|| UNKNOWN.to_owned(), |context| format!("{}% left", context.remaining_percent))
}
