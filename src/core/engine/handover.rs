//! What one engine leaves to the next, so that a listener to both gets every event once.
//!
//! The session files are read again, but what the first engine has reported of them is not new. Read next: `report_state`,
//! which decides what is new.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::activity::Activity;
use crate::register::RegisterHandover;
use crate::report::CardReport;
use crate::source_event::{FileIdentity, ReadTo};

/// How far one session file was read, and what was reported of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The position up to which it was read.
    #[serde(flatten)]
    pub read: ReadTo,
    /// The last reported activity.
    pub activity: Activity,
    /// Whether its session has ended, or its beginning was never reported.
    pub ended: bool,
    /// Whether its figures have to be reported once it continues.
    pub untold: bool,
}

/// What an earlier engine has reported.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// For files that were not read yet; `None` once all existing ones were.
    pub(super) files: Option<BTreeMap<FileIdentity, Progress>>,
    /// The shown card.
    pub(super) card: Option<CardReport>,
}

impl Inherited {
    /// What was reported of a file, if the file has been read up to the same position.
    pub(super) fn take(&mut self, read: Option<ReadTo>) -> Option<Progress> {
        let (files, read) = (self.files.as_mut()?, read?);
        files.remove(&read.file).filter(|progress| progress.read == read)
    }
}

impl Engine {
    /// Continues with the state of another engine. Call it before the first input.
    pub fn inherit(&mut self, files: &[Progress], registers: &[RegisterHandover], card: Option<CardReport>) {
        self.registers.inherit(registers);
        let files = files.iter().map(|progress| (progress.read.file, *progress)).collect();
        self.inherited = Inherited { files: Some(files), card };
    }

    /// The state of agents' registers, for the next engine.
    pub fn registers(&self) -> Vec<RegisterHandover> {
        self.registers.leave()
    }

    /// Whether another machine listens, or has listened.
    pub fn is_far_heard(&self) -> bool {
        self.is_far_heard
    }

    /// Whether files may be missing that the earlier engine had.
    pub fn is_inheriting(&self) -> bool {
        self.inherited.files.is_some()
    }

    /// What was reported of the files that were read completely, as far as their updates were handed in.
    pub fn progress(&self) -> Vec<Progress> {
        let met = self.files.values().flat_map(|known| {
            known.parts.iter().filter_map(|part| part.read).map(|read| known.reported.progress(read))
        });
        met.chain(self.inherited.files.iter().flat_map(BTreeMap::values).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::{Input, Output};
    use crate::file::SessionFile;
    use crate::publish::Publisher;
    use crate::report::EventKind;
    use crate::settings::Settings;
    use crate::source::Agent;
    use crate::source_event::{FileId, SourceEvent};
    use crate::time::{Now, later};

    const START: Timestamp = Timestamp::constant(1_763_632_800, 0);
    const FILE: FileIdentity = FileIdentity(1, 7);

    fn now(second: u64) -> Now {
        let mono = Duration::from_secs(second);
        Now { mono, wall: later(START, mono) }
    }

    fn engine() -> Engine {
        let settings = Settings::default();
        let publisher = Publisher::new(0, &settings);
        Engine::new(settings, TimeZone::UTC, publisher)
    }

    /// A session's first line, and then usage of ten tokens per second.
    fn lines(seconds: std::ops::Range<u64>) -> String {
        let mut text = String::new();
        for second in seconds {
            let at = later(START, Duration::from_secs(second));
            let payload = if second == 0 {
                format!(r#"{{"id":"s","timestamp":"{at}","cwd":"/app","source":"cli"}}"#)
            } else {
                let count =
                    |n: u64| format!(r#"{{"input_tokens":{n},"output_tokens":0,"total_tokens":{n}}}"#);
                let (total, last) = (count(second * 10), count(10));
                format!(
                    r#"{{"type":"token_count","info":{{"total_token_usage":{total},"last_token_usage":{last}}}}}"#
                )
            };
            let kind = if second == 0 { "session_meta" } else { "event_msg" };
            text += &format!("{{\"timestamp\":\"{at}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n");
        }
        text
    }

    /// A file that was read up to a position.
    struct Followed {
        file: SessionFile,
        offset: u64,
    }

    impl Followed {
        fn new(live_since: Timestamp) -> Self {
            Self { file: SessionFile::new(Agent::CODEX, Arc::from("/home"), live_since), offset: 0 }
        }

        fn read(&mut self, bytes: &str) -> Input {
            self.file.push(bytes.as_bytes());
            self.file.caught_up();
            self.offset += bytes.len() as u64;
            let update = Box::new(self.file.take_update().unwrap());
            let read = Some(ReadTo { file: FILE, offset: self.offset });
            Input::Source(SourceEvent::Updated { file: FileId::new(1), update, read })
        }
    }

    /// The reported events that are printed: usage by its added tokens (nothing for restored figures), others by a
    /// word.
    fn reported(engine: &mut Engine, now: Now, input: Input) -> Vec<String> {
        engine.handle(now, input);
        let outputs = std::iter::from_fn(|| engine.poll_output(now));
        let word = |output| match output {
            Output::Event(event) => Some(match event.kind {
                EventKind::Usage(usage) => {
                    usage.added().map_or("restored".to_owned(), |added| format!("+{}", added.input))
                }
                EventKind::Activity { activity, .. } => activity.word().to_owned(),
                EventKind::Session { ended: true, .. } => "ends".to_owned(),
                EventKind::Session { .. } => "appears".to_owned(),
                EventKind::Limits(_) => "limits".to_owned(),
                EventKind::Status | EventKind::About { .. } => return None,
                EventKind::Card { card } => format!("card {}", card.is_some()),
            }),
            _ => None,
        };
        outputs.filter_map(word).collect()
    }

    /// The handover of an engine after the first three seconds of the session.
    fn left() -> (Vec<Progress>, u64) {
        let mut first = engine();
        let mut file = Followed::new(START);
        let restored = file.read(&lines(0..2));
        assert_eq!(reported(&mut first, now(2), restored), ["appears", "waiting", "+10"]);
        let news = file.read(&lines(2..4));
        assert_eq!(reported(&mut first, now(3), news), ["+10", "+10"]);
        (first.progress(), file.offset)
    }

    #[test]
    fn events_after_the_handover_are_new_and_earlier_ones_are_not_repeated() {
        let (progress, offset) = left();
        assert_eq!(progress.first().map(|progress| progress.read), Some(ReadTo { file: FILE, offset }));
        let progress: Vec<Progress> =
            serde_json::from_slice(&serde_json::to_vec(&progress).unwrap()).unwrap();

        let mut next = engine();
        next.inherit(&progress, &[], None);
        assert!(next.is_inheriting());
        assert_eq!(next.progress(), progress, "files not read yet are handed on");
        let mut file = Followed::new(Timestamp::MAX);
        let resumed = file.read(&lines(0..4));
        assert_eq!(reported(&mut next, now(5), resumed), [""; 0]);
        let news = file.read(&lines(4..6));
        assert_eq!(reported(&mut next, now(5), news), ["+10", "+10"]);
        assert_eq!(reported(&mut next, now(5), Input::Source(SourceEvent::CaughtUp)), [""; 0]);
        assert!(!next.is_inheriting());
        assert_eq!(next.restored(now(5)).len(), 1);
        assert_eq!(reported(&mut next, now(2000), Input::Tick), ["idle", "ends"]);
    }

    /// It went idle between the two engines.
    #[test]
    fn a_session_that_went_idle_between_two_engines_is_reported_as_ended() {
        let (progress, _) = left();
        let mut next = engine();
        next.inherit(&progress, &[], None);
        let resumed = Followed::new(Timestamp::MAX).read(&lines(0..4));
        assert_eq!(reported(&mut next, now(2000), resumed), [""; 0]);
        let caught_up = Input::Source(SourceEvent::CaughtUp);
        assert_eq!(reported(&mut next, now(2000), caught_up), ["idle", "ends"]);
    }

    /// Figures of a session that was always idle are reported when it continues, by any later daemon.
    #[test]
    fn unreported_figures_are_reported_by_a_later_engine() {
        let mut first = engine();
        let restored = Followed::new(Timestamp::MAX).read(&lines(0..4));
        assert_eq!(reported(&mut first, now(2000), restored), [""; 0]);
        let mut next = engine();
        next.inherit(&first.progress(), &first.registers(), None);
        let mut file = Followed::new(Timestamp::MAX);
        let resumed = file.read(&lines(0..4));
        assert_eq!(reported(&mut next, now(2001), resumed), [""; 0]);
        let caught_up = Input::Source(SourceEvent::CaughtUp);
        assert_eq!(reported(&mut next, now(2001), caught_up), [""; 0]);
        let news = file.read(&lines(2001..2002));
        let words = reported(&mut next, now(2002), news);
        assert_eq!(words.iter().filter(|word| *word == "restored").count(), 1, "{words:?}");
        assert_eq!(words.first().map(String::as_str), Some("appears"));
    }

    #[test]
    fn the_inherited_card_is_not_reported_again() {
        let card = crate::report::CardReport {
            name: "Codex".to_owned(),
            details: None,
            state: None,
            large_text: None,
            small_text: None,
            started_at: START,
            member_list: "Codex".to_owned(),
            session: "s".to_owned(),
        };
        let mut next = engine();
        next.inherit(&[], &[], Some(card.clone()));
        assert_eq!(reported(&mut next, now(1), Input::Tick), [""; 0]);
        assert_eq!(next.shown_report(), Some(card));
        let caught_up = Input::Source(SourceEvent::CaughtUp);
        assert_eq!(reported(&mut next, now(1), caught_up), ["card false"], "no card is wanted any more");
        assert_eq!(next.shown_report(), None);
    }
}
