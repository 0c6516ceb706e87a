//! The tokens of a session that none of its lines contains: `/compact`, side questions, titles, the end of a broken
//! answer.
//!
//! At the end of a process Claude Code records the tokens of the whole session (`cost-state`), over all its processes
//! and with helpers. The rest after subtracting all lines, those of helpers included, belongs to the session itself.
//! If it cannot be separated from a helper's use, or is less than the lines contain, it is ignored: a total that is
//! too small is better than a wrong one.

use jiff::Timestamp;

use super::Row;
use crate::usage::Tokens;

/// The accounts of one file.
#[derive(Debug, Default)]
pub(super) struct Spent {
    /// The account from which the others count; `None` before the first usable one.
    from: Option<Account>,
    /// The newest account.
    newest: Account,
    /// Accounts for which the helpers' tokens are not known yet.
    pending: Vec<Pending>,
    /// The tokens that no line contains, of earlier counts and the current one.
    before: Tokens,
    now: Tokens,
    /// The number of calls that start helpers.
    calls: usize,
}

/// The tokens so far, by the account and by lines.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    reported: Tokens,
    listed: Tokens,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    at: Timestamp,
    reported: Tokens,
    /// The tokens in the file's own lines.
    own: Tokens,
    calls: usize,
    /// Whether lines since the account before were copied from elsewhere.
    copied: bool,
    /// When the session continued.
    until: Option<Timestamp>,
}

impl Spent {
    /// An account, after a line with this time.
    pub(super) fn report(&mut self, at: Timestamp, reported: Tokens, own: Tokens, copied: bool) {
        let calls = self.calls;
        self.pending.push(Pending { at, reported, own, calls, copied, until: None });
    }

    /// The session continues.
    pub(super) fn goes_on(&mut self, at: Timestamp) {
        for pending in self.pending.iter_mut().filter(|pending| pending.until.is_none() && pending.at < at) {
            pending.until = Some(at);
        }
    }

    /// Whether there were any accounts.
    pub(super) fn has_accounts(&self) -> bool {
        self.from.is_some() || !self.pending.is_empty()
    }

    /// A helper is started.
    pub(super) fn called(&mut self) {
        self.calls += 1;
    }

    /// Whether helpers' rows are needed: for accounts that lines follow, or for all of them.
    pub(super) fn wants_helpers(&self, at_end: bool) -> bool {
        self.pending.iter().any(|pending| at_end || pending.until.is_some())
    }

    /// The sum of tokens that no line contains.
    pub(super) fn unlisted(&self) -> Tokens {
        self.before.plus(&self.now)
    }

    /// Takes the rows of the helpers' files, one list each, without messages that count elsewhere. Returns each rise
    /// of the tokens that no line contains, with the time of the line before.
    pub(super) fn set_helpers(&mut self, helpers: &[Vec<Row>], at_end: bool) -> Vec<(Timestamp, Tokens)> {
        let mut risen = Vec::new();
        for pending in
            self.pending.extract_if(.., |pending| at_end || pending.until.is_some()).collect::<Vec<_>>()
        {
            let before = self.unlisted();
            self.account(&pending, helpers);
            let added = self.unlisted().minus(&before);
            if !added.is_zero() {
                risen.push((pending.at, added));
            }
        }
        risen
    }

    fn account(&mut self, pending: &Pending, helpers: &[Vec<Row>]) {
        let of_helpers = used(helpers, pending.until);
        let account =
            Account { reported: pending.reported, listed: pending.own.plus(&of_helpers.unwrap_or_default()) };
        let fell = account.reported != account.reported.plus(&self.newest.reported.minus(&account.reported));
        if fell {
            // Another count, from zero.
            self.before = self.before.plus(&self.now);
            self.now = Tokens::ZERO;
            self.from = Some(Account { reported: Tokens::ZERO, ..self.newest });
        } else if pending.copied {
            // A copy's count may or may not include the tokens of its original.
            self.before = self.before.plus(&self.now);
            self.now = Tokens::ZERO;
            self.from = Some(account);
        }
        let from = *self.from.get_or_insert_default();
        self.newest = account;
        if of_helpers.is_none() || helpers.len() < pending.calls {
            return;
        }
        let (reported, listed) = (account.reported.minus(&from.reported), account.listed.minus(&from.listed));
        let rest = reported.minus(&listed);
        if rest.plus(&listed) == reported && rest == rest.plus(&self.now.minus(&rest)) {
            self.now = rest;
        }
    }
}

/// The tokens of helpers before a time; `None` if lines are known to have less than was used.
fn used(helpers: &[Vec<Row>], until: Option<Timestamp>) -> Option<Tokens> {
    let mut sum = Tokens::ZERO;
    for rows in helpers {
        let mut best = std::collections::BTreeMap::<_, Row>::new();
        for row in rows.iter().filter(|row| until.is_none_or(|until| row.at < until)) {
            let known = best.entry(row.marks().next()).or_insert(*row);
            if row.tokens.output >= known.tokens.output {
                *known = *row;
            }
        }
        if best.values().any(|row| row.at_least) {
            return None;
        }
        sum = best.values().fold(sum, |sum, row| sum.plus(&row.tokens));
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Response;

    fn tokens(input: u64, output: u64) -> Tokens {
        Tokens { input, output, ..Tokens::ZERO }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn row(second: i64, used: Tokens) -> Row {
        let response = Response { input: u64::try_from(second).unwrap(), ..Response::default() };
        Row { message: 1, response, at: at(second), tokens: used, at_least: false }
    }

    /// The tokens that no line contains after all accounts. Each account comes with the tokens of the lines before
    /// it.
    fn rest(accounts: &[(u64, u64)], helpers: &[Vec<Row>]) -> u64 {
        let mut spent = Spent::default();
        let mut sum = 0;
        for (second, (reported, own)) in (0..).zip(accounts) {
            spent.report(at(second), tokens(*reported, 0), tokens(*own, 0), false);
            sum += spent.set_helpers(helpers, true).iter().map(|(_, added)| added.input).sum::<u64>();
        }
        sum
    }

    #[test]
    fn usage_without_lines_counts_once() {
        assert_eq!(rest(&[(100, 70)], &[]), 30);
        assert_eq!(rest(&[(100, 70), (100, 70), (150, 120)], &[]), 30);
        assert_eq!(rest(&[(100, 70), (150, 110)], &[]), 40);
        assert_eq!(rest(&[(100, 100), (150, 150)], &[]), 0);
    }

    #[test]
    fn a_falling_account_starts_another_count() {
        assert_eq!(rest(&[(100, 70), (20, 80)], &[]), 40);
        assert_eq!(rest(&[(100, 70), (10, 80), (45, 90)], &[]), 55);
    }

    #[test]
    fn an_account_below_its_lines_is_ignored() {
        assert_eq!(rest(&[(100, 170)], &[]), 0);
        // Two processes, each with its own account.
        assert_eq!(rest(&[(150, 220), (170, 220)], &[]), 0);
        let mut spent = Spent::default();
        spent.report(at(1), tokens(100, 5), tokens(50, 6), false);
        assert_eq!(spent.set_helpers(&[], true), []);
    }

    #[test]
    fn usage_of_helpers_is_subtracted() {
        let helper = vec![row(1, tokens(9, 0)), row(1, tokens(10, 0)), row(2, tokens(20, 0))];
        assert_eq!(rest(&[(100, 60)], std::slice::from_ref(&helper)), 10);
        let lost = vec![Row { at_least: true, ..row(1, tokens(10, 1)) }];
        assert_eq!(rest(&[(100, 60)], &[helper.clone(), lost]), 0, "the helper's share is not known");
        let mut spent = Spent::default();
        spent.called();
        spent.report(at(1), tokens(100, 0), tokens(60, 0), false);
        assert_eq!(spent.set_helpers(&[], true), [], "a helper's file is not there");
    }

    #[test]
    fn later_helpers_are_not_subtracted() {
        let mut spent = Spent::default();
        spent.report(at(1), tokens(100, 0), tokens(60, 0), false);
        assert!(!spent.wants_helpers(false));
        spent.goes_on(at(10));
        assert!(spent.wants_helpers(false));
        let helper = vec![row(5, tokens(10, 0)), row(11, tokens(500, 0))];
        assert_eq!(spent.set_helpers(&[helper], false), [(at(1), tokens(30, 0))]);
    }

    #[test]
    fn the_first_account_of_a_copy_is_its_start() {
        let mut spent = Spent::default();
        spent.report(at(1), tokens(1_000, 0), tokens(60, 0), true);
        spent.report(at(2), tokens(1_100, 0), tokens(130, 0), false);
        assert_eq!(spent.set_helpers(&[], true), [(at(2), tokens(30, 0))]);
    }
}
