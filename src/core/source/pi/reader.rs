//! Turns the entries of one session file into facts, in order.
//!
//! The user's message begins a turn; an answer that requests no tool ends it. Entries of a fork that are older than
//! the fork were copied into it.
//! Read next: [`super::entry`] for the format of a line.

use jiff::Timestamp;

use super::entry::{Body, Entry, Usage};
use super::{SILENT, layout, tool};
use crate::fingerprint;
use crate::lines::Line;
use crate::source::lenient::{Room, read};
use crate::source::value::text_after;
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser, Surface};
use crate::usage::Tokens;

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Whether the header has been read.
    is_known: bool,
    /// Older entries were copied from another session.
    forked_at: Option<Timestamp>,
    /// Whether the session's beginning has not been reported: early headers are newer than the entries after them.
    begins_later: bool,
    model: Option<String>,
    effort: Option<String>,
    last_at: Option<Timestamp>,
    /// Whether a turn has begun and not ended.
    is_turn_open: bool,
    /// The last failed answer, which pi may retry.
    failed: Option<String>,
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
        (self.is_turn_open, self.failed) = (false, None);
    }
}

impl Reader {
    fn entry(&mut self, entry: &Entry<'_>) -> Parsed {
        let kind = entry.kind.text().unwrap_or_default();
        let at = entry.timestamp.time();
        if kind == "session" {
            return self.header(entry, at);
        }
        let is_copied = self.is_copied(at);
        let mut facts = Vec::new();
        if let Some(at) = at
            && std::mem::take(&mut self.begins_later)
        {
            facts.push(Fact::Begun(at));
        }
        match kind {
            "message" => {
                if let Some(body) = &entry.message.0 {
                    self.message(entry, body, is_copied, &mut facts);
                }
            }
            "model_change" => {
                self.model = entry.model_id.owned().or(self.model.take());
                facts.push(self.context());
            }
            "thinking_level_change" => {
                self.effort = effort(entry.thinking_level.text());
                facts.push(self.context());
            }
            // A failed answer that is removed from the conversation is retried.
            "context_edit" => {
                let target = entry.target_id.text();
                if target.is_some() && target == self.failed.as_deref() && !entry.replacement.is_there() {
                    self.is_turn_open = true;
                    facts.push(Fact::Working);
                }
            }
            "compaction" | "branch_summary" | "usage" => {
                let beside = || entry.message.0.as_ref().and_then(|body| body.usage.0.as_ref());
                let used = entry.usage.0.as_ref().or_else(beside);
                facts.extend(used.and_then(|used| aside(entry, entry.model.owned(), used)));
            }
            kind => {
                let unknown = !SILENT.contains(&kind);
                return Parsed::Line { at, ordinal: None, fact: Fact::Alive, unknown };
            }
        }
        self.last_at = at.or(self.last_at);
        if is_copied {
            facts.retain(|fact| matches!(fact, Fact::Context { .. }));
            return Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false };
        }
        Parsed::of(at, facts)
    }

    fn header(&mut self, entry: &Entry<'_>, at: Option<Timestamp>) -> Parsed {
        // An export is not a session.
        let is_export = entry.portable.is_there() && !entry.cwd.is_there();
        let (false, Some(id)) = (self.is_known, entry.id.owned().filter(|_| !is_export)) else {
            return Parsed::of(at, Vec::new());
        };
        let parent = entry.parent_session.text().or_else(|| entry.branched_from.text());
        let forked_from = parent.and_then(parent_id).filter(|parent| *parent != id);
        self.forked_at = at.filter(|_| parent.is_some());
        self.begins_later = !entry.version.is_there() && parent.is_none();
        self.is_known = true;
        self.model = entry.model_id.owned();
        self.effort = effort(entry.thinking_level.text());
        let meta = Meta {
            id,
            started_at: at.filter(|_| !self.begins_later),
            cwd: entry.cwd.owned(),
            surface: Surface::Cli,
            visible: true,
            forked_from,
            ..Meta::default()
        };
        let at = at.filter(|_| !self.begins_later);
        let facts = vec![Fact::Meta(Box::new(meta)), self.context()];
        Parsed::of(at, facts)
    }

    fn message(&mut self, entry: &Entry<'_>, body: &Body<'_>, is_copied: bool, facts: &mut Vec<Fact>) {
        match body.role.text().unwrap_or_default() {
            "user" => {
                // A message that was sent during a turn is written when the model can be given it.
                let sent_at = body.timestamp.time();
                let is_queued = self.is_turn_open
                    && sent_at.zip(self.last_at).is_some_and(|(sent_at, last_at)| sent_at < last_at);
                if !is_queued && !is_copied {
                    self.is_turn_open = true;
                    facts.push(Fact::TurnStarted { turn: entry.id.owned(), started_at: None, window: None });
                }
            }
            "assistant" => self.answer(entry, body, facts),
            "toolResult" => {
                facts.push(Fact::CallEnded { call: body.tool_call_id.owned() });
                facts.extend(body.usage.0.as_ref().and_then(|used| aside(entry, body.model.owned(), used)));
            }
            _ => {}
        }
    }

    fn answer(&mut self, entry: &Entry<'_>, body: &Body<'_>, facts: &mut Vec<Fact>) {
        if body.thinking_level.is_there() {
            self.effort = effort(body.thinking_level.text());
        }
        self.model = body.model.owned().or(self.model.take());
        facts.push(self.context());
        if let Some(tokens) = body.usage.0.as_ref().and_then(Usage::tokens) {
            let call = Call { model: body.model.owned(), finish_reason: body.stop_reason.owned() };
            let context = Some(tokens.all().saturating_sub(tokens.output));
            let known = message(entry, body.response_id.text(), tokens);
            facts.push(Fact::Message(Box::new(Message { context, call: call.known(), ..known })));
        }
        facts.push(Fact::Working);
        for block in body.calls() {
            let doing = tool::doing(block.name.text().unwrap_or_default(), block.arguments.0.as_ref());
            facts.push(Fact::CallStarted { call: block.id.owned(), doing });
        }
        let stop = body.stop_reason.text();
        let is_over = matches!(stop, Some("stop" | "length" | "error" | "aborted"));
        self.is_turn_open = !is_over;
        self.failed = entry.id.owned().filter(|_| stop == Some("error"));
        if is_over {
            facts.push(Fact::TurnEnded);
        }
    }

    /// Whether an entry is older than the fork that contains it.
    fn is_copied(&self, at: Option<Timestamp>) -> bool {
        self.forked_at.zip(at).is_some_and(|(forked_at, at)| at < forked_at)
    }

    fn context(&self) -> Fact {
        Fact::Context { model: self.model.clone(), effort: self.effort.clone(), cwd: None }
    }

    /// A line with images is too long to be read. Its first bytes show its author.
    fn oversized(&mut self, first: &[u8]) -> Parsed {
        let at = super::line_time(first);
        let text = |key| text_after(first, key).map(str::to_owned);
        let has = |word: &[u8]| memchr::memmem::find(first, word).is_some();
        let mut facts = Vec::new();
        if self.is_copied(at) {
            return Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false };
        }
        if has(b"\"role\":\"user\"") {
            self.is_turn_open = true;
            facts.push(Fact::TurnStarted { turn: text(b"\"id\":\""), started_at: None, window: None });
        } else if has(b"\"role\":\"toolResult\"") {
            facts.push(Fact::CallEnded { call: text(b"\"toolCallId\":\"") });
        }
        self.last_at = at.or(self.last_at);
        Parsed::of(at, facts)
    }
}

/// A valid level of thinking.
fn effort(level: Option<&str>) -> Option<String> {
    level.filter(|level| *level != "off").map(str::to_owned)
}

/// The session in the path of a parent's file, or the id itself.
fn parent_id(parent: &str) -> Option<String> {
    let name = parent.rsplit(['/', '\\']).next()?;
    Some(layout::thread(name).unwrap_or(name).to_owned())
}

/// Model work outside of the conversation: a summary, a refreshed cache, a tool that uses a model.
fn aside(entry: &Entry<'_>, model: Option<String>, usage: &Usage<'_>) -> Option<Fact> {
    let call = Call { model, finish_reason: None }.known();
    Some(Fact::Message(Box::new(Message { call, ..message(entry, None, usage.tokens()?) })))
}

/// An entry's usage, with an id made of everything that a copy of it keeps.
fn message(entry: &Entry<'_>, response: Option<&str>, tokens: Tokens) -> Message {
    let time = entry.timestamp.text().unwrap_or_default();
    let key = [entry.id.text().unwrap_or_default(), time, response.unwrap_or_default()].join("\n");
    Message::of(fingerprint::long(key.as_bytes()), tokens)
}
