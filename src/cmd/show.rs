//! Texts for people: the card as friends see it, events as lines, the status report.
//!
//! Nothing here is coloured and nothing is cut.
//! Read next: `status`, the status report and the preview; `bar`, the line for status bars.

mod bar;
mod status;

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::names::one_line;
use crate::core::numbers::usage_line;
use crate::core::report::{CardReport, Event, EventKind, SessionReport, UsageReport};
use crate::core::usage::Tokens;

pub use bar::{BarForm, BarLook, bar};
pub use status::{looks, no_card, preview, status};

/// How many characters of a session's id are shown. Most ids begin with a time, which sessions can share, so these are
/// the last ones.
const SHORT_ID: usize = 8;

/// The card as friends see it: a bar on the left, and the timer as it is at `now`.
pub fn card(card: &CardReport, now: Timestamp) -> String {
    let mut text = format!("┌ {}\n", card.name);
    for line in [&card.details, &card.state].into_iter().flatten() {
        let _ = writeln!(text, "│ {line}");
    }
    let _ = writeln!(text, "└ {} elapsed", elapsed(card.started_at, now));
    text
}

/// An event as a line, a card as a few lines; `None` for events that people are not shown.
pub fn event(event: &Event, zone: &TimeZone) -> Option<String> {
    let at = event.at.to_zoned(zone.clone());
    let time = at.strftime("%Y-%m-%d %H:%M:%S");
    match &event.kind {
        EventKind::Usage(usage) => {
            let line = usage_text(usage)?;
            Some(format!("{time} {} {} {line}\n", usage.agent.word(), short_id(&usage.session)))
        }
        EventKind::Session { ended: true, session } => {
            let line = ended_text(session);
            Some(format!("{time} {} {} {line}\n", session.agent.word(), short_id(&session.id)))
        }
        EventKind::Card { card: Some(shown) } => Some(format!("{time}\n{}", card(shown, event.at))),
        EventKind::Card { card: None } => Some(format!("{time} no card\n")),
        EventKind::Session { .. }
        | EventKind::Activity { .. }
        | EventKind::Limits(_)
        | EventKind::Status
        | EventKind::About { .. } => None,
    }
}

/// The usage line of an event.
pub fn usage_text(usage: &UsageReport) -> Option<String> {
    usage.usage.session_total_tokens.map(|total| usage_line(&total, usage.added()))
}

/// The usage line of a session that has ended.
pub fn ended_text(session: &SessionReport) -> String {
    total_text(session.usage.session_total_tokens.as_ref())
}

/// The usage line of a total without an addition.
pub fn total_text(total: Option<&Tokens>) -> String {
    match total {
        Some(total) => usage_line(total, None),
        None => "Token usage: unknown".to_owned(),
    }
}

/// The last characters of a session's id.
pub fn short_id(id: &str) -> String {
    let id = one_line(id);
    let before = id.chars().count().saturating_sub(SHORT_ID);
    id.chars().skip(before).collect()
}

/// `1:02:03`, in the form of Discord's timer.
fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let seconds = crate::core::time::elapsed(from, to).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_the_ids_last_8_characters() {
        for (id, short) in [
            ("019e9c60-0900-70d9-85ef-00861d062709", "1d062709"),
            ("ses_3f9aKdPqR7", "9aKdPqR7"),
            ("abc", "abc"),
            ("a\u{1b}[2Jzzéèêëabcd", "éèêëabcd"),
        ] {
            assert_eq!(short_id(id), short);
        }
    }
}
