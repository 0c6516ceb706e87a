//! One line for a status bar: a template's words, filled from a status report, and its state as words for styles.
//!
//! A bar is on the user's own screen, so it shows every name that its template contains; only the current file
//! follows the card's rules. It shows limits also if no session is at work: those of the session that was at work
//! last.
//! Read next: [`crate::values`] for the values of the words; `cmd::show::bar` for the output of each
//! kind of bar.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::activity::Activity;
use crate::card::{CardFacts, CardWindow};
use crate::fit::Level;
use crate::limits::{Standing, main_family};
use crate::names::{neutralise, visible};
use crate::privacy::Allowed;
use crate::report::{LimitsReport, SessionReport, StatusReport};
use crate::source::Agent;
use crate::template::{Template, Word};
use crate::usage::Triplet;
use crate::values::{Names, Values};

/// What a bar shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar<'a> {
    /// The line, which may be empty.
    pub text: String,
    /// The state of the limits, the work, the limits' age and the daemon.
    pub class: Vec<Class>,
    /// The smallest remaining share of the limits that are shown.
    pub percentage: Option<u8>,
    /// The agent of the session or the limits; `None` if nothing is known.
    pub agent: Option<Agent>,
    /// The session that is at work.
    pub session: Option<&'a SessionReport>,
    /// The limits shown.
    pub limits: Option<&'a LimitsReport>,
}

/// A word for styles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// More than 60 % is left of every limit shown.
    Good,
    /// More than 30 %.
    Fair,
    /// More than 10 %.
    Low,
    /// Less.
    Critical,
    /// A session awaits the user.
    Waiting,
    /// A session is at work.
    Active,
    /// No session is at work.
    Idle,
    /// The limits were observed more than 15 minutes ago.
    Stale,
    /// Friends see no card: no daemon runs, or it is paused.
    Off,
}

impl From<Standing> for Class {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Good => Self::Good,
            Standing::Fair => Self::Fair,
            Standing::Low => Self::Low,
            Standing::Critical => Self::Critical,
        }
    }
}

impl<'a> Bar<'a> {
    /// `template` filled from `report`, of one agent if `agent` is given. `escape` makes a value harmless in the
    /// bar's own markup; the user's text around the values is markup already.
    pub fn new(
        report: &'a StatusReport,
        template: &Template,
        only: Option<Agent>,
        zone: &TimeZone,
        escape: impl Fn(&str) -> String,
    ) -> Self {
        let is_meant = |agent: Agent| only.is_none_or(|only| only == agent);
        let mut candidates =
            report.sessions.iter().filter(|session| is_meant(session.agent) && session.visible);
        let last = candidates.clone().next();
        let session = candidates.clone().find(|session| session.shown);
        let session = session.or_else(|| candidates.find(|session| session.activity != Activity::Idle));
        let mains = || report.limits.iter().filter(|limits| limits.family == main_family(limits.agent));
        let of_session = |session: &SessionReport| {
            // Homes of two machines may have one path.
            let place = (session.agent, session.host.as_deref(), &session.home);
            mains().find(|limits| (limits.agent, limits.host.as_deref(), &limits.home) == place)
        };
        let freshest =
            || mains().filter(|limits| is_meant(limits.agent)).max_by_key(|limits| limits.observed_at);
        let limits = match session {
            Some(session) => of_session(session),
            None => last.and_then(of_session).or_else(freshest),
        };
        let agent = session.map(|session| session.agent).or(limits.map(|limits| limits.agent));
        let agent = agent.or(last.map(|session| session.agent));
        let windows = windows(limits);
        let percentage = windows.iter().map(|window| window.remaining_percent).min();
        let work = match session.map(|session| session.activity) {
            None => Class::Idle,
            Some(Activity::Waiting | Activity::LimitReached) => Class::Waiting,
            Some(_) => Class::Active,
        };
        let is_stale = percentage.is_some() && limits.is_some_and(|limits| limits.stale);
        let is_off = report.daemon.state != "running" || report.daemon.paused_until.is_some();
        let class = [
            percentage.map(|left| Standing::of(left).into()),
            Some(work),
            is_stale.then_some(Class::Stale),
            is_off.then_some(Class::Off),
        ];
        let text = agent.map(|agent| facts(agent, session, limits, windows, report.now)).map(|facts| {
            let uses = |word| template.uses(word);
            // `{activity}` contains neither: a bar has no room for what its template does not name.
            let allowed =
                Allowed { project: uses(Word::Project), branch: uses(Word::Branch), file: uses(Word::File) };
            let names = Names::new(&facts, allowed, [template, template]);
            let values = Values { facts: &facts, names: &names, zone, now: report.now };
            // The home's name precedes its limits, unless the template has a word for it.
            let owner = facts.home.as_deref().map(neutralise).filter(|_| !uses(Word::Home));
            template.render(|word| {
                let is_known = session.is_some() || word != Word::Activity;
                let value = values.of(word, Level::Full).filter(|_| is_known)?;
                let value = match (&owner, word) {
                    (Some(owner), Word::Limits) => format!("{owner} {value}"),
                    _ => value,
                };
                Some(escape(&visible(&value)))
            })
        });
        Self {
            text: text.unwrap_or_default().replace(['\n', '\r'], " "),
            class: class.into_iter().flatten().collect(),
            percentage,
            agent,
            session,
            limits,
        }
    }
}

fn windows(limits: Option<&LimitsReport>) -> Vec<CardWindow> {
    let windows = limits.into_iter().flat_map(|limits| &limits.windows);
    windows.filter_map(CardWindow::of).collect()
}

/// The facts to show: of the session at work, or of the limits alone.
fn facts(
    agent: Agent,
    session: Option<&SessionReport>,
    limits: Option<&LimitsReport>,
    windows: Vec<CardWindow>,
    now: Timestamp,
) -> CardFacts {
    let text =
        |field: fn(&SessionReport) -> &Option<String>| session.and_then(|session| field(session).clone());
    CardFacts {
        agent,
        session: session.map(|session| session.id.clone()).unwrap_or_default(),
        activity: session.map_or(Activity::Idle, |session| session.activity),
        file: text(|session| &session.file),
        project: text(|session| &session.project),
        branch: text(|session| &session.branch),
        model: text(|session| &session.model),
        effort: text(|session| &session.effort),
        home: limits
            .and_then(|limits| limits.home_name.clone())
            .or_else(|| text(|session| &session.home_name)),
        triplet: session.map_or(Triplet::default(), |session| session.tokens),
        counting: session.is_some_and(|session| session.counting),
        total: session.and_then(|session| session.usage.session_total_tokens),
        context_remaining_percent: session.and_then(|session| Some(session.context?.remaining_percent)),
        windows,
        limits_as_of: limits.filter(|limits| limits.stale).map(|limits| limits.observed_at),
        started_at: now,
    }
}
