//! The record of usage events: the file of an event, the files that are too old, and the events that are missing.
//!
//! A line is the event as `watch --json` prints it. At every start a session's figures are reported again, as
//! restored. They are recorded only if the record has other figures, or none: they then fill a gap.
//! Read next: `cmd::daemon::record`, which writes the files.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use crate::report::UsageReport;
use crate::time::later;
use crate::usage::Tokens;

/// The name of the file for events at `at`: the month in UTC, e.g. `2026-11.jsonl`.
pub fn file_name(at: Timestamp) -> String {
    at.strftime("%Y-%m.jsonl").to_string()
}

/// The end of the month of such a file; `None` for any other name.
pub fn ends_at(name: &str) -> Option<Timestamp> {
    let month = name.strip_suffix(".jsonl")?;
    let first: Date = format!("{month}-01").parse().ok()?;
    let begins_at = first.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let next = first.checked_add(1.month()).ok()?;
    (file_name(begins_at) == name).then(|| next.to_zoned(TimeZone::UTC).ok().map(|next| next.timestamp()))?
}

/// Whether everything in the file with that name is older than `keep`.
pub fn is_too_old(name: &str, keep: Duration, now: Timestamp) -> bool {
    ends_at(name).is_some_and(|end| later(end, keep) <= now)
}

/// The newest line of each session in the record.
#[derive(Debug, Default)]
pub struct RecordIndex {
    newest: BTreeMap<String, Newest>,
}

/// The newest line of one session.
#[derive(Debug, Clone, Copy)]
struct Newest {
    total: Option<Tokens>,
    /// Whether the line is from an earlier daemon, so that its event may be reported again.
    was_there: bool,
}

/// The fields of a line that are needed.
#[derive(Deserialize)]
struct Line {
    session: String,
    usage: Totals,
}

#[derive(Deserialize)]
struct Totals {
    total: Option<Tokens>,
}

impl RecordIndex {
    /// Reads lines of the record, oldest first. Lines that are not records are ignored.
    pub fn read(&mut self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n') {
            if let Ok(Line { session, usage }) = serde_json::from_slice(line) {
                self.newest.insert(session, Newest { total: usage.total, was_there: true });
            }
        }
    }

    /// Whether the record lacks this event.
    pub fn lacks(&self, usage: &UsageReport) -> bool {
        let total = usage.usage.session_total_tokens;
        match self.newest.get(&usage.session) {
            None => true,
            Some(newest) if usage.restored => newest.total != total,
            // If the clock was set back between two daemons, the second one reports old lines as new.
            Some(newest) if newest.was_there => {
                let all = |total: Option<Tokens>| total.map(|total| total.all());
                all(total) > all(newest.total)
            }
            Some(_) => true,
        }
    }

    /// Notes that this event was recorded.
    pub fn note(&mut self, usage: &UsageReport) {
        let newest = Newest { total: usage.usage.session_total_tokens, was_there: false };
        match self.newest.get_mut(&usage.session) {
            Some(place) => *place = newest,
            None => {
                self.newest.insert(usage.session.clone(), newest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Event, EventKind};
    use crate::source::Agent;
    use crate::usage::{Triplet, Usage};

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn usage(session: &str, total: u64, restored: bool) -> UsageReport {
        let total = Some(Tokens { input: total, ..Tokens::ZERO });
        UsageReport {
            session: session.to_owned(),
            agent: Agent::CODEX,
            host: None,
            turn: None,
            tokens: Triplet::default(),
            usage: Usage { session_total_tokens: total, ..Usage::default() },
            restored,
            call: None,
            unlisted: false,
        }
    }

    fn line(usage: UsageReport) -> String {
        let event = Event { at: at("2026-11-20T10:00:00Z"), kind: EventKind::Usage(usage) };
        serde_json::to_string(&event).unwrap() + "\n"
    }

    #[test]
    fn months_are_those_of_utc() {
        assert_eq!(file_name(at("2026-11-30T23:59:59.999Z")), "2026-11.jsonl");
        assert_eq!(file_name(at("2026-12-01T00:00:00Z")), "2026-12.jsonl");
        assert_eq!(file_name(at("2026-12-01T00:30:00+01:00")), "2026-11.jsonl");
        assert_eq!(ends_at("2026-11.jsonl"), Some(at("2026-12-01T00:00:00Z")));
        assert_eq!(ends_at("2026-12.jsonl"), Some(at("2027-01-01T00:00:00Z")));
    }

    #[test]
    fn other_file_names_have_no_month() {
        for name in [
            "2026-13.jsonl",
            "2026-1.jsonl",
            "26-01.jsonl",
            "2026-01.json",
            "2026-01.jsonl.bak",
            "2026-01-01.jsonl",
            "x2026-01.jsonl",
            "+2026-01.jsonl",
            " 2026-01.jsonl",
            "２０２６-01.jsonl",
            ".jsonl",
            "",
        ] {
            assert_eq!(ends_at(name), None, "{name}");
            assert!(!is_too_old(name, Duration::ZERO, Timestamp::MAX), "{name}");
        }
    }

    #[test]
    fn a_file_is_too_old_when_its_last_moment_is() {
        let check = |name: &str, keep: Duration, now: &str, expected: bool| {
            assert_eq!(is_too_old(name, keep, at(now)), expected, "{name} {keep:?} {now}");
        };
        check("2026-10.jsonl", DAY, "2026-11-01T23:59:59Z", false);
        check("2026-10.jsonl", DAY, "2026-11-02T00:00:00Z", true);
        check("2025-10.jsonl", 365 * DAY, "2026-10-31T23:59:59Z", false);
        check("2025-10.jsonl", 365 * DAY, "2026-11-01T00:00:00Z", true);
        check("2026-11.jsonl", DAY, "2026-11-20T00:00:00Z", false);
        check("2027-01.jsonl", DAY, "2026-11-20T00:00:00Z", false);
        check("2026-10.jsonl", Duration::MAX, "2026-11-20T00:00:00Z", false);
    }

    #[test]
    fn recorded_restored_figures_are_not_a_gap() {
        let mut recorded = RecordIndex::default();
        recorded.read((line(usage("a", 5, false)) + &line(usage("a", 7, false))).as_bytes());
        assert!(!recorded.lacks(&usage("a", 7, true)));
        assert!(recorded.lacks(&usage("a", 9, true)), "something came in between");
        assert!(recorded.lacks(&usage("a", 5, true)), "the file was replaced by an older one");
        assert!(recorded.lacks(&usage("b", 7, true)), "another session");
    }

    #[test]
    fn recorded_events_are_not_recorded_again_as_new() {
        let mut recorded = RecordIndex::default();
        recorded.read(line(usage("a", 7, false)).as_bytes());
        assert!(!recorded.lacks(&usage("a", 5, false)) && !recorded.lacks(&usage("a", 7, false)));
        let next = usage("a", 9, false);
        assert!(recorded.lacks(&next));
        recorded.note(&next);
        assert!(recorded.lacks(&usage("a", 8, false)), "what one daemon tells is what it tells");
        assert!(!recorded.lacks(&usage("a", 9, true)));
        assert!(recorded.lacks(&usage("b", 1, false)));
    }

    #[test]
    fn invalid_lines_are_ignored() {
        let mut recorded = RecordIndex::default();
        recorded.read(b"\n{}\nnull\n\xff\xfe\n{\"session\":1}\n\0\0\0");
        recorded.read(line(usage("a", 7, false)).as_bytes());
        recorded.read(b"{\"session\":\"a\",\"usage\":{\"total\":");
        assert!(!recorded.lacks(&usage("a", 7, true)));
    }
}
