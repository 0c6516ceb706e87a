//! The end of a process: the sums of each model, for the whole session.
//!
//! The sums continue over resumed processes; in early versions they cover only the process. A sum adds its difference
//! to the largest one before. A sum that falls starts a new count, unless it equals an earlier one: then it belongs
//! to another process that had the session open and did nothing.

use std::collections::BTreeMap;

use crate::source::Counters;
use crate::usage::Tokens;

/// How many sums of a model are remembered.
const MOST_EARLIER: usize = 64;

/// The ends of the processes of one session.
#[derive(Debug, Default)]
pub(super) struct Exits {
    models: BTreeMap<String, Model>,
    /// The tokens of all ends together.
    sum: Tokens,
    /// Whether unknown tokens before them may be part of their sums.
    is_lost: bool,
    /// The same for copied messages, until the copy of an end includes them.
    is_copy_untold: bool,
}

#[derive(Debug, Default)]
struct Model {
    /// The newest sum.
    reported: Counters,
    /// The sums before it.
    earlier: Vec<Counters>,
    /// The tokens of copied lines that no sum before them included.
    copied: Counters,
    /// The output of the current process's messages.
    output: u64,
}

impl Exits {
    /// Notes a message of the model, with its output.
    pub(super) fn message(&mut self, model: &str, output: u64) {
        let model = self.models.entry(model.to_owned()).or_default();
        model.output = model.output.saturating_add(output);
    }

    /// Notes a call that was copied from another session. Sums of this session continue from it.
    pub(super) fn copied_call(&mut self, model: &str, used: &Counters) {
        let model = self.models.entry(model.to_owned()).or_default();
        model.copied = plus(&model.copied, used);
    }

    /// Notes a copied message without a line about its usage.
    pub(super) fn copied_message(&mut self) {
        self.is_copy_untold = true;
    }

    /// Lines were left out.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// A process begins.
    pub(super) fn begin(&mut self) {
        self.models.values_mut().for_each(|model| model.output = 0);
    }

    /// Notes the end of a process that was copied from another session.
    pub(super) fn copied_end(&mut self, sums: &[(String, Counters)]) {
        self.is_copy_untold &= sums.is_empty();
        for (name, sum) in sums {
            self.models.entry(name.clone()).or_default().tell(*sum);
        }
    }

    /// The end of a process: the tokens of all ends together; `None` if they cannot be known.
    pub(super) fn end(&mut self, sums: &[(String, Counters)]) -> Option<Tokens> {
        for (name, sum) in sums {
            let model = self.models.entry(name.clone()).or_default();
            let before = plus(&model.reported, &model.copied);
            let is_of_process_alone = model.output > 0
                && sum.output == model.output
                && sum.output != before.output.saturating_add(model.output);
            if model.earlier.contains(sum) && !is_of_process_alone {
                continue;
            }
            let added = if is_of_process_alone || is_below(sum, &before) { *sum } else { sum.minus(&before) };
            self.sum = self.sum.plus(&added.tokens());
            model.tell(*sum);
        }
        self.begin();
        Some(self.sum).filter(|_| !self.is_lost && !self.is_copy_untold)
    }
}

impl Model {
    fn tell(&mut self, sum: Counters) {
        let before = std::mem::replace(&mut self.reported, sum);
        self.copied = Counters::default();
        if before != sum {
            self.earlier.push(before);
            let surplus = self.earlier.len().saturating_sub(MOST_EARLIER);
            self.earlier.drain(..surplus);
        }
    }
}

/// Whether a sum has fallen. Reasoning is left out of sums as soon as one call has none.
fn is_below(sum: &Counters, before: &Counters) -> bool {
    Counters { reasoning: before.reasoning, ..*sum }.is_below(before)
}

fn plus(one: &Counters, other: &Counters) -> Counters {
    Counters {
        input: one.input.saturating_add(other.input),
        cached_input: one.cached_input.saturating_add(other.cached_input),
        cache_write: one.cache_write.saturating_add(other.cache_write),
        output: one.output.saturating_add(other.output),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        total: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(model: &str, input: u64, output: u64) -> (String, Counters) {
        (model.to_owned(), Counters { input, output, reasoning: output / 2, ..Counters::default() })
    }

    fn blended(reported: Option<Tokens>) -> Option<u64> {
        reported.map(|reported| reported.blended())
    }

    #[test]
    fn sums_continue_over_resumed_processes() {
        let mut exits = Exits::default();
        assert_eq!(blended(exits.end(&[sum("haiku", 10, 35)])), Some(45));
        assert_eq!(blended(exits.end(&[sum("haiku", 10, 35), sum("mini", 800, 88)])), Some(45 + 888));
        assert_eq!(blended(exits.end(&[sum("haiku", 20, 40), sum("mini", 800, 88)])), Some(45 + 888 + 15));
    }

    #[test]
    fn a_sum_that_falls_is_a_new_count() {
        let mut exits = Exits::default();
        exits.end(&[sum("haiku", 100, 30)]);
        assert_eq!(blended(exits.end(&[sum("haiku", 20, 5)])), Some(130 + 25));
        assert_eq!(blended(exits.end(&[sum("haiku", 30, 9)])), Some(130 + 39));
    }

    #[test]
    fn a_sum_equal_to_an_earlier_one_is_another_process_s() {
        let mut exits = Exits::default();
        exits.end(&[sum("haiku", 100, 30)]);
        exits.end(&[sum("haiku", 150, 40)]);
        assert_eq!(blended(exits.end(&[sum("haiku", 100, 30)])), Some(190));
        assert_eq!(blended(exits.end(&[sum("haiku", 160, 40)])), Some(200));
    }

    #[test]
    fn missing_reasoning_is_not_a_fall() {
        let mut exits = Exits::default();
        exits.end(&[sum("haiku", 100, 30)]);
        let (model, without) = sum("haiku", 110, 40);
        let reported = exits.end(&[(model, Counters { reasoning: 0, ..without })]);
        assert_eq!(blended(reported), Some(150));
    }

    #[test]
    fn sums_of_a_single_process_are_recognised_by_its_messages() {
        let mut exits = Exits::default();
        exits.message("haiku", 30);
        exits.end(&[sum("haiku", 100, 30)]);
        exits.begin();
        exits.message("haiku", 50);
        assert_eq!(blended(exits.end(&[sum("haiku", 400, 50)])), Some(130 + 450));
        exits.begin();
        exits.message("haiku", 7);
        assert_eq!(blended(exits.end(&[sum("haiku", 500, 57)])), Some(130 + 450 + 107));
    }

    #[test]
    fn copied_usage_does_not_count() {
        let mut exits = Exits::default();
        exits.copied_end(&[sum("haiku", 100, 30)]);
        exits.copied_call("haiku", &sum("", 5, 5).1);
        assert_eq!(blended(exits.end(&[sum("haiku", 117, 40)])), Some(17));
        exits.copied_message();
        assert_eq!(exits.end(&[sum("haiku", 117, 40)]), None, "it may have what that message used");
    }

    #[test]
    fn no_figures_change_nothing() {
        let mut exits = Exits::default();
        exits.end(&[sum("haiku", 100, 30)]);
        assert_eq!(blended(exits.end(&[])), Some(130));
    }
}
