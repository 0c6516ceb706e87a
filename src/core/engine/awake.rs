//! Which sessions can have changed. Of thousands that wrote something within a day, nearly all are idle. Time does not
//! change those, so they are updated only after an input that concerns them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::sessions::{SessionEntry, beside, hash};
use super::{Engine, Input};
use crate::activity::Activity;
use crate::roster::HelperWork;
use crate::session::Session;
use crate::source_event::{FileId, SourceEvent};
use crate::time::{Now, later};

/// How long a session is listed after its last line.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Sub-agents of sub-agents, and forks of forks, are followed up to this depth.
pub(super) const GENERATIONS: usize = 8;

/// What the next decision of the engine has to update.
#[derive(Debug)]
pub(super) struct Awake {
    /// The sessions that are not idle, those with an update since, and every stream, because two may be of one session.
    places: BTreeSet<FileId>,
    /// Whether any other session may have changed.
    all: bool,
    /// The sessions for which sub-agents may do other work than before.
    families: BTreeSet<FileId>,
    /// The sub-agents, by a hash of the session that started them.
    helpers: BTreeSet<(u64, FileId)>,
    /// The time of the last decision.
    wall: Timestamp,
    /// No session ends its time on the list before this.
    forget_at: Timestamp,
}

impl Default for Awake {
    fn default() -> Self {
        Self {
            places: BTreeSet::new(),
            all: true,
            families: BTreeSet::new(),
            helpers: BTreeSet::new(),
            wall: Timestamp::MIN,
            forget_at: Timestamp::MIN,
        }
    }
}

impl Awake {
    /// Any session may have changed.
    pub(super) fn all(&mut self) {
        self.all = true;
    }

    /// An input comes. Updates of files are handled by [`Self::heard`].
    pub(super) fn input(&mut self, input: &Input) {
        self.all |= !matches!(
            input,
            Input::Source(SourceEvent::Updated { .. } | SourceEvent::Limits(_))
                | Input::Link(..)
                | Input::Located(_)
                | Input::Tick
        );
    }

    /// The session at `place` is updated; `before` is its old state, if it was listed.
    pub(super) fn heard(&mut self, place: FileId, before: Option<&Session>, session: &Session) {
        self.places.insert(place);
        self.families.insert(place);
        self.all |= before.is_some_and(|before| before.parent != session.parent);
        self.helpers.extend(helper(place, session));
        self.forget_at = self.forget_at.min(old_at(session));
    }
}

/// The entry of a sub-agent.
fn helper(place: FileId, session: &Session) -> Option<(u64, FileId)> {
    Some((hash((session.agent, session.parent.as_deref()?)), place))
}

/// Until when a session is listed if it has no further line.
fn old_at(session: &Session) -> Timestamp {
    session.last_event_at.map_or(Timestamp::MIN, |last| later(last, REMEMBERED))
}

impl Engine {
    /// Reports changes caused by time, sub-agents or a register: activities, and sessions that went idle or are back.
    pub(super) fn activities(&mut self, now: Now) {
        if std::mem::take(&mut self.awake.all) || now.wall < self.awake.wall {
            self.registers.not_after(now.wall);
            self.awake.places.extend(self.files.keys());
            self.awake.families.extend(self.files.keys());
            self.awake.helpers =
                self.files.iter().filter_map(|(place, known)| helper(*place, &known.session)).collect();
            self.awake.forget_at = Timestamp::MIN;
        }
        self.awake.wall = now.wall;
        for place in &self.awake.places {
            let Some(known) = self.files.get_mut(place) else { continue };
            beside(&mut known.session, &self.registers, &self.windows);
            known.not_after(now.wall);
        }
        self.help();
        let mut heard = Vec::new();
        self.awake.places.retain(|place| {
            let Some(known) = self.files.get_mut(place) else { return false };
            let activity = known.session.activity(now.wall, self.settings.card.idle_after);
            // Until all files were read, it is not known which session a helper works for.
            if self.inherited.files.is_none() {
                let announcements = known.reported.turn(activity);
                heard.extend((!announcements.is_empty()).then_some((*place, announcements)));
            }
            place.is_stream() || activity != Activity::Idle
        });
        for (place, announcements) in heard {
            self.describe(now, place);
            self.announce(now, place, announcements);
        }
    }

    /// Updates the work of sub-agents for their sessions.
    fn help(&mut self) {
        let mut families = std::mem::take(&mut self.awake.families);
        let mut newest: Vec<FileId> = families.iter().copied().collect();
        for _ in 0..GENERATIONS {
            let parents = newest.iter().flat_map(|place| self.parents(*place));
            newest = parents.filter(|parent| families.insert(*parent)).collect();
        }
        let helped: Vec<_> = families.into_iter().map(|place| (place, self.helper_work(place))).collect();
        for (place, helped) in helped {
            let Some(SessionEntry { session, .. }) = self.files.get_mut(&place).map(Box::as_mut) else {
                continue;
            };
            if helped.as_ref() != session.helpers.as_deref() {
                session.helpers = helped.map(Box::new);
                self.awake.places.insert(place);
                // This may change the work for its own parent.
                self.awake.families.extend(session.parent.as_ref().map(|_| place));
            }
        }
    }

    /// The session that started the one at `place`.
    fn parents(&self, place: FileId) -> Vec<FileId> {
        let Some(session) = self.files.get(&place).map(|known| &known.session) else { return Vec::new() };
        let Some(parent) = session.parent.as_deref() else { return Vec::new() };
        let key = (session.agent, parent);
        let streams = self.files.range(FileId::stream(0)..).filter(|(_, known)| known.session.key() == key);
        self.by_session.get(&hash(key)).into_iter().chain(streams.map(|(place, _)| place)).copied().collect()
    }

    /// The work of sub-agents, including their own sub-agents, for the session at `place`.
    fn helper_work(&self, place: FileId) -> Option<HelperWork> {
        let session = &self.files.get(&place)?.session;
        let mut helped = None;
        // The work of helpers on another machine is included in the remote's report of their session.
        let mut newest: Vec<&Session> = session.far.is_none().then_some(session).into_iter().collect();
        for _ in 0..GENERATIONS {
            newest = newest.into_iter().flat_map(|parent| self.helpers(parent)).collect();
            for helper in &newest {
                helped.get_or_insert_with(HelperWork::default).add(helper, session);
            }
        }
        helped
    }

    fn helpers<'a>(&'a self, parent: &'a Session) -> impl Iterator<Item = &'a Session> {
        let key = hash(parent.key());
        let helpers = self.awake.helpers.range((key, FileId::new(0))..).take_while(move |(of, _)| *of == key);
        let helpers = helpers.filter_map(|(_, place)| self.files.get(place)).map(|known| &known.session);
        helpers.filter(|helper| {
            helper.far.is_none()
                && helper.agent == parent.agent
                && helper.parent.as_deref() == Some(&*parent.id)
        })
    }

    /// Removes sessions from the list that ended long ago.
    pub(super) fn forget(&mut self, now: Now) {
        if now.wall < self.awake.forget_at {
            return;
        }
        let is_old = |known: &SessionEntry| {
            known.reported.has_ended()
                && known.session.last_event_at.is_none_or(|last| now.since(last) > REMEMBERED)
        };
        let old: Vec<FileId> =
            self.files.iter().filter(|(_, known)| is_old(known)).map(|(first, _)| *first).collect();
        for first in &old {
            let known = self.files.remove(first).filter(|_| !first.is_stream());
            self.dormant.extend(known.map(|known| (*first, known)));
        }
        if !old.is_empty() {
            self.awake.all();
            let files = &self.files;
            self.windows.retain(|id, _| files.values().any(|known| known.session.id == *id));
        }
        let left = self.files.values().map(|known| old_at(&known.session));
        self.awake.forget_at = left.min().unwrap_or(Timestamp::MAX);
    }

    /// The sessions that may not be idle.
    pub(super) fn awake(&self) -> impl Iterator<Item = &Session> {
        self.awake.places.iter().filter_map(|place| self.files.get(place)).map(|known| &known.session)
    }
}

/// One entry per session, in the order of agents and ids. If there are several, by a stream or a second file, the one
/// with the newest line is used.
pub(super) fn by_key<'a>(sessions: impl Iterator<Item = &'a Session>) -> Vec<&'a Session> {
    let mut sessions: Vec<&Session> = sessions.collect();
    sessions.sort_by_key(|session| (session.key(), Reverse(session.last_event_at)));
    sessions.dedup_by_key(|session| session.key());
    sessions
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Output;
    use crate::file::{FileUpdate, SessionFile, Skipped};
    use crate::publish::Publisher;
    use crate::register::{OpenSession, Register, Status};
    use crate::settings::Settings;
    use crate::source::Agent;

    const START: Timestamp = Timestamp::constant(1_790_000_000, 0);

    /// Sub-agents, one of them a sub-agent's.
    const PARENTS: [Option<usize>; 6] = [None, None, None, Some(0), Some(3), Some(1)];

    fn session(which: usize) -> Session {
        let mut file = SessionFile::new(Agent::CLAUDE, "/home".into(), Timestamp::MIN);
        let line = format!(
            r#"{{"type":"user","uuid":"u","sessionId":"{which}","timestamp":"{START}","message":{{"role":"user","content":"x"}}}}"#
        );
        file.push(format!("{line}\n").as_bytes());
        let session = file.take_update().unwrap().session;
        Session { parent: PARENTS[which].map(|parent| parent.to_string().into()), ..session }
    }

    /// An engine that updates what can have changed, and one that updates everything every time.
    struct Two {
        engines: [Engine; 2],
        sessions: Vec<Session>,
        now: Now,
    }

    impl Two {
        fn new() -> Self {
            let now = Now { mono: Duration::ZERO, wall: START };
            let engine = || {
                let settings = Settings::default();
                let publisher = Publisher::new(0, &settings).with_terminal(now);
                Engine::new(settings, TimeZone::UTC, publisher)
            };
            Self { engines: [engine(), engine()], sessions: (0..PARENTS.len()).map(session).collect(), now }
        }

        fn pass(&mut self, seconds: i64) {
            self.now.mono += Duration::from_secs(seconds.max(1).unsigned_abs());
            self.now.wall = Timestamp::from_second(self.now.wall.as_second() + seconds).unwrap();
        }

        fn handle(&mut self, input: impl Fn() -> Input) {
            let now = self.now;
            let [one, other] = &mut self.engines;
            other.awake.all();
            let [one, other] = [one, other].map(|engine| {
                engine.handle(now, input());
                let outputs: Vec<Output> = std::iter::from_fn(|| engine.poll_output(now)).collect();
                let sessions = serde_json::to_value(engine.sessions_report(now)).unwrap();
                (outputs, sessions, engine.poll_deadline())
            });
            assert_eq!(one, other);
        }

        fn update(&mut self, which: usize, what: u8, as_stream: bool) {
            let session = &mut self.sessions[which];
            let has = |bit: u8| what & 1 << bit != 0;
            session.last_event_at = Some(self.now.wall).filter(|_| !has(7)).or(session.last_event_at);
            session.work.turn_open = has(0);
            session.work.ended_at = session.last_event_at.filter(|_| !has(0));
            session.work.helpers_pending = has(1);
            session.work.user_awaited = has(2) && has(3);
            session.has_ended = has(4) && has(5) && has(6);
            let number = which as u64;
            let file = if as_stream { FileId::stream(number) } else { FileId::new(number) };
            let session = session.clone();
            self.handle(|| {
                let (session, skipped) = (session.clone(), Skipped::default());
                let update =
                    FileUpdate { session, usage: Vec::new(), limits: Vec::new(), skipped, first: false };
                Input::Source(SourceEvent::Updated { file, update: Box::new(update), read: None })
            });
        }

        fn register(&mut self, what: [u8; 2]) {
            let open = (0..PARENTS.len()).filter(|which| what[0] & 1 << which != 0).map(|which| {
                let statuses = [None, Some(Status::Busy), Some(Status::Idle), Some(Status::Waiting)];
                let status = statuses[usize::from(what[1] >> which & 3)];
                let since = Some(self.now.wall).filter(|_| what[0] & 64 == 0);
                (which.to_string(), OpenSession { status, since, process: Some(u32::from(what[1] & 7)) })
            });
            let register = Register { open: open.collect(), ..Register::default() };
            self.handle(|| {
                let register = Some(register.clone());
                Input::Source(SourceEvent::Register { home: "/home".into(), register })
            });
        }

        fn live(&mut self, [kind, which, what, more]: [u8; 4]) {
            let one = usize::from(which) % PARENTS.len();
            match kind % 16 {
                0..8 => self.update(one, what, more < 20),
                8 => self.register([what, more]),
                9 => {
                    let number = one as u64;
                    let file = if more < 20 { FileId::stream(number) } else { FileId::new(number) };
                    self.handle(|| Input::Source(SourceEvent::Gone { file }));
                }
                10 => self.pass(-i64::from(what) * 20),
                11 => self.pass(i64::from(what) * i64::from(more)),
                12 => self.handle(|| Input::Source(SourceEvent::CaughtUp)),
                _ => self.pass(i64::from(what)),
            }
            self.handle(|| Input::Tick);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

        #[test]
        fn what_is_not_looked_at_has_not_changed(steps in prop::collection::vec(any::<[u8; 4]>(), 0..80)) {
            let mut two = Two::new();
            steps.into_iter().for_each(|step| two.live(step));
        }
    }

    #[test]
    fn an_idle_session_is_not_looked_at_again() {
        let mut two = Two::new();
        (0..3).for_each(|which| two.update(which, 1, false));
        let looked_at = |two: &Two| two.engines[0].awake.places.len();
        assert_eq!(looked_at(&two), 3);
        two.pass(12 * 3600);
        two.handle(|| Input::Tick);
        assert_eq!(looked_at(&two), 0);
        two.update(1, 1, false);
        assert_eq!(looked_at(&two), 1);
    }
}
