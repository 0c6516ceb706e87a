//! Text for people: the card as friends see it, events as lines, the status report.
//!
//! Nothing here is coloured and nothing is cut; every line is complete without either.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::engine::UNTIL_RESUMED;
use crate::core::numbers::usage_line;
use crate::core::report::{
    CardReport, Event, EventKind, LimitsReport, SessionReport, StatusReport, UsageReport,
};
use crate::core::usage::Tokens;

/// How much of a session's id stands in a line.
const SHORT_ID: usize = 8;

/// The card as friends see it: a bar of its own on the left, the timer as it stands at `now`.
pub fn card(card: &CardReport, now: Timestamp) -> String {
    let mut text = format!("┌ {}\n", card.name);
    for line in [&card.details, &card.state].into_iter().flatten() {
        let _ = writeln!(text, "│ {line}");
    }
    let _ = writeln!(text, "└ {} elapsed", elapsed(card.started_at, now));
    text
}

/// The card with what is only seen on a closer look.
pub fn preview(report: &CardReport, now: Timestamp) -> String {
    let mut text = card(report, now);
    let _ = writeln!(text);
    let _ = writeln!(text, "member list: {}", report.member_list);
    if let Some(hover) = &report.large_text {
        let _ = writeln!(text, "on hover:    {hover}");
    }
    text
}

/// One event as a line (a card as a few), or nothing where it says nothing to a reader.
pub fn event(event: &Event, zone: &TimeZone) -> Option<String> {
    let at = event.at.to_zoned(zone.clone());
    let time = at.strftime("%Y-%m-%d %H:%M:%S");
    match &event.kind {
        EventKind::Usage(usage) => {
            let line = usage_text(usage)?;
            Some(format!("{time} {} {} {line}\n", usage.agent.word(), short_id(&usage.session)))
        }
        EventKind::Session { ended: true, session } => {
            let line = ended_text(session);
            Some(format!("{time} {} {} {line}\n", session.agent.word(), short_id(&session.id)))
        }
        EventKind::Card { card: Some(shown) } => Some(format!("{time}\n{}", card(shown, event.at))),
        EventKind::Card { card: None } => Some(format!("{time} no card\n")),
        EventKind::Session { .. }
        | EventKind::Activity { .. }
        | EventKind::Limits(_)
        | EventKind::Links { .. } => None,
    }
}

/// The usage line of an event.
pub fn usage_text(usage: &UsageReport) -> Option<String> {
    usage.usage.session_total_tokens.map(|total| usage_line(&total, usage.added()))
}

/// The usage line of a session that has ended.
pub fn ended_text(session: &SessionReport) -> String {
    match session.usage.session_total_tokens {
        Some(total) => usage_line(&total, None::<&Tokens>),
        None => "Token usage: unknown".to_owned(),
    }
}

/// The first characters of a session's id.
pub fn short_id(id: &str) -> String {
    id.chars().take(SHORT_ID).collect()
}

/// `status` for people.
pub fn status(report: &StatusReport, zone: &TimeZone) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", daemon_text(report, zone));
    match &report.card {
        Some(shown) => {
            let _ = write!(text, "\n{}", card(shown, report.now));
        }
        None => {
            let paused = report.daemon.state == "running" && report.daemon.paused_until.is_some();
            let why = if paused { "paused" } else { "no session is active" };
            let _ = writeln!(text, "\nno card: {why}");
        }
    }
    if !report.sessions.is_empty() {
        let _ = writeln!(text, "\nsessions");
        for session in &report.sessions {
            let _ = writeln!(text, "{}", session_text(session));
        }
    }
    if !report.limits.is_empty() {
        let _ = writeln!(text, "\nlimits");
        for limits in &report.limits {
            text.push_str(&limits_text(limits, report.now, zone));
        }
    }
    if !report.links.is_empty() {
        let _ = writeln!(text, "\nlinks");
        for link in &report.links {
            let error = link.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            let _ = writeln!(text, "  {} {} ({}){error}", link.client, link.state, link.endpoint);
        }
    }
    if !report.config.issues.is_empty() {
        let _ = writeln!(text, "\nsettings");
        for issue in &report.config.issues {
            let _ = writeln!(text, "  {}", issue.replace('\n', "\n  "));
        }
    }
    text
}

fn daemon_text(report: &StatusReport, zone: &TimeZone) -> String {
    let daemon = &report.daemon;
    let pause = match daemon.paused_until {
        Some(until) if until == UNTIL_RESUMED => ", paused until `agent-presence resume`".to_owned(),
        Some(until) => format!(", paused until {}", clock(until, report.now, zone)),
        None => String::new(),
    };
    match (daemon.state.as_str(), daemon.pid, daemon.started_at) {
        ("running", Some(pid), Some(started)) => {
            format!("daemon running (pid {pid}, since {}){pause}", clock(started, report.now, zone))
        }
        ("running", ..) => format!("daemon running{pause}"),
        ("not_running", ..) => format!("daemon not running{pause}; the session files were read once"),
        ("unresponsive", Some(pid), _) => {
            format!("daemon unresponsive (pid {pid}); the session files were read once")
        }
        (state, ..) => format!("daemon {state}; the session files were read once"),
    }
}

fn session_text(session: &SessionReport) -> String {
    let mark = if session.shown { '*' } else { ' ' };
    let figure = |figure: Option<u64>| figure.map_or("–".to_owned(), crate::core::numbers::compact);
    let about = if session.counting { "~" } else { "" };
    let tokens = session.tokens;
    let mut text = format!(
        "{mark} {} {} {:<13} +{} | {} | {about}{} tokens",
        session.agent.word(),
        short_id(&session.id),
        session.activity.word(),
        figure(tokens.delta),
        figure(tokens.last),
        figure(tokens.total),
    );
    if let Some(context) = session.context {
        let _ = write!(text, " · context {}% left", context.remaining_percent);
    }
    for name in [&session.model, &session.project].into_iter().flatten() {
        let _ = write!(text, " · {}", crate::core::names::neutralise(name));
    }
    if session.parent.is_some() {
        text.push_str(" · sub-agent");
    }
    text
}

fn limits_text(limits: &LimitsReport, now: Timestamp, zone: &TimeZone) -> String {
    let mut text = String::new();
    let owner = limits.name.clone().unwrap_or_else(|| limits.agent.card_name().to_owned());
    let age = if limits.stale {
        format!(" (as of {})", clock(limits.observed_at, now, zone))
    } else {
        String::new()
    };
    let _ = writeln!(text, "  {}{age}", crate::core::names::neutralise(&owner));
    for window in &limits.windows {
        let reset =
            window.resets_at.map(|at| format!(" (resets {})", clock(at, now, zone))).unwrap_or_default();
        let capped = window.capped_by.as_ref().map(|by| format!(", {by} limit reached")).unwrap_or_default();
        let left = match window.remaining_percent {
            Some(left) => format!("{left}% left{reset}{capped}"),
            None => "has reset since".to_owned(),
        };
        let _ = writeln!(text, "    {} limit: {left}", capitalised(&window.label));
    }
    text
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// `14:20`, with the day where it is another one than `now`'s (Codex: `%H:%M on %-d %b`).
fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    let same_day = at.date() == now.to_zoned(zone.clone()).date();
    at.strftime(if same_day { "%H:%M" } else { "%H:%M on %-d %b" }).to_string()
}

/// `1:02:03`, as Discord's timer counts.
fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let seconds = crate::core::time::elapsed(from, to).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}
