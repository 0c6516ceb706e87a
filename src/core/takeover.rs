//! Decides which daemon stays when a second one starts, and whether a process is the one that a lock record names.
//!
//! The shell (`src/cmd/daemon/takeover.rs`) asks, reads and signals; every decision is here. A process is ended only if
//! everything in the record is still true of it, because process ids are reused.
//!
//! Longer than other files because every case in which a process may be ended, or must not be, is in its tests.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a holder of the lock that does not answer is taken to be starting or ending.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The holder of the lock. Values that the system does not give are absent, and such a record cannot be verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// The process id.
    pub pid: u32,
    /// When the process started: Linux: clock ticks since boot; other Unix: seconds since 1970; Windows: units of
    /// 100 ns since 1601.
    pub start_time: Option<u64>,
    /// The executable.
    pub exe: Option<PathBuf>,
    /// The executable's device and inode, which change if the file at the path is replaced.
    #[serde(default)]
    pub exe_file: Option<(u64, u64)>,
    /// The user, on Unix.
    pub uid: Option<u32>,
    /// The user, on Windows: its security identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Linux's id of this boot; absent elsewhere.
    pub boot_id: Option<String>,
    /// The program's version.
    pub version: String,
    /// 128 random bits in hexadecimal that identify this instance.
    pub token: String,
}

impl LockRecord {
    /// Whether this process started later than `other`: by the time, and within one tick of it by the id. False for
    /// times of different boots and for unknown times.
    pub fn started_later_than(&self, other: &Self) -> bool {
        match (self.start_time, other.start_time) {
            (Some(own), Some(others)) if self.boot_id == other.boot_id => {
                (own, self.pid) > (others, other.pid)
            }
            _ => false,
        }
    }

    /// Whether this program is of an older version than `other`; false for versions that cannot be parsed.
    pub fn is_older_than(&self, other: &Self) -> bool {
        compare_versions(&self.version, &other.version) == Some(Ordering::Less)
    }
}

/// The system's data about a running process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// As in [`LockRecord::start_time`].
    pub start_time: Option<u64>,
    /// Its executable; Linux adds ` (deleted)` when the file is no longer at its path.
    pub exe: Option<PathBuf>,
    /// Its executable's device and inode.
    pub exe_file: Option<(u64, u64)>,
    /// Its effective user, on Unix.
    pub uid: Option<u32>,
    /// Its user, on Windows.
    pub sid: Option<String>,
}

/// The result of checking a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The process is the one that the record names, and may be ended.
    Ours,
    /// The process no longer exists.
    Gone,
    /// It is another process, or it cannot be verified; the reason, for a sentence.
    NotOurs(&'static str),
}

/// Whether `process`, which has the record's id, is the one that the record names. `own` is the record of the caller.
pub fn verify(record: &LockRecord, own: &LockRecord, process: Option<&Process>) -> Verdict {
    let Some(process) = process else { return Verdict::Gone };
    if record.boot_id != own.boot_id {
        return Verdict::NotOurs("the record is of another boot");
    }
    let recorded = (record.uid, &record.sid);
    if recorded == (None, &None) || recorded != (own.uid, &own.sid) || recorded != (process.uid, &process.sid)
    {
        return Verdict::NotOurs("it belongs to another user");
    }
    if record.start_time.is_none() || process.start_time.is_none() {
        return Verdict::NotOurs("its start time is not known on this system");
    }
    if record.start_time != process.start_time {
        return Verdict::NotOurs("that process id is used by another process now");
    }
    if !is_same_program(record, process) {
        return Verdict::NotOurs("it runs another program");
    }
    Verdict::Ours
}

/// Whether the executable is the same file, at any path, or at the same path, with any content.
fn is_same_program(record: &LockRecord, process: &Process) -> bool {
    let is_same_file = record.exe_file.is_some() && record.exe_file == process.exe_file;
    let recorded = record.exe.as_deref().map(without_deleted);
    is_same_file || recorded.is_some() && recorded == process.exe.as_deref().map(without_deleted)
}

/// The path without the suffix that Linux adds for a running file that was replaced or removed.
fn without_deleted(path: &Path) -> &Path {
    path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map_or(path, Path::new)
}

/// `major.minor.patch`, and whether it is a release: a pre-release is older than its release.
pub(crate) fn compare_versions(one: &str, other: &str) -> Option<Ordering> {
    Some(version(one)?.cmp(&version(other)?))
}

/// Whether both are of one major version; unknown versions count as such.
pub(crate) fn is_same_major(one: &str, other: &str) -> bool {
    match (version(one), version(other)) {
        (Some(([one, ..], _)), Some(([other, ..], _))) => one == other,
        _ => true,
    }
}

fn version(text: &str) -> Option<([u64; 3], bool)> {
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    let (numbers, pre_release) = text.split_once('-').map_or((text, None), |(n, p)| (n, Some(p)));
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(([major, minor, patch], pre_release.is_none()))
}

/// Why a holder does not hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It started later than the newcomer.
    StartedLater,
    /// It is of a newer version.
    NewerVersion,
    /// It is ending, or handing over to another process.
    Busy,
    /// A reason that this version does not know.
    Other,
}

/// The holder's answer to a newcomer's request to hand over.
///
/// # Errors
/// The reason for a refusal.
pub fn hand_over(holder: &LockRecord, newcomer: &LockRecord, replace: bool) -> Result<(), Refusal> {
    if holder.started_later_than(newcomer) {
        Err(Refusal::StartedLater)
    } else if newcomer.is_older_than(holder) && !replace {
        Err(Refusal::NewerVersion)
    } else {
        Ok(())
    }
}

/// The options of `run` about a running daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakeoverOptions {
    /// `--no-takeover`: a healthy daemon stays.
    pub no_takeover: bool,
    /// `--replace`: a daemon of a newer version is replaced as well.
    pub replace: bool,
}

/// The holder's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderAnswer {
    /// It hands over.
    Agreed,
    /// It refuses.
    Refused(Refusal),
    /// It is healthy; the request was not made.
    Healthy,
    /// No process listens: the holder is starting, ending, or has lost its socket.
    Away,
    /// It accepted the request and did not answer in time.
    Silent,
}

/// The newcomer's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Wait for the lock, which the holder is about to release.
    AwaitLock,
    /// Try again in a moment.
    TryAgain,
    /// Exit: the holder started later.
    Leave,
    /// End the process that the record names, if [`verify`] allows it.
    Evict,
    /// Fail.
    GiveUp(GiveUpReason),
}

/// Why a newcomer fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUpReason {
    /// Another daemon runs, and may not or cannot be replaced.
    Running,
    /// The other instance is of a newer version.
    NewerVersion,
    /// The lock is held and no record names the holder.
    NoRecord,
}

/// The next step after the holder's `answer`, `waited` after this holder was first found.
pub fn next_step(
    options: TakeoverOptions,
    own: &LockRecord,
    holder: Option<&LockRecord>,
    answer: HolderAnswer,
    waited: Duration,
) -> NextStep {
    match answer {
        HolderAnswer::Agreed => NextStep::AwaitLock,
        HolderAnswer::Healthy | HolderAnswer::Refused(Refusal::Other) => {
            NextStep::GiveUp(GiveUpReason::Running)
        }
        HolderAnswer::Refused(Refusal::StartedLater) => NextStep::Leave,
        HolderAnswer::Refused(Refusal::NewerVersion) => NextStep::GiveUp(GiveUpReason::NewerVersion),
        HolderAnswer::Refused(Refusal::Busy) | HolderAnswer::Away if waited < PATIENCE => NextStep::TryAgain,
        HolderAnswer::Refused(Refusal::Busy) | HolderAnswer::Away | HolderAnswer::Silent => match holder {
            None => NextStep::GiveUp(GiveUpReason::NoRecord),
            Some(holder) if holder.started_later_than(own) => NextStep::Leave,
            Some(holder) if own.is_older_than(holder) && !options.replace => {
                NextStep::GiveUp(GiveUpReason::NewerVersion)
            }
            Some(_) => NextStep::Evict,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LockRecord {
        LockRecord {
            pid: 4242,
            start_time: Some(1000),
            exe: Some("/opt/agent-presence".into()),
            exe_file: Some((1, 100)),
            uid: Some(1000),
            sid: None,
            boot_id: Some("this boot".to_owned()),
            version: "1.2.3".to_owned(),
            token: "0".repeat(32),
        }
    }

    fn process() -> Process {
        let LockRecord { start_time, exe, exe_file, uid, sid, .. } = record();
        Process { start_time, exe, exe_file, uid, sid }
    }

    type Change<T> = (&'static str, fn(&mut T));

    fn changed<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
        change(&mut value);
        value
    }

    #[test]
    fn only_the_process_that_the_record_names_is_ours() {
        let verdict = |record: &LockRecord, process: &Process| verify(record, &self::record(), Some(process));
        assert_eq!(verdict(&record(), &process()), Verdict::Ours);
        assert_eq!(verify(&record(), &record(), None), Verdict::Gone);

        let strangers: [Change<Process>; 6] = [
            ("used by another", |process| process.start_time = Some(1001)),
            ("start time", |process| process.start_time = None),
            ("another user", |process| process.uid = Some(0)),
            ("another user", |process| process.uid = None),
            ("another program", |process| {
                process.exe = Some("/bin/sleep".into());
                process.exe_file = Some((1, 7));
            }),
            ("another program", |process| (process.exe, process.exe_file) = (None, None)),
        ];
        for (why, change) in strangers {
            let verdict = verdict(&record(), &changed(process(), change));
            assert!(
                matches!(verdict, Verdict::NotOurs(reason) if reason.contains(why)),
                "{why}: {verdict:?}"
            );
        }

        let records: [Change<LockRecord>; 6] = [
            ("used by another", |record| record.start_time = Some(999)),
            ("start time", |record| record.start_time = None),
            ("another user", |record| record.uid = None),
            ("another user", |record| record.uid = Some(0)),
            ("another boot", |record| record.boot_id = Some("an earlier one".to_owned())),
            ("another boot", |record| record.boot_id = None),
        ];
        for (why, change) in records {
            let verdict = verdict(&changed(record(), change), &process());
            assert!(
                matches!(verdict, Verdict::NotOurs(reason) if reason.contains(why)),
                "{why}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_process_of_another_user_is_never_ended() {
        let own = changed(record(), |own| own.uid = Some(0));
        assert!(matches!(verify(&record(), &own, Some(&process())), Verdict::NotOurs(_)));
    }

    #[test]
    fn on_windows_the_user_is_an_identifier() {
        let of = |sid: Option<&str>| (None, sid.map(str::to_owned));
        let record = |sid| changed(record(), |record| (record.uid, record.sid) = of(sid));
        let process = |sid| changed(process(), |process| (process.uid, process.sid) = of(sid));
        let verdict =
            |recorded, own, running| verify(&record(recorded), &record(own), Some(&process(running)));
        let (one, two) = (Some("S-1-5-21-1"), Some("S-1-5-21-2"));
        assert_eq!(verdict(one, one, one), Verdict::Ours);
        for (recorded, own, running) in
            [(one, one, two), (one, two, one), (two, one, one), (one, one, None), (None, None, None)]
        {
            assert!(matches!(verdict(recorded, own, running), Verdict::NotOurs(_)));
        }
    }

    #[test]
    fn an_upgrade_does_not_hide_the_program() {
        let deleted = |process: &mut Process| process.exe = Some("/opt/agent-presence (deleted)".into());
        let replaced = changed(process(), deleted);
        assert_eq!(verify(&record(), &record(), Some(&replaced)), Verdict::Ours);
        let renumbered = changed(replaced.clone(), |process| process.exe_file = None);
        assert_eq!(verify(&record(), &record(), Some(&renumbered)), Verdict::Ours);
        let moved = changed(process(), |process| process.exe = Some("/opt/old/agent-presence".into()));
        assert_eq!(verify(&record(), &record(), Some(&moved)), Verdict::Ours);
    }

    #[test]
    fn versions_are_compared_by_number() {
        let older = |one: &str, other: &str| compare_versions(one, other) == Some(Ordering::Less);
        assert!(older("0.9.0", "0.10.0") && older("1.9.9", "2.0.0") && older("1.0.0", "1.0.1"));
        assert!(older("1.0.0-rc.1", "1.0.0") && !older("1.0.0", "1.0.0-rc.1"));
        assert!(!older("1.0.0", "1.0.0+build.7"));
        for odd in ["", "1.0", "1.0.0.0", "one", "1.0.x"] {
            assert_eq!(compare_versions(odd, "1.0.0"), None, "{odd}");
        }
    }

    #[test]
    fn of_two_daemons_the_later_one_stays() {
        let early = record();
        let late = changed(record(), |late| late.start_time = Some(1001));
        let same_tick = changed(record(), |same| same.pid = 4243);
        assert_eq!(hand_over(&early, &late, false), Ok(()));
        assert_eq!(hand_over(&late, &early, false), Err(Refusal::StartedLater));
        assert_eq!(hand_over(&early, &same_tick, false), Ok(()));
        assert_eq!(hand_over(&same_tick, &early, false), Err(Refusal::StartedLater));
        assert_eq!(hand_over(&late, &early, true), Err(Refusal::StartedLater), "even with `--replace`");

        let unknown = changed(record(), |unknown| unknown.start_time = None);
        let other_boot = changed(late, |late| late.boot_id = None);
        assert!(!unknown.started_later_than(&early) && !early.started_later_than(&unknown));
        assert!(!other_boot.started_later_than(&early));
    }

    #[test]
    fn an_older_version_does_not_evict_a_newer_one() {
        let holder = record();
        let newcomer = |version: &str| {
            let late =
                |late: &mut LockRecord| (late.start_time, late.version) = (Some(2000), version.to_owned());
            changed(record(), late)
        };
        assert_eq!(hand_over(&holder, &newcomer("1.2.2"), false), Err(Refusal::NewerVersion));
        assert_eq!(hand_over(&holder, &newcomer("1.2.2"), true), Ok(()));
        assert_eq!(hand_over(&holder, &newcomer("1.2.3"), false), Ok(()));
        assert_eq!(hand_over(&holder, &newcomer("1.3.0"), false), Ok(()));
        assert_eq!(hand_over(&holder, &newcomer("unreadable"), false), Ok(()));
    }

    #[test]
    fn each_answer_has_its_next_step() {
        let own = changed(record(), |own| (own.pid, own.start_time) = (5000, Some(2000)));
        let later = changed(record(), |late| late.start_time = Some(3000));
        let newer = changed(record(), |newer| newer.version = "2.0.0".to_owned());
        let holder = record();
        let usual = TakeoverOptions::default();
        let replace = TakeoverOptions { replace: true, ..usual };
        let long = PATIENCE;
        let short = Duration::ZERO;
        let busy = HolderAnswer::Refused(Refusal::Busy);
        let table = [
            (usual, Some(&holder), HolderAnswer::Agreed, short, NextStep::AwaitLock),
            (usual, None, HolderAnswer::Agreed, short, NextStep::AwaitLock),
            (usual, Some(&holder), HolderAnswer::Refused(Refusal::StartedLater), short, NextStep::Leave),
            (usual, Some(&holder), HolderAnswer::Healthy, short, NextStep::GiveUp(GiveUpReason::Running)),
            (
                usual,
                Some(&holder),
                HolderAnswer::Refused(Refusal::Other),
                long,
                NextStep::GiveUp(GiveUpReason::Running),
            ),
            (
                usual,
                Some(&newer),
                HolderAnswer::Refused(Refusal::NewerVersion),
                short,
                NextStep::GiveUp(GiveUpReason::NewerVersion),
            ),
            (usual, Some(&holder), busy, short, NextStep::TryAgain),
            (usual, Some(&holder), HolderAnswer::Away, short, NextStep::TryAgain),
            (usual, None, HolderAnswer::Away, short, NextStep::TryAgain),
            (usual, Some(&holder), busy, long, NextStep::Evict),
            (usual, Some(&holder), HolderAnswer::Away, long, NextStep::Evict),
            (usual, Some(&holder), HolderAnswer::Silent, short, NextStep::Evict),
            (usual, Some(&later), HolderAnswer::Silent, short, NextStep::Leave),
            (usual, Some(&newer), HolderAnswer::Silent, short, NextStep::GiveUp(GiveUpReason::NewerVersion)),
            (replace, Some(&newer), HolderAnswer::Silent, short, NextStep::Evict),
            (usual, None, HolderAnswer::Silent, short, NextStep::GiveUp(GiveUpReason::NoRecord)),
            (usual, None, HolderAnswer::Away, long, NextStep::GiveUp(GiveUpReason::NoRecord)),
        ];
        for (options, holder, answer, waited, expected) in table {
            assert_eq!(
                next_step(options, &own, holder, answer, waited),
                expected,
                "{answer:?} of {holder:?}"
            );
        }
    }
}
