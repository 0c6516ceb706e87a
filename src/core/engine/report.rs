//! What the engine says of its state as a whole: the status report, and what a new listener is told first.

use super::Engine;
use crate::core::activity::Activity;
use crate::core::report::{
    CardReport, ConfigReport, DaemonReport, Event, EventKind, StatusReport, UsageReport,
};
use crate::core::session::UsageEvent;
use crate::core::time::Now;

impl Engine {
    /// The status report; what the engine cannot know is handed in.
    pub fn status(&self, now: Now, daemon: DaemonReport, config: ConfigReport) -> StatusReport {
        let ConfigReport { path, mut issues } = config;
        issues.extend(self.problems().map(str::to_owned));
        StatusReport {
            schema: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: now.wall,
            daemon,
            card: self.card().map(|card| CardReport::from(card.as_ref())),
            sessions: self.sessions_report(now),
            limits: self.limits_report(now),
            links: self.links(now),
            config: ConfigReport { path, issues },
            skipped: self.skipped(),
        }
    }

    /// The figures of every live session, as restored usage, for one who begins to listen.
    pub fn restored(&self, now: Now) -> Vec<Event> {
        let settings = self.settings();
        let live = self.sessions().into_iter().filter(|session| {
            session.usage.session_total_tokens.is_some()
                && session.doing(now.wall, settings.card.idle_after).activity != Activity::Idle
        });
        let usage = live.map(|session| {
            let at = session.last_token_event_at.unwrap_or(now.wall);
            let event = UsageEvent { at, turn: session.turn.clone(), usage: session.usage, added: None };
            UsageReport::new(session, &event, settings.tokens.count)
        });
        usage.map(|usage| Event { at: now.wall, kind: EventKind::Usage(usage) }).collect()
    }
}
