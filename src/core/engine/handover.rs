//! What one engine leaves to the next, so that those who listen to both hear everything once.
//!
//! The session files are read anew, but what the first engine has told of them is no news. Read next: the engine's
//! `updated`, for everything that is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Engine, Known};
use crate::core::activity::Activity;
use crate::core::file::FileUpdate;
use crate::core::report::CardReport;
use crate::core::source_event::{FileId, FileIdentity, ReadTo};
use crate::core::time::Now;

/// How far one session file was read, and what was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How far it was read.
    #[serde(flatten)]
    pub read: ReadTo,
    /// The activity that was told last.
    pub activity: Activity,
    /// Whether its session has ended, or was never said to have begun.
    pub ended: bool,
    /// Whether its figures are still to be told, once it goes on.
    pub untold: bool,
}

/// What an earlier engine has told.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// Of files that were not met yet; `None` once all that are there have been.
    pub(super) files: Option<BTreeMap<FileIdentity, Progress>>,
    /// The card that is shown.
    pub(super) card: Option<CardReport>,
}

impl Engine {
    /// Goes on where another engine left off. Belongs before the first input.
    pub fn inherit(&mut self, files: &[Progress], card: Option<CardReport>) {
        let files = files.iter().map(|progress| (progress.read.file, *progress)).collect();
        self.inherited = Inherited { files: Some(files), card };
    }

    /// Whether files may be missing that the engine before knew.
    pub fn is_inheriting(&self) -> bool {
        self.inherited.files.is_some()
    }

    /// What was told of the files that were read whole, as far as their updates were handed in.
    pub fn progress(&self) -> Vec<Progress> {
        let progress = |known: &Known| {
            let (activity, ended) = (known.activity, known.ended);
            Some(Progress { read: known.read?, activity, ended, untold: known.untold.is_some() })
        };
        let met = self.files.values().filter_map(progress);
        met.chain(self.inherited.files.iter().flat_map(BTreeMap::values).copied()).collect()
    }

    /// A file as the earlier engine left it: nothing is told.
    pub(super) fn resumed(&mut self, now: Now, file: FileId, update: FileUpdate, read: Option<ReadTo>) {
        let FileUpdate { mut session, usage, limits, skipped } = update;
        let files = self.inherited.files.as_mut();
        let told = read.and_then(|read| files?.remove(&read.file));
        session.not_after(now.wall);
        let mut known = Known { skipped, read, ..Known::unheard(session) };
        if let Some(told) = told {
            (known.activity, known.ended) = (told.activity, told.ended);
            known.untold = usage.into_iter().next_back().filter(|_| told.untold);
        }
        self.files.insert(file, known);
        for snapshot in limits {
            self.learn(now, snapshot);
        }
    }
}
