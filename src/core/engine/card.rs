//! The wanted card, and when it changes without an event.
//!
//! It emits nothing; [`super::Engine::handle`] acts on the results.

use std::sync::Arc;
use std::time::Duration;

use super::awake::by_key;
use super::{Engine, UNTIL_RESUMED};
use crate::card::{Card, CardFacts, CardWindow};
use crate::privacy::Allowed;
use crate::session::Session;
use crate::settings::Settings;
use crate::time::Now;
use crate::timer::Timer;

/// For so long a session that rests waits for the others to be read.
const READING: Duration = Duration::from_millis(200);

/// All inputs of a card.
#[derive(Debug)]
pub(super) struct CardInputs {
    facts: CardFacts,
    allowed: Allowed,
    settings: Arc<Settings>,
    /// Times of other days are shown with their date.
    day: jiff::civil::Date,
}

impl PartialEq for CardInputs {
    fn eq(&self, other: &Self) -> bool {
        // A comparison of all settings costs more than the rest, and they change only when they are read again.
        Arc::ptr_eq(&self.settings, &other.settings)
            && (&self.facts, self.allowed, self.day) == (&other.facts, other.allowed, other.day)
    }
}

impl Engine {
    /// Session files are going to be read, those that changed last first. Until all of them are, a session that rests does
    /// not get the first card: one that has not been read yet may be at work.
    pub fn await_reading(&mut self, now: Now) {
        self.reads_until = Some(now.mono.saturating_add(READING));
    }

    pub(super) fn choose(&mut self, now: Now) -> Option<Arc<Card>> {
        let settings = Arc::clone(&self.settings);
        let is_reading = self.wished.is_none() && self.reads_until.is_some_and(|until| now.mono < until);
        let mut roster = std::mem::take(&mut self.roster);
        let may_show = |session: &Session| self.allows(session).is_some();
        let chosen = roster.choose(now, &by_key(self.awake()), may_show, settings.card.idle_after);
        let chosen = chosen.filter(|session| !is_reading || session.is_at_work(now.wall));
        let from = chosen.and_then(|session| Some((self.facts(session, now), self.allows(session)?)));
        self.roster = roster;
        let (facts, allowed) = from?;
        let basis = CardInputs { facts, allowed, settings, day: now.wall.to_zoned(self.zone.clone()).date() };
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
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        CardFacts {
            agent: session.agent,
            session: session.id.clone(),
            activity: doing.activity,
            file: doing.file,
            project: session.project().map(str::to_owned),
            branch: text(&session.branch),
            model: text(&session.model.name),
            effort: text(&session.model.effort),
            home: settings.sources.name_of(session.agent, &session.home).map(str::to_owned),
            triplet: session.usage.triplet(settings.tokens.count),
            counting: session.counting,
            total: session.usage.session_total_tokens,
            context_remaining_percent: session.context.map(|context| context.remaining_percent),
            windows: limits
                .map(|limits| limits.views(now).iter().filter_map(CardWindow::of).collect())
                .unwrap_or_default(),
            limits_as_of: limits.filter(|limits| limits.is_stale(now)).map(|limits| limits.observed_at),
            started_at: session.timer_from.or(session.started_at).map_or(now.wall, |from| from.min(now.wall)),
        }
    }

    pub(super) fn set_timers(&mut self, now: Now) {
        let idle_after = self.settings.card.idle_after;
        // Changes at a calendar time begin just after it; a delay of one millisecond is safe.
        let just_after = |at| Some(now.mono_at(at)?.saturating_add(Duration::from_millis(1)));
        let activity = self.awake().filter_map(|session| session.next_change(now.wall, idle_after));
        let activity = activity.filter_map(just_after).min();
        // Limits without a shown session change nothing that is visible.
        let limits = || self.limits.iter().filter(|_| self.wished.is_some());
        let resets =
            limits().flat_map(|limits| limits.windows.iter().filter_map(|one| limits.expires_at(one)));
        let resets = resets.filter_map(just_after).min();
        let stale = limits().filter_map(|limits| just_after(limits.stale_at())).min();
        let empty = limits().flat_map(|limits| limits.empty_at(now)).filter_map(just_after).min();
        let pause = self.paused_until.filter(|until| *until != UNTIL_RESUMED);
        let reading = self.reads_until.filter(|_| self.wished.is_none());
        let turn = [self.roster.deadline(), reading].into_iter().flatten().filter(|at| *at > now.mono).min();
        self.timers.set(Timer::Activity, activity);
        self.timers.set(Timer::LimitReset, resets);
        self.timers.set(Timer::LimitsStale, stale);
        self.timers.set(Timer::LimitEmpty, empty);
        self.timers.set(Timer::CardSwitch, turn);
        self.timers.set(Timer::Settings, self.in_force.deadline());
        self.timers.set(Timer::Pause, pause.and_then(|until| now.mono_at(until)));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::{TimeZone, offset};

    use super::*;
    use crate::engine::Input;
    use crate::file::SessionFile;
    use crate::limits::Pace;
    use crate::publish::Publisher;
    use crate::source::Agent;
    use crate::source_event::{FileId, SourceEvent};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_763_632_800 + second).unwrap()
    }

    fn now(mono: u64, wall: i64) -> Now {
        Now { mono: Duration::from_secs(mono), wall: at(wall) }
    }

    /// An engine with one session that began at second 0 and continues.
    struct Bench {
        engine: Engine,
        file: SessionFile,
    }

    impl Bench {
        fn new() -> Self {
            let settings = Settings::default();
            let publisher = Publisher::new(0, &settings);
            let file = SessionFile::new(Agent::CODEX, Arc::from("/home"), at(-60));
            let mut bench = Self { engine: Engine::new(settings, TimeZone::UTC, publisher), file };
            let meta = format!(r#"{{"id":"s","timestamp":"{}","cwd":"/app","source":"cli"}}"#, at(0));
            bench.line(now(0, 0), 0, "session_meta", &meta);
            bench
        }

        fn line(&mut self, now: Now, stamp: i64, kind: &str, payload: &str) {
            let line =
                format!("{{\"timestamp\":\"{}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n", at(stamp));
            self.file.push(line.as_bytes());
            self.file.caught_up();
            let update = Box::new(self.file.take_update().unwrap());
            let file = FileId::new(1);
            self.engine.handle(now, Input::Source(SourceEvent::Updated { file, update, read: None }));
        }

        /// A turn begins, which shows a card.
        fn turn(&mut self, now: Now, stamp: i64) -> Timestamp {
            self.line(now, stamp, "event_msg", r#"{"type":"task_started","turn_id":"t"}"#);
            self.started_at()
        }

        fn started_at(&self) -> Timestamp {
            self.engine.card().unwrap().started_at()
        }
    }

    #[test]
    fn a_card_timer_never_starts_in_the_future_after_the_clock_was_set_back() {
        let mut bench = Bench::new();
        assert_eq!(bench.turn(now(10, 10), 10), at(0));
        bench.engine.handle(now(11, -3600), Input::Woke);
        assert_eq!(bench.started_at(), at(-3600), "from when it was noticed");
        assert_eq!(bench.turn(now(20, -3591), -3591), at(-3600), "and it stays so");
        bench.engine.handle(now(30, -7200), Input::Woke);
        assert_eq!(bench.started_at(), at(-7200), "once more");
        assert_eq!(bench.turn(now(40, -7190), -7190), at(-7200));
        // The clock is right again, and the start is no longer in the future.
        assert_eq!(bench.turn(now(50, 50), 50), at(-7200));
    }

    #[test]
    fn a_session_that_rests_gets_the_first_card_only_when_the_others_have_been_read() {
        let now = |mono| Now { mono: Duration::from_millis(mono), wall: at(10) };
        let line = |kind: &str, payload: &str| {
            format!("{{\"timestamp\":\"{}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n", at(10))
        };
        let read = |engine: &mut Engine, mono: u64, id: &str, does: &str| {
            let meta = format!(r#"{{"id":"{id}","timestamp":"{}","cwd":"/app","source":"cli"}}"#, at(0));
            let does = format!(r#"{{"type":"{does}","turn_id":"t"}}"#);
            let mut file = SessionFile::new(Agent::CODEX, Arc::from("/home"), at(-60));
            file.push((line("session_meta", &meta) + &line("event_msg", &does)).as_bytes());
            file.caught_up();
            let (file, update) = (FileId::new(mono), Box::new(file.take_update().unwrap()));
            engine.handle(now(mono), Input::Source(SourceEvent::Updated { file, update, read: None }));
        };
        let card = |engine: &Engine| engine.card().map(|card| card.session().to_owned());
        let start = || {
            let mut engine = Bench::new().engine;
            engine.handle(now(0), Input::SourcesLost);
            read(&mut engine, 1, "resting", "task_complete");
            assert_eq!(card(&engine), None);
            engine
        };
        let mut engine = start();
        read(&mut engine, 2, "at work", "task_started");
        assert_eq!(card(&engine).as_deref(), Some("at work"));
        engine.handle(now(3), Input::Source(SourceEvent::CaughtUp));
        assert_eq!(card(&engine).as_deref(), Some("at work"));

        let mut engine = start();
        engine.handle(now(2), Input::Source(SourceEvent::CaughtUp));
        assert_eq!(card(&engine).as_deref(), Some("resting"), "there is no other one");

        let mut engine = start();
        assert_eq!(engine.poll_deadline(), Some((READING, Timer::CardSwitch)));
        engine.handle(now(200), Input::Tick);
        assert_eq!(card(&engine).as_deref(), Some("resting"), "the others take too long");
    }

    fn limits(resets: i64) -> String {
        let resets = at(resets).as_second();
        format!(
            r#"{{"type":"token_count","info":null,"rate_limits":{{"primary":{{"used_percent":36.0,"window_minutes":300,"resets_at":{resets}}}}}}}"#
        )
    }

    #[test]
    fn a_reset_has_a_deadline_only_with_a_card() {
        let mut bench = Bench::new();
        bench.line(now(5, 5), 5, "event_msg", &limits(100));
        bench.turn(now(10, 10), 10);
        let reset = Some((Duration::from_millis(100_001), Timer::LimitReset));
        assert_eq!(bench.engine.poll_deadline(), reset);
        bench.engine.handle(now(11, 11), Input::Pause(UNTIL_RESUMED));
        assert_ne!(bench.engine.poll_deadline(), reset, "no card shows it");
        bench.engine.handle(now(12, 12), Input::Resume);
        assert_eq!(bench.engine.poll_deadline(), reset);
    }

    #[test]
    fn a_pace_ends_when_its_time_has_come() {
        let mut bench = Bench::new();
        bench.line(now(5, 5), 5, "event_msg", &limits(18_000).replace("36.0", "6.0"));
        bench.turn(now(10, 10), 10);
        bench.line(now(1_205, 1_205), 1_205, "event_msg", &limits(18_000).replace("36.0", "96.0"));
        let due = bench.engine.poll_deadline();
        // 90 points in 20 minutes: 4 more in 53 seconds.
        assert_eq!(due, Some((Duration::from_millis(1_258_001), Timer::LimitEmpty)));
        let pace = |bench: &Bench, second| bench.engine.limits_report(now(1_205, second))[0].windows[0].pace;
        assert_eq!(pace(&bench, 1_257).and_then(Pace::empty_at), Some(at(1_258)));
        assert_eq!(pace(&bench, 1_258), None);
    }

    #[test]
    fn a_card_follows_the_zone() {
        let mut bench = Bench::new();
        bench.line(now(5, 5), 5, "event_msg", &limits(3600));
        bench.turn(now(10, 10), 10);
        let hover = |bench: &Bench| bench.engine.card().unwrap().large_text().unwrap().to_owned();
        assert!(hover(&bench).contains("5h resets 11:00"), "{}", hover(&bench));
        bench.engine.handle(now(11, 11), Input::Zone(TimeZone::fixed(offset(9))));
        assert!(hover(&bench).contains("5h resets 20:00"), "{}", hover(&bench));
    }
}
