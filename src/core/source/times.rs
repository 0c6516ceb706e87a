//! The times of lines, without reading what else they say.

use jiff::Timestamp;

use super::Agent;
use crate::core::lines::records;

/// The time of the first line that has one.
pub fn first_time(agent: Agent, head: &[u8]) -> Option<Timestamp> {
    head.split(|byte| *byte == b'\n').find_map(|line| line_time(agent, line))
}

/// The time of a line, or of the first record in it. Codex writes it at the beginning, so that the first bytes of the line
/// are enough.
pub fn line_time(agent: Agent, line: &[u8]) -> Option<Timestamp> {
    let time = agent.spec().line_time;
    time(line).or_else(|| {
        // Taking a line apart costs much; without the word no record in it has a time.
        memchr::memmem::find(line, b"\"timestamp\"")?;
        records(line).objects.into_iter().find_map(time)
    })
}
