//! The homes that are read: which they are, how far their file systems can be trusted, what is wrong with them.
//!
//! Read next: `folders`, for what is in them.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::Home;
use super::reader::Reader;
use super::scan::{Found, LimitsSearch};
use super::watch::{self, Trust};
use crate::core::limits::{Snapshot, main_family};
use crate::core::source_event::SourceEvent;
use crate::fs_watch::WatchError;

const WATCH_LIMIT: &str = "watch-limit";
const NETWORK_FOLDER: &str = "network-folder";
const UNREADABLE: &str = "unreadable-session";

#[derive(Debug)]
pub(super) struct HomeState {
    pub(super) home: Arc<Home>,
    pub(super) trust: Trust,
    /// Some of its folders could not be watched.
    refused: bool,
    pub(super) limits: LimitsSearch,
    limits_known: bool,
}

impl Reader<'_> {
    /// Reads these homes from now on.
    pub(super) fn set_homes(&mut self, homes: Vec<Home>) -> ControlFlow<()> {
        let dropped: Vec<_> = self.homes.extract_if(.., |state| !homes.contains(&state.home)).collect();
        for HomeState { home, .. } in dropped {
            let roots: Vec<_> =
                self.places.roots.extract_if(.., |root| Arc::ptr_eq(&root.home, &home)).collect();
            for root in roots {
                self.watcher.forget(&root.path);
                self.lose_registers(&root.path)?;
                self.folders.retain(|folder, _| !folder.starts_with(&root.path));
            }
            for id in self.files.ids(|tail| Arc::ptr_eq(&tail.home, &home)) {
                self.forget(id)?;
            }
            self.unreadable.retain(|_, of| !Arc::ptr_eq(of, &home));
            self.problems.retain(|(_, label), _| *label != home.label);
        }
        for home in homes {
            if self.homes.iter().any(|state| *state.home == home) {
                continue;
            }
            let home = Arc::new(home);
            self.places.add(&home);
            self.homes.push(HomeState {
                trust: watch::trust(&home.path),
                refused: false,
                limits_known: false,
                limits: LimitsSearch::Done,
                home,
            });
        }
        self.caught_up = false;
        self.inbox.set_places(&self.places);
        self.seek_roots()
    }

    /// The homes whose open files are not told of.
    pub(super) fn untold(&self) -> impl Iterator<Item = Arc<Home>> {
        let untold = |state: &&HomeState| state.refused || state.trust > Trust::Events;
        self.homes.iter().filter(untold).map(|state| Arc::clone(&state.home))
    }

    pub(super) fn lists(&self) -> bool {
        self.homes.iter().any(|state| self.is_polled(&state.home))
    }

    /// Whether new files of a home are not told of.
    pub(super) fn is_polled(&self, home: &Arc<Home>) -> bool {
        let mut states = self.homes.iter().filter(|state| Arc::ptr_eq(&state.home, home));
        states.any(|state| state.refused || state.trust >= Trust::Network)
    }

    /// A session tree of `home` has been found at `folder`.
    pub(super) fn found_tree(&mut self, home: &Arc<Home>, folder: &Path) -> ControlFlow<()> {
        let trust = watch::trust(folder);
        if let Some(state) = self.state(home) {
            state.trust = trust;
            if !state.limits_known && home.agent.spec().limits.in_files {
                state.limits.begin();
            }
        }
        let label = &home.label;
        let message = (trust == Trust::Network && !self.watcher.is_off()).then(|| {
            format!(
                "could not rely on file events in {label}: \
                 it is on a network file system, so sessions in use are polled"
            )
        });
        self.problem(home, NETWORK_FOLDER, message)
    }

    /// Watches a folder of `home` as far as that is of use.
    pub(super) fn watch(&mut self, home: &Arc<Home>, folder: &Path, level: usize) -> ControlFlow<()> {
        if self.state(home).is_some_and(|state| state.trust == Trust::Nothing) {
            return ControlFlow::Continue(());
        }
        match self.watcher.watch(folder, level) {
            Ok(()) => ControlFlow::Continue(()),
            Err(refused) => self.refused(home, refused),
        }
    }

    /// A folder of `home` could not be watched.
    fn refused(&mut self, home: &Arc<Home>, refused: WatchError) -> ControlFlow<()> {
        if refused == WatchError::Missing {
            return ControlFlow::Continue(());
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

    /// Tries again to watch what could not be watched.
    pub(super) fn retry_watches(&mut self) -> ControlFlow<()> {
        for index in 0..self.homes.len() {
            let Some(state) = self.homes.get_mut(index).filter(|state| state.refused) else { continue };
            state.refused = false;
            let home = Arc::clone(&state.home);
            let folders = self.folders.iter().rev().filter(|(path, _)| self.is_in(path, &home));
            let folders: Vec<_> = folders.map(|(path, folder)| (path.clone(), folder.level)).collect();
            folders.iter().try_for_each(|(folder, level)| self.watch(&home, folder, *level))?;
            let mended = self.homes.get(index).is_some_and(|state| !state.refused);
            if mended {
                self.problem(&home, WATCH_LIMIT, None)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// A file or folder could not be read. It is tried again at its next event and at every rescan, and soon where
    /// nobody needs to do anything for it to pass: a system without file descriptors, a disk with a hiccup.
    pub(super) fn unreadable(&mut self, home: &Arc<Home>, path: &Path, error: &io::Error) -> ControlFlow<()> {
        self.unreadable.insert(path.to_owned(), Arc::clone(home));
        let lasting = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput);
        if !lasting {
            let soon = self.now().mono.saturating_add(self.config.pace.list);
            self.retry_at = Some(self.retry_at.map_or(soon, |at| at.min(soon)));
        }
        let message = format!("could not read a session in {}: {error}", home.label);
        self.problem(home, UNREADABLE, Some(message))
    }

    /// A file or folder could be read, or is gone.
    pub(super) fn mended(&mut self, path: &Path) -> ControlFlow<()> {
        let Some(home) = self.unreadable.remove(path) else { return ControlFlow::Continue(()) };
        if self.unreadable.values().any(|other| Arc::ptr_eq(other, &home)) {
            return ControlFlow::Continue(());
        }
        self.problem(&home, UNREADABLE, None)
    }

    /// Tells of a problem once, and once that it is over.
    fn problem(&mut self, home: &Home, key: &'static str, message: Option<String>) -> ControlFlow<()> {
        let place = (key, Arc::clone(&home.label));
        let news = match &message {
            Some(text) => self.problems.insert(place, text.clone()).is_none(),
            None => self.problems.remove(&place).is_some(),
        };
        if !news {
            return ControlFlow::Continue(());
        }
        self.send(SourceEvent::Problem { key, home: Arc::clone(&home.label), message })
    }

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

    /// Whether a path is in one of `home`'s trees.
    pub(super) fn is_in(&self, path: &Path, home: &Arc<Home>) -> bool {
        self.places.find(path).is_some_and(|(root, _)| Arc::ptr_eq(&root.home, home))
    }

    fn state(&mut self, home: &Arc<Home>) -> Option<&mut HomeState> {
        self.homes.iter_mut().find(|state| Arc::ptr_eq(&state.home, home))
    }
}
