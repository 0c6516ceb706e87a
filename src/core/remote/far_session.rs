//! One session of a remote: its last report, and the update that a session file with the same content would give.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::far;
use crate::activity::Activity;
use crate::file::{FileUpdate, Skipped};
use crate::report::{PlaceReport, SessionReport, UsageReport};
use crate::session::{Far, Model, Session, UsageEvent, Work};
use crate::source::{Agent, Doing, Surface};
use crate::source_event::{FileId, FileIdentity, ReadTo, SourceEvent};
use crate::time::later;
use crate::usage::{Triplet, Usage};

/// A limit lasts until the remote reports otherwise, but at most this long.
const LIMITED: Duration = Duration::from_secs(24 * 3600);

/// Agent and the agent's own id.
pub(super) type Id = (Agent, String);

/// A usage event, and a complaint about it.
pub(super) type Change = (Option<UsageEvent>, Option<&'static str>);

/// The known facts of one session.
#[derive(Debug)]
pub(super) struct FarSession {
    file: u64,
    report: SessionReport,
    /// The home to use if the remote does not report one.
    home: Option<String>,
    turn: Option<String>,
    vouched_at: Option<Timestamp>,
    updates: u64,
    /// Whether its figures have not been announced by an event.
    untold: bool,
    /// Whether the remote has named it since it last began with all sessions.
    pub(super) is_named: bool,
}

impl FarSession {
    /// A session with nothing known but its id.
    pub(super) fn new(file: u64, (agent, id): Id) -> Self {
        let report = SessionReport {
            id,
            agent,
            host: None,
            home: String::new(),
            home_name: None,
            surface: Surface::Unknown,
            shown: false,
            visible: true,
            project: None,
            branch: None,
            model: None,
            effort: None,
            service_tier: None,
            activity: Activity::Idle,
            file: None,
            started_at: None,
            last_event_at: None,
            last_usage_at: None,
            restored: false,
            counting: false,
            lower_bound: false,
            parent: None,
            tokens: Triplet::default(),
            usage: Usage::default(),
            context: None,
            place: None,
        };
        Self::left(file, report, 0)
    }

    /// A session as an earlier daemon knew it.
    pub(super) fn left(file: u64, report: SessionReport, updates: u64) -> Self {
        Self {
            file,
            report,
            home: None,
            turn: None,
            vouched_at: None,
            updates,
            untold: false,
            is_named: false,
        }
    }

    /// Takes a report, which may repeat known facts.
    pub(super) fn set(&mut self, at: Timestamp, report: SessionReport, ended: bool) {
        let known = std::mem::replace(&mut self.report, report);
        let report = &mut self.report;
        report.last_event_at = report.last_event_at.or(known.last_event_at).or(Some(at));
        if report.place.is_none() {
            report.place = known.place;
        }
        if report.usage == Usage::default() {
            report.usage = known.usage;
        }
        // The event that follows announces the new figures.
        self.untold |= report.usage != known.usage;
        if ended {
            report.activity = Activity::Idle;
        }
    }

    /// Sets its figures.
    pub(super) fn set_usage(&mut self, at: Timestamp, usage: UsageReport) -> Change {
        let UsageReport { turn, usage, restored, call, unlisted, .. } = usage;
        let known = std::mem::replace(&mut self.report.usage, usage);
        self.turn.clone_from(&turn);
        let untold = std::mem::take(&mut self.untold);
        if restored && known == usage && !untold {
            return (None, None);
        }
        let total = |usage: &Usage| usage.session_total_tokens.map(|total| total.all());
        let fell = !restored && !untold && total(&usage) < total(&known);
        let added = usage.session_delta_tokens.filter(|_| !restored && !fell);
        self.report.restored = added.is_none();
        if restored && self.report.last_event_at.is_none() {
            (self.report.last_event_at, self.report.activity) = (Some(at), Activity::Waiting);
        }
        if !restored {
            self.report.last_event_at = self.report.last_event_at.max(Some(at));
            self.report.last_usage_at = Some(at);
            if self.report.activity == Activity::Idle {
                self.report.activity = Activity::Thinking;
            }
        }
        let event = UsageEvent { at, turn, usage, added, call, unlisted };
        (Some(event), fell.then_some("a session's total fell, which it never does"))
    }

    /// Sets its activity; true if it has changed.
    pub(super) fn set_activity(&mut self, at: Timestamp, activity: Activity) -> bool {
        if activity != Activity::Idle {
            self.report.last_event_at = self.report.last_event_at.max(Some(at));
        }
        std::mem::replace(&mut self.report.activity, activity) != activity
    }

    /// The remote was heard at `wall`; true if that matters, because the session is at work.
    pub(super) fn vouch(&mut self, wall: Timestamp) -> bool {
        let at_work =
            !matches!(self.report.activity, Activity::Idle | Activity::Waiting | Activity::LimitReached);
        self.vouched_at = at_work.then_some(wall);
        at_work
    }

    pub(super) fn agent(&self) -> Agent {
        self.report.agent
    }

    pub(super) fn last_event_at(&self) -> Option<Timestamp> {
        self.report.last_event_at
    }

    /// The agent's home folder on the remote, if it is known.
    pub(super) fn home(&self) -> Option<&str> {
        let home = Some(self.report.home.as_str()).filter(|home| !home.is_empty());
        home.or(self.home.as_deref())
    }

    /// Sets the home to use if the report has none, because the agent has only one.
    pub(super) fn stand_in(&mut self, home: &str) {
        self.home = Some(home.to_owned());
    }

    pub(super) fn file(&self) -> FileId {
        FileId::remote(self.file)
    }

    /// Whether nothing of it was announced before.
    pub(super) fn is_new(&self) -> bool {
        self.updates == 0
    }

    pub(super) fn updates(&self) -> u64 {
        self.updates
    }

    pub(super) fn report(&self) -> &SessionReport {
        &self.report
    }

    /// The update that a session file with the same content would give. `first`: the session was not announced
    /// before.
    pub(super) fn update(&mut self, name: &Arc<str>, event: Option<UsageEvent>, first: bool) -> SourceEvent {
        if !first || self.updates == 0 {
            self.updates += 1;
        }
        let hash = |what: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            what(&mut hasher);
            hasher.finish()
        };
        let whose = hash(&|hasher| name.hash(hasher));
        let which = hash(&|hasher| (self.report.agent.word(), &self.report.id).hash(hasher));
        let read = ReadTo { file: FileIdentity(whose, which), offset: self.updates };
        let update = FileUpdate {
            session: self.session(name),
            usage: event.into_iter().collect(),
            limits: Vec::new(),
            skipped: Skipped::default(),
            first,
        };
        SourceEvent::Updated { file: self.file(), update: Box::new(update), read: Some(read) }
    }

    fn session(&self, name: &Arc<str>) -> Session {
        let SessionReport { place, .. } = &self.report;
        let report = &self.report;
        let unplaced = PlaceReport::default();
        let place = place.as_deref().unwrap_or(&unplaced);
        let text = |text: &Option<String>| text.as_deref().map(Arc::from);
        Session {
            agent: report.agent,
            id: report.id.clone(),
            home: far::named(name, self.home().unwrap_or_default()),
            surface: report.surface,
            visible: report.parent.is_none() && report.visible,
            parent: text(&report.parent),
            forked_from: text(&place.forked_from),
            process: None,
            cwd: place
                .cwd
                .as_deref()
                .filter(|folder| !folder.is_empty())
                .map(|folder| far::named(name, folder)),
            other_folders: place.been.iter().map(|folder| far::named(name, folder)).collect(),
            has_unlisted_folders: place.lost,
            branch: text(&report.branch),
            model: Arc::new(Model {
                name: text(&report.model),
                effort: text(&report.effort),
                service_tier: text(&report.service_tier),
            }),
            file_begun_at: None,
            used_before: None,
            started_at: report.started_at,
            timer_from: place.timer_from.or(report.started_at),
            last_event_at: report.last_event_at,
            last_token_event_at: report.last_usage_at,
            turn: self.turn.as_deref().map(Box::from),
            usage: report.usage,
            counting: report.counting,
            lower_bound: report.lower_bound,
            restored: report.restored,
            context: report.context,
            context_used: None,
            work: self.work(place),
            has_ended: report.activity == Activity::Idle,
            helpers: None,
            registration: None,
            far: Some(Box::new(Far {
                host: Arc::clone(name),
                project: report.project.clone(),
                vouched_at: self.vouched_at,
            })),
        }
    }

    /// The work that gives the reported activity.
    fn work(&self, place: &PlaceReport) -> Work {
        let since = self.report.last_event_at;
        match self.report.activity {
            Activity::Idle | Activity::Waiting => Work { ended_at: since, ..Work::default() },
            Activity::LimitReached => {
                let until = since.map(|since| Box::new(later(since, LIMITED)));
                Work { ended_at: since, limited_until: until, ..Work::default() }
            }
            Activity::Thinking => Work { turn_open: true, ..Work::default() },
            activity => {
                let is_tool = activity == Activity::Running && place.tool;
                let activity = if is_tool { Activity::Tool } else { activity };
                let file = place.file.clone().or_else(|| self.report.file.clone());
                let doing = Doing { activity, file };
                Work { turn_open: true, calls: vec![(None, doing)], ..Work::default() }
            }
        }
    }
}
