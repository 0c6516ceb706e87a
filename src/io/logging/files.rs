//! One log file a day, seven of them stored, none larger than 20 MB, readable for their owner alone.
//!
//! Writing never fails for the caller: a line that cannot be written is lost, and the next one tries again.

use std::fs::File;
use std::io::{self, Write};

use jiff::Zoned;
use jiff::civil::Date;

use crate::io::folder::{Folder, OpenMode};
use crate::io::paths::StateDir;

const MOST_FILES: usize = 7;
/// From this size on a file gets no more lines, in bytes. Its last line reports that.
const FULL: u64 = 20_000_000 - 2 * LONGEST as u64;
/// The longest line, in bytes; longer ones are dropped.
const LONGEST: usize = 32 * 1024;
const IS_FULL: &[u8] = b"the log of this day is full: later lines of today are not written\n";
const PREFIX: &str = "agent-presence.";
const SUFFIX: &str = ".log";

/// The log's clock. It is not the daemon's, because log lines are for people and decide nothing.
#[expect(clippy::disallowed_methods, reason = "a log line carries the time at which it was written")]
pub(super) fn now() -> Zoned {
    Zoned::now()
}

/// Appends to `agent-presence.<local date>.log` in one folder.
#[derive(Debug)]
pub struct DailyFiles {
    folder: StateDir,
    today: fn() -> Date,
    open: Option<(Date, File)>,
    /// Lines that are written together, while that is wanted.
    gathered: Option<Vec<u8>>,
}

impl DailyFiles {
    /// Opens no file before the first line.
    pub fn new(folder: &StateDir) -> Self {
        Self::with_calendar(folder, || now().date())
    }

    /// [`DailyFiles::new`] with another calendar, for tests.
    pub fn with_calendar(folder: &StateDir, today: fn() -> Date) -> Self {
        Self { folder: folder.clone(), today, open: None, gathered: None }
    }

    /// Keeps the next lines until [`Self::release`], or until there are many.
    pub fn gather(&mut self) {
        self.gathered.get_or_insert_default();
    }

    /// Writes the lines that were kept.
    pub fn release(&mut self) {
        let lines = self.gathered.take().unwrap_or_default();
        if !lines.is_empty() {
            self.write_now(&lines);
        }
    }

    fn write_now(&mut self, lines: &[u8]) {
        // Where it fails, the file is opened anew for the next line.
        let _lost = self.append(lines);
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let today = (self.today)();
        let open = self.open.take().filter(|(date, _)| *date == today);
        let there = open.and_then(|(_, file)| Some((length(&file)?, file)));
        let (before, mut file) = match there {
            Some(there) => there,
            None => {
                let folder = self.folder.folder();
                let file = folder.file(&format!("{PREFIX}{today}{SUFFIX}"), OpenMode::Append)?;
                remove_old(&folder);
                (file.metadata()?.len(), file)
            }
        };
        let after = before + lines.len() as u64;
        if before < FULL && lines.len() <= LONGEST {
            file.write_all(lines)?;
            if after >= FULL {
                file.write_all(IS_FULL)?;
            }
        }
        self.open = Some((today, file));
        Ok(())
    }
}

impl Write for DailyFiles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut self.gathered {
            None => self.write_now(line),
            Some(lines) if lines.len() + line.len() <= LONGEST => lines.extend_from_slice(line),
            Some(lines) => {
                let earlier = std::mem::replace(lines, line.to_vec());
                self.write_now(&earlier);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long the file is; `None` where it, and perhaps its folder, was removed while it was open.
fn length(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) == 0 {
        return None;
    }
    Some(metadata.len())
}

/// Removes all but the newest files; a name without a date is a foreign file.
fn remove_old(folder: &Folder) {
    let names = folder.names().into_iter();
    let mut dates: Vec<(Date, String)> = names
        .filter_map(|name| Some((name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?, name)))
        .collect();
    dates.sort();
    let old = dates.len().saturating_sub(MOST_FILES);
    for (_, name) in dates.into_iter().take(old) {
        let _ = folder.remove_file(&name);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::io::paths::ensure_state_dir;

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
    fn lines_go_to_the_days_file_and_seven_files_are_stored() {
        let folder = tempfile::tempdir().unwrap();
        for day in 10..20 {
            fs::write(folder.path().join(format!("agent-presence.2026-11-{day}.log")), b"").unwrap();
        }
        fs::write(folder.path().join("agent-presence.notes.log"), b"").unwrap();
        fs::write(folder.path().join("instance.lock"), b"").unwrap();
        DailyFiles::with_calendar(&ensure_state_dir(folder.path()).unwrap(), twentieth)
            .write_all(b"one\n")
            .unwrap();
        DailyFiles::with_calendar(&ensure_state_dir(folder.path()).unwrap(), twentieth)
            .write_all(b"two\n")
            .unwrap();

        let kept = names(folder.path());
        assert_eq!(kept.first().unwrap(), "agent-presence.2026-11-14.log");
        assert_eq!(kept.len(), MOST_FILES + 2);
        let today = fs::read_to_string(folder.path().join("agent-presence.2026-11-20.log")).unwrap();
        assert_eq!(today, "one\ntwo\n");
    }

    #[test]
    fn a_new_file_begins_at_midnight() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = DailyFiles::with_calendar(&ensure_state_dir(folder.path()).unwrap(), twentieth);
        files.write_all(b"before\n").unwrap();
        files.today = || twentieth().tomorrow().unwrap();
        files.write_all(b"after\n").unwrap();
        assert_eq!(names(folder.path()), ["agent-presence.2026-11-20.log", "agent-presence.2026-11-21.log"]);
    }

    /// Also over restarts, and the notice is written once.
    #[test]
    fn a_days_file_has_a_largest_size() {
        let folder = tempfile::tempdir().unwrap();
        let state = ensure_state_dir(folder.path()).unwrap();
        let path = folder.path().join("agent-presence.2026-11-20.log");
        File::create(&path).unwrap().set_len(FULL - 6).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            DailyFiles::with_calendar(&state, twentieth).write_all(line.as_bytes()).unwrap();
        }
        let log = fs::read(&path).unwrap();
        let end = log.split_at(usize::try_from(FULL).unwrap() - 6).1;
        assert_eq!(end, [b"one\ntwo\n", IS_FULL].concat());
        assert!(log.len() <= 20_000_000);

        let mut files = DailyFiles::with_calendar(&state, || twentieth().tomorrow().unwrap());
        files.write_all(b"after\n").unwrap();
        assert_eq!(fs::read(folder.path().join("agent-presence.2026-11-21.log")).unwrap(), b"after\n");
    }

    #[test]
    fn lines_that_are_gathered_are_written_together_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent-presence.2026-11-20.log");
        let log = || fs::read_to_string(&path).unwrap_or_default();
        let mut files = DailyFiles::with_calendar(&ensure_state_dir(folder.path()).unwrap(), twentieth);
        files.write_all(b"one\n").unwrap();
        files.gather();
        files.write_all(b"two\n").unwrap();
        files.write_all(b"three\n").unwrap();
        assert_eq!(log(), "one\n");
        files.release();
        assert_eq!(log(), "one\ntwo\nthree\n");
        files.write_all(b"four\n").unwrap();
        assert_eq!(log(), "one\ntwo\nthree\nfour\n");
        // Many are not kept, and the longest line is one of them.
        fs::remove_file(&path).unwrap();
        files.gather();
        let lines = [vec![b'a'; LONGEST - 1], vec![b'b'; 2], vec![b'c'; LONGEST]];
        lines.iter().for_each(|line| files.write_all(line).unwrap());
        files.release();
        assert_eq!(log().as_bytes(), lines.concat());
    }

    #[cfg(unix)]
    #[test]
    fn lines_are_lost_while_the_folder_is_moved_away() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let state = ensure_state_dir(&path).unwrap();
        let mut files = DailyFiles::with_calendar(&state, twentieth);
        fs::rename(&path, parent.path().join("away")).unwrap();
        files.write_all(b"lost\n").unwrap();
        state.renew(&ensure_state_dir(&path).unwrap());
        files.write_all(b"kept\n").unwrap();
        assert_eq!(fs::read(path.join("agent-presence.2026-11-20.log")).unwrap(), b"kept\n");
        assert_eq!(names(&parent.path().join("away")), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn the_log_continues_in_a_folder_that_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent-presence.2026-11-20.log");
        let mut files = DailyFiles::with_calendar(&ensure_state_dir(folder.path()).unwrap(), twentieth);
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
        DailyFiles::with_calendar(&ensure_state_dir(folder.path()).unwrap(), twentieth)
            .write_all(b"line\n")
            .unwrap();
        let metadata = fs::metadata(folder.path().join("agent-presence.2026-11-20.log")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}
