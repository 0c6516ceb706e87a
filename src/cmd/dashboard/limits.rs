//! Remaining limits: for each window a bar, the share that is left, and when it resets.

use jiff::Timestamp;
use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::stack::{Section, Visible};
use super::text::{Builder, columns, cut, left, right};
use super::view::View;
use crate::core::limits::{Pace, Standing, WindowView, main_family};
use crate::core::names::{last_part, visible};
use crate::core::report::{LimitsReport, StatusReport};
use crate::core::time::{clock, clock_as};

/// From this width on, a line has the owner of the limits and the words of the reset.
const WIDE: usize = 76;
const LONGEST_BAR: usize = 40;
const OWNER: usize = 22;
/// Columns of a word for the level, and of a few words.
const WORD: usize = 7;
const WORDS: usize = 12;

/// The section with every window of every account.
pub(super) fn section(
    view: &View,
    report: &StatusReport,
    width: usize,
    paint: Paint,
    titled: bool,
) -> Section {
    let body =
        if width >= WIDE { wide(view, report, width, paint) } else { narrow(view, report, width, paint) };
    let body = if body.is_empty() {
        vec![Builder::new(width, paint).add("  no limits are known yet", Role::Quiet).line()]
    } else {
        body
    };
    let minimum = if titled { 8 } else { 2 };
    Section {
        title: "Remaining limits".to_owned(),
        head: None,
        body,
        visible: Visible::First,
        minimum,
        rank: 1,
    }
}

fn wide(view: &View, report: &StatusReport, width: usize, paint: Paint) -> Vec<Line<'static>> {
    let owners: Vec<[String; 2]> = report
        .limits
        .iter()
        .map(|limits| {
            let age = format!("as of {}", short_clock(limits.observed_at, view, report));
            [owner(limits, report), if limits.stale { age } else { String::new() }]
        })
        .collect();
    let owner_room = owners.iter().flatten().map(|text| columns(text)).max().unwrap_or(0).min(OWNER);
    let label_room = labels(report.limits.iter());
    let mut lines = Vec::new();
    for (limits, [name, age]) in report.limits.iter().zip(&owners) {
        for (index, window) in limits.windows.iter().enumerate() {
            let beside = match index {
                0 => name.as_str(),
                1 => age.as_str(),
                _ => "",
            };
            let role = if index == 0 { Role::Strong } else { Role::Fair };
            let line = Builder::new(width, paint)
                .add("  ", Role::Plain)
                .add(left(beside, owner_room), role)
                .add("  ", Role::Plain)
                .add(left(&window.label, label_room), Role::Plain);
            let bar = line.room().saturating_sub(46).min(LONGEST_BAR);
            lines.push(window_line(line.add("  ", Role::Plain), window, limits, bar, view, report));
        }
        if limits.windows.len() == 1 && limits.stale {
            lines.push(Builder::new(width, paint).add("  ", Role::Plain).add(age, Role::Fair).line());
        }
    }
    lines
}

/// Adds bar, share, word and reset of one window to `line`.
fn window_line(
    line: Builder,
    window: &WindowView,
    limits: &LimitsReport,
    bar: usize,
    view: &View,
    report: &StatusReport,
) -> Line<'static> {
    let clock = |at| clock(at, report.now, &view.zone);
    let Some(remaining) = window.remaining_percent else {
        let when = window.resets_at.map_or_else(String::new, |at| format!(" at {}", clock(at)));
        return line
            .add("·".repeat(bar), Role::Quiet)
            .add(format!("  has reset{when}; not known since then"), Role::Quiet)
            .line();
    };
    let (role, word) = pace(window, view, report).unwrap_or_else(|| level(remaining));
    let is_paced =
        report.limits.iter().flat_map(|limits| &limits.windows).any(|window| window.pace.is_some());
    let (bar, word_width) = if is_paced { (bar.saturating_sub(WORDS - WORD), WORDS) } else { (bar, WORD) };
    let reset = window.resets_at.map(|at| format!("resets {}", clock(at))).unwrap_or_default();
    let line = painted(line, remaining, bar)
        .add(format!("  {}", right(&format!("{remaining}% left"), 9)), Role::Strong)
        .add(
            format!("  {}", left(if limits.stale { "stale" } else { &word }, word_width)),
            if limits.stale { Role::Fair } else { role },
        )
        .add(format!("  {reset}"), Role::Plain);
    match &window.capped_by {
        Some(by) if line.room() > by.len() + 16 => {
            line.add(format!(", {by} limit reached"), Role::Low).line()
        }
        Some(_) | None => line.line(),
    }
}

fn narrow(view: &View, report: &StatusReport, width: usize, paint: Paint) -> Vec<Line<'static>> {
    let all =
        || report.limits.iter().flat_map(|limits| limits.windows.iter().map(move |window| (limits, window)));
    let several = report.limits.len() > 1;
    let whose = |limits| if several { short_owner(limits, report) + " " } else { String::new() };
    let name_of = |(limits, window): (_, &WindowView)| columns(&whose(limits)) + columns(&window.label);
    let room = all().map(name_of).max().unwrap_or(0).min(width / 3);
    // If there is room, stale values have their time.
    let word_width = if width >= 50 { WORDS } else { WORD };
    let mut lines = Vec::new();
    for (limits, window) in all() {
        let label = visible(&window.label);
        let name = cut(&whose(limits), room.saturating_sub(columns(&label))) + &label;
        let line = Builder::new(width, paint).add(left(&name, room), Role::Plain).add(" ", Role::Plain);
        let bar = line.room().saturating_sub(14 + word_width).min(LONGEST_BAR);
        let reset = window.resets_at.map(|at| short_clock(at, view, report)).unwrap_or_default();
        let Some(remaining) = window.remaining_percent else {
            lines.push(
                line.add("·".repeat(bar), Role::Quiet).add(format!(" has reset {reset}"), Role::Quiet).line(),
            );
            continue;
        };
        let age = format!("as of {}", short_clock(limits.observed_at, view, report));
        let paced = pace(window, view, report).filter(|(_, word)| columns(word) <= word_width);
        let (role, word) = match paced.unwrap_or_else(|| level(remaining)) {
            _ if limits.stale && columns(&age) <= word_width => (Role::Fair, age),
            _ if limits.stale => (Role::Fair, "stale".to_owned()),
            other => other,
        };
        let line = painted(line, remaining, bar)
            .add(right(&format!("{remaining}%"), 5), Role::Strong)
            .add(format!(" {}", left(&word, word_width)), role)
            .add(format!(" {}", right(&reset, 7)), Role::Plain);
        lines.push(line.line());
    }
    lines
}

fn painted(line: Builder, remaining: u8, bar: usize) -> Builder {
    // Any rest above 0 has at least one block, and below 100 the bar is never full.
    let full = (usize::from(remaining) * bar + 50) / 100;
    let full = match remaining {
        0 => 0,
        100 => bar,
        _ => full.clamp(1.min(bar), bar.saturating_sub(1).max(1.min(bar))),
    };
    line.add("█".repeat(full), level(remaining).0).add("░".repeat(bar - full), Role::Quiet)
}

/// Whether the window lasts until its reset, in a word or two, if that is known.
fn pace(window: &WindowView, view: &View, report: &StatusReport) -> Option<(Role, String)> {
    Some(match window.pace? {
        Pace::Lasts => (Role::Good, "lasts".to_owned()),
        Pace::Empty { empty_at } => (Role::Low, format!("empty {}", short_clock(empty_at, view, report))),
    })
}

/// The colour and the word for so much left, in percent.
fn level(remaining: u8) -> (Role, String) {
    let (role, word) = match Standing::of(remaining) {
        _ if remaining == 0 => (Role::Low, "used up"),
        Standing::Good => (Role::Good, "good"),
        Standing::Fair => (Role::Fair, "fair"),
        Standing::Low | Standing::Critical => (Role::Low, "low"),
    };
    (role, word.to_owned())
}

fn labels<'a>(limits: impl Iterator<Item = &'a LimitsReport>) -> usize {
    limits.flat_map(|limits| &limits.windows).map(|window| columns(&window.label)).max().unwrap_or(0)
}

/// The owner of the limits: agent and plan, or the family's name; with the home if another one has the same.
fn owner(limits: &LimitsReport, report: &StatusReport) -> String {
    let is_main = limits.family == main_family(limits.agent);
    let mut text = match &limits.name {
        Some(name) if !is_main => name.clone(),
        _ => limits.agent.card_name().to_owned(),
    };
    if let Some(plan) = limits.plan.as_ref().filter(|_| is_main) {
        text = format!("{text} {plan}");
    }
    match &limits.home_name {
        Some(name) => text = format!("{name} · {text}"),
        None if has_double(limits, report) => text = format!("{text} ({})", place(limits)),
        None => {}
    }
    visible(&text)
}

/// The owner in a word, if possible.
fn short_owner(limits: &LimitsReport, report: &StatusReport) -> String {
    match (&limits.name, &limits.home_name) {
        (Some(name), _) if limits.family != main_family(limits.agent) => visible(name),
        (_, Some(name)) => visible(name),
        _ if has_double(limits, report) => visible(place(limits)),
        _ => limits.agent.spec().short_name.to_owned(),
    }
}

/// What distinguishes two accounts of one agent: the host or the home.
fn place(limits: &LimitsReport) -> &str {
    limits.host.as_deref().unwrap_or_else(|| last_part(&limits.home))
}

/// Whether another home has the same family of limits.
fn has_double(limits: &LimitsReport, report: &StatusReport) -> bool {
    let alike = |other: &&LimitsReport| (other.agent, &other.family) == (limits.agent, &limits.family);
    report.limits.iter().filter(alike).count() > 1
}

/// `14:20`, or the day if it is not today.
fn short_clock(at: Timestamp, view: &View, report: &StatusReport) -> String {
    clock_as(["%H:%M", "%-d %b"], at, report.now, &view.zone)
}
