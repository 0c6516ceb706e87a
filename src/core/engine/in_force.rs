//! The settings in force: the newest, combined for a while with those that they replaced, as far as these show less.
//!
//! While a settings file is rewritten it may be empty, incomplete or gone for a moment. Settings that show less are
//! in force at once; those that show more are in force after [`LOOSER_AFTER`] without a change.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Output};
use crate::settings::{Privacy, Settings};
use crate::time::Now;

/// How long replaced settings stay in force as far as they show less.
pub const LOOSER_AFTER: Duration = Duration::from_secs(10);

/// With more changes within that time, the oldest ones are combined.
const REPLACED: usize = 8;

/// The newest settings and those that they replaced recently.
#[derive(Debug)]
pub(super) struct InForce {
    newest: Arc<Settings>,
    /// How long each is in force as far as it shows less, oldest first.
    replaced: Vec<(Duration, Arc<Settings>)>,
}

impl InForce {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { newest: settings, replaced: Vec::new() }
    }

    fn replace(&mut self, now: Now, newest: Settings) {
        let before = std::mem::replace(&mut self.newest, Arc::new(newest));
        self.obey(now, before);
    }

    fn obey(&mut self, now: Now, before: Arc<Settings>) {
        let until = now.mono.saturating_add(LOOSER_AFTER);
        self.replaced.retain(|(_, settings)| *settings != before);
        self.replaced.push((until, before));
        self.replaced.retain(|(_, settings)| self.newest.show_more_than(settings));
        if self.replaced.len() > REPLACED {
            // The oldest stays in force longer, because ending it early could show more.
            let (until, _) = self.replaced.remove(1);
            if let Some((oldest, _)) = self.replaced.first_mut() {
                *oldest = until;
            }
        }
    }

    fn expire(&mut self, now: Now) -> bool {
        let before = self.replaced.len();
        self.replaced.retain(|(until, _)| *until > now.mono);
        self.replaced.len() < before
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.replaced.iter().map(|(until, _)| *until).min()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Settings>> {
        std::iter::once(&self.newest).chain(self.replaced.iter().map(|(_, settings)| settings))
    }

    pub(super) fn privacy(&self) -> impl Iterator<Item = &Privacy> {
        self.all().map(|settings| &settings.privacy)
    }

    /// The combination of all of them.
    fn together(&self) -> Arc<Settings> {
        let replaced = self.replaced.iter().map(|(_, settings)| settings);
        replaced.fold(Arc::clone(&self.newest), |together, settings| match together.and(settings) {
            same if same == *together => together,
            stricter => Arc::new(stricter),
        })
    }
}

impl Engine {
    /// The settings were read again.
    pub(super) fn take_settings(&mut self, now: Now, settings: Settings) {
        self.in_force.replace(now, settings);
        self.put_in_force(now);
    }

    /// Ends settings that were in force long enough.
    pub(super) fn expire_settings(&mut self, now: Now) {
        if self.in_force.expire(now) {
            self.put_in_force(now);
        }
    }

    /// The settings that an earlier daemon had in force. Call it before the first input.
    pub fn obey(&mut self, now: Now, settings: Vec<Settings>) {
        for settings in settings {
            self.in_force.obey(now, Arc::new(settings));
        }
        self.put_in_force(now);
    }

    /// The settings in force, for the next daemon.
    pub fn obeyed(&self) -> impl Iterator<Item = &Settings> {
        self.in_force.all().map(Arc::as_ref)
    }

    /// Whether the newest settings show more than is shown yet.
    pub fn has_looser_settings(&self) -> bool {
        self.in_force.deadline().is_some()
    }

    fn put_in_force(&mut self, now: Now) {
        let before = std::mem::replace(&mut self.settings, self.in_force.together());
        self.set_privacy();
        self.unreported_status = true;
        self.awake.all();
        if before != self.settings {
            self.publisher.set_settings(now, &self.settings);
            self.outputs.push_back(Output::Settings(Arc::clone(&self.settings)));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::Input;
    use crate::file::SessionFile;
    use crate::publish::Publisher;
    use crate::settings::of_text as settings;
    use crate::source::Agent;
    use crate::source_event::{FileId, SourceEvent};
    use crate::time::later;

    const START: Timestamp = Timestamp::constant(1_763_632_800, 0);
    const PROJECT: &str = "[privacy]\nproject = true";
    const HIDE: &str = "[[privacy.rule]]\npath = \"/app\"\nshow = \"hide\"";
    const SHOWN: Option<&str> = Some("Thinking in app");
    const PLAIN: Option<&str> = Some("Thinking");

    fn now(second: u64) -> Now {
        let mono = Duration::from_secs(second);
        Now { mono, wall: later(START, mono) }
    }

    /// An engine with a session in `/app` that is thinking.
    fn engine(text: &str) -> Engine {
        let settings = settings(text);
        let publisher = Publisher::new(0, &settings).with_terminal(now(0));
        Engine::new(settings, TimeZone::UTC, publisher)
    }

    fn begin(engine: &mut Engine) {
        let mut file = SessionFile::new(Agent::CODEX, Arc::from("/home"), START);
        let line = |kind: &str, payload: &str| {
            format!("{{\"timestamp\":\"{START}\",\"type\":\"{kind}\",\"payload\":{{{payload}}}}}\n")
        };
        let meta = line("session_meta", "\"id\":\"s\",\"cwd\":\"/app\",\"source\":\"cli\"");
        file.push(meta.as_bytes());
        file.push(line("event_msg", "\"type\":\"task_started\",\"turn_id\":\"t\"").as_bytes());
        let update = Box::new(file.take_update().unwrap());
        let file = FileId::new(1);
        step(engine, 0, Input::Source(SourceEvent::Updated { file, update, read: None }));
    }

    fn step(engine: &mut Engine, second: u64, input: Input) -> Option<String> {
        engine.handle(now(second), input);
        while let Some(output) = engine.poll_output(now(second)) {
            if let Output::Locate(question) = output {
                engine.handle(now(second), Input::Located(question.as_written()));
            }
        }
        engine.card().and_then(|card| Some(card.details()?.to_owned()))
    }

    /// The card's first line after changes of settings and time: `(second, settings or nothing, card)`.
    #[track_caller]
    fn check(first: &str, steps: &[(u64, Option<&str>, Option<&str>)]) {
        let mut engine = engine(first);
        begin(&mut engine);
        for (second, text, card) in steps {
            let input = text.map_or(Input::Tick, |text| Input::Settings(Box::new(settings(text))));
            assert_eq!(step(&mut engine, *second, input).as_deref(), *card, "at {second}: {text:?}");
        }
    }

    #[test]
    fn settings_that_show_more_wait_and_settings_that_show_less_do_not() {
        check("", &[(20, Some(PROJECT), PLAIN), (29, None, PLAIN), (30, None, SHOWN), (31, Some(""), PLAIN)]);
        check(
            PROJECT,
            &[(20, Some(HIDE), None), (21, Some(PROJECT), None), (30, None, None), (31, None, SHOWN)],
        );
    }

    #[test]
    fn a_half_written_settings_file_shows_nothing_more() {
        check(
            HIDE,
            &[(20, Some(""), None), (22, Some(PROJECT), None), (25, Some(HIDE), None), (99, None, None)],
        );
        // Nor what only one of the settings in between hides.
        check(
            PROJECT,
            &[(20, Some(""), PLAIN), (21, Some(PROJECT), PLAIN), (30, None, PLAIN), (31, None, SHOWN)],
        );
        check(
            PROJECT,
            &[(20, Some(HIDE), None), (21, Some(""), None), (22, Some(PROJECT), None), (32, None, SHOWN)],
        );
    }

    #[test]
    fn the_wait_for_looser_settings_has_a_timer() {
        let mut engine = engine("");
        assert_eq!(engine.poll_deadline(), None);
        step(&mut engine, 20, Input::Settings(Box::new(settings("[publish]\nmin_interval = \"1s\""))));
        assert_eq!(engine.poll_deadline(), None, "nothing more is shown");
        step(&mut engine, 20, Input::Settings(Box::new(settings(PROJECT))));
        let due = Duration::from_secs(20) + LOOSER_AFTER;
        assert_eq!(engine.poll_deadline(), Some((due, crate::timer::Timer::Settings)));
        assert!(engine.has_looser_settings());
        step(&mut engine, 30, Input::Tick);
        assert_eq!(engine.poll_deadline(), None);
    }

    #[test]
    fn withheld_cards_are_cleared_at_once_and_come_back_later() {
        let mut engine = engine("");
        begin(&mut engine);
        let withheld = Settings { withheld: true, ..settings("") };
        assert_eq!(step(&mut engine, 20, Input::Settings(Box::new(withheld))), None);
        assert_eq!(step(&mut engine, 25, Input::Settings(Box::new(settings("")))), None);
        assert_eq!(step(&mut engine, 35, Input::Tick).as_deref(), PLAIN);
    }

    #[test]
    fn inherited_settings_stay_in_force_for_a_while() {
        let mut first = engine(HIDE);
        step(&mut first, 1, Input::Settings(Box::new(settings(""))));
        let obeyed: Vec<Settings> = first.obeyed().cloned().collect();
        let json = serde_json::to_value(&obeyed).unwrap();
        let mut next = engine(PROJECT);
        next.obey(now(0), serde_json::from_value(json).unwrap());
        begin(&mut next);
        assert_eq!(step(&mut next, 9, Input::Tick), None);
        assert_eq!(step(&mut next, 10, Input::Tick).as_deref(), SHOWN);
    }

    #[test]
    fn many_changes_of_settings_are_bounded_and_stay_strict() {
        let mut engine = engine(HIDE);
        begin(&mut engine);
        for second in 1..50 {
            let text = format!("{PROJECT}\n[[privacy.rule]]\npath = \"/{second}\"\nshow = \"hide\"");
            assert_eq!(step(&mut engine, 1, Input::Settings(Box::new(settings(&text)))), None);
        }
        assert!(engine.obeyed().count() <= 2 + REPLACED);
        assert_eq!(step(&mut engine, 10, Input::Tick), None);
        assert_eq!(step(&mut engine, 11, Input::Tick).as_deref(), SHOWN);
    }
}
