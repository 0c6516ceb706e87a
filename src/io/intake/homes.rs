//! The homes to read: how far their file events can be trusted, and their problems.
//!
//! Read next: `folders`, their content.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Home;
use super::scan::{Candidate, LimitsSearch};
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
    /// When to try those again whose error may be temporary.
    retry_at: Option<Duration>,
    /// The reported problems.
    problems: BTreeMap<(&'static str, Arc<str>), String>,
}

#[derive(Debug)]
struct HomeState {
    home: Arc<Home>,
    trust: Trust,
    /// Whether some of its folders could not be watched.
    refused: bool,
    limits: LimitsSearch,
    limits_known: bool,
}

impl Homes {
    /// Removes all homes but these; returns the removed ones.
    pub(super) fn retain(&mut self, homes: &[Home]) -> Vec<Arc<Home>> {
        let dropped = self.states.extract_if(.., |state| !homes.contains(&state.home));
        let dropped: Vec<_> = dropped.map(|state| state.home).collect();
        for home in &dropped {
            self.unreadable.retain(|_, of| !Arc::ptr_eq(of, home));
            self.problems.retain(|(_, label), _| *label != home.label);
        }
        dropped
    }

    /// Adds a home; `None` if it is there already.
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

    /// The homes without events for files that their writers keep open.
    pub(super) fn untold(&self) -> impl Iterator<Item = Arc<Home>> {
        let untold = |state: &&HomeState| state.refused || state.trust > Trust::Events;
        self.states.iter().filter(untold).map(|state| Arc::clone(&state.home))
    }

    pub(super) fn any_is_polled(&self) -> bool {
        self.states.iter().any(HomeState::is_polled)
    }

    /// Whether there are no events for new files of a home.
    pub(super) fn is_polled(&self, home: &Arc<Home>) -> bool {
        self.states.iter().any(|state| Arc::ptr_eq(&state.home, home) && state.is_polled())
    }

    /// Whether watching is useful in a home.
    pub(super) fn is_watched(&self, home: &Arc<Home>) -> bool {
        let is_unheard = |state: &HomeState| state.trust == Trust::Nothing;
        !self.states.iter().any(|state| Arc::ptr_eq(&state.home, home) && is_unheard(state))
    }

    /// Handles a found session tree of `home`. `relied_on`: its events are used.
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

    /// Reports a folder of `home` that could not be watched.
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

    /// Takes the homes with folders that could not be watched, for another try.
    pub(super) fn take_refused(&mut self) -> Vec<Arc<Home>> {
        let refused =
            |state: &mut HomeState| std::mem::take(&mut state.refused).then(|| Arc::clone(&state.home));
        self.states.iter_mut().filter_map(refused).collect()
    }

    /// After another try: reports the end of the problem, unless a folder failed again.
    pub(super) fn tried_again(&mut self, home: &Arc<Home>) -> Option<SourceEvent> {
        match self.state(home) {
            Some(state) if !state.refused => self.problem(home, WATCH_LIMIT, None),
            _ => None,
        }
    }

    /// Reports a file or folder that could not be read. It is tried again at its next event and at every rescan, and at
    /// `soon` if the error may end by itself: no free file descriptors, a disk error.
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

    /// Notes that a file or folder could be read, or is gone.
    pub(super) fn readable_again(&mut self, path: &Path) -> Option<SourceEvent> {
        let home = self.unreadable.remove(path)?;
        if self.unreadable.values().any(|other| Arc::ptr_eq(other, &home)) {
            return None;
        }
        self.problem(&home, UNREADABLE, None)
    }

    /// When to try unreadable files and folders again.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    /// The unreadable files and folders, to be tried now.
    pub(super) fn retry(&mut self) -> Vec<PathBuf> {
        self.retry_at = None;
        self.unreadable.keys().cloned().collect()
    }

    /// Reports a problem once, and its end once.
    fn problem(&mut self, home: &Home, key: &'static str, message: Option<String>) -> Option<SourceEvent> {
        let place = (key, Arc::clone(&home.label));
        let news = match &message {
            Some(text) => self.problems.insert(place, text.clone()).is_none(),
            None => self.problems.remove(&place).is_some(),
        };
        news.then(|| SourceEvent::Problem { key, home: Arc::clone(&home.label), message })
    }

    /// Whether an old file of this age may have limits that are needed.
    pub(super) fn wants_old(&mut self, home: &Arc<Home>, modified: Timestamp) -> bool {
        self.state(home).is_some_and(|state| state.limits.wants(modified))
    }

    /// Offers an old file that may have the limits, if no live file has them.
    pub(super) fn offer_old(&mut self, home: &Arc<Home>, found: Candidate) {
        // A compressed file can be read only from its beginning, and is older than any limit.
        let is_packed = found.path.extension().is_some_and(|extension| extension == "zst");
        if let Some(state) = self.state(home).filter(|_| !is_packed) {
            state.limits.offer(found);
        }
    }

    /// Notes the limits of a file of `home`: if they have those of the card, no older file is read for them.
    pub(super) fn limits_found(&mut self, home: &Arc<Home>, limits: &[Snapshot]) {
        let is_main = |limits: &Snapshot| limits.family == main_family(limits.agent);
        if let Some(state) = self.state(home).filter(|_| limits.iter().any(is_main)) {
            state.limits = LimitsSearch::Done;
            state.limits_known = true;
        }
    }

    /// Whether old files are still searched for limits.
    pub(super) fn searches(&self) -> bool {
        self.states.iter().any(|state| !state.limits.is_done())
    }

    /// The next old file that may have limits.
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
