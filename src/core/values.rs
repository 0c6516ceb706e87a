//! The values of a template's words, and the hover text, for one session.
//!
//! Privacy has been applied before. A value ignores its length; [`crate::fit`] asks for it at each level.
//! Read next: [`crate::card`], which builds the lines.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::activity::Activity;
use crate::card::{CardFacts, CardWindow};
use crate::fit::{LONGEST, Level, Part};
use crate::names::{last_part, model_name, neutralise};
use crate::numbers::figures;
use crate::privacy::Allowed;
use crate::template::{Template, Word};
use crate::time::clock;

/// The separator between the parts of a value and of the hover text.
const SEPARATOR: &str = " · ";

/// The number of rate-limit windows that fit on a card.
const MOST_WINDOWS: usize = 3;

/// The window that is most useful to friends, and is dropped last.
const WEEKLY: &str = "weekly";

/// The names that a card's lines show, fit for display. Names that no line shows are left out, so two cards with
/// equal names differ in figures alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    activity: Option<String>,
    project: Option<String>,
    branch: Option<String>,
    file: Option<String>,
    model: Option<String>,
    effort: Option<String>,
    home: Option<String>,
}

impl Names {
    /// The names that `allowed` lets through and `lines` show.
    ///
    /// `{activity}` includes the current file and the project if no line has a word for them.
    pub(crate) fn new(facts: &CardFacts, allowed: Allowed, lines: [&Template; 2]) -> Self {
        let uses = |word| lines.iter().any(|line| line.uses(word));
        let shown = |show: bool, name: &Option<String>, clean: fn(&str) -> String| {
            // The part that no line has room for is dropped. Two more clusters than fit are kept, so that the cut
            // shows `…`: the first may be a space, which is trimmed.
            let mut name = name.as_deref().filter(|_| show).map(clean)?;
            if name.len() > LONGEST + 2 {
                name = name.graphemes(true).take(LONGEST + 2).collect();
            }
            Some(name).filter(|name| !name.is_empty())
        };
        let folderless: fn(&str) -> String = |name| neutralise(last_part(name));

        let at_hand = matches!(facts.activity, Activity::Editing | Activity::Reading);
        let file_in_activity = uses(Word::Activity) && !uses(Word::File) && at_hand;
        let project_in_activity = uses(Word::Activity) && !uses(Word::Project);
        let file = shown(allowed.file && (uses(Word::File) || file_in_activity), &facts.file, folderless);
        let project = shown(
            allowed.project && (uses(Word::Project) || project_in_activity),
            &facts.project,
            folderless,
        );

        let mut activity = facts.activity.verb().to_owned();
        if let Some(file) = file.as_deref().filter(|_| file_in_activity) {
            activity = format!("{activity} {file}");
        }
        if let Some(project) = project.as_deref().filter(|_| project_in_activity) {
            activity = format!("{activity} in {project}");
        }
        Self {
            activity: uses(Word::Activity).then_some(activity),
            project,
            branch: shown(allowed.branch && uses(Word::Branch), &facts.branch, neutralise),
            file,
            model: shown(uses(Word::Model), &facts.model, model_name),
            effort: shown(uses(Word::Effort), &facts.effort, neutralise),
            home: shown(uses(Word::Home), &facts.home, neutralise),
        }
    }
}

/// One card's values, at the moment `now` in the user's `zone`.
pub(crate) struct Values<'a> {
    pub(crate) facts: &'a CardFacts,
    pub(crate) names: &'a Names,
    pub(crate) zone: &'a TimeZone,
    pub(crate) now: Timestamp,
}

impl Values<'_> {
    /// The value of `word` at `level`; `None` if it is not known or dropped.
    pub(crate) fn of(&self, word: Word, level: Level) -> Option<String> {
        match word {
            Word::Agent => Some(self.facts.agent.card_name().to_owned()),
            Word::Activity => self.names.activity.clone(),
            Word::Project => self.names.project.clone(),
            Word::Branch => self.names.branch.clone(),
            Word::File => self.names.file.clone(),
            Word::Model => self.names.model.clone(),
            Word::Effort => self.names.effort.clone(),
            Word::Tokens => self.tokens(level),
            Word::Limits => self.limits(level),
            Word::Context => self.context(level),
            Word::Pace => self.pace(level),
            Word::Home => self.names.home.clone(),
        }
    }

    /// `+1.89K | 24.1K | 46.2K tokens`; `None` if no figure at this level is known.
    fn tokens(&self, level: Level) -> Option<String> {
        let triplet = &self.facts.triplet;
        let figures = figures(triplet, self.facts.counting, |figure| level.number(figure));
        let slots = [
            (Part::Delta, triplet.delta.is_some()),
            (Part::Last, triplet.last.is_some()),
            (Part::Total, triplet.total.is_some()),
        ];
        let kept: Vec<_> =
            slots.into_iter().zip(figures).filter(|((part, _), _)| level.keeps(*part)).collect();
        let any_known = kept.iter().any(|((_, is_known), _)| *is_known);
        let figures: Vec<String> = kept.into_iter().map(|(_, figure)| figure).collect();
        any_known.then(|| format!("{} tokens", figures.join(" | ")))
    }

    /// The mark before a total that is still being counted.
    fn about(&self) -> &'static str {
        if self.facts.counting { "~" } else { "" }
    }

    /// `5h 64% · weekly 47% left (as of 14:20)`
    fn limits(&self, level: Level) -> Option<String> {
        let windows: Vec<String> = self
            .windows()
            .filter(|(part, _)| level.keeps(*part))
            .map(|(_, window)| format!("{} {}%", window.label, window.remaining_percent.min(100)))
            .collect();
        if windows.is_empty() {
            return None;
        }
        let as_of = self.facts.limits_as_of.map(|at| format!(" (as of {})", self.clock(at)));
        Some(format!("{} left{}", windows.join(SEPARATOR), as_of.unwrap_or_default()))
    }

    /// The windows on the card, each with the part at which it is dropped: the weekly one last (else the longest), of
    /// the others the longest first.
    fn windows(&self) -> impl Iterator<Item = (Part, &CardWindow)> {
        let windows = || self.facts.windows.iter().take(MOST_WINDOWS).enumerate();
        let (last, _) =
            windows().find(|(_, window)| window.label == WEEKLY).or_else(|| windows().next_back()).unzip();
        let mut others = 0;
        windows().map(move |(index, window)| {
            let part = if Some(index) == last {
                Part::LastWindow
            } else {
                others += 1;
                if others == 1 { Part::ShorterWindow } else { Part::ThirdWindow }
            };
            (part, window)
        })
    }

    /// `context 87% left`
    fn context(&self, level: Level) -> Option<String> {
        let left = self.facts.context_remaining_percent.filter(|_| level.keeps(Part::Context))?;
        Some(format!("context {}% left", left.min(100)))
    }

    /// `5h empty about 16:40` for the window that is used up first, else `lasts until reset`. The window is named if
    /// the others differ.
    fn pace(&self, level: Level) -> Option<String> {
        if !level.keeps(Part::Context) {
            return None;
        }
        let windows = || self.windows().map(|(_, window)| window);
        let known = || windows().filter_map(|window| Some((window, window.pace?)));
        let first = known().filter_map(|(window, pace)| Some((pace.empty_at()?, window, pace)));
        let (window, pace) = first
            .min_by_key(|(at, ..)| *at)
            .map(|(_, window, pace)| (window, pace))
            .or_else(|| known().next())?;
        let text = pace.text(self.now, self.zone);
        let holds_of_all = windows().all(|other| other.pace == Some(pace));
        Some(if holds_of_all { text } else { format!("{} {text}", window.label) })
    }

    /// `in 40.3K (+ 262K cached) · out 5.86K (reasoning 4.47K) · context 87% left · 5h resets 14:20`
    pub(crate) fn hover(&self, level: Level) -> String {
        let total = self.facts.total.filter(|_| level.keeps(Part::Total));
        let about = self.about();
        let number = |figure| level.number(figure);
        let input = total.map(|total| match total.cached_input {
            0 => format!("in {about}{}", number(total.fresh_input())),
            cached => format!("in {about}{} (+ {} cached)", number(total.fresh_input()), number(cached)),
        });
        let output = total.map(|total| match total.reasoning {
            0 => format!("out {about}{}", number(total.output)),
            reasoning => format!("out {about}{} (reasoning {})", number(total.output), number(reasoning)),
        });
        let parts = [input, output, self.context(level), self.next_reset(level)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(SEPARATOR)
    }

    /// The next reset of the shortest window that has one: `5h resets 14:20`.
    fn next_reset(&self, level: Level) -> Option<String> {
        let ahead = |window: &&CardWindow| window.resets_at.is_some_and(|at| at > self.now);
        let window = self.facts.windows.iter().find(ahead).filter(|_| level.keeps(Part::ShorterWindow))?;
        Some(format!("{} resets {}", window.label, self.clock(window.resets_at?)))
    }

    fn clock(&self, at: Timestamp) -> String {
        clock(at, self.now, self.zone)
    }
}
