//! Stores values that many sessions have in common (folders, branches, models) once.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::session::{Model, Session};

/// Below this number a search for unused values is not worthwhile.
const FEW: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: Pool<str>,
    models: Pool<Model>,
}

#[derive(Debug)]
struct Pool<T: ?Sized> {
    all: BTreeSet<Arc<T>>,
    /// How many were in use at the last count.
    in_use: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { all: BTreeSet::new(), in_use: 0 }
    }
}

impl Shared {
    /// Replaces values of `session` by equal ones of earlier sessions.
    pub(super) fn share(&mut self, session: &mut Session) {
        let Session { parent, cwd, other_folders, branch, model, .. } = session;
        for text in [parent, cwd, branch].into_iter().flatten().chain(other_folders) {
            self.texts.share(text);
        }
        self.models.share(model);
    }
}

impl<T: ?Sized + Ord> Pool<T> {
    fn share(&mut self, one: &mut Arc<T>) {
        match self.all.get(one) {
            Some(known) => *one = Arc::clone(known),
            None => {
                self.all.insert(Arc::clone(one));
            }
        }
        if self.all.len() > FEW.max(self.in_use.saturating_mul(2)) {
            self.all.retain(|one| Arc::strong_count(one) > 1);
            self.in_use = self.all.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::file::SessionFile;
    use crate::source::Agent;

    fn session(branch: &str) -> Session {
        let line = format!(
            r#"{{"type":"session_meta","payload":{{"id":"s","cwd":"/app","git":{{"branch":"{branch}"}}}}}}"#
        );
        let mut file = SessionFile::new(Agent::CODEX, Arc::from("/home"), Timestamp::MIN);
        file.push(line.as_bytes());
        file.push(b"\n");
        file.take_update().unwrap().session
    }

    #[test]
    fn common_values_of_sessions_are_stored_once_while_in_use() {
        let mut shared = Shared::default();
        let mut kept = session("main");
        shared.share(&mut kept);
        for number in 0..10 * FEW {
            let mut other = session(&format!("branch-{number}"));
            shared.share(&mut other);
            assert!(Arc::ptr_eq(kept.cwd.as_ref().unwrap(), other.cwd.as_ref().unwrap()));
            assert!(Arc::ptr_eq(&kept.model, &other.model));
        }
        let texts = shared.texts.all;
        assert!(texts.len() <= FEW + 1, "{}", texts.len());
        assert!(texts.contains("main"));
    }
}
