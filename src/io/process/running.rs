//! Checks whether a process that a file names by its id still runs, or another one has the id.

use std::time::Duration;

use jiff::Timestamp;

use super::start_time;
use crate::core::time::later;

/// Whether process ids of `domain` are ids of this machine and namespace. Claude Code's form: Linux: `linux:<machine
/// id>:<namespace>`; macOS: `darwin`; Windows: `win32:<host>`.
pub fn counts_in(domain: &str) -> bool {
    system::counts_in(domain)
}

/// A process named in a file that was written while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedProcess<'a> {
    /// The process id.
    pub pid: u32,
    /// When it started, in Claude Code's form: Linux: clock ticks since boot; macOS: the time in UTC as `ps` writes it;
    /// Windows: a `FILETIME`. `None` if the file does not have it.
    pub start: Option<&'a str>,
    /// A time at which it was running.
    pub seen_at: Option<Timestamp>,
}

impl NamedProcess<'_> {
    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        start_time(self.pid).is_some_and(|start| self.started_at(start, system::calendar(start)))
    }

    /// Whether it is the process with this start, in the system's unit and by the calendar.
    fn started_at(&self, start: u64, at: Option<Timestamp>) -> bool {
        /// Clocks are read at different moments, and `ps` rounds.
        const LEEWAY: Duration = Duration::from_secs(10);

        match self.start.and_then(system::parse_start) {
            Some(start_in_file) => start.abs_diff(start_in_file) < system::DIFFERENT,
            // Without a start only a process that started too late is excluded.
            None => at.zip(self.seen_at).is_none_or(|(at, seen_at)| at <= later(seen_at, LEEWAY)),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    /// Ticks are exact.
    pub(super) const DIFFERENT: u64 = 1;

    pub(super) fn parse_start(text: &str) -> Option<u64> {
        text.parse().ok()
    }

    pub(super) fn counts_in(domain: &str) -> bool {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        domain == format!("linux:{}:{}", machine.trim(), namespace.display())
    }

    /// Ticks have no calendar time without the time of the boot.
    pub(super) fn calendar(_ticks: u64) -> Option<super::Timestamp> {
        None
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod system {
    /// Seconds, rounded up or down.
    pub(super) const DIFFERENT: u64 = 2;

    /// All processes of a macOS machine share their ids.
    pub(super) fn counts_in(domain: &str) -> bool {
        domain == "darwin"
    }

    pub(super) fn parse_start(text: &str) -> Option<u64> {
        super::seconds_of_ps(text)
    }

    pub(super) fn calendar(seconds: u64) -> Option<super::Timestamp> {
        super::Timestamp::from_second(seconds.try_into().ok()?).ok()
    }
}

#[cfg(not(unix))]
mod system {
    /// A second, in steps of 100 ns: some programs read the number without its last digits.
    pub(super) const DIFFERENT: u64 = 10_000_000;

    pub(super) fn counts_in(domain: &str) -> bool {
        /// Windows shortens the name in the environment.
        const CUT: usize = 15;

        let Some(host) = domain.strip_prefix("win32:") else { return false };
        let own = std::env::var("COMPUTERNAME").unwrap_or_default();
        let host = host.get(..CUT).filter(|_| own.len() == CUT).unwrap_or(host);
        own.is_empty() || host.eq_ignore_ascii_case(&own)
    }

    pub(super) fn parse_start(text: &str) -> Option<u64> {
        text.parse().ok()
    }

    pub(super) fn calendar(file_time: u64) -> Option<super::Timestamp> {
        /// Seconds from 1601 to 1970.
        const EPOCH: i64 = 11_644_473_600;

        let seconds = i64::try_from(file_time / DIFFERENT).ok()?;
        super::Timestamp::from_second(seconds.checked_sub(EPOCH)?).ok()
    }
}

/// `Fri Nov 20 07:00:31 2026`, in UTC, in seconds since 1970.
#[cfg(any(test, all(unix, not(any(target_os = "linux", target_os = "android")))))]
pub(super) fn seconds_of_ps(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S %Y", words.join(" ")).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_of_ps_are_parsed() {
        assert_eq!(seconds_of_ps("Sun Nov  1 07:00:31 2026"), Some(1_793_516_431));
        assert_eq!(seconds_of_ps("Sun Nov 1 07:00:31 2026 "), Some(1_793_516_431));
        assert_eq!(seconds_of_ps("133701"), None);
    }

    #[test]
    fn without_a_start_the_process_must_not_be_newer_than_seen() {
        let at = |seconds| Timestamp::from_second(seconds).ok();
        for (seen_at, expected) in [(None, true), (at(1_000), true), (at(995), true), (at(900), false)] {
            for start in [None, Some("?")] {
                let named = NamedProcess { pid: 1, start, seen_at };
                assert_eq!(named.started_at(7, at(1_000)), expected, "{named:?}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ids_count_in_one_machine_and_one_namespace() {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let (machine, namespace) = (machine.trim(), namespace.display());
        assert!(counts_in(&format!("linux:{machine}:{namespace}")));
        for other in
            [format!("linux:{machine}:pid:[1]"), format!("linux:0{machine}:{namespace}"), "darwin".to_owned()]
        {
            assert!(!counts_in(&other), "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_with_a_reused_id_is_recognised() {
        let pid = std::process::id();
        let own = start_time(pid).unwrap().to_string();
        let runs = |pid, start| NamedProcess { pid, start, seen_at: None }.runs();
        assert!(runs(pid, Some(&own)) && runs(pid, None));
        assert!(!runs(u32::MAX, Some(&own)) && !runs(pid, Some("1")));
    }
}
