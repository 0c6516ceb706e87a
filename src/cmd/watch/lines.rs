//! The lines that `watch` prints for events.
//!
//! The same reader reads on over takeovers and restarts, so restored figures that were printed before are not printed
//! again. Read next: [`crate::cmd::show`], for the form.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::cmd::show;
use crate::core::report::{Event, EventKind};
use crate::core::source::Agent;
use crate::core::usage::Tokens;

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Usage lines behind the time, the agent and the session.
    Lines,
    /// Usage lines alone.
    Bare,
    /// Each event as a JSON object.
    Json,
}

/// The printed figures, as far as they decide about later lines.
#[derive(Debug)]
pub struct Lines {
    form: Form,
    zone: TimeZone,
    printed: BTreeMap<(Agent, String), Printed>,
}

/// The last line of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Printed {
    total: Option<Tokens>,
    /// Whether that was the line of the session's end.
    ended: bool,
}

impl Lines {
    /// Lines before the first event.
    pub fn new(form: Form, zone: TimeZone) -> Self {
        Self { form, zone, printed: BTreeMap::new() }
    }

    /// The line of an event with its line break; `None` if it has none.
    pub fn line(&mut self, event: &Event) -> Option<String> {
        if self.form == Form::Json {
            let json = event.is_printed().then(|| serde_json::to_string(event).ok())?;
            return json.map(|line| line + "\n");
        }
        let (session, say, text) = match &event.kind {
            EventKind::Usage(usage) => {
                let say = Printed { total: usage.usage.session_total_tokens, ended: false };
                let session = (usage.agent, usage.session.clone());
                if usage.restored
                    && self.printed.get(&session).is_some_and(|printed| printed.total == say.total)
                {
                    return None;
                }
                (session, say, show::usage_text(usage)?)
            }
            EventKind::Session { ended: true, session } => {
                let say = Printed { total: session.usage.session_total_tokens, ended: true };
                let text = show::ended_text(session);
                let session = (session.agent, session.id.clone());
                if self.printed.get(&session) == Some(&say) {
                    return None;
                }
                (session, say, text)
            }
            _ => return None,
        };
        self.printed.insert(session, say);
        match self.form {
            Form::Bare => Some(text + "\n"),
            Form::Lines | Form::Json => show::event(event, &self.zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: &str = r#"{"input":90,"cached_input":0,"cache_write":0,"output":10,"reasoning":0}"#;

    fn lines(form: Form) -> Lines {
        Lines::new(form, TimeZone::UTC)
    }

    fn event(text: &str) -> Event {
        serde_json::from_str(&format!("{{\"at\":\"2026-11-20T10:00:00Z\",{text}}}")).unwrap()
    }

    fn usage(restored: bool, total: &str) -> Event {
        event(&format!(
            r#""event":"usage","session":"0199c0de-1111","agent":"codex","turn":null,"restored":{restored},
               "tokens":{{"delta":5,"last":5,"total":100}},"usage":{{"delta":{TOTAL},"last":null,"total":{total}}}"#
        ))
    }

    fn ended(total: &str) -> Event {
        event(&format!(
            r#""event":"session","ended":true,"session":{{"id":"0199c0de-1111","agent":"codex","surface":"cli",
               "shown":false,"project":null,"branch":null,"model":null,"effort":null,"activity":"idle",
               "started_at":null,"last_event_at":null,"last_usage_at":null,"restored":false,"counting":false,
               "parent":null,"tokens":{{"delta":null,"last":null,"total":null}},
               "usage":{{"delta":null,"last":null,"total":{total}}},"context":null}}"#
        ))
    }

    #[test]
    fn an_event_has_its_addition_and_restored_figures_have_none() {
        let line = lines(Form::Bare).line(&usage(false, TOTAL)).unwrap();
        assert_eq!(line, "Token usage: total=100 (+100) input=90 (+90) output=10 (+10)\n");
        let line = lines(Form::Bare).line(&usage(true, TOTAL)).unwrap();
        assert_eq!(line, "Token usage: total=100 input=90 output=10\n");
    }

    #[test]
    fn a_line_begins_with_the_time_the_agent_and_the_session() {
        let line = lines(Form::Lines).line(&usage(true, TOTAL)).unwrap();
        assert_eq!(line, "2026-11-20 10:00:00 codex 0de-1111 Token usage: total=100 input=90 output=10\n");
    }

    #[test]
    fn figures_that_were_printed_are_not_printed_again() {
        let mut lines = lines(Form::Bare);
        let more = TOTAL.replace("90", "91");
        assert!(lines.line(&usage(true, TOTAL)).is_some());
        assert_eq!(lines.line(&usage(true, TOTAL)), None);
        assert!(lines.line(&usage(false, &more)).is_some());
        assert_eq!(lines.line(&usage(true, &more)), None);
        assert!(lines.line(&usage(true, TOTAL)).is_some(), "the count may have been wrong");
    }

    #[test]
    fn a_session_ends_once() {
        let mut lines = lines(Form::Bare);
        assert_eq!(lines.line(&ended("null")).unwrap(), "Token usage: unknown\n");
        assert_eq!(lines.line(&ended("null")), None);
        assert!(lines.line(&usage(false, TOTAL)).is_some());
        assert_eq!(lines.line(&ended(TOTAL)).unwrap(), "Token usage: total=100 input=90 output=10\n");
        assert_eq!(lines.line(&ended(TOTAL)), None);
        assert_eq!(lines.line(&usage(true, TOTAL)), None);
    }

    #[test]
    fn json_is_every_event_of_the_contract() {
        let mut lines = lines(Form::Json);
        for event in [usage(true, TOTAL), usage(true, TOTAL), ended("null")] {
            let line = lines.line(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
            assert_eq!(line.find('\n'), Some(line.len() - 1));
        }
        assert_eq!(lines.line(&event(r#""event":"status""#)), None);
    }
}
