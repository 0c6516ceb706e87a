//! The card as friends see it, or why there is none.

use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::stack::{Section, Visible};
use super::text::{Builder, wrapped};
use super::view::{Source, View};
use crate::cmd::show;
use crate::core::publish::LinkState;
use crate::core::report::{CardReport, StatusReport};
use crate::core::time::clock;

/// The card, with a bar on its left.
pub(super) fn section(view: &View, report: &StatusReport, width: usize, paint: Paint) -> Section {
    let body = match &report.card {
        Some(card) => drawn(view, card, report, width, paint),
        None => no_card("  ", report, width, paint),
    };
    let title =
        if is_seen(view, report) { "Card, as friends see it" } else { "Card, as friends would see it" };
    Section { title: title.to_owned(), head: None, body, visible: Visible::First, minimum: 3, rank: 2 }
}

/// The card in two lines, for a small window.
pub(super) fn small(report: &StatusReport, width: usize, paint: Paint) -> Section {
    let line = |text: &str| Builder::new(width, paint).add("│ ", Role::Quiet).add(text, Role::Plain).line();
    let body = match &report.card {
        Some(card) => [&card.details, &card.state].into_iter().flatten().map(|text| line(text)).collect(),
        None => no_card("│ ", report, width, paint),
    };
    Section { title: String::new(), head: None, body, visible: Visible::First, minimum: 1, rank: 3 }
}

/// Why there is no card, in the words of `status`.
fn no_card(before: &str, report: &StatusReport, width: usize, paint: Paint) -> Vec<Line<'static>> {
    let start = || Builder::new(width, paint).add(before, Role::Quiet);
    let text = wrapped(&show::no_card(report), start().room());
    text.into_iter().map(|text| start().add(text, Role::Plain).line()).collect()
}

fn drawn(
    view: &View,
    card: &CardReport,
    report: &StatusReport,
    width: usize,
    paint: Paint,
) -> Vec<Line<'static>> {
    let bar = || Builder::new(width, paint).add("  │ ", Role::Quiet);
    let timer = format!("timer since {}", clock(card.started_at, report.now, &view.zone));
    let name = bar().add(&card.name, Role::Strong);
    let gap = if name.room() > timer.len() + 2 { "  " } else { "" };
    let name = name.add(gap, Role::Plain).add(if gap.is_empty() { "" } else { &timer }, Role::Quiet);
    let mut lines = vec![name.line()];
    let parts = [
        ("", card.details.as_deref()),
        ("", card.state.as_deref()),
        ("member list: ", Some(card.member_list.as_str())),
        ("on hover: ", card.large_text.as_deref()),
    ];
    for (what, text) in parts {
        let text = wrapped(text.unwrap_or_default(), bar().room().saturating_sub(what.len()));
        for (index, text) in text.iter().enumerate() {
            let before = if index == 0 { what.to_owned() } else { " ".repeat(what.len()) };
            lines.push(bar().add(before, Role::Quiet).add(text, Role::Plain).line());
        }
    }
    lines
}

/// Whether Discord shows this card now.
fn is_seen(view: &View, report: &StatusReport) -> bool {
    view.source == Source::Attached
        && report.daemon.state == "running"
        && report.links.iter().any(|link| link.state == LinkState::Connected)
}
