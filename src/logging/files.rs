//! One log file a day, seven kept, for their owner alone.
//!
//! Writing never fails for the caller: a line that cannot be written is lost, and the next one tries again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Zoned;
use jiff::civil::Date;

const KEPT: usize = 7;
const PREFIX: &str = "agent-presence.";
const SUFFIX: &str = ".log";

/// The log's clock, which is not the daemon's: log lines are for people, and nothing is decided by them.
#[expect(clippy::disallowed_methods, reason = "a log line says when it was written, whoever wrote it")]
pub(super) fn now() -> Zoned {
    Zoned::now()
}

/// Appends to `agent-presence.<local date>.log` in one folder.
#[derive(Debug)]
pub struct DailyFiles {
    folder: PathBuf,
    today: fn() -> Date,
    open: Option<(Date, File)>,
}

impl DailyFiles {
    /// Touches nothing before the first line.
    pub fn new(folder: &Path) -> Self {
        Self::with_calendar(folder, || now().date())
    }

    /// The same with another calendar, for tests.
    pub fn with_calendar(folder: &Path, today: fn() -> Date) -> Self {
        Self { folder: folder.to_owned(), today, open: None }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let today = (self.today)();
        if self.open.as_ref().is_none_or(|(date, file)| *date != today || is_removed(file)) {
            self.open = None;
            let path = self.folder.join(format!("{PREFIX}{today}{SUFFIX}"));
            let file = crate::files::private_options().append(true).create(true).open(path)?;
            self.open = Some((today, file));
            remove_old(&self.folder);
        }
        match &mut self.open {
            Some((_, file)) => file.write_all(line),
            None => Ok(()),
        }
    }
}

impl Write for DailyFiles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.append(line).is_err() {
            self.open = None;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the file, and perhaps its folder, was removed while it was open.
#[cfg(unix)]
fn is_removed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// An open file keeps its name.
#[cfg(not(unix))]
fn is_removed(_: &File) -> bool {
    false
}

/// Removes all but the newest files; what does not carry a date is not one of ours.
fn remove_old(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut dates: Vec<(Date, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let date = name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
            Some((date.parse().ok()?, entry.path()))
        })
        .collect();
    dates.sort();
    let old = dates.len().saturating_sub(KEPT);
    for (_, path) in dates.into_iter().take(old) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twentieth() -> Date {
        Date::constant(2026, 11, 20)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appends_to_the_day_and_keeps_seven() {
        let folder = tempfile::tempdir().unwrap();
        for day in 10..20 {
            fs::write(folder.path().join(format!("agent-presence.2026-11-{day}.log")), b"").unwrap();
        }
        fs::write(folder.path().join("agent-presence.notes.log"), b"").unwrap();
        fs::write(folder.path().join("instance.lock"), b"").unwrap();
        DailyFiles::with_calendar(folder.path(), twentieth).write_all(b"one\n").unwrap();
        DailyFiles::with_calendar(folder.path(), twentieth).write_all(b"two\n").unwrap();

        let kept = names(folder.path());
        assert_eq!(kept.first().unwrap(), "agent-presence.2026-11-14.log");
        assert_eq!(kept.len(), KEPT + 2);
        let today = fs::read_to_string(folder.path().join("agent-presence.2026-11-20.log")).unwrap();
        assert_eq!(today, "one\ntwo\n");
    }

    #[test]
    fn begins_a_new_file_at_midnight() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = DailyFiles::with_calendar(folder.path(), twentieth);
        files.write_all(b"before\n").unwrap();
        files.today = || twentieth().tomorrow().unwrap();
        files.write_all(b"after\n").unwrap();
        assert_eq!(names(folder.path()), ["agent-presence.2026-11-20.log", "agent-presence.2026-11-21.log"]);
    }

    #[test]
    fn a_missing_folder_costs_lines_until_it_is_there() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("later");
        let mut files = DailyFiles::with_calendar(&folder, twentieth);
        files.write_all(b"lost\n").unwrap();
        fs::create_dir(&folder).unwrap();
        files.write_all(b"kept\n").unwrap();
        assert_eq!(fs::read(folder.join("agent-presence.2026-11-20.log")).unwrap(), b"kept\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_removed_and_made_again_has_the_log_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent-presence.2026-11-20.log");
        let mut files = DailyFiles::with_calendar(folder.path(), twentieth);
        files.write_all(b"one\n").unwrap();
        fs::remove_file(&path).unwrap();
        files.write_all(b"two\n").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"two\n");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        DailyFiles::with_calendar(folder.path(), twentieth).write_all(b"line\n").unwrap();
        let metadata = fs::metadata(folder.path().join("agent-presence.2026-11-20.log")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}
