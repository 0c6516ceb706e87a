//! The dashboard as plain data, and how it is drawn at any size: no terminal, no clock.
//!
//! Everything shown comes from one report, so it is consistent. Times are clock times, which do not change by
//! themselves. The sections are in `card`, `limits`, `sessions` and `head`; `stack` decides how many rows each gets.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::stack::{Section, stack};
use super::text::Builder;
use super::{card, head, help, limits, sessions};
use crate::core::names::visible;
use crate::core::report::{Event, EventKind, StatusReport};
use crate::core::source::Agent;

/// The smallest useful window: columns and rows.
const LEAST: (u16, u16) = (40, 10);
/// From this size on, sections have titles.
const COMPACT: (u16, u16) = (60, 20);
/// From this size on, card and limits are side by side.
const FULL: (u16, u16) = (130, 24);
/// How many usage lines are stored: more than fit on any screen.
const MOST_LINES: usize = 200;

/// Everything that is shown.
#[derive(Debug, Clone)]
pub struct View {
    /// The newest report; `None` before the first one.
    pub report: Option<StatusReport>,
    /// The source of the report.
    pub source: Source,
    /// Why there is no daemon.
    pub cause: String,
    /// The latest usage lines, the newest one last.
    pub lines: VecDeque<UsageEntry>,
    /// The user's time zone.
    pub zone: TimeZone,
    /// A message on the last action.
    pub notice: Option<String>,
    /// Whether the help is open.
    pub help: bool,
    /// The index of the first session shown, if not all fit.
    pub scroll: usize,
    /// Whether there are colours.
    pub colour: bool,
}

/// Where the reports come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A daemon.
    Attached,
    /// A daemon that does not answer any more.
    Silent,
    /// A daemon that ended; waiting for another one.
    Lost,
    /// The session files, by this process itself.
    Alone,
}

/// A usage line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEntry {
    /// When it was counted.
    pub at: Timestamp,
    /// The session's agent.
    pub agent: Agent,
    /// The session's id.
    pub session: String,
    /// The line without time, agent and session.
    pub text: String,
}

impl UsageEntry {
    /// The entry for an event of a session; `None` for other events.
    pub fn of(event: &Event, text: &str) -> Option<Self> {
        let (agent, session) = match &event.kind {
            EventKind::Usage(usage) => (usage.agent, &usage.session),
            EventKind::Session { session, .. } => (session.agent, &session.id),
            _ => return None,
        };
        Some(Self { at: event.at, agent, session: session.clone(), text: text.to_owned() })
    }
}

impl View {
    /// A view without a report.
    pub fn new(zone: TimeZone, colour: bool) -> Self {
        Self {
            report: None,
            source: Source::Attached,
            cause: "no daemon is running".to_owned(),
            lines: VecDeque::new(),
            zone,
            notice: None,
            help: false,
            scroll: 0,
            colour,
        }
    }

    /// Adds a usage line; removes the oldest one if there are too many.
    pub fn push(&mut self, entry: UsageEntry) {
        self.lines.push_back(entry);
        while self.lines.len() > MOST_LINES {
            self.lines.pop_front();
        }
    }

    /// Draws everything; returns the index of the first session shown. Scrolling ends at the last one.
    pub fn render(&self, area: Rect, buffer: &mut Buffer) -> usize {
        let (lines, first) = self.lines_for(area);
        for (line, y) in lines.iter().zip(area.y..area.bottom()) {
            buffer.set_line(area.x, y, line, area.width);
        }
        buffer.content.iter_mut().for_each(harmless);
        first
    }

    fn lines_for(&self, area: Rect) -> (Vec<Line<'static>>, usize) {
        let paint = Paint(self.colour);
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let at_least = |(columns, rows): (u16, u16)| area.width >= columns && area.height >= rows;
        if !at_least(LEAST) {
            let (columns, rows) = LEAST;
            let text = format!("the window is too small: {columns} x {rows} at least");
            let text = if text.len() > width { format!("too small: {columns}x{rows}") } else { text };
            return (vec![Builder::new(width, paint).add(text, Role::Plain).line()], self.scroll);
        }
        if self.help {
            return (help::lines(width, paint), self.scroll);
        }
        let mut lines = vec![head::head(self, width, paint)];
        let room = height.saturating_sub(2);
        let (body, first) = match &self.report {
            None => (Vec::new(), self.scroll),
            Some(report) if at_least(FULL) => self.full(report, width, room, paint),
            Some(report) if at_least(COMPACT) => {
                stack(self.one_column(report, width, paint, true), width, room, paint, true)
            }
            Some(report) => stack(self.one_column(report, width, paint, false), width, room, paint, false),
        };
        lines.extend(body);
        lines.resize_with(height.saturating_sub(1), Line::default);
        lines.push(head::foot(self, width, paint));
        (lines, first)
    }

    fn one_column(&self, report: &StatusReport, width: usize, paint: Paint, titled: bool) -> Vec<Section> {
        let card = if titled {
            card::section(self, report, width, paint)
        } else {
            card::small(report, width, paint)
        };
        vec![
            card,
            limits::section(self, report, width, paint, titled),
            sessions::section(self, report, width, paint),
            head::links(self, report, width, paint),
            head::problems(report, width, paint),
            head::usage(self, width, paint, titled),
        ]
    }

    /// The card and the limits side by side, the rest below.
    fn full(
        &self,
        report: &StatusReport,
        width: usize,
        height: usize,
        paint: Paint,
    ) -> (Vec<Line<'static>>, usize) {
        let left = (width - GUTTER) / 2;
        let right = width - GUTTER - left;
        let upper = height / 2;
        let (card, _) = stack(vec![card::section(self, report, left, paint)], left, upper, paint, true);
        let (limits, _) =
            stack(vec![limits::section(self, report, right, paint, true)], right, upper, paint, true);
        let mut lines = beside(card, limits, left);
        let below = vec![
            sessions::section(self, report, width, paint),
            head::links(self, report, width, paint),
            head::problems(report, width, paint),
            head::usage(self, width, paint, true),
        ];
        let (below, first) = stack(below, width, height.saturating_sub(lines.len()), paint, true);
        lines.extend(below);
        (lines, first)
    }
}

/// Columns between two sections side by side.
const GUTTER: usize = 2;

fn beside(left: Vec<Line<'static>>, right: Vec<Line<'static>>, width: usize) -> Vec<Line<'static>> {
    let rows = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let both = |(left, right): (Line<'static>, Line<'static>)| {
        let mut line = left;
        let gap = (width + GUTTER).saturating_sub(line.width());
        line.push_span(" ".repeat(gap));
        line.spans.extend(right.spans);
        line
    };
    (0..rows).map(|_| both((left.next().unwrap_or_default(), right.next().unwrap_or_default()))).collect()
}

/// Removes invisible characters from a cell: names come from files that other programs wrote.
fn harmless(cell: &mut Cell) {
    if !cell.symbol().is_ascii() {
        let seen = visible(cell.symbol());
        if seen != cell.symbol() {
            cell.set_symbol(if seen.is_empty() { " " } else { &seen });
        }
    }
}
