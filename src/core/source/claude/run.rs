//! Tokens of a `claude -p` run that its results contain and its messages do not.
//!
//! A result has two figures. `usage` covers one turn of the conversation itself; in some versions all turns so far.
//! It shows which messages the result ends, because messages have exact input counts: while helpers work, a result is
//! held back and comes after the messages of later turns. `modelUsage` covers everything, helpers and side models
//! included, and adds up over the results of a process. A resumed session may begin with its earlier tokens, which
//! `model_usage_since_last_result` leaves out. If it is more than `usage`, it covers the whole run.
//! Read next: [`super::Stream`], which reads the lines.

use std::collections::BTreeMap;

use crate::source::Message;
use crate::usage::Tokens;

/// The figures of one result.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ResultFigures {
    /// The tokens of one turn of the conversation, or of all.
    pub(super) usage: Option<Tokens>,
    /// The tokens of all models so far.
    pub(super) models: Option<Tokens>,
    /// The part of them that no earlier result contained.
    pub(super) since_last: Option<Tokens>,
    /// The result's number in its process.
    pub(super) index: Option<u64>,
}

/// The last call of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastCall {
    /// Its message, if there was one.
    pub(super) message: Option<u128>,
    /// Its tokens, with those of the turn that no message contained.
    pub(super) tokens: Tokens,
}

/// The tokens of a run so far.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// By message.
    reported: BTreeMap<u128, Tokens>,
    all: Tokens,
    /// Without helpers.
    main: Tokens,
    /// Since the last result.
    since_result: Sum,
    /// The conversation's messages of turns without a result yet, in order.
    open: Vec<u128>,
    /// The tokens that results contained by model for this run.
    whole: Tokens,
    /// The last result's tokens by model, and its number.
    models: Option<Tokens>,
    index: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    all: Tokens,
    main: Tokens,
}

impl Run {
    /// The known tokens of a message.
    pub(super) fn reported(&self, message: u128) -> Tokens {
        self.reported.get(&message).copied().unwrap_or_default()
    }

    /// Adds a message, new or with more tokens.
    pub(super) fn tell(&mut self, message: &Message) {
        let known = self.reported.insert(message.id, message.tokens);
        let before = known.unwrap_or_default();
        let replace = |sum: &mut Tokens| *sum = sum.minus(&before).plus(&message.tokens);
        replace(&mut self.all);
        replace(&mut self.since_result.all);
        if message.main {
            replace(&mut self.main);
            replace(&mut self.since_result.main);
            if known.is_none() {
                self.open.push(message.id);
            }
        }
    }

    /// Adds a result, which ends a turn.
    pub(super) fn result(&mut self, figures: ResultFigures) -> LastCall {
        let ResultFigures { usage, models, .. } = figures;
        let (message, of_turn) = match usage {
            Some(usage) if usage.is_zero() => (None, usage),
            Some(usage) => self.end(&usage),
            None => (self.open.drain(..).next_back(), Tokens::ZERO),
        };
        let added = self.by_model(figures);
        let tells_more = models.is_some_and(|models| covers(&models, &usage.unwrap_or_default()));
        let rest = if tells_more {
            self.whole = self.whole.plus(&added);
            self.whole.minus(&self.all)
        } else {
            self.whole = self.all.plus(&of_turn);
            of_turn
        };
        self.all = self.all.plus(&rest);
        self.main = self.main.plus(&of_turn);
        self.since_result = Sum::default();
        let Some(id) = message else { return LastCall { message, tokens: rest } };
        let tokens = self.reported.entry(id).or_default();
        *tokens = tokens.plus(&rest);
        LastCall { message, tokens: *tokens }
    }

    /// Ends the turns of a `usage`: the last message, and the tokens that the messages lack.
    fn end(&mut self, usage: &Tokens) -> (Option<u128>, Tokens) {
        let all = self.open.len();
        let of_open = self.open.iter().fold(Tokens::ZERO, |sum, message| sum.plus(&self.reported(*message)));
        let mut sum = Tokens::ZERO;
        let parts = self.open.iter().enumerate().flat_map(|(at, message)| {
            let before = sum;
            sum = sum.plus(&self.reported(*message));
            // A run that was broken off has no result: its remaining messages precede those of the next one.
            [(at + 1, sum), (all, of_open.minus(&before))]
        });
        let wholes = [self.main, self.since_result.all, self.all].map(|sum| (all, sum));
        // Input is exact, so a usage has all input of its messages and hardly more; the first of equals is used.
        let distance = |(_, sum): &(usize, Tokens)| {
            let (sum, usage) = (input(sum), input(usage));
            (!covers(&usage, &sum), sum.all().abs_diff(usage.all()))
        };
        let (ended, reported) = parts.chain(wholes).min_by_key(distance).unwrap_or_default();
        (self.open.drain(..ended).next_back(), usage.minus(&reported))
    }

    /// The tokens by model that this result adds to the earlier ones.
    fn by_model(&mut self, figures: ResultFigures) -> Tokens {
        let Some(models) = figures.models else { return Tokens::ZERO };
        let before = self.models.replace(models).unwrap_or_default();
        let last = std::mem::replace(&mut self.index, figures.index);
        if let Some(since_last) = figures.since_last {
            return since_last;
        }
        // Another process may count from zero, or continue its session's counts.
        let same_process = last.is_some() && last < figures.index;
        let added = models.minus(&before);
        let goes_on = covers(&models, &before) && covers(&added, &input(&self.since_result.main));
        if same_process || goes_on { added } else { models }
    }
}

fn input(tokens: &Tokens) -> Tokens {
    Tokens { output: 0, reasoning: 0, ..*tokens }
}

fn covers(tokens: &Tokens, others: &Tokens) -> bool {
    others.minus(tokens).is_zero()
}
