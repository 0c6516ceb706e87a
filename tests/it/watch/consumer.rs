//! A program that reads `watch --json` and accounts for every token.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use agent_presence::core::report::{Event, EventKind, UsageReport};
use agent_presence::core::usage::Tokens;

use crate::support::PATIENCE;
use crate::support::home::Home;

/// What is known of one session from its events alone.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The total that its last event told.
    pub(super) total: Tokens,
    /// How many events were no restored figures.
    pub(super) events: usize,
    /// How many were.
    pub(super) restored: usize,
}

/// The reader, and the program that it reads.
pub(super) struct Consumer {
    child: Child,
    lines: Receiver<String>,
    pub(super) accounts: BTreeMap<String, Account>,
    /// The events that were not usage, by their kind.
    pub(super) others: Vec<String>,
}

impl Consumer {
    pub(super) fn start(home: &Home) -> Self {
        let mut command = home.command("watch --json");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let _ended = out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        Self { child, lines, accounts: BTreeMap::new(), others: Vec::new() }
    }

    /// Reads until the accounts are as wanted.
    #[track_caller]
    pub(super) fn read_until(&mut self, wanted: impl Fn(&BTreeMap<String, Account>) -> bool) {
        while !wanted(&self.accounts) {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("waited in vain: {:#?}", self.accounts);
            };
            self.take(&line);
        }
    }

    /// Reads until there have been so many events.
    #[track_caller]
    pub(super) fn read_events(&mut self, more: usize) {
        let wanted = self.events() + more;
        self.read_until(|accounts| accounts.values().map(|account| account.events).sum::<usize>() >= wanted);
    }

    pub(super) fn events(&self) -> usize {
        self.accounts.values().map(|account| account.events).sum()
    }

    /// How many restored events there were of each session.
    pub(super) fn restored(&self) -> Vec<usize> {
        self.accounts.values().map(|account| account.restored).collect()
    }

    fn take(&mut self, line: &str) {
        let event: Event = serde_json::from_str(line).unwrap();
        match event.kind {
            EventKind::Usage(usage) => self.account(&usage),
            EventKind::Status | EventKind::About { .. } => panic!("{line}"),
            EventKind::Activity { activity, .. } => self.others.push(format!("activity {}", activity.word())),
            EventKind::Limits(_) => self.others.push("limits".to_owned()),
            EventKind::Session { ended, .. } => self.others.push(format!("session ended: {ended}")),
            EventKind::Card { card } => self.others.push(format!("card: {}", card.is_some())),
        }
    }

    /// Each event goes on exactly where the one before it ended.
    fn account(&mut self, usage: &UsageReport) {
        let account = self.accounts.entry(usage.session.clone()).or_default();
        let total = usage.usage.session_total_tokens.unwrap();
        if usage.restored {
            account.restored += 1;
        } else {
            account.events += 1;
            let added = usage.usage.session_delta_tokens.unwrap();
            assert_eq!(total, account.total.plus(&added), "{usage:?} after {account:?}");
        }
        account.total = total;
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
