//! The homes that are read: which they are, how far their file systems can be trusted, what is wrong with them.
//!
//! Read next: `folders`, for what is in them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::scan::{Found, LimitsSearch};
use super::watch::{self, Trust};
use crate::core::limits::{Snapshot, main_family};
use crate::core::source_event::SourceEvent;
use crate::io::fs_watch::WatchError;

const WATCH_LIMIT: &str = "watch-limit";
const NETWORK_FOLDER: &str = "network-folder";
const UNREADABLE: &str = "unreadable-session";

#[derive(Debug, Default)]
pub(super) struct Homes {
    states: Vec<HomeState>,
    /// Files and folders that could not be read.
    unreadable: BTreeMap<PathBuf, Arc<Home>>,
    /// When to try those of them again that failed for a reason that may pass by itself.
    retry_at: Option<Duration>,
    /// What has been told to be wrong.
    problems: BTreeMap<(&'static str, Arc<str>), String>,
}

#[derive(Debug)]
struct HomeState {
    home: Arc<Home>,
    trust: Trust,
    /// Some of its folders could not be watched.
    refused: bool,
    limits: LimitsSearch,
    limits_known: bool,
}

impl Homes {
    /// From now on there are no others than these. Those that there were.
    pub(super) fn retain(&mut self, homes: &[Home]) -> Vec<Arc<Home>> {
        let dropped = self.states.extract_if(.., |state| !homes.contains(&state.home));
        let dropped: Vec<_> = dropped.map(|state| state.home).collect();
        for home in &dropped {
            self.unreadable.retain(|_, of| !Arc::ptr_eq(of, home));
            self.problems.retain(|(_, label), _| *label != home.label);
        }
        dropped
    }

    /// Adds a home, unless it is one of them.
    pub(super) fn add(&mut self, home: Home) -> Option<Arc<Home>> {
        if self.states.iter().any(|state| *state.home == home) {
            return None;
        }
        let home = Arc::new(home);
        self.states.push(HomeState {
            trust: watch::trust(&home.path),
            refused: false,
            limits_known: false,
            limits: LimitsSearch::Done,
            home: Arc::clone(&home),
        });
        Some(home)
    }

    /// The homes whose open files are not told of.
    pub(super) fn untold(&self) -> impl Iterator<Item = Arc<Home>> {
        let untold = |state: &&HomeState| state.refused || state.trust > Trust::Events;
        self.states.iter().filter(untold).map(|state| Arc::clone(&state.home))
    }

    pub(super) fn any_is_polled(&self) -> bool {
        self.states.iter().any(HomeState::is_polled)
    }

    /// Whether new files of a home are not told of.
    pub(super) fn is_polled(&self, home: &Arc<Home>) -> bool {
        self.states.iter().any(|state| Arc::ptr_eq(&state.home, home) && state.is_polled())
    }

    /// Whether watching is of use in a home.
    pub(super) fn is_watched(&self, home: &Arc<Home>) -> bool {
        let is_unheard = |state: &HomeState| state.trust == Trust::Nothing;
        !self.states.iter().any(|state| Arc::ptr_eq(&state.home, home) && is_unheard(state))
    }

    /// A session tree of `home` has been found at `folder`. `relied_on`: events are to tell what happens there.
    pub(super) fn found_tree(
        &mut self,
        home: &Arc<Home>,
        folder: &Path,
        relied_on: bool,
    ) -> Option<SourceEvent> {
        let trust = watch::trust(folder);
        if let Some(state) = self.state(home) {
            state.trust = trust;
            if !state.limits_known && home.agent.spec().limits.in_files {
                state.limits.begin();
            }
        }
        let label = &home.label;
        let message = (trust == Trust::Network && relied_on).then(|| {
            format!(
                "could not rely on file events in {label}: \
                 it is on a network file system, so sessions in use are polled"
            )
        });
        self.problem(home, NETWORK_FOLDER, message)
    }

    /// A folder of `home` could not be watched.
    pub(super) fn refused(&mut self, home: &Arc<Home>, refused: WatchError) -> Option<SourceEvent> {
        if refused == WatchError::Missing {
            return None;
        }
        if let Some(state) = self.state(home) {
            state.refused = true;
        }
        let hint = refused.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        let label = &home.label;
        let message = format!(
            "could not watch every session folder in {label}: {refused}, so sessions in use are polled{hint}"
        );
        self.problem(home, WATCH_LIMIT, Some(message))
    }

    /// Takes the homes some of whose folders could not be watched, for another try.
    pub(super) fn take_refused(&mut self) -> Vec<Arc<Home>> {
        let refused =
            |state: &mut HomeState| std::mem::take(&mut state.refused).then(|| Arc::clone(&state.home));
        self.states.iter_mut().filter_map(refused).collect()
    }

    /// After another try: it is over, unless some could not be watched again.
    pub(super) fn tried_again(&mut self, home: &Arc<Home>) -> Option<SourceEvent> {
        match self.state(home) {
            Some(state) if !state.refused => self.problem(home, WATCH_LIMIT, None),
            _ => None,
        }
    }

    /// A file or folder could not be read. It is tried again at its next event and at every rescan, and `soon` where
    /// nobody needs to do anything for it to pass: a system without file descriptors, a disk with a hiccup.
    pub(super) fn unreadable(
        &mut self,
        home: &Arc<Home>,
        path: &Path,
        error: &io::Error,
        soon: Duration,
    ) -> Option<SourceEvent> {
        self.unreadable.insert(path.to_owned(), Arc::clone(home));
        let lasting = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput);
        if !lasting {
            self.retry_at = Some(self.retry_at.map_or(soon, |at| at.min(soon)));
        }
        let message = format!("could not read a session in {}: {error}", home.label);
        self.problem(home, UNREADABLE, Some(message))
    }

    /// A file or folder could be read, or is gone.
    pub(super) fn mended(&mut self, path: &Path) -> Option<SourceEvent> {
        let home = self.unreadable.remove(path)?;
        if self.unreadable.values().any(|other| Arc::ptr_eq(other, &home)) {
            return None;
        }
        self.problem(&home, UNREADABLE, None)
    }

    /// When to try again what could not be read.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    /// What could not be read, to be tried again now.
    pub(super) fn retry(&mut self) -> Vec<PathBuf> {
        self.retry_at = None;
        self.unreadable.keys().cloned().collect()
    }

    /// Tells of a problem once, and once that it is over.
    fn problem(&mut self, home: &Home, key: &'static str, message: Option<String>) -> Option<SourceEvent> {
        let place = (key, Arc::clone(&home.label));
        let news = match &message {
            Some(text) => self.problems.insert(place, text.clone()).is_none(),
            None => self.problems.remove(&place).is_some(),
        };
        news.then(|| SourceEvent::Problem { key, home: Arc::clone(&home.label), message })
    }

    /// Whether an old file of this age may tell the limits.
    pub(super) fn wants_old(&mut self, home: &Arc<Home>, modified: Timestamp) -> bool {
        self.state(home).is_some_and(|state| state.limits.wants(modified))
    }

    /// An old file may tell the limits, should no live one do.
    pub(super) fn offer_old(&mut self, home: &Arc<Home>, found: Found) {
        // A compressed file is read from its beginning alone, and is older than any limit.
        let is_packed = found.path.extension().is_some_and(|extension| extension == "zst");
        if let Some(state) = self.state(home).filter(|_| !is_packed) {
            state.limits.offer(found);
        }
    }

    /// A file of `home` has told these: no older one is asked when the limits on the card are among them.
    pub(super) fn limits_found(&mut self, home: &Arc<Home>, limits: &[Snapshot]) {
        let is_main = |limits: &Snapshot| limits.family == main_family(limits.agent);
        if let Some(state) = self.state(home).filter(|_| limits.iter().any(is_main)) {
            state.limits = LimitsSearch::Done;
            state.limits_known = true;
        }
    }

    /// Whether limits are still looked for in old files.
    pub(super) fn searches(&self) -> bool {
        self.states.iter().any(|state| !state.limits.is_done())
    }

    /// The next old file that may tell them.
    pub(super) fn next_old(&mut self) -> Option<(Arc<Home>, PathBuf)> {
        let state = self.states.iter_mut().find(|state| !state.limits.is_done())?;
        Some((Arc::clone(&state.home), state.limits.next()?))
    }

    fn state(&mut self, home: &Arc<Home>) -> Option<&mut HomeState> {
        self.states.iter_mut().find(|state| Arc::ptr_eq(&state.home, home))
    }
}

impl HomeState {
    fn is_polled(&self) -> bool {
        self.refused || self.trust >= Trust::Network
    }
}
