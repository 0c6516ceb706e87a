//! The account's limits that an agent itself stores (Claude Code: `.claude.json`): a fallback that may be days old.
//!
//! The file has private data (the account, servers, their secrets), so one key of it is read and the rest is skipped.
//! Read next: [`crate::core::limits`], which prefers the figures of terminals.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::core::source::layout::Homes;
use crate::core::source::{LimitsFact, Spec};
use crate::core::source_event::SourceEvent;
use crate::core::time::Now;
use crate::io::files;
use crate::io::homes::Home;
use crate::io::paths::Environment;

/// Larger files are not read, in bytes. The file has an entry for every project, so it may be megabytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The shortest time between two readings of a file that changes often.
pub(crate) const READ_EVERY: Duration = Duration::from_secs(60);

/// The file with the limits of one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// The file's path; it may not exist.
    pub path: PathBuf,
    /// The home.
    home: Home,
}

/// The files of those `homes` whose agent stores its limits: in the home, or beside the usual one.
pub fn places(homes: &[Home], environment: &Environment) -> Vec<CacheFile> {
    let place = |home: &Home| {
        let Spec { homes: Homes { variables, usual, .. }, limits, .. } = home.agent.spec();
        let cached = limits.cached.as_ref()?;
        let usual = environment.home().zip(usual.first()).map(|(home, usual)| home.join(usual));
        let is_usual = variables.iter().all(|name| environment.text(name).is_none())
            && usual.as_ref() == Some(&home.path);
        let folder = if is_usual { home.path.parent()? } else { home.path.as_path() };
        Some(CacheFile { path: folder.join(cached.file), home: home.clone() })
    };
    homes.iter().filter_map(place).collect()
}

impl CacheFile {
    /// The stored limits that may still be true; none if the file is missing or has none.
    pub fn read(&self, now: Now) -> Vec<SourceEvent> {
        let read = files::read(&self.path, LARGEST);
        let Home { agent, label, .. } = &self.home;
        let cached = agent.spec().limits.cached.as_ref();
        let Some((fetched_at, families)) =
            cached.zip(read.ok()).and_then(|(cached, bytes)| (cached.read)(&bytes))
        else {
            return Vec::new();
        };
        let current = |limits: LimitsFact| limits.report(*agent, label, fetched_at, None).current(now);
        families.into_iter().filter_map(current).map(SourceEvent::limits).collect()
    }
}

/// The time and size of a file, which differ after a change; `None` if it does not exist.
pub(crate) fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::source::Agent;
    use crate::io::paths::Folders;

    #[test]
    fn the_file_is_beside_the_usual_home_and_in_any_other() {
        let home = |agent, path: &str| Home { agent, path: path.into(), label: path.into() };
        let homes = [
            home(Agent::CLAUDE, "/home/ada/.claude"),
            home(Agent::CLAUDE, "/home/ada/.config/claude"),
            home(Agent::CODEX, "/home/ada/.codex"),
        ];
        let of = |variables: &[(&str, &str)]| {
            let folders = ["/home/ada", "/home/ada/.config", "/home/ada/.local/state"].map(PathBuf::from);
            let [home, config, state] = folders;
            let environment =
                Environment::new(variables.iter().copied(), Some(Folders { home, config, state }));
            places(&homes, &environment).into_iter().map(|place| place.path).collect::<Vec<_>>()
        };
        let paths = |paths: [&str; 2]| paths.map(PathBuf::from);
        assert_eq!(of(&[]), paths(["/home/ada/.claude.json", "/home/ada/.config/claude/.claude.json"]));
        assert_eq!(
            of(&[("CLAUDE_CONFIG_DIR", "/home/ada/.claude")]),
            paths(["/home/ada/.claude/.claude.json", "/home/ada/.config/claude/.claude.json"])
        );
    }
}
