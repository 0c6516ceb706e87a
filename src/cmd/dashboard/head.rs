//! The first and the last line, and the sections on links, problems and the latest usage.

use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::stack::{Section, Visible};
use super::text::{Builder, columns, wrapped};
use super::view::{Source, UsageEntry, View};
use crate::cmd::show;
use crate::core::engine::UNTIL_RESUMED;
use crate::core::names::visible;
use crate::core::publish::{LinkState, LinkStatus};
use crate::core::remote::{RemoteReport, RemoteState};
use crate::core::report::StatusReport;
use crate::core::time::{clock, clock_as};

/// From this width on, lines have their longer texts.
const ROOMY: usize = 76;
/// From this width on, usage lines are complete.
const WIDE: usize = 150;

/// Where the report comes from, and a pause.
pub(super) fn head(view: &View, width: usize, paint: Paint) -> Line<'static> {
    let line = Builder::new(width, paint);
    let line = if width >= ROOMY { line.add("agent-presence  ", Role::Strong) } else { line };
    let (text, role) = source(view, width >= ROOMY);
    let line = line.add(text, role);
    match view.report.as_ref().and_then(|report| report.daemon.paused_until.map(|until| (until, report.now)))
    {
        Some((until, _)) if until == UNTIL_RESUMED => line.add("  paused", Role::Fair).line(),
        Some((until, now)) => {
            line.add(format!("  paused until {}", clock(until, now, &view.zone)), Role::Fair).line()
        }
        None => line.line(),
    }
}

fn source(view: &View, roomy: bool) -> (String, Role) {
    let Some(report) = &view.report else { return ("looking for the daemon".to_owned(), Role::Plain) };
    let daemon = &report.daemon;
    let short = |long: &str, short: &str| if roomy { long } else { short }.to_owned();
    match (view.source, daemon.state.as_str(), daemon.pid) {
        (Source::Lost, ..) => {
            (short("the daemon has ended; waiting for another one", "daemon ended, waiting"), Role::Low)
        }
        (Source::Silent, ..) => {
            let said = clock(report.now, report.now, &view.zone);
            let long = format!("the daemon does not answer; this is its report of {said}");
            (short(&long, "daemon unresponsive"), Role::Low)
        }
        (_, "running", Some(pid)) if roomy => {
            let since = daemon.started_at.map(|at| format!(", since {}", clock(at, report.now, &view.zone)));
            let version = daemon.version.as_deref().map(visible).unwrap_or_default();
            (format!("daemon {version} running (pid {pid}{})", since.unwrap_or_default()), Role::Good)
        }
        (_, "running", _) => ("daemon running".to_owned(), Role::Good),
        _ => {
            let long = format!("{}; reading the session files itself", view.cause);
            (short(&long, "no daemon: reading files itself"), Role::Fair)
        }
    }
}

/// The notice, if there is one; else the keys.
pub(super) fn foot(view: &View, width: usize, paint: Paint) -> Line<'static> {
    let line = Builder::new(width, paint);
    if let Some(notice) = &view.notice {
        return line.add(notice, Role::Strong).line();
    }
    let paused = view.report.as_ref().is_some_and(|report| report.daemon.paused_until.is_some());
    let keys =
        [("q", "quit"), ("p", if paused { "resume" } else { "pause" }), ("?", "help"), ("↑↓", "scroll")];
    keys.iter()
        .fold(line, |line, (key, what)| line.add(*key, Role::Strong).add(format!(" {what}  "), Role::Quiet))
        .line()
}

/// The Discord clients and remotes, with their errors.
pub(super) fn links(view: &View, report: &StatusReport, width: usize, paint: Paint) -> Section {
    let mut body: Vec<Line<'static>> =
        report.links.iter().map(|link| link_line(view, report, link, width, paint)).collect();
    if body.is_empty() {
        let why = match (report.daemon.state.as_str(), report.daemon.sink.as_deref()) {
            ("running", Some("terminal")) => "none: cards go to the daemon's terminal (--dry-run)",
            ("running", _) => "none: no Discord client is connected",
            _ => "none: only a daemon has links",
        };
        body.push(Builder::new(width, paint).add("  ", Role::Plain).add(why, Role::Quiet).line());
    }
    body.extend(report.remotes.iter().map(|remote| remote_line(view, report, remote, width, paint)));
    Section { title: "Links".to_owned(), head: None, body, visible: Visible::First, minimum: 2, rank: 4 }
}

fn remote_line(
    view: &View,
    report: &StatusReport,
    remote: &RemoteReport,
    width: usize,
    paint: Paint,
) -> Line<'static> {
    let role = match remote.state {
        RemoteState::Connected => Role::Good,
        RemoteState::Connecting | RemoteState::Waiting => Role::Fair,
        RemoteState::Rejected => Role::Low,
    };
    let line = Builder::new(width, paint)
        .add("  ", Role::Plain)
        .add(visible(&remote.name), Role::Strong)
        .add(format!("  {}", remote.state), role);
    let line = match remote.last_heard_at {
        Some(at) => line.add(format!("  heard {}", clock(at, report.now, &view.zone)), Role::Plain),
        None => line,
    };
    match &remote.last_error {
        Some(error) => line.add(format!("  {}", visible(error)), Role::Low).line(),
        None => line.line(),
    }
}

fn link_line(
    view: &View,
    report: &StatusReport,
    link: &LinkStatus,
    width: usize,
    paint: Paint,
) -> Line<'static> {
    let role = match link.state {
        LinkState::Connected => Role::Good,
        LinkState::Connecting | LinkState::Waiting => Role::Fair,
        LinkState::Rejected => Role::Low,
    };
    let acknowledged = match link.last_ack_at {
        Some(at) => {
            let forms = ["%H:%M:%S", "%H:%M on %-d %b"];
            format!("acknowledged {}", clock_as(forms, at, report.now, &view.zone))
        }
        None => "nothing acknowledged yet".to_owned(),
    };
    let line = Builder::new(width, paint)
        .add("  ", Role::Plain)
        .add(visible(&link.client), Role::Strong)
        .add(format!("  {}", link.state), role);
    let short = acknowledged.replace("acknowledged", "ack");
    let acknowledged = if columns(&acknowledged) + 2 <= line.room() { acknowledged } else { short };
    let line = line.add(format!("  {acknowledged}"), Role::Plain);
    match &link.last_error {
        Some(error) => line.add(format!("  {}", visible(error)), Role::Low).line(),
        None => line.line(),
    }
}

/// Problems with settings and folders, with hints.
pub(super) fn problems(report: &StatusReport, width: usize, paint: Paint) -> Section {
    let mut body = Vec::new();
    for issue in &report.config.issues {
        for (index, line) in wrapped(issue, width.saturating_sub(4)).into_iter().enumerate() {
            let mark = if index == 0 { "! " } else { "  " };
            body.push(
                Builder::new(width, paint).add(mark, Role::Low).add(visible(&line), Role::Plain).line(),
            );
        }
    }
    Section { title: "Problems".to_owned(), head: None, body, visible: Visible::First, minimum: 2, rank: 3 }
}

/// The latest usage lines, the newest one last.
pub(super) fn usage(view: &View, width: usize, paint: Paint, titled: bool) -> Section {
    let body = view.lines.iter().map(|entry| usage_line(view, entry, width, paint)).collect();
    Section {
        title: "Latest usage".to_owned(),
        head: None,
        body,
        visible: Visible::Last,
        minimum: if titled { 3 } else { 1 },
        rank: 5,
    }
}

fn usage_line(view: &View, entry: &UsageEntry, width: usize, paint: Paint) -> Line<'static> {
    let time = entry.at.to_zoned(view.zone.clone()).strftime("%H:%M:%S").to_string();
    let line = Builder::new(width, paint).add(if width >= ROOMY { "  " } else { "" }, Role::Plain);
    let whose = format!(" {} {}", entry.agent.word(), show::short_id(&entry.session));
    let whose = if width >= ROOMY { whose } else { format!(" {}", entry.agent.word()) };
    let line = line.add(time, Role::Quiet).add(whose, Role::Quiet).add(" ", Role::Plain);
    let figures = entry.text.trim_start_matches("Token usage: ");
    line.add(if width >= WIDE { entry.text.as_str() } else { figures }, Role::Plain).line()
}
