//! Texts that many sessions have in common: folders, branches, models. Each is kept once.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::session::Session;

/// So few are not worth looking through.
const FEW: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: BTreeSet<Arc<str>>,
    /// How many were in use when that was last counted.
    in_use: usize,
}

impl Shared {
    /// Gives `session` the texts of those before it.
    pub(super) fn share(&mut self, session: &mut Session) {
        let Session { parent, cwd, been, branch, model, effort, service_tier, .. } = session;
        let texts = [parent, cwd, branch, model, effort, service_tier].into_iter().flatten();
        for text in texts.chain(been) {
            match self.texts.get(text) {
                Some(known) => *text = Arc::clone(known),
                None => {
                    self.texts.insert(Arc::clone(text));
                }
            }
        }
        if self.texts.len() > FEW.max(self.in_use.saturating_mul(2)) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.in_use = self.texts.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::core::file::SessionFile;
    use crate::core::source::Agent;

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
    fn what_sessions_have_in_common_is_kept_once_and_only_while_it_is_in_use() {
        let mut shared = Shared::default();
        let mut kept = session("main");
        shared.share(&mut kept);
        for number in 0..10 * FEW {
            let mut other = session(&format!("branch-{number}"));
            shared.share(&mut other);
            assert!(Arc::ptr_eq(kept.cwd.as_ref().unwrap(), other.cwd.as_ref().unwrap()));
        }
        assert!(shared.texts.len() <= FEW + 1, "{}", shared.texts.len());
        assert!(shared.texts.contains("main"));
    }
}
