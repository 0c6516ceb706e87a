//! Turns the lines of one session file into facts, in order.
//!
//! A turn begins with the user's prompt and ends with an answer that calls no tool, or with a failure that no answer
//! follows. Answers without a prompt before them are a turn as well: a background agent's end causes them. Calls
//! outside of the conversation (sub-agents, memory) are recorded in the session's own file and count there; nothing
//! in the files of sub-agents counts.
//! Read next: [`super::entry`] for the format of a line.

use jiff::Timestamp;

use super::entry::{Entry, Event, Usage};
use crate::fingerprint;
use crate::lines::Line;
use crate::source::lenient::{Room, read};
use crate::source::parts::Parts;
use crate::source::value::text_after;
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser, Surface};

/// No more agents run at once; a file with more has lost their ends.
const MOST_PENDING: usize = 32;

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The session of the file, once a line has named it.
    whose: Option<FileSession>,
    /// Whether the newest line was copied from another session.
    in_history: bool,
    /// Whether bytes were left out before the session was known.
    is_torn: bool,
    turn: Turn,
    /// The calls whose agents continue in the background.
    pending: Vec<String>,
    cwd: Option<String>,
    branch: Option<String>,
}

#[derive(Debug)]
struct FileSession {
    id: String,
    is_helper: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Over,
    /// A request failed: an answer after it belongs to the same turn.
    Failed,
    Open,
}

impl Parser for Reader {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        let bytes = match line {
            Line::Whole(bytes) | Line::Cut(bytes) => bytes,
            Line::Oversized(first) => return self.oversized(first),
        };
        let mut room = Room::default();
        read(bytes, &mut room).map_or(Parsed::Unreadable, |entry| self.entry(&entry))
    }

    fn jump(&mut self) {
        self.is_torn |= self.whose.is_none();
        self.turn = Turn::Over;
    }
}

impl Reader {
    fn entry(&mut self, entry: &Entry<'_>) -> Parsed {
        let kind = entry.kind.text().unwrap_or_default();
        let at = entry.timestamp.time();
        if !matches!(kind, "user" | "assistant" | "tool_result" | "system") {
            return Parsed::Line { at, ordinal: None, fact: Fact::Alive, unknown: true };
        }
        let mut facts = Vec::new();
        let origin = entry.forked_from.0.as_ref().and_then(|origin| origin.session_id.text());
        self.introduce(entry, at, origin, &mut facts);
        let is_copied =
            origin.is_some_and(|origin| Some(origin) != self.whose.as_ref().map(|w| w.id.as_str()));
        if is_copied {
            self.in_history = true;
            facts.extend(model(entry));
            return Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false };
        }
        if std::mem::take(&mut self.in_history) {
            facts.extend(at.filter(|_| !self.is_torn).map(Fact::Begun));
        }
        self.place(entry, &mut facts);
        let nothing = Parts::default();
        let parts = entry.message.0.as_ref().and_then(|body| body.parts.as_ref()).unwrap_or(&nothing);
        match kind {
            // A message that is sent during a turn is part of it.
            "user" if self.turn == Turn::Open && entry.subtype.is("mid_turn_user_message") => {}
            "user" if is_prompt(entry, parts) => self.begin(entry, &mut facts),
            "user" if entry.subtype.is("notification") => self.notified(parts, &mut facts),
            "assistant" => self.answer(entry, parts, &mut facts),
            "tool_result" => {
                let done = entry.tool_call_result.0.as_ref();
                let named = done.and_then(|done| done.call_id.owned());
                let display = done.and_then(|done| done.result_display.0.as_ref());
                if display.is_some_and(|display| display.status.is("background"))
                    && self.pending.len() < MOST_PENDING
                {
                    self.pending.extend(named.clone());
                }
                let results = parts.results.iter().map(|result| result.id.owned());
                let ended: Vec<_> = if parts.results.is_empty() { vec![named] } else { results.collect() };
                facts.extend(ended.into_iter().map(|call| Fact::CallEnded { call }));
            }
            "system" => {
                let event = entry.system_payload.0.as_ref().and_then(|payload| payload.ui_event.0.as_ref());
                if let Some(event) = event {
                    self.event(entry, event, &mut facts);
                }
            }
            _ => {}
        }
        Parsed::of(at, facts)
    }

    /// The first line names the session of the file.
    fn introduce(
        &mut self,
        entry: &Entry<'_>,
        at: Option<Timestamp>,
        origin: Option<&str>,
        facts: &mut Vec<Fact>,
    ) {
        if self.whose.is_some() {
            return;
        }
        let Some(session) = entry.session_id.owned() else { return };
        let helper = entry.agent_id.owned().filter(|_| entry.is_sidechain.flag());
        let is_helper = helper.is_some();
        let parent = is_helper.then(|| session.clone());
        let id = helper.unwrap_or(session);
        let forked_from = origin.filter(|origin| *origin != id).map(str::to_owned);
        (self.cwd, self.branch) = (entry.cwd.owned(), entry.git_branch.owned());
        self.whose = Some(FileSession { id: id.clone(), is_helper });
        facts.push(Fact::Meta(Box::new(Meta {
            id,
            started_at: at.filter(|_| !self.is_torn && forked_from.is_none()),
            cwd: self.cwd.clone(),
            branch: self.branch.clone(),
            surface: Surface::Cli,
            visible: true,
            subagent: is_helper,
            parent,
            forked_from,
            first_line: entry.uuid.owned().filter(|_| !self.is_torn),
            midway: entry.parent_uuid.is_there(),
            ..Meta::default()
        })));
    }

    fn place(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        let (cwd, branch) = (entry.cwd.text(), entry.git_branch.text());
        if cwd.is_some() && (cwd, branch) != (self.cwd.as_deref(), self.branch.as_deref()) {
            (self.cwd, self.branch) = (cwd.map(str::to_owned), branch.map(str::to_owned));
            facts.push(Fact::Place { cwd: self.cwd.clone(), branch: self.branch.clone() });
        }
    }

    fn begin(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        self.turn = Turn::Open;
        facts.push(Fact::TurnStarted { turn: entry.uuid.owned(), started_at: None, window: None });
    }

    fn answer(&mut self, entry: &Entry<'_>, parts: &Parts<'_>, facts: &mut Vec<Fact>) {
        if self.turn == Turn::Over {
            self.begin(entry, facts);
        }
        facts.extend(model(entry));
        let is_helper = self.whose.as_ref().is_some_and(|whose| whose.is_helper);
        let tokens = entry.usage_metadata.0.as_ref().filter(|_| !is_helper).and_then(Usage::tokens);
        if let (Some(tokens), Some(uuid)) = (tokens, entry.uuid.text()) {
            facts.push(Fact::Message(Box::new(Message {
                context: Some(tokens.all().saturating_sub(tokens.output)),
                call: Call { model: entry.model.owned(), finish_reason: None }.known(),
                ..Message::of(fingerprint::long(uuid.as_bytes()), tokens)
            })));
        }
        facts.push(Fact::Working);
        let calls = parts.calls.iter();
        facts.extend(calls.map(|call| Fact::CallStarted { call: call.id.owned(), doing: call.doing() }));
        self.turn = Turn::Open;
        if parts.calls.is_empty() {
            self.end(Turn::Over, facts);
        }
    }

    fn event(&mut self, entry: &Entry<'_>, event: &Event<'_>, facts: &mut Vec<Fact>) {
        let is_aside = event.subagent_name.is_there();
        match event.name.text() {
            // The conversation's own responses are counted by the answers.
            Some("qwen-code.api_response") if is_aside => {
                let message = event.message(entry.uuid.text().unwrap_or_default());
                let call = Call { model: event.model.owned(), finish_reason: None }.known();
                let message = message.map(|message| Message { is_aside, call, ..message });
                facts.extend(message.map(|message| Fact::Message(Box::new(message))));
            }
            Some("qwen-code.api_error") if !is_aside => self.end(Turn::Failed, facts),
            Some("qwen-code.api_cancel") if !is_aside => self.end(Turn::Over, facts),
            _ => {}
        }
    }

    fn end(&mut self, how: Turn, facts: &mut Vec<Fact>) {
        if self.turn == Turn::Open {
            self.turn = how;
            self.over(facts);
        }
    }

    fn over(&self, facts: &mut Vec<Fact>) {
        facts.push(Fact::TurnEnded);
        facts.extend((!self.pending.is_empty()).then_some(Fact::HelpersPending));
    }

    /// A background agent has ended; the answer to that is a new turn.
    fn notified(&mut self, parts: &Parts<'_>, facts: &mut Vec<Fact>) {
        let text = parts.text.text().unwrap_or_default();
        self.pending.retain(|call| !text.contains(call.as_str()));
        if self.turn != Turn::Open {
            self.over(facts);
        }
    }

    /// Lines with images and large results are too long to be read. Their first bytes show their kind.
    fn oversized(&mut self, first: &[u8]) -> Parsed {
        let at = super::line_time(first);
        let has = |word: &[u8]| memchr::memmem::find(first, word).is_some();
        let text = |key| text_after(first, key).map(str::to_owned);
        let mut facts = Vec::new();
        if has(b"\"type\":\"tool_result\"") {
            facts.push(Fact::CallEnded { call: text(b"\"functionResponse\":{\"id\":\"") });
        } else if has(b"\"provenance\":\"real_user\"") && !has(b"\"subtype\":") {
            self.turn = Turn::Open;
            facts.push(Fact::TurnStarted { turn: text(b"\"uuid\":\""), started_at: None, window: None });
        }
        Parsed::of(at, facts)
    }
}

/// Whether the user wrote it. Versions without this mark have marks on the other lines.
fn is_prompt(entry: &Entry<'_>, parts: &Parts<'_>) -> bool {
    let is_usual = !entry.subtype.is_there() || entry.subtype.is("mid_turn_user_message");
    let is_users =
        entry.provenance.is("real_user") || !entry.provenance.is_there() && parts.results.is_empty();
    is_usual && is_users
}

fn model(entry: &Entry<'_>) -> Option<Fact> {
    Some(Fact::Context { model: Some(entry.model.owned()?), effort: None, cwd: None })
}
