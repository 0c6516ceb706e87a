//! The status report for people, and the card as friends see it.
//!
//! Texts without a fixed length are at a line's end or on a line of their own, so that the rest fits into any terminal.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{card, short_id};
use crate::core::activity::Activity;
use crate::core::engine::UNTIL_RESUMED;
use crate::core::limits::WindowView;
use crate::core::names::{capitalised, neutralise, one_line};
use crate::core::numbers::{compact, figures};
use crate::core::publish::codes::REJECTED_HINT;
use crate::core::publish::{LinkState, LinkStatus};
use crate::core::remote::RemoteReport;
use crate::core::report::{CardReport, LimitsReport, NoCard, SessionReport, StatusReport};
use crate::core::source::{Agent, Surface};
use crate::core::time::{ago, clock};
use crate::core::usage::Triplet;

/// The segments of a bar, as many as Codex draws.
const SEGMENTS: u16 = 20;

/// The length of the longest activity word, so that figures are aligned.
const ACTIVITY: usize = 13;

/// The card with its hover texts and the text of the member list. Discord shows hover texts only on an image.
pub fn looks(report: &CardReport, now: Timestamp, seen_on_hover: bool) -> String {
    let mut text = card(report, now);
    let _ = writeln!(text, "\nmember list: {}", report.member_list);
    let hovers = [&report.large_text, &report.small_text];
    for hover in hovers.into_iter().flatten() {
        let _ = writeln!(text, "on hover:    {hover}");
    }
    if !seen_on_hover && hovers != [&None, &None] {
        text.push_str("             (seen only where discord.large_image is set)\n");
    }
    text
}

/// `preview`: the card, or why there is none.
pub fn preview(report: &StatusReport, seen_on_hover: bool) -> String {
    let Some(shown) = &report.card else {
        let hint = match report.no_card {
            Some(NoCard::Paused) => "`agent-presence resume` ends the pause",
            Some(NoCard::Hidden) => "the rules are under [[privacy.rule]] in the settings file",
            Some(NoCard::Settings) => "`agent-presence config check` prints what is wrong",
            _ => "see one with `agent-presence run --demo`",
        };
        return format!("{}\nhint: {hint}\n", no_card(report));
    };
    looks(shown, report.now, seen_on_hover)
}

/// `status` for people.
pub fn status(report: &StatusReport, zone: &TimeZone) -> String {
    let mut text = format!("{}\n\n", daemon(report, zone));
    match &report.card {
        Some(shown) => text.push_str(&card(shown, report.now)),
        None => {
            let _ = writeln!(text, "{}", no_card(report));
        }
    }
    let sessions: Vec<String> =
        families(&report.sessions).map(|session| session_text(session, report.now)).collect();
    section(&mut text, "sessions (tokens: delta | last | total)", &sessions);
    let limits: Vec<String> = report.limits.iter().map(|limits| limits_text(limits, report, zone)).collect();
    section(&mut text, "limits", &limits);
    section(&mut text, "links", &links(report));
    let remotes: Vec<String> = report.remotes.iter().map(|remote| remote_text(remote, report.now)).collect();
    section(&mut text, "remotes", &remotes);
    let problems: Vec<String> =
        report.config.issues.iter().map(|issue| format!("  {}\n", issue.replace('\n', "\n  "))).collect();
    section(&mut text, "problems", &problems);
    text
}

fn section(text: &mut String, heading: &str, entries: &[String]) {
    if !entries.is_empty() {
        let _ = write!(text, "\n{heading}\n{}", entries.concat());
    }
}

fn daemon(report: &StatusReport, zone: &TimeZone) -> String {
    let daemon = &report.daemon;
    let pause = match daemon.paused_until {
        Some(until) if until == UNTIL_RESUMED => ", paused until `agent-presence resume`".to_owned(),
        Some(until) => format!(", paused until {}", clock(until, report.now, zone)),
        None => String::new(),
    };
    let sink = if daemon.sink.as_deref() == Some("terminal") { ", cards to its standard output" } else { "" };
    match (daemon.state.as_str(), daemon.pid, daemon.started_at) {
        ("running", Some(pid), Some(started)) => {
            format!("daemon running (pid {pid}, since {}){sink}{pause}", clock(started, report.now, zone))
        }
        ("running", ..) => format!("daemon running{sink}{pause}"),
        ("not_running", ..) => format!("daemon not running{pause}; the session files were read once"),
        ("unresponsive", Some(pid), _) => {
            format!("daemon unresponsive (pid {pid}); the session files were read once")
        }
        (state, ..) => format!("daemon {state}; the session files were read once"),
    }
}

/// Why there is no card, in one line.
pub fn no_card(report: &StatusReport) -> String {
    match report.no_card {
        Some(NoCard::Paused) => "no card: paused".to_owned(),
        Some(NoCard::Hidden) => "no card: a privacy rule hides the active session".to_owned(),
        Some(NoCard::Settings) => {
            "no card: because of a mistake in the settings it is not known what to hide; nothing is shown until it is corrected"
                .to_owned()
        }
        _ => {
            // Sub-agents and reviews may be active, but are not shown.
            let are_idle = report.sessions.iter().all(|session| session.activity == Activity::Idle);
            let last = report.sessions.iter().filter_map(|session| session.last_event_at).max();
            let last =
                last.filter(|_| are_idle).map(|at| format!("; the last one was {}", ago(at, report.now)));
            format!("no card: no active session{}", last.unwrap_or_default())
        }
    }
}

/// The sessions in their order, with sub-agents below the session that started them.
fn families(sessions: &[SessionReport]) -> impl Iterator<Item = &SessionReport> {
    let parent = |session: &SessionReport| {
        let parent = session.parent.as_ref()?;
        sessions.iter().find(|other| other.id == *parent && other.parent.is_none())
    };
    sessions.iter().filter(move |session| parent(session).is_none()).flat_map(move |session| {
        let children =
            sessions.iter().filter(move |child| parent(child).is_some_and(|of| of.id == session.id));
        std::iter::once(session).chain(children)
    })
}

fn session_text(session: &SessionReport, now: Timestamp) -> String {
    let mark = if session.shown { '*' } else { ' ' };
    let limited = session.activity == Activity::LimitReached;
    let agents = Agent::ALL.into_iter().map(|agent| agent.word().len()).max().unwrap_or_default();
    let mut text = format!(
        "{mark} {:agents$} {} {:ACTIVITY$} {}\n",
        session.agent.word(),
        short_id(&session.id),
        if limited { "limit reached" } else { session.activity.word() },
        triplet(&session.tokens, session.counting),
    );
    let model = session.model.as_ref().map(|model| match &session.effort {
        Some(effort) => format!("{} {}", neutralise(model), neutralise(effort)),
        None => neutralise(model),
    });
    let place = session.project.as_ref().map(|project| match &session.branch {
        Some(branch) => format!("{} on {}", neutralise(project), neutralise(branch)),
        None => neutralise(project),
    });
    let surface = match session.surface {
        Surface::Vscode => Some("VS Code"),
        Surface::Desktop => Some("desktop app"),
        Surface::Exec => Some("exec run"),
        Surface::Sdk => Some("from a program"),
        Surface::Cli | Surface::Unknown => None,
    };
    let details = [
        session.host.as_deref().map(|host| format!("on {}", neutralise(host))),
        session.parent.as_ref().map(|parent| format!("sub-agent of {}", short_id(parent))),
        model,
        session.service_tier.as_deref().map(neutralise),
        place,
        surface.map(str::to_owned),
        session.context.map(|context| format!("context {}% left", context.remaining_percent)),
        session.counting.then(|| "still counting".to_owned()),
        session.lower_bound.then(|| "lower bound: this version does not log all usage".to_owned()),
        session.last_event_at.map(|at| ago(at, now)),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    if !details.is_empty() {
        let _ = writeln!(text, "    {}", details.join(" · "));
    }
    text
}

pub(super) fn triplet(tokens: &Triplet, counting: bool) -> String {
    if *tokens == Triplet::default() {
        return "no figures yet".to_owned();
    }
    format!("{} tokens", figures(tokens, counting, compact).join(" | "))
}

/// The owner of the limits: the home's name, the agent or the family's name, the home if there are several and this one
/// has no name, the plan.
pub(super) fn owner(limits: &LimitsReport, report: &StatusReport) -> String {
    let mut owner = neutralise(limits.name.as_deref().unwrap_or(limits.agent.card_name()));
    if let Some(host) = &limits.host {
        let _ = write!(owner, " on {}", neutralise(host));
    }
    if let Some(name) = &limits.home_name {
        owner = format!("{} · {owner}", neutralise(name));
    }
    let is_other_home = |other: &LimitsReport| {
        (other.agent, &other.host) == (limits.agent, &limits.host) && other.home != limits.home
    };
    if limits.home_name.is_none() && report.limits.iter().any(is_other_home) {
        let _ = write!(owner, " in {}", one_line(&limits.home));
    }
    if let Some(plan) = &limits.plan {
        let _ = write!(owner, " · {}", neutralise(plan));
    }
    owner
}

fn limits_text(limits: &LimitsReport, report: &StatusReport, zone: &TimeZone) -> String {
    let now = report.now;
    let mut owner = owner(limits, report);
    if limits.stale {
        let at = limits.observed_at;
        let _ = write!(owner, " (as of {}, {})", clock(at, now, zone), ago(at, now));
    }
    let mut text = format!("  {owner}\n");
    let windows: Vec<(String, String, String)> = limits
        .windows
        .iter()
        .map(|window| {
            let pace = window.pace.map(|pace| format!("  {}", pace.text(now, zone))).unwrap_or_default();
            (format!("{} limit:", capitalised(&window.label)), window_text(window, now, zone), pace)
        })
        .collect();
    let longest = |part: fn(&(String, String, String)) -> &str| {
        windows.iter().map(|line| part(line).chars().count()).max().unwrap_or_default()
    };
    let (labels, texts) = (longest(|(label, ..)| label), longest(|(_, text, _)| text));
    for (label, windows, pace) in &windows {
        let line = format!("    {label:labels$} {windows:texts$}{pace}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// `[█████████████░░░░░░░] 64% left (resets 14:20)`, in Codex's own form.
fn window_text(window: &WindowView, now: Timestamp, zone: &TimeZone) -> String {
    let Some(left) = window.remaining_percent else { return "has reset since".to_owned() };
    let reset = window.resets_at.map(|at| format!(" (resets {})", clock(at, now, zone))).unwrap_or_default();
    let capped = window.capped_by.as_ref().map(|by| format!(", {by} limit reached")).unwrap_or_default();
    let full = (u16::from(left.min(100)) * SEGMENTS + 50) / 100;
    let bar = "█".repeat(full.into()) + &"░".repeat((SEGMENTS - full).into());
    format!("[{bar}] {left}% left{reset}{capped}")
}

fn links(report: &StatusReport) -> Vec<String> {
    let to_discord = report.daemon.sink.as_deref() == Some("discord");
    // Without an application id Discord is not looked for; that is among the problems.
    let has_id = !report.config.issues.iter().any(|issue| issue.contains("discord.application_id"));
    if report.links.is_empty() && to_discord && has_id {
        return vec!["  none: no running Discord was found\n".to_owned()];
    }
    report.links.iter().map(|link| link_text(link, report.now)).collect()
}

fn remote_text(remote: &RemoteReport, now: Timestamp) -> String {
    let version = remote.version.as_ref().map(|version| format!(" (agent-presence {})", one_line(version)));
    let heard = remote.last_heard_at.map(|at| format!(", heard {}", ago(at, now)));
    let [version, heard] = [version, heard].map(Option::unwrap_or_default);
    let mut text = format!("  {} {}{version}{heard}\n", one_line(&remote.name), remote.state);
    if let Some(error) = &remote.last_error {
        let _ = writeln!(text, "    {}", one_line(error));
    }
    text
}

fn link_text(link: &LinkStatus, now: Timestamp) -> String {
    let confirmed = link.last_ack_at.map(|at| format!(", last card confirmed {}", ago(at, now)));
    let confirmed = confirmed.unwrap_or_default();
    let (client, endpoint) = (one_line(&link.client), one_line(&link.endpoint));
    let mut text = format!("  {client} {}{confirmed} ({endpoint})\n", link.state);
    if let Some(error) = &link.last_error {
        let _ = writeln!(text, "    {}", one_line(error));
    }
    if link.state == LinkState::Rejected {
        let _ = writeln!(text, "    hint: {REJECTED_HINT}");
    }
    text
}
