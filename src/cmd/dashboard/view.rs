//! What the dashboard shows, as plain data, and how that looks at any size: no terminal, no clock.
//!
//! Everything shown comes from one report, so it always agrees with itself. Times are told as clock times, which do
//! not change by themselves. Parts of the screen are in `card`, `limits`, `sessions` and `head`; who gets how many
//! rows is decided in `stack`.

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

/// What is smaller than this cannot show anything that helps.
const LEAST: (u16, u16) = (40, 10);
/// From here on parts of the screen have titles.
const COMPACT: (u16, u16) = (60, 20);
/// From here on there are parts beside each other.
const FULL: (u16, u16) = (130, 24);
/// How many usage lines are kept: more than fit on any screen.
const KEPT: usize = 200;

/// Everything that is on the screen.
#[derive(Debug, Clone)]
pub struct View {
    /// The newest report; `None` before the first one.
    pub report: Option<StatusReport>,
    /// Where it comes from.
    pub standing: Standing,
    /// Why that is no daemon.
    pub cause: String,
    /// The latest usage lines, the newest one last.
    pub lines: VecDeque<UsageEntry>,
    /// The user's time zone.
    pub zone: TimeZone,
    /// What went well or wrong just now.
    pub notice: Option<String>,
    /// Whether the help is open.
    pub help: bool,
    /// The first session shown, where not all fit.
    pub scroll: usize,
    /// Whether there are colours.
    pub colour: bool,
}

/// Where the reports come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A daemon.
    Attached,
    /// A daemon that does not answer any more.
    Silent,
    /// A daemon that went away; another one is waited for.
    Lost,
    /// The session files, by this process itself.
    Alone,
}

/// A usage line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEntry {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub agent: Agent,
    /// The session.
    pub session: String,
    /// The line.
    pub text: String,
}

impl UsageEntry {
    /// The line of an event of a session.
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
    /// A view that knows nothing yet.
    pub fn new(zone: TimeZone, colour: bool) -> Self {
        Self {
            report: None,
            standing: Standing::Attached,
            cause: "no daemon is running".to_owned(),
            lines: VecDeque::new(),
            zone,
            notice: None,
            help: false,
            scroll: 0,
            colour,
        }
    }

    /// One more usage line; the oldest one goes where there are too many.
    pub fn keep(&mut self, entry: UsageEntry) {
        self.lines.push_back(entry);
        while self.lines.len() > KEPT {
            self.lines.pop_front();
        }
    }

    /// Draws everything, and gives the first session that is shown: scrolling ends at the last one.
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

    /// The card and the limits beside each other, the rest below.
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

/// Columns between two parts that are beside each other.
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

/// Takes out of a cell what is not seen there: names come from files that others may have written.
fn harmless(cell: &mut Cell) {
    if !cell.symbol().is_ascii() {
        let seen = visible(cell.symbol());
        if seen != cell.symbol() {
            cell.set_symbol(if seen.is_empty() { " " } else { &seen });
        }
    }
}
