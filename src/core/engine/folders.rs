//! The folders of sessions, and what may be shown of sessions because of them.
//!
//! The driver is asked for facts about folders that only the machine knows. The engine does not wait: until the
//! answer arrives, the card stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::awake::GENERATIONS;
use super::{Engine, Output, SessionEntry};
use crate::activity::Activity;
use crate::card::Card;
use crate::privacy::{Allowed, FolderAnswer, FolderQuestion, Policy};
use crate::publish::Publisher;
use crate::session::Session;
use crate::settings::Privacy;
use crate::source::Agent;
use crate::source_event::FileId;
use crate::time::Now;

/// How many hidden sessions without files are remembered.
const REMEMBERED: usize = 1000;

type Key = (Agent, String);

/// The facts about folders, and the hidden sessions.
#[derive(Debug, Default)]
pub(super) struct FolderFacts {
    policy: Policy,
    patterns: BTreeSet<String>,
    /// The driver's answers.
    found: FolderAnswer,
    is_asking: bool,
    /// Whether the answers may be outdated, so that everything is asked again.
    is_stale: bool,
    /// Folders to which sessions returned.
    doubted: BTreeSet<String>,
    /// Whether a session is in a folder without an answer yet.
    is_waiting: bool,
    verdicts: BTreeMap<String, Option<Allowed>>,
    hidden: BTreeSet<Key>,
    /// Hidden sessions whose files are gone; they may come back in other files.
    gone: BTreeSet<Key>,
}

impl FolderFacts {
    fn rebuild<'a>(&mut self, privacy: impl IntoIterator<Item = &'a Privacy>) {
        self.policy = Policy::new(privacy, &self.found.patterns);
        self.verdicts.clear();
    }

    fn verdict(&mut self, folder: &str) -> Option<Allowed> {
        if let Some(verdict) = self.verdicts.get(folder) {
            return *verdict;
        }
        let verdict = self.judge(folder);
        self.verdicts.insert(folder.to_owned(), verdict);
        verdict
    }

    fn judge(&self, folder: &str) -> Option<Allowed> {
        match self.found.folders.get(folder) {
            Some(Some(others)) => self.policy.allows(folder, others),
            Some(None) => Some(self.policy.allows(folder, &[])?.and(self.policy.allows_unknown()?)),
            None => self.policy.allows(folder, &[]),
        }
    }

    /// Whether the session is, or was, in a folder where nothing may be shown.
    fn hides(&mut self, session: &Session) -> bool {
        let is_lost = session.has_unlisted_folders || session.cwd.is_none();
        is_lost && self.policy.allows_unknown().is_none()
            || session.folders().any(|folder| self.verdict(folder).is_none())
    }

    /// A session entered a folder, about which an earlier answer may be outdated.
    pub(super) fn doubt(&mut self, folder: &str) {
        if self.found.folders.contains_key(folder) {
            self.doubted.insert(folder.to_owned());
        }
    }

    /// A session's file is gone.
    pub(super) fn file_gone(&mut self, session: &Session) {
        let key = (session.agent, session.id.clone());
        if self.hidden.contains(&key) {
            self.gone.insert(key);
            while self.gone.len() > REMEMBERED {
                self.gone.pop_first();
            }
        }
    }
}

impl Engine {
    /// Other settings are in force.
    pub(super) fn set_privacy(&mut self) {
        let rules = self.in_force.privacy().flat_map(Privacy::rules_here);
        self.folders.patterns = rules.map(|rule| rule.path.clone()).collect();
        self.folders.rebuild(self.in_force.privacy());
        self.folders.is_stale = true;
    }

    /// Takes an answer of the driver.
    pub(super) fn located(&mut self, answer: FolderAnswer) {
        let facts = &mut self.folders;
        facts.is_asking = false;
        facts.found.folders.extend(answer.folders);
        // Patterns that could not be found out again keep their earlier answer.
        facts.found.patterns.extend(answer.patterns);
        facts.found.patterns.retain(|pattern, _| facts.patterns.contains(pattern));
        let sessions = to_be_placed(&self.files, &self.dormant, &self.publisher);
        let folders: BTreeSet<&str> = sessions.into_iter().flat_map(Session::folders).collect();
        facts.found.folders.retain(|folder, _| folders.contains(folder.as_str()));
        facts.rebuild(self.in_force.privacy());
    }

    /// Asks for missing facts about folders, and finds the hidden sessions.
    pub(super) fn look_around(&mut self, now: Now) {
        self.folders.hidden.clear();
        self.folders.is_waiting = false;
        if !self.folders.policy.has_rules() {
            return;
        }
        self.ask(now);
        self.find_hidden();
    }

    fn ask(&mut self, now: Now) {
        let idle_after = self.settings.card.idle_after;
        let sessions = to_be_placed(&self.files, &self.dormant, &self.publisher);
        let origins: BTreeSet<&str> = sessions.iter().flat_map(|session| session.origins()).collect();
        let matters = |session: &&Session| {
            session.activity(now.wall, idle_after) != Activity::Idle || origins.contains(session.id.as_str())
        };
        let folders: BTreeSet<&str> =
            sessions.into_iter().filter(matters).flat_map(Session::folders_here).collect();
        let facts = &mut self.folders;
        let is_new = |folder: &&str| !facts.found.folders.contains_key(*folder);
        facts.is_waiting = folders.iter().any(is_new);
        let wanted = |folder: &&str| facts.is_stale || is_new(folder) || facts.doubted.contains(*folder);
        // Folders that could not be found out are asked again, but last, because they may delay the others.
        let is_unknown = |folder: &&str| facts.found.folders.get(*folder).is_some_and(Option::is_none);
        let (unknown, folders): (Vec<&str>, Vec<&str>) = folders.into_iter().partition(is_unknown);
        let mut wanted: Vec<String> = folders.into_iter().filter(wanted).map(str::to_owned).collect();
        if !facts.is_asking && (facts.is_stale || !wanted.is_empty()) {
            wanted.extend(unknown.into_iter().map(str::to_owned));
            (facts.is_asking, facts.is_stale) = (true, false);
            facts.doubted.clear();
            let patterns = facts.patterns.iter().cloned().collect();
            self.outputs.push_back(Output::Locate(FolderQuestion { folders: wanted, patterns }));
        }
    }

    fn find_hidden(&mut self) {
        let facts = &mut self.folders;
        let sessions = || self.files.values().map(|known| &known.session);
        let mut hidden = facts.gone.clone();
        for session in to_be_placed(&self.files, &self.dormant, &self.publisher) {
            if facts.hides(session) {
                hidden.insert((session.agent, session.id.clone()));
            }
        }
        for _ in 0..GENERATIONS {
            let is_hidden = |agent: Agent, id: &str| hidden.contains(&(agent, id.to_owned()));
            let is_of_hidden = |session: &&Session| {
                let mut origins = session.origins();
                !is_hidden(session.agent, &session.id)
                    && origins.any(|origin| is_hidden(session.agent, origin))
            };
            let more: Vec<Key> =
                sessions().filter(is_of_hidden).map(|session| (session.agent, session.id.clone())).collect();
            if more.is_empty() {
                break;
            }
            hidden.extend(more);
        }
        facts.hidden = hidden;
    }

    /// What may be shown of a session; `None` if nothing may be shown.
    pub(super) fn allows(&self, session: &Session) -> Option<Allowed> {
        let hidden = &self.folders.hidden;
        if !hidden.is_empty() && hidden.contains(&(session.agent, session.id.clone())) {
            return None;
        }
        match session.cwd.as_deref() {
            Some(folder) => match self.folders.verdicts.get(folder) {
                Some(verdict) => *verdict,
                None => self.folders.judge(folder),
            },
            None => self.folders.policy.allows_unknown(),
        }
    }

    /// Whether too little is known of a session's folder to choose among sessions.
    pub(super) fn is_finding_out(&self) -> bool {
        self.folders.is_waiting
    }

    pub(super) fn is_hidden(&self, card: &Card) -> bool {
        self.settings.withheld || self.folders.hidden.contains(&(card.agent(), card.session().to_owned()))
    }
}

/// The sessions that are listed, and ended ones that others came from or whose card is still shown.
fn to_be_placed<'a>(
    files: &'a BTreeMap<FileId, Box<SessionEntry>>,
    dormant: &'a BTreeMap<FileId, Box<SessionEntry>>,
    publisher: &Publisher<Card>,
) -> Vec<&'a Session> {
    let origins: BTreeSet<&str> = files.values().flat_map(|known| known.session.origins()).collect();
    let is_seen = |one: &Session| publisher.shows_any(|card| card.session() == one.id);
    let is_wanted = |one: &&Session| origins.contains(one.id.as_str()) || is_seen(one);
    let ended = dormant.values().map(|known| &known.session).filter(is_wanted);
    files.values().map(|known| &known.session).chain(ended).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::{Input, Progress};
    use crate::file::SessionFile;
    use crate::settings::{PrivacyRule, Settings, Show};
    use crate::source_event::{FileId, FileIdentity, ReadTo, SourceEvent};
    use crate::time::later;

    const START: Timestamp = Timestamp::constant(1_763_632_800, 0);

    fn now(second: u64) -> Now {
        let mono = Duration::from_secs(second);
        Now { mono, wall: later(START, mono) }
    }

    struct World {
        engine: Engine,
        /// The open question.
        question: Option<FolderQuestion>,
        second: u64,
    }

    impl World {
        fn new(rules: &[(&str, Show)]) -> Self {
            let rule = |(path, show): &(&str, Show)| PrivacyRule { path: (*path).to_owned(), show: *show };
            let rules = rules.iter().map(rule).collect();
            let privacy = Privacy { project: true, rules, ..Privacy::default() };
            let settings = Settings { privacy, ..Settings::default() };
            let publisher = Publisher::new(0, &settings).with_terminal(now(0));
            Self { engine: Engine::new(settings, TimeZone::UTC, publisher), question: None, second: 0 }
        }

        /// The card's first line.
        fn input(&mut self, input: Input) -> Option<String> {
            self.second += 1;
            self.engine.handle(now(self.second), input);
            while let Some(output) = self.engine.poll_output(now(self.second)) {
                if let Output::Locate(question) = output {
                    assert_eq!(self.question, None, "one question at a time");
                    self.question = Some(question);
                }
            }
            self.engine.card().and_then(|card| Some(card.details()?.to_owned()))
        }

        /// A session in a turn, which enters these folders in order.
        fn codex(&mut self, file: u64, id: &str, more: &str, folders: &[&str]) -> Option<String> {
            self.reported((FileId::new(file), None), id, more, folders)
        }

        fn reported(
            &mut self,
            (file, read): (FileId, Option<ReadTo>),
            id: &str,
            more: &str,
            folders: &[&str],
        ) -> Option<String> {
            let at = now(self.second).wall;
            let line = |kind: &str, payload: &str| {
                format!("{{\"timestamp\":\"{at}\",\"type\":\"{kind}\",\"payload\":{{{payload}}}}}\n")
            };
            let cwd = folders.first().map(|cwd| format!(",\"cwd\":\"{cwd}\"")).unwrap_or_default();
            let meta = format!("\"id\":\"{id}\",\"timestamp\":\"{at}\",\"source\":\"cli\"{cwd}{more}");
            let mut lines = line("session_meta", &meta);
            for cwd in folders {
                lines +=
                    &line("turn_context", &format!("\"turn_id\":\"t\",\"cwd\":\"{cwd}\",\"model\":\"m\""));
            }
            lines += &line("event_msg", "\"type\":\"task_started\",\"turn_id\":\"t\"");
            let mut fold = SessionFile::new(Agent::CODEX, Arc::from("/home"), START);
            fold.push(lines.as_bytes());
            let update = Box::new(fold.take_update().unwrap());
            self.input(Input::Source(SourceEvent::Updated { file, update, read }))
        }

        fn answer(&mut self, answer: impl FnOnce(&FolderQuestion) -> FolderAnswer) -> Option<String> {
            let question = self.question.take().unwrap();
            self.input(Input::Located(answer(&question)))
        }

        fn answered(&mut self, file: u64, id: &str, more: &str, folders: &[&str]) -> Option<String> {
            let before = self.codex(file, id, more, folders);
            if self.question.is_some() { self.answer(FolderQuestion::as_written) } else { before }
        }
    }

    const HIDE: [(&str, Show); 1] = [("/clients", Show::Hide)];

    #[test]
    fn nothing_is_asked_without_rules() {
        let mut world = World::new(&[]);
        assert_eq!(world.codex(1, "a", "", &["/app"]).as_deref(), Some("Thinking in app \u{b7} m"));
        assert_eq!(world.question, None);
    }

    #[test]
    fn the_card_stays_until_a_folder_is_resolved() {
        let mut world = World::new(&HIDE);
        assert_eq!(world.codex(1, "a", "", &["/app"]), None);
        let question = world.question.clone().unwrap();
        assert_eq!(
            (question.folders, question.patterns),
            (vec!["/app".to_owned()], vec!["/clients".to_owned()])
        );
        let card = world.answer(FolderQuestion::as_written);
        assert_eq!(card.as_deref(), Some("Thinking in app \u{b7} m"));
        assert_eq!(world.codex(1, "a", "", &["/app", "/link"]), card);
        let led = |question: &FolderQuestion| {
            let mut answer = question.as_written();
            answer.folders.insert("/link".to_owned(), Some(vec!["/clients/acme".to_owned()]));
            answer
        };
        assert_eq!(world.answer(led), None);
        assert_eq!(world.codex(1, "a", "", &["/app"]), None, "it stays hidden");
    }

    #[test]
    fn an_unresolved_folder_is_under_every_rule_that_hides() {
        let mut world = World::new(&HIDE);
        world.codex(1, "a", "", &["/app"]);
        assert_eq!(world.answer(FolderQuestion::unknown), None);
        let mut world = World::new(&[("/clients", Show::Generic)]);
        world.codex(1, "a", "", &["/app"]);
        assert_eq!(world.answer(FolderQuestion::unknown).as_deref(), Some("Thinking \u{b7} m"));
    }

    #[test]
    fn a_session_without_a_folder_is_under_every_rule_that_hides() {
        assert_eq!(World::new(&HIDE).answered(1, "a", "", &[]), None);
        assert_eq!(
            World::new(&[("**", Show::Generic)]).answered(1, "a", "", &[]).as_deref(),
            Some("Thinking")
        );
    }

    #[test]
    fn forks_and_helpers_of_a_hidden_session_are_hidden() {
        let mut world = World::new(&HIDE);
        assert_eq!(world.answered(1, "a", "", &["/clients/acme"]), None);
        assert_eq!(world.answered(2, "b", ",\"forked_from_id\":\"a\"", &["/app"]), None);
        assert_eq!(world.answered(3, "c", ",\"forked_from_id\":\"b\"", &["/app"]), None);
        assert!(world.answered(4, "d", ",\"forked_from_id\":\"e\"", &["/app"]).is_some());
    }

    /// As after a takeover, if the stream is read before the file.
    #[test]
    fn a_session_whose_stream_was_hidden_stays_hidden_in_its_file() {
        let read = ReadTo { file: FileIdentity(1, 7), offset: 100 };
        let progress = Progress { read, activity: Activity::Idle, ended: true, untold: false };
        for read in [None, Some(read)] {
            let mut world = World::new(&HIDE);
            world.engine.inherit(&[progress], &[], None);
            world.reported((FileId::stream(1), None), "a", "", &["/clients/acme"]);
            assert_eq!(world.answer(FolderQuestion::as_written), None);
            world.reported((FileId::new(1), read), "a", "", &["/app"]);
            let card = world.question.is_some().then(|| world.answer(FolderQuestion::as_written)).flatten();
            assert_eq!(card, None, "{read:?}");
            assert_eq!(world.input(Input::Source(SourceEvent::CaughtUp)), None, "{read:?}");
        }
    }

    #[test]
    fn a_hidden_session_stays_hidden_in_another_file() {
        let mut world = World::new(&HIDE);
        assert_eq!(world.answered(1, "a", "", &["/clients/acme"]), None);
        assert_eq!(world.answered(2, "a", "", &["/app"]), None);
        world.input(Input::Source(SourceEvent::Gone { file: FileId::new(1) }));
        assert_eq!(world.answered(2, "a", "", &["/app"]), None);
        // A rewritten file does not change that either.
        assert_eq!(world.answered(3, "b", "", &["/clients/acme"]), None);
        assert_eq!(world.answered(3, "b", "", &["/app"]), None);
    }
}
