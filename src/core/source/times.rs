//! The times of lines, without reading the rest of them, and the times inside ids.

use std::time::Duration;

use jiff::Timestamp;

use super::Agent;
use crate::lines::records;

/// The time of the first line that has one.
pub fn first_time(agent: Agent, head: &[u8]) -> Option<Timestamp> {
    head.split(|byte| *byte == b'\n').find_map(|line| line_time(agent, line))
}

/// The time of a line, or of the first record in it. Codex writes it at the beginning, so that the first bytes of the
/// line are enough.
pub fn line_time(agent: Agent, line: &[u8]) -> Option<Timestamp> {
    let time = agent.spec().line_time;
    time(line).or_else(|| {
        // Splitting a line is expensive; without the word no record in it has a time.
        memchr::memmem::find(line, b"\"timestamp\"")?;
        records(line).objects.into_iter().find_map(time)
    })
}

/// The creation time inside a UUIDv7 (48-bit milliseconds); `None` for any other id.
pub fn uuid7_time(id: &str) -> Option<Timestamp> {
    let bytes = id.as_bytes();
    if bytes.len() != 36 || bytes.get(14) != Some(&b'7') {
        return None;
    }
    let hex: String = id.chars().take(13).filter(|c| *c != '-').collect();
    let millis = u64::from_str_radix(&hex, 16).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid7_tells_its_creation_time() {
        let at = uuid7_time("01a011e2-21e4-71f2-a354-0495db06869c").unwrap();
        assert_eq!(at.to_string(), "2026-08-17T22:40:27.62Z");
        assert_eq!(uuid7_time("1"), None);
        assert_eq!(uuid7_time("f81d4fae-7dec-41d0-a765-00a0c91e6bf6"), None);
    }
}
