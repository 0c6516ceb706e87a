//! Follows the user's time zone: the system's may be changed while the program runs.
//!
//! No event reports that, and the zone matters only when a card is made, so it is checked when the program is awake
//! anyway. A zone that `TZ` names is fixed; a file that `TZ` names is followed like the system's.

use jiff::tz::TimeZone;

use crate::io::paths::Environment;

/// Follows the system's time zone.
#[derive(Debug)]
pub struct ZoneWatch {
    #[cfg(unix)]
    file: Option<unix::ZoneFile>,
    #[cfg(not(unix))]
    zone: TimeZone,
}

#[cfg(unix)]
impl ZoneWatch {
    /// Begins with the present zone.
    pub fn new(environment: &Environment) -> Self {
        let file = match environment.text("TZ") {
            None => Some("/etc/localtime"),
            Some(name) => Some(name.strip_prefix(':').unwrap_or(name)).filter(|name| name.starts_with('/')),
        };
        Self { file: file.map(unix::ZoneFile::new) }
    }

    /// The zone, if it has changed since the last call.
    pub fn changed(&mut self) -> Option<TimeZone> {
        self.file.as_mut()?.changed()
    }
}

#[cfg(not(unix))]
impl ZoneWatch {
    /// Begins with the present zone.
    pub fn new(_: &Environment) -> Self {
        Self { zone: TimeZone::system() }
    }

    /// The zone, if it has changed since the last call.
    pub fn changed(&mut self) -> Option<TimeZone> {
        let zone = TimeZone::system();
        (std::mem::replace(&mut self.zone, zone.clone()) != zone).then_some(zone)
    }
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use jiff::tz::TimeZone;

    /// A file that holds the zone, or a link to one.
    #[derive(Debug)]
    pub(super) struct ZoneFile {
        path: PathBuf,
        stamp: Stamp,
    }

    /// The state of the file: the target of a link, and the file's identity and time.
    type Stamp = (Option<PathBuf>, Option<(u64, u64, i64, i64)>);

    impl ZoneFile {
        pub(super) fn new(path: &str) -> Self {
            let mut this = Self { path: PathBuf::from(path), stamp: (None, None) };
            this.stamp = this.stamp();
            this
        }

        pub(super) fn changed(&mut self) -> Option<TimeZone> {
            let stamp = self.stamp();
            if stamp == self.stamp {
                return None;
            }
            // During a change there may be no zone; the next check finds it.
            let zone = self.read()?;
            self.stamp = stamp;
            Some(zone)
        }

        fn stamp(&self) -> Stamp {
            let file = fs::metadata(&self.path).ok();
            let file = file.map(|file| (file.dev(), file.ino(), file.mtime(), file.mtime_nsec()));
            (fs::read_link(&self.path).ok(), file)
        }

        /// By its name if it has one, so that times agree with those of other programs.
        fn read(&self) -> Option<TimeZone> {
            let real = fs::canonicalize(&self.path).ok()?;
            let name = real.to_str().and_then(|path| Some(path.rsplit_once("/zoneinfo/")?.1));
            let named = name.and_then(|name| TimeZone::get(name).ok());
            named.or_else(|| TimeZone::tzif("Local", &fs::read(&self.path).ok()?).ok())
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;

    /// A zone file of one fixed offset.
    fn write(path: &Path, posix: &str) {
        // No transitions, one local time type of zero seconds, and the rule in the footer, which is what counts.
        let header = |version: u8| {
            let counts = [0_u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
            [b"TZif".as_slice(), &[version], &[0; 15], &counts].concat()
        };
        let body = [0, 0, 0, 0, 0, 0, b'U', b'T', b'C', 0];
        let footer = format!("\n{posix}\n");
        let file = [header(b'2'), body.to_vec(), header(b'2'), body.to_vec(), footer.into_bytes()].concat();
        fs::write(path, file).unwrap();
    }

    fn hour(zone: Option<TimeZone>) -> Option<i8> {
        zone.map(|zone| Timestamp::UNIX_EPOCH.to_zoned(zone).hour())
    }

    #[test]
    fn a_changed_zone_is_noticed_for_links_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there, link] = ["here", "there", "localtime"].map(|name| folder.path().join(name));
        write(&here, "ABC-2");
        write(&there, "ABC-9");
        symlink(&here, &link).unwrap();
        let environment = Environment::new([("TZ", format!(":{}", link.display()))], None);
        let mut watch = ZoneWatch::new(&environment);
        assert_eq!(hour(watch.changed()), None);

        symlink(&there, folder.path().join("new")).unwrap();
        fs::rename(folder.path().join("new"), &link).unwrap();
        assert_eq!(hour(watch.changed()), Some(9), "another link");
        assert_eq!(hour(watch.changed()), None);
        write(&folder.path().join("new"), "ABC-3");
        fs::rename(folder.path().join("new"), &link).unwrap();
        assert_eq!(hour(watch.changed()), Some(3), "a file in its place");
        fs::rename(&link, folder.path().join("away")).unwrap();
        assert_eq!(hour(watch.changed()), None, "no zone is no other zone");

        let mut fixed = ZoneWatch::new(&Environment::new([("TZ", "Europe/Berlin")], None));
        assert_eq!(hour(fixed.changed()), None);
    }
}
