//! The line for a status bar, in each bar's format.
//!
//! Read next: [`crate::core::bar`], the content.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::short_id;
use super::status::{owner, triplet};
use crate::core::bar::{Bar, Class};
use crate::core::limits::WindowView;
use crate::core::names::{neutralise, visible};
use crate::core::report::{LimitsReport, SessionReport, StatusReport};
use crate::core::source::Agent;
use crate::core::template::Template;
use crate::core::time::clock;
use crate::core::usage::Triplet;

/// How many sessions a tooltip lists; of the others it has the number.
const SESSIONS: usize = 8;

/// The colours of low limits, in the form that i3bar and tmux both read.
const LOW: &str = "#e5a50a";
const CRITICAL: &str = "#e01b24";

/// The format that a bar reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarForm {
    /// The line alone.
    Plain,
    /// A JSON object as Waybar's custom modules read it.
    Waybar,
    /// A JSON object of the i3bar protocol, as i3blocks reads it.
    I3blocks,
    /// The line in tmux's format language.
    Tmux,
    /// A JSON object with all fields.
    Json,
}

/// The user's choices for the line.
#[derive(Debug, Clone)]
pub struct BarLook {
    /// The format.
    pub form: BarForm,
    /// The template of the line.
    pub template: Template,
    /// The only agent to show; `None` for all.
    pub agent: Option<Agent>,
    /// Whether low limits are coloured.
    pub colour: bool,
}

#[derive(Serialize)]
struct Waybar {
    text: String,
    tooltip: String,
    class: Vec<Class>,
    percentage: Option<u8>,
}

#[derive(Serialize)]
struct I3blocks {
    full_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'static str>,
}

#[derive(Serialize)]
struct Whole<'a> {
    schema: u32,
    text: String,
    tooltip: String,
    class: Vec<Class>,
    percentage: Option<u8>,
    agent: Option<Agent>,
    session: Option<&'a str>,
    activity: Option<&'static str>,
    tokens: Option<Triplet>,
    limits: Option<&'a LimitsReport>,
}

/// The line, with its line break. It does not change with time alone.
pub fn bar(report: &StatusReport, look: &BarLook, zone: &TimeZone) -> String {
    let bar = Bar::new(report, &look.template, look.agent, zone, |value| look.form.escaped(value));
    let colour = colour(&bar.class).filter(|_| look.colour);
    let tooltip = || tooltip(report, look.agent, zone);
    let line = match look.form {
        BarForm::Plain => bar.text,
        BarForm::Tmux => match colour.filter(|_| !bar.text.is_empty()) {
            Some(colour) => format!("#[fg={colour}]{}#[default]", bar.text),
            None => bar.text,
        },
        BarForm::Waybar => json(&Waybar {
            text: bar.text,
            tooltip: look.form.escaped(&tooltip()),
            class: bar.class,
            percentage: bar.percentage,
        }),
        BarForm::I3blocks => json(&I3blocks { full_text: bar.text, color: colour }),
        BarForm::Json => json(&Whole {
            schema: 1,
            text: bar.text,
            tooltip: tooltip(),
            class: bar.class,
            percentage: bar.percentage,
            agent: bar.agent,
            session: bar.session.map(|session| session.id.as_str()),
            activity: bar.session.map(|session| session.activity.word()),
            tokens: bar.session.map(|session| session.tokens),
            limits: bar.limits,
        }),
    };
    line + "\n"
}

fn json(value: &impl Serialize) -> String {
    // Serialising plain data cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

impl BarForm {
    /// The value, escaped for the bar's language.
    fn escaped(self, value: &str) -> String {
        match self {
            Self::Plain | Self::I3blocks | Self::Json => value.to_owned(),
            // Pango's markup.
            Self::Waybar => value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Self::Tmux => value.replace('#', "##"),
        }
    }
}

fn colour(class: &[Class]) -> Option<&'static str> {
    match class.first()? {
        Class::Low => Some(LOW),
        Class::Critical => Some(CRITICAL),
        _ => None,
    }
}

/// All limits and the newest sessions. Times are clock times, which do not change by themselves.
fn tooltip(report: &StatusReport, only: Option<Agent>, zone: &TimeZone) -> String {
    let is_meant = |agent: Agent| only.is_none_or(|only| only == agent);
    let mut parts = Vec::new();
    for limits in report.limits.iter().filter(|limits| is_meant(limits.agent)) {
        let mut text = owner(limits, report);
        if limits.stale {
            let _ = write!(text, " (as of {})", clock(limits.observed_at, report.now, zone));
        }
        for window in &limits.windows {
            let _ = write!(text, "\n{}", window_text(window, report, zone));
        }
        parts.push(text);
    }
    let sessions = || report.sessions.iter().filter(|session| is_meant(session.agent));
    let mut lines: Vec<String> = sessions().take(SESSIONS).map(session_text).collect();
    let more = sessions().count().saturating_sub(SESSIONS);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    parts.push(lines.join("\n"));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn window_text(window: &WindowView, report: &StatusReport, zone: &TimeZone) -> String {
    let label = visible(&window.label);
    let Some(left) = window.remaining_percent else { return format!("{label}: has reset since") };
    let resets = window.resets_at.map(|at| format!(", resets {}", clock(at, report.now, zone)));
    let pace = window.pace.map(|pace| format!(", {}", pace.text(report.now, zone)));
    format!("{label}: {left}% left{}{}", resets.unwrap_or_default(), pace.unwrap_or_default())
}

fn session_text(session: &SessionReport) -> String {
    let mark = if session.shown { "* " } else { "" };
    let mut text = format!(
        "{mark}{} {} {} {}",
        session.agent.word(),
        short_id(&session.id),
        session.activity.word().replace('_', " "),
        triplet(&session.tokens, session.counting)
    );
    for name in [&session.model, &session.project].into_iter().flatten() {
        let _ = write!(text, " · {}", neutralise(name));
    }
    text
}
