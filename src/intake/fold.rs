//! What the intake asks of the one who understands the bytes.
//!
//! The intake moves bytes and knows no line of them; [`SessionFile`] is the fold of the daemon, tests have simpler ones.
//! Read next: `tail`, which feeds a fold.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::core::file::{FileUpdate, LineageRequest, SessionFile, UsageRow};
use crate::core::limits::{Snapshot, main_family};
use crate::core::source::Agent;

/// Bytes of one file in, updates out; see [`SessionFile`] for what each method promises.
pub trait Fold: Send + Sized + 'static {
    /// What is new since the last time.
    type Update: Update;

    /// A file about to be read from its first byte.
    fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self;
    /// Where the file lies, before its first byte.
    fn locate(&mut self, _: &Path) {}
    /// The next bytes.
    fn push(&mut self, bytes: &[u8]);
    /// Nothing more comes for now; whether a last line without its end counts from here on.
    fn end_line(&mut self) -> bool;
    /// How many bytes at the end belong to a line that does not count yet.
    fn unfinished(&self) -> u64;
    /// Bytes are left out here.
    fn jump(&mut self);
    /// Whether reading further back than the last jump gains nothing.
    fn tail_suffices(&self) -> bool;
    /// The end is reached for now.
    fn caught_up(&mut self);
    /// Whose usage rows are needed.
    fn lineage_wanted(&self) -> Option<LineageRequest>;
    /// Those rows.
    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]);
    /// The rows of what counts as the file's own, once that is decided.
    fn counted(&self) -> Option<Vec<UsageRow>> {
        None
    }
    /// Whether the rows of the sub-agents' files are needed.
    fn helpers_wanted(&self) -> bool {
        false
    }
    /// Those rows, file by file.
    fn set_helpers(&mut self, _: &[Vec<UsageRow>]) {}
    /// Another file of the same conversation may get the same lines.
    fn share(&mut self) {}
    /// What is new.
    fn take_update(&mut self) -> Option<Self::Update>;
    /// Who the file says it is, once known.
    fn head(&self) -> Option<Head>;
}

/// What the beginning of a file says of its relations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The conversation it belongs to.
    pub id: String,
    /// The conversation that it was copied from or started by.
    pub parent: Option<String>,
    /// Whether it shows by itself that it was copied.
    pub copy: bool,
    /// The first line's own id, which copies keep; only Claude Code's lines have one.
    pub first_line: Option<String>,
    /// Whether another conversation started it.
    pub subagent: bool,
}

/// The little that the intake needs to see of an update.
pub trait Update: Send + 'static {
    /// Whether the limits on the card are among its limits.
    fn tells_main_limits(&self) -> bool;
    /// Its limits alone.
    fn into_limits(self) -> Vec<Snapshot>;
    /// The time of its newest usage event.
    fn last_usage(&self) -> Option<Timestamp>;
    /// Takes out usage events not newer than `until`: they have been announced.
    fn forget_usage(&mut self, until: Timestamp);
}

impl Fold for SessionFile {
    type Update = FileUpdate;

    fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        Self::new(agent, home, live_since)
    }

    fn locate(&mut self, path: &Path) {
        self.locate(path);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.push(bytes);
    }

    fn end_line(&mut self) -> bool {
        self.end_line()
    }

    fn unfinished(&self) -> u64 {
        self.unfinished()
    }

    fn jump(&mut self) {
        self.jump();
    }

    fn tail_suffices(&self) -> bool {
        self.tail_suffices()
    }

    fn caught_up(&mut self) {
        self.caught_up();
    }

    fn lineage_wanted(&self) -> Option<LineageRequest> {
        self.lineage_wanted()
    }

    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        self.set_lineage(candidates);
    }

    fn counted(&self) -> Option<Vec<UsageRow>> {
        self.counted()
    }

    fn helpers_wanted(&self) -> bool {
        self.helpers_wanted(true)
    }

    fn set_helpers(&mut self, helpers: &[Vec<UsageRow>]) {
        self.set_helpers(helpers, true);
    }

    fn share(&mut self) {
        self.share();
    }

    fn take_update(&mut self) -> Option<FileUpdate> {
        self.take_update()
    }

    fn head(&self) -> Option<Head> {
        let (id, parent) = self.family()?;
        Some(Head {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            copy: self.is_copy(),
            first_line: self.first_line().map(str::to_owned),
            subagent: self.is_subagent(),
        })
    }
}

impl Update for FileUpdate {
    fn tells_main_limits(&self) -> bool {
        self.limits.iter().any(|limits| limits.family == main_family(limits.agent))
    }

    fn into_limits(self) -> Vec<Snapshot> {
        self.limits
    }

    fn last_usage(&self) -> Option<Timestamp> {
        self.usage.iter().map(|event| event.at).max()
    }

    fn forget_usage(&mut self, until: Timestamp) {
        self.usage.retain(|event| event.added.is_none() || event.at > until);
    }
}
