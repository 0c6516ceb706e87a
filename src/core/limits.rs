//! Remaining limits: windows named by their duration; the newest report of any source counts.
//!
//! Limits belong to an account, not to a session. A [`Snapshot`] is the report of one source, or of all sources
//! together; a [`WindowView`] is the part of it that still holds at a time. No value is shown after its reset, and a
//! missing value is never shown as 0 or 100.
//! Read next: `pace`, how long a window lasts; `word`, the reports of one source; `sources`, the combination of
//! several; `book`, which stores them.

mod book;
mod pace;
mod reports;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::source::Agent;
use crate::time::{Now, later};

pub use book::LimitsBook;
pub use pace::{Pace, Reading};
pub use reports::add_report;

/// How old a snapshot may be before it is marked stale (Codex: `RATE_LIMIT_STALE_THRESHOLD_MINUTES`).
pub const STALE_AFTER: Duration = Duration::from_secs(15 * 60);

/// The name of a limit of credits.
pub(crate) const CREDITS: &str = "credits";

/// The family of an agent whose windows are on the card.
pub fn main_family(agent: Agent) -> &'static str {
    agent.spec().limits.main_family
}

/// One rate-limit window, as an event contains it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Length of the window in minutes; `None` if the event does not contain it.
    pub minutes: Option<u64>,
    /// Consumed share, 0 to 100.
    pub used_percent: f64,
    /// When the window resets; `None` if the event does not contain it.
    pub resets_at: Option<Timestamp>,
    /// Whether it is an amount of credits, which has no length.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credits: bool,
    /// When it was observed, if that is earlier than the rest of the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt_at: Option<Timestamp>,
    /// The first reading of this window, if it is another one than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Reading>,
}

impl Window {
    /// The window's name: that of its duration, or `credits`.
    fn label(&self) -> String {
        if self.credits { CREDITS.to_owned() } else { label(self.minutes) }
    }
}

/// The report of one source, or of all of them together, about one family of limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The agent.
    pub agent: Agent,
    /// The agent's home folder, as configured.
    pub home: Arc<str>,
    /// Limit id: [`main_family`] is the account's, others belong to single models.
    pub family: String,
    /// The family's display name, if there is one.
    pub name: Option<String>,
    /// The account's plan, if it is known.
    pub plan: Option<String>,
    /// When the agent observed it.
    pub observed_at: Timestamp,
    /// The session whose event this was; `None` for the agent's own stored limits.
    pub source_session: Option<String>,
    /// The windows, shortest first.
    pub windows: Vec<Window>,
    /// Since when the source reports the same values, if it has observed them again since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether it was observed at that time, even if the values are the same as before. A mere repetition keeps its
    /// first time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// When the source's own values fell last: earlier reports of other sources are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_at: Option<Timestamp>,
    /// The first of the reports that this one combines, if it combines several. Earlier reports of the source are
    /// compared with that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Box<Self>>,
    /// Whether it comes from a refused request. It holds until the session's model answers again; then the report has
    /// no windows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refusal: bool,
}

impl Snapshot {
    /// Whether the values are so old that their age must be shown.
    pub fn is_stale(&self, now: Now) -> bool {
        now.since(self.observed_at) > STALE_AFTER
    }

    /// When it becomes stale.
    pub fn stale_at(&self) -> Timestamp {
        later(self.observed_at, STALE_AFTER)
    }

    /// When the source observed the values of `window` first.
    fn learnt_at(&self, window: &Window) -> Timestamp {
        window.learnt_at.or(self.since).unwrap_or(self.observed_at)
    }

    /// When the source observed them last.
    fn seen_at(&self, window: &Window) -> Timestamp {
        window.learnt_at.unwrap_or(self.observed_at)
    }

    /// When the values of `window` can no longer be true: at its reset, or if that is not known, one full length
    /// after their observation.
    pub fn expires_at(&self, window: &Window) -> Option<Timestamp> {
        window.resets_at.or_else(|| {
            let minutes = window.minutes?;
            Some(later(self.seen_at(window), Duration::from_secs(minutes.saturating_mul(60))))
        })
    }

    /// The part of it that may still be true; `None` if there is none. A value of an ended window must not win
    /// against one of the next window.
    pub fn current(mut self, now: Now) -> Option<Self> {
        let (ends, windows): (Vec<_>, Vec<_>) =
            self.windows.iter().map(|window| (self.expires_at(window), window.clone())).unzip();
        let current =
            windows.into_iter().zip(ends).filter(|(_, ends)| ends.is_none_or(|ends| ends > now.wall));
        self.windows = current.map(|(window, _)| window).collect();
        (!self.windows.is_empty()).then_some(self)
    }

    /// The windows at `now`, shortest first.
    pub fn views(&self, now: Now) -> Vec<WindowView> {
        let mut views: Vec<WindowView> = self.windows.iter().map(|window| self.view(window, now)).collect();
        let weekly = views.iter().find(|view| view.label == "weekly" && view.remaining_percent == Some(0));
        if let Some(length) = weekly.and_then(|view| view.minutes) {
            for view in &mut views {
                if view.minutes.is_some_and(|minutes| minutes < length) && view.remaining_percent.is_some() {
                    view.remaining_percent = Some(0);
                    view.capped_by = Some("weekly".to_owned());
                    view.pace = None;
                }
            }
        }
        views
    }

    /// The pace of a window; `None` if it is no longer known, or nothing is left.
    fn pace(&self, window: &Window, now: Now) -> Option<Pace> {
        let seen_at = self.seen_at(window);
        let is_fresh = !self.is_stale(now) && now.since(seen_at) <= STALE_AFTER;
        window.pace(seen_at, now.wall).filter(|_| is_fresh && remaining_percent(window.used_percent) > 0)
    }

    /// When windows will be used up by their pace.
    pub fn empty_at(&self, now: Now) -> impl Iterator<Item = Timestamp> {
        self.windows.iter().filter_map(move |window| self.pace(window, now)?.empty_at())
    }

    fn view(&self, window: &Window, now: Now) -> WindowView {
        let reset = self.expires_at(window).is_some_and(|at| at <= now.wall);
        WindowView {
            label: window.label(),
            minutes: window.minutes,
            used_percent: (!reset).then_some(window.used_percent),
            remaining_percent: (!reset).then(|| remaining_percent(window.used_percent)),
            resets_at: window.resets_at,
            state: if reset { WindowState::Reset } else { WindowState::Current },
            capped_by: None,
            pace: self.pace(window, now).filter(|_| !reset),
        }
    }
}

/// One window at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowView {
    /// `5h`, `daily`, `weekly`, `monthly`, `annual`, its length, or `credits`.
    pub label: String,
    /// Length in minutes.
    pub minutes: Option<u64>,
    /// Consumed share; `None` after the reset.
    pub used_percent: Option<f64>,
    /// What is left; `None` after the reset.
    pub remaining_percent: Option<u8>,
    /// When the window resets.
    pub resets_at: Option<Timestamp>,
    /// Whether the values still hold.
    pub state: WindowState,
    /// The window whose exhaustion leaves nothing of this one.
    pub capped_by: Option<String>,
    /// Whether it lasts until its reset, at the speed of its use so far.
    #[serde(default)]
    pub pace: Option<Pace>,
}

/// Whether a window's values still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowState {
    /// They hold.
    Current,
    /// The window has reset since.
    Reset,
}

/// The level of a window by its remaining share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// More than 60 %.
    Good,
    /// More than 30 %.
    Fair,
    /// More than 10 %.
    Low,
    /// Less.
    Critical,
}

impl Standing {
    /// The level for a remaining share.
    pub fn of(remaining_percent: u8) -> Self {
        match remaining_percent {
            61.. => Self::Good,
            31..=60 => Self::Fair,
            11..=30 => Self::Low,
            ..=10 => Self::Critical,
        }
    }
}

/// What is left of a window, rounded as Codex rounds: `100 - round(used)`.
pub fn remaining_percent(used_percent: f64) -> u8 {
    let used = if used_percent.is_finite() { used_percent.clamp(0.0, 100.0).round() } else { 100.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and 100")]
    let used = used as u8;
    100_u8.saturating_sub(used)
}

/// A window's name by its duration (Codex: within 5 %), never by the slot it was found in.
pub fn label(minutes: Option<u64>) -> String {
    let Some(minutes) = minutes else { return "usage".to_owned() };
    let named = [(300, "5h"), (1_440, "daily"), (10_080, "weekly"), (43_200, "monthly"), (525_600, "annual")];
    let near = |length: u64| minutes.abs_diff(length).saturating_mul(20) <= length;
    if let Some((_, name)) = named.iter().find(|(length, _)| near(*length)) {
        return (*name).to_owned();
    }
    match minutes {
        m if m % 1_440 == 0 => format!("{}d", m / 1_440),
        m if m % 60 == 0 => format!("{}h", m / 60),
        m => format!("{m}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn now(seconds: i64) -> Now {
        Now { mono: Duration::ZERO, wall: Timestamp::from_second(seconds).unwrap() }
    }

    pub(super) fn snapshot(observed: i64, windows: &[(u64, f64, Option<i64>)]) -> Snapshot {
        let window = |(minutes, used_percent, resets): &(u64, f64, Option<i64>)| Window {
            minutes: Some(*minutes),
            used_percent: *used_percent,
            resets_at: resets.map(|resets| Timestamp::from_second(resets).unwrap()),
            ..Window::default()
        };
        Snapshot {
            agent: Agent::CODEX,
            home: "home".into(),
            family: main_family(Agent::CODEX).to_owned(),
            name: None,
            plan: None,
            observed_at: Timestamp::from_second(observed).unwrap(),
            source_session: None,
            windows: windows.iter().map(window).collect(),
            since: None,
            fresh: false,
            fell_at: None,
            first: None,
            refusal: false,
        }
    }

    fn remaining(snapshot: &Snapshot, now: i64) -> Vec<(String, Option<u8>)> {
        snapshot.views(self::now(now)).into_iter().map(|view| (view.label, view.remaining_percent)).collect()
    }

    #[test]
    fn remaining_rounds_as_codex_does() {
        let cases =
            [(0.0, 100), (0.4, 100), (0.5, 99), (36.0, 64), (99.4, 1), (99.5, 0), (120.0, 0), (-3.0, 100)];
        for (used, expected) in cases {
            assert_eq!(remaining_percent(used), expected, "{used}");
        }
    }

    #[test]
    fn windows_are_named_by_duration() {
        let cases = [
            (299, "5h"),
            (300, "5h"),
            (315, "5h"),
            (316, "316m"),
            (1_440, "daily"),
            (10_079, "weekly"),
            (43_200, "monthly"),
            (525_600, "annual"),
            (120, "2h"),
            (4_320, "3d"),
        ];
        for (minutes, expected) in cases {
            assert_eq!(label(Some(minutes)), expected, "{minutes}");
        }
    }

    #[test]
    fn a_window_disappears_at_its_reset() {
        let snapshot = snapshot(1_000, &[(300, 36.0, Some(2_000)), (10_080, 53.0, Some(9_000))]);
        assert_eq!(
            remaining(&snapshot, 1_999),
            [("5h".to_owned(), Some(64)), ("weekly".to_owned(), Some(47))]
        );
        assert_eq!(remaining(&snapshot, 2_000), [("5h".to_owned(), None), ("weekly".to_owned(), Some(47))]);
    }

    #[test]
    fn a_window_without_a_reset_time_ends_one_length_after_it_was_observed() {
        let snapshot = snapshot(1_000, &[(299, 10.0, None)]);
        assert_eq!(remaining(&snapshot, 1_000 + 299 * 60 - 1), [("5h".to_owned(), Some(90))]);
        assert_eq!(remaining(&snapshot, 1_000 + 299 * 60), [("5h".to_owned(), None)]);
    }

    #[test]
    fn an_exhausted_week_caps_the_shorter_windows() {
        let snapshot = snapshot(0, &[(300, 10.0, Some(50)), (10_080, 100.0, Some(90))]);
        let views = snapshot.views(now(1));
        assert_eq!((views[0].remaining_percent, views[0].capped_by.as_deref()), (Some(0), Some("weekly")));
        assert_eq!((views[1].remaining_percent, views[1].capped_by.as_deref()), (Some(0), None));
        assert_eq!(remaining(&snapshot, 60), [("5h".to_owned(), None), ("weekly".to_owned(), Some(0))]);
    }
}
