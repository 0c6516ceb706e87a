//! The last report of every source, and their combination.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::sources::{merged, void_before};
use super::{Snapshot, main_family};
use crate::source::Agent;

/// How many sources of one family are remembered; each takes a few hundred bytes in the state folder.
const SOURCES: usize = 16;

/// How many families of one home are remembered besides the main one.
const FAMILIES: usize = 16;

/// How many windows one report may have.
const WINDOWS: usize = 8;

/// The longest name that is kept, in bytes. No agent has longer ones.
const LONGEST_NAME: usize = 256;

/// Agent, home, family.
type Key = (Agent, Arc<str>, String);

/// A session, and whether the report comes from a refused request.
type Source = (Option<String>, bool);

/// The limits of every agent, home and family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LimitsBook {
    families: BTreeMap<Key, Family>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Family {
    reports: BTreeMap<Source, Snapshot>,
    /// Their combination.
    combined: Option<Snapshot>,
}

impl LimitsBook {
    /// Stores reports in the order of arrival; returns the combination of each family that has changed.
    pub fn learn(&mut self, reports: impl IntoIterator<Item = Snapshot>) -> Vec<&Snapshot> {
        let mut before: BTreeMap<Key, Option<Snapshot>> = BTreeMap::new();
        for report in reports {
            let key = (report.agent, Arc::clone(&report.home), report.family.clone());
            if !self.has_room(&key, &report) {
                continue;
            }
            let family = self.families.entry(key.clone()).or_default();
            before.entry(key).or_insert_with(|| family.combined.clone());
            family.learn(report);
        }
        self.families.retain(|_, family| !family.reports.is_empty());
        let combined = |(key, before): (Key, Option<Snapshot>)| {
            let combined = self.families.get(&key)?.combined.as_ref();
            combined.filter(|combined| before.as_ref() != Some(*combined))
        };
        before.into_iter().filter_map(combined).collect()
    }

    /// Whether a report has content, and not more than agents send.
    fn has_room(&self, key: &Key, report: &Snapshot) -> bool {
        let is_short = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= LONGEST_NAME);
        let names = [&report.name, &report.plan, &report.source_session];
        let is_sane = names.into_iter().all(is_short)
            && report.family.len() <= LONGEST_NAME
            && report.windows.len() <= WINDOWS
            && report.windows.iter().all(|window| window.used_percent.is_finite());
        let (agent, home, name) = key;
        let others = || self.families.keys().filter(|(of, at, _)| (of, at) == (agent, home)).count();
        let is_known = self.families.contains_key(key);
        is_sane
            && (!report.windows.is_empty() || report.refusal && is_known)
            && (is_known || *name == main_family(*agent) || others() < FAMILIES)
    }

    /// Moves times after `wall` to `wall`. Such times are from before the clock was set back, and would outrank every
    /// event until the clock reaches them again.
    pub fn not_after(&mut self, wall: Timestamp) {
        for family in self.families.values_mut() {
            let is_late = |report: &Snapshot| report.observed_at > wall || report.fell_at > Some(wall);
            if family.reports.values().any(is_late) {
                let void_before = void_before(family.reports.values());
                for report in family.reports.values_mut() {
                    report.held_before(wall, void_before);
                }
                family.combined = merged(family.reports.values());
            }
        }
    }

    /// The main family of one home.
    pub fn main(&self, agent: Agent, home: &Arc<str>) -> Option<&Snapshot> {
        let key = (agent, Arc::clone(home), main_family(agent).to_owned());
        self.families.get(&key)?.combined.as_ref()
    }

    /// All families, ordered by agent, home and family.
    pub fn iter(&self) -> impl Iterator<Item = &Snapshot> + Clone {
        self.families.values().filter_map(|family| family.combined.as_ref())
    }

    /// The last report of each source, from which another book can be filled.
    pub fn reports(&self) -> impl Iterator<Item = &Snapshot> + Clone {
        self.families.values().flat_map(|family| family.reports.values())
    }
}

impl Family {
    fn learn(&mut self, mut report: Snapshot) {
        let source = (report.source_session.clone(), report.refusal);
        let known = self.reports.get(&source);
        let report = match (known, report.first.take()) {
            (Some(known), Some(first)) => known.followed_by(&first).followed_by(&report),
            (Some(known), None) => known.followed_by(&report),
            (None, Some(first)) => first.followed_by(&report),
            (None, None) => report,
        };
        if known == Some(&report) {
            return;
        }
        if report.windows.is_empty() {
            self.reports.remove(&source);
        } else {
            self.reports.insert(source, report);
        }
        self.combined = merged(self.reports.values());
        if self.reports.len() > SOURCES {
            self.forget();
        }
    }

    /// Forgets the oldest report that makes no difference.
    fn forget(&mut self) {
        let void_before = void_before(self.reports.values());
        let mut by_age: Vec<_> =
            self.reports.iter().map(|(source, report)| (report.observed_at, source)).collect();
        by_age.sort_unstable();
        let makes_none = |source: &Source| {
            let rest = self.reports.iter().filter(|(other, _)| *other != source).map(|(_, report)| report);
            self::void_before(rest.clone()) == void_before && merged(rest) == self.combined
        };
        let forgotten = by_age.into_iter().map(|(_, source)| source).find(|source| makes_none(source));
        if let Some(source) = forgotten.cloned() {
            self.reports.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Window;
    use super::super::sources::tests::{book, claude, combined, of};
    use super::*;

    #[test]
    fn void_reports_stay_void_after_the_clock_was_set_back() {
        let falls = [claude("a", 5_000, [80.0, 60.0]), claude("a", 5_030, [5.0, 2.0])];
        let old = claude("b", 5_020, [80.0, 60.0]);
        let mut book = book(falls.iter().chain([&old]));
        book.not_after(Timestamp::from_second(1_000).unwrap());
        assert_eq!(combined(&book), Some((1_000, vec![5.0, 2.0])));
        book.learn([old]);
        book.not_after(Timestamp::from_second(1_001).unwrap());
        let kept: Vec<Snapshot> = book.reports().cloned().collect();
        assert_eq!(combined(&self::book(&kept)), Some((1_000, vec![5.0, 2.0])));
        book.learn([claude("b", 1_002, [6.0, 2.0])]);
        assert_eq!(combined(&book), Some((1_002, vec![6.0, 2.0])));
    }

    #[test]
    fn limits_stored_by_an_earlier_version_are_read() {
        let kept = r#"[{"agent":"claude","home":"home","family":"claude","name":null,"plan":null,
            "observed_at":"1970-01-01T00:00:10Z","source_session":"a","windows":[
                {"minutes":300,"used_percent":80.0,"resets_at":"1970-01-01T02:46:40Z"},
                {"minutes":10080,"used_percent":60.0,"resets_at":"1970-01-06T18:53:20Z"}]}]"#;
        let kept: Vec<Snapshot> = serde_json::from_str(kept).unwrap();
        assert_eq!(combined(&book(&kept)), Some((10, vec![80.0, 60.0])));
        // The next report of its own session is a fall.
        assert_eq!(
            combined(&book(kept.iter().chain([&claude("a", 30, [5.0, 2.0])]))),
            Some((30, vec![5.0, 2.0]))
        );
    }

    #[test]
    fn memory_is_bounded_and_no_valid_report_is_forgotten() {
        let mut book = LimitsBook::default();
        book.learn([claude("high", 1, [90.0, 1.0])]);
        for number in 0..1_000 {
            book.learn([claude(&format!("s{number}"), 10 + number, [50.0, 20.0])]);
        }
        assert_eq!(book.reports().count(), SOURCES);
        assert_eq!(book.iter().next().map(|combined| combined.windows[0].used_percent), Some(90.0));
        // The time of a fall stays, even if its source is the oldest.
        book.learn([claude("high", 2_000, [3.0, 1.0])]);
        for number in 0..1_000 {
            book.learn([claude(&format!("t{number}"), 3_000 + number, [4.0, 2.0])]);
        }
        book.learn([claude("old", 1_500, [90.0, 20.0])]);
        assert_eq!(combined(&book).map(|(_, used)| used), Some(vec![4.0, 2.0]));
        for number in 0..1_000 {
            let family = format!("model {number}");
            book.learn([Snapshot { family, ..claude("a", 10, [1.0, 1.0]) }]);
        }
        book.learn([Snapshot { family: "x".repeat(10_000), ..claude("a", 10, [1.0, 1.0]) }]);
        book.learn([Snapshot { windows: vec![Window::default(); 1_000], ..claude("a", 9_000, [1.0, 1.0]) }]);
        let kept = serde_json::to_vec_pretty(&book.reports().collect::<Vec<_>>()).unwrap();
        assert!(book.iter().count() <= 1 + FAMILIES && kept.len() < 32 << 10, "{}", kept.len());
    }

    #[test]
    fn a_report_without_windows_hides_no_other_report() {
        let mut book = book(&[claude("a", 10, [1.0, 2.0])]);
        assert!(book.learn([of(Agent::CLAUDE, Some("a"), 20, &[])]).is_empty());
        assert_eq!(combined(&book), Some((10, vec![1.0, 2.0])));
    }
}
