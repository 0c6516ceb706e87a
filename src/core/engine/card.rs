//! Which card is wanted now, and when that changes by itself.
//!
//! Decides and tells nothing; [`super::Engine::handle`] does with the answers what is to be done.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, UNTIL_RESUMED};
use crate::core::card::{Card, CardFacts, CardWindow};
use crate::core::limits::WindowView;
use crate::core::privacy::Allowed;
use crate::core::session::Session;
use crate::core::settings::Settings;
use crate::core::time::Now;

/// Everything that a card depends on.
#[derive(Debug, PartialEq)]
pub(super) struct Basis {
    facts: CardFacts,
    allowed: Allowed,
    settings: Arc<Settings>,
    /// Times of other days than this one are shown with theirs.
    day: jiff::civil::Date,
}

impl Engine {
    pub(super) fn choose(&mut self, now: Now) -> Option<Arc<Card>> {
        let settings = Arc::clone(&self.settings);
        let mut roster = std::mem::take(&mut self.roster);
        let may_show = |session: &Session| self.allows(session).is_some();
        let chosen = roster.choose(now, &self.sessions(), may_show, settings.card.idle_after);
        let from = chosen.and_then(|session| Some((self.facts(session, now), self.allows(session)?)));
        self.roster = roster;
        let (facts, allowed) = from?;
        let basis = Basis { facts, allowed, settings, day: now.wall.to_zoned(self.zone.clone()).date() };
        if let Some((known, card)) = &self.built
            && *known == basis
        {
            return card.clone();
        }
        let card = Card::build(&basis.facts, &basis.settings, basis.allowed, &self.zone, now).map(Arc::new);
        self.built = Some((basis, card.clone()));
        card
    }

    fn facts(&self, session: &Session, now: Now) -> CardFacts {
        let settings = &self.settings;
        let doing = session.doing(now.wall, settings.card.idle_after);
        let limits = self.limits.main(session.agent, &session.home);
        let window = |view: WindowView| {
            let remaining_percent = view.remaining_percent?;
            Some(CardWindow { label: view.label, remaining_percent, resets_at: view.resets_at })
        };
        CardFacts {
            agent: session.agent,
            session: session.id.clone(),
            activity: doing.activity,
            file: doing.file,
            project: session.project().map(str::to_owned),
            branch: session.branch.clone(),
            model: session.model.clone(),
            effort: session.effort.clone(),
            triplet: session.usage.triplet(settings.tokens.count),
            counting: session.counting,
            total: session.usage.session_total_tokens,
            context_remaining_percent: session.context.map(|context| context.remaining_percent),
            windows: limits
                .map(|limits| limits.views(now).into_iter().filter_map(window).collect())
                .unwrap_or_default(),
            limits_as_of: limits.filter(|limits| limits.is_stale(now)).map(|limits| limits.observed_at),
            started_at: session.timer_from.or(session.started_at).unwrap_or(now.wall),
        }
    }

    pub(super) fn next_deadline(&self, now: Now) -> Option<(Duration, &'static str)> {
        let idle_after = self.settings.card.idle_after;
        let sessions = self
            .files
            .values()
            .filter_map(|known| known.session.next_change(now.wall, idle_after))
            .map(|at| (at, "activity"));
        let limits = self.limits.iter().flat_map(|snapshot| {
            let resets = snapshot.windows.iter().filter_map(|window| snapshot.expires_at(window));
            resets.map(|at| (at, "limit reset")).chain([(snapshot.stale_at(), "limits stale")])
        });
        // Limits without a session in sight change nothing that anybody sees.
        let limits = limits.filter(|_| self.wished.is_some());
        let by_wall = sessions.chain(limits).filter_map(|(at, why)| {
            // Stale begins just after its threshold; a millisecond later nothing is missed.
            Some((now.mono_at(at)?.saturating_add(Duration::from_millis(1)), why))
        });
        let patience =
            self.roster.deadline().filter(|at| *at > now.mono).map(|at| (at, "another session waits"));
        let pause = self.paused_until.filter(|until| *until != UNTIL_RESUMED);
        let pause = pause.and_then(|until| Some((now.mono_at(until)?, "the pause ends")));
        by_wall.chain(patience).chain(pause).min_by_key(|(at, _)| *at)
    }
}
